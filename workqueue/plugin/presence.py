"""What exists, asked of the API server itself: keys and resourceVersions, no bodies.

The handlers lane cannot see from Kopf's events when the first listing is through, nor what was
deleted while nobody watched. A list of metadata tells both.
"""

from collections.abc import Iterator, KeysView, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import kopf
import requests
from pykube import HTTPClient

from workqueue.base.keys import ObjectKey
from workqueue.cache import Entry
from workqueue.plugin.discovery import get_json
from workqueue.plugin.resources import api_path

#: client-go's page size, tools/pager.
PAGE = 500

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Presence:
    """The objects of one namespace ("" is all) at one resourceVersion."""

    namespace: str
    resource_version: str
    #: The resourceVersion of each object.
    versions: Mapping[ObjectKey, str]

    @property
    def keys(self) -> KeysView[ObjectKey]:
        """Of the objects."""
        return self.versions.keys()

    def is_newer_than(self, entry: Entry) -> bool | None:
        """Whether the list was made after the entry's state; None if the versions are opaque."""
        mine, theirs = self.resource_version, entry.resource_version
        if not (mine.isdecimal() and theirs.isdecimal()):
            return None
        # By length first, as Entry.is_older_than: versions have no leading zeros, and no text is too long to compare.
        return (len(theirs), theirs) <= (len(mine), mine)


def list_presence(
    client: HTTPClient, resource: kopf.Resource, namespace: str, *, selectors: Mapping[str, str] | None = None
) -> Presence:
    """List a resource's metadata, page by page; a list whose pages expired midway begins anew, once.

    :param client: from Kopf's login.
    :param resource: as Kopf found it.
    :param namespace: "" is all of them.
    :param selectors: what else is asked of the objects, as parts of the query.
    :raises requests.RequestException: no answer, or an error as an answer.
    """
    path, selectors = api_path(resource, namespace), selectors or {}
    try:
        pages = list(_pages(client, path, selectors))
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != 410:
            raise
        pages = list(_pages(client, path, selectors))
    versions = {
        ObjectKey(item["metadata"].get("namespace") or "", item["metadata"]["name"]): str(
            item["metadata"].get("resourceVersion") or ""
        )
        for page in pages
        for item in page.get("items") or ()
    }
    return Presence(namespace, pages[0]["metadata"].get("resourceVersion") or "", versions)


def list_namespaces(client: HTTPClient) -> list[str]:
    """The names of the cluster's namespaces."""
    return [
        item["metadata"]["name"] for page in _pages(client, "/api/v1/namespaces", {}) for item in page["items"] or ()
    ]


def get(client: HTTPClient, resource: kopf.Resource, key: ObjectKey) -> dict[str, Any] | None:
    """One object; None if there is none under the key.

    :raises requests.RequestException: no answer, or an error as an answer.
    """
    try:
        return get_json(client, f"{api_path(resource, key.namespace)}/{quote(key.name, safe='')}")
    except requests.HTTPError as error:
        if error.response is not None and error.response.status_code == 404:
            return None
        raise


def exists(client: HTTPClient, resource: kopf.Resource, entry: Entry) -> bool:
    """Whether an entry's very object exists still: by name, and by uid where there is one."""
    found = get(client, resource, entry.key)
    if found is None:
        return False
    uid = found.get("metadata", {}).get("uid") or ""
    return not (uid and entry.uid and uid != entry.uid)


def _pages(client: HTTPClient, path: str, selectors: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        query = [*selectors.items(), ("limit", str(PAGE))] + ([("continue", token)] if token else [])
        page = get_json(client, path, params=query, accept=_METADATA)
        yield page
        token = page.get("metadata", {}).get("continue") or ""
        if not token:
            return
