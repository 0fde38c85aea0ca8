"""A clock that raises costs whoever calls the queue an error, and no key."""

import pytest

from workqueue.queues import Debounce, DelayingQueue, PriorityQueue, Queue
from workqueue.testing import FakeClock


class Broken(FakeClock):
    """Raises at one look at it."""

    def __init__(self):
        super().__init__(start=0.0)
        #: Looks until then; negative is never.
        self.left = -1

    def now(self):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("no time today")
        return super().now()


class Metrics:
    def queue_opened(self, name, statistics):
        """Being measured is all that is wanted."""

    def queue_closed(self, name, statistics):
        """As above."""


def again(function, *arguments):
    """Whoever fails tries it once more."""
    try:
        return function(*arguments)
    except RuntimeError:
        return function(*arguments)


def use(queue, clock, *, broken_at):
    """Two keys, one of them while it is in hands, one with a delay where there are delays; returns those handed out."""
    handed_out = []

    def take():
        try:
            key = again(queue.get, 0)
        except TimeoutError:
            return
        handed_out.append(key)
        if len(handed_out) == 1:
            again(queue.add, key)
        again(queue.done, key)

    clock.left = broken_at
    if hasattr(queue, "add_after"):
        again(queue.add_after, "a", 1.0)
    again(queue.add, "b")
    clock.step(2.0)
    again(queue.add, "a")
    for _ in range(4):
        take()
    looks = broken_at - clock.left
    clock.left = -1
    clock.step(100.0)
    for _ in range(4):
        take()
    queue._check()
    return handed_out, looks


@pytest.mark.parametrize("measured", [False, True], ids=["not measured", "measured"])
@pytest.mark.parametrize(
    "make",
    [
        Queue,
        DelayingQueue,
        PriorityQueue,
        lambda **how: PriorityQueue(**how, max_starvation=60.0),
        lambda **how: PriorityQueue(**how, backoff="steady"),
        lambda **how: PriorityQueue(**how, debounce=Debounce(0.5, 5.0)),
        lambda **how: PriorityQueue(**how, max_starvation=60.0, backoff="steady"),
    ],
    ids=["plain", "delaying", "priority", "ageing", "steady", "debounce", "as a manager makes it"],
)
def test_no_key_is_lost_wherever_it_raises(make, measured):
    def made(clock):
        return make(clock=clock, **({"name": "pods", "metrics": Metrics()} if measured else {}))

    clock = Broken()
    expected, looks = use(made(clock), clock, broken_at=10**6)
    assert set(expected) == {"a", "b"}
    assert len(expected) == 3
    for number in range(1, looks + 1):
        clock = Broken()
        handed_out, _ = use(made(clock), clock, broken_at=number)
        assert set(handed_out) == {"a", "b"}, f"the look number {number}"
        assert len(handed_out) == 3, f"the look number {number}"
