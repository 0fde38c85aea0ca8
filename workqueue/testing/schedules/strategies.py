"""Who goes on, out of those that can: all schedules in turn, random ones, or one that is known."""

import random
from collections.abc import Sequence
from typing import Protocol

from workqueue.testing.schedules.members import Member


class Misfit(Exception):
    """The run came to another point than the same choices led to before. Never leaves this package."""


class Strategy(Protocol):
    """Asked at each scheduling point."""

    #: While True, a thread that can go on does, and is not asked about.
    stays: bool

    def choose(self, point: int, me: Member, options: list[Member]) -> Member:
        """Say who goes on.

        :param point: how many points came before this one.
        :param me: whose point it is; not among the options if it has to wait.
        :param options: who can go on, in the order of their numbers; at least one; the callee's to change.
        :raises Misfit: if others could when the same choices were made before.
        """


class Node:
    """A point where more than one could go on."""

    __slots__ = ("index", "options", "point")

    def __init__(self, point: int, options: tuple[int, ...]) -> None:
        self.point = point
        #: Their numbers, in the order in which they are tried: first who needs no preemption.
        self.options = options
        #: Which one is tried now.
        self.index = 0


class DepthFirst:
    """All schedules with at most so many preemptions, each once."""

    def __init__(self, preemptions: int) -> None:
        self._preemptions = preemptions
        #: Where there was a choice, in the schedule that is tried now. The first _reached were met in this run.
        self._nodes: list[Node] = []
        self._reached = 0
        #: How many preemptions this run may still have.
        self._left = preemptions
        #: True once a schedule was left out because it has more preemptions.
        self.cut = False
        # Only then, for until then each point must be looked at.
        self.stays = False

    def choose(self, point: int, me: Member, options: list[Member]) -> Member:
        """See :class:`Strategy`."""
        if len(options) == 1:
            return options[0]
        can_stay = me.needs.owner is None
        if can_stay:
            if not self._left:
                self.cut = self.stays = True
                return me
            options.remove(me)
            options.insert(0, me)
        numbers = tuple([each.index for each in options])
        if self._reached < len(self._nodes):
            node = self._nodes[self._reached]
            if node.options != numbers or node.point != point:
                raise Misfit(f"threads {node.options} could go on at point {node.point}, now {numbers} at {point}")
        else:
            node = Node(point, numbers)
            self._nodes.append(node)
        self._reached += 1
        if can_stay and node.index:
            self._left -= 1
            self.stays = self.cut and not self._left
        return options[node.index]

    def advance(self) -> bool:
        """After a run: turn to the next schedule.

        :return: False if there is none.
        :raises Misfit: if the run ended before the point where it should have gone another way.
        """
        if self._reached < len(self._nodes):
            raise Misfit(
                f"threads {self._nodes[-1].options} could go on at point {self._nodes[-1].point}, now none is reached"
            )
        while self._nodes and self._nodes[-1].index + 1 == len(self._nodes[-1].options):
            self._nodes.pop()
        if not self._nodes:
            return False
        self._nodes[-1].index += 1
        self._reached = 0
        self._left = self._preemptions
        self.stays = self.cut and not self._left
        return True


class Priorities:
    """Probabilistic concurrency testing (Burckhardt and others, 2010).

    Each thread has a random priority and the highest that can goes on; at a few random points whoever
    runs falls to the lowest. A bug that needs d steps in a certain order is met with d - 1 such points
    in one run of at most n * k**(d - 1), for n threads and k points. A coin tossed at each point does
    worse: it hardly ever leaves one thread alone for long.
    """

    stays = False

    def __init__(self, dice: random.Random, *, changes: int, points: int) -> None:
        """:param changes, points: how many points of change, and among how many."""
        self._dice = dice
        self._changes = frozenset(dice.randrange(points) for _ in range(changes))
        #: By the number of the thread. Those that fell are at zero or below, the last the lowest.
        self._priorities: dict[int, float] = {}

    def choose(self, point: int, me: Member, options: list[Member]) -> Member:
        """See :class:`Strategy`."""
        priorities = self._priorities
        for each in options:
            if each.index not in priorities:
                priorities[each.index] = 1 + self._dice.random()
        if point in self._changes:
            priorities[me.index] = -point
        return max(options, key=lambda each: priorities[each.index])


class Follow:
    """The schedule of an earlier run, and after its end whoever can stay."""

    stays = False

    def __init__(self, path: Sequence[int]) -> None:
        """:param path: the number of the thread that goes on, for each point."""
        self._path = path
        #: How much of the path is needed to have this run again.
        self.needed = 0

    def choose(self, point: int, me: Member, options: list[Member]) -> Member:
        """See :class:`Strategy`."""
        default = me if me.needs.owner is None else options[0]
        if point >= len(self._path):
            return default
        for each in options:
            if each.index == self._path[point]:
                if each is not default:
                    self.needed = point + 1
                return each
        can = tuple([each.index for each in options])
        raise Misfit(f"thread {self._path[point]} should go on at point {point}, but only {can} can")
