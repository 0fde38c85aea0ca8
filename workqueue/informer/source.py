"""What a reflector wants of whoever talks to the API server. It knows no HTTP client, and no Kopf."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Interrupted(Exception):
    """A connection could not be made, or ended in a way that an answer does not end. Its text says how."""


class Silent(Interrupted):
    """No byte came for too long: nobody knows what happened since the last."""


class Stream(Protocol):
    """An open watch: bytes as they come. It ends where the server ends it."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """:raises Interrupted: if it breaks off, or no byte came for too long."""
        ...

    def close(self) -> None:
        """End it: whoever reads gets no more."""
        ...


class Source(Protocol):
    """One resource in one namespace, or in all, of one API server.

    Every method may raise :class:`Interrupted`, or :class:`workqueue.informer.wire.Refused` for a status that is an
    error. None tries again by itself.
    """

    #: How long a watch lasts at least, unless something goes wrong: seconds that the server is asked to keep it open.
    lifetime: float

    async def list(self, *, limit: int, continue_: str = "") -> bytes:
        """List the present state, as it is now and not as it was lately.

        :param limit: of objects in one page; 0 is all of them at once.
        :param continue_: the previous page's word for the next.
        """
        ...

    def watch(self, *, since: str | None) -> AbstractAsyncContextManager[Stream]:
        """Watch; entered once the server has agreed.

        :param since: the resourceVersion to go on from; None asks for everything that exists first, and a bookmark at
            its end.
        """
        ...
