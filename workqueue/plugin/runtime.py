"""The life of everything in one operator: made at startup, gone after cleanup, ready for another run.

One runtime for each Kopf registry, however many managers are made for it: ``kopf run a.py b.py``
is one operator with one server and one drain. It hangs on the registry itself, so it is found
again by whoever has that, and goes with it.

Startup and cleanup handlers of ours never raise: Kopf would retry them every minute for ever. What
cannot be mended ends in :meth:`Runtime.fatal`: the reason is kept, Kopf is stopped, everything
drains, and the process ends with that one line and a status that is not 0.
"""

import asyncio
import contextvars
import functools
import itertools
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import kopf

from workqueue.base.clock import Clock, RealClock
from workqueue.base.errors import ConfigurationError, WorkqueueError
from workqueue.base.text import one_line
from workqueue.cache import Compression, IndexFunc, Transform
from workqueue.control import LoopStatistics, ReconcileFunc, WatchedLoop
from workqueue.control.events import EventRecorder, Outbox
from workqueue.control.options import QueueOptions
from workqueue.informer.lane import LaneName
from workqueue.plugin.controllers import ManagedController
from workqueue.plugin.endurance import Endurance
from workqueue.plugin.entrance import Entrance, patience
from workqueue.plugin.event_sink import KubernetesEventSink
from workqueue.plugin.impatience import Impatience
from workqueue.plugin.internals import has_handlers_of_others, hook_in, on_stop, selectors, stop_operator
from workqueue.plugin.lack import Reminder
from workqueue.plugin.lane_choice import choose_lanes
from workqueue.plugin.login import Login
from workqueue.plugin.noise import PREFIX, HandlerNoise, RunFieldsEverywhere, leave_finalizers_alone
from workqueue.plugin.probes import serve
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.said import Said
from workqueue.plugin.scope import Scope
from workqueue.plugin.sources import ResourceInformer
from workqueue.plugin.starting import start_when_synced
from workqueue.plugin.stopping import how_it_went, left_to_do
from workqueue.plugin.stream_lane import Streams
from workqueue.plugin.threads import in_thread
from workqueue.plugin.throttle import Throttle
from workqueue.prometheus import PrometheusMetrics
from workqueue.status import StatusServer

logger = logging.getLogger("workqueue.plugin")

#: Seconds that a stop may take, if no manager says.
GRACE = 20.0
#: Seconds that events are given to be sent after a drain that has used up the grace.
_EVENTS_AT_LEAST = 1.0

#: The name under which a registry carries its runtime.
_ATTRIBUTE = "_kopf_workqueue_runtime"


