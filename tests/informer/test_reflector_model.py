"""Random worlds: objects come, change and go, their server fails in every way, and the reflector follows.

Wherever it rests and says that it is live, the cache is the world, and what handlers heard folds to it. A failure
prints the seed of its world.
"""

import asyncio
import contextlib
import copy
import random

import orjson
import pytest

from tests.cache.objects import pod
from tests.informer.streams import (
    END,
    CarefulFold,
    FakeStream,
    Following,
    bookmark,
    by_key,
    cached,
    closing,
    error,
    line,
    page,
)
from workqueue.base.keys import object_key
from workqueue.cache import Indexer, field, label
from workqueue.informer import LISTED, Backoff, Informer, Interrupted, Reflector, Refused, liveness
from workqueue.testing import FakeClock

WORLDS = 160
STEPS = 25
NAMES = "abcdef"
LONG_AGO = "the connection broke"


class Storage:
    """What exists, and what happened."""

    def __init__(self, chance):
        self.chance = chance
        self.version = chance.choice([5, 95, 99990])
        self.objects = {}
        #: (version, kind, body), as far back as it is kept.
        self.history = []
        self.kept_from = self.version
        self.born = 0
        #: Storages never share a content, though they may share a version.
        self.era = 0

    def change(self):
        """Something happens to one object."""
        chance = self.chance
        key = chance.choice(NAMES), chance.choice("nm")
        known = self.objects.get(key)
        self.version += chance.choice([1, 1, 1, 7])
        if known is None or chance.random() < 0.2:
            if known is not None:
                self._happens("DELETED", key, known["metadata"]["uid"])
                self.version += 1
            self.born += 1
            self._happens("ADDED", key, f"u{self.born}")
        elif chance.random() < 0.3:
            self._happens("DELETED", key, known["metadata"]["uid"])
        else:
            self._happens("MODIFIED", key, known["metadata"]["uid"])

    def _happens(self, kind, key, uid):
        body = pod(*key, uid=uid, rv=self.version, node=f"n{self.version % 3}", of=[self.era, self.version],
                   labels={"app": "é"} if self.version % 2 else None)  # fmt: skip
        if self.version % 5 == 0:
            body["metadata"]["managedFields"] = [{"manager": "somebody", "fieldsV1": {"f:spec": {}}}]
        self.history.append((self.version, kind, body))
        if kind == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = body

    def forget(self):
        self.kept_from, self.history = self.version, []

    def truth(self):
        bodies = copy.deepcopy(list(self.objects.values()))
        for body in bodies:
            body["metadata"].pop("managedFields", None)
        return by_key(*bodies)


