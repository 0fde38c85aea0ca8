"""The cache: objects by key, found by index, owned by nobody who reads them."""

from workqueue.cache.draft import Change, Changes, Draft
from workqueue.cache.entry import Body, Entry, compact_uid, compact_version
from workqueue.cache.indexer import Indexer, Object, Transform
from workqueue.cache.indexes import (
    NAMESPACE_INDEX,
    IndexFunc,
    annotation,
    field,
    label,
    named_indexers,
    namespace,
    owner_uid,
)
from workqueue.cache.listers import Lister
from workqueue.cache.packing import Compression, PackingStatistics
from workqueue.cache.pages import Objects
from workqueue.cache.parsing import Part, Raw, parse_identity, parse_object
from workqueue.cache.reader import IndexerStatistics, Reader
from workqueue.cache.selectors import Everything, Nothing, Selector, parse_selector

__all__ = [
    "NAMESPACE_INDEX",
    "Body",
    "Change",
    "Changes",
    "Compression",
    "Draft",
    "Entry",
    "Everything",
    "IndexFunc",
    "Indexer",
    "IndexerStatistics",
    "Lister",
    "Nothing",
    "Object",
    "Objects",
    "PackingStatistics",
    "Part",
    "Raw",
    "Reader",
    "Selector",
    "Transform",
    "annotation",
    "compact_uid",
    "compact_version",
    "field",
    "label",
    "named_indexers",
    "namespace",
    "owner_uid",
    "parse_identity",
    "parse_object",
    "parse_selector",
]
