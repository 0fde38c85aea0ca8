"""Reconcile functions on Kopf's own loop: they are bounded, drained, cancelled, and noticed when they hold it up."""

import json
import signal
import threading

from tests.operators.harness import eventually, run_as_process, run_in_process
from tests.operators.objects import pod

PATH = "tests/operators/files/coroutines.py"
FIELDS = ("controller", "key", "reconcile_id", "attempt")


def blocked(operator):
    return operator.metric("workqueue_loop_blocked_total")


def test_well_behaved_coroutines_run_on_kopfs_loop_and_nothing_is_said_of_it(server):
    for name in ("web", "slow-1", "slow-2", "exiting"):
        server.create("pods", pod(name))
    with run_in_process("-A", path=PATH) as operator:
        module = operator.module
        eventually(lambda: sorted(set(module.done)) == ["exiting", "slow-1", "slow-2", "web"], "all runs")
        loop_thread = module.pods._runtime._watched.thread
        assert {module.seen[name][0].ident for name in ("web", "slow-1", "slow-2", "exiting")} == {loop_thread}
        eventually(
            lambda: operator.metric("controller_runtime_reconcile_total", controller="pods", result="success") == 4
        )
        assert operator.metric("controller_runtime_reconcile_panics_total", controller="pods") == 1
        assert operator.metric("controller_runtime_max_concurrent_reconciles", controller="pods") == 4
        assert blocked(operator) == 0
        assert operator.metric("workqueue_loop_lag_seconds") == 0, "there is nothing on it any more"
    assert not [line for line in operator.said if "the loop has not turned" in line]


def test_what_kopfs_startup_saw_reaches_coroutines_and_what_one_sets_no_other_sees(server):
    server.create("pods", pod("first"))
    with run_in_process("-A", path=PATH) as operator:
        module = operator.module
        eventually(lambda: "first" in module.done)
        server.create("pods", pod("second"))
        eventually(lambda: "second" in module.done)
        before = module.seen["startup"][1]
        assert before == "by the file"
        assert module.seen["first"][1:] == module.seen["second"][1:] == (before, "unset")


def test_one_that_blocks_the_loop_is_told_once_with_its_place_and_shown_while_it_lasts(server):
    server.create("pods", pod("blocking"))
    with run_in_process("-A", path=PATH, ready=False) as operator:
        module = None
        try:
            eventually(lambda: blocked(operator) == 1, "a blocked loop")
            module = operator.module
            eventually(lambda: operator.metric("workqueue_loop_lag_seconds") > 1, "a lag that grows")
            [line] = [line for line in operator.said if "the loop has not turned" in line]
            assert "it is busy with pods default/blocking" in line
            assert " block < " in line
            assert " reconcile < " in line
        finally:
            (module or operator.module).released.set()
        eventually(lambda: module.done == ["blocking"])
        operator.wait_until_ready()
        server.create("pods", pod("web"))
        eventually(lambda: "web" in module.done, "the operator goes on")
        assert blocked(operator) == 1
    assert len([line for line in operator.said if "the loop has not turned" in line]) == 1


def test_at_the_stop_what_is_under_way_is_finished(server):
    server.create("pods", pod("slow-1"))
    with run_in_process("-A", path=PATH) as operator:
        eventually(lambda: "slow-1" in operator.module.seen)
        module = operator.module
    assert module.done == ["slow-1"]
    begin = next(line for line in operator.said if "controller pods stopping" in line)
    assert "0 keys queued, 1 in processing, up to " in begin
    assert "second signal" not in begin, "in a thread there are no signals"
    assert any("controller pods stopped: drained" in line for line in operator.said)


def test_at_the_end_of_the_grace_what_is_under_way_is_cancelled_and_said(server, monkeypatch):
    monkeypatch.setenv("COROUTINES_GRACE", "0.2")
    server.create("pods", pod("endless"))
    with run_in_process("-A", path=PATH) as operator:
        eventually(lambda: "endless" in operator.module.seen)
    assert any("default/endless failed (run 1), left for the next start" in line for line in operator.said)
    assert any("controller pods stopped: not drained" in line for line in operator.said)
    assert not any("abandoned" in line for line in operator.said)
    assert not [each for each in threading.enumerate() if each.name.startswith("workqueue-pods-")]


def test_one_that_swallows_its_cancellation_keeps_the_process_from_ending_no_more_than_others(
    server, kubeconfig, tmp_path
):
    server.create("pods", pod("stubborn"))
    with run_as_process(
        "-A", path=PATH, kubeconfig=kubeconfig, log=tmp_path / "log", COROUTINES_GRACE="0.2"
    ) as operator:
        eventually(lambda: "default/stubborn: begun" in operator.output())
        operator.process.send_signal(signal.SIGTERM)
        assert operator.process.wait(60) == 0
    output = operator.output()
    assert "swallowed" in output
    assert "controller pods: abandoned: default/stubborn (" in output
    assert " reconcile)" in output
    assert "Task was destroyed" not in output
    assert "never awaited" not in output
    assert "Traceback" not in output.partition("Operator is stopping")[0]


def test_each_line_of_a_run_carries_which_run_it_is_in_kopfs_json(server, kubeconfig, tmp_path):
    for name in ("web", "failing"):
        server.create("pods", pod(name))
    own = tmp_path / "own"
    with run_as_process(
        "-A", "--log-format=json", path=PATH, kubeconfig=kubeconfig, log=tmp_path / "log", COROUTINES_LOG=str(own)
    ) as operator:
        eventually(lambda: "it is as it is" in operator.output() and "default/web: begun" in operator.output())
    records = [json.loads(line) for line in operator.output().splitlines() if line.startswith("{")]

    def fields(text):
        [record] = [each for each in records if text in each["message"]]
        return tuple(record.get(name) for name in FIELDS)

    web = fields("run of web")
    assert web[:2] == ("pods", "default/web")
    assert web[3] == 1
    assert web == fields("default/web: begun")
    failing = fields("run of failing")
    assert failing[2] != web[2]
    assert failing == fields("will not be retried: it is as it is")
    assert fields("caches synced") == (None,) * 4
    assert f"{web[2]} run of web" in own.read_text().splitlines(), (
        "a handler and a text format of the user's, set up in a startup handler"
    )
