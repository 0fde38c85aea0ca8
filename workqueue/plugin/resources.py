"""Which resource an informer is for, said in any way in which Kopf takes it.

The same spec goes to Kopf's own decorators, which do the watching; what is computed here is only
*which one* of the cluster's resources that will be, so that it can be listed, named and checked.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import kopf

from workqueue.base.errors import ConfigurationError

#: How like a name must be to one that exists: a letter or two may be wrong.
_LIKENESS = 0.75
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?")


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """One resource, as a user named it."""

    #: What to hand to Kopf's decorators.
    args: tuple[str, ...]
    kwargs: tuple[tuple[str, str], ...]
    #: None where the user did not say.
    group: str | None
    version: str | None
    #: Plural, singular, kind or short name; with ``kwargs`` exactly one of these by its own name.
    name: str | None

    @classmethod
    def parse(cls, *args: str, **kwargs: str) -> "ResourceSpec":
        """Read a spec.

        ``"pods"``, ``"deployments.apps"``, ``"deployments.v1.apps"``, ``("apps", "deployments")``,
        ``("apps/v1", "deployments")``, ``("apps", "v1", "deployments")``, and Kopf's keywords
        ``group version kind plural singular shortcut``.

        :raises ConfigurationError: if it names no single resource.
        """
        shown = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
        if unknown := set(kwargs) - {"group", "version", "kind", "plural", "singular", "shortcut"}:
            raise ConfigurationError(f"informer({shown}): there is no argument {', '.join(sorted(unknown))}")
        if not all(isinstance(text, str) for text in (*args, *kwargs.values())):
            raise ConfigurationError(
                f"informer({shown}): expected the name of one resource, such as 'deployments.apps'"
            )
        for position, given in enumerate((*args, *kwargs.values())):
            may_have_slash = position == 0 and len(args) == 2  # as in "apps/v1"
            if re.search(r"[\s*]", given) or ("/" in given and not may_have_slash):
                raise ConfigurationError(
                    f"informer({shown}): no resource is called {given!r}; expected such as 'pods' or 'deployments.apps'"
                )
        group, version = kwargs.get("group"), kwargs.get("version")
        name: str | None = None
        match args:
            case ():
                pass
            case (text,):
                name, dot, rest = text.partition(".")
                first, second_dot, last = rest.partition(".")
                if _VERSION.fullmatch(first):
                    version = first
                    group = last if second_dot else group
                elif dot:
                    group = rest
            case (api_version, name) if "/" in api_version:
                group, _, version = api_version.rpartition("/")
            case ("v1", name):
                group, version = "", "v1"
            case (group, name):
                pass
            case (group, version, name):
                pass
            case _:
                raise ConfigurationError(f"informer({shown}): at most group, version and name")
        named = [name, *(kwargs.get(key) for key in ("kind", "plural", "singular", "shortcut"))]
        names = [given for given in named if given is not None]
        if len(names) != 1 or not names[0]:
            raise ConfigurationError(f"informer({shown}): expected exactly one name of a resource, such as 'pods'")
        if _VERSION.fullmatch(names[0]):
            raise ConfigurationError(
                f"informer({shown}): {names[0]} is a version; the name comes last, as in "
                "informer('apps', 'v1', 'deployments')"
            )
        return cls(args, tuple(sorted(kwargs.items())), group, version, name)

    def kopf_kwargs(self) -> dict[str, Any]:
        """The keywords for Kopf's decorators."""
        return dict(self.kwargs)

    def matches(self, resource: kopf.Resource) -> bool:
        """Whether a resource of the cluster is meant; without a version, the preferred one is."""
        if self.group is not None and self.group != resource.group:
            return False
        if (self.version is None and not resource.preferred) or self.version not in (None, resource.version):
            return False
        kwargs = dict(self.kwargs)
        return (
            self.name in (None, resource.kind, resource.plural, resource.singular, *resource.shortcuts)
            and kwargs.get("kind") in (None, resource.kind)
            and kwargs.get("plural") in (None, resource.plural)
            and kwargs.get("singular") in (None, resource.singular)
            and ("shortcut" not in kwargs or kwargs["shortcut"] in resource.shortcuts)
        )

    def choose(self, resources: Collection[kopf.Resource]) -> list[kopf.Resource]:
        """Those of the cluster's resources that are meant. As in kubectl and Kopf, the core group goes first."""
        found = [resource for resource in resources if self.matches(resource)]
        core = [resource for resource in found if resource.group == ""]
        return core or found

    def nearest(self, resources: Collection[kopf.Resource]) -> str:
        """Which of the cluster's resources may have been meant, where none is; "" if there is nothing like it."""
        named: dict[str, kopf.Resource] = {}
        for resource in sorted(resources, key=lambda each: (each.group or "", not each.preferred, each.plural)):
            for name in (resource.plural, resource.singular, resource.kind, *sorted(resource.shortcuts)):
                if name:
                    named.setdefault(name.lower(), resource)
                    named.setdefault(f"{name}.{resource.group}".lower(), resource)
        wanted = [str(self).lower(), self._called.lower()]
        close = [found for name in wanted for found in difflib.get_close_matches(name, named, n=1, cutoff=_LIKENESS)]
        if not close:
            return ""
        resource = named[close[0]]
        version = f".{resource.version}" if self.version not in (None, resource.version) else ""
        return f"{resource.plural}{version}" + (f".{resource.group}" if resource.group else "")

    @property
    def _called(self) -> str:
        return self.name or next(value for key, value in self.kwargs if key not in ("group", "version"))

    def __str__(self) -> str:
        return f"{self._called}.{self.group}" if self.group else self._called


def look_at(nearest: str) -> str:
    """What is told to who waits for a resource.

    :param nearest: see :meth:`ResourceSpec.nearest`.
    """
    meant = f" did you mean {nearest}?" if nearest else ""
    return f"waiting for it (is the name right, is its definition there?{meant})"


def api_path(resource: kopf.Resource, namespace: str = "") -> str:
    """The path of a resource's list.

    :param resource: as Kopf found it.
    :param namespace: "" for all of them, or for the cluster scope.
    """
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{resource.plural}"
