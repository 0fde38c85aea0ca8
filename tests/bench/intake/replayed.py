"""The server that replays, as a benchmark holds it: started, asked to send, stopped."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bench.intake.process import Child


@dataclass(frozen=True)
class Sent:
    """began: when the first change was written; first: its version; written: when each was, if there was a rate."""

    began: float
    first: int
    written: list[float]


@dataclass(frozen=True)
class Replay:
    """A server that runs."""

    child: Child
    kubeconfig: str
    #: The average size of a change.
    size: float

    def send(self, events: int, *, rate: float = 0.0) -> Sent:
        """Send so many changes, as fast as they are read or so many a second; returns when all are sent."""
        self.child.say(json.dumps({"events": events, "rate": rate}))
        return Sent(**self.child.hear())


@contextmanager
def replay(objects: int) -> Iterator[Replay]:
    """A server with so many pods."""
    words = [sys.executable, "-m", "tests.bench.intake.replay", "-objects", str(objects)]
    with tempfile.TemporaryDirectory() as folder, Child(words) as child:
        ready = child.hear()
        path = Path(folder, "kubeconfig.yaml")
        path.write_text(yaml.safe_dump(_kubeconfig(ready["url"])), encoding="utf-8")
        yield Replay(child, str(path), ready["bytes"])


def _kubeconfig(url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "replay", "cluster": {"server": url}}],
        "users": [{"name": "replay", "user": {"token": "none"}}],
        "contexts": [{"name": "replay", "context": {"cluster": "replay", "user": "replay"}}],
        "current-context": "replay",
    }
