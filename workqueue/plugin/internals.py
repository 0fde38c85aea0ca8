"""The one file that looks at what Kopf does not publish. Each look has an answer for when it is not there.

Everything else in this room stands on Kopf's public API.
"""

import asyncio
import fnmatch
from collections.abc import Callable
from typing import Any

import kopf

_match: Callable[[Any, Any], bool]
try:
    from kopf._cogs.structs.references import match_namespace as _match
except ImportError:  # another Kopf: its simplest patterns are globs
    _match = fnmatch.fnmatchcase


def match_namespace(name: str, pattern: str) -> bool:
    """Whether Kopf's ``-n PATTERN`` serves a namespace.

    :param name: the namespace.
    :param pattern: globs joined by commas, "!" in front excludes.
    """
    return _match(name, pattern)


def may_need_finalizers(registry: kopf.OperatorRegistry) -> bool:
    """Whether Kopf itself may have business with finalizers: a handler for deletions, a daemon or a timer.

    True if that cannot be told.
    """
    try:
        changing = registry._changing.get_all_handlers()  # noqa: SLF001
        spawning = registry._spawning.get_all_handlers()  # noqa: SLF001
        return any(True for _ in spawning) or any(handler.requires_finalizer for handler in changing)
    except AttributeError:
        return True


def stop_operator(loop: asyncio.AbstractEventLoop) -> bool:
    """Make the operator on this loop stop as if it was told from outside; call it in the loop's thread.

    :return: False if there is nothing to be found that stops it.
    """
    for task in asyncio.all_tasks(loop):
        if task.get_name() == "stop-flag checker":
            task.cancel()
            return True
    return False
