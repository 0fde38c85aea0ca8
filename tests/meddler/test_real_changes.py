"""What a control plane's own operators can do to it: compaction, restored backups, new certificates and tokens."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cluster.certificates import rotate
from tests.cluster.client import ApiError, Client
from tests.cluster.controlplane import ControlPlane
from tests.cluster.etcd_copies import backup, compact, restore
from tests.cluster.meddler import Meddler, Meddling, NoStreamingLists
from tests.cluster.tokens import revoke, service_account
from tests.meddler.line import Answer

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"
STREAMING = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One that may be restarted: with the watch cache, and streaming lists."""
    with ControlPlane() as made:
        yield made


@pytest.fixture
def admin(plane: ControlPlane) -> Iterator[Client]:
    with plane.client() as made:
        yield made


def make(admin: Client, name: str) -> str:
    """A config map; returns its resourceVersion."""
    return str(admin.call("POST", MAPS, {"metadata": {"name": name}})["metadata"]["resourceVersion"])


def ask(plane: ControlPlane, meddler: Meddler, **query: str) -> Answer:
    return Answer(meddler, MAPS, token=plane.admin_token, **query)


def test_a_410_after_a_restart_but_not_after_a_compaction(plane: ControlPlane, admin: Client) -> None:
    with Meddler(plane.url, ca_file=plane.ca_file) as meddler:
        version = make(admin, "compacted-0")
        make(admin, "compacted-1")
        assert compact(plane) >= int(version)
        query = {"watch": "true", "resourceVersion": version}
        with ask(plane, meddler, **query) as watch:
            assert watch.names(1) == ["ADDED compacted-1"]
            plane.stop_apiserver(grace=0)
            plane.start_apiserver()
            watch.rest()
            assert watch.ending == "close"
        with ask(plane, meddler, **query) as watch:
            line = watch.line()
            assert (watch.status, line["type"], line["object"]["code"]) == (200, "ERROR", 410)
            assert line["object"]["message"].startswith("too old resource version: ")
            assert (watch.rest(), watch.ending) == (b"", "end")


def test_a_410_at_once_without_the_watch_cache_and_how_a_server_without_streaming_lists_says_so() -> None:
    arguments = ["--watch-cache-sizes=configmaps#0", "--feature-gates=WatchList=false"]
    with (
        ControlPlane(apiserver_args=arguments) as plane,
        plane.client() as admin,
        Meddler(plane.url, ca_file=plane.ca_file) as meddler,
    ):
        version = make(admin, "a-0")
        make(admin, "a-1")
        page = admin.call("GET", f"{MAPS}?limit=1")["metadata"]["continue"]
        with ask(plane, meddler, watch="true", resourceVersion=version) as watch:
            make(admin, "a-2")
            assert watch.names(2) == ["ADDED a-1", "ADDED a-2"]
            compact(plane)
            make(admin, "a-3")
            assert watch.names(1) == ["ADDED a-3"]
        with ask(plane, meddler, watch="true", resourceVersion=version) as watch:
            line = watch.line()
            assert (watch.status, line["type"], line["object"]["code"]) == (200, "ERROR", 410)
            assert line["object"]["reason"] == "Expired"
        with ask(plane, meddler, limit="1", **{"continue": page}) as answer:
            assert answer.status == 410
        with ask(plane, meddler, watch="true", **STREAMING) as answer:
            real = (answer.status, answer.headers["Content-Type"], answer.rest())
        meddler.add(Meddling(what=NoStreamingLists()))
        with ask(plane, meddler, watch="true", **STREAMING) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == real[:2]
            ours, theirs = (requests.models.complexjson.loads(each) for each in (answer.rest(), real[2]))
            assert ours == theirs


def test_a_restored_backup_takes_resource_versions_back(plane: ControlPlane, admin: Client, tmp_path: Path) -> None:
    before = make(admin, "before")
    began = time.monotonic()
    copy = backup(plane, into=tmp_path / "copy")
    print(f"\nbackup: {time.monotonic() - began:.2f} s")
    lost = [make(admin, f"lost-{number}") for number in range(60)]  # kube-apiserver writes some, too, when it starts
    began = time.monotonic()
    restore(plane, copy)
    print(f"restore: {time.monotonic() - began:.2f} s")
    assert admin.find(f"{MAPS}/lost-0") is None
    assert admin.call("GET", f"{MAPS}/before")["metadata"]["resourceVersion"] == before
    assert int(admin.call("GET", MAPS)["metadata"]["resourceVersion"]) < int(lost[-1])
    assert (copy / "member").is_dir(), "it can be put back again"
    with (
        Meddler(plane.url, ca_file=plane.ca_file) as meddler,
        ask(plane, meddler, watch="true", resourceVersion=lost[-1]) as watch,
    ):
        assert watch.status == 200
        unseen = make(admin, "unseen")
        assert int(unseen) <= int(lost[-1]), "a version that is given a second time"
        assert watch.is_silent(0.5)
        made = unseen
        while int(made) <= int(lost[-1]):
            made = make(admin, f"made-{time.monotonic_ns()}")
        assert watch.line()["object"]["metadata"]["resourceVersion"] == made


@pytest.mark.parametrize("restarted", [False, True])
def test_a_new_certificate_ends_the_trust_in_the_old_one_and_no_token(
    plane: ControlPlane, admin: Client, tmp_path: Path, *, restarted: bool
) -> None:
    token = service_account(plane, f"keeps-{restarted}".lower(), role="cluster-admin")
    with Meddler(plane.url, ca_file=plane.ca_file) as meddler:
        with ask(plane, meddler, watch="true", resourceVersion="0"):
            old = tmp_path / "old"
            began = time.monotonic()
            old.write_text(rotate(plane))
            print(f"\nrotated: {time.monotonic() - began:.2f} s")
            meddler.wait_for(lambda now: now.open_watches == 1)  # it goes on
            if restarted:
                plane.stop_apiserver(grace=0)
                plane.start_apiserver()
        with (
            Client(plane.url, token=plane.admin_token, ca_file=old) as doubter,
            pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            doubter.call("GET", MAPS)
        meddler.trust(plane.ca_file)
        with Answer(meddler, MAPS, token=token) as answer:
            assert answer.status == 200
    assert ssl.create_default_context(cafile=plane.ca_file)
    with plane.client() as believer:
        assert believer.call("GET", MAPS)["kind"] == "ConfigMapList"


def test_a_token_is_revoked_and_given_anew(plane: ControlPlane) -> None:
    def works(token: str) -> bool:
        with Client(plane.url, token=token, ca_file=plane.ca_file) as holder:
            try:
                return bool(holder.call("GET", MAPS))
            except ApiError as error:
                if error.code == 401:
                    return False
                raise

    unused = service_account(plane, "operator", role="cluster-admin")
    began = time.monotonic()
    revoke(plane, "operator", token=unused)
    assert time.monotonic() - began < 5, "what nobody has used is forgotten at once"
    first = service_account(plane, "operator", role="cluster-admin")
    assert works(first)
    assert not works(unused)
    revoke(plane, "operator", token=first, restart=True)
    second = service_account(plane, "operator", role="cluster-admin")
    assert works(second)
    assert not works(first)
