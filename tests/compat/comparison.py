"""Both sides' answers to a script, compared operation by operation; and what is excused.

Excused are the departures of the design alone. Each is named in `DEPARTURES`, and what it excuses is decided by the
operation and the state before it: which keys are in hand, how many wait, who waits for what. Where the two queues hold
different things after one, the rest of the script is not compared.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.compat.scripts import Answer, Delivery, Operation, Script

#: Nanoseconds: Go cuts each delay to whole ones, and ties are told apart by a few of them.
TOLERANCE = 1000

DEPARTURES = {
    "drain": "a drain waits for queued keys as well as for those in processing, and all who drain return",
    "done": "done of a key that nobody holds changes nothing; client-go queues a queued one twice",
    "second shutdown": "a second shutdown is harmless; controller-runtime's panics",
    "ready at shutdown": "the priority queue hands out what is ready when it is shut down, and drains",
    "release": "a plain shutdown releases who drains; a second one of client-go's delaying queue does nothing",
    "kept priority": "a delayed or limited re-add without a priority of a key in hand keeps its priority",
}


class Difference(AssertionError):
    """The sides differ and no departure says why."""

    def __init__(self, script: Script, why: str) -> None:
        """script: as far as it is needed to see the difference."""
        self.script, self.why = script, why
        steps = "\n".join(f"    {each}" for each in script.operations)
        command = f"python -m tests.compat {shlex.quote(script.to_json())}"
        super().__init__(f"{why}\n{script.queue} queue, limiter {script.limiter}:\n{steps}\nto see both: {command}")


@dataclass
class Verdict:
    """What was compared without a difference.

    operations: how many; waited: gets that did not return at once; excused: the departures touched.
    """

    operations: int = 0
    waited: int = 0
    excused: Counter[str] = field(default_factory=Counter)


@dataclass
class _State:
    """What is known before an operation; the same on both sides as long as they are compared."""

    #: Keys in hand, with the priority they were handed out with.
    held: dict[str, int] = field(default_factory=dict)
    length: int = 0
    down: bool = False
    #: The plain shut_down was called.
    shut: bool = False
    #: Drains that have not returned, on each side.
    draining: int = 0
    their_draining: int = 0

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing in processing: when a drain is over."""
        return not self.length and not self.held


def compare(script: Script, ours: Sequence[Answer], theirs: Sequence[Answer]) -> Verdict:
    """Raises Difference at the first one that is not excused."""
    verdict, state = Verdict(), _State()
    for number, (operation, our, their) in enumerate(zip(script.operations, ours, theirs, strict=True)):
        verdict.operations += 1
        verdict.waited += operation.name in ("get", "get_with_priority") and not our.got
        departure = _departure(script.queue, operation, state, our, their)
        if departure is not None:
            verdict.excused[departure.name] += 1
            why = departure.wrong
        else:
            why = _difference(operation, our, their)
        if why is None and departure is not None and departure.parts:
            return verdict
        _follow(state, operation, their)
        if why is None and script.queue != "limiter":
            why = _drains(_Turn(script.queue, operation, our, their), state, verdict)
        if why is not None:
            upto = replace(script, operations=script.operations[: number + 1])
            raise Difference(upto, f"{operation}: {why}: ours: {our}; theirs: {their}")
    return verdict


@dataclass(frozen=True)
class _Departure:
    """One that an operation is. wrong: what is not even as it says; parts: the queues differ from there on."""

    name: str
    wrong: str | None = None
    parts: bool = True


