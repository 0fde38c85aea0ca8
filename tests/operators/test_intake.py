"""Event intake goes on whatever the business logic does."""

import kopf

from tests.operators.harness import eventually, run_in_process
from tests.operators.objects import pod


def test_intake_never_waits_for_reconcilers(server):
    with run_in_process("-A", path="tests/operators/files/blocked.py") as operator:
        module = operator.module
        try:
            for number in range(1000):
                server.create("pods", pod(f"web-{number}"))
            eventually(lambda: len(module.pods.indexer) == 1000, "1,000 cached pods")
            eventually(lambda: module.controller.queue.statistics().depth == 996, "a depth of 996")
            assert module.controller.statistics().active == 4
            running = min(module.runs)
            for number in range(100):
                server.patch("pods", running.name, {"metadata": {"labels": {"change": str(number)}}})
            eventually(
                lambda: module.pods.get(running)["metadata"].get("labels") == {"change": "99"}, "the last change cached"
            )
            assert module.runs[running] == 1
            assert module.controller.queue.statistics().depth == 997, "the running key waits for its one more run"
        finally:
            module.released.set()
        operator.wait_until_idle(1001)
        assert module.runs[running] == 2
        assert len(module.runs) == 1000
        assert module.runs.total() == 1001


def test_plain_kopf_handlers_may_add_keys(server):
    with run_in_process("-A", path="tests/operators/files/plain.py") as operator:
        module = operator.module
        server.create("configmaps", {"metadata": {"name": "settings", "namespace": "default"}, "data": {"a": "1"}})
        eventually(lambda: len(module.runs) == 1, "a run for the creation")
        # What the documentation warns of: Kopf's own handlers write to the objects they watch.
        metadata = server.get("configmaps", "settings")["metadata"]
        assert metadata["finalizers"] == [kopf.OperatorSettings().persistence.finalizer]
        eventually(
            lambda: (
                "kopf.zalando.org/last-handled-configuration"
                in server.get("configmaps", "settings")["metadata"].get("annotations", {})
            ),
            "Kopf's annotation",
        )
        server.patch("configmaps", "settings", {"data": {"a": "2"}})
        eventually(lambda: len(module.runs) == 2, "a run for the update")
        server.delete("configmaps", "settings")
        eventually(lambda: len(module.runs) == 3, "a run for the deletion")
        assert set(module.runs) == {"default/settings"}
