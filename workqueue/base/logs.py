"""A logger for places where nothing may fail: filters and handlers of a log are somebody else's code."""

import contextlib
import logging
from collections.abc import MutableMapping
from typing import Any


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Says what it can. What is said of a thing does not undo it."""

    def __init__(self, name: str) -> None:
        """:param name: of the logger."""
        super().__init__(logging.getLogger(name))

    def log(self, level: int, msg: object, *args: object, stacklevel: int = 1, **kwargs: Any) -> None:
        """See :meth:`logging.Logger.log`; raises nothing but a KeyboardInterrupt, which is nobody's mistake."""
        with contextlib.suppress(Exception, SystemExit):
            super().log(level, msg, *args, stacklevel=stacklevel + 1, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Nothing is added: an ``extra`` of the call stays."""
        return msg, kwargs
