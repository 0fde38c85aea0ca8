"""Objects as the API server sends them, as small as they can be."""

from workqueue.cache import Entry


def pod(name="web", namespace="default", *, uid="u1", rv="1", labels=None, node=None, **spec):
    """A pod; parts that are None are left out, as the API server does."""
    metadata = {
        "name": name,
        "namespace": namespace or None,
        "uid": uid,
        "resourceVersion": None if rv is None else str(rv),
        "labels": labels,
    }
    if node is not None:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {field: value for field, value in metadata.items() if value is not None},
        "spec": spec,
    }


def names(bodies):
    """The names of objects or keys, sorted: a cache lists in no order."""
    return sorted(body["metadata"]["name"] if isinstance(body, dict) else body.name for body in bodies)


def raw_entry(stored, name="x", namespace=""):
    """An entry with this body, whatever it is."""
    return Entry(namespace=namespace, name=name, compact_uid="", compact_version="", labels={}, stored=stored)
