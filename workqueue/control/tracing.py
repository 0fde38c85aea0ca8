"""A span for each run, where OpenTelemetry is installed.

Only its API is asked for: without an SDK that a program has set up, a span is nothing and costs next
to nothing; without the API there is not even that.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from workqueue.control.context import RunContext

try:
    from opentelemetry import trace
except ImportError:
    trace = None


def tracer() -> Any:
    """What makes spans, as the program has set it up by now: a ``Tracer``, or None without OpenTelemetry."""
    return None if trace is None else trace.get_tracer("workqueue")


def span(tracer: Any, run: RunContext) -> AbstractContextManager[None]:
    """A span around a call of a reconcile function; an exception that leaves it is recorded.

    :param tracer: of :func:`tracer`.
    :param run: which run.
    """
    return nullcontext() if tracer is None else _span(tracer, run)


@contextmanager
def _span(tracer: Any, run: RunContext) -> Iterator[None]:
    attributes = {
        "k8s.namespace.name": run.key.namespace,
        "workqueue.name": run.key.name,
        "workqueue.controller": run.controller,
        "workqueue.reconcile_id": run.reconcile_id,
        "workqueue.attempt": run.attempt,
    }
    with tracer.start_as_current_span(f"reconcile {run.controller}", attributes=attributes):
        yield
