"""Starts an operator as a user would, in this process or as a process of its own, and waits until it is ready."""

import contextlib
import gc
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf
import requests
from kopf.testing import KopfRunner
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent.parent
PODS = "operator/pods.py"
#: Seconds; generous: a test that waits this long has failed.
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(true: Callable[[], Any], what: str = "it", *, patience: float = PATIENCE) -> Any:
    """Wait until something is true; polls, because what is awaited lives in another process or loop."""
    until = time.monotonic() + patience
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if found := true():
                return found
        assert time.monotonic() < until, f"{what} did not come about within {patience} s"
        time.sleep(0.02)


@dataclass
class Probes:
    """A running operator as seen from outside."""

    port: int

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def wait_until_ready(self) -> None:
        eventually(lambda: self.get("/readyz").ok, "readiness")

    def metric(self, metric: str, /, **labels: str) -> float:
        """The sum of the samples with these labels, such as the depth of all priorities."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics").text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        ]
        assert found, f"no metric {metric} {labels}"
        return sum(found)

    def is_idle(self, adds_at_least: int) -> bool:
        """Nothing queued, so much was queued, and all of it is done."""
        adds = self.metric("workqueue_adds_total")
        return (
            adds >= adds_at_least
            and self.metric("workqueue_depth") == 0
            and self.metric("workqueue_queue_duration_seconds_count") == adds
            and self.metric("workqueue_work_duration_seconds_count") == adds
        )

    def wait_until_idle(self, adds_at_least: int) -> None:
        eventually(lambda: self.is_idle(adds_at_least), f"an idle queue after {adds_at_least} adds")


@dataclass
class InProcess(Probes):
    """An operator under KopfRunner."""

    runner: KopfRunner
    #: What our loggers said since the start.
    said: list[str]

    def wait_until_seen(self, text: str) -> None:
        eventually(lambda: any(text in line for line in self.said), f"a line with {text!r}")

    @property
    def module(self) -> Any:
        """The operator's file, as Kopf loaded it."""
        return sys.modules[f"__kopf_script_0__{self.path}"]

    path: str = PODS


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def run_in_process(
    *args: str, path: str = PODS, ready: bool = True, registry: kopf.OperatorRegistry | None = None, fails: bool = False
) -> Iterator[InProcess]:
    """``kopf run ARGS PATH`` under KopfRunner, with a registry of its own, as a second load of one file needs.

    With ``-m MODULE`` among the arguments and no path the module is loaded once, and a second run needs the same
    registry. It must end with status 0 and no exception, unless it is to fail; then see the runner for its status.

    Let there be an object before it starts, or wait for one: with none, the cache is synced before Kopf has looked
    around, and a stop in the middle of that leaves an HTTP session of Kopf's unclosed.
    """
    port = free_port()
    before = os.environ.get("WORKQUEUE_BIND_ADDRESS")
    os.environ["WORKQUEUE_BIND_ADDRESS"] = f"127.0.0.1:{port}"
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    import_path = list(sys.path)
    said = _Said()
    logging.getLogger("workqueue").addHandler(said)
    try:
        with KopfRunner(
            ["run", *args, *([path] if path else [])],
            registry=kopf.OperatorRegistry() if registry is None else registry,
            timeout=PATIENCE,
            reraise=not fails,
        ) as runner:
            operator = InProcess(port=port, runner=runner, said=said.lines, path=path)
            if ready:
                operator.wait_until_ready()
            yield operator
        if not fails:
            assert (runner.exit_code, runner.exception) == (0, None), runner.output
    finally:
        if before is None:
            del os.environ["WORKQUEUE_BIND_ADDRESS"]
        else:
            os.environ["WORKQUEUE_BIND_ADDRESS"] = before
        logging.getLogger("workqueue").removeHandler(said)
        root.handlers[:] = handlers  # Kopf's handler writes to a stream that is closed with the runner
        root.setLevel(level)
        gc.collect()  # what a run left behind is blamed on it, and not on a later test
        sys.path[:] = import_path


@dataclass
class Subprocess(Probes):
    """An operator as a process of its own."""

    process: "subprocess.Popen[str]"
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """At the end of `with` it gets a SIGTERM, and is given the time to end; what it said is printed at an error."""
        try:
            yield
        except BaseException:
            print(self.output())
            raise
        finally:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


@contextlib.contextmanager
def run_as_process(
    *args: str, kubeconfig: Path | str, log: Path, path: str = PODS, ready: bool = True, **environment: str
) -> Iterator[Subprocess]:
    """The literal ``kopf run ARGS PATH``."""
    port = free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "WORKQUEUE_BIND_ADDRESS": f"127.0.0.1:{port}",
        **environment,
    }
    with log.open("w") as output:
        kopf_command = str(Path(sys.executable).parent / "kopf")
        process = subprocess.Popen(
            [kopf_command, "run", *args, path],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    operator = Subprocess(port=port, process=process, log=log)
    with operator.ended():
        if ready:
            operator.wait_until_ready()
        yield operator
