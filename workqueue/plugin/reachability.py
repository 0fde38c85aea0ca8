"""Says in one line why there is no Kubernetes API server to talk to, and what to do about it.

The clients' own errors are chains of four exceptions whose outermost says "Max retries exceeded".
What is wrong is at the other end of the chain, and what to do about it is not there at all.
"""

import base64
import datetime as dt
import errno
import json
import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import requests
from pykube.exceptions import PyKubeError
from urllib3 import exceptions as urllib3_errors

from workqueue.base.errors import ConfigurationError
from workqueue.base.text import one_line


class NotReachable(ConfigurationError):
    """Nobody answers, or not yet: waiting may help."""


_NO_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
#: What is in OpenSSL's names of the alerts that are about a certificate of ours.
_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
#: OpenSSL's names of what is wrong with a certificate and a key of ours, as while one of two files is replaced.
_NO_PAIR = ("KEY_VALUES_MISMATCH", "NO_START_LINE", "BAD_END_LINE", "BAD_BASE64_DECODE", "KEY_TYPE_MISMATCH")
#: What is in the clients' own words for a file that is not there.
_NO_FILE = ("invalid path", "file does not exist")
#: What a system's error is called in a sentence.
_SYSTEM = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "the connection was reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
    errno.EPIPE: "the connection was closed",
}


def explain(error: requests.RequestException, *, server: str, source: str, token: str | None) -> ConfigurationError:
    """What a request that failed tells about the API server.

    :param error: as ``requests`` raised it.
    :param server: the URL of the API server.
    :param source: where that and the credentials come from, such as "kubeconfig /home/me/.kube/config".
    :param token: the bearer token that was sent, if one was: it may say when it expired.
    :return: NotReachable if waiting may help.
    """
    if error.response is not None:
        return _explain_status(error.response, server=server, source=source, token=token)
    if (handshake := explain_handshake(error, server=server, source=lambda: source)) is not None:
        return handshake
    causes = list(_causes(error))
    if any(
        isinstance(each, ssl.SSLEOFError | ssl.SSLZeroReturnError) for each in causes
    ):  # as a balancer's without a server
        return not_reachable(server, "the connection was closed in the middle of the TLS handshake", source)
    if any(isinstance(each, ssl.SSLError | requests.exceptions.SSLError) for each in causes):
        return no_api_server(server, "it does not speak TLS as expected", source)
    if isinstance(error, _NO_URL):
        return no_url(server, source)
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return no_api_server(server, "it answers with something else than JSON", source)
    if any(isinstance(each, urllib3_errors.ProtocolError) for each in causes) and (
        garbage := next((each for each in causes if type(each).__name__ == "BadStatusLine"), None)
    ):
        return no_api_server(server, f"it answers {str(garbage).strip()[:40]!r}", source)
    return not_reachable(server, _why(causes), source)


def explain_handshake(error: Exception, *, server: str, source: Callable[[], str]) -> ConfigurationError | None:
    """What a request that failed tells about certificates: the server's, or ours, which may have been renewed since.

    :param error: of either client.
    :param server: the URL of the API server.
    :param source: says where that and the credentials come from.
    :return: None if it failed over something else.
    """
    for each in _causes(error):
        match each:
            case ssl.SSLCertVerificationError():
                return ConfigurationError(
                    f"the certificate of the API server at {server} is not trusted "
                    f"({each.verify_message.rstrip('.')}): "
                    f"correct the certificate authority or the server of {source()}"
                )
            case ssl.SSLError() if why := _alert(each):
                return ConfigurationError(
                    f"the API server at {server} refuses the client certificate of {source()} ({why}): "
                    "log in again, or renew it"
                )
            case ssl.SSLError(reason=str() as reason) if reason in _NO_PAIR:
                return _unusable(source(), reason)
            case FileNotFoundError():
                return _unusable(source(), each.strerror or "no such file")
            # As requests and pykube say it, before they connect.
            case OSError(errno=None) | PyKubeError() if any(said in str(each) for said in _NO_FILE):
                return _unusable(source(), "no such file")
    return None