def _departure(queue: str, operation: Operation, state: _State, our: Answer, their: Answer) -> _Departure | None:
    """The departure that the operation is in this state, None if it is none."""
    if queue != "priority":
        unheld = operation.name == "done" and operation.key not in state.held
        # That the key is queued no caller can see, but that client-go has one more key after it.
        if unheld and state.length and their.length == state.length + 1:
            unchanged = our.length == state.length and not our.got
            return _Departure("done", None if unchanged else "ours did not leave the queue as it was")
        return None
    if operation.name in ("shut_down", "shut_down_with_drain") and state.down:
        silent = replace(their, result=None)
        panics = their.result == "would panic"
        return _Departure("second shutdown", _difference(operation, our, silent) if panics else "no panic", parts=False)
    if operation.name.startswith("get") and state.down and state.length:
        if all(each.key is None for each in our.got):
            return None  # what is ready is in somebody's hands
        lost = [each.key for each in their.got] == [None] and our.length == state.length - 1
        return _Departure("ready at shutdown", None if lost else "ours did not hand out what was ready")
    plain = operation.name == "add_with" and not {"after", "rate_limited"} & set(operation.options)
    later = operation.name in ("add_after", "add_rate_limited", "add_with") and not plain and not state.down
    if later and operation.options.get("priority") is None and any(state.held.get(key) for key in operation.keys):
        alike = our.length == their.length and len(our.got) == len(their.got)
        return _Departure("kept priority", None if alike else "more than a priority differs")
    return None


def _difference(operation: Operation, our: Answer, their: Answer) -> str | None:
    """What differs, drains aside; None if nothing does."""
    if our.result != their.result and not (operation.name == "when" and _close(our.result, their.result)):
        return "they return different things"
    if our.length is not None and our.length != their.length:
        return "the lengths differ"
    if len(our.got) != len(their.got):
        return "not the same number of gets came back"
    for mine, other in zip(_in_order(our.got), _in_order(their.got), strict=True):
        if mine.key != other.key:
            return "gets returned other keys"
        if mine.priority is not None and mine.priority != other.priority:
            return "the priorities differ"
        if not _close(mine.at, other.at):
            return "gets came back at different instants"
    return None


def _close(mine: int, other: int) -> bool:
    """Whether two numbers of nanoseconds are the same but for the last digits of a float."""
    return abs(mine - other) <= max(TOLERANCE, abs(other) * 1e-12)


def _in_order(got: Sequence[Delivery]) -> list[Delivery]:
    """Gets that wait together are alike, so it does not matter which of them gets what."""
    return sorted(got, key=lambda each: each.key or "")


def _follow(state: _State, operation: Operation, their: Answer) -> None:
    """The state after an operation."""
    if operation.name == "done":
        state.held.pop(operation.key, None)
    for each in their.got:
        if each.key is not None:
            state.held[each.key] = each.priority or 0
    state.length = their.length or 0


@dataclass(frozen=True)
class _Turn:
    """One operation and what both sides say to it."""

    queue: str
    operation: Operation
    our: Answer
    their: Answer


def _drains(turn: _Turn, state: _State, verdict: Verdict) -> str | None:
    """Each side's drains must return exactly when its rule says; where the rules differ it is a departure."""
    queue, operation = turn.queue, turn.operation
    begun = operation.name == "shut_down_with_drain"
    state.draining += begun
    # Ours: when all is handled, or when released.
    over = state.draining if state.idle or operation.name == "shut_down" else 0
    if turn.our.drained != over:
        return f"{turn.our.drained} of our {state.draining} drains returned, not {over}"
    their_over = _their_drains(queue, operation, state)
    if turn.their.drained != their_over:
        return f"{turn.their.drained} of their drains returned, not {their_over}"
    state.draining -= over
    if queue != "priority":
        state.their_draining += begun - their_over
    if over != their_over and turn.their.result != "would panic":
        again = operation.name == "shut_down" and state.shut and queue != "priority"
        verdict.excused["release" if again else "drain"] += 1
    state.down |= begun or operation.name == "shut_down"
    state.shut |= operation.name == "shut_down"
    return None


def _their_drains(queue: str, operation: Operation, state: _State) -> int:
    """How many of the drains that wait on their side return now. What the operation does to the keys has happened."""
    begun = operation.name == "shut_down_with_drain"
    if queue == "priority":
        return int(begun and not state.down)  # it does not wait, and a second one would panic
    if operation.name == "shut_down":
        # The delaying queue's second shut_down does nothing at all.
        return 0 if state.shut and queue != "plain" else state.their_draining
    if state.held:
        return 0
    if begun:
        return state.their_draining + 1
    # A done that leaves nothing in processing wakes one of those who drain.
    return min(state.their_draining, operation.name == "done")
