"""Random events in any order: a fold over what handlers are told is the cache, after each of them.

A failure prints the steps that led to it, and the blob that repeats them. Where the environment says
CI the steps are the same in each run.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.cache.objects import pod
from workqueue.base.keys import ObjectKey, object_key
from workqueue.cache import Indexer, field, label
from workqueue.informer import Informer

UIDS = [None, "u1", "u2", "u3"]
VERSIONS = [None, *range(6, 13), "opaque", "other"]  # 9 and 10: compared as numbers
KEYS = [ObjectKey("n", "a"), ObjectKey("n", "b"), ObjectKey("m", "a"), ObjectKey("", "c")]


def body_of(key, uid, version):
    """An object's version says all of its content, as in a cluster."""
    number = str(version)[-1]
    labels = {"app": f"{uid}"} if number in "02468er" else None
    return pod(key.name, key.namespace, uid=uid, rv=version, labels=labels, node=f"n{number}", of=[uid, version])


orders = st.permutations(["add", "update", "delete"])
bodies = st.builds(body_of, st.sampled_from(KEYS), st.sampled_from(UIDS), st.sampled_from(VERSIONS))


def is_older(body, than):
    versions = [each["metadata"].get("resourceVersion", "") for each in (body, than)]
    return all(map(str.isdecimal, versions)) and int(versions[0]) < int(versions[1])


def uid(body):
    return body["metadata"].get("uid")


def is_another(body, than):
    return bool(uid(body) and uid(than) and uid(body) != uid(than))


class Fold:
    """Three handlers that know nothing but what they are told."""

    def __init__(self, informer, order):
        self.objects, self.calls = {}, []
        for kind in order:
            informer.add_handler(getattr(self, kind), kind=kind)

    def add(self, key, old, new, final_state_known, **_):
        assert old is None
        assert final_state_known
        assert key not in self.objects, "added twice"
        self.objects[key] = dict(new)
        self.calls.append("add")

    def update(self, key, old, new, initial, **_):
        assert self.objects[key] == old, "updated from a state that was never told"
        assert not initial
        assert not (uid(old) and uid(new)) or uid(old) == uid(new), "two objects in one update"
        self.objects[key] = dict(new)
        self.calls.append("update")

    def delete(self, key, old, new, final_state_known, **_):
        assert new is None
        known = self.objects.pop(key)
        assert final_state_known or known == old, "a tombstone of a state that was never told"
        self.calls.append("delete")


class InformerMachine(RuleBasedStateMachine):
    @initialize(order=orders)
    def make(self, order):
        self.indexer = Indexer({"node": field("spec.nodeName"), "app": label("app")})
        self.informer = Informer("pods", indexer=self.indexer)
        self.folds = [Fold(self.informer, order)]
        self.model, self.remembered = {}, []

    def take(self):
        """What the first handlers were told by this step."""
        calls, self.folds[0].calls = self.folds[0].calls, []
        return calls

    @rule(body=bodies, initial=st.booleans())
    def apply(self, body, initial):
        self.informer.apply(body, initial=initial)
        self.informer.deliver()
        key = object_key(body)
        stored = self.model.get(key)
        if stored is None:
            assert self.take() == ["add"]
        elif is_older(body, stored) or (body == stored and "resourceVersion" in body["metadata"]):
            assert self.take() == []
            return
        elif is_another(body, stored):
            assert self.take() == ["delete", "add"]
        else:
            assert self.take() == ["update"]
        self.model[key] = body

    @rule(body=bodies)
    def remove(self, body):
        self.informer.remove(body)
        self.informer.deliver()
        key = object_key(body)
        stored = self.model.get(key)
        if stored is None or is_older(body, stored) or is_another(body, stored):
            assert self.take() == []
        else:
            assert self.take() == ["delete"]
            del self.model[key]

    @rule(bodies=st.lists(bodies, max_size=6), initial=st.booleans())
    def replace(self, bodies, initial):
        self.informer.replace(bodies, initial=initial)
        self.informer.deliver()
        self.model = {object_key(body): body for body in bodies}
        self.take()

    @rule(key=st.sampled_from(KEYS))
    def look(self, key):
        entry = self.informer.reader.entry(key)
        if entry is not None:
            self.remembered.append(entry)

    @rule(data=st.data())
    def remove_missing(self, data):
        if self.remembered:
            missing = data.draw(st.sampled_from(self.remembered))
            there = self.informer.reader.entry(missing.key) is missing
            self.informer.remove_missing(missing)
            self.informer.deliver()
            assert self.take() == ["delete"] * there
            if there:
                del self.model[missing.key]

    @rule()
    def resync(self):
        self.informer.resync()
        assert len(self.take()) == len(self.model)

    @rule(order=orders)
    def listen(self, order):
        if len(self.folds) < 4:
            self.folds.append(Fold(self.informer, order))

    @invariant()
    def every_fold_is_the_cache(self):
        self.indexer._check()
        cached = {entry.key: entry.decode() for entry in self.informer.reader.entries()}
        assert cached == self.model
        for fold in self.folds:
            assert fold.objects == cached
        statistics = self.informer.statistics()
        assert statistics.pending == 0
        assert not any(handler.errors for handler in statistics.handlers)


TestInformer = InformerMachine.TestCase
TestInformer.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