class Server:
    """Answers rightly, or fails at random. A :class:`workqueue.informer.Source`."""

    lifetime = 300.0

    def __init__(self, chance, *, storage):
        self.chance, self.storage = chance, storage
        self.stream = None
        self.sane = False
        self.has_streaming_lists = chance.random() < 0.7
        self.faults = 0
        self._pages = {}
        self._told = 0

    @property
    def resting(self):
        return self.stream is not None and self.stream.resting

    def fails(self, rate=0.25):
        failing = not self.sane and self.chance.random() < rate
        self.faults += failing
        return failing

    def _refuse(self, *more):
        raise self.chance.choice([
            Interrupted(LONG_AGO), Refused("later", code=429, retry_after=1.0), Refused("broken", code=500),
            Refused("forbidden", code=403), Refused("gone", code=404), *more,
        ])  # fmt: skip

    async def list(self, *, limit, continue_=""):
        await asyncio.sleep(0)
        if self.fails():
            self._refuse()
        version, left = self._pages.pop(continue_, None) or (self.storage.version, list(self.storage.objects.values()))
        if continue_ and self.fails():
            raise Refused("The provided continue parameter is too old", code=410, reason="Expired")
        size = (limit and min(limit, 2)) or len(left)
        left, rest = left[:size], left[size:]
        token = f"token {len(self._pages)} {self.chance.random()}" if rest else ""
        if rest:
            self._pages[token] = (version, rest)
        raw = page(*left, version=version, continue_=token)
        if self.fails(0.1):
            return raw[: self.chance.randrange(len(raw))]
        return raw

    @contextlib.asynccontextmanager
    async def watch(self, *, since):
        await asyncio.sleep(0)
        if self.fails():
            self._refuse(Refused("a bad day", code=400 if since is not None else 500))
        storage = self.storage
        if since is None and not self.has_streaming_lists:
            raise Refused("unknown field sendInitialEvents", code=422)
        self.stream = FakeStream()
        try:
            if since is None:
                events = [("ADDED", body) for body in storage.objects.values()]
                self.chance.shuffle(events)
                self._send([line(*event) for event in events], ends=storage.version)
            elif int(since) < storage.kept_from:
                if self.chance.random() < 0.5:
                    raise Refused("too old resource version", code=410, reason="Expired")
                self.stream.send(error(410, "too old resource version", "Expired"))
                self.stream.send(END)
            else:  # one of the future is accepted, and blind
                self._told = int(since)
                self.tell()
            yield self.stream
        finally:
            self.stream = None

    def tell(self):
        """The open stream brings what has happened."""
        news = [each for each in self.storage.history if each[0] > self._told]
        if self.stream is not None:
            self._told = max([self._told, *(each[0] for each in news)])
            self._send([line(kind, body) for _, kind, body in news])

    def _send(self, lines, *, ends=None):
        chance, stream = self.chance, self.stream
        if ends is not None:
            self._told = ends
            lines = [*lines, closing(ends)]
        elif not self.sane and chance.random() < 0.3:
            lines = [*lines, bookmark(self._told)]
        raw = b"".join(lines)
        if self.fails(0.15):
            at = chance.randrange(len(lines) + 1)
            raw = b"".join(lines[:at])
            last = chance.choice([
                Interrupted(LONG_AGO), END, "cut", error(410), error(500), error(429, retryAfterSeconds=1), error(0),
                error(400), b"nonsense\n", b"\n", line("MODIFIED", b"{"), line("ADDED", b"null"),
                line("DELETED", b"{}"),
                b'{"type":"MODIFIED","object":{"metadata":{"name":"a\n',
            ])  # fmt: skip
            if last == "cut":
                whole = b"".join(lines)
                raw, last = whole[: chance.randrange(len(whole) + 1)], Interrupted(LONG_AGO)
            if isinstance(last, bytes):
                raw, last = raw + last, END
            self._cut(raw)
            stream.send(last)
        else:
            self._cut(raw)

    def _cut(self, raw):
        """In pieces of any size."""
        while raw:
            size = self.chance.choice([1, 10, 100, 1000, 100000])
            self.stream.send(raw[:size])
            raw = raw[size:]


def changed(body):
    return {**body, "spec": {**body["spec"], "changed": True}}


class Witness(CarefulFold):
    """A fold that knows the world: what still exists is never told to be gone."""

    def __init__(self, informer, order, *, server):
        super().__init__(informer, order)
        self._server = server

    def delete(self, key, uid, **kwargs):
        known = self._server.storage.objects.get((key.name, key.namespace))
        assert known is None or known["metadata"]["uid"] != uid, "told to be gone, and exists"
        super().delete(key=key, **kwargs)


class Follower:
    """Kopf, as far as it can know."""

    def __init__(self):
        self.objects = {}
        self.listed = False

    def hear(self, each, informer):
        if each == LISTED:
            self.listed = True
            return
        body = orjson.loads(each.raw)
        body["metadata"].pop("managedFields", None)
        key = object_key(body)
        if each.type == "DELETED":
            self.objects.pop(key, None)
            return
        self.objects[key] = body
        assert body["kind"] == "Pod"
        stored = informer.reader.entry(key)
        if stored is not None and stored.uid == body["metadata"]["uid"]:
            assert int(stored.resource_version) >= int(body["metadata"]["resourceVersion"]), (
                "before the informer had it"
            )


