"""What a test can order, as data: how all bytes are treated, what happens at one byte, what the target does not say."""

from dataclasses import dataclass
from typing import Literal

How = Literal["reset", "close"]
Side = Literal["client", "target"]
Way = Literal["to_client", "to_target"]
Direction = Literal["to_client", "to_target", "both"]
Connections = Literal["open", "new", "all"]
Then = Literal["continue", "stall", "reset", "close"]
End = Literal["close", "reset", "hold"]


@dataclass(frozen=True)
class Conduct:
    """How one direction of a connection treats all bytes."""

    stalled: bool = False  # nothing is read and nothing written, an end neither
    delay: float = 0.0  # seconds that each chunk, and the end, waits; chunks wait side by side
    rate: float | None = None  # bytes a second
    half_closed: bool = False  # its reader was sent a FIN, what still comes is dropped; this cannot be undone


class Times:
    """How often something happens at most. Connections that share what happens share this count."""

    def __init__(self, times: int | None) -> None:
        """:param times: None means always."""
        self._left = times

    @property
    def spent(self) -> bool:
        """True when it is not to happen again."""
        return self._left == 0

    def take(self) -> bool:
        """Take one time; False if none is left."""
        if self.spent:
            return False
        if self._left is not None:
            self._left -= 1
        return True


@dataclass(frozen=True, eq=False)
class Splice:
    """What happens in one direction of a connection when so many bytes have passed."""

    data: bytes  # is written
    after: int  # bytes of the real stream
    replacing: int  # bytes of the real stream are left out
    then: Then  # once the data is written
    times: Times


@dataclass(frozen=True, eq=False)
class Answer:
    """What a client gets instead of what the target would say."""

    data: bytes
    end: End
    times: Times
