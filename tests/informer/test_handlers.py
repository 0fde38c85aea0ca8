"""Handlers are called one after another, in order, each for itself: late ones, failing ones, slow ones."""

import contextlib
import threading

import pytest

from tests.cache.objects import pod
from tests.informer.conftest import Recorder
from tests.queues.conftest import PATIENCE
from workqueue.base.errors import ConfigurationError
from workqueue.base.keys import ObjectKey


def apply(informer, *bodies):
    for body in bodies:
        informer.apply(body)
        informer.deliver()


# Order.


def test_each_handler_is_called_in_the_order_of_the_changes(informer):
    recorders = [Recorder().listen(informer, "update") for _ in range(2)]
    for version in range(1, 6):
        informer.apply(pod("a", rv=version))
        informer.apply(pod("b", rv=version))
    informer.deliver()
    expected = [f"update default/{name} {rv} -> {rv + 1}" for rv in range(1, 5) for name in "ab"]
    assert [recorder.lines() for recorder in recorders] == [expected, expected]


def test_a_handler_is_never_called_by_two_threads_at_once_and_keeps_the_order(informer, background, hectic):
    inside = threading.Lock()
    versions = []

    def handler(new, **_):
        assert inside.acquire(blocking=False), "two calls at once"
        versions.append((new["metadata"]["name"], int(new["metadata"]["resourceVersion"])))
        inside.release()

    for kind in ("add", "update"):
        informer.add_handler(handler if kind == "update" else lambda **_: None, kind=kind)

    def bring(name):
        for version in range(101):
            apply(informer, pod(name, rv=version))

    for future in [background(bring, name) for name in "abcd"]:
        future.result(PATIENCE)
    for name in "abcd":
        assert [version for each, version in versions if each == name] == list(range(1, 101))
    statistics = informer.statistics()
    assert [(each.calls, each.errors) for each in statistics.handlers] == [(4, 0), (400, 0)]
    assert statistics.pending == 0


def test_intake_does_not_wait_for_a_handler(informer, background):
    entered, leave = threading.Event(), threading.Event()

    def handler(**_):
        entered.set()
        assert leave.wait(PATIENCE)

    informer.add_handler(handler, kind="add")
    informer.apply(pod("a"))
    delivering = background(informer.deliver)
    assert entered.wait(PATIENCE)
    informer.apply(pod("b"))  # would hang if a lock were held
    assert len(informer.reader) == 2
    assert informer.statistics().pending == 1
    leave.set()
    delivering.result(PATIENCE)
    assert informer.statistics().handlers[0].calls == 2


def test_handlers_of_all_kinds_hear_of_all_changes_in_one_order(informer):
    told = Recorder().listen(informer, "add", "delete", "update")
    informer.apply(pod(uid="u1", rv=1))
    informer.apply(pod(uid="u1", rv=2))
    informer.apply(pod(uid="u2", rv=3))
    informer.remove(pod(uid="u2", rv=4))
    informer.apply(pod(uid="u3", rv=5))
    informer.deliver()
    assert [(each.kind, each.uid) for each in told.take()] == [
        ("add", "u1"), ("update", "u1"), ("delete", "u1"), ("add", "u2"), ("delete", "u2"), ("add", "u3"),
    ]  # fmt: skip


def test_all_handlers_hear_of_one_change_before_any_hears_of_the_next(informer):
    told = Recorder().listen(informer, "add", "add")
    informer.apply(pod("a"))
    informer.apply(pod("b"))
    informer.deliver()
    assert [each.name for each in told.take()] == ["a", "a", "b", "b"]


def test_who_delivers_returns_when_everything_was_told_also_by_another_thread(informer, background):
    entered, leave, over = threading.Event(), threading.Event(), []

    def handler(**_):
        entered.set()
        assert leave.wait(PATIENCE)
        over.append(True)

    informer.add_handler(handler, kind="add")
    informer.apply(pod())
    first = background(informer.deliver)
    assert entered.wait(PATIENCE)
    second = background(lambda: (informer.deliver(), list(over)))
    leave.set()
    assert second.result(PATIENCE) == (False, [True])
    first.result(PATIENCE)