async def live(seed):
    chance = random.Random(seed)
    clock = FakeClock()
    storage = Storage(chance)
    for _ in range(chance.randrange(6)):
        storage.change()
    server = Server(chance, storage=storage)
    indexers = [Indexer({"node": field("spec.nodeName"), "app": label("app")}), Indexer(transform=changed)]
    informers = [Informer("pods", indexer=each, clock=clock) for each in indexers]
    folds = [Witness(each, ["add", "update", "delete"], server=server) for each in informers]
    backoff = Backoff(clock=clock, first=0.0, maximum=0.0)
    pause = backoff.pause
    backoff.pause = lambda **_: pause()
    states = []
    followed = Reflector(
        "pods", source=server, informers=informers, clock=clock, backoff=backoff, page=chance.choice([1, 2, 500]),
        changed=lambda: states.append(followed.is_live),
    )  # fmt: skip
    tap = chance.choice(["all", "nothing"])
    kopf = Follower()
    backs = 0

    def check():
        truth = storage.truth()
        assert followed.is_live
        assert cached(informers[0]) == truth
        assert cached(informers[1]) == {key: changed(body) for key, body in truth.items()}
        for informer, indexer, fold in zip(informers, indexers, folds, strict=True):
            indexer._check()
            assert fold.objects == cached(informer)
            assert fold.refused <= backs * len(NAMES) * 2
            assert not any(each.errors for each in informer.statistics().handlers)
            assert informer.progress._positions[""] <= storage.version
        if tap == "all":
            assert {key: kopf.objects.get(key) for key in truth} == truth, "Kopf missed something"

    following = None
    try:
        for _ in range(STEPS):
            if following is None:
                following = Following(followed, server, tap=tap, hear=lambda each: kopf.hear(each, informers[0]))
            await following.rest()
            clock.step(chance.choice([0, 0, 0.5, 2, 100, 300]))
            if followed.is_live:
                check()
            match chance.randrange(12):
                case 0:
                    server.sane = True
                    server.tell()
                    await following.rest()
                    if not followed.is_live:
                        server.stream.send(END)
                        await following.rest()
                    check()
                    server.sane = False
                case 1:
                    storage.forget()
                case 2 if server.stream is not None:
                    for _ in range(chance.randrange(4)):
                        storage.change()
                    server.stream.send(chance.choice([END, Interrupted(LONG_AGO)]))
                case 3:
                    await following.stop() if chance.random() < 0.7 else await following.kill()
                    assert not followed.is_live
                    following = None
                    for _ in range(chance.randrange(4)):
                        storage.change()
                case 4:
                    followed.want_list("somebody doubts")
                    backs += 1
                case 5 if server.stream is not None and storage.history:
                    # Its server ends, comes back with an older storage, and nothing happens until that was noticed.
                    back = chance.choice(storage.history)[0]
                    server.storage = storage = restored(storage, back)
                    backs += 1
                    server.sane = True
                    server.stream.send(Interrupted(LONG_AGO))
                    await following.rest()
                    server.sane = False
                case _:
                    for _ in range(chance.choice([1, 1, 2, 5])):
                        storage.change()
                    server.tell()
        server.sane = True
        if following is None:
            following = Following(followed, server, tap=tap, hear=lambda each: kopf.hear(each, informers[0]))
        await following.rest()
        server.tell()
        await following.rest()
        check()
        assert followed.told
        return server.faults, followed.statistics(), backs
    finally:
        if following is not None:
            await following.kill()


def restored(storage, version):
    """The storage as it was at that version, and as if nothing had happened after it."""
    past = Storage(storage.chance)
    past.version = past.kept_from = version
    past.era, past.born = storage.era + 1, storage.born
    # What it had then is not known any more; anything that is not newer will do.
    past.objects = {
        key: body for key, body in storage.objects.items() if int(body["metadata"]["resourceVersion"]) <= version
    }
    return past


@pytest.mark.parametrize("part", range(4))
def test_in_random_worlds_that_fail_in_every_way_the_cache_is_the_world_wherever_it_is_live(monkeypatch, part):
    monkeypatch.setattr(liveness, "SETTLING", 0.0)
    first = random.SystemRandom().randrange(2**32)
    faults, lists, backs = 0, 0, 0
    for seed in range(first, first + WORLDS // 4):
        print(f"seed {seed}")
        failed, statistics, went_back = asyncio.run(live(seed))
        faults, lists, backs = faults + failed, lists + statistics.lists, backs + went_back
    print(f"{faults} faults, {lists} lists, {backs} times back")
    assert faults > WORLDS // 4
