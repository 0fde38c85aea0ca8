"""The cache keeps the contract of every store, read through its writer and through its reader."""

from workqueue.cache import Indexer
from workqueue.testing.contracts import IndexerContract


class TestIndexer(IndexerContract):
    def make_store(self, indexers=None):
        return Indexer(indexers)

    def check(self, store):
        store._check()


class TestReader(TestIndexer):
    def reader(self, store):
        return store.reader
