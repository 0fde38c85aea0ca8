"""Kopf's own errors mean here what they mean in an operator, and Kopf need not be there.

Whoever raises one has imported Kopf, so it is looked for among what is imported. The plugin's judge
says the same of them, and tests hold the two together.
"""

import sys

from workqueue.control import Verdict


def judge(error: BaseException) -> Verdict | None:
    """Read an error.

    :return: None for one that is not Kopf's.
    """
    kopf = sys.modules.get("kopf")
    if kopf is None:
        return None
    if isinstance(error, kopf.PermanentError):
        return Verdict(is_terminal=True)
    if isinstance(error, kopf.TemporaryError):
        return Verdict.of_delay(error.delay)
    return None
