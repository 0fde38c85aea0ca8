"""Every kind of fault, and how each run is dealt its own."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.cluster.controlplane import ControlPlane
from tests.cluster.etcd_copies import backup, compact, restore
from tests.cluster.meddler import (
    AnswerStatus,
    CutBetweenEvents,
    CutBody,
    CutInsideEvent,
    Deed,
    DelayHead,
    DropClosingBookmark,
    EarlyBookmark,
    EndWatch,
    ExpireContinue,
    InjectLines,
    Meddler,
    Meddling,
    NoStreamingLists,
    StallWatch,
)
from tests.cluster.meddler.lines import NO_JSON, NO_METADATA, NO_OBJECT, error_event, event
from tests.cluster.tokens import revoke, service_account

ACCOUNT = "faults"
#: Seconds in which a fault has to strike, and how often that is tried; it is counted only if it did.
PATIENCE = 2.0
TRIES = 4
#: Runs that are dealt one deck.
HANDS = 12
EXPIRED = error_event(410)
Verb = Literal["watch", "list", "any"]


class Trouble:
    """What faults do their work on: one run's place, and the servers that all runs share."""

    def __init__(
        self, plane: ControlPlane, meddler: Meddler, *, path: str, folder: Path, chance: random.Random, token: str
    ) -> None:
        """:param folder: for the kubeconfig, and for backups.
        :param path: of the collection that is watched.
        :param token: of the account, as it is in the kubeconfig.
        """
        self.plane, self.meddler, self.path, self.chance = plane, meddler, path, chance
        self._folder = folder
        self._token = token
        self._copy: Path | None = None

    # Of the meddler.

    def struck(self, kind: str, before: int) -> bool:
        """Wait for it."""
        try:
            self.meddler.wait_for(lambda now: now.faults[kind] > before, timeout=PATIENCE)
        except TimeoutError:
            return False
        return True

    def order(self, what: Deed | tuple[Deed, ...], *, verb: Verb, provoke: Callable[[], object]) -> bool:
        """Have something done to an answer that is asked for now."""
        kind = (what if isinstance(what, Deed) else what[-1]).kind
        before = self.meddler.statistics().faults[kind]
        self.meddler.add(Meddling(path=self.path, verb=verb, what=what))
        for _ in range(TRIES):  # what lurks may have taken the answer that was meant
            provoke()
            if self.struck(kind, before):
                return True
        return False

    def lurk(self) -> None:
        """Have something small go wrong with one of the next requests, whatever else does."""
        deeds: tuple[Deed, ...] = (
            CutBetweenEvents(after=self.chance.randrange(3)),
            CutInsideEvent(after=self.chance.randrange(3)),
            AnswerStatus(status=503),
            DelayHead(seconds=self.chance.uniform(0.0, 0.3)),
            InjectLines(NO_JSON, after=self.chance.randrange(3)),
        )
        self.meddler.add(Meddling(path=self.path, what=self.chance.choice(deeds)))

    def open(self, act: Callable[[], int]) -> bool:
        """Do something to an open watch, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while not act():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def cut(self) -> bool:
        """Any end of the open watch."""
        how: Any = self.chance.choice(("reset", "close", "end"))
        return self.open(lambda: self.meddler.cut_watches(self.path, how=how))

    def reset(self) -> bool:
        """An end after which a list is asked for."""
        return self.open(lambda: self.meddler.cut_watches(self.path))

    def expire(self) -> bool:
        """Have everything listed."""
        return self.open(lambda: self.meddler.inject_into_watches(EXPIRED, path=self.path))

    def expire_in_pages(self) -> bool:
        """Have everything listed in pages."""
        self.meddler.add(Meddling(path=self.path, what=NoStreamingLists()))
        return self.expire()

    # Of the servers.

    def keep_copy(self) -> None:
        """A backup, for later."""
        if self._copy is not None:
            shutil.rmtree(self._copy)
        self._copy = backup(self.plane, into=self._folder / f"copy-{time.monotonic_ns()}")

    def restart(self, *, grace: float) -> bool:
        """Stop kube-apiserver, start it."""
        self.plane.stop_apiserver(grace=grace)
        self.plane.start_apiserver()
        return True

    def restore(self) -> bool:
        """Put a backup back: the one that was kept, with which the storage is behind what the operator saw; or a new
        one, with which it is beyond that again before the operator comes back.
        """
        goes_beyond = self._copy is None or self.chance.random() < 0.6
        if goes_beyond:
            self.keep_copy()
            self._make(150)  # kube-apiserver writes some, too, when it starts; its cache has to begin before these
            self.meddler.refuse()
        assert self._copy is not None
        restore(self.plane, self._copy)
        self.renew_token()  # the account may be another again
        if goes_beyond:
            self._make(150)
            self.meddler.accept()
        return True

    def _make(self, count: int) -> None:
        """Objects that the writer does not touch."""
        with self.plane.client() as admin:
            for _ in range(count):
                admin.call("POST", self.path, {"metadata": {"generateName": "made-"}})

    def revoke(self) -> bool:
        """Take the token away, and let the kubeconfig have another a moment later."""
        revoke(self.plane, ACCOUNT, token=self._token, restart=True)
        time.sleep(self.chance.choice((0.0, 0.3)))
        self.renew_token()
        return True

    def renew_token(self) -> str:
        """Write the kubeconfig anew."""
        self._token = service_account(self.plane, ACCOUNT, role="cluster-admin")
        self.meddler.kubeconfig(into=self._folder / "kubeconfig", token=self._token)
        return self._token

    def close_port(self) -> bool:
        """Let nobody listen for a moment."""
        self.meddler.refuse()
        self.meddler.cut_watches()
        time.sleep(self.chance.uniform(0.05, 0.5))
        self.meddler.accept()
        return True


@dataclass(frozen=True)
class Fault:
    """A kind: `strike` returns whether it struck; `cards` of it are in the deck."""

    name: str
    strike: Callable[[Trouble], bool]
    cards: int = 1
    #: "early": before anything makes the operator list in pages for good.
    when: Literal["early", "any", "late"] = "any"


def _watch(name: str, make: Callable[[random.Random], Deed], *, cards: int = 1) -> Fault:
    return Fault(name, lambda now: now.order(make(now.chance), verb="watch", provoke=now.cut), cards)


def _status(code: int, *, retry_after: int | None = None) -> Fault:
    deed = AnswerStatus(status=code, retry_after=retry_after)
    return Fault(f"status {code}", lambda now: now.order(deed, verb="any", provoke=now.cut))


def _line(name: str, line: bytes, *, cards: int = 1) -> Fault:
    def strike(now: Trouble) -> bool:
        if now.chance.random() < 0.5:
            return now.open(lambda: now.meddler.inject_into_watches(line, path=now.path))
        return now.order(InjectLines(line, after=now.chance.randrange(3)), verb="watch", provoke=now.cut)

    return Fault(name, strike, cards)


def _open(name: str, act: Callable[[Trouble], int], *, cards: int = 1) -> Fault:
    return Fault(name, lambda now: now.open(lambda: act(now)), cards)


def _how(chance: random.Random) -> Any:
    return chance.choice(("reset", "close"))


KINDS: Sequence[Fault] = (
    _watch("cut between events", lambda c: CutBetweenEvents(after=c.randrange(4), how=_how(c)), cards=3),
    _watch(
        "cut inside an event",
        lambda c: CutInsideEvent(after=c.randrange(4), keep=c.choice((0, 20, 200)), how=_how(c)),
        cards=4,
    ),
    _watch("a watch that ends early, but well", lambda c: EndWatch(after=c.randrange(3)), cards=2),
    _watch("a stall", lambda c: StallWatch(after=c.randrange(4))),
    _watch("a late answer", lambda c: DelayHead(seconds=c.uniform(0.05, 0.8)), cards=2),
    _open("an open watch cut by RST", lambda now: now.meddler.cut_watches(now.path), cards=2),
    _open("an open watch cut by FIN", lambda now: now.meddler.cut_watches(now.path, how="close"), cards=2),
    _open("an open watch stalled", lambda now: now.meddler.stall_watches(now.path)),
    *(_status(code) for code in (403, 404, 410, 500, 503, 504)),
    _status(429, retry_after=1),
    _line("ERROR 410", EXPIRED, cards=4),
    _line("ERROR 429", error_event(429, retry_after=0)),
    _line("ERROR 500", error_event(500), cards=2),
    _line("ERROR 504, a version of the future", error_event(504)),
    _line("an event that is no JSON", NO_JSON, cards=2),
    _line("an event without an object", NO_OBJECT),
    _line("an event without metadata", NO_METADATA),
    _line("an event of an unknown type", event("NEWS", {"metadata": {"name": "a"}})),
    Fault(
        "a bookmark before the closing one",
        lambda now: now.order(EarlyBookmark(), verb="watch", provoke=now.expire),
        when="early",
    ),
    Fault(
        "a streaming list cut inside an event",
        lambda now: now.order(CutInsideEvent(after=2, keep=50), verb="watch", provoke=now.expire),
        cards=2,
        when="early",
    ),
    Fault(
        "no closing bookmark",
        lambda now: now.order((EarlyBookmark(), DropClosingBookmark()), verb="watch", provoke=now.expire),
        when="early",
    ),
    Fault(
        "no streaming lists",
        lambda now: now.order(NoStreamingLists(), verb="watch", provoke=now.expire),
        when="early",
    ),
    Fault(
        "an expired continue token",
        lambda now: now.order(ExpireContinue(), verb="list", provoke=now.expire_in_pages),
        cards=2,
        when="late",
    ),
    Fault(
        "a list cut midway",
        lambda now: now.order(
            CutBody(after=now.chance.choice((0, 30, 300)), how=_how(now.chance)),
            verb="list",
            provoke=now.chance.choice((now.reset, now.expire_in_pages)),
        ),
        cards=2,
        when="late",
    ),
    Fault("nobody listens", lambda now: now.close_port(), cards=2),
    Fault("the API server stopped and started", lambda now: now.restart(grace=0.5)),
    Fault("the API server killed and started", lambda now: now.restart(grace=0)),
    Fault("etcd compacted, the API server restarted", lambda now: compact(now.plane) > 0 and now.restart(grace=0)),
    Fault("etcd restored from a backup", lambda now: now.restore()),
    Fault("the token revoked", lambda now: now.revoke()),
)
RESTORES = "etcd restored from a backup"
IN_PAGES = "an expired continue token"
_ORDER = {"early": 0, "any": 1, "late": 2}


def hand(seed: int) -> list[Fault]:
    """The faults of one run. Of those with seeds from a multiple of HANDS on each kind comes."""
    deck = [each for each in KINDS for _ in range(each.cards)]
    random.Random(seed // HANDS).shuffle(deck)
    dealt = deck[seed % HANDS :: HANDS]
    return sorted(dealt, key=lambda each: _ORDER[each.when])  # stable
