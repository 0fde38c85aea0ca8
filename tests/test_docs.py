"""The documentation's Python is Python that runs, and its links lead somewhere."""

import re
from pathlib import Path

import kopf
import pytest

from workqueue.testing import Harness

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "tests/README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(page, block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.fixture
def registry(request):
    before = kopf.get_default_registry()
    kopf.set_default_registry(kopf.OperatorRegistry())
    yield
    kopf.set_default_registry(before)


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_every_example_runs(page, block, registry):
    code = compile(block, str(page), "exec")
    if "KopfRunner" not in block:  # that one starts an operator, as tests/operators do all the time
        exec(code, {"__name__": "example"})


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_every_controller_of_an_example_is_asked_for_something(page, block):
    if ".controller(" in block:  # one that nobody adds keys to does nothing, which nobody sees
        assert re.search(r"controller\.(add|owns|maps)\(", block)


def test_the_example_of_readiness_says_what_it_is_said_to_say(registry, caplog):
    caplog.set_level("INFO", logger="workqueue.control")
    (block,) = [
        each
        for each in re.findall(r"```python\n(.*?)```", (ROOT / "docs/reconcile.md").read_text(), re.DOTALL)
        if "readiness" in each
    ]
    names = {"__name__": "example"}
    exec(block, names)
    pods = [
        {"metadata": {"name": name, "namespace": "default"}, "spec": {"nodeName": node}}
        for name, node in (("a", "n1"), ("b", "n2"), ("c", "n2"))
    ]
    with Harness.of(names["controller"], existing=pods) as cluster:
        cluster.run_until_idle()
        assert "pods are on" not in caplog.text, "the last of the initial runs was not over"
        cluster.delete("default/a")
        cluster.run_until_idle()
        assert "pods are on 1 nodes" in caplog.text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
