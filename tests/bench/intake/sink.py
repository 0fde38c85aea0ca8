"""An empty sink: reads what a client of Kopf's kind would, and drops it. What it takes, the server and aiohttp take.

It asks for a streaming list, which ends with a bookmark that says so, and then goes on reading. Lines are counted and
not looked at; only the end of what has come is, for that bookmark.
"""

import asyncio
import base64
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yaml

from tests.bench.intake.probe import Probe

QUERY = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
CLOSING = b"k8s.io/initial-events-end"


async def drain(url: str, options: dict[str, Any], probe: Probe, objects: int) -> None:
    """Read without end."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        probe.asks()
        async with session.get(f"{url}/api/v1/pods?{urlencode(QUERY)}", **options) as answer:
            answer.raise_for_status()
            synced, tail = False, b""
            async for chunk in answer.content.iter_any():
                if not synced:
                    tail = (tail + chunk[-1000:])[-1000:]  # a bookmark is shorter, and nothing comes behind it
                    if CLOSING in tail:
                        synced = True
                        for _ in range(objects):
                            probe.added()
                elif probe.live:
                    for _ in range(chunk.count(b"\n")):
                        probe.changed()


def main() -> None:
    """Read until the benchmark ends this process."""
    kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    options: dict[str, Any] = {"headers": {"Authorization": f"Bearer {user['token']}"}}
    if text := cluster.get("certificate-authority-data"):
        options["ssl"] = ssl.create_default_context(cadata=base64.b64decode(text).decode())
    asyncio.run(drain(cluster["server"], options, Probe(), int(os.environ["BENCH_OBJECTS"])))


if __name__ == "__main__":
    main()
