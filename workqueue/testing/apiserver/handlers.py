"""From an HTTP request to a verb and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from workqueue.testing.apiserver import bodies, discovery, errors, listing, openapi, rendering
from workqueue.testing.apiserver.access import Access
from workqueue.testing.apiserver.cluster import Cluster
from workqueue.testing.apiserver.deletion import DeleteOptions, delete
from workqueue.testing.apiserver.errors import ApiError, PageNotFound
from workqueue.testing.apiserver.faults import Fault, FaultBook, RecordedRequest, RequestLog
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.rendering import View
from workqueue.testing.apiserver.routing import Target, target_of, verb_of
from workqueue.testing.apiserver.streaming import Bell, Cut, Outlet, serve_watch
from workqueue.testing.apiserver.watching import Watch, WatchOptions

_HEALTH = frozenset({"healthz", "livez", "readyz"})
#: The words of a chosen answer that brings none of its own.
_REASONS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    410: ("Expired", "The resourceVersion for the provided watch is too old."),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request on its way to an answer."""

    request: web.BaseRequest
    query: dict[str, str]
    fault: Fault | None


class Handlers:
    """Answers every request. Runs on the server's loop."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        access: Access,
        faults: FaultBook,
        log: RequestLog,
        bell: Bell,
        bookmark_interval: float,
    ) -> None:
        """:param bookmark_interval: seconds between a watch's bookmarks."""
        self._cluster = cluster
        self._access = access
        self._faults = faults
        self._log = log
        self._bell = bell
        self._interval = bookmark_interval

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        query = dict(request.query)
        agent, accept = request.headers.get("User-Agent", ""), request.headers.get("Accept", "")
        self._log.add(RecordedRequest(request.method, request.path, query, agent, accept))
        fault = self._faults.take(request.method, request.path, query)
        try:
            if fault is not None and fault.status:
                return await self._send(request, _chosen(fault), fault)
            if fault is not None and fault.hang and not (fault.after_events or fault.inject):
                await self._bell.stopped.wait()
                return web.Response(status=503)
            try:
                return await self._answer(_Exchange(request, query, fault))
            except PageNotFound as error:
                answer = web.Response(status=404, text=f"{error.message}\n")
            except ApiError as error:
                answer = _json(error.status, status=error.code)
            except web.HTTPRequestEntityTooLarge:
                answer = _json(errors.too_large_body().status, status=413)
            return await self._send(request, answer, fault)
        except (Cut, ConnectionError):
            # Nothing can be said on a closed connection; aiohttp notices that this answer goes nowhere.
            return web.Response(status=500)

    async def _send(self, request: web.BaseRequest, answer: web.Response, fault: Fault | None) -> web.StreamResponse:
        """An answer as it is, or cut off."""
        if request.query.get("pretty") or request.headers.get("User-Agent", "").startswith(("curl/", "Mozilla/")):
            answer = _indented(answer)
        if fault is None or fault.cut_after_bytes is None:
            return answer
        body = answer.body
        assert isinstance(body, bytes), "answers have bodies of bytes"
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(body)
        outlet = Outlet(request, response, fault, self._bell)
        await outlet.begin()
        await outlet.data(body)
        return response

    async def _answer(self, exchange: "_Exchange") -> web.StreamResponse:
        request = exchange.request
        parts = [part for part in request.path.split("/") if part]
        match parts:
            case ["version"]:
                answer = _json(discovery.VERSION)
            case [health, *_] if health in _HEALTH:
                answer = web.Response(text="ok")
            case ["openapi", "v3"]:
                answer = _json(openapi.index(self._cluster.registry))
            case ["openapi", "v3", *path]:
                answer = _json(openapi.document(self._cluster.registry, path))
            case ["api"]:
                answer = _json(discovery.core_versions(request.host))
            case ["apis"]:
                answer = _json(discovery.group_list(self._cluster.registry))
            case ["apis", group]:
                answer = _json(discovery.group(self._cluster.registry, group))
            case ["api", *path]:
                return await self._resource_request(exchange, "", path)
            case ["apis", group, *path]:
                return await self._resource_request(exchange, group, path)
            case _:
                raise PageNotFound
        return await self._send(request, answer, exchange.fault)

    async def _resource_request(self, exchange: "_Exchange", group: str, path: list[str]) -> web.StreamResponse:
        """Answer what is asked of a group.

        :param path: behind the group: its version, and what follows.
        """
        request, query, fault = exchange.request, exchange.query, exchange.fault
        version, *rest = path
        registry = self._cluster.registry
        resources = registry.resources(group, version)
        if resources is None:
            custom = any(resource.custom for resource in registry.all() if resource.group == group)
            raise PageNotFound if custom or group not in registry.versions() else errors.no_such_resource()
        if not rest:
            answer = _json(discovery.resource_list(f"{group}/{version}" if group else version, resources))
            return await self._send(request, answer, fault)
        if rest[0] == "watch":
            rest, query["watch"] = rest[1:], "true"
        target = target_of({resource.plural: resource for resource in resources}, rest)
        verb = verb_of(request.method, target, query)
        self._check(verb, target)
        if verb == "watch":
            return await self._watch(exchange, target)
        return await self._send(request, self._do(verb, target, query, request.headers, await request.read()), fault)

    def _check(self, verb: str, target: Target) -> None:
        resource = target.resource
        full = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
        if verb not in resource.verbs:
            raise errors.method_not_allowed()
        self._access.check(verb, resource.group, full, namespace=target.namespace, name=target.name)

    def _do(
        self, verb: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> web.Response:
        """Everything that is answered at once."""
        cluster, resource, namespace, name = self._cluster, target.resource, target.namespace, target.name
        view = rendering.negotiate(headers.get("Accept", ""))
        dry_run = bool(query.get("dryRun"))
        match verb:
            case "get":
                version = query.get("resourceVersion", "")
                if version and not version.isdigit():
                    raise errors.bad_version(version)
                if int(version or 0) > (current := cluster.store.version):
                    raise errors.too_large_version(int(version), current)
                return _object(resource, cluster.read(resource, namespace, name), view)
            case "list":
                options = listing.ListOptions.parse(resource, namespace, query)
                return _bytes(rendering.many(resource, listing.read_page(cluster.store, resource, options), view))
            case "create" if resource.plural == "selfsubjectaccessreviews":
                return _json(
                    self._access.review(bodies.document(body, resource, headers.get("Content-Type", ""))), status=201
                )
            case "create":
                made = cluster.create(
                    resource,
                    namespace,
                    bodies.document(body, resource, headers.get("Content-Type", "")),
                    dry_run=dry_run,
                )
                return _object(resource, made, view, status=201)
            case "update":
                entry, created = cluster.update(
                    resource,
                    namespace,
                    name,
                    bodies.document(body, resource, headers.get("Content-Type", "")),
                    subresource=target.subresource,
                    dry_run=dry_run,
                )
                return _object(resource, entry, view, status=201 if created else 200)
            case "patch":
                entry, created = cluster.patch(
                    resource,
                    namespace,
                    name,
                    bodies.patch(body),
                    kind=bodies.patch_type(resource, headers.get("Content-Type", "")),
                    subresource=target.subresource,
                    dry_run=dry_run,
                )
                return _object(resource, entry, view, status=201 if created else 200)
            case "delete":
                done = delete(cluster, resource, namespace, name, bodies.delete_options(body, query))
                if done.show_object:
                    return _object(resource, done.entry, view)
                details = errors.about(name, resource.group, resource.plural) | {"uid": done.entry.metadata["uid"]}
                return _json(errors.success(details))
            case _:
                return self._delete_collection(target, query, view, bodies.delete_options(body, query))

    def _delete_collection(
        self, target: Target, query: Mapping[str, str], view: View, options: DeleteOptions
    ) -> web.Response:
        cluster, resource = self._cluster, target.resource
        with cluster.store.lock:
            page = listing.read_page(
                cluster.store, resource, listing.ListOptions.parse(resource, target.namespace, query)
            )
            for entry in page.entries:
                delete(cluster, resource, entry.namespace, entry.name, options)
            return _bytes(rendering.many(resource, page, view))

    async def _watch(self, exchange: "_Exchange", target: Target) -> web.StreamResponse:
        request, query, fault = exchange.request, exchange.query, exchange.fault
        options = WatchOptions.parse(target.resource, target.namespace, query)
        view = rendering.negotiate(request.headers.get("Accept", ""))
        watch = Watch(self._cluster.store, target.resource, options, view)
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        outlet = Outlet(request, response, fault, self._bell)
        await outlet.begin()
        if view is not View.METADATA_LIST:
            await serve_watch(watch, outlet, self._bell, interval=self._interval)
        await response.write_eof()
        return response


def _bytes(body: bytes, *, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-cache, private"}
    return web.Response(body=body + b"\n", status=status, content_type="application/json", headers=headers)


def _json(document: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return _bytes(orjson.dumps(document), status=status)


def _object(resource: Resource, entry: Any, view: View, *, status: int = 200) -> web.Response:
    return _bytes(rendering.one(resource, entry, view), status=status)


def _indented(answer: web.Response) -> web.Response:
    if answer.content_type == "application/json" and isinstance(answer.body, bytes):
        answer.body = orjson.dumps(orjson.loads(answer.body), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return answer


def _chosen(fault: Fault) -> web.Response:
    """The answer that a fault has in place of the real one."""
    if isinstance(fault.body, bytes):
        answer = web.Response(body=fault.body, status=fault.status, content_type="application/json")
    elif fault.body is not None:
        answer = _json(fault.body, status=fault.status)
    else:
        reason, message = _REASONS.get(fault.status, ("", "a scripted fault"))
        answer = _json(ApiError(fault.status, message, reason=reason).status, status=fault.status)
    answer.headers.update(fault.headers)
    return answer
