"""The cache: objects by key, found by index, owned by nobody who reads them."""

from workqueue.cache.entry import Body, Entry
from workqueue.cache.indexer import Change, Indexer, Object, Prepared, Transform
from workqueue.cache.indexes import IndexFunc, field, label, namespace
from workqueue.cache.listers import NAMESPACE_INDEX, Lister
from workqueue.cache.reader import IndexerStatistics, Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, parse_selector
from workqueue.cache.wire import Part, Raw, parse_identity, parse_object

__all__ = [
    "NAMESPACE_INDEX",
    "Body",
    "Change",
    "Entry",
    "Everything",
    "IndexFunc",
    "Indexer",
    "IndexerStatistics",
    "Lister",
    "Nothing",
    "Object",
    "Part",
    "Prepared",
    "Raw",
    "Reader",
    "Selector",
    "Transform",
    "field",
    "label",
    "namespace",
    "parse_identity",
    "parse_object",
    "parse_selector",
]
