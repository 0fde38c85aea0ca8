"""Namespaces and definitions as a watch tells of them, and what Kopf finds when it looks at the resources."""

from kopf._cogs.clients.watching import Bookmark
from kopf._cogs.structs.references import Resource

LISTED = Bookmark.LISTED
BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
END = {
    "type": "BOOKMARK",
    "object": {"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}},
}


def namespace(name, *, uid="u1", version="1", **more):
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": version}, **more}


def definition(plural, group, *, served=("v1",), uid="u1", version="1"):
    return {
        **namespace(f"{plural}.{group}", uid=uid, version=version),
        "spec": {
            "group": group,
            "names": {"plural": plural},
            "versions": [{"name": each, "served": each in served} for each in ("v1", "v2")],
        },
    }


def resource(plural, group, version="v1"):
    return Resource(group=group, version=version, plural=plural)


def listed(*bodies):
    """A listing that comes to its end."""
    return [*({"type": None, "object": body} for body in bodies), LISTED]
