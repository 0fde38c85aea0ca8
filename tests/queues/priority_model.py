"""A priority queue that is only right: slow, and small enough to be believed. Each option is a class of its own."""

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

BASE, LIMIT = 1, 6  # seconds: of the limiter
MAX_STARVATION = 4
QUIET, MAX_WAIT = 2, 5


@dataclass
class Asked:
    """What was asked for of one key: ready, or waiting until it is due."""

    priority: int
    turn: int
    due: float = math.inf
    ready: bool = False
    since: float = 0  # when it became ready
    instants: list = field(default_factory=list)  # for Debounced: of its plain adds
    named: float = math.inf  # for Debounced: the earliest instant that was asked for in another way


class Model:
    """controller-runtime's words, with our departures."""

    def __init__(self):
        self.now, self.down, self.turns = 0, False, count(1)
        self.asked, self.hands = {}, {}  # hands: the priority, and since when
        self.free = {}  # keys that can be handed out, as they became so: since when
        self.failures = Counter()
        self.adds = self.retries = self.dropped = self.requests = 0
        self.queued_for, self.worked_for = [], []

    def ask(self, key, priority=None, delay=None):
        if self.down:
            self.dropped += delay is not None
            return
        self.requests += 1
        self.retries += delay is not None
        if priority is None:
            priority = 0 if delay is None or key not in self.hands else self.hands[key][0]
        asked = self.asked.get(key)
        if asked is None:
            asked = self.asked[key] = Asked(priority, next(self.turns))
        elif priority > asked.priority:
            asked.priority, asked.turn = priority, next(self.turns)
        if not asked.ready:
            self.put_off(asked, delay)
            if asked.due <= self.now:
                self.enter(key, asked)

    def put_off(self, asked, delay):
        asked.due = min(asked.due, self.now + max(delay or 0, 0))

    def enter(self, key, asked):
        asked.ready, asked.since = True, self.now
        self.adds += 1
        if key not in self.hands:
            self.free[key] = self.now

    def step(self, seconds):
        for _ in range(seconds):  # one after the other: what is due comes at its instant
            self.now += 1
            due = [key for key, asked in self.asked.items() if not asked.ready and asked.due == self.now]
            for key in sorted(due, key=lambda key: (-self.asked[key].priority, self.asked[key].turn)):
                self.asked[key].turn = next(self.turns)
                self.enter(key, self.asked[key])

    def rank(self, key):
        return -self.asked[key].priority, self.asked[key].turn

    def choose(self):
        return min(self.free, key=self.rank)

    def get(self):
        key = self.choose()
        asked = self.asked.pop(key)
        self.free.pop(key)
        self.hands[key] = asked.priority, self.now
        self.queued_for.append(self.now - asked.since)
        return key, asked.priority

    def done(self, key):
        if key in self.hands:
            self.worked_for.append(self.now - self.hands.pop(key)[1])
            if key in self.asked and self.asked[key].ready:
                self.free[key] = self.now

    def cancel(self, key):
        self.free.pop(key, None)
        return self.asked.pop(key, None) is not None

    def when(self, key, at_most=None):
        self.failures[key] += 1
        delay = min(BASE * 2 ** (self.failures[key] - 1), LIMIT)
        return delay if at_most is None else min(delay, at_most)

    def forget(self, key):
        self.failures[key] = 0

    def backs_off(self, key):
        return False

    def waiting(self):
        return [key for key, asked in self.asked.items() if not asked.ready]

    def shut_down(self):
        self.down = True
        for key in self.waiting():
            del self.asked[key]
            self.dropped += 1

    def is_idle(self):
        return not self.free and not self.hands


class Aged(Model):
    """Of every two keys one may be the oldest, if that has been ready for too long."""

    turned = False

    def choose(self):
        oldest, since = next(iter(self.free.items()))
        self.turned = not self.turned and self.now - since >= MAX_STARVATION
        return oldest if self.turned else super().choose()


class Fair(Model):
    """Inside a priority tenants take turns: a turn is from when a tenant came, or was served last."""

    def __init__(self):
        super().__init__()
        self.came = {}

    @staticmethod
    def tenant(key):
        return "even" if key in "bdf" else "odd" if key in "ac" else None

    def group(self, key):
        return self.asked[key].priority, self.tenant(key)

    def rank(self, key):
        priority, turn = super().rank(key)
        return priority, self.came[self.group(key)], turn

    def look(self):
        """After each change: who came, and who is gone."""
        self.came = {group: self.came.get(group) or next(self.turns) for group in map(self.group, self.free)}

    def choose(self):
        key = super().choose()
        del self.came[self.group(key)]  # if it has more keys, it comes again
        return key

    def enter(self, key, asked):
        super().enter(key, asked)
        self.look()

    def ask(self, *args, **options):
        super().ask(*args, **options)
        self.look()

    def get(self):
        got = super().get()
        self.look()
        return got

    def done(self, key):
        super().done(key)
        self.look()

    def cancel(self, key):
        taken = super().cancel(key)
        self.look()
        return taken


class Debounced(Model):
    """A plain add is for the end of a quiet period, or of the longest wait; an instant that was named stays."""

    def put_off(self, asked, delay):
        if delay is None:
            asked.instants.append(self.now)
            asked.due = min(asked.named, asked.instants[-1] + QUIET, asked.instants[0] + MAX_WAIT)
        else:
            asked.named = min(asked.named, self.now + max(delay, 0))
            asked.due = min(asked.due, asked.named)


@dataclass
class Wait:
    """The latest one of a key that failed."""

    delay: float
    until: float
    ran: bool = False
    early: bool = False


class Steady(Model):
    """A wait grows only after a run that came at its end."""

    def __init__(self):
        super().__init__()
        self.waits, self.exponents = {}, Counter()

    def when(self, key, at_most=None):
        self.failures[key] += 1
        at_most = math.inf if at_most is None else at_most
        wait = self.waits.get(key)
        if wait is not None and not wait.ran:
            wait.until = min(wait.until, self.now + at_most)
            return max(0, wait.until - self.now)
        if wait is not None and wait.early:
            delay = wait.delay
        else:
            self.exponents[key] += 1
            delay = min(BASE * 2 ** (self.exponents[key] - 1), LIMIT)
        delay = min(delay, at_most)
        self.waits[key] = Wait(delay, self.now + delay)
        return delay

    def forget(self, key):
        super().forget(key)
        self.exponents[key] = 0
        self.waits.pop(key, None)

    def backs_off(self, key):
        wait = self.waits.get(key)
        return wait is not None and (key in self.hands or (not wait.ran and self.now < wait.until))

    def over(self, key):
        wait = self.waits.get(key)
        if wait is not None and not wait.ran:
            wait.ran, wait.early = True, self.now < wait.until

    def get(self):
        key, priority = super().get()
        self.over(key)
        return key, priority

    def cancel(self, key):
        taken = super().cancel(key)
        if taken:
            self.over(key)
        return taken
