"""Which of the cluster's resources a spec means, asked of the API server.

Kopf asks the same for itself and does not tell the answer. Only as much is asked as is needed: one
request for a core resource or one whose group and version are said.
"""

from collections.abc import Iterator
from typing import Any

import kopf
import requests
from pykube import HTTPClient

from workqueue.plugin.resources import ResourceSpec

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = (5.0, 60.0)


def get_json(client: HTTPClient, path: str, *, params: Any = (), accept: str = "application/json") -> dict[str, Any]:
    """One GET.

    :param client: from Kopf's login.
    :param path: on the API server, from the first slash.
    :param params: of the query.
    :param accept: the media type wanted.
    :raises requests.RequestException: no answer, an error as an answer, or no JSON.
    """
    base, _, last = path.rpartition("/")
    answer = client.get(version="", base=base, url=last, params=params, headers={"Accept": accept}, timeout=TIMEOUT)
    answer.raise_for_status()
    return dict(answer.json())


def discover(client: HTTPClient, spec: ResourceSpec) -> list[kopf.Resource]:
    """The resources that a spec fits: none if the cluster serves no such thing yet.

    :param client: from Kopf's login.
    :param spec: what to look for.
    :raises requests.RequestException: as :func:`get_json`.
    """
    if not spec.group:
        found = spec.choose(list(_resources(client, "/api/v1", "", "v1", preferred=True)))
        if found or spec.group == "":
            return found
    candidates: list[kopf.Resource] = []
    for group in get_json(client, "/apis")["groups"]:
        if spec.group not in (None, group["name"]):
            continue
        preferred = group["preferredVersion"]["version"]
        for version in {spec.version or preferred} & {each["version"] for each in group["versions"]}:
            path = f"/apis/{group['name']}/{version}"
            candidates += _resources(client, path, group["name"], version, preferred=version == preferred)
    return spec.choose(candidates)


def discover_all(client: HTTPClient) -> list[kopf.Resource]:
    """All resources of the preferred versions.

    :param client: from Kopf's login.
    :raises requests.RequestException: as :func:`get_json`.
    """
    found = list(_resources(client, "/api/v1", "", "v1", preferred=True))
    for group in get_json(client, "/apis")["groups"]:
        version = group["preferredVersion"]["version"]
        path = f"/apis/{group['name']}/{version}"
        found += _resources(client, path, group["name"], version, preferred=True)
    return found


def _resources(client: HTTPClient, path: str, group: str, version: str, *, preferred: bool) -> Iterator[kopf.Resource]:
    try:
        served = get_json(client, path)["resources"]
    except requests.HTTPError as error:
        if error.response is not None and error.response.status_code in (404, 503):
            return  # a group that has just gone, or whose aggregated server is away: not ours to wait for
        raise
    for resource in served:
        if "/" not in resource["name"]:
            yield kopf.Resource(
                group=group,
                version=version,
                plural=resource["name"],
                kind=resource.get("kind"),
                singular=resource.get("singularName") or None,
                shortcuts=frozenset(resource.get("shortNames") or ()),
                namespaced=resource.get("namespaced"),
                preferred=preferred,
            )
