"""Stands between a watch and Kopf's own observer of namespaces or custom resource definitions.

Kopf looks at both once, at its start, and then follows a watch of which it takes the live events only. What happens
between that look and the watch, or while a watch is interrupted, is told by nothing but the next listing, which Kopf
ignores. Here a listing is compared with what Kopf was told before, and what differs becomes events that Kopf does not
ignore.

Of a definition Kopf takes the group only, and looks at the resources of that group. So a listing of definitions is also
compared with what Kopf found when it last looked, and a group that differs is one event, whose object has no more than
its name, group and plural.

One thing is left, and harmless: a namespace that ended between Kopf's first look and the first listing stays among
those that Kopf watches. There is nothing in it, and should it come again, it is watched already.

No Kopf in here: events are mappings as a watch of Kubernetes has them, with the type None for what a listing found.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

NAMESPACES = "namespaces"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
#: What Kopf observes, by plural and group.
OBSERVED = frozenset({NAMESPACES, DEFINITIONS})

#: How a watch begins: with lists of its own, or with a stream of what exists, which a marked bookmark ends.
Listing = Literal["paged", "streamed"]

#: On the bookmark with which the API server says that it has sent everything that existed.
_END_OF_STREAM = "k8s.io/initial-events-end"


class Scanned(Protocol):
    """A resource that one of Kopf's looks found; Kopf's own class is one."""

    @property
    def group(self) -> str:
        """Such as "example.com"; that of pods is empty."""

    @property
    def version(self) -> str:
        """Such as "v1"; each version is a resource of its own."""

    @property
    def plural(self) -> str:
        """Such as "things"."""


class _Known(NamedTuple):
    """What is kept of an object: enough to see that it changed, and to tell Kopf that it is gone."""

    uid: str | None
    version: str | None
    #: Of a definition, as what follows.
    group: str = ""
    plural: str = ""
    served: frozenset[str] = frozenset()


class Observed:
    """What Kopf was told of one resource, through all watches of it in one run. For one thread."""

    def __init__(self, resource: str) -> None:
        """:param resource: one of :data:`OBSERVED`."""
        self._defines = resource == DEFINITIONS
        #: What Kopf was told of, by name: both resources are cluster-wide.
        self._known: dict[str, _Known] = {}
        #: Listings that came to their end.
        self._listings = 0
        #: Names in the listing that is under way, None if none is.
        self._listed: set[str] | None = None
        self._listing: Listing = "paged"
        #: The mark of a streamed listing came, but not yet the bookmark that says whether it is whole.
        self._marked = False
        #: What Kopf found, the versions by group and plural; None before its first look.
        self._scanned: dict[str, dict[str, set[str]]] | None = None
        #: Groups that handlers can match, None if they can match any.
        self._groups: frozenset[str] | None = None
        #: Groups of which there was a definition.
        self._defined: set[str] = set()
        #: What is to be told when a listing of definitions is whole, by group: kind of event and plural.
        self._untold: dict[str, tuple[str, str]] = {}

    @property
    def listings(self) -> int:
        """How many listings came to their end so far."""
        return self._listings

    def scanned(self, resources: Collection[Scanned], *, groups: Collection[str] | None) -> None:
        """Take over what one of Kopf's looks found; without any, a first listing of definitions tells Kopf nothing.

        :param resources: what was found.
        :param groups: those that were looked at; None is all. The first look is at those that handlers can match.
        """
        if self._scanned is None:
            self._groups = None if groups is None else frozenset(groups)
        if self._scanned is None or groups is None:
            self._scanned = {}
        for group in groups or ():
            self._scanned.pop(group, None)
        for resource in resources:
            self._scanned.setdefault(resource.group, {}).setdefault(resource.plural, set()).add(resource.version)

    def behind(self, resources: Collection[Scanned], *, groups: Collection[str]) -> frozenset[str]:
        """What one of Kopf's looks at some groups did not find though it is defined, or found though it is not.

        An API server tells of a definition a moment before it serves what is defined, and serves that a moment longer
        than there is the definition. Kopf looks in that moment, and not again.

        :param resources: what was found.
        :param groups: those that were looked at.
        :return: each in a few words.
        """
        found: dict[tuple[str, str], set[str]] = {}
        for resource in resources:
            found.setdefault((resource.group, resource.plural), set()).add(resource.version)
        defined = {(known.group, known.plural): set(known.served) for known in self._known.values()}
        return frozenset(
            f"{plural}.{group}: {', '.join(sorted(there)) or 'none'}"
            for group, plural in found.keys() | defined.keys()
            if group in groups and group in self._defined
            if (there := defined.get((group, plural), set())) != found.get((group, plural), set())
        )

    def begin(self, *, listing: Listing) -> None:
        """A watch begins; one that was in the middle of its listing is over, and tells of no deletions.

        :param listing: how it begins.
        """
        self._listed = set()
        self._listing = listing
        self._marked = False

    def understands(self, event: Any) -> bool:
        """Whether an event has what Kopf's observer reads; with one that has not it would end the operator."""
        if not isinstance(event, Mapping) or event.get("type") in ("ERROR", "BOOKMARK"):
            return True
        body = event["object"]
        if not isinstance(body["metadata"].get("name"), str):
            return False
        spec = body.get("spec")
        return not self._defines or (isinstance(spec, Mapping) and isinstance(spec.get("group"), str))

    def see(self, event: Any) -> Iterator[Any]:
        """Tell what Kopf shall see of one event. Ask :meth:`understands` first.

        Kopf's mark and bookmarks stay as they are. All events of one name get one uid: Kopf keeps the order of the
        events of a uid only, and the end of a namespace must not come after the beginning of the next of its name.

        :param event: of the watch that began last.
        :return: events.
        :raises BrokenListing: the listing cannot come to its end; a new watch is needed.
        """
        if not isinstance(event, Mapping):
            yield from self._mark(event)
        elif event["type"] == "BOOKMARK":
            yield from self._bookmark(event)
        elif event["type"] in ("ADDED", "MODIFIED"):
            self._note(event["object"])
            yield _told(event["type"], event["object"])
        elif event["type"] == "DELETED":
            self._known.pop(event["object"]["metadata"]["name"], None)
            yield _told(event["type"], event["object"])
        elif event["type"] is None:
            yield from self._entry(event["object"])
        else:
            yield event

    def _entry(self, body: Mapping[str, Any]) -> Iterator[Any]:
        """What a listing says of one object."""
        before = self._known.get(body["metadata"]["name"])
        now = self._note(body)
        if before is None or before.uid != now.uid:
            # If there was another of its name: Kopf goes by names, so that it ended once is of no interest.
            kind = "ADDED"
        elif before.version != now.version:
            kind = "MODIFIED"
        else:
            return
        if not self._defines:
            yield _told(kind, body)
        elif before is not None or self._listings:
            self._untold.setdefault(now.group, (kind, now.plural))
        # Else Kopf may have found it by itself: the end of the listing shows whether it did.

    def _note(self, body: Mapping[str, Any]) -> _Known:
        metadata = body["metadata"]
        known = _Known(metadata.get("uid"), metadata.get("resourceVersion"))
        if self._defines:
            spec = body["spec"]
            known = known._replace(group=spec["group"], plural=_plural(spec), served=_served(body))
            self._defined.add(known.group)
        self._known[metadata["name"]] = known
        if self._listed is not None:
            self._listed.add(metadata["name"])
        return known

    def _mark(self, mark: Any) -> Iterator[Any]:
        """Kopf's mark: of a paged listing it is the end, in a streamed one it stands before the first bookmark."""
        if getattr(mark, "name", None) == "LISTED" and self._listed is not None:
            if self._listing == "streamed":
                self._marked = True
            else:
                yield from self._whole()
        yield mark

    def _bookmark(self, event: Mapping[str, Any]) -> Iterator[Any]:
        if self._marked:
            # A stream that broke goes on from its last object without telling the rest, and with bookmarks as any.
            if not _ends_a_stream(event):
                raise BrokenListing
            yield from self._whole()
        yield event

    def _whole(self) -> Iterator[Any]:
        """The listing is whole: what is not in it does not exist."""
        listed, self._listed = self._listed or set(), None
        self._marked = False
        self._listings += 1
        for name in [name for name in self._known if name not in listed]:
            known = self._known.pop(name)
            if self._defines:
                self._untold.setdefault(known.group, ("DELETED", known.plural))
            else:
                yield _told("DELETED", {"metadata": {"name": name}})
        if self._scanned is not None:
            self._compare(self._scanned)
        untold, self._untold = self._untold, {}
        for group, (kind, plural) in untold.items():
            if self._matters(group):
                spec = {"group": group, "names": {"plural": plural}}
                yield _told(kind, {"metadata": {"name": f"{plural}.{group}"}, "spec": spec})

    def _compare(self, scanned: Mapping[str, Mapping[str, set[str]]]) -> None:
        """Find the groups that are not as Kopf found them."""
        defined: dict[str, dict[str, frozenset[str]]] = {}
        for known in self._known.values():
            defined.setdefault(known.group, {})[known.plural] = known.served
        for group in sorted(scanned.keys() | defined.keys()):
            if not self._may_be_defined(group):
                continue
            found, there = scanned.get(group, {}), defined.get(group, {})
            for plural in sorted(found.keys() | there.keys()):
                if found.get(plural, set()) != there.get(plural, set()):
                    kind = "DELETED" if plural not in there else "MODIFIED" if plural in found else "ADDED"
                    self._untold.setdefault(group, (kind, plural))

    def _matters(self, group: str) -> bool:
        """Whether a handler can match a resource of the group. Others are many, and Kopf would look at each."""
        return self._groups is None or group in self._groups

    def _may_be_defined(self, group: str) -> bool:
        """Whether what is in a group may come from definitions.

        Their groups have a dot. So have some of Kubernetes itself, which are always there, and those of aggregated
        APIs: those cost Kopf one look after each listing.
        """
        return group in self._defined or ("." in group and not group.endswith(".k8s.io"))


class BrokenListing(Exception):
    """A listing was interrupted in a way that nothing mends but another watch."""

    def __init__(self) -> None:
        super().__init__("the list of what exists was interrupted")


def _plural(spec: Mapping[str, Any]) -> str:
    names = spec.get("names")
    return str(names.get("plural", "")) if isinstance(names, Mapping) else ""


def _served(body: Mapping[str, Any]) -> frozenset[str]:
    """The versions that are served; none of a definition whose names are not accepted (yet)."""
    status = body.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    for each in conditions or ():
        if isinstance(each, Mapping) and each.get("type") == "Established" and each.get("status") != "True":
            return frozenset()
    spec = body["spec"]
    versions = [each for each in spec.get("versions") or () if isinstance(each, Mapping)]
    return frozenset(str(each.get("name")) for each in versions if each.get("served"))


def _told(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = body["metadata"]
    return {"type": kind, "object": {**body, "metadata": {**metadata, "uid": metadata["name"]}}}


def _ends_a_stream(bookmark: Mapping[str, Any]) -> bool:
    body = bookmark.get("object")
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return isinstance(annotations, Mapping) and annotations.get(_END_OF_STREAM) == "true"
