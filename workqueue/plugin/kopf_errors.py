"""What Kopf's own errors say, raised in a reconcile function: the same as in a handler of Kopf's."""

import kopf

from workqueue.control import Verdict


def judge(error: BaseException) -> Verdict | None:
    """Read an error.

    :return: None for one that is not Kopf's.
    """
    if isinstance(error, kopf.PermanentError):
        return Verdict(is_terminal=True)
    if isinstance(error, kopf.TemporaryError):
        return Verdict.of_delay(error.delay)
    return None
