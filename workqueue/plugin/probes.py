"""The probes of a running operator, and the address they are served at.

``/livez`` fails only for what a restart mends: a loop that does not answer, a dead worker. A cache
that is not synced, or a stop under way, make it not ready and no worse.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence

from workqueue.base.errors import ConfigurationError
from workqueue.plugin.controllers import ManagedController
from workqueue.plugin.sources import ResourceInformer
from workqueue.prometheus import PrometheusMetrics
from workqueue.status import StatusServer, parse_address

logger = logging.getLogger("workqueue.plugin")

DEFAULT_BIND = "127.0.0.1:8080"
BIND_VARIABLE = "WORKQUEUE_BIND_ADDRESS"


def serve(
    bind: str | None,
    *,
    loop: asyncio.AbstractEventLoop,
    informers: Sequence[ResourceInformer],
    controllers: Mapping[str, ManagedController],
    metrics: PrometheusMetrics,
    stopping: Callable[[], bool],
) -> StatusServer | None:
    """Start the server for probes and metrics.

    :param bind: ``host:port``, "0" for nowhere; None leaves it to the environment, else to DEFAULT_BIND.
    :param loop: Kopf's.
    :param informers: whose caches must be synced to be ready.
    :param controllers: whose workers must be alive.
    :param metrics: the page at /metrics.
    :param stopping: says whether the operator is on its way out.
    :return: None where nothing is to be served.
    :raises ConfigurationError: if the address cannot be had.
    """
    text = bind or os.environ.get(BIND_VARIABLE) or DEFAULT_BIND
    address = parse_address(text)
    if address is None:
        logger.info("probes and metrics: off")
        return None

    async def check_loop() -> str | None:
        if loop.is_closed():
            return "Kopf's loop is gone"
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop))
        return None

    async def check_workers() -> str | None:
        for name, managed in controllers.items():
            controller = managed.statistics()
            dead = controller.max_workers - controller.workers
            if controller.started and dead > 0 and not stopping():
                return f"controller {name}: {dead} of {controller.max_workers} workers are dead"
            if 0 < controller.workers <= controller.lost:
                return f"controller {name}: all {controller.lost} workers are stuck"
        return None

    async def check_stopping() -> str | None:
        return "the operator is stopping" if stopping() else None

    async def check_caches() -> str | None:
        return "; ".join(source.lane.problem for source in informers if not source.is_ready) or None

    server = StatusServer(
        *address,
        live={"loop": check_loop, "workers": check_workers},
        ready={"stopping": check_stopping, "caches": check_caches},
        pages={"/metrics": metrics.render},
    )
    try:
        server.start()
    except OSError as error:
        why = (
            os.strerror(error.errno).lower() if error.errno else str(error)
        )  # asyncio's own text names the address again
        raise ConfigurationError(
            f"cannot serve probes and metrics at {text} ({why}): "
            f"set {BIND_VARIABLE} to a free address, or to 0 for none"
        ) from None
    logger.info("probes and metrics at http://%s:%d/livez /readyz /metrics", server.host, server.port)
    return server
