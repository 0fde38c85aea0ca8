"""The course of every request to the API server, whichever client makes it.

It waits for its turn, is sent with one login's credentials and connections, is counted, and is repeated once if these
credentials were refused and there are others: a 401, or a TLS handshake that failed over a certificate. Nothing was
done by then on the other side, so that repeating even a POST is safe. What the second answer is, is the answer.
"""

import abc
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from workqueue.base.client_metrics import ClientMetrics
from workqueue.base.clock import Clock, RealClock
from workqueue.plugin import kubeconfig
from workqueue.plugin.access import Access
from workqueue.plugin.reachability import explain_handshake
from workqueue.plugin.renewal import Renewal
from workqueue.plugin.throttle import Throttle

#: Seconds to connect, and between two bytes of an answer: for requests that say nothing else. The second is a little
#: more than the minute after which kube-apiserver itself gives a request up, so that its own words are heard.
CONNECT, READ = 10.0, 65.0
#: What is true in a query, as Go's ``strconv.ParseBool`` has it.
_TRUE = {"1", "t", "true"}

T = TypeVar("T")


class Request(abc.ABC, Generic[T]):
    """One request in the words of its client, whose answers are of type T."""

    def __init__(self, *, method: str, limit: float | None, is_endless: bool, is_repeatable: bool) -> None:
        """
        :param method: such as "GET".
        :param limit: seconds that its user gives it; None if they say nothing.
        :param is_endless: whether its answer goes on, as a watch's does.
        :param is_repeatable: whether its body can be sent again.
        """
        self.method = method.upper()
        self.limit = limit
        self.is_endless = is_endless
        self.is_repeatable = is_repeatable

    @abc.abstractmethod
    def send(self, access: Access) -> T:
        """Send it, with that access' credentials in the place of any other's of ours."""

    @property
    @abc.abstractmethod
    def is_ours(self) -> bool:
        """Whether the login's credentials were sent, and not the user's own or deliberately none."""

    @abc.abstractmethod
    def status(self, answer: T) -> int:
        """The answer's status code."""

    @abc.abstractmethod
    def discard(self, answer: T) -> None:
        """Nobody will read the answer: give its connection back."""

    @abc.abstractmethod
    def refusal(self, line: str) -> Exception:
        """An error of the client's own kind for a handshake that failed."""


@dataclass(slots=True)
class _Outcome(Generic[T]):
    """What became of one sending: an answer or an error, and the line for the latter if a certificate is to blame."""

    access: Access
    answer: T | None = None
    error: Exception | None = None
    line: str | None = None
    refused: bool = False


class Requesting:
    """See the module; from any thread."""

    def __init__(
        self, lease: Callable[[], AbstractContextManager[Access]], *, renewal: Renewal, metrics: ClientMetrics
    ) -> None:
        """
        :param lease: gives the current access for the time of a request.
        :param renewal: asked for other credentials.
        :param metrics: told of each request.
        """
        self._lease = lease
        self._renewal = renewal
        self._metrics = metrics
        #: Both are set before there are requests.
        self.clock: Clock = RealClock()
        self.throttle: Throttle | None = None

    def run(self, request: Request[T]) -> T:
        """Make a request.

        :return: the answer, whatever its status.
        :raises Throttled: if its turn would come after its own time limit.
        :raises NotLoggedIn: if there is no login any more.
        """
        begun = self.clock.now()
        outcome = self._once(request)
        if outcome.refused and request.is_repeatable and self._renewal.after(outcome.access):
            if outcome.answer is not None:
                request.discard(outcome.answer)
            outcome = self._once(request)
        if not request.is_endless:
            self._metrics.took(self.clock.now() - begun, method=request.method, host=outcome.access.host)
        if outcome.error is not None:
            if outcome.line is not None:
                raise request.refusal(outcome.line) from outcome.error
            raise outcome.error
        assert outcome.answer is not None
        return outcome.answer

    def _once(self, request: Request[T]) -> _Outcome[T]:
        if self.throttle is not None:
            with self._lease() as access:  # and not while it waits: by then there may be another login
                host = access.host
            self._metrics.waited(self.throttle.wait(limit=request.limit), method=request.method, host=host)
        with self._lease() as access:
            try:
                answer = request.send(access)
            except Exception as error:
                self._metrics.answered(None, method=request.method, host=access.host)
                why = explain_handshake(error, server=access.info.server, source=kubeconfig.source)
                return _Outcome(access, error=error, line=None if why is None else str(why), refused=why is not None)
            status = request.status(answer)
            self._metrics.answered(status, method=request.method, host=access.host)
            return _Outcome(access, answer=answer, refused=status == 401 and request.is_ours)


def is_true(value: object) -> bool:
    """What a boolean of a query means."""
    return str(value).lower() in _TRUE
