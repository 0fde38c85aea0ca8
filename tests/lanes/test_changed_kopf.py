"""A Kopf that has changed where nobody promised it would not: the operator works on the handlers lane and says it once.

The change is real: a copy of the installed Kopf is edited, as its author might edit it, and runs the operator.
"""

import re
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import kopf
import pytest

from tests.operators.conftest import kubeconfig, server
from tests.operators.harness import eventually, run_as_process
from tests.operators.objects import pod
from workqueue.plugin.internals import obstacles

__all__ = ["kubeconfig", "server"]

#: An older Kopf has less than is edited here.
KNOWN = not metadata.version("kopf").startswith("1.44.")

pytestmark = [pytest.mark.lanes, pytest.mark.skipif(not KNOWN, reason="this Kopf is too old for the stream lane")]

Edit = Callable[[str], str]


def renamed(old: str, new: str) -> Edit:
    return lambda text: re.sub(rf"\b{old}\b", new, text)


def replaced(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new)


def with_another_parameter(text: str) -> str:
    text = text.replace(
        "async def continuous_watch(\n        *,\n", "async def continuous_watch(\n        *,\n        mood: str,\n"
    )
    return text.replace(
        "stream = continuous_watch(\n", "stream = continuous_watch(\n                    mood='calm',\n"
    )


def with_another_waiter(text: str) -> str:
    if "operator_pause_waiter = asyncio.create_task(" not in text:
        return text
    text = text.replace("operator_pause_waiter = asyncio.create_task(", "operator_pause_waiter = _begin(")
    return text + "\n\ndef _begin(coro, *, name):\n    return asyncio.create_task(coro, name=name)\n"


#: What is edited, and what the operator then says is missing.
CHANGES: dict[str, tuple[Edit, str]] = {
    "a function removed": (renamed("continuous_watch", "steady_watch"), "kopf._cogs.clients.watching.continuous_watch"),
    "a signature changed": (with_another_parameter, "kopf._cogs.clients.watching.continuous_watch"),
    "a scan renamed": (renamed("scan_resources", "look_around"), "kopf._cogs.clients.scanning.scan_resources"),
    "a task made elsewhere": (with_another_waiter, "kopf._cogs.clients.watching.streaming_block"),
    "another function removed": (
        renamed("adjust_tasks", "match_tasks"),
        "kopf._core.reactor.orchestration.adjust_tasks",
    ),
    "a parameter renamed": (renamed("backoffs", "pauses"), "kopf._cogs.clients.api.request"),
    "a setting removed": (renamed("shard_selectors", "shards"), "settings.watching of Kopf 1.45"),
    "an attribute renamed": (renamed("watched_resources", "seen_resources"), "kopf._cogs.structs.references.Insights"),
    "a mark renamed": (renamed("LISTED", "DONE"), "kopf._cogs.clients.watching.Bookmark.LISTED"),
    "an error renamed": (renamed("APIError", "ApiFailure"), "kopf._cogs.clients.errors.APIError"),
    "a registry renamed": (renamed("_indexing", "_indices"), "the registry of handlers"),
    "a method renamed": (renamed("get_url", "make_url"), "Resource.get_url"),
}


def edited_kopf(into: Path, edit: Edit) -> Path:
    """A copy of Kopf in a folder, edited in all its files."""
    source = Path(kopf.__file__).parent
    copy = shutil.copytree(source, into / "kopf", ignore=shutil.ignore_patterns("__pycache__"))
    changed = 0
    for path in copy.rglob("*.py"):
        text = path.read_text()
        if (after := edit(text)) != text:
            path.write_text(after)
            changed += 1
    assert changed, "the edit changes nothing"
    return into


def test_this_kopf_has_all_that_is_needed():
    assert obstacles() == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_kopf_is_noticed_named_and_lived_with(server, kubeconfig, tmp_path, change):
    edit, missing = CHANGES[change]
    path = edited_kopf(tmp_path / "changed", edit)
    server.create("pods", pod("web"))
    with run_as_process("-A", kubeconfig=kubeconfig, log=tmp_path / "log", PYTHONPATH=str(path)) as operator:
        assert operator.metric("informer_lane", name="pods", lane="handlers") == 1
        server.create("pods", pod("late"))
        eventually(lambda: "default/late: pod created" in operator.output(), "the pod that came late")
    lines = [line for line in operator.output().splitlines() if "lacks or changed" in line]
    assert len(lines) == 1, operator.output()
    assert missing in lines[0]
    assert "informer pods: handlers lane" in operator.output()
    assert "Traceback" not in operator.output()


def test_a_kopf_without_what_only_the_guard_needs_keeps_the_stream_lane(server, kubeconfig, tmp_path):
    path = edited_kopf(tmp_path / "changed", renamed("watch_objs", "read_objs"))
    server.create("pods", pod("web"))
    with run_as_process("-A", kubeconfig=kubeconfig, log=tmp_path / "log", PYTHONPATH=str(path)) as operator:
        assert operator.metric("informer_lane", name="pods", lane="stream") == 1
        server.create("pods", pod("late"))
        eventually(lambda: "default/late: pod created" in operator.output(), "the pod that came late")
    assert "this version of Kopf ends the operator when the API server errs for a minute" in operator.output()
    assert "Traceback" not in operator.output()


def test_a_lane_that_is_demanded_and_cannot_be_ends_with_one_line(server, kubeconfig, tmp_path):
    path = edited_kopf(tmp_path / "changed", renamed("adjust_tasks", "match_tasks"))
    with run_as_process(
        "-A", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False, PYTHONPATH=str(path), WORKQUEUE_LANE="stream"
    ) as operator:
        assert operator.process.wait(60) == 1
    [line] = [line for line in operator.output().splitlines() if line.startswith("error: ")]
    assert line.startswith("error: informer pods cannot have lane='stream': Kopf ")
    assert "orchestration.adjust_tasks" in line
    assert "Traceback" not in operator.output()


def test_an_unknown_lane_ends_with_one_line(server, kubeconfig, tmp_path):
    with run_as_process(
        "-A", kubeconfig=kubeconfig, log=tmp_path / "log", ready=False, WORKQUEUE_LANE="fast"
    ) as operator:
        assert operator.process.wait(60) == 1
    assert "error: WORKQUEUE_LANE=fast: expected one of auto, stream, handlers" in operator.output()
    assert "Traceback" not in operator.output()
