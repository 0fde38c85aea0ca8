"""What operators of a cluster do to its etcd behind the API server's back: compact it, copy it, put an old copy back.

    revision = compact(plane)
    copy = backup(plane, into=tmp_path / "copy")
    restore(plane, copy)  # resourceVersions go back

How a client really comes to a 410, as found out with etcd 3.6.7 and kube-apiserver 1.36.3:

- By `compact()` alone it does not. The watch cache has the events since kube-apiserver's start in memory and goes on to
  serve watches from old resourceVersions, even from 1; continue tokens and `resourceVersionMatch=Exact` are served from
  its snapshots too.
- By a restart of kube-apiserver it does, compaction or not: the new cache begins at the version it starts with. A watch
  from before is answered 200 with one event, ERROR 410 "too old resource version: 198 (206)", then ends well. Costs two
  seconds, and all watches are cut: `plane.stop_apiserver(grace=0); plane.start_apiserver()`.
- By `compact()` it does at once where the cache is off: `ControlPlane(apiserver_args=["--watch-cache-sizes=pods#0"])`,
  or "--watch-cache=false" for all resources. Then a watch gets the event ERROR 410 "The resourceVersion for the
  provided watch is too old.", a continue token the status 410 with a token to go on with, an exact list the status 410.
  No watch is cut, so this is the way to a 410 of a client that is in the middle of its pages. Sizes other than 0 change
  nothing: the cache chooses its own.
- A status 410 for a watch, before the stream, was not seen from this server; there is `AnswerStatus` of the meddler.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.client import Client
from tests.cluster.components import ETCD
from tests.cluster.controlplane import ControlPlane

_PATIENCE = 5.0


def compact(plane: ControlPlane) -> int:
    """Let etcd forget all revisions but the last, and return that, which is a resourceVersion. Open watches go
    on, but without the watch cache one that is still behind, a tenth of a second after its beginning, gets the 410.

    The last is still there: a watch from the one before it, or a page of a list made at it, is served. To be sure,
    write something between what is to be forgotten and the compaction; two writes for a watch.
    """
    with Client(plane.etcd_url, token="none", ca_file=None) as etcd:
        revision = etcd.call("POST", "/v3/maintenance/status", {})["header"]["revision"]
        etcd.call("POST", "/v3/kv/compaction", {"revision": revision, "physical": True})
    return int(revision)


def backup(plane: ControlPlane, *, into: Path) -> Path:
    """Copy etcd's data to a folder that is not yet there, and return it. Nobody notices.

    etcd stands still meanwhile, a fifth of a second: what lies on its disk is what a crash would leave, and
    that it can start from.
    """
    with _frozen(plane.pids[ETCD.name]):
        shutil.copytree(_data(plane), into, ignore=shutil.ignore_patterns("*.tmp"))
    return into


def restore(plane: ControlPlane, copy: Path) -> None:
    """Put a copy in the place of etcd's data, as after a disaster: what was written since has not been, and
    resourceVersions are given a second time. The copy stays as it is.

    kube-apiserver and etcd are killed and started again, in three seconds. Who comes back with a resourceVersion from
    the time that is no more gets no error for a watch: it is answered 200, is silent until the server has reached that
    version again, and is never told what happened on the way. A list not older than that is answered 504
    ResourceVersionTooLarge, after three seconds. Of a whole control plane the other parts run on, misled as any client.
    """
    plane.stop_apiserver(grace=0)
    plane.stop_etcd(grace=0)
    shutil.rmtree(_data(plane))
    shutil.copytree(copy, _data(plane))
    plane.start_etcd()
    plane.start_apiserver()


def _data(plane: ControlPlane) -> Path:
    return plane.directory / "etcd"


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _stands_still(pid):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} did not stop for SIGSTOP")
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Whether each thread has stopped; where that cannot be asked (not Linux) after a moment."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/stat"))
    if not threads:
        time.sleep(0.05)
    return all(each.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T" for each in threads)
