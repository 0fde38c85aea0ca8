"""A span for each run, where OpenTelemetry is installed.

Only its API is asked for: without an SDK that a program has set up, a span is nothing and costs next
to nothing; without the API there is not even that. Spans are there to look on: what goes wrong with
one is said once, and changes nothing about the run.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from workqueue.base.logs import SafeLogger
from workqueue.base.text import told
from workqueue.control.context import RunContext

try:
    from opentelemetry import context, trace
except ImportError:
    context = trace = None

logger = SafeLogger("workqueue.control")

#: Characters of an error that a span's status tells; the whole of it is in the recorded exception.
LENGTH = 500


class Spans:
    """Makes the spans of one controller."""

    def __init__(self, name: str) -> None:
        """:param name: of the controller."""
        self._name = name
        #: Follows the provider that the program sets up, also one that it sets up later; None before the first run.
        self._tracer: Any = None
        #: Written by any worker, without a lock: what is wrong may be said twice.
        self._is_told = False

    @contextlib.contextmanager
    def around(self, run: RunContext) -> Iterator["RunSpan"]:
        """The span of a run. Others that begin in the block are its children.

        It stays the current one, as a run has a context of its own: what is logged of the outcome belongs to it, too.

        :param run: which run.
        """
        span = RunSpan(self)
        if trace is not None:
            with self.harmless():
                if self._tracer is None:
                    self._tracer = trace.get_tracer("workqueue")
                span.begin(self._tracer, run)
        try:
            yield span
        finally:
            span.end()

    @contextlib.contextmanager
    def harmless(self) -> Iterator[None]:
        """What a tracer, a sampler or an exporter raises is said once, and is no failure of the run."""
        try:
            yield
        except BaseException as error:
            if not self._is_told:
                self._is_told = True
                logger.warning(
                    "controller %s: spans cannot be made as they should be; runs go on without: %s",
                    self._name, told(error), exc_info=error,
                )  # fmt: skip


class RunSpan:
    """The span of one run; nothing without OpenTelemetry."""

    def __init__(self, spans: Spans) -> None:
        """:param spans: whose."""
        self._spans = spans
        self._span: Any = None

    def begin(self, tracer: Any, run: RunContext) -> None:
        """From now on it is the current one.

        :param tracer: makes it.
        :param run: which run.
        """
        attributes = {f"workqueue.{name}": value for name, value in run.fields().items()}
        if run.key.namespace:
            attributes["k8s.namespace.name"] = run.key.namespace
        self._span = tracer.start_span(f"reconcile {run.controller}", attributes=attributes)
        context.attach(trace.set_span_in_context(self._span))

    def answered(self, outcome: str) -> None:
        """The run is over, well.

        :param outcome: as ``controller_runtime_reconcile_total`` counts it.
        """
        if self._span is not None:
            with self._spans.harmless():
                self._span.set_attribute("workqueue.outcome", outcome)

    def failed(self, error: BaseException) -> None:
        """The run has failed.

        :param error: what it raised, or that its time was over.
        """
        if self._span is not None:
            with self._spans.harmless():
                self._span.set_attribute("workqueue.outcome", "error")
                self._span.set_status(trace.Status(trace.StatusCode.ERROR, told(error)[:LENGTH]))
                self._span.record_exception(error)

    def end(self) -> None:
        """It is over."""
        if self._span is not None:
            with self._spans.harmless():
                self._span.end()
