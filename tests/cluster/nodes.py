"""Nodes that kwok keeps: Node objects with room for pods, made Ready and kept so, with no machine behind them."""

import time

from tests.cluster.client import Client
from tests.cluster.commands import FAKE_NODE

#: What a kubelet allows by default, and more than that many small pods ask for.
CAPACITY = {"cpu": "32", "memory": "256Gi", "pods": "110"}


def make_nodes(client: Client, *, names: list[str], seconds: float) -> list[str]:
    """Make nodes and wait until they are Ready; returns the names of those that are not when the time is over."""
    for name in names:
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        metadata = {"name": name, "labels": labels, "annotations": dict([FAKE_NODE])}
        status = {"capacity": CAPACITY, "allocatable": CAPACITY}
        client.call("POST", "/api/v1/nodes", {"metadata": metadata, "status": status})
    deadline = time.monotonic() + seconds
    while waiting := [name for name in names if not is_ready(client, name)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return waiting


def is_ready(client: Client, name: str) -> bool:
    """Whether a node says so of itself."""
    status = client.call("GET", f"/api/v1/nodes/{name}")["status"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))
