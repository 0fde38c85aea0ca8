"""Fills a real control plane with pods, each written twice, as in life: by its maker, and by the kubelet.

So the server notes the managers of the fields itself, the greatest part of what most pods weigh.
"""

import asyncio
import ssl
from typing import Any

import aiohttp

from tests.bench.intake import pods
from tests.cluster.controlplane import ControlPlane

#: Requests under way at a time; more of them make the server no quicker.
AT_ONCE = 16
PAGE = 500
STRATEGIC = "application/strategic-merge-patch+json"


def load(plane: ControlPlane, number: int) -> float:
    """Make so many pods; return the bytes of JSON that each has on average in a list."""
    return asyncio.run(_load(plane, number))


async def _load(plane: ControlPlane, number: int) -> float:
    options: dict[str, Any] = {
        "base_url": plane.url,
        "headers": {"Authorization": f"Bearer {plane.admin_token}"},
        "connector": aiohttp.TCPConnector(limit=AT_ONCE, ssl=ssl.create_default_context(cafile=plane.ca_file)),
        "raise_for_status": _explain,
    }
    async with aiohttp.ClientSession(**options) as session:
        for name in pods.namespaces():
            async with session.post("/api/v1/namespaces", json={"metadata": {"name": name}}):
                pass
        numbers = iter(range(number))
        await asyncio.gather(*(_make_some(session, numbers) for _ in range(AT_ONCE)))
        return await _size(session) / number


async def _make_some(session: aiohttp.ClientSession, numbers: Any) -> None:
    for number in numbers:  # shared by all, so that each makes what comes next
        pod = pods.make(number)
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods"
        async with session.post(path, params={"fieldManager": pods.MAKER}, json=pod):
            pass
        async with session.patch(
            f"{path}/{pod['metadata']['name']}/status",
            params={"fieldManager": pods.KUBELET},
            json={"status": pods.status(pod, number)},
            headers={"Content-Type": STRATEGIC},
        ):
            pass


async def _size(session: aiohttp.ClientSession) -> int:
    """The bytes of a list of everything, read in pages as they come."""
    size, token = 0, ""
    while True:
        async with session.get("/api/v1/pods", params={"limit": PAGE, "continue": token}) as answer:
            size += len(await answer.read())
            token = (await answer.json())["metadata"].get("continue", "")
        if not token:
            return size


async def _explain(answer: aiohttp.ClientResponse) -> None:
    if not answer.ok:
        raise RuntimeError(f"{answer.method} {answer.url.path}: {answer.status} {await answer.text()}")
