"""The cache: objects by key, found by index, owned by nobody who reads them."""

from workqueue.cache.entry import Body, Entry
from workqueue.cache.indexer import Change, Indexer, Object, Prepared, Transform
from workqueue.cache.indexes import IndexFunc, annotation, field, label, namespace, owner_uid
from workqueue.cache.listers import NAMESPACE_INDEX, Lister
from workqueue.cache.packing import Compression, PackingStatistics
from workqueue.cache.parsing import Part, Raw, parse_identity, parse_object
from workqueue.cache.reader import IndexerStatistics, Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, parse_selector

__all__ = [
    "NAMESPACE_INDEX",
    "Body",
    "Change",
    "Compression",
    "Entry",
    "Everything",
    "IndexFunc",
    "Indexer",
    "IndexerStatistics",
    "Lister",
    "Nothing",
    "Object",
    "PackingStatistics",
    "Part",
    "Prepared",
    "Raw",
    "Reader",
    "Selector",
    "Transform",
    "annotation",
    "field",
    "label",
    "namespace",
    "owner_uid",
    "parse_identity",
    "parse_object",
    "parse_selector",
]
