"""Kopf's observers know in the end what there is, whatever their watches missed: random worlds, any order of Kopf's."""

import asyncio
import random
from collections import defaultdict, deque
from functools import partial

from kopf._cogs.structs.references import Insights
from kopf._core.reactor.observation import revise_namespaces
from kopf._core.reactor.queueing import get_uid

from tests.plugin.observed import BOOKMARK, END, LISTED, definition, listed, namespace, resource
from workqueue.plugin.observers import DEFINITIONS, NAMESPACES, BrokenListing, Observed


class World:
    """What the API server has, and its history."""

    def __init__(self, rng, make, names):
        self.rng, self.make, self.names = rng, make, names
        self.objects = {}
        self.history = []
        self.uids = 0

    @property
    def version(self):
        return len(self.history)

    def change(self):
        name = self.rng.choice(self.names)
        version = str(self.version + 1)
        if name not in self.objects:
            self.uids += 1
            self.objects[name] = self.make(name, uid=f"u{self.uids}", version=version)
            self.history.append(("ADDED", self.objects[name]))
        elif self.rng.random() < 0.5:
            self.objects[name] = self.make(name, uid=self.objects[name]["metadata"]["uid"], version=version)
            self.history.append(("MODIFIED", self.objects[name]))
        else:
            gone = self.objects.pop(name)
            self.history.append(("DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": version}}))

    def perhaps_change(self):
        for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2))):
            self.change()


class Broken(Exception):
    """The connection."""


class Watch:
    """One watch, as Kopf's continuous_watch yields it, of a world that changes meanwhile."""

    def __init__(self, world, listing, *, steps, breaks):
        self.world, self.listing, self.steps, self.breaks = world, listing, steps, breaks

    def perhaps_break(self):
        if self.world.rng.random() < self.breaks:
            raise Broken

    def events(self):
        world = self.world
        found, since = list(world.objects.values()), world.version
        world.rng.shuffle(found)
        end, initial = END, self.listing == "streamed"
        last = since
        for body in found:
            world.perhaps_change()
            try:
                self.perhaps_break()
            except Broken:
                if not initial or world.rng.random() < 0.5:
                    raise
                end, since = BOOKMARK, last  # Kopf goes on from the last that it saw
                break
            yield {"type": None, "object": body}
            last = int(body["metadata"]["resourceVersion"])
        if not initial:
            yield LISTED
        for step in range(self.steps):
            world.perhaps_change()
            while since < world.version:
                self.perhaps_break()
                kind, body = world.history[since]
                since += 1
                yield {"type": None if initial and kind == "ADDED" else kind, "object": body}
            if initial and (step == self.steps // 2 or world.rng.random() < 0.3):
                initial = False
                yield LISTED
                yield end


class Kopf:
    """Queues by uid, of which it takes any next; an event is processed in two steps, between which anything happens."""

    def __init__(self, rng, begin):
        self.rng, self.begin = rng, begin
        self.queues = defaultdict(deque)
        #: Second steps, by uid.
        self.begun = {}

    def take(self, event):
        if event is not LISTED and event["type"] != "BOOKMARK":
            self.queues[get_uid(event)].append(event)
        while self.rng.random() < 0.5 and self.step():
            pass

    def step(self):
        choices = [uid for uid in sorted({*self.queues, *self.begun}) if uid in self.begun or self.queues[uid]]
        if not choices:
            return False
        uid = self.rng.choice(choices)
        if uid in self.begun:
            self.begun.pop(uid)()
        elif (second := self.begin(self.queues[uid][0])) is not None:
            self.queues[uid].popleft()
            self.begun[uid] = second
        return True


def live(rng, world, observed, kopf):
    """Several watches, the last of which goes to its end without a break or a change."""
    listing = rng.choice(("paged", "streamed"))
    watches = [Watch(world, listing, steps=rng.randrange(1, 8), breaks=0.15) for _ in range(rng.randrange(1, 6))]
    for each in [*watches, Watch(world, listing, steps=4, breaks=0)]:
        observed.begin(listing=listing)
        try:
            for event in each.events():
                assert observed.understands(event)
                for seen in observed.see(event):
                    kopf.take(seen)
        except (Broken, BrokenListing):
            pass
        world.perhaps_change()
    # The last one ends with changes that nobody saw; a last listing of a world at rest tells them.
    observed.begin(listing="paged")
    for event in listed(*world.objects.values()):
        for seen in observed.see(event):
            kopf.take(seen)
    while kopf.step():
        pass


SEEDS = range(1500)


def test_whatever_happens_kopf_knows_the_namespaces_in_the_end():
    extras = 0
    for seed in SEEDS:
        rng = random.Random(seed)
        world = World(rng, namespace, "abcd")
        for _ in range(rng.randrange(6)):
            world.change()
        insights = asyncio.run(_insights())
        revise_namespaces(raw_bodies=list(world.objects.values()), insights=insights, namespaces=["*"])
        first_look = set(insights.namespaces)
        told_of = set()

        def process(event, insights=insights, told_of=told_of):
            told_of.add(event["object"]["metadata"]["name"])
            return partial(revise_namespaces, raw_events=[event], insights=insights, namespaces=["*"])

        for _ in range(rng.randrange(4)):
            world.change()
        live(rng, world, Observed(NAMESPACES), Kopf(rng, process))
        # What ended between Kopf's look and the first listing, and never came again, stays, as the module says.
        forgotten = first_look - told_of - set(world.objects)
        extras += len(forgotten)
        assert set(insights.namespaces) == set(world.objects) | forgotten, f"seed {seed}"
    assert extras, "that was tried, too"


async def _insights():
    return Insights()


def test_whatever_happens_kopf_knows_the_resources_in_the_end():
    names = ("as.a.dev", "bs.a.dev", "as.b.dev", "as.c.dev")
    for seed in SEEDS:
        rng = random.Random(seed)

        def make(name, rng=rng, **more):
            plural, _, group = name.partition(".")
            return definition(plural, group, served=rng.choice((("v1",), ("v2",), ("v1", "v2"))), **more)

        world = World(rng, make, names)
        asked = rng.choice((None, {"", "a.dev", "b.dev"}))
        for _ in range(rng.randrange(6)):
            world.change()

        def scan(groups, world=world):
            found = [resource("pods", "")] if groups is None or "" in groups else []
            return found + [
                resource(body["spec"]["names"]["plural"], body["spec"]["group"], version["name"])
                for body in world.objects.values()
                for version in body["spec"]["versions"]
                if version["served"] and (groups is None or body["spec"]["group"] in groups)
            ]

        known = set(scan(asked))
        observed = Observed(DEFINITIONS)
        observed.scanned(known, groups=asked)

        looking = set()

        def process(event, known=known, scan=scan, observed=observed, looking=looking):
            """A look at the group, as Endurance.discover makes them: in turn, and again after a listing."""
            group = event["object"]["spec"]["group"]
            if group in looking:
                return None  # later
            looking.add(group)
            found, listings = scan({group}), observed.listings

            def revise():
                now = found if observed.listings == listings else scan({group})
                observed.scanned(now, groups={group})
                known.difference_update([each for each in known if each.group == group])
                known.update(now)
                looking.remove(group)

            return revise

        for _ in range(rng.randrange(4)):
            world.change()
        live(rng, world, observed, Kopf(rng, process))

        def served(resources, asked=asked):
            return {each for each in resources if asked is None or each.group in asked}

        assert served(known) == served(scan(None)), f"seed {seed}"
