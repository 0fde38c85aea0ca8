"""The manager: where an operator is put together, in a few lines of a file that Kopf loads."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Unpack

import kopf
from kubernetes import client as kubernetes_client
from pykube import HTTPClient

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.cache import Compression, IndexFunc, Transform
from workqueue.control import ReconcileFunc
from workqueue.control.events import EventRecorder
from workqueue.control.options import QueueOptions
from workqueue.informer.lane import LaneName
from workqueue.plugin.controllers import ManagedController
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.runtime import Runtime
from workqueue.plugin.said import Said
from workqueue.plugin.sources import ResourceInformer
from workqueue.plugin.throttle import DEFAULT_BURST
from workqueue.status import parse_address


class Manager:
    """Makes informers and controllers. Inert: Kopf's startup brings them to life, its cleanup ends them."""

    def __init__(
        self,
        *,
        registry: kopf.OperatorRegistry | None = None,
        bind: str | None = None,
        grace: float | None = None,
        namespaces: Collection[str] | None = None,
        api_server_timeout: float | None = None,
        qps: float | None = None,
        burst: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        """
        Several managers of one registry are one operator: a value that one of them gives holds for all, and another one
        must not be given.

        :param registry: Kopf's registry, as of Kopf's own decorators; the default one by default, which is the one that
            ``kopf run`` starts. Another one lives only where Kopf is started with it, as by
            ``KopfRunner(…, registry=registry)`` or ``kopf.run(registry=registry)``; under ``kopf run`` nothing of it
            does.
        :param bind: where probes and metrics are served, ``host:port``, or "0" for nowhere; the environment's
            WORKQUEUE_BIND_ADDRESS by default, else 127.0.0.1:8080.
        :param grace: seconds that a stop waits for queued work; 20 by default. Keep it below the pod's
            terminationGracePeriodSeconds.
        :param namespaces: the namespaces that the operator serves, only for operators that are not started by
            ``kopf run``; there it is known, and must not be another one.
        :param api_server_timeout: seconds to wait at the start for an API server that is not up yet; the environment's
            WORKQUEUE_API_SERVER_TIMEOUT by default, else 0: without one the operator ends with one line. From the
            first login on, an API server that is away is waited for without end.
        :param qps: requests a second that :meth:`kubernetes` and :meth:`pykube` make together, and informers where they
            ask by themselves; others wait for their turn. None, the default, holds none back, as in controller-runtime.
            What Kopf asks itself does not count.
        :param burst: how many of them can be made at once after a time without any; 10 by default, as in client-go.
        :param clock: where time comes from; for tests.
        :raises ConfigurationError: if one of them cannot be, or another manager of the registry has said otherwise.
        """
        if registry is not None and not isinstance(registry, kopf.OperatorRegistry):
            raise ConfigurationError(f"Manager(registry={registry!r}): expected a kopf.OperatorRegistry")
        if bind is not None:
            parse_address(str(bind))
        if grace is not None and not _is_time(grace):
            raise ConfigurationError(f"Manager(grace={grace!r}): expected seconds, 0 or more")
        if api_server_timeout is not None and not _is_time(api_server_timeout):
            raise ConfigurationError(f"Manager(api_server_timeout={api_server_timeout!r}): expected seconds, 0 or more")
        if clock is not None and not all(callable(getattr(clock, verb, None)) for verb in ("now", "wait")):
            raise ConfigurationError(
                f"Manager(clock={clock!r}): expected a clock, such as workqueue.testing.FakeClock()"
            )
        said = Said(
            bind=str(bind) if bind is not None else None,
            namespaces=_names(namespaces) if namespaces is not None else None,
            grace=grace,
            api_server_timeout=api_server_timeout,
            rate=_rate(qps, burst) if qps is not None or burst is not None else None,
            clock=clock,
        )
        self._runtime = Runtime.of(registry if registry is not None else kopf.get_default_registry())
        self._runtime.say(said)

    def informer(
        self,
        *resource: str,
        indexers: Mapping[str, IndexFunc] | None = None,
        transform: Transform | None = None,
        compression: Compression = "auto",
        metadata_only: bool = False,
        resync: float = 0.0,
        consistency_check: float = 0.0,
        cache_sync_timeout: float = 120.0,
        lane: LaneName = "auto",
        **selector: str,
    ) -> ResourceInformer:
        """Watch a resource and keep its objects in a cache.

        :param resource: one resource in any way in which Kopf names it: ``"pods"``, ``"deployments.apps"``,
            group, version and plural.
        :param indexers: secondary indexes by name; there is always one by "namespace".
        :param transform: changes each object before it is stored.
        :param compression: "auto" makes bodies small in a cache of a megabyte and more, mostly a tenth of what they
            are, for a few microseconds at each look; "zstd" in any, "none" in none.
        :param metadata_only: ask for objects' metadata, and keep nothing else: for those who need no more of a
            resource, such as owners, labels or names. On the handlers lane, and where Kopf has handlers of its own on
            the resource, the objects come whole and are cut.
        :param resync: seconds after which each cached object is delivered again as an update; 0 is never.
        :param consistency_check: seconds after which the cache is compared with a fresh list of metadata, again and
            again; what differs is reported, counted and mended. 0 is never, which is right for most.
        :param cache_sync_timeout: seconds to wait for the first sync, counted while the resource is served;
            then the operator ends with one line that names the resource.
        :param lane: how events come: "stream" reads the bytes of Kopf's watch, "handlers" goes through Kopf's public
            handlers, "auto" takes what the environment's WORKQUEUE_LANE says, else the first where Kopf is one that it
            knows, and the second with a warning where it is not.
        :param selector: group, version, kind, plural, singular or shortcut by keyword, as in Kopf.
        :raises ConfigurationError: if it is not the name of one resource, or a number is out of range.
        """
        return self._runtime.informer(
            ResourceSpec.parse(*resource, **selector),
            indexers=indexers,
            transform=transform,
            compression=compression,
            metadata_only=metadata_only,
            resync=resync,
            consistency_check=consistency_check,
            cache_sync_timeout=cache_sync_timeout,
            lane=lane,
        )

    def controller(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        wait_for: Sequence[ResourceInformer] | ResourceInformer = (),
        workers: int = 1,
        max_retries: int | None = None,
        timeout: float | None = None,
        max_replacements: int | None = None,
        **queue: Unpack[QueueOptions],
    ) -> ManagedController:
        """Drain a queue of keys with a bounded number of workers.

        :param name: for threads, logs and metrics; one for each controller.
        :param reconcile: called with a :class:`workqueue.Request`; returns None or a :class:`workqueue.Result`. A plain
            function is called in a worker's thread, an ``async def`` on Kopf's loop.
        :param wait_for: informers whose caches must be synced before the first worker starts; ``request.get()``
            looks in the first one.
        :param workers: how many keys are worked on at once.
        :param max_retries: after how many retries a failing key is parked, until it changes or somebody asks for it;
            None is never.
        :param timeout: seconds that one run may take; then it has failed. An ``async def`` is cancelled, a thread goes
            on, and another takes its place. None is for ever.
        :param max_replacements: how many workers at a time that did not end in time are replaced; as many as there are
            workers by default.
        :param queue: ``rate_limiter``, ``max_starvation``, ``fairness``, ``debounce``: see
            :class:`workqueue.control.options.QueueOptions`.
        :raises ConfigurationError: if one of them cannot be, or the name is taken.
        """
        return self._runtime.controller(
            name,
            reconcile,
            wait_for=wait_for,
            workers=workers,
            max_retries=max_retries,
            timeout=timeout,
            max_replacements=max_replacements,
            options=queue,
        )

    def recorder(self, component: str) -> EventRecorder:
        """Tell of objects by Kubernetes events, which ``kubectl describe`` shows: see docs/events.md.

        :param component: who tells, such as "pod-controller".
        :raises ConfigurationError: if it is no name.
        """
        return self._runtime.recorder(component)

    def kubernetes(self) -> kubernetes_client.ApiClient:
        """The official client with Kopf's own login; one for all threads, and it stays good when the login is renewed.

        :raises RuntimeError: before Kopf has logged in.
        """
        return self._runtime.login.kubernetes()

    def pykube(self) -> HTTPClient:
        """A pykube client with Kopf's own login; one for each thread, and it stays good when the login is renewed.

        :raises RuntimeError: before Kopf has logged in.
        """
        return self._runtime.login.pykube()


def _rate(qps: object, burst: object) -> tuple[float, int]:
    """Both of the two, if they can be."""
    if qps is None:
        raise ConfigurationError(f"Manager(burst={burst!r}): it means something beside qps=… only")
    if not isinstance(qps, int | float) or isinstance(qps, bool) or not 0 < qps < math.inf:
        raise ConfigurationError(f"Manager(qps={qps!r}): expected requests a second, more than 0")
    if burst is None:
        burst = DEFAULT_BURST
    if not isinstance(burst, int) or isinstance(burst, bool) or burst < 1:
        raise ConfigurationError(f"Manager(burst={burst!r}): expected a whole number of at least 1")
    return qps, burst


def _names(namespaces: object) -> tuple[str, ...]:
    """At least one name or pattern, if they can be."""
    if isinstance(namespaces, Iterable) and not isinstance(namespaces, str | bytes | Mapping):
        names = tuple(namespaces)
        if names and all(isinstance(name, str) and name.strip() for name in names):
            return names
        namespaces = list(names)
    raise ConfigurationError(f"Manager(namespaces={namespaces!r}): expected a list of names")


def _is_time(seconds: object) -> bool:
    """A number of seconds, 0 or more; what comes from the environment is a text and none."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0
