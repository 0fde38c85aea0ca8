"""The rules that a client's mistake most likely breaks: of names, labels, finalizers, containers, times, events.

Far from all that kube-apiserver checks: fields are not checked against types, apart from these.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from workqueue.testing.apiserver import errors
from workqueue.testing.apiserver.errors import cause
from workqueue.testing.apiserver.registry import Resource

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")

_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_FINALIZER_RULE = "name is neither a standard finalizer name nor is it fully qualified"
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
#: Fields that carry microseconds, by the resource that has them.
_MICRO_TIMES = {"leases": ("spec.acquireTime", "spec.renewTime"), "events": ("eventTime",)}


def check_shape(resource: Resource, document: Mapping[str, Any]) -> None:
    """Refuse a body that would not decode into its type: only what clients really get wrong.

    :raises ApiError: 400.
    """
    refused = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
    wrong_type = f"{refused}json: cannot unmarshal into Go struct field"
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        raise errors.bad_request(f"{wrong_type} .metadata of type v1.ObjectMeta")
    for name in () if resource.custom else ("spec", "status"):
        if not isinstance(document.get(name) or {}, Mapping):
            raise errors.bad_request(f"{wrong_type} {resource.kind}.{name}")
    for name in ("labels", "annotations"):
        pairs = metadata.get(name) or {}
        if not isinstance(pairs, Mapping) or not all(isinstance(value, str) for value in pairs.values()):
            raise errors.bad_request(f"{wrong_type} ObjectMeta.metadata.{name} of type string")
    for path in _MICRO_TIMES.get(resource.plural, ()):
        value: Any = document
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None and not (isinstance(value, str) and _MICRO_TIME.fullmatch(value)):
            why = f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse'
            raise errors.bad_request(f"{refused}{why}")


def check(resource: Resource, document: Mapping[str, Any], *, kind_rules: bool) -> None:
    """Refuse an object that breaks a rule.

    :param kind_rules: whether the rules of the kind count too, or only those of all objects.
    :raises ApiError: 422 with every rule it breaks.
    """
    causes = list(_metadata(resource, document["metadata"]))
    if kind_rules:
        causes += _kind(resource, document)
    if causes:
        raise errors.invalid(document["metadata"].get("name", ""), resource.group, resource.kind, *causes)


def check_finalizers_not_added(resource: Resource, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse new finalizers on an object that is on its way out.

    :param before: its metadata as stored.
    :param after: the metadata that shall be.
    :raises ApiError: 422.
    """
    added = [name for name in after.get("finalizers") or [] if name not in (before.get("finalizers") or [])]
    if "deletionTimestamp" in before and added:
        told = ", ".join(f'"{name}"' for name in added)
        why = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{told}}}"
        )
        raise errors.invalid(
            before["name"], resource.group, resource.kind, cause("metadata.finalizers", "FieldValueForbidden", why)
        )


def _bad(field: str, value: str, rule: str) -> dict[str, str]:
    return cause(field, "FieldValueInvalid", f'Invalid value: "{value}": {rule}')


def _metadata(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    label_only = resource.plural in {"namespaces", "services"} and not resource.custom
    pattern, rule, longest = (_LABEL, _LABEL_RULE, 63) if label_only else (_SUBDOMAIN, _SUBDOMAIN_RULE, 253)
    name = metadata.get("name") or ""
    if not name:
        yield cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
    elif len(name) > longest:
        yield _bad("metadata.name", name, f"must be no more than {longest} characters")
    elif not pattern.fullmatch(name):
        yield _bad("metadata.name", name, rule)
    for key, value in (metadata.get("labels") or {}).items():
        if not _KEY.fullmatch(key.rpartition("/")[2]):
            yield _bad("metadata.labels", key, _KEY_RULE)
        if len(value) > 63:
            yield _bad("metadata.labels", value, "must be no more than 63 characters")
        elif not _VALUE.fullmatch(value):
            yield _bad("metadata.labels", value, _VALUE_RULE)
    for index, name in enumerate(metadata.get("finalizers") or []):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            yield _bad(f"metadata.finalizers[{index}]", name, _FINALIZER_RULE)


def _kind(resource: Resource, document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    spec = document.get("spec") or {}
    match resource.name:
        case "pods":
            yield from _containers(spec, "spec")
        case "deployments.apps" | "replicasets.apps":
            template = spec.get("template") or {}
            labels = (template.get("metadata") or {}).get("labels") or {}
            wanted = (spec.get("selector") or {}).get("matchLabels") or {}
            if not spec.get("selector"):
                yield cause("spec.selector", "FieldValueRequired", "Required value")
            if not wanted or any(labels.get(key) != value for key, value in wanted.items()):
                why = "Invalid value: null: `selector` does not match template `labels`"
                yield cause("spec.template.metadata.labels", "FieldValueInvalid", why)
            yield from _containers(template.get("spec") or {}, "spec.template.spec")
        case "customresourcedefinitions.apiextensions.k8s.io":
            yield from _definition(document)
        case "events":
            yield from _event(document)


def _containers(spec: Mapping[str, Any], path: str) -> Iterator[dict[str, str]]:
    if not spec.get("containers"):
        yield cause(f"{path}.containers", "FieldValueRequired", "Required value")
    for index, container in enumerate(spec.get("containers") or []):
        for field in ("name", "image"):
            if not container.get(field):
                yield cause(f"{path}.containers[{index}].{field}", "FieldValueRequired", "Required value")


def _event(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The rule for events of the old kind, which have no eventTime: they are kept with what they are about."""
    about = (document.get("involvedObject") or {}).get("namespace") or ""
    if not document.get("eventTime") and document["metadata"].get("namespace") != (about or "default"):
        yield _bad("involvedObject.namespace", about, "does not match event.namespace")


def _definition(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    spec, metadata = document.get("spec") or {}, document["metadata"]
    group, names = spec.get("group") or "", spec.get("names") or {}
    wanted = f"{names.get('plural')}.{group}"
    if metadata.get("name") != wanted:
        yield _bad("metadata.name", metadata.get("name", ""), f'must be spec.names.plural+"."+spec.group: {wanted}')
    if not spec.get("versions"):
        why = "Invalid value: null: must have exactly one version marked as storage version"
        yield cause("spec.versions", "FieldValueInvalid", why)
    for field in ("plural", "kind"):
        if not names.get(field):
            yield cause(f"spec.names.{field}", "FieldValueRequired", "Required value")
    if spec.get("scope") not in {"Namespaced", "Cluster"}:
        yield cause("spec.scope", "FieldValueRequired", "Required value")
    approved = "api-approved.kubernetes.io" in (metadata.get("annotations") or {})
    if not approved and group.endswith((".k8s.io", ".kubernetes.io")):
        yield cause(
            "metadata.annotations[api-approved.kubernetes.io]",
            "FieldValueRequired",
            'Required value: protected groups must have approval annotation "api-approved.kubernetes.io", '
            "see https://github.com/kubernetes/enhancements/pull/1111",
        )
