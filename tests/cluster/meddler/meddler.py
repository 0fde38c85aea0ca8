"""The meddler as a test holds it: started, told what is to go wrong, watched, stopped."""

import ssl
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.cluster.meddler import kubeconfig
from tests.cluster.meddler.engine import Engine
from tests.cluster.meddler.meddling import Meddling
from tests.cluster.meddler.tally import Statistics


class Meddler:
    """Forwards a free loopback port to an API server, from the constructor's return until :meth:`stop`.

    All methods may be called from any thread. What one orders is in force when it returns.
    """

    def __init__(self, url: str, *, ca_file: str | Path | None = None) -> None:
        """:param url: of the API server, https or http.
        :param ca_file: the certificate (PEM) to verify it by; None for the system's.
        """
        self._engine = Engine(url, context=_context(ca_file) if url.startswith("https:") else None)

    # -- life

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except RuntimeError as own:
            if error is None:
                raise
            error.add_note(str(own))  # what the test has found comes first

    def stop(self) -> None:
        """Reset all watches, close all connections and the port, end the thread. Again: nothing.

        Raises RuntimeError if anything failed inside the meddler, since then a test has seen what nobody ordered.
        """
        self._engine.stop()

    # -- access

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._engine.port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, *, into: str | Path, token: str, user: str = "meddled", namespace: str = "default") -> Path:
        """Write a kubeconfig that leads here.

        :param token: the bearer token that the server will see.
        :param user: any name; namespace: the context's.
        :returns: `into`, as a path. It can only be read by its owner.
        """
        return kubeconfig.write(Path(into), url=self.url, token=token, user=user, namespace=namespace)

    def trust(self, ca_file: str | Path) -> None:
        """Verify the server by another certificate from now on, after it was given a new one."""
        context = _context(ca_file)

        async def trust() -> None:
            self._engine.target.context = context

        self._engine.do(trust())

    # -- answers to come

    def add(self, *meddlings: Meddling) -> None:
        """Order what goes wrong with requests to come. Of several that fit a request the one ordered first is done."""

        async def add() -> None:
            for each in meddlings:
                self._engine.book.add(each)

        self._engine.do(add())

    def heal(self) -> None:
        """Forget all that was ordered, a refusal too. What was held back goes on; stalled watches are cut by RST."""
        self._engine.do(self._engine.heal())

    # -- watches that are open

    def cut_watches(self, path: str = "*", *, how: Literal["reset", "close", "end"] = "reset") -> int:
        """End the watches that are open now, stalled ones too.

        :param path: a pattern as of fnmatch.
        :param how: by RST; by FIN, the answer being incomplete; or as the server ends one whose time is over.
        :returns: how many there were.
        """
        return self._engine.do(self._engine.streams.cut(path, how))

    def stall_watches(self, path: str = "*") -> int:
        """Let no byte and no end pass any more in the watches that are open now, until :meth:`heal` cuts them.

        :returns: how many there were.
        """
        return self._engine.do(self._engine.streams.stall(path))

    def inject_into_watches(self, *lines: bytes, path: str = "*") -> int:
        """Put lines into the watches that are open now.

        :returns: how many there were.
        """
        return self._engine.do(self._engine.streams.inject(path, lines))

    # -- the port

    def refuse(self) -> None:
        """Let nothing listen on the port, and close idle connections. Answers that have begun go on."""

        async def refuse() -> None:
            self._engine.door.shut()

        self._engine.do(refuse())

    def accept(self) -> None:
        """Take a refusal back, on the same port."""
        self._engine.do(self._engine.door.open())

    # -- watching

    def statistics(self) -> Statistics:
        """What was counted until now."""
        return self._engine.tally.statistics()

    def wait_for(self, condition: Callable[[Statistics], bool], *, timeout: float = 30.0) -> Statistics:
        """Wait until the statistics fulfil a condition, and return them. Raises TimeoutError."""
        return self._engine.tally.wait_for(condition, timeout=timeout)


def _context(ca_file: str | Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