def test_a_handler_may_ask_the_cache_and_bring_events_and_handlers_itself(informer, told):
    late = Recorder()

    def handler(key, **_):
        assert informer.reader.get_by_key(key)
        assert informer.statistics().events
        if key.name == "web":
            informer.apply(pod("from a handler"))
            informer.deliver()
            late.listen(informer, "add")
        told.calls.append(f"end of {key.name}")

    informer.add_handler(handler, kind="add")
    apply(informer, pod())
    assert told.lines() == ["add default/web 1", "end of web", "add default/from a handler 1", "end of from a handler"]
    assert late.lines() == ["add default/web 1", "add default/from a handler 1"]


# Late.


def test_a_late_handler_is_told_first_of_everything_that_is_stored(informer, told):
    apply(informer, pod("a", rv=1), pod("b", rv=1), pod("a", rv=2))
    told.take()
    late = Recorder().listen(informer, "add")
    assert sorted(str(each) for each in late.calls) == ["add default/a 2", "add default/b 1"]
    assert {(each.initial, each.final_state_known, each.old) for each in late.take()} == {(True, True, None)}
    apply(informer, pod("c"))
    [add] = late.take()
    assert (add.name, add.initial) == ("c", False)
    assert told.lines() == ["add default/c 1"], "those that were there before were told again"


@pytest.mark.parametrize("kind", ["update", "delete"])
def test_a_late_handler_of_another_kind_is_told_only_of_what_comes(informer, kind):
    apply(informer, pod("a", rv=1))
    late = Recorder().listen(informer, kind)
    assert late.take() == []
    apply(informer, pod("a", rv=2))
    informer.remove(pod("a", rv=3))
    informer.deliver()
    assert [each.kind for each in late.take()] == [kind]


def test_a_late_handler_misses_nothing_and_hears_nothing_twice_while_events_come(informer, background, hectic):
    def bring():
        for number in range(300):
            apply(informer, pod(f"p{number}", rv=number))

    bringing = background(bring)
    late = []
    while len(late) < 20:
        late.append(Recorder().listen(informer, "add"))
    bringing.result(PATIENCE)
    for recorder in late:
        assert sorted(each.name for each in recorder.calls) == sorted(f"p{number}" for number in range(300))


def test_a_change_while_a_late_handler_is_added_is_told_to_it_once(informer, indexer, background, monkeypatch):
    apply(informer, pod("a"))
    bringing = []
    entries = indexer.entries

    def meanwhile():
        bringing.append(background(apply, informer, pod("b")))
        with contextlib.suppress(TimeoutError):  # rightly it has to wait until the handler was added
            bringing[0].result(0.05)
        return entries()

    monkeypatch.setattr(indexer, "entries", meanwhile)
    late = Recorder().listen(informer, "add")
    bringing[0].result(PATIENCE)
    assert [(each.name, each.initial) for each in late.take()] == [("a", True), ("b", False)]


# Bodies.


def test_a_handler_that_changes_what_it_was_given_changes_nothing(informer, indexer):
    def ruin(labels, old, new, **_):
        labels["app"] = "ruined"
        for body in (old, new):
            if body is not None:
                body["metadata"]["labels"]["app"] = "ruined"
                body["spec"].clear()

    kinds = ("add", "update", "delete")
    for kind in kinds:
        informer.add_handler(ruin, kind=kind)
    after = Recorder().listen(informer)
    first, second = pod(rv=1, labels={"app": "web"}, node="n1"), pod(rv=2, labels={"app": "web"}, node="n1")
    apply(informer, first, second)
    assert informer.reader.list() == [second]
    assert informer.reader.entry("default/web").labels == {"app": "web"}
    informer.resync()
    informer.replace([])
    informer.deliver()
    assert [(each.old, each.new, each.labels) for each in after.take()] == [
        (None, first, {"app": "web"}), (first, second, {"app": "web"}), (second, second, {"app": "web"}),
        (second, None, {"app": "web"}),
    ]  # fmt: skip


def test_a_body_cannot_be_assigned_to(informer, told):
    apply(informer, pod())
    [add] = told.take()
    with pytest.raises(TypeError):
        add.new["spec"] = {}


# Failing.


def test_a_handler_that_raises_harms_nobody_and_is_counted(informer, caplog):
    def failing(key, **_):
        raise ArithmeticError(key.name)

    informer.add_handler(failing, kind="add")
    recorder = Recorder().listen(informer, "add")
    apply(informer, pod("a"), pod("b"))
    assert recorder.lines() == ["add default/a 1", "add default/b 1"]
    failed, fine = informer.statistics().handlers
    assert (failed.calls, failed.errors) == (2, 2)
    assert (fine.calls, fine.errors) == (2, 0)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    message = caplog.records[0].getMessage()
    assert message.startswith("handler test_a_handler_that_raises")
    assert message.endswith("failing failed on add of default/a")
    assert caplog.records[0].exc_info[0] is ArithmeticError


