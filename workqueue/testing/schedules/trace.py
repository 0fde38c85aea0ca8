"""What is told about a run: its schedule as one short text, and its steps one by one."""

import linecache
import re
import sys
import threading
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from types import FrameType

from workqueue.testing.schedules.members import FINISH, SHUT, WAKE, Doing, Gate, Member

#: How many functions are named for a place, the innermost first.
_FUNCTIONS = 4


def write_schedule(path: Sequence[int], *, fine: bool) -> str:
    """The schedule of a run as text, such as ``1*4 2*3 1``: thread 1 went on at four points, then thread 2 at three…"""
    words = ["fine"] if fine else []
    for number, group in groupby(path):
        count = len(list(group))
        words.append(f"{number}*{count}" if count > 1 else str(number))
    return " ".join(words)


def read_schedule(schedule: str) -> tuple[list[int], bool]:
    """The reverse of :func:`write_schedule`.

    :return: the path, and whether it is fine.
    :raises ValueError: if it is not such a text.
    """
    words = schedule.split()
    fine = words[:1] == ["fine"]
    path: list[int] = []
    for word in words[fine:]:
        match = re.fullmatch(r"(\d{1,6})(?:\*(\d{1,6}))?", word, re.ASCII)
        if match is None:
            raise ValueError(f"a schedule reads like '1*4 2*3 1'; what is {word!r}?")
        path += [int(match[1])] * int(match[2] or 1)
    return path, fine


class Trace:
    """Listens to one run. Belongs to whoever runs."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._points = 0
        #: By id(): a thing, what it is called, and where it was made. The things are kept so that no id comes twice.
        self._things: dict[int, tuple[object, str, str]] = {}

    def made(self, thing: object, kind: str) -> None:
        """A lock was made: it is called as in the line of code that made it."""
        place, line = find_place()
        match = re.search(r"([\w.]+)\s*(?::[^=;]+)?=\s*$", line)
        self._add(thing, kind, f" ({match[1]})" if match else "", place)

    def arrive(self, me: Member, doing: Doing, what: object) -> None:
        """A thread came to a point."""
        me.doing, me.what, me.where = doing, what, find_place()[0]

    def note(self, me: Member, does: str, thing: object, result: str = "") -> None:
        """A thread does something worth a line on its way to the next point.

        :param does: what, in a word or two.
        :param thing: with which thing.
        :param result: and what came of it.
        """
        self._lines.append(f"{'':5}  {me}: {does} {self.name(thing)}{result}{_at(find_place()[0])}")

    def go_on(self, me: Member, chosen: Member) -> None:
        """It is decided who goes on."""
        if chosen is not me and me.needs.owner is None and me.end.owner is not None:
            self._lines.append(f"{'':5}  -- {me} is preempted")
        self._points += 1
        doing = chosen.doing.does.format(self.name(chosen.what))
        if chosen.doing is WAKE:
            doing += ", notified" if chosen.notified else ", not notified: its time is over"
        self._lines.append(f"{self._points:5}  {chosen}: {doing}{_at(chosen.where)}")

    def name(self, thing: object) -> str:
        """What a thing is called."""
        if id(thing) in self._things:
            return self._things[id(thing)][1]
        if isinstance(thing, threading.Condition):
            lock = thing._lock  # type: ignore[attr-defined]  # noqa: SLF001
            self._add(thing, "condition", f" of {self.name(lock)}", "")
            return self.name(thing)
        return str(thing)

    def who_waits(self, members: Iterable[Member]) -> str:
        """A line for each thread that has not ended: what it waits for, and where."""
        left = [each for each in members if each.end.owner is not None and each.doing is not FINISH]
        return "\n".join(f"  {self._wait_of(each)}{_at(each.where)}" for each in left)

    def text(self) -> str:
        """All steps, one a line."""
        made = [f"{'':5}  {name} was made{_at(place)}" for _, name, place in self._things.values() if place]
        return "\n".join([*made, *self._lines])

    def _wait_of(self, member: Member) -> str:
        words = f"{member}: {member.doing.waits.format(self.name(member.what))}"
        if member.needs is SHUT:
            return words + " and was not notified" if member.doing is WAKE else words
        if member.doing is WAKE:
            words = f"{member}: was notified on {self.name(member.what)} and waits for the lock"
        return words + self._holder_of(member.needs)

    def _holder_of(self, gate: Gate) -> str:
        owner = gate.owner
        if not isinstance(owner, Member) or gate is owner.end:
            return ""
        return f", held by {owner}" + (" which has ended" if owner.end.owner is None else "")

    def _add(self, thing: object, kind: str, suffix: str, place: str) -> None:
        number = 1 + sum(name.startswith(kind) for _, name, _ in self._things.values())
        self._things[id(thing)] = thing, f"{kind} {number}{suffix}", place


def find_place() -> tuple[str, str]:
    """Where the code under test is, in words, and its line up to the call; both empty if it is nowhere."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    frames: list[FrameType] = []
    while frame is not None and len(frames) < _FUNCTIONS and not _is_bottom(frame):
        if _is_theirs(frame):
            frames.append(frame)
        frame = frame.f_back
    if not frames:
        return "", ""
    code, number = frames[0].f_code, frames[0].f_lineno
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    functions = [each.f_code.co_qualname.rpartition("<locals>.")[2] for each in frames]
    start = list(code.co_positions())[frames[0].f_lasti // 2][2]
    line = linecache.getline(code.co_filename, number)
    return f"{shown}:{number} in {' < '.join(functions)}", line[:start]


def _at(place: str) -> str:
    return f"  at {place}" if place else ""


_OURS = str(Path(__file__).parent)
_STANDARD = str(Path(threading.__file__).parent)


def _is_theirs(frame: FrameType) -> bool:
    """Neither this package nor the standard library."""
    name = frame.f_code.co_filename
    return not name.startswith(_OURS) and (not name.startswith(_STANDARD) or "site-packages" in name)


def _is_bottom(frame: FrameType) -> bool:
    """What calls the code under test."""
    return frame.f_code.co_name in ("run", "_live") and frame.f_code.co_filename.startswith(_OURS)
