"""What is said of a controller when the operator stops: what there is to wait for, and what came of it."""

from workqueue.control import Controller


def left_to_do(controller: Controller) -> str:
    """What a stop that begins now waits for, in a few words; "" if that is nothing.

    :param controller: any; one without workers, or a paused one, begins no key that is queued.
    """
    statistics, queue = controller.statistics(), controller.queue.statistics()
    # Nobody waits for a run that is stuck.
    processing = max(0, queue.processing - len(statistics.stuck))
    if not statistics.started or not (processing or (queue.ready and not statistics.paused)):
        return ""
    return f"{queue.ready} keys queued, {processing} in processing"


def how_it_went(controller: Controller, *, drained: bool, started: bool, grace: float) -> str:
    """How a stop has ended, in a few words.

    :param controller: as it is after its stop.
    :param drained: what its stop returned.
    :param started: whether it had workers before the stop.
    :param grace: seconds that the operator gives a stop.
    """
    if drained:
        return "drained"
    if not started:
        return "never started"
    queue, stuck = controller.queue.statistics(), len(controller.statistics().stuck)
    if not queue.ready and 0 < queue.processing <= stuck:
        # Such runs are not waited for: however short the stop was, more time would not have helped.
        return f"not drained: {stuck} run{' is' if stuck == 1 else 's are'} stuck"
    return f"not drained within {grace:g} s"