class Runtime:
    """See the module. Its state is touched in the thread of Kopf's loop, except where a lock is named."""

    def __init__(self, registry: kopf.OperatorRegistry) -> None:
        """:param registry: Kopf's. Use :meth:`of`."""
        self._registry = registry
        self.login = Login()
        self.metrics = PrometheusMetrics()
        self.metrics.loop_opened(self._loop_statistics)
        self.metrics.clients_opened(self.login.statistics)
        #: What the managers have said so far.
        self.said = Said()
        self._real_clock = RealClock()

        self._informers: list[ResourceInformer] = []
        self._controllers: dict[str, ManagedController] = {}
        self._noise = HandlerNoise()
        self._run_fields = RunFieldsEverywhere()
        self._impatience = Impatience()
        self._reminder: Reminder | None = None
        self._server: StatusServer | None = None
        self._entrance: Entrance | None = None
        #: When the stop began; None before.
        self._stopped_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        #: For coroutines; of the latest run.
        self._watched: WatchedLoop | None = None
        self._used = False
        #: True from Kopf's first login on: only then can an operator be stopped and still clean up.
        self._running = False
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: Guarded by _lock. Why the process ends; the first reason stands.
        self._reason: str | None = None
        #: Guarded by _lock. Sends events for all recorders; made with the first.
        self._outbox: Outbox | None = None

        kopf.on.startup(id=f"{PREFIX}startup", registry=registry)(self._startup)
        kopf.on.cleanup(id=f"{PREFIX}cleanup", registry=registry)(self._cleanup)
        kopf.on.login(id=f"{PREFIX}login", registry=registry)(self._log_in)

    @classmethod
    def of(cls, registry: kopf.OperatorRegistry) -> "Runtime":
        """The registry's runtime; made at the first call."""
        found: Runtime | None = getattr(registry, _ATTRIBUTE, None)
        if found is None:
            found = cls(registry)
            setattr(registry, _ATTRIBUTE, found)
        return found

    # While the operator is put together.

    def say(self, said: Said) -> None:
        """A manager says what holds for the whole operator.

        :raises ConfigurationError: if another manager has said otherwise; nothing is changed then.
        """
        self.said = self.said.and_also(said)

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self.said.clock if self.said.clock is not None else self._real_clock

    @property
    def grace(self) -> float:
        """Seconds that a stop may take."""
        return self.said.grace if self.said.grace is not None else GRACE

    def informer(
        self,
        spec: ResourceSpec,
        *,
        indexers: Mapping[str, IndexFunc] | None,
        transform: Transform | None,
        compression: Compression,
        metadata_only: bool,
        resync: float,
        consistency_check: float,
        cache_sync_timeout: float,
        lane: LaneName,
    ) -> ResourceInformer:
        """See :meth:`workqueue.Manager.informer`."""
        self._check_not_running(f"informer({str(spec)!r})")
        if lane not in get_args(LaneName):
            raise ConfigurationError(
                f"informer({str(spec)!r}): lane={lane!r}, expected one of {', '.join(get_args(LaneName))}"
            )
        if type(metadata_only) is not bool:
            raise ConfigurationError(
                f"informer({str(spec)!r}): metadata_only={metadata_only!r}, expected True or False"
            )
        if isinstance(cache_sync_timeout, bool) or not (
            isinstance(cache_sync_timeout, int | float) and cache_sync_timeout > 0
        ):
            raise ConfigurationError(
                f"informer({str(spec)!r}): cache_sync_timeout={cache_sync_timeout!r}, expected > 0"
            )
        taken = {source.name for source in self._informers}
        names = itertools.chain([str(spec)], (f"{spec}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        source = ResourceInformer(
            name,
            spec=spec,
            lane=lane,
            registry=self._registry,
            runtime=self,
            indexers=indexers,
            transform=transform,
            compression=compression,
            metadata_only=metadata_only,
            resync=resync,
            consistency_check=consistency_check,
            cache_sync_timeout=cache_sync_timeout,
            clock=self.clock,
        )
        self._informers.append(source)
        self.metrics.informer_opened(source.statistics)
        return source

    def controller(
        self,
        name: str,
        reconcile: ReconcileFunc,
        *,
        wait_for: Sequence[ResourceInformer] | ResourceInformer,
        workers: int,
        max_retries: int | None,
        timeout: float | None,
        max_replacements: int | None,
        options: QueueOptions,
    ) -> ManagedController:
        """See :meth:`workqueue.Manager.controller`."""
        self._check_not_running(f"controller {name!r}")
        if not (isinstance(name, str) and name.strip() and name.isprintable()):
            raise ConfigurationError(f"controller {name!r}: expected a name, such as 'pods'")
        if unknown := sorted(set(options) - QueueOptions.__optional_keys__):
            raise ConfigurationError(
                f"controller {name!r}: there is no option {', '.join(unknown)}; "
                f"there are {', '.join(sorted(QueueOptions.__optional_keys__))}"
            )
        if name in self._controllers:
            raise ConfigurationError(
                f"there is a controller {name!r} already: give one of them another name (a file that is loaded twice "
                "into one process, as by two KopfRunners, needs a registry of its own each time)"
            )
        controller = ManagedController(
            name,
            reconcile,
            wait_for=wait_for,
            workers=workers,
            max_retries=max_retries,
            timeout=timeout,
            max_replacements=max_replacements,
            options=options,
            loop=lambda: self._watched,
            clock=self.clock,
            metrics=self.metrics,
        )
        self._controllers[name] = controller
        return controller

    def _check_not_running(self, made: str) -> None:
        """What is made too late would be dead: Kopf has been told what to watch, and threads have been started."""
        loop = self._loop
        # Should a run have ended without its cleanup, its loop is there still, and stands still.
        if loop is not None and loop.is_running():
            raise ConfigurationError(
                f"{made}: the operator runs already; make informers and controllers while the file is loaded"
            )

    def waiting_for(self, source: ResourceInformer) -> list[str]:
        """The names of the controllers that wait for an informer."""
        return [name for name, managed in list(self._controllers.items()) if source in managed.wait_for]

    def recorder(self, component: str) -> EventRecorder:
        """See :meth:`workqueue.Manager.recorder`; from any thread."""
        with self._lock:
            if self._outbox is None:
                self._outbox = Outbox(KubernetesEventSink(self.login), clock=self.clock)
                self.metrics.events_opened(self._outbox.statistics)
            return EventRecorder(component, outbox=self._outbox)

    @property
    def outbox(self) -> Outbox | None:
        """What sends the events of all recorders; None as long as there are none."""
        with self._lock:
            return self._outbox

    # Kopf's activities.

    async def _startup(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        try:
            self._start(settings)
        except WorkqueueError as error:
            self.fatal(str(error))
        except Exception as error:
            logger.exception("the startup failed")
            self.fatal(f"the startup failed: {error!r}")

    def _start(self, settings: kopf.OperatorSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._running = False
        self._stopping.clear()
        self._reason = None
        self._noise.attach()
        self._watched = WatchedLoop(clock=self.clock, loop=self._loop)
        if self._used:
            for informer in self._informers:
                informer.renew()
            for controller in self._controllers.values():
                controller.renew()
            if self._outbox is not None:
                self._outbox.renew()
        self._used = True
        leave_finalizers_alone(settings, self._registry)
        scope = Scope.of_run(settings, self.said.namespaces)
        endurance = Endurance(self.clock)
        lanes = choose_lanes({informer.name: informer.wanted_lane for informer in self._informers})
        streams = [informer.stream_lane for informer in self._informers if lanes[informer.name] == "stream"]
        intake = None
        if streams:
            intake = Streams(
                streams,
                settings=settings,
                scope=scope,
                registry=self._registry,
                ambiguous=self.fatal,
                clock=self.clock,
            )
        if not hook_in(settings, endurance, intake):
            logger.warning("this version of Kopf ends the operator when the API server errs for a minute")
        self.login.begin(
            functools.partial(self.login.log_in, settings=settings, logger=logger),
            workers=lambda: sum(managed.controller.workers for managed in list(self._controllers.values())),
            throttle=Throttle(*self.said.rate, clock=self.clock) if self.said.rate is not None else None,
            clock=self.clock,
        )
        self._entrance = Entrance(
            self.login,
            scope=scope,
            specs=lambda: [informer.spec for informer in self._informers],
            patience=patience(self.said.api_server_timeout),
            endurance=endurance,
            clock=self.clock,
        )
        self._stopped_at = None
        on_stop(self._loop, self._on_stop)
        self._server = serve(
            self.said.bind,
            loop=self._loop,
            informers=self._informers,
            controllers=self._controllers,
            metrics=self.metrics,
            stopping=lambda: self._stopping.is_set() or self._reason is not None,
        )
        for informer in self._informers:
            informer.start(scope, lane=lanes[informer.name], selectors=functools.partial(selectors, settings))
            logger.info("informer %s: %s lane", informer.name, lanes[informer.name])
        self._reminder = Reminder([informer.lack for informer in self._informers], clock=self.clock)
        self._reminder.start()
        for controller in self._controllers.values():
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(self._start_when_synced, controller),
                name=f"workqueue-start-{controller.name}",
                daemon=True,
            ).start()

    async def _log_in(self, settings: kopf.OperatorSettings, **kwargs: Any) -> kopf.ConnectionInfo:
        """Kopf's login. It is also the first thing of ours that runs after all startup handlers are through."""
        self._running = True
        self._run_fields.attach()  # to what those have set up, too
        # Kopf takes the signals an iteration of the loop after it began its tasks, this one included.
        for _ in range(3):
            await asyncio.sleep(0)
        self._impatience.arm()
        if self._reason is None and self._entrance is not None:
            try:
                return await self._entrance.log_in(settings=settings, **kwargs)
            except ConfigurationError as error:
                self.fatal(str(error))
            except Exception as error:
                self.fatal(f"the login failed: {error!r}")
        self._stop_kopf()
        await asyncio.Event().wait()  # Kopf cancels this while it stops
        raise AssertionError("an event that nobody sets was set")

    async def _cleanup(self, **_: Any) -> None:
        try:
            await self._stop()
        except Exception:
            logger.exception("the cleanup failed")
        if self._reason is not None:
            raise SystemExit(f"error: {self._reason}")

    def _on_stop(self) -> None:
        """The first thing that happens when Kopf stops, before its watches end."""
        self._stopped_at = self.clock.now()
        self._stopping.set()
        self.login.drain()
        impatience = "; a second signal ends it now" if self._impatience.has_begun else ""
        for name, managed in self._controllers.items():
            if left := left_to_do(managed.controller):
                logger.info("controller %s stopping: %s, up to %g s%s", name, left, self.grace, impatience)

    async def _stop(self) -> None:
        self._stopping.set()
        stops = [
            *(in_thread(informer.stop, name=f"workqueue-stop-{informer.name}") for informer in self._informers),
            *(
                in_thread(functools.partial(self._drain, controller), name=f"workqueue-drain-{name}")
                for name, controller in self._controllers.items()
            ),
        ]
        for outcome in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logger.error("the stop of a part failed: %r", outcome, exc_info=outcome)
        if self._outbox is not None:
            timeout = max(_EVENTS_AT_LEAST, self._grace_left())
            await in_thread(functools.partial(self._outbox.close, timeout), name="workqueue-stop-events")
        if self._reminder is not None:
            self._reminder.stop()
            self._reminder = None
        if self._server is not None:
            self._server.stop()
            self._server = None
        self.login.close()
        if self._watched is not None:
            self._watched.close()
            self._watched = None
        self._noise.detach()
        self._run_fields.detach()
        self._impatience.disarm()
        self._loop = None

    def _drain(self, managed: ManagedController) -> None:
        controller = managed.controller
        started = controller.statistics().started
        drained = controller.stop(self._grace_left())
        if not started and drained:
            return  # it had nothing to do, and did nothing
        queue = controller.queue.statistics()
        logger.info(
            "controller %s stopped: %s; %d keys queued and %d in processing were left, %d delayed keys dropped",
            managed.name,
            how_it_went(controller, drained=drained, started=started, grace=self.grace),
            queue.ready, queue.processing, queue.dropped,
        )  # fmt: skip
        for run in controller.left():
            logger.warning("controller %s: abandoned: %s", managed.name, run)

    def _grace_left(self) -> float:
        """Seconds."""
        spent = self.clock.now() - self._stopped_at if self._stopped_at is not None else 0.0
        return max(0.0, self.grace - spent)

    # In threads.

    def _start_when_synced(self, managed: ManagedController) -> None:
        start_when_synced(managed, is_stopping=self._stopping.is_set, has_feeders=self._has_feeders, fatal=self.fatal)

    def _has_feeders(self, managed: ManagedController) -> bool:
        # What adds keys later can be no handler of ours that does not exist yet; it may be one of Kopf's.
        sources = managed.wait_for or tuple(self._informers)
        return any(source.handlers_lane.has_handlers for source in sources) or has_handlers_of_others(
            self._registry, ours=(PREFIX,)
        )

    def fatal(self, reason: str) -> None:
        """End the operator with one line and a status that is not 0; from any thread. The first reason stands."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = one_line(reason, limit=2000)
        loop = self._loop
        if loop is not None and self._running:
            loop.call_soon_threadsafe(self._stop_kopf)

    def _loop_statistics(self) -> LoopStatistics:
        return LoopStatistics() if self._watched is None else self._watched.statistics()

    def _stop_kopf(self) -> None:
        if self._loop is not None and not stop_operator(self._loop):
            logger.error("%s; Kopf could not be told to stop", self._reason)
