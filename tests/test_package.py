"""What importing loads: the queues need the standard library alone, and the package's names come from their rooms."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import workqueue

ROOT = Path(__file__).parent.parent


def run(code):
    """Python without any installed package: only the standard library and this one."""
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_queues_need_the_standard_library_alone():
    ended = run(
        "import sys, workqueue.queues as queues\n"
        "queue = queues.PriorityQueue(fairness=queues.by_namespace)\n"
        "queue.add(('a', 'b')); queue.done(queue.get()); queue.shut_down()\n"
        "others = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'__main__'}\n"
        "print(sorted(others))"
    )
    assert (ended.stdout.strip(), ended.stderr) == ("['workqueue']", "")


def test_importing_the_package_loads_no_room():
    ended = run("import sys, workqueue; print([name for name in sys.modules if name.startswith('workqueue.')])")
    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")


@pytest.mark.parametrize("name", workqueue.__all__)
def test_every_public_name_is_there(name):
    assert getattr(workqueue, name).__module__.startswith("workqueue.")


def test_every_room_gives_what_is_public_and_nothing_else():
    assert sorted(name for names in workqueue._ROOMS.values() for name in names) == sorted(workqueue.__all__)
    with pytest.raises(AttributeError, match="module 'workqueue' has no attribute 'Manger'"):
        workqueue.Manger  # noqa: B018
