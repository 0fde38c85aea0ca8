"""The start of one controller: once its caches are synced, and its handlers were told of everything that is there."""

import logging
from collections.abc import Callable

from workqueue.plugin.controllers import ManagedController

logger = logging.getLogger("workqueue.plugin")


def start_when_synced(
    managed: ManagedController,
    *,
    is_stopping: Callable[[], bool],
    has_feeders: Callable[[ManagedController], bool],
    fatal: Callable[[str], None],
) -> None:
    """Wait, then start the workers; in a thread of its own.

    :param managed: the controller.
    :param is_stopping: whether the operator does: then nothing is started, and nothing is an error.
    :param has_feeders: whether there is somebody who may add keys to it.
    :param fatal: called with one line if it cannot be started.
    """
    controller = managed.controller
    for source in managed.wait_for:
        if not source.informer.wait_for_sync(source.cache_sync_timeout):
            if not is_stopping():
                fatal(
                    f"the cache of {source.name} did not sync within {source.cache_sync_timeout:g} s "
                    f"({source.lane.problem}): controller {managed.name} was not started; if that is "
                    "only slow, give it a longer cache_sync_timeout; while Kopf is paused by peering nothing comes"
                )
            return
    if not all(source.informer.progress.wait_until_told() for source in managed.wait_for) or is_stopping():
        return
    managed.catch_up()
    controller.initial_keys_queued()
    logger.info(
        "controller %s: caches synced, %d keys queued, starting %d workers",
        managed.name, len(controller.queue), controller.workers,
    )  # fmt: skip
    if not managed.queue.statistics().adds and not has_feeders(managed):
        # Whoever forgot the handlers sees an operator that is well and does nothing.
        name = str(managed.wait_for[0].spec).partition(".")[0] if managed.wait_for else "informer"
        logger.warning(
            "controller %s: nothing adds keys to it: put @%s.on_add, @%s.on_update and @%s.on_delete above "
            "functions that call controller.add(key)",
            managed.name, name, name, name,
        )  # fmt: skip
    try:
        controller.start()
    except RuntimeError as error:
        if not is_stopping():  # else nothing is there any more that it could run on
            fatal(f"controller {managed.name} could not start its {controller.workers} workers: {error}")
