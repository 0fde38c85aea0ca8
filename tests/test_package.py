"""What importing loads: the queues need the standard library alone, and the package's names come from their rooms."""

import os
import subprocess
import sys
import sysconfig
import zipfile
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


# The wheel, as it is installed by others.


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_the_wheel_tells_pytest_of_its_fixtures_and_has_all_of_the_package(wheel):
    (entries,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert wheel.read(entries).decode().split() == ["[pytest11]", "workqueue", "=", "workqueue.testing.pytest_plugin"]
    shipped = {name for name in wheel.namelist() if name.startswith("workqueue/")}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "workqueue").rglob("*.py")} <= shipped


def test_five_lines_with_no_cluster_run_where_the_wheel_was_installed(wheel, tmp_path):
    """In an environment of its own, which borrows from this one only what the wheel depends on, and pytest."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], timeout=120, check=True)
    (site,) = environment.glob("lib/python3.*/site-packages")
    wheel.extractall(site)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "test_users.py").write_text(
        """
import workqueue

def test_a_reconcile_function(workqueue_harness):
    cluster = workqueue_harness(lambda request: request.get()["spec"])
    cluster.apply({"metadata": {"name": "web", "namespace": "default"}, "spec": None})
    assert cluster.run_until_idle().outcomes == {"default/web": "success"}
    assert "environment" in workqueue.__file__
"""
    )
    command = [environment / "bin/python", "-m", "pytest", "-q", "-W", "error", "test_users.py"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
