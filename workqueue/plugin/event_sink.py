"""Events sent to the API server, by the official client with Kopf's own login.

Source: recordEvent of client-go tools/record/event.go decides what is final. There every answer of the server
is; here one that says "not now" (401 while credentials are renewed, 408, 429, 5xx) is tried again, as
client-go's own transport does with some of them before the recorder hears of it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from kubernetes import client as kubernetes_client

from workqueue.base.errors import NotLoggedIn
from workqueue.base.text import one_line
from workqueue.control.events import (
    EventExists,
    EventGone,
    EventRejected,
    NamespaceTerminating,
    SinkUnavailable,
)
from workqueue.plugin.login import Login

#: Seconds to connect, and to wait for an answer.
TIMEOUT = (5.0, 10.0)

#: The answers that say nothing of the event; the client has 0 for no answer at all.
_NOT_NOW = frozenset({0, 401, 408, 429})


class KubernetesEventSink:
    """A :class:`workqueue.control.events.EventSink`."""

    def __init__(self, login: Login) -> None:
        """:param login: Kopf's; asked for its client at each call."""
        self._login = login

    def create(self, namespace: str, event: dict[str, Any]) -> Mapping[str, Any]:
        """See :meth:`workqueue.control.events.EventSink.create`."""
        return self._ask(lambda api: api.create_namespaced_event(namespace, event, _request_timeout=TIMEOUT))

    def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> Mapping[str, Any]:
        """See :meth:`workqueue.control.events.EventSink.patch`."""
        try:
            return self._ask(lambda api: api.patch_namespaced_event(name, namespace, patch, _request_timeout=TIMEOUT))
        except _NotFound as error:
            raise EventGone(str(error)) from error

    def _ask(self, call: Callable[[Any], Any]) -> Mapping[str, Any]:
        try:
            client = self._login.kubernetes()
            answer: Mapping[str, Any] = client.sanitize_for_serialization(call(kubernetes_client.CoreV1Api(client)))
        except kubernetes_client.ApiException as error:
            raise _meaning(error) from error
        except (urllib3.exceptions.HTTPError, OSError, NotLoggedIn) as error:
            raise SinkUnavailable(one_line(error)) from error
        except (ValueError, TypeError) as error:  # no request could be made of it, or its answer is no event
            raise EventRejected(one_line(error)) from error
        return answer


class _NotFound(EventRejected):
    """404: of the event itself, or of its namespace."""


def _meaning(error: Any) -> EventRejected | SinkUnavailable:
    """What an answer that is no success says of an event.

    :param error: the client's ApiException.
    """
    code = error.status or 0
    status = _status(error.body)
    told = one_line(status.get("message") or error.reason or error)
    if code in _NOT_NOW or code >= 500:
        return SinkUnavailable(f"{code} {told}" if code else told)
    if code == 404:
        return _NotFound(told)
    if code == 409 and status.get("reason") == "AlreadyExists":
        return EventExists(told)
    if code == 403:
        details = status.get("details")
        causes = details.get("causes") if isinstance(details, Mapping) else None
        reasons = {cause.get("reason") for cause in causes or () if isinstance(cause, Mapping)}
        if "NamespaceTerminating" in reasons:
            return NamespaceTerminating(told)
        return EventRejected(f"{told}: bind a role with the verbs create and patch on events")
    return EventRejected(f"{code} {told}")


def _status(body: Any) -> Mapping[str, Any]:
    """The Status object of an answer; empty if it is none."""
    try:
        status = json.loads(body)
    except (ValueError, TypeError):
        return {}
    return status if isinstance(status, Mapping) else {}
