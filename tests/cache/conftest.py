"""What the other rooms' tests made for threads; and every cache twice, once with bodies that are packed at once."""

import pytest

from tests.base.conftest import background, hectic
from workqueue.cache import batches, indexer, packing

__all__ = ["background", "hectic"]

#: Modules whose tests are of caches that are too small to be packed by themselves.
SMALL = {
    "test_concurrent_reads", "test_contract", "test_hostile_functions", "test_index_lookup", "test_listers",
    "test_private_copies", "test_store", "test_transform",
}  # fmt: skip


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__.rpartition(".")[2] in SMALL:
        metafunc.fixturenames.append("packed")
        metafunc.parametrize("packed", [False, True], ids=["as it comes", "packed"], indirect=True)


@pytest.fixture
def packed(request, monkeypatch):
    """All is packed at once, however little, and whether it becomes smaller or not."""
    if request.param:
        monkeypatch.setitem(indexer.Indexer.__init__.__kwdefaults__, "compression", "zstd")
        pack_at_once(monkeypatch)


def at_once(work):
    """Dictionaries are trained where they are wanted, so that each run has them at the same objects."""
    work()


def pack_at_once(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setitem(packing.Packer.__init__.__kwdefaults__, "aside", at_once)
    for name, value in {"PAYS": 100.0, "WORTH": 0, "SAMPLES": 8, "SOONEST": 4, "BETTER": 100.0}.items():
        monkeypatch.setattr(packing, name, value)
