"""What the proxy counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """One instant's counts."""

    accepted: int = 0  # connections, since the start
    open: int = 0  # of these, how many are not over; a connection that was cut on one side only is not
    cut: int = 0  # connections that cut(), cut_after() or splice() ended, on both sides or on one
    answered: int = 0  # connections that answer() has answered
    unreachable: int = 0  # connections that were reset because the target did not accept them
    to_client: int = 0  # bytes that were written to clients, those of splice() and answer() included
    to_target: int = 0  # bytes that were written to the target
    dropped: int = 0  # bytes that were read and went nowhere, since a fault had taken their way
    held: int = 0  # bytes that are in the proxy now: delayed, throttled, stalled, or not taken by their reader


@dataclass
class Tally:
    """The counts that only grow. Belongs to the loop's thread."""

    accepted: int = 0
    cut: int = 0
    answered: int = 0
    unreachable: int = 0
    to_client: int = 0
    to_target: int = 0
    dropped: int = 0
