"""An operator behind a meddler before a real API server, and what can be found out about it."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.cluster.client import Client
from tests.faults.witness import content
from tests.operators.harness import ROOT, InProcess, eventually, run_in_process
from workqueue.informer import Backoff, reflector
from workqueue.informer.progress import Progress
from workqueue.plugin import endurance, entrance, stream_lane

OPERATOR = "tests/lanes/files/recovering.py"


class Records(logging.Handler):
    """What was logged: lines of ours, and whatever has a traceback, or is an error and not Kopf's word on a request."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = record.getMessage()
        if record.name.startswith("workqueue"):
            self.lines.append(text)
        # Kopf reports each of its own requests that it tries again, under the name of whoever asks.
        tried_again = record.name.startswith("kopf.") and text.startswith("Request attempt #")
        if record.exc_info or (record.levelno >= logging.ERROR and not tried_again):
            self.errors.append(f"{record.name}: {text}: {record.exc_info and record.exc_info[1]!r}")


@contextlib.contextmanager
def recorded() -> Iterator[Records]:
    """Listen to our logger, Kopf's and asyncio's."""
    records = Records()
    loggers = [logging.getLogger(name) for name in ("workqueue", "kopf", "asyncio")]
    for each in loggers:
        each.addHandler(records)
    try:
        yield records
    finally:
        for each in loggers:
            each.removeHandler(records)


@contextlib.contextmanager
def hurried(*, first: float, maximum: float, bookmark: float) -> Iterator[None]:
    """Let all pauses be shorter than those that are shipped: they are other tests' business.

    first, maximum: of the growing pauses, in seconds; bookmark: the patience for a streaming list's end.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_lane, "Backoff", functools.partial(Backoff, first=first, maximum=maximum))
        patch.setattr(reflector, "BOOKMARK_PATIENCE", bookmark)
        for module in (endurance, entrance):
            patch.setattr(module, "FIRST_PAUSE", first)
            patch.setattr(module, "MAXIMUM_PAUSE", maximum)
        yield


@contextlib.contextmanager
def transitions() -> Iterator[list[tuple[float, str]]]:
    """When the cache was marked as stale, and why, and when as live ("")."""
    found: list[tuple[float, str]] = []
    stale, synced = Progress.mark_stale, Progress.mark_synced

    def mark_stale(self: Progress, why: str) -> None:
        stale(self, why)
        found.append((time.monotonic(), why))

    def mark_synced(self: Progress) -> None:
        synced(self)
        found.append((time.monotonic(), ""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "mark_stale", mark_stale)
        patch.setattr(Progress, "mark_synced", mark_synced)
        yield found


@contextlib.contextmanager
def operating(*args: str, kubeconfig: object, path: str = OPERATOR, **environment: str) -> Iterator[InProcess]:
    """The operator, on the stream lane, once it is ready."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name, value in {"KUBECONFIG": str(kubeconfig), "WORKQUEUE_LANE": "stream", **environment}.items():
            patch.setenv(name, value)
        with run_in_process(*args, path=path) as operator:
            operator.wait_until_seen(": stream lane")
            yield operator


def identities(objects: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """By key, resourceVersion and content."""
    return {key: (body["metadata"]["resourceVersion"], content(body)) for key, body in objects.items()}


class Scene:
    """What is, and what the operator believes."""

    def __init__(self, admin: Callable[[], Client], *, paths: tuple[str, ...]) -> None:
        """:param admin: of the real server, past the meddler.
        :param paths: of the collections that the operator's informer watches.
        """
        self._admin = admin
        self.paths = paths

    def listed(self) -> dict[str, tuple[str, str]]:
        """A fresh list of the real server."""
        found = {}
        with self._admin() as admin:
            for path in self.paths:
                for body in admin.call("GET", path)["items"]:
                    metadata = body["metadata"]
                    namespace = metadata.get("namespace")
                    found[f"{namespace}/{metadata['name']}" if namespace else metadata["name"]] = body
        return identities(found)

    @staticmethod
    def cached(operator: InProcess) -> dict[str, tuple[str, str]]:
        """The operator's cache."""
        return identities({str(entry.key): entry.decode() for entry in operator.module.pods.indexer.entries()})

    def is_settled(self, operator: InProcess) -> bool:
        """The cache is live and equals a fresh list, and the handlers were told of it."""
        if not operator.module.pods.has_synced:
            return False
        listed = self.listed()
        module = operator.module
        return self.cached(operator) == listed and bool(module.witness.gives(module.pods.indexer))

    def settles(self, operator: InProcess, *, patience: float = 60.0) -> None:
        """It comes to that, and what handlers were told makes sense."""
        try:
            eventually(lambda: self.is_settled(operator), "a cache that equals a fresh list", patience=patience)
        except AssertionError as error:
            listed, cached = self.listed(), self.cached(operator)
            differing = sorted(key for key in listed.keys() | cached.keys() if listed.get(key) != cached.get(key))
            told = [(key, listed.get(key), cached.get(key)) for key in differing[:5]]
            error.add_note(f"{len(differing)} differences (key, listed, cached): {told}")
            error.add_note(f"the informer says: {operator.module.pods.statistics().lane}")
            raise
        witness, cache = operator.module.witness, operator.module.pods.indexer
        eventually(lambda: witness.gives(cache), "handlers that know it")
        witness.check(cache)
