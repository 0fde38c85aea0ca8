"""What Kopf's own errors say, raised in a reconcile function: the same as in a handler of Kopf's."""

import math

import kopf

from workqueue.control import Verdict


def judge(error: BaseException) -> Verdict | None:
    """Read an error.

    :return: None for one that is not Kopf's.
    """
    if isinstance(error, kopf.PermanentError):
        return Verdict(is_terminal=True)
    if isinstance(error, kopf.TemporaryError):
        return _verdict(error.delay)
    return None


def _verdict(delay: object) -> Verdict:
    """What a delay says: None is at once, as there. One that is no time leaves it to the limiter."""
    if delay is None:
        return Verdict(after=0.0)
    try:
        if isinstance(delay, int | float) and math.isfinite(delay):
            return Verdict(after=max(0.0, float(delay)))
    except OverflowError:  # a whole number beyond all floats
        pass
    return Verdict()
