"""Looks before Kopf leaps: is there an API server, and may this user do what the operator needs?

Kopf itself finds out by trying for a minute, and tells by a page of tracebacks. Here a few small
requests are made before Kopf gets its credentials, and what is wrong is said in one line.

Rights are asked for with access reviews, as ``kubectl auth can-i`` does. They are not asked for
where nothing depends on them: without the right to watch custom resource definitions, an operator
for pods works as well, if Kopf is told not to try.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import kopf
import requests
from pykube import HTTPClient
from urllib3.exceptions import LocationParseError

from workqueue.base.errors import ConfigurationError
from workqueue.base.text import one_line
from workqueue.plugin.discovery import TIMEOUT, discover, get_json
from workqueue.plugin.reachability import explain, no_api_server, no_url
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope

logger = logging.getLogger("workqueue.plugin")

#: Seconds for each answer, whatever the API server does.
LIMIT = 10.0

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_VERBS = ("list", "watch")
_NAMESPACES = ("", "namespaces")
_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(frozen=True, slots=True)
class Clearance:
    """What was found out."""

    #: The API server's version, such as "v1.36.3".
    version: str
    #: False where Kopf must be kept from watching namespaces and custom resource definitions.
    may_watch_namespaces: bool
    may_watch_definitions: bool


class Preflight:
    """One look, with one client."""

    def __init__(self, client: HTTPClient, *, server: str, source: str, token: str | None) -> None:
        """
        :param client: with the credentials that Kopf is going to get.
        :param server: the URL of the API server.
        :param source: where the credentials come from, such as "kubeconfig /home/me/.kube/config".
        :param token: the bearer token, if they are one.
        """
        self._client = client
        self._server = server
        self._source = source
        self._token = token
        #: How many answers came so far. Written by the thread that runs this, read by whoever waits for it.
        self.answers = 0
        client.session.hooks["response"].append(self._count)

    def run(self, specs: Collection[ResourceSpec], scope: Scope) -> Clearance:
        """Look at everything; blocks as long as the API server does.

        :param specs: the resources that are going to be watched.
        :param scope: the namespaces.
        :raises NotReachable: if nobody answers, or not yet.
        :raises ConfigurationError: if the operator cannot do its job here.
        """
        if self._token and not (self._token.isascii() and self._token.isprintable()):
            raise ConfigurationError(
                f"the token of {self._source} holds characters that cannot be sent, such as a line end: copy it anew"
            )
        try:
            version = self._version()
            namespaces = self._namespaces(scope)
            for spec in specs:
                for resource in discover(self._client, spec):
                    self._check(resource, namespaces if resource.namespaced else ("",))
            return Clearance(
                version=version,
                may_watch_namespaces=not self._missing(*_NAMESPACES),
                may_watch_definitions=not self._missing(*_DEFINITIONS),
            )
        except ConfigurationError:
            raise
        except requests.RequestException as error:
            raise explain(error, server=self._server, source=self._source, token=self._token) from None
        except LocationParseError:
            raise no_url(self._server, self._source) from None
        except (
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:  # of JSON with another shape
            raise no_api_server(
                self._server, f"it answers with odd JSON: {one_line(repr(error), limit=100)}", self._source
            ) from None

    def _count(self, response: requests.Response, *_: Any, **__: Any) -> None:
        if response.content is not None:  # read to its end: one that begins and never ends is none
            self.answers += 1

    def _version(self) -> str:
        try:
            return one_line(get_json(self._client, "/version")["gitVersion"], limit=40)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == requests.codes.forbidden:
                return "unknown"  # an anonymous user may be kept from it; its rights are asked for below
            raise
        except (requests.RequestException, LocationParseError):
            raise
        except (KeyError, TypeError, ValueError):
            raise no_api_server(self._server, "it tells no version", self._source) from None

    def _namespaces(self, scope: Scope) -> Collection[str]:
        """The namespaces whose resources must be allowed; none where patterns fit none yet."""
        if not scope.exact and self._missing(*_NAMESPACES):
            raise ConfigurationError(
                f"no permission to list and watch namespaces {self._as_user()}, which {scope} needs: "
                "grant it by a ClusterRole, or name the namespaces without wildcards"
            )
        namespaces = scope.resolve(lambda: self._names() or [])
        if scope.patterns and scope.exact:
            missing = [name for name in namespaces if self._names(name) == []]
            told = f"namespace{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
            if len(missing) == len(namespaces):
                raise ConfigurationError(
                    f"{told} {'does' if len(missing) == 1 else 'do'} not exist: correct {scope.said}, or create what "
                    "is missing"
                )
            if missing:
                logger.warning("%s: not there yet; served as soon as it is", told)
        return namespaces

    def _names(self, name: str | None = None) -> list[str] | None:
        """The names of the namespaces, or of the one; None if nobody may tell us."""
        query = {"fieldSelector": f"metadata.name={name}"} if name else {}
        try:
            found = get_json(self._client, "/api/v1/namespaces", params=query)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == requests.codes.forbidden:
                return None
            raise
        return [each["metadata"]["name"] for each in found.get("items") or ()]

    def _check(self, resource: kopf.Resource, namespaces: Iterable[str]) -> None:
        group, plural = resource.group, resource.plural
        everywhere = self._missing(group, plural)
        if not everywhere:
            return  # so in each namespace
        for namespace in namespaces:
            missing = self._missing(group, plural, namespace=namespace) if namespace else everywhere
            if missing:
                where = f"in namespace {namespace}" if namespace else "in all namespaces"
                where = where if resource.namespaced else "in the cluster"
                raise ConfigurationError(
                    f"no permission to {' and '.join(missing)} {plural}{f'.{group}' if group else ''} {where} "
                    f"{self._as_user()}: bind a role with the verbs list and watch, as in deploy/kustomize/base"
                )

    def _missing(self, group: str, plural: str, *, namespace: str = "") -> list[str]:
        """Of list and watch, what is not allowed."""
        return [verb for verb in _VERBS if not self._may(verb, group, plural, namespace)]

    def _may(self, verb: str, group: str, plural: str, namespace: str) -> bool:
        """Whether something is allowed; in doubt it is, and trying will tell."""
        asked = {"verb": verb, "group": group, "resource": plural, "namespace": namespace}
        review = self._post(_REVIEWS, {"spec": {"resourceAttributes": asked}})
        allowed = (review.get("status") or {}).get("allowed")
        return True if allowed is None else bool(allowed)

    def _as_user(self) -> str:
        user = ((self._post(_WHO, {}).get("status") or {}).get("userInfo") or {}).get("username")
        return f"as {one_line(user, limit=100)}" if user else f"as the user of {self._source}"

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a review; empty where the server has no such reviews, or not for us."""
        base, _, last = path.rpartition("/")
        group, version = path.split("/")[2:4]
        kind = {_REVIEWS: "SelfSubjectAccessReview", _WHO: "SelfSubjectReview"}[path]
        answer = self._client.post(
            version="",
            base=base,
            url=last,
            json={"apiVersion": f"{group}/{version}", "kind": kind, **body},
            timeout=TIMEOUT,
        )
        if answer.status_code in (
            requests.codes.forbidden,
            requests.codes.not_found,
            requests.codes.method_not_allowed,
        ):
            return {}
        answer.raise_for_status()
        return dict(answer.json())
