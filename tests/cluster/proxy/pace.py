"""A rate, kept strictly: bytes are paid for before they pass."""

#: Seconds' worth of bytes that pass at once; fewer, more often, would only cost time.
_PORTION = 0.02


class Pace:
    """Bytes that a rate allows since it began to be used."""

    def __init__(self, rate: float) -> None:
        """:param rate: bytes a second."""
        self.rate = rate
        self._since: float | None = None
        self._used = 0

    def allowed(self, now: float, wanted: int) -> tuple[int, float | None]:
        """How many of the wanted bytes may pass, never more than rate times time; if none, the instant to ask again."""
        if self._since is None:
            self._since, self._used = now, 0
        allowed = int((now - self._since) * self.rate) - self._used
        portion = min(wanted, max(1, int(self.rate * _PORTION)))
        if allowed >= portion:
            return min(wanted, allowed), None
        return 0, self._since + (self._used + portion) / self.rate

    def use(self, count: int) -> None:
        """So many have passed."""
        self._used += count

    def rest(self) -> None:
        """Nothing is to pass, or cannot: time until the next ask does not count, so that no burst comes of it."""
        self._since = None
