"""Who may do what: everybody everything, until a test denies something."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from workqueue.testing.apiserver import errors

#: Who every client is taken for: nobody is asked for credentials.
USER = "in-process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """What is not allowed. Each field is a pattern as of fnmatch."""

    verb: str = "*"
    #: The plural, with the subresource if there is one: "pods", "pods/status".
    resource: str = "*"
    group: str = "*"
    #: Requests across all namespaces have "".
    namespace: str = "*"

    def covers(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Whether a request is what this denies."""
        return (
            fnmatchcase(verb, self.verb)
            and fnmatchcase(resource, self.resource)
            and fnmatchcase(group, self.group)
            and fnmatchcase(namespace, self.namespace)
        )


class Access:
    """The denials in force."""

    def __init__(self) -> None:
        #: Guards _denials.
        self._lock = threading.Lock()
        #: Guarded by _lock.
        self._denials: list[Denial] = []

    def deny(self, denial: Denial) -> None:
        """Allow something no longer."""
        with self._lock:
            self._denials.append(denial)

    def allow_everything(self) -> None:
        """Forget all denials."""
        with self._lock:
            self._denials.clear()

    def allows(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Whether a request is allowed."""
        with self._lock:
            return not any(denial.covers(verb, group, resource, namespace) for denial in self._denials)

    def check(self, verb: str, group: str, resource: str, *, namespace: str, name: str) -> None:
        """Refuse what is denied.

        :param resource: the plural, with the subresource if there is one.
        :param namespace: "" for all of them, and for cluster-scoped resources.
        :param name: "" for requests on many objects.
        :raises ApiError: 403.
        """
        if self.allows(verb, group, resource, namespace):
            return
        scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        why = f'User "{USER}" cannot {verb} resource "{resource}" in API group "{group}" {scope}'
        raise errors.forbidden(name, group, resource, why)

    def review(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a SelfSubjectAccessReview."""
        spec = body.get("spec") or {}
        asked = spec.get("resourceAttributes") or {}
        resource = asked.get("resource") or ""
        if asked.get("subresource"):
            resource = f"{resource}/{asked['subresource']}"
        allowed = self.allows(asked.get("verb") or "", asked.get("group") or "", resource, asked.get("namespace") or "")
        return {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": spec,
            "status": {"allowed": allowed},
        }
