"""From stored objects to the bytes of an answer: whole objects, their metadata only, or a table's rows.

``managedFields`` are not kept by this server and never appear.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

import orjson

from workqueue.testing.apiserver import table
from workqueue.testing.apiserver.errors import ApiError
from workqueue.testing.apiserver.listing import Page
from workqueue.testing.apiserver.objects import to_shown
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.store import Entry


class View(Enum):
    """How a client wants to see objects."""

    WHOLE = "whole"
    #: PartialObjectMetadata, one object.
    METADATA = "metadata"
    #: PartialObjectMetadataList: for lists; a watch that asks for it gets no events, as from the real server.
    METADATA_LIST = "metadata list"
    TABLE = "table"


def negotiate(accept: str) -> View:
    """What an Accept header asks for: the first of its clauses that can be served.

    :raises ApiError: 406 if there is none; this server speaks JSON only.
    """
    for clause in accept.split(",") if accept.strip() else ["*/*"]:
        media, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        if media not in {"application/json", "application/*", "*/*"}:
            continue
        match parameters.get("as", ""), parameters.get("g", ""), parameters.get("v", ""):
            case "", _, _:
                return View.WHOLE
            case "PartialObjectMetadata", "meta.k8s.io", "v1":
                return View.METADATA
            case "PartialObjectMetadataList", "meta.k8s.io", "v1":
                return View.METADATA_LIST
            case "Table", "meta.k8s.io", "v1":
                return View.TABLE
    message = "406: Not Acceptable\n\nAvailable representations: application/json"
    raise ApiError(406, message, reason="NotAcceptable", details={})


def _metadata_of(entry: Entry) -> bytes:
    shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": entry.metadata}
    return orjson.dumps(shown)


def _head(kind: str, group_version: str) -> bytes:
    return b'{"kind":%s,"apiVersion":%s,' % (orjson.dumps(kind), orjson.dumps(group_version))


def one(resource: Resource, entry: Entry, view: View) -> bytes:
    """An object as an answer of its own, or inside a watch event."""
    match view:
        case View.METADATA | View.METADATA_LIST:
            return _metadata_of(entry)
        case View.TABLE:
            return orjson.dumps(table.of(resource, [entry], {"resourceVersion": str(entry.version)}))
        case View.WHOLE if resource.renames:
            return orjson.dumps(to_shown(resource, entry))
        case View.WHOLE:
            return _head(resource.kind, resource.group_version) + entry.item[1:]


def many(resource: Resource, page: Page, view: View) -> bytes:
    """A list as an answer. Items of built-in kinds carry no kind and apiVersion, as the real server's."""
    metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if view is View.TABLE:
        return orjson.dumps(table.of(resource, page.entries, metadata))
    items: Iterable[bytes]
    if view is View.WHOLE:
        kind, version = resource.list_kind or f"{resource.kind}List", resource.group_version
        if resource.custom:
            items = (one(resource, entry, view) for entry in page.entries)
        elif resource.renames:
            shown = (to_shown(resource, entry) for entry in page.entries)
            items = (orjson.dumps({k: v for k, v in o.items() if k not in {"kind", "apiVersion"}}) for o in shown)
        else:
            items = (entry.item for entry in page.entries)
    else:
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        items = map(_metadata_of, page.entries)
    return _head(kind, version) + b'"metadata":%s,"items":[%s]}' % (orjson.dumps(metadata), b",".join(items))


def event_line(resource: Resource, kind: str, entry: Entry, view: View) -> bytes:
    """One line of a watch.

    :param kind: "ADDED", "MODIFIED" or "DELETED".
    """
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), one(resource, entry, view))


def bookmark_line(resource: Resource, version: int, view: View, *, ends_initial_events: bool) -> bytes:
    """A line that only says how far a watch has come.

    :param ends_initial_events: mark it as the end of a streaming list.
    """
    shown: dict[str, Any] = {"kind": resource.kind, "apiVersion": resource.group_version}
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if ends_initial_events:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    if view is View.TABLE:
        shown = table.of(resource, [], metadata) | {"rows": [table.row(resource, {**shown, "metadata": metadata})]}
        return orjson.dumps({"type": "BOOKMARK", "object": shown}, option=orjson.OPT_APPEND_NEWLINE)
    if view is not View.WHOLE:
        shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    shown["metadata"] = metadata
    if view is View.WHOLE and resource.name == "pods":
        shown |= {"spec": {"containers": None}, "status": {}}
    return orjson.dumps({"type": "BOOKMARK", "object": shown}, option=orjson.OPT_APPEND_NEWLINE)


def error_line(error: ApiError) -> bytes:
    """The line that ends a watch which cannot go on."""
    return orjson.dumps({"type": "ERROR", "object": error.status}, option=orjson.OPT_APPEND_NEWLINE)
