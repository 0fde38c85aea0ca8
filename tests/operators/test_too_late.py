"""What is made while the operator runs would be dead, and is refused; before a run and after it, it is not."""

from tests.operators.harness import eventually, run_in_process
from tests.operators.objects import pod

LATE = "the operator runs already; make informers and controllers while the file is loaded"


def test_informers_and_controllers_are_made_before_the_operator_runs(server):
    server.create("pods", pod("web"))
    with run_in_process("-A", path="tests/operators/files/too_late.py") as operator:
        module = operator.module
        eventually(lambda: len(module.refused) == 3, "three refusals")
    assert module.refused == [f"informer('nodes'): {LATE}", f"controller 'late': {LATE}", f"controller 'later': {LATE}"]
    module.manager.informer("nodes").controller(module.reconcile, name="of the next run")


def test_a_controller_without_handlers_says_so_in_a_running_operator(server, tmp_path):
    file = tmp_path / "my_operator.py"
    file.write_text(
        "from workqueue import Manager\n"
        "manager = Manager()\n"
        "controller = manager.informer('pods').controller(lambda request: None)\n"
    )
    server.create("pods", pod("web"))
    with run_in_process("-A", path=str(file)) as operator:
        operator.wait_until_seen("controller pods: nothing adds keys to it: put @pods.on_add, @pods.on_update and ")
