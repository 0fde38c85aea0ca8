"""Random writes against a model small enough to be believed: a dictionary, and dictionaries computed from it.

A failure prints the steps that led to it, and the blob that repeats them. Where the environment says
CI the steps are the same in each run.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.cache.conftest import pack_at_once
from tests.cache.objects import pod
from workqueue.base.errors import IndexConflict, InvalidObject
from workqueue.base.keys import object_key
from workqueue.cache import NAMESPACE_INDEX, Indexer, Lister, field, label, namespace, pieces, reader

VALUES = "xyz"


def users(body):
    if "fail" in body["spec"]["users"]:
        raise ArithmeticError
    return body["spec"]["users"]


#: For each index: the function, and the same said by the model.
INDEXES = {
    "node": (field("spec.nodeName"), lambda body: {body["spec"].get("nodeName")} - {None}),
    "app": (label("app"), lambda body: set(body["metadata"].get("labels", {}).values())),
    NAMESPACE_INDEX: (namespace(), lambda body: {body["metadata"].get("namespace", "")}),
    "users": (users, lambda body: set() if "fail" in body["spec"]["users"] else set(body["spec"]["users"])),
}

pods = st.builds(
    pod,
    st.sampled_from("abcde"),
    st.sampled_from(["", "n", "m"]),
    uid=st.sampled_from([None, "u1", "u2"]),
    rv=st.sampled_from([None, 1, 2, "opaque"]),
    labels=st.sampled_from([None, {}, {"app": "x"}, {"app": "y"}]),
    node=st.sampled_from([None, "x", "y"]),
    users=st.lists(st.sampled_from(["x", "y", "z", "fail"]), max_size=3),
)


def expected_errors(bodies, names):
    return sum("users" in names and "fail" in body["spec"]["users"] for body in bodies)


class CacheMachine(RuleBasedStateMachine):
    @initialize(names=st.sets(st.sampled_from(sorted(INDEXES))), compression=st.sampled_from(["none", "auto", "zstd"]))
    def make(self, names, compression):
        self.patched = pytest.MonkeyPatch()
        pack_at_once(self.patched)  # and with another dictionary from time to time, beside those that were there before
        self.patched.setattr(pieces, "PIECE", 1)
        self.patched.setattr(reader, "LARGE", 2)
        self.indexer = Indexer({name: INDEXES[name][0] for name in names}, compression=compression)
        self.names, self.model, self.errors, self.snapshots = set(names), {}, 0, []

    @rule(body=pods, verb=st.sampled_from(["add", "update"]))
    def write(self, body, verb):
        old, new = getattr(self.indexer, verb)(body)
        assert (old and old.decode()) == self.model.get(object_key(body))
        assert new.decode() == body
        self.model[object_key(body)] = body
        self.errors += expected_errors([body], self.names)

    @rule(body=pods)
    def delete(self, body):
        old, new = self.indexer.delete(body)
        assert (old and old.decode(), new) == (self.model.pop(object_key(body), None), None)

    @rule(bodies=st.lists(pods, max_size=6))
    def replace(self, bodies):
        changes = self.indexer.replace(bodies)
        before, self.model = self.model, {}
        for body in bodies:
            self.model.pop(object_key(body), None)
            self.model[object_key(body)] = body
        told = [(old and old.decode(), new and new.decode()) for old, new in changes]
        gone = [(old, None) for key, old in before.items() if key not in self.model]
        assert all(each in gone for each in told[: len(gone)]), "removals come first, in no order"
        assert told[len(gone) :] == [(before.get(key), body) for key, body in self.model.items()]
        self.errors += expected_errors(self.model.values(), self.names)

    @rule(bodies=st.lists(pods, max_size=4), scope=st.sampled_from(["", "n", "m"]))
    def replace_namespace(self, bodies, scope):
        if scope == "":
            return  # it stands for all
        bodies = [body for body in bodies if body["metadata"].get("namespace", "") == scope]
        self.indexer.replace(bodies, namespace=scope)
        came = {object_key(body): body for body in bodies}
        self.model = {key: body for key, body in self.model.items() if key.namespace != scope} | came
        self.errors += expected_errors(came.values(), self.names)

    @rule(bodies=st.lists(pods, max_size=6), missing=st.sets(st.integers(0, 5)))
    def replace_by_a_draft(self, bodies, missing):
        draft = self.indexer.draft()
        self.model = {}
        for number, body in enumerate(bodies):
            if number in missing:
                draft.remove(object_key(body))
                self.model.pop(object_key(body), None)
            else:
                draft.add(self.indexer.complete(self.indexer.prepare(body)))
                self.model[object_key(body)] = body
                self.errors += expected_errors([body], self.names)
        assert len(draft) == len(self.model)
        self.indexer.replace(draft)

    @rule()
    def begin_to_iterate(self):
        """What is read of an instant stays as it was then, whatever comes after."""
        self.snapshots.append((iter(self.indexer), dict(self.model)))

    @rule()
    def end_to_iterate(self):
        while self.snapshots:
            iterator, model = self.snapshots.pop()
            assert {object_key(body): body for body in iterator} == model

    @rule(bodies=st.lists(pods, max_size=3), position=st.integers(0, 3))
    def fail_to_replace(self, bodies, position):
        bodies.insert(position, {"metadata": {}})
        with pytest.raises(InvalidObject):
            self.indexer.replace(bodies)

    @rule(names=st.sets(st.sampled_from(sorted(INDEXES)), min_size=1, max_size=2))
    def add_indexers(self, names):
        added = {name: INDEXES[name][0] for name in names}
        if names & self.names:
            with pytest.raises(IndexConflict):
                self.indexer.add_indexers(added)
        else:
            self.indexer.add_indexers(added)
            self.names |= names
            self.errors += expected_errors(self.model.values(), names)

    def teardown(self):
        self.patched.undo()

    @invariant()
    def holds_what_the_model_holds(self):
        indexer, lister = self.indexer, Lister(self.indexer.reader)
        indexer._check()
        assert {object_key(body): body for body in indexer.list()} == self.model
        assert sorted(indexer.list_keys()) == sorted(self.model)
        assert self.in_pages(indexer.list) == sorted(self.model)
        assert set(indexer.indexers()) == self.names
        assert indexer.statistics().index_errors == self.errors
        for name in self.names:
            table = {}
            for key, body in self.model.items():
                for value in INDEXES[name][1](body):
                    table.setdefault(value, []).append(key)
            assert sorted(indexer.list_index_func_values(name)) == sorted(table)
            for value in VALUES:
                assert indexer.index_keys(name, value) == sorted(table.get(value, []))
                assert sorted(map(object_key, indexer.by_index(name, value))) == sorted(table.get(value, []))
        for scope in ("", "n", "m"):
            for selector, apps in (("app=x", "x"), ("app in (x, y)", "xy"), ("app notin (x)", ["y", None])):
                wanted = sorted(
                    key for key, body in self.model.items()
                    if (body["metadata"].get("labels") or {}).get("app") in [*apps] and scope in ("", key.namespace)
                )  # fmt: skip
                assert sorted(map(object_key, lister.list(selector, namespace=scope))) == wanted
                assert self.in_pages(lambda scope=scope, selector=selector, **page: lister.list(
                    selector, namespace=scope, **page)) == wanted  # fmt: skip

    def in_pages(self, list_):
        """All keys, two at a time."""
        page = list_(limit=2)
        found = list(map(object_key, page))
        while page.continue_:
            assert len(page) == 2
            page = list_(limit=2, continue_=page.continue_)
            assert page, "a page that was promised is empty"
            found += map(object_key, page)
        return found


TestCache = CacheMachine.TestCase
TestCache.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Index functions fail here by the thousand."""
    caplog.set_level("CRITICAL", logger="workqueue.cache")
