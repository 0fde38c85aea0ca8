"""What is counted of the requests to the API server, whichever client makes them.

Names, labels and buckets are those under which client-go offers them and controller-runtime shows them
(client-go tools/metrics/metrics.go, controller-runtime pkg/metrics/client_go_adapter.go). The host is always that of
the login's server, so that no series grows out of what users ask.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from workqueue.base.metrics import Histogram, HistogramSnapshot

#: Upper bounds in seconds: component-base's for rest_client_request_duration_seconds, metrics/prometheus/restclient.
REQUEST_BUCKETS: tuple[float, ...] = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

#: The code of a request that got no answer, as in client-go: errors are of any text, series must not be.
NO_ANSWER = "<error>"


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """All clients of one operator at one instant."""

    #: Requests by status code (or NO_ANSWER), method and host. One that is repeated after a renewal counts twice.
    requests: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    #: Seconds from the call until the answer begins, by method and host: waiting and renewals included, watches not.
    durations: Mapping[tuple[str, str], HistogramSnapshot] = field(default_factory=dict)
    #: Seconds waited for the rate limiter, by method and host; empty without one.
    waits: Mapping[tuple[str, str], HistogramSnapshot] = field(default_factory=dict)
    #: Logins that brought new credentials after others were refused.
    renewals: int = 0


class ClientMetrics:
    """Counts requests; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # All below are guarded by _lock.
        self._requests: dict[tuple[str, str, str], int] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._waits: dict[tuple[str, str], Histogram] = {}
        self._renewals = 0

    def answered(self, code: int | None, *, method: str, host: str) -> None:
        """Count one request.

        :param code: the status of the answer; None if there was none.
        :param method: such as "GET".
        :param host: of the API server, with its port.
        """
        label = (NO_ANSWER if code is None else str(code), method, host)
        with self._lock:
            self._requests[label] = self._requests.get(label, 0) + 1

    def took(self, seconds: float, *, method: str, host: str) -> None:
        """Count how long a request took until its answer began."""
        with self._lock:
            self._durations.setdefault((method, host), Histogram(REQUEST_BUCKETS)).observe(seconds)

    def waited(self, seconds: float, *, method: str, host: str) -> None:
        """Count how long a request waited for its turn."""
        with self._lock:
            self._waits.setdefault((method, host), Histogram(REQUEST_BUCKETS)).observe(seconds)

    def renewed(self) -> None:
        """Count a login that was due to refused credentials."""
        with self._lock:
            self._renewals += 1

    def statistics(self) -> ClientStatistics:
        """The counts as they are now."""
        with self._lock:
            return ClientStatistics(
                requests=dict(self._requests),
                durations={label: histogram.snapshot() for label, histogram in self._durations.items()},
                waits={label: histogram.snapshot() for label, histogram in self._waits.items()},
                renewals=self._renewals,
            )
