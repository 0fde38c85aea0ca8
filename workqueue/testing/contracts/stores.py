"""What every store of objects must do, to be run against yours: derive from the class of what it is.

Properties asserted by client-go's tools/cache tests (store_test.go, index_test.go,
thread_safe_store_test.go), and that what is handed out is the caller's own.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import pytest

from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache import IndexFunc


class AnyStore(Protocol):
    """The verbs of :class:`workqueue.cache.Indexer`; what those that write return is left to each."""

    def add(self, body: Mapping[str, Any]) -> Any:
        """Store an object."""
        ...

    def update(self, body: Mapping[str, Any]) -> Any:
        """Store an object."""
        ...

    def delete(self, body: Mapping[str, Any]) -> Any:
        """Remove what has the key of this object."""
        ...

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> Any:
        """Hold these and no others."""
        ...

    def get_by_key(self, key: ObjectKey | tuple[str, str] | str) -> dict[str, Any] | None:
        """One object, or None."""
        ...

    def list_keys(self) -> list[ObjectKey]:
        """All keys, in any order."""
        ...

    def list(self) -> list[dict[str, Any]]:
        """All, in any order."""
        ...

    def __len__(self) -> int: ...


class StoreContract:
    """Every store: derive from it, name the class Test…, and say how a store is made."""

    def make_store(self) -> Any:
        """A new and empty store, an :class:`AnyStore`."""
        raise NotImplementedError

    def reader(self, store: Any) -> Any:
        """What the store is read through: itself by default."""
        return store

    def check(self, store: Any) -> None:
        """Assert what the store itself says is always true; nothing by default."""

    def everything(self, store: Any) -> dict[ObjectKey, dict[str, Any]]:
        """All that a store can tell of what it holds; all of it must agree."""
        self.check(store)
        reader = self.reader(store)
        found = {object_key(body): body for body in reader.list()}
        assert len(found) == len(reader)
        assert sorted(found) == sorted(reader.list_keys())
        assert all(reader.get_by_key(key) == body for key, body in found.items())
        return found

    def test_a_new_store_is_empty(self) -> None:
        store = self.make_store()
        assert self.everything(store) == {}
        assert self.reader(store).get_by_key("default/web") is None

    @pytest.mark.parametrize("key", [ObjectKey("default", "web"), ("default", "web"), "default/web"], ids=repr)
    def test_an_object_is_found_by_any_form_of_its_key(self, key: Any) -> None:
        store = self.make_store()
        store.add(an_object("web"))
        assert self.reader(store).get_by_key(key) == an_object("web")

    def test_an_object_in_the_cluster_scope_is_found_by_its_name_alone(self) -> None:
        store = self.make_store()
        store.add(an_object("n1", ""))
        reader = self.reader(store)
        assert reader.get_by_key("n1") == reader.get_by_key(("", "n1")) == an_object("n1", "")

    def test_one_name_in_two_namespaces_is_two_objects(self) -> None:
        store = self.make_store()
        for namespace in ("a", "b", ""):
            store.add(an_object("web", namespace))
        assert sorted(self.everything(store)) == [("", "web"), ("a", "web"), ("b", "web")]
        store.delete(an_object("web", "a"))
        assert sorted(self.everything(store)) == [("", "web"), ("b", "web")]

    @pytest.mark.parametrize("verb", ["add", "update"])
    def test_whatever_verb_stores_an_object_the_last_one_is_kept(self, verb: str) -> None:
        store = self.make_store()
        for version in (1, 2):
            getattr(store, verb)(an_object("web", version=version))
            assert self.everything(store) == {("default", "web"): an_object("web", version=version)}

    def test_to_delete_what_is_not_there_is_no_error(self) -> None:
        store = self.make_store()
        store.add(an_object("db"))
        store.delete(an_object("web"))
        assert list(self.everything(store)) == [("default", "db")]

    def test_after_a_replace_there_is_what_it_was_given_and_nothing_else(self) -> None:
        store = self.make_store()
        for name in ("stays", "changes", "goes"):
            store.add(an_object(name))
        given = [an_object("changes", version=2), an_object("stays"), an_object("comes")]
        store.replace(iter(given))
        assert self.everything(store) == {object_key(body): body for body in given}

    def test_of_two_objects_with_one_key_the_last_one_is_left_by_a_replace(self) -> None:
        store = self.make_store()
        store.replace([an_object("web"), an_object("web", version=2)])
        assert self.everything(store) == {("default", "web"): an_object("web", version=2)}

    def test_a_replace_by_nothing_empties_the_store(self) -> None:
        store = self.make_store()
        store.add(an_object("a"))
        store.replace([])
        assert self.everything(store) == {}

    def test_what_is_handed_out_or_given_can_be_changed_without_changing_what_is_stored(self) -> None:
        store = self.make_store()
        given = an_object("web")
        store.add(given)
        given["spec"]["list"].append("given")
        reader = self.reader(store)
        reader.get_by_key("default/web")["spec"]["list"].append("got")
        reader.list()[0]["spec"]["list"].append("listed")
        assert self.everything(store) == {("default", "web"): an_object("web")}


class IndexerContract(StoreContract):
    """Every store with indexes: :meth:`make_store` takes them, and ``by_index`` finds by them."""

    def make_store(self, indexers: Mapping[str, IndexFunc] | None = None) -> Any:
        """A new and empty store.

        :param indexers: its indexes by name; each is called with an object and returns its values.
        """
        raise NotImplementedError

    def test_an_object_is_found_by_its_values_as_long_as_it_has_them(self) -> None:
        store = self.make_store({"colour": lambda body: body["spec"]["colours"]})

        def found(value: str) -> list[str]:
            return sorted(body["metadata"]["name"] for body in self.reader(store).by_index("colour", value))

        store.add(an_object("a", colours=["red", "blue"]))
        store.add(an_object("b", colours=["red"]))
        assert (found("red"), found("blue"), found("green")) == (["a", "b"], ["a"], [])
        store.update(an_object("a", version=2, colours=["green"]))
        assert (found("red"), found("blue"), found("green")) == (["b"], [], ["a"])
        store.delete(an_object("b"))
        store.replace([an_object("c", colours=["red", "red"])])
        assert (found("red"), found("blue"), found("green")) == (["c"], [], [])
        self.check(store)

    def test_an_index_that_there_is_not_is_an_error(self) -> None:
        with pytest.raises(LookupError):
            self.reader(self.make_store()).by_index("colour", "red")


def an_object(
    name: str, namespace: str = "default", *, version: int = 1, colours: Iterable[str] = ()
) -> dict[str, Any]:
    """An object, as small as one can be that has something in it."""
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(version)}
    if namespace:
        metadata["namespace"] = namespace
    spec = {"list": ["one"], "colours": list(colours)}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, "spec": spec}
