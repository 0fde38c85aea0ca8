"""`make run CLUSTER=real`: the main job on a whole control plane, and nothing left of either."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.e2e.test_control_plane import listening
from tests.operators.harness import ROOT, eventually, free_port

pytestmark = pytest.mark.e2e

BIN = Path(sys.executable).parent


def test_the_main_job_follows_a_deployment_until_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKEFLAGS", "MAKELEVEL"):  # of an outer make
        monkeypatch.delenv(name, raising=False)
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "WORKQUEUE_DEMO_SEED": "7", "WORKQUEUE_BIND_ADDRESS": address}
    command = ["make", "--no-print-directory", "INSTALLED=", f"BIN={BIN}", "run", "CLUSTER=real"]
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        ) as running,
    ):

        def said(pattern: str) -> re.Match[str] | None:
            assert running.poll() is None, log.read_text()
            return re.search(pattern, log.read_text())

        try:
            with requests.Session() as session:
                session.trust_env = False
                eventually(lambda: session.get(f"http://{address}/readyz", timeout=10).ok, "readiness")
            # Whichever was first: the operator saw them come, or found them.
            eventually(lambda: len(re.findall(r"demo/web-\S+: pod created", log.read_text())) >= 5, "five pods")
            eventually(lambda: said(r"demo: deployment web scaled from 5 to \d+"), "a change of the deployment")
            eventually(lambda: said("demo: deployment web restarted"), "a restart of the deployment")
            eventually(lambda: said(r"demo/web-\S+: pod does not exist anymore"), "a pod that went")
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does
            running.wait(60)
        finally:
            running.kill()
    text = log.read_text()
    first, *_ = text.splitlines()
    found = re.fullmatch(
        r"demo: real control plane at https://127\.0\.0\.1:(\d+); "
        r"a Deployment is scaled and restarted by itself in namespace demo \(seed 7\)",
        first,
    )
    assert found, first
    assert not listening(int(found[1]))
    look = re.search(r"^demo: look at it with: KUBECONFIG=(\S+) kubectl get pods -A -w$", text, re.MULTILINE)
    assert look
    assert not Path(look[1]).parent.exists()
    assert "Signal SIGINT is received" in text
    assert text.count("controller pods stopped: drained") == 1
    assert "Traceback" not in text


def test_the_commands_status_is_its_own_and_it_finds_nodes_that_are_ready() -> None:
    # From this process's view: what the command was told, what it saw, and what is left.
    program = """
import os, sys, kubernetes
client = kubernetes.config.new_client_from_config(os.environ["KUBECONFIG"])
client.configuration.no_proxy = "127.0.0.1"
nodes = kubernetes.client.CoreV1Api(client).list_node().items
ready = {"Ready": "True"}.items()
names = [each.metadata.name for each in nodes if ready <= {it.type: it.status for it in each.status.conditions}.items()]
print(os.environ["KUBECONFIG"], *names)
sys.exit(7)
"""
    command = [sys.executable, "-m", "tests.cluster.run", "real", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    kubeconfig, *ready = done.stdout.split()
    assert ready == ["kwok-0", "kwok-1", "kwok-2"]
    assert not Path(kubeconfig).parent.exists()