def check_certificates(info: kopf.ConnectionInfo, source: str) -> None:
    """Find certificates and keys that are damaged, missing, or do not fit each other.

    :param info: of the login.
    :param source: where it comes from.
    :raises ConfigurationError: if Kopf could not connect with them.
    """
    if not info.server.startswith("https:"):
        return
    try:
        info.as_ssl_context()
    except (OSError, ValueError) as error:  # an SSLError is an OSError, what base64 raises a ValueError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise _unusable(source, why) from None


def _unusable(source: str, why: str) -> ConfigurationError:
    """Files of the login's that are damaged, missing, or do not fit each other."""
    told = one_line(why.lower().replace("_", " "))
    return ConfigurationError(f"the certificates or the key of {source} cannot be used ({told}): get a fresh copy")


def _alert(error: ssl.SSLError) -> str:
    """What the other side has against our certificate, as it ended the handshake; "" if it has nothing."""
    _, _, alert = (error.reason or "").partition("ALERT_")
    return alert.lower().replace("_", " ") if any(word in alert for word in _ALERTS) else ""


def no_url(server: str, source: str) -> ConfigurationError:
    """The server is something that nobody can connect to."""
    return ConfigurationError(f"{server!r} is no URL of an API server: correct the server of {source}")


def not_reachable(server: str, why: str, source: str) -> NotReachable:
    """Nobody answers at the server's address."""
    return NotReachable(
        f"no API server answers at {server} ({why}): is it running, and is the server of {source} the right one?"
    )


def no_api_server(server: str, what: str, source: str) -> ConfigurationError:
    """Somebody answers, and is something else."""
    return ConfigurationError(
        f"what answers at {server} is no Kubernetes API server ({what}): correct the server of {source}"
    )


def _explain_status(response: requests.Response, *, server: str, source: str, token: str | None) -> ConfigurationError:
    status = one_line(f"{response.status_code} {response.reason or ''}")
    if response.status_code == requests.codes.unauthorized:
        expired = _expired(token)
        return ConfigurationError(
            f"the API server at {server} does not accept the credentials of {source} "
            f"({status}{f'; the token expired at {expired}' if expired else ''}): log in again, or renew them"
        )
    if response.status_code == requests.codes.too_many_requests or response.status_code >= 500:
        return NotReachable(f"the API server at {server} is not ready ({status}): look at its own log, or wait for it")
    if response.status_code == requests.codes.forbidden:
        return ConfigurationError(
            f"the API server at {server} forbids what every user may ({_message(response) or status}): "
            f"correct the credentials of {source}"
        )
    return no_api_server(server, f"it answers {status}", source)


def _message(response: requests.Response) -> str:
    """What a Status object says."""
    try:
        body = response.json()
    except ValueError:
        return ""
    return one_line(str(body.get("message") or "")) if isinstance(body, dict) else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is inside it: requests and urllib3 wrap by argument, by ``reason`` and by ``__context__``."""
    seen: set[int] = set()
    queue: list[Any] = [error]
    while queue:
        each = queue.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            queue += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]


def _why(causes: list[BaseException]) -> str:
    """The innermost reason that has a name of its own."""
    for each in causes:
        match each:
            case urllib3_errors.NameResolutionError():
                return "its name cannot be resolved"
            case requests.exceptions.ProxyError():
                return "the proxy on the way does not answer"
            case requests.exceptions.Timeout() | TimeoutError():
                return "no answer in time"
            case OSError(errno=int() as number) if number in _SYSTEM:
                return _SYSTEM[number]
    for each in causes:
        if isinstance(each, urllib3_errors.ProtocolError | ConnectionError):
            return "the connection was closed without an answer"
    numbered = [each for each in causes if isinstance(each, OSError) and each.errno]
    return os.strerror(numbered[-1].errno or 0).lower() if numbered else type(causes[-1]).__name__


def _expired(token: str | None) -> str:
    """When a token expired that says so (a JWT, as service accounts and most providers have); "" otherwise."""
    try:
        payload = (token or "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expired = dt.datetime.fromtimestamp(claims["exp"], dt.UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError):
        return ""
    return f"{expired:%Y-%m-%d %H:%M:%S} UTC" if expired <= dt.datetime.now(dt.UTC) else ""
