"""How much a queue keeps, counted and not weighed: the same on every machine."""

import gc
from collections import OrderedDict, deque

CONTAINERS = (dict, OrderedDict, list, deque, set)


def entries(queue):
    """The entries of all containers inside a queue, or a limiter, together: whatever they are for.

    Only what this package made is looked into, so keys may be anything.
    """
    seen, todo, count = set(), [queue], 0
    while todo:
        each = todo.pop()
        ours = type(each).__module__.startswith("workqueue.queues")
        if id(each) in seen or not (ours or isinstance(each, (*CONTAINERS, tuple))):
            continue
        seen.add(id(each))
        if isinstance(each, CONTAINERS):
            count += len(each)
        todo += gc.get_referents(each)
    return count


def extra(queue, *, than):
    """How many entries a queue has more than another one."""
    return entries(queue) - entries(than)