def test_a_handler_without_kwargs_is_given_what_it_takes(informer):
    told = []

    class Keys:
        def add(self, key):
            told.append(key)

    def both(name, *, key, new=None, other=5):
        told.append((key, name, new["metadata"]["name"], other))

    for function in (Keys().add, both):
        informer.add_handler(function, kind="add")
    apply(informer, pod("a"))
    key = ObjectKey("default", "a")
    assert told == [key, (key, "a", "a", 5)]
    [first, second] = informer.statistics().handlers
    assert first.name.endswith("Keys.add")
    assert (first.errors, second.errors) == (0, 0)


def test_a_handler_with_kwargs_is_called_itself(informer):
    def handler(key, **_):
        """Has nothing around it that would cost time."""

    assert informer.add_handler(handler, kind="add").function is handler


@pytest.mark.parametrize(
    "function",
    [
        lambda key, /: None,
        lambda name, namespace: None,
        lambda key, body: None,
        lambda body, **_: None,
        lambda key, /, name: None,
        lambda *key: None,
        lambda: None,
    ],
)
def test_a_handler_that_takes_other_arguments_is_refused_when_it_is_added(informer, function):
    with pytest.raises(ConfigurationError, match=r"must take its arguments by keyword and end in \*\*_"):
        informer.add_handler(function, kind="add")


def test_an_async_handler_is_refused_when_it_is_added(informer):
    async def handler(**_):
        pass

    class Asynchronous:
        async def __call__(self, **_):
            pass

    for function in (handler, Asynchronous()):
        with pytest.raises(ConfigurationError, match="is async"):
            informer.add_handler(function, kind="add")


def test_what_is_no_function_or_no_kind_is_refused(informer):
    with pytest.raises(ConfigurationError, match="is no function"):
        informer.add_handler("pod_created", kind="add")
    with pytest.raises(ConfigurationError, match="expected one of add, update, delete"):
        informer.add_handler(lambda **_: None, kind="create")


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_handler_that_would_end_its_thread_is_counted_and_ends_nothing(informer, raised):
    def ending(**_):
        raise raised

    told = []
    informer.add_handler(ending, kind="add")
    informer.add_handler(lambda key, **_: told.append(str(key)), kind="add")
    apply(informer, pod("a"), pod("b"))
    assert told == ["default/a", "default/b"]
    assert [each.errors for each in informer.statistics().handlers] == [2, 0]
    assert informer.statistics().pending == 0


# Slow.


def test_a_slow_handler_is_warned_about_at_the_1st_2nd_4th_and_8th_time(informer, clock, caplog):
    informer.add_handler(lambda **_: clock.step(0.0625), kind="add")
    warned = []
    for number in range(1, 17):
        apply(informer, pod(f"p{number}"))
        warned += [number] * len(caplog.records)
        caplog.clear()
    assert warned == [1, 2, 4, 8, 16]
    [handler] = informer.statistics().handlers
    assert (handler.calls, handler.slow, handler.errors) == (16, 16, 0)


def test_the_warning_names_handler_time_and_key(informer, clock, caplog):
    def dawdling(**_):
        clock.step(0.25)

    informer.add_handler(dawdling, kind="add")
    apply(informer, pod())
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "dawdling took 250 ms on default/web (slow 1 times so far)" in record.getMessage()


def test_a_quick_handler_is_not_warned_about(informer, clock, caplog):
    informer.add_handler(lambda **_: clock.step(0.03125), kind="add")
    apply(informer, *(pod(f"p{number}") for number in range(5)))
    assert informer.statistics().handlers[0].slow == 0
    assert caplog.records == []


def test_a_handler_that_is_slow_and_raises_is_both(informer, clock, caplog):
    def handler(**_):
        clock.step(1)
        raise ArithmeticError

    informer.add_handler(handler, kind="add")
    apply(informer, pod())
    [statistics] = informer.statistics().handlers
    assert (statistics.calls, statistics.errors, statistics.slow) == (1, 1, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
