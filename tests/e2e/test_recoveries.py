"""What goes wrong between an operator and a real API server, one thing at a time: the stream lane gets over it.

After each the cache is what a fresh list of the server says, what handlers were told gives the cache, the cache was not
synced while its view was stale, and exactly one line tells that it is live again.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.certificates import rotate
from tests.cluster.client import ApiError, Client
from tests.cluster.controlplane import ControlPlane
from tests.cluster.etcd_copies import backup, compact, restore
from tests.cluster.meddler import (
    AnswerStatus,
    CutBody,
    CutInsideEvent,
    Deed,
    DelayHead,
    DropClosingBookmark,
    EarlyBookmark,
    ExpireContinue,
    Meddler,
    Meddling,
    NoStreamingLists,
)
from tests.cluster.meddler.lines import NO_JSON, NO_METADATA, NO_OBJECT, error_event, event
from tests.cluster.tokens import revoke, service_account
from tests.cluster.users import write_kubeconfig
from tests.faults.scene import Records, Scene, hurried, operating, recorded, transitions
from tests.operators.harness import InProcess, eventually

pytestmark = pytest.mark.e2e

LIVE_AGAIN = ": live again after"
EXPIRED = error_event(410)


class Recovery:
    """An operator that watches config maps in one namespace, the world it watches, and what may stand between."""

    def __init__(self, plane: ControlPlane, meddler: Meddler | None, namespace: str) -> None:
        self.plane = plane
        self._meddler = meddler
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"
        self.scene = Scene(plane.client, paths=(self.path,))
        self.operator: InProcess
        self.records: Records
        self.history: list[tuple[float, str]]

    @property
    def meddler(self) -> Meddler:
        assert self._meddler is not None
        return self._meddler

    # What others do.

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        with self.plane.client() as admin:
            return admin.call(method, self.path + path, body)

    def make(self, *names: str, **data: str) -> None:
        for each in names:
            self.call("POST", "", {"metadata": {"name": each}, "data": {"text": "first", **data}})

    def change(self, *names: str, text: str = "changed") -> None:
        with self.plane.client() as admin:
            for each in names:
                admin.patch(f"{self.path}/{each}", {"data": {"text": text}})

    def delete(self, *names: str) -> None:
        for each in names:
            self.call("DELETE", f"/{each}")

    def move(self) -> None:
        """Every kind of change to a, b, c; d stays."""
        self.delete("a", "b")
        self.make("b", text="another")
        self.change("c")
        self.make(f"e-{time.monotonic_ns()}")

    # What goes wrong.

    def add(self, what: Deed | tuple[Deed, ...], *, verb: Any = "any", times: int | None = 1) -> None:
        self.meddler.add(Meddling(path=self.path, verb=verb, what=what, times=times))

    def cut(self, how: Any = "reset") -> None:
        assert self.meddler.cut_watches(self.path, how=how) == 1

    def inject(self, *lines: bytes) -> None:
        assert self.meddler.inject_into_watches(*lines, path=self.path) == 1

    def renew_watch(self) -> None:
        """Have the server end the watch, as it does at its time: what was ordered for watches is in force."""
        before = self.lane.watches
        self.cut("end")
        eventually(lambda: self.lane.watches > before, "another watch")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens, and the watch is cut."""
        self.meddler.refuse()
        self.meddler.cut_watches()
        self.is_not_ready()
        yield
        self.meddler.accept()

    # What the operator makes of it.

    @property
    def lane(self) -> Any:
        return self.operator.module.pods.statistics().lane

    def is_not_ready(self) -> None:
        eventually(lambda: not self.operator.get("/readyz").ok, "not ready")
        assert self.operator.metric("informer_synced", name=self.operator.module.pods.statistics().name) == 0
        assert self.operator.get("/livez").ok

    def settles(self) -> None:
        self.scene.settles(self.operator)

    @contextlib.contextmanager
    def outage(self, why: str, how: str = "", **struck: int) -> Iterator[None]:
        """Exactly one: the cache is stale from when it is noticed until a line tells of its end, and all is well then.

        why: it began, how: it ended, as the line says; struck: what the meddler has done meanwhile at least.
        """
        self.settles()
        said, moments = len(self.records.lines), len(self.history)
        before = self.meddler.statistics().faults if self._meddler else {}
        yield
        if self._meddler is not None:
            wanted = {kind.replace("_", " "): count for kind, count in struck.items()}
            self._meddler.wait_for(lambda now: all(now.faults[k] >= before[k] + n for k, n in wanted.items()))
        eventually(lambda: any(LIVE_AGAIN in line for line in self.records.lines[said:]), "the end of the outage")
        self.operator.wait_until_ready()
        self.settles()
        [line] = [line for line in self.records.lines[said:] if LIVE_AGAIN in line]
        assert why in line
        assert how in line
        states = [bool(why) for _, why in self.history[moments:]]
        changes = [state for state, before in zip(states, [False, *states], strict=False) if state != before]
        assert changes == [True, False], "stale once, and live again once"
        assert self.records.errors == []


