"""Every exception this package raises on purpose, so that callers can catch them by one root."""


class WorkqueueError(Exception):
    """The root of this package's own exceptions."""


class ShutDown(WorkqueueError):
    """The queue was shut down and holds nothing more to hand out: the worker's sign to go home."""


class InvalidKey(WorkqueueError, ValueError):
    """A text or value that names no object: the message says what was expected instead."""


class IndexNotFound(WorkqueueError, LookupError):
    """An index of that name was never added."""


class IndexConflict(WorkqueueError, ValueError):
    """An index of that name exists already; nothing was added."""


class InvalidObject(WorkqueueError, ValueError):
    """Something that is no Kubernetes object (no metadata, no name) or cannot be stored."""


class ConfigurationError(WorkqueueError, ValueError):
    """A mistake in how the parts were put together, found before anything runs."""


class ObjectNotFound(WorkqueueError, LookupError):
    """The cache holds no such object."""


class InvalidSelector(WorkqueueError, ValueError):
    """A label selector that cannot be read."""
