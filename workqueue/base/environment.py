"""Settings of an operator that come from its environment: read once, at the start, and refused by name."""

import os
from collections.abc import Callable
from typing import TypeVar

from workqueue.base.errors import BadSetting

Value = TypeVar("Value")

#: Seconds of each unit of a duration.
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def setting(name: str, read: Callable[[str], Value], *, default: str, expected: str) -> Value:
    """A variable of the environment.

    :param name: of the variable.
    :param read: makes a value of its text; a ValueError says that it is none.
    :param default: its text where it is not set, or empty.
    :param expected: what it should be, for the error.
    :raises BadSetting: if it cannot be read: ends ``kopf run`` with one line.
    """
    text = os.environ.get(name) or default
    try:
        return read(text)
    except ValueError:
        raise BadSetting(f"{name}={text}: expected {expected}") from None


def count(text: str) -> int:
    """How many; at least one.

    :raises ValueError: if it is not that.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def period(text: str) -> float:
    """Seconds, at least one; 0 is never.

    :raises ValueError: if it is not that.
    """
    seconds = float(text)
    if seconds != 0 and not 1 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


def flag(text: str) -> bool:
    """Yes or no.

    :raises ValueError: if it is neither.
    """
    try:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def duration(text: str) -> float:
    """A time such as ``90s``, ``15m``, ``36h`` or ``7d``; or ``0``, which is the same in each unit.

    A number alone is refused: who writes 7 may mean days, and what is done after 7 seconds may be done for good.

    :return: seconds.
    :raises ValueError: if it is not that, or less than 0.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.replace(".", "", 1).isdecimal() or not number.isascii():
        raise ValueError(text)
    seconds = float(number) * _UNITS[unit]
    if seconds == float("inf"):
        raise ValueError(text)
    return seconds


def duration_text(seconds: float) -> str:
    """A time as :func:`duration` reads it, in the largest unit of which it is a whole number: ``7d``.

    :param seconds: how long; not negative.
    """
    for unit, size in reversed(_UNITS.items()):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