@pytest.fixture(scope="module")
def restartable() -> Iterator[ControlPlane]:
    with ControlPlane() as made:
        yield made


@pytest.fixture
def plane(restartable: ControlPlane) -> Iterator[ControlPlane]:
    """One that may be restarted, and put back in time; without config maps in the namespace default."""
    yield restartable
    with restartable.client() as admin:
        admin.call("DELETE", "/api/v1/namespaces/default/configmaps")


@contextlib.contextmanager
def recovering(
    plane: ControlPlane,
    namespace: str,
    tmp_path: Path,
    *,
    kubeconfig: Path | None = None,
    token: str = "",
    meddled: bool = True,
    first: Callable[[Recovery], None] = lambda _: None,
    args: tuple[str, ...] = (),
    paths: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[Recovery]:
    """Five config maps, the operator, and a meddler unless it is to go to the server itself."""
    with contextlib.ExitStack() as stack:
        meddler = stack.enter_context(Meddler(plane.url, ca_file=plane.ca_file)) if meddled else None
        made = Recovery(plane, meddler, namespace)
        made.scene.paths += paths
        if meddler is not None:
            kubeconfig = meddler.kubeconfig(into=tmp_path / "kubeconfig", token=token or plane.admin_token)
        if not environment.get("WITNESSED"):
            made.make("a", "b", "c", "d", "big-enough", filler="x" * 2000)
        first(made)
        made.records = stack.enter_context(recorded())
        made.history = stack.enter_context(transitions())
        stack.enter_context(hurried(first=0.1, maximum=0.4, bookmark=1.0))
        made.operator = stack.enter_context(
            operating(*(args or ("-n", namespace)), kubeconfig=kubeconfig, **environment)
        )
        if not environment.get("WITNESSED"):
            made.settles()
        yield made
        assert made.records.errors == []


@pytest.fixture
def recovery(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Recovery]:
    with recovering(control_plane, namespace, tmp_path) as made:
        yield made


@pytest.fixture
def paged(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Recovery]:
    """The same on a server without streaming lists, two objects to a page."""

    def first(made: Recovery) -> None:
        made.add(NoStreamingLists(), times=None)

    with recovering(control_plane, namespace, tmp_path, first=first, PAGE="2") as made:
        yield made


# Connections.


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_connection_that_is_cut_between_events(recovery: Recovery, how: str) -> None:
    lists = recovery.lane.lists
    with recovery.outage("", "watching on where it was", open_watch_cut=1, delay=1):
        recovery.add(DelayHead(seconds=30), verb="watch")
        recovery.cut(how)
        recovery.move()
        recovery.is_not_ready()
        recovery.meddler.wait_for(lambda now: now.faults[DelayHead.kind] == 1)
        recovery.meddler.heal()
    assert recovery.lane.lists == lists
    assert recovery.operator.module.witness.kinds(f"{recovery.path.split('/')[4]}/a") == ["add", "delete"]


@pytest.mark.parametrize("keep", [0, 30, 300])
def test_a_connection_that_is_cut_inside_an_event(recovery: Recovery, keep: int) -> None:
    recovery.change("d")
    recovery.settles()
    recovery.add(CutInsideEvent(after=1, keep=keep), verb="watch")
    recovery.renew_watch()
    lists = recovery.lane.lists
    with recovery.outage("", "watching on where it was", cut_inside_an_event=1):
        recovery.move()
    assert recovery.lane.lists == lists


def test_a_connection_that_ends_well_is_no_outage(recovery: Recovery) -> None:
    moments = len(recovery.history)
    for _ in range(3):
        recovery.change("d", text=str(time.monotonic_ns()))
        recovery.settles()
        recovery.renew_watch()
        recovery.move()
        recovery.settles()
        recovery.make("a")
        recovery.settles()
    assert not any(why for _, why in recovery.history[moments:])
    assert not any(LIVE_AGAIN in line for line in recovery.records.lines)


def test_a_connection_that_is_half_open(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with (
        recovering(control_plane, namespace, tmp_path, INACTIVITY="2", LIFETIME="1") as recovery,
        recovery.outage("no byte for 2 s", "listed anew", open_watch_stalled=1),
    ):
        eventually(lambda: recovery.meddler.stall_watches(recovery.path), "a watch")  # they are renewed each second
        began = time.monotonic()
        recovery.add(DelayHead(seconds=1), verb="watch")
        recovery.move()
        recovery.is_not_ready()
        assert 1.0 < time.monotonic() - began < 2 + 2


def test_a_server_that_is_away(recovery: Recovery) -> None:
    with recovery.outage("", open_watch_cut=1), recovery.away():
        recovery.move()


# Refusals.


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_429_says_how_long_to_wait(recovery: Recovery, verb: str) -> None:
    with recovery.outage("", open_watch_cut=1, status=2):
        recovery.add(AnswerStatus(status=429, retry_after=1), verb=verb, times=2)
        began = time.monotonic()
        recovery.cut()
        recovery.is_not_ready()
        recovery.move()
    assert time.monotonic() - began >= 2
    if verb == "watch":
        assert recovery.lane.lists == 1, "the position was kept"


@pytest.mark.parametrize("status", [500, 503, 504, 403, 410])
def test_refusals_are_waited_for(recovery: Recovery, status: int) -> None:
    with recovery.outage("", open_watch_cut=1, status=4):
        recovery.add(AnswerStatus(status=status), times=4)
        recovery.cut()
        recovery.move()


# Events that are none.


@pytest.mark.parametrize(
    "line",
    [
        EXPIRED,
        error_event(500, message="an object is corrupt"),
        error_event(429, retry_after=1),
        error_event(504),
        error_event(403),
        event("ERROR", None),
        NO_JSON,
        NO_OBJECT,
        NO_METADATA,
        event("DELETED", {"metadata": {}}),
        event("BOOKMARK", {}),
        event("NEWS", {"metadata": {"name": "x"}}),
    ],
    ids=lambda line: line[:60].decode().strip(),
)
def test_an_event_that_is_none(recovery: Recovery, line: bytes) -> None:
    with recovery.outage("", open_watch_injected=1):
        recovery.inject(line)
        recovery.move()


# Lists.


def test_a_continue_token_that_expires_midway(paged: Recovery) -> None:
    with paged.outage("too old", "listed anew", expire_the_continue_token=1):
        paged.add(ExpireContinue(), verb="list")
        paged.inject(EXPIRED)
        paged.move()
    assert any("too old to display a consistent list" in why for _, why in paged.history)


@pytest.mark.parametrize("after", [0, 10, 1500])
def test_a_list_that_is_cut_midway(paged: Recovery, after: int) -> None:
    sizes = set()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            sizes.add(len(paged.operator.module.pods.indexer))
            over.wait(0.001)

    with paged.outage("too old", "listed anew", cut_a_list_midway=2):
        before = len(paged.operator.module.pods.indexer)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            paged.add(CutBody(after=after), verb="list", times=2)
            paged.inject(EXPIRED)
            paged.meddler.wait_for(lambda now: now.faults[CutBody.kind] == 2)
            eventually(lambda: paged.operator.module.pods.has_synced, "the list")
        finally:
            over.set()
            reader.join()
    assert sizes == {before}, "nothing was taken of a part"


@pytest.mark.parametrize("early", [False, True], ids=["without a bookmark", "with another bookmark"])
def test_a_streaming_list_without_its_closing_bookmark(recovery: Recovery, *, early: bool) -> None:
    deeds = (EarlyBookmark(), DropClosingBookmark()) if early else (DropClosingBookmark(),)
    struck = {each.kind: 1 for each in deeds}
    with recovery.outage("too old", "listed anew", **struck):
        recovery.add(deeds, verb="watch")
        recovery.inject(EXPIRED)
        recovery.move()
    assert any("a streaming list without its end" in why for _, why in recovery.history)


def test_a_streaming_list_that_breaks_off(recovery: Recovery) -> None:
    with recovery.outage("too old", "listed anew", cut_inside_an_event=2):
        recovery.add(CutInsideEvent(after=2, keep=100), verb="watch")
        recovery.add(CutInsideEvent(after=5, keep=100), verb="watch")  # of the closing bookmark
        recovery.inject(EXPIRED)
    recovery.move()
    recovery.settles()


def test_an_object_of_a_megabyte(recovery: Recovery) -> None:
    big = "x" * 1_000_000
    recovery.make("big", text=big)
    recovery.settles()
    namespace = recovery.path.split("/")[4]
    assert recovery.operator.module.pods.get(f"{namespace}/big")["data"]["text"] == big
    recovery.add(CutInsideEvent(keep=700_000), verb="watch")
    recovery.renew_watch()
    with recovery.outage("", "watching on where it was", cut_inside_an_event=1):
        recovery.change("big", text=big + "y")
    with recovery.outage("too old", "listed anew", open_watch_injected=1):
        recovery.inject(EXPIRED)
        recovery.change("big", text=big + "z")


# Servers.


def test_an_api_server_that_is_restarted_and_has_forgotten(plane: ControlPlane, tmp_path: Path) -> None:
    with recovering(plane, "default", tmp_path) as recovery:
        with recovery.outage("", "listed anew", open_watch_cut=1), recovery.away():
            recovery.move()
            plane.stop_apiserver(grace=0)
            plane.start_apiserver()
            recovery.make("a")
        with recovery.outage(""):
            plane.stop_apiserver(grace=0)
            recovery.is_not_ready()
            plane.start_apiserver()
        recovery.make("f")
        recovery.settles()


def test_an_etcd_that_was_compacted(tmp_path: Path) -> None:
    with (
        ControlPlane(apiserver_args=["--watch-cache-sizes=configmaps#0"]) as plane,
        recovering(plane, "default", tmp_path, PAGE="2") as recovery,
    ):
        with recovery.outage("", "listed anew", open_watch_cut=1), recovery.away():
            recovery.move()
            compact(plane)
            recovery.make("a")
        recovery.add(NoStreamingLists(), times=None)
        with recovery.outage("too old", "listed anew", open_watch_injected=1, delay=1):
            recovery.add(DelayHead(seconds=30), verb="list")
            recovery.inject(EXPIRED)
            recovery.meddler.wait_for(lambda now: now.faults[DelayHead.kind] == 1)
            recovery.move()
            recovery.make("a")
            compact(plane)  # between the first page and the second
            recovery.make("g")
            recovery.meddler.heal()
        assert any("continue parameter is too old" in why for _, why in recovery.history)


@pytest.mark.parametrize("writes", [0, 200], ids=["behind what was seen", "beyond what was seen"])
def test_an_etcd_that_was_restored(plane: ControlPlane, tmp_path: Path, writes: int) -> None:
    with recovering(plane, "default", tmp_path) as recovery:
        recovery.make("kept", "lost-later")
        copy = backup(plane, into=tmp_path / "copy")
        for number in range(5):
            recovery.move()
            recovery.make("a")
            recovery.change("d", text=f"lost {number}")
        recovery.make(*(f"unmade-{number}" for number in range(50)))
        recovery.delete("lost-later")
        recovery.settles()
        recovery.operator.module.witness.versions_may_come_twice = True
        with recovery.outage("", "listed anew", open_watch_cut=1), recovery.away():
            restore(plane, copy)
            recovery.change("d", text="another world")
            recovery.move()
            with plane.client() as admin:
                for number in range(writes):
                    admin.patch(f"{recovery.path}/kept", {"data": {"text": str(number)}})
        namespaced = set(recovery.scene.cached(recovery.operator))
        assert "default/lost-later" in namespaced
        assert "default/unmade-0" not in namespaced
        recovery.change("kept", text="after")
        recovery.settles()


def test_a_token_that_is_revoked_and_renewed(plane: ControlPlane, tmp_path: Path) -> None:
    token = service_account(plane, "recovering", role="cluster-admin")
    with recovering(plane, "default", tmp_path, token=token) as recovery:
        with recovery.outage(""):
            revoke(plane, "recovering", token=token, restart=True)
            recovery.is_not_ready()
            recovery.move()
            token = service_account(plane, "recovering", role="cluster-admin")
            recovery.meddler.kubeconfig(into=tmp_path / "kubeconfig", token=token)
        recovery.make("a")
        recovery.settles()


def test_a_certificate_that_is_rotated(plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig, authority = tmp_path / "kubeconfig", tmp_path / "ca.crt"

    def write() -> None:
        authority.write_text(Path(plane.ca_file).read_text())
        write_kubeconfig(
            kubeconfig, user="admin", token=plane.admin_token, url=plane.url, ca_file=authority, namespace="default"
        )

    write()
    with recovering(plane, "default", tmp_path, kubeconfig=kubeconfig, meddled=False) as recovery:
        with recovery.outage(""):
            rotate(plane)
            plane.stop_apiserver(grace=0)
            plane.start_apiserver()
            recovery.move()
            eventually(lambda: any("TLS" in line or "certificate" in line for line in recovery.records.lines), "doubts")
            recovery.is_not_ready()
            write()
        recovery.make("a")
        recovery.settles()


# What is watched comes and goes.


def test_a_namespace_that_is_deleted(control_plane: ControlPlane, admin: Any, tmp_path: Path) -> None:
    kept, gone = admin.make_namespace("recovery-"), admin.make_namespace("recovery-")
    path = f"/api/v1/namespaces/{gone}/configmaps"
    admin.call("POST", path, {"metadata": {"name": "x"}})
    try:
        with recovering(control_plane, kept, tmp_path, args=("-n", "recovery-*"), paths=(path,)) as recovery:
            assert f"{gone}/x" in recovery.scene.cached(recovery.operator)
            admin.delete_namespace(gone)
            eventually(lambda: admin.is_gone(f"/api/v1/namespaces/{gone}"), "its end")
            recovery.scene.paths = (recovery.path,)
            recovery.settles()
            recovery.operator.wait_until_ready()
            kinds = recovery.operator.module.witness.kinds(f"{gone}/x")
            assert kinds == ["add", "delete"]
            recovery.move()
            recovery.settles()
    finally:
        admin.delete_namespace(kept)


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINED = f"{DEFINITIONS}/foos.recovering.example.com"
FOOS = "/apis/recovering.example.com/v1/namespaces/default/foos"
DEFINITION = {
    "metadata": {"name": "foos.recovering.example.com"},
    "spec": {
        "group": "recovering.example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def is_served(admin: Client) -> bool:
    """A resource that was just defined is not found at first, then "(re)initializing"."""
    try:
        return bool(admin.call("GET", FOOS))
    except ApiError as error:
        if error.code in (404, 429):
            return False
        raise


def test_a_definition_that_is_deleted_and_made_again(plane: ControlPlane, tmp_path: Path) -> None:
    with plane.client() as admin:

        def define() -> None:
            eventually(lambda: admin.find(DEFINED) is None, "the end of the former")
            admin.call("POST", DEFINITIONS, DEFINITION)
            eventually(lambda: is_served(admin), "the resource")

        def make(*names: str) -> None:
            for each in names:
                body = {"apiVersion": "recovering.example.com/v1", "kind": "Foo", "metadata": {"name": each}}
                admin.call("POST", FOOS, body)

        define()
        make("a", "b")
        with recovering(
            plane, "default", tmp_path, args=("-n", "default"), WITNESSED="foos.recovering.example.com"
        ) as recovery:
            recovery.scene.paths = (FOOS,)
            recovery.settles()
            admin.call("DELETE", DEFINED)
            eventually(lambda: not recovery.scene.cached(recovery.operator), "an empty cache")
            eventually(lambda: not recovery.operator.get("/readyz").ok, "not ready")
            define()
            make("b", "c")
            recovery.operator.wait_until_ready()
            recovery.settles()
            make("d")
            recovery.settles()
            told = recovery.operator.module.witness.kinds("default/b")
            assert told[0] == "add"
            assert told[-2:] == ["delete", "add"]
        admin.call("DELETE", DEFINED)
