"""A limit that is renewed: on a loop whose time a test sets."""

import pytest

from workqueue.informer import patience
from workqueue.informer.patience import Patience


class Loop:
    """Time, and one timer at most."""

    def __init__(self):
        self.now, self.timers, self.looks = 100.0, [], 0

    def time(self):
        return self.now

    def call_at(self, when, function):
        self.timers.append((when, function))
        return self

    def cancel(self):
        self.timers.clear()

    def pass_to(self, now):
        while self.timers and self.timers[0][0] <= now:
            when, function = self.timers.pop(0)
            self.now = max(self.now, when)
            self.looks += 1
            function()
        self.now = now


@pytest.fixture
def loop(monkeypatch):
    made = Loop()
    monkeypatch.setattr(patience.asyncio, "get_running_loop", lambda: made)
    return made


def test_it_is_over_when_nothing_came_for_so_long_and_not_before(loop):
    ended = []
    limit = Patience(10.0)
    limit.begin(lambda: ended.append(loop.now))
    for now in (105.0, 109.9, 119.0, 128.9):
        loop.pass_to(now)
        assert not limit.is_over
        limit.renew()
    loop.pass_to(138.8)
    assert ended == []
    loop.pass_to(200.0)
    assert ended == [138.9]
    assert limit.is_over


def test_renewing_costs_no_timer(loop):
    limit = Patience(10.0)
    limit.begin(lambda: None)
    for number in range(100_000):
        loop.now = 100.0 + number / 10_000
        limit.renew()
        assert len(loop.timers) == 1
    loop.pass_to(115.0)
    assert loop.looks == 1, "one look for all of them"
    assert not limit.is_over


def test_what_has_ended_is_never_over(loop):
    ended = []
    limit = Patience(10.0)
    limit.end()
    limit.begin(lambda: ended.append(loop.now))
    limit.end()
    limit.end()
    loop.pass_to(1000.0)
    assert (ended, limit.is_over) == ([], False)
