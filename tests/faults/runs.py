"""One run after another."""

import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.controlplane import ControlPlane
from tests.cluster.meddler import Meddler
from tests.cluster.tokens import service_account
from tests.faults.kinds import ACCOUNT, IN_PAGES, RESTORES, Trouble, hand
from tests.faults.scene import Scene, hurried, operating, recorded
from tests.faults.writer import Writer
from tests.operators.harness import InProcess, eventually

#: Seconds that the cache has, after all is healed, to equal a fresh list.
PATIENCE = 60.0


@dataclass
class Outcome:
    """One run."""

    seed: int
    #: Faults that struck, by kind.
    struck: Counter[str] = field(default_factory=Counter)
    #: What the meddler has done in all.
    deeds: int = 0
    #: Those that did not.
    missed: list[str] = field(default_factory=list)
    writes: int = 0
    told: int = 0
    lists: int = 0
    watches: int = 0
    interruptions: int = 0
    #: Objects that the cache has otherwise than a fresh list.
    differences: int = 0
    #: Objects that are gone and were not told to be, exactly as often as they were told to be there.
    missed_deletions: int = 0
    #: What else is wrong.
    problems: list[str] = field(default_factory=list)
    #: Seconds from the healing to a cache that is right.
    recovery: float = 0.0
    seconds: float = 0.0
    #: What happened, in order.
    history: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Nothing is wrong."""
        return not (self.differences or self.missed_deletions or self.problems)


class Runs:
    """The servers, the meddler, and what is the same for all runs."""

    def __init__(self, plane: ControlPlane, meddler: Meddler, folder: Path) -> None:
        """:param folder: for what is written on the way."""
        self._plane, self._meddler, self._folder = plane, meddler, folder

    def run(self, seed: int) -> Outcome:
        """One, whatever comes of it."""
        outcome, began = Outcome(seed), time.monotonic()
        try:
            self._run(outcome, random.Random(seed))
        except Exception as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
            outcome.problems += getattr(error, "__notes__", [])
        self._meddler.heal()
        self._meddler.accept()
        outcome.seconds = time.monotonic() - began
        return outcome

    def _run(self, outcome: Outcome, chance: random.Random) -> None:
        plane, meddler = self._plane, self._meddler
        with plane.client() as admin:
            body = {"metadata": {"generateName": "run-"}}
            namespace = admin.call("POST", "/api/v1/namespaces", body)["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        folder = self._folder / namespace
        folder.mkdir()
        trouble = Trouble(plane, meddler, path=path, folder=folder, chance=chance, token="")
        trouble.renew_token()
        scene, writer = Scene(plane.client, paths=(path,)), Writer(plane, path, chance=random.Random(chance.random()))
        writer.fill()
        faults = hand(outcome.seed)
        names = {each.name for each in faults}
        page = 2 if IN_PAGES in names else chance.choice((2, 3, 500))
        numbers = {"INACTIVITY": "2", "LIFETIME": "1", "PAGE": str(page)}
        deeds = meddler.statistics().faults.values()
        with recorded() as records:
            try:
                with operating("-n", namespace, kubeconfig=folder / "kubeconfig", **numbers) as operator:
                    scene.settles(operator)
                    if RESTORES in names:
                        trouble.keep_copy()
                    with writer:
                        for fault in faults:
                            time.sleep(chance.uniform(0.0, 0.1))
                            if chance.random() < 0.4:
                                trouble.lurk()
                            if fault.name == RESTORES:  # a version may be another state from now on
                                operator.module.witness.versions_may_come_twice = True
                            struck = fault.strike(trouble)
                            records.lines.append(f"--- {fault.name}{'' if struck else ': did not strike'}")
                            (outcome.struck.update if struck else outcome.missed.extend)([fault.name])
                    outcome.writes = writer.writes
                    records.lines.append("--- healed")
                    meddler.heal()
                    outcome.deeds = sum(meddler.statistics().faults.values()) - sum(deeds)
                    self._check(outcome, scene, operator, path)
                outcome.problems += records.errors
            finally:
                outcome.history = records.lines
                shutil.rmtree(folder)
        with plane.client() as admin:
            admin.call("DELETE", path)

    def _check(self, outcome: Outcome, scene: Scene, operator: InProcess, path: str) -> None:
        healed = time.monotonic()
        with contextlib.suppress(AssertionError):
            eventually(lambda: scene.is_settled(operator), "a cache that equals the list", patience=PATIENCE)
        outcome.recovery = time.monotonic() - healed
        outcome.differences = _differences(scene, operator)
        if not outcome.differences:  # and it follows
            with self._plane.client() as admin:
                admin.call("POST", path, {"metadata": {"name": "last"}})
            with contextlib.suppress(AssertionError):
                eventually(lambda: scene.is_settled(operator), "the last object", patience=PATIENCE)
            outcome.differences = _differences(scene, operator)
        witness: Any = operator.module.witness
        outcome.told, outcome.missed_deletions = len(witness.calls), _missed_deletions(witness, scene)
        lane = operator.module.pods.statistics().lane
        outcome.lists, outcome.watches, outcome.interruptions = lane.lists, lane.watches, lane.interruptions
        if outcome.differences:
            outcome.problems.append(f"the informer says: {lane}")
        if witness.objections:
            outcome.problems += witness.objections
        witness.check(operator.module.pods.indexer)
        operator.wait_until_ready()


def _differences(scene: Scene, operator: InProcess) -> int:
    listed, cached = scene.listed(), scene.cached(operator)
    return sum(listed.get(key) != cached.get(key) for key in listed.keys() | cached.keys())


def _missed_deletions(witness: Any, scene: Scene) -> int:
    """Counted from the calls alone."""
    here: Counter[tuple[str, str]] = Counter()
    for kind, key, uid, *_ in list(witness.calls):
        here[key, uid] += {"add": 1, "delete": -1}.get(kind, 0)
    existing = set(scene.listed())
    return sum(count != 0 for (key, uid), count in here.items() if witness.fold.get(key, ("",))[0] != uid) + sum(
        key not in existing for key in witness.fold
    )


@contextlib.contextmanager
def running() -> Iterator[Runs]:
    """A control plane and a meddler for any number of runs; pauses are a tenth of those that are shipped, or less."""
    with (
        ControlPlane() as plane,
        Meddler(plane.url, ca_file=plane.ca_file) as meddler,
        tempfile.TemporaryDirectory(prefix="workqueue-faults-") as folder,
        hurried(first=0.08, maximum=0.3, bookmark=0.5),
    ):
        service_account(plane, ACCOUNT, role="cluster-admin")
        yield Runs(plane, meddler, Path(folder))
