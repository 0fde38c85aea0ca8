"""Why a key is added, as a handler may ask while it is called."""

import pytest

from tests.cache.objects import pod
from tests.informer.conftest import Recorder
from workqueue.base.origin import LOW_PRIORITY, Origin, current_origin, origin

USER = Origin("", 0)


def origins(recorder):
    return [(each.kind, each.origin.reason, each.origin.priority) for each in recorder.take()]


def test_what_is_brought_by_nobody_comes_from_the_user():
    assert current_origin() == USER


def test_low_priority_is_that_of_controller_runtime():
    assert LOW_PRIORITY == -100


def test_changes_have_their_kind_and_no_low_priority(informer, told):
    informer.apply(pod(rv=1))
    informer.apply(pod(rv=2))
    informer.remove(pod(rv=3))
    informer.deliver()
    assert sorted(origins(told)) == [("add", "add", 0), ("delete", "delete", 0), ("update", "update", 0)]


@pytest.mark.parametrize("bring", ["apply", "replace"])
def test_the_initial_list_has_low_priority(informer, told, bring):
    getattr(informer, bring)(pod() if bring == "apply" else [pod()], initial=True)
    informer.deliver()
    assert origins(told) == [("add", "initial list", LOW_PRIORITY)]


def test_changes_during_the_initial_list_have_not(informer, told):
    informer.apply(pod("a", rv=1), initial=True)
    informer.deliver()
    told.take()
    informer.apply(pod("a", rv=2), initial=True)
    informer.deliver()
    assert origins(told) == [("update", "update", 0)]


def test_what_a_late_handler_is_told_at_first_has_low_priority(informer):
    informer.apply(pod("a"))
    late = Recorder().listen(informer, "add")
    assert origins(late) == [("add", "initial list", LOW_PRIORITY)]
    informer.apply(pod("b"))
    informer.deliver()
    assert origins(late) == [("add", "add", 0)]


def test_a_resync_has_low_priority(informer, told):
    informer.apply(pod("a"))
    informer.deliver()
    told.take()
    informer.resync()
    assert origins(told) == [("update", "resync", LOW_PRIORITY)]
    informer.apply(pod("a", rv=2))
    informer.deliver()
    assert origins(told) == [("update", "update", 0)]


def test_the_origin_ends_with_the_call_also_when_it_raises(informer):
    def failing(**_):
        raise ArithmeticError(current_origin())

    informer.add_handler(failing, kind="add")
    informer.apply(pod(), initial=True)
    informer.deliver()
    assert informer.statistics().handlers[0].errors == 1
    assert current_origin() == USER


def test_origins_may_be_nested():
    with origin(Origin("outer", 1)):
        with origin(Origin("inner", 2)):
            assert current_origin().reason == "inner"
        assert current_origin().reason == "outer"
    assert current_origin() == USER


def test_another_thread_has_its_own_origin(background):
    with origin(Origin("here", 1)):
        assert background(current_origin).result(30) == USER
