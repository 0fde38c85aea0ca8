"""Scripts as hypothesis makes and shrinks them.

What hypothesis draws is rough: "done, of the second key in hand". It becomes a script by being applied to our queue, so
that most of it means something in the state it meets, and so that the departures are met as rarely as in a sane
controller, but met. The script itself names every key, and runs without any of this.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.compat.ours import Ours
from tests.compat.scripts import Answer, Operation, Script

#: At most so many operations in a script, and gets that wait at once.
LONGEST = 60
WAITING = 2

keys = st.sampled_from("abcde")
delays = st.sampled_from([1, 2, 3, 1, 2, 3, 5, 8, 0, -2])
priorities = st.sampled_from([0, 1, 5, -1, -100])
steps = st.sampled_from([1, 2, 3, 5, 8, 1, 2, 0])
#: For limiters whose delays go far: up to 20 s.
far_steps = st.sampled_from([1, 3, 10, 40, 200, 1000, 10_000])


def _operation(name: str, *, keys_of: st.SearchStrategy[Any] = keys) -> st.SearchStrategy[Operation]:
    return st.builds(lambda key: Operation(name, (key,)), keys_of)


def _alone(name: str) -> st.SearchStrategy[Operation]:
    return st.just(Operation(name))


def _step(of: st.SearchStrategy[int]) -> st.SearchStrategy[Operation]:
    return st.builds(lambda units: Operation("step", units=units), of)


@st.composite
def _add_with(draw: Any) -> Operation:
    options: dict[str, Any] = {}
    if draw(st.sampled_from([True, True, False])):
        options["priority"] = draw(priorities)
    if draw(st.booleans()):
        options["after"] = draw(delays)
    if draw(st.sampled_from([False, False, True])):
        options["rate_limited"] = True
    return Operation("add_with", tuple(draw(st.lists(keys, min_size=1, max_size=3))), options=options)


add_after = st.builds(lambda key, units: Operation("add_after", (key,), units), keys, delays)
#: Of a key in hand, by its number; and, rarely, of any key.
done = st.builds(lambda number: Operation("done", units=number), st.integers(0, 2))
done_of_any = _operation("done")

_PLAIN = [
    *[_operation("add")] * 8,
    *[_alone("get")] * 5,
    *[done] * 5,
    done_of_any,
    _alone("len"),
    _alone("shutting_down"),
]
_DELAYING = [*_PLAIN, *[add_after] * 5, *[_step(steps)] * 5]
_RETRYING = [*[_operation("add_rate_limited")] * 5, *[_operation("forget")] * 2, *[_operation("num_requeues")] * 2]
_ROUGH: dict[str, list[st.SearchStrategy[Operation]]] = {
    "plain": _PLAIN,
    "delaying": _DELAYING,
    "ratelimiting": [*_DELAYING, *_RETRYING],
    "priority": [*_DELAYING, *_RETRYING, *[_alone("get_with_priority")] * 4, *[_add_with()] * 7],
    "limiter": [
        *[_operation("when")] * 6,
        *[_operation("forget"), _operation("num_requeues")] * 2,
        *[_step(far_steps)] * 3,
    ],
}
_PLAIN_TAIL = [
    *[done] * 3,
    *[_alone("get")] * 2,
    _operation("add"),
    _alone("len"),
    _alone("shutting_down"),
    _alone("shut_down"),
    _alone("shut_down_with_drain"),
]
_DELAYING_TAIL = [*_PLAIN_TAIL, add_after, _step(steps)]
_RETRYING_TAIL = [*_DELAYING_TAIL, *[_operation("add_rate_limited"), _operation("num_requeues")] * 2]
#: After the shutdown.
_TAIL: dict[str, list[st.SearchStrategy[Operation]]] = {
    "plain": _PLAIN_TAIL,
    "delaying": _DELAYING_TAIL,
    "ratelimiting": _RETRYING_TAIL,
    "priority": [*_RETRYING_TAIL, _alone("get_with_priority"), _add_with()],
}

_EXPONENTIAL = st.sampled_from([["exponential", 1, 8], ["exponential", 3, 20], ["exponential", 2, 1]])
_FAST_SLOW = st.sampled_from([["fast_slow", 1, 6, 2], ["fast_slow", 3, 1, 0]])
_BUCKET = st.sampled_from([["bucket", 256, 2], ["bucket", 128, 1], ["bucket", 512, 0]])
_SIMPLE = st.one_of(_EXPONENTIAL, _FAST_SLOW, _BUCKET)
_MAX_OF = st.builds(lambda *inner: ["max_of", *inner], _EXPONENTIAL, _BUCKET)
_MAX_WAIT = st.builds(lambda inner, units: ["max_wait", inner, units], _SIMPLE, st.sampled_from([3, 5]))
limiters = st.one_of(_EXPONENTIAL, _FAST_SLOW, _BUCKET, _MAX_OF, _MAX_WAIT, st.just(["default_controller"]))

#: In milliseconds, and tokens a second, of which no sum is exact.
_MS_BUCKET = st.builds(
    lambda qps, burst: ["bucket", qps, burst], st.sampled_from([10, 0.3, 3, 50, 0]), st.sampled_from([1, 0, 3, 100])
)
_MS_DELAYS = st.tuples(st.sampled_from([5, 0, 1, 30]), st.sampled_from([1_000_000, 100, 7]))
_MS_EXPONENTIAL = st.builds(lambda delays: ["exponential", *delays], _MS_DELAYS)
_MS_FAST_SLOW = st.builds(lambda delays, fast: ["fast_slow", *delays, fast], _MS_DELAYS, st.sampled_from([3, 0, 1]))
_MS_SIMPLE = st.one_of(
    _MS_EXPONENTIAL, _MS_FAST_SLOW, _MS_BUCKET, st.just(["default_controller"]), st.just(["default_item"])
)
_MS_LIMITERS = st.one_of(
    _MS_SIMPLE,
    st.builds(lambda inner: ["max_of", *inner], st.lists(_MS_SIMPLE, max_size=3)),
    st.builds(lambda inner, units: ["max_wait", inner, units], _MS_SIMPLE, st.sampled_from([20, 0, 5000])),
)


@st.composite
def scripts(draw: Any, queue: str) -> Script:
    """Scripts for one kind of queue."""
    limiter, unit = None, Script(queue).unit
    if queue == "limiter":
        limiter, unit = draw(_MS_LIMITERS), 1_000_000
    elif queue == "ratelimiting":
        limiter = draw(limiters)
    elif queue == "priority":
        limiter = draw(st.one_of(limiters, st.none()))
    writer = _Writer(Script(queue, limiter=limiter, unit=unit), bold=draw(st.sampled_from([False] * 49 + [True])))
    # Several short lists and not a long one: of all sizes, and still easy to shrink.
    rough = draw(st.tuples(*[st.lists(st.one_of(_ROUGH[queue]), max_size=10)] * 8))
    writer.follow([each for some in rough for each in some], upto=LONGEST - 14)
    if queue != "limiter":
        writer.end(draw(st.sampled_from(["", *["shut_down", "shut_down_with_drain"] * 3, "shut_down_with_drain"])))
        if writer.down:
            writer.follow(draw(st.lists(st.one_of(_TAIL[queue]), max_size=12)), upto=LONGEST - 8)
        writer.collect()
    return writer.script()


class _Writer:
    """Turns what was drawn into operations that fit the state they meet.

    bold: meets departures where it can; else only where it cannot help it.
    """

    def __init__(self, head: Script, *, bold: bool) -> None:
        self._head = head
        self._bold = bold
        self._ours = Ours(head, priorities=True)
        self._operations: list[Operation] = []
        self._length = 0
        #: Keys in hand, with the priority they were handed out with.
        self._held: dict[str, int] = {}
        self._waiting = self._draining = 0
        self.down = False

    def script(self) -> Script:
        self._ours.end()
        return Script(self._head.queue, tuple(self._operations), self._head.limiter, self._head.unit)

    def follow(self, rough: list[Operation], *, upto: int) -> None:
        """Apply what was drawn, as far as it fits."""
        for each in rough:
            operation = self._fitted(each)
            if operation is not None and len(self._operations) < upto:
                self._apply(operation)

    def end(self, ending: str) -> None:
        """Shut down; before a drain empty the queue, so that it departs from nothing, or give it up."""
        drains = ending == "shut_down_with_drain" and not self._bold
        if ending and (not drains or self._empty(hands=self._head.queue == "priority")):
            self._apply(Operation(ending))

    def collect(self) -> None:
        """Bring out what is still in the queue, else nobody would see how it differs."""
        if not self.down and self._head.queue != "plain":
            self._apply(Operation("step", units=64))
        while len(self._operations) < LONGEST - 1 and self._length and not self._waiting:
            before = len(self._held)
            if self._fit_get(Operation("get")) is None:
                break
            self._apply(Operation("get"))
            if len(self._held) == before:
                break
            self._apply(Operation("done", (list(self._held)[-1],)))

    def _empty(self, *, hands: bool) -> bool:
        """Handle what is queued, and what is in hand if asked to; True if nothing is left of it."""
        for _ in range(10):
            depth = self._ours.queue.statistics().depth
            if self._length and not self._waiting:
                self._apply(Operation("get"))
            elif self._held and (depth or hands):
                self._apply(Operation("done", (next(iter(self._held)),)))
            else:
                return not depth and not (hands and self._held)
        return False

    def _apply(self, operation: Operation) -> None:
        assert len(self._operations) < LONGEST
        answer = self._ours.apply(operation)
        self._operations.append(operation)
        self._note(operation, answer)

    def _note(self, operation: Operation, answer: Answer) -> None:
        if operation.name == "done":
            self._held.pop(operation.key, None)
        self._held.update({each.key: each.priority or 0 for each in answer.got if each.key is not None})
        self._waiting += operation.name.startswith("get") - len(answer.got)
        self._draining += (operation.name == "shut_down_with_drain") - answer.drained
        self.down |= operation.name.startswith("shut_down")
        if self._ours.queue is not None:
            self._length = len(self._ours.queue)

    def _fitted(self, rough: Operation) -> Operation | None:
        """The operation in this state; None if it would mean nothing, or would depart and is not to."""
        fit: Callable[[Operation], Operation | None] | None = getattr(self, f"_fit_{rough.name}", None)
        return rough if fit is None else fit(rough)

    def _fit_get(self, rough: Operation) -> Operation | None:
        lost = self.down and self._head.queue == "priority" and self._length
        return rough if self._waiting < WAITING and (self._bold or not lost) else None

    _fit_get_with_priority = _fit_get

    def _fit_done(self, rough: Operation) -> Operation | None:
        if rough.keys:
            harmless = self._head.queue == "priority" or rough.key in self._held or not self._length
            return rough if harmless or self._bold else None
        if not self._held:
            return None
        assert rough.units is not None
        return Operation("done", (list(self._held)[rough.units % len(self._held)],))

    def _fit_shut_down(self, rough: Operation) -> Operation | None:
        departs = self._head.queue == "priority" or (self._draining and self._head.queue != "plain")
        return rough if self._bold or not departs else None

    def _fit_shut_down_with_drain(self, rough: Operation) -> Operation | None:
        departs = self._head.queue == "priority" or self._draining or self._ours.queue.statistics().depth
        return rough if self._bold or not departs else None

    def _fit_add_after(self, rough: Operation) -> Operation | None:
        departs = any(self._held.get(key) for key in rough.keys) and self._head.queue == "priority"
        return rough if self._bold or not departs else None

    _fit_add_rate_limited = _fit_add_after

    def _fit_add_with(self, rough: Operation) -> Operation | None:
        if self._bold or "priority" in rough.options or self._fit_add_after(rough):
            return rough
        return Operation(rough.name, rough.keys, options={"priority": 0, **rough.options})
