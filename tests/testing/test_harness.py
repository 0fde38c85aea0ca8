"""A reconcile function in a cluster that is not there: what runs, when, why, and how a test is told of failures."""

import asyncio
import logging
import threading

import kopf
import pytest

from workqueue import Result, TerminalError
from workqueue.base.errors import ConfigurationError
from workqueue.control import TimeLimitExceeded
from workqueue.queues import Debounce, ItemExponentialFailureRateLimiter, by_namespace
from workqueue.testing import Harness, NotIdle


def named(name="web", namespace="default", **fields):
    return {**fields, "metadata": {"name": name, "namespace": namespace, **fields.get("metadata", {})}}


@pytest.fixture
def harness():
    """``harness(reconcile, …)``; all are closed after the test."""
    made = []

    def make(reconcile=lambda request: None, **options):
        made.append(Harness(reconcile, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def fail(request):
    raise OSError("no luck")


def sleep(seconds):
    def reconcile(request):
        request.wait(seconds)

    return reconcile


# What runs, and in which order.


def test_a_change_is_a_run_and_nothing_runs_by_itself(harness):
    seen = []
    cluster = harness(lambda request: seen.append(request.get()))
    web = cluster.apply(named("web"))
    assert seen == []
    report = cluster.run_until_idle()
    assert seen == [web]
    assert (report.keys, report.outcomes, report.waiting, report.parked) == (
        ["default/web"], {"default/web": "success"}, {}, (),
    )  # fmt: skip
    assert cluster.run_until_idle().runs == ()


def test_all_runs_are_in_the_thread_of_the_test_and_there_is_no_other(harness):
    before = set(threading.enumerate())
    seen = []
    cluster = harness(lambda request: seen.append(threading.current_thread()), timeout=10)
    cluster.apply(named())
    cluster.run_until_idle()
    assert seen == [threading.current_thread()]
    assert set(threading.enumerate()) == before


def test_each_run_says_why_it_was_as_in_an_operator(harness):
    cluster = harness(existing=[named("old")])
    cluster.apply(named("new"))
    cluster.apply(named("new", spec={"replicas": 1}))
    cluster.add("default/hand")
    assert [(run.key.name, set(run.reasons), run.priority) for run in cluster.run_until_idle().runs] == [
        ("new", {"add", "update"}, 0),
        ("hand", set(), 0),
        ("old", {"initial list"}, -100),
    ]
    assert cluster.controller.readiness == "processed"
    cluster.delete("default/old")
    cluster.resync()
    assert [(run.key.name, set(run.reasons), run.priority) for run in cluster.run_until_idle().runs] == [
        ("old", {"delete"}, 0),
        ("new", {"resync"}, -100),
    ]


def test_the_same_test_twice_is_the_same_twice(harness):
    def story():
        def reconcile(request):
            if request.name == "b":
                raise OSError(request.retry)
            return Result.requeue(after=7) if request.name == "c" else None

        with Harness(reconcile, max_retries=3, errors="keep", existing=[named("a"), named("b")]) as cluster:
            cluster.apply(named("c"))
            first, second = cluster.run_until_idle(), cluster.advance(100)
            cluster.recreate("default/a")
            return f"{first}\n{second}\n{cluster.run_until_idle()}\n{cluster.objects.get('default/a')}"

    assert story() == story()
    assert story().count("\n") > 20


def test_only_the_changes_that_were_asked_for_ask_for_a_key(harness):
    cluster = harness(on=["delete"])
    cluster.apply(named())
    assert cluster.run_until_idle().runs == ()
    cluster.delete("default/web")
    assert cluster.run_until_idle().keys == ["default/web"]


def test_handlers_of_a_test_decide_what_is_asked_for(harness):
    cluster = harness(on=[])

    @cluster.objects.on_update
    def changed(key, old, new, **_):
        if old["spec"] != new["spec"]:
            cluster.add(key)

    cluster.apply(named(spec={"replicas": 1}))
    cluster.apply(named(spec={"replicas": 1}, status={"ready": 1}))
    assert cluster.run_until_idle().runs == ()
    cluster.apply(named(spec={"replicas": 2}))
    assert cluster.run_until_idle().keys == ["default/web"]


def test_a_change_during_a_run_is_exactly_one_more_run(harness):
    def reconcile(request):
        if len(seen) < 1:
            for number in range(3):
                cluster.apply(named(spec={"replicas": number}))
        seen.append(request.get()["spec"])

    seen = []
    cluster = harness(reconcile)
    cluster.apply(named(spec={}))
    assert len(cluster.run_until_idle().runs) == 2
    assert seen == [{"replicas": 2}, {"replicas": 2}]


def test_a_paused_controller_runs_nothing(harness):
    cluster = harness()
    cluster.apply(named())
    cluster.controller.pause()
    assert cluster.run_until_idle().runs == ()
    cluster.controller.resume()
    assert len(cluster.run_until_idle().runs) == 1


def test_the_queue_is_what_was_asked_for(harness):
    cluster = harness(fairness=by_namespace, debounce=Debounce(1, 5))
    for namespace, name in (("a", "1"), ("a", "2"), ("b", "3")):
        cluster.apply(named(name, namespace))
    report = cluster.run_until_idle()
    assert (report.runs, report.waiting) == ((), {"a/1": 1, "a/2": 1, "b/3": 1})
    assert cluster.advance(1).keys == ["a/1", "b/3", "a/2"]


# Time.


def test_each_retry_runs_at_its_own_instant_and_the_last_one_parks(harness):
    cluster = harness(fail, max_retries=3, errors="keep", rate_limiter=ItemExponentialFailureRateLimiter(1, 100))
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert (report.outcomes, report.waiting) == ({"default/web": "error"}, {"default/web": 1})
    assert cluster.advance(0.5).runs == ()
    report = cluster.advance(1000)
    assert [(run.at, run.retry, run.outcome) for run in report.runs] == [
        (1, 1, "error"), (3, 2, "error"), (7, 3, "parked"),
    ]  # fmt: skip
    assert (report.waiting, report.parked) == ({}, ("default/web",))
    assert cluster.clock.now() == 1000.5


def test_what_is_asked_for_later_runs_then_however_time_is_cut(harness):
    cluster = harness(lambda request: Result.requeue(after=30))
    cluster.advance(40.1)
    cluster.apply(named())
    cluster.run_until_idle()
    for seconds in (10, 10, 9.9):
        assert cluster.advance(seconds).runs == ()
    assert [run.at for run in cluster.advance(0.1).runs] == pytest.approx([70.1])
    assert [run.at for run in cluster.advance(65).runs] == pytest.approx([100.1, 130.1])


def test_ten_tenths_of_a_second_are_one(harness):
    cluster = harness(lambda request: Result.requeue(after=1))
    cluster.apply(named())
    cluster.run_until_idle()
    assert [len(cluster.advance(0.1).runs) for _ in range(10)] == [0] * 9 + [1]


def test_changes_do_not_lengthen_a_backoff(harness):
    cluster = harness(fail, errors="keep", rate_limiter=ItemExponentialFailureRateLimiter(1, 100))
    for number in range(5):
        cluster.apply(named(spec={"number": number}))
        assert cluster.run_until_idle().waiting == {"default/web": 1}


def test_a_sleep_of_a_run_takes_no_time_but_the_clocks(harness):
    cluster = harness(lambda request: None if request.wait(3600) else Result.requeue(after=request.retry + 1))
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert (cluster.clock.now(), report.outcomes, report.waiting) == (
        3600, {"default/web": "requeue_after"}, {"default/web": 1},
    )  # fmt: skip


def test_a_run_that_is_not_over_in_time_has_failed_and_what_it_answers_is_nobodys(harness):
    waits = []

    def reconcile(request):
        waits.append((request.deadline, request.wait(3600), request.stopping))
        return Result.requeue(after=77)

    cluster = harness(reconcile, timeout=10, errors="keep")
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert waits == [(10, True, True)]
    assert (report.outcomes, report.waiting) == ({"default/web": "timeout"}, {"default/web": 0.005})
    assert isinstance(report.runs[0].error, TimeLimitExceeded)
    assert cluster.controller.statistics().timeout == 1


def test_a_run_that_ends_before_its_time_is_over_is_in_time(harness):
    cluster = harness(sleep(9), timeout=10)
    cluster.apply(named())
    assert cluster.run_until_idle().outcomes == {"default/web": "success"}
    assert cluster.advance(100).runs == ()


def test_a_time_limit_that_is_over_is_told_as_an_error_is(harness):
    cluster = harness(sleep(11), timeout=10)
    cluster.apply(named())
    with pytest.raises(TimeLimitExceeded, match="not over within 10 s"):
        cluster.run_until_idle()


def test_time_does_not_go_back_and_does_not_end(harness):
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="expected seconds, 0 or more"):
            harness().advance(seconds)


# Failures.


def test_what_the_function_raises_is_raised_with_its_own_traceback_and_the_run(harness):
    cluster = harness(fail)
    cluster.apply(named("a"))
    cluster.apply(named("b"))
    with pytest.raises(OSError, match="no luck") as caught:
        cluster.run_until_idle()
    assert caught.traceback[-1].name == "fail"
    assert caught.value.__notes__ == [
        "in a run of the reconcile function: 0 s  default/a  error (add, run 1): OSError('no luck')",
        "1 more runs failed, the last: 0 s  default/b  error (add, run 1): OSError('no luck')",
        "to look at failures in the report instead: Harness(…, errors='keep')",
    ]
    assert cluster.queue.statistics().delayed == 2, "it is retried all the same"


@pytest.mark.parametrize(
    ("error", "outcome", "waiting"),
    [
        (TerminalError("no use"), "terminal", {}),
        (kopf.PermanentError("no use"), "terminal", {}),
        (kopf.TemporaryError("later", delay=12), "error", {"default/web": 12}),
    ],
)
def test_an_error_that_says_what_should_become_of_the_key_is_an_answer(harness, error, outcome, waiting):
    def reconcile(request):
        raise error

    cluster = harness(reconcile)
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert (report.outcomes, report.waiting, report.runs[0].error) == ({"default/web": outcome}, waiting, error)


def test_an_answer_that_is_none_is_told(harness):
    cluster = harness(lambda request: "done")
    cluster.apply(named())
    with pytest.raises(
        TypeError, match=r"<lambda> \(.*test_harness.py:\d+\) returned a value of the type str, expected"
    ):
        cluster.run_until_idle()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), pytest.fail.Exception("enough"), pytest.skip.Exception("no")])
def test_what_ends_a_test_ends_it_at_once(harness, error):
    def reconcile(request):
        seen.append(request.name)
        raise error

    seen = []
    cluster = harness(reconcile, errors="keep")
    cluster.apply(named("a"))
    cluster.apply(named("b"))
    with pytest.raises(type(error)):
        cluster.run_until_idle()
    assert seen == ["a"]


def test_a_key_that_never_becomes_idle_is_told(harness):
    def reconcile(request):
        cluster.apply(named(status={"seen": request.get().get("status", {}).get("seen", 0) + 1}))

    cluster = harness(reconcile)
    cluster.apply(named())
    cluster.apply(named("other"))
    with pytest.raises(NotIdle, match=r"not idle after 50 runs, 50 of .*default/web.*update") as caught:
        cluster.run_until_idle(limit=50)
    assert len(caught.value.report.runs) == 51


def test_a_requeue_without_end_is_told_when_much_time_passes(harness):
    cluster = harness(lambda request: Result.requeue(after=0.001))
    cluster.apply(named())
    with pytest.raises(NotIdle, match=r"not idle after 1000 runs, .* requeue_after"):
        cluster.advance(3600)


def test_a_reconcile_function_does_not_run_the_harness(harness):
    cluster = harness(lambda request: cluster.run_until_idle() and None)
    cluster.apply(named())
    with pytest.raises(RuntimeError, match="the harness runs already"):
        cluster.run_until_idle()


def test_what_a_handler_raises_is_raised_where_it_was_called(harness):
    cluster = harness(errors="keep")

    @cluster.objects.on_add
    def broken(key, **_):
        raise LookupError(key.name)

    with pytest.raises(LookupError, match="web"):
        cluster.apply(named())
    assert cluster.run_until_idle().keys == ["default/web"], "the other handlers were told"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"errors": "ignore"}, "Harness(errors='ignore'): expected 'raise' or 'keep'"),
        ({"on": ["change"]}, "Harness(on=['change']): expected some of add, update, delete"),
        ({"maxretries": 3}, "Harness(maxretries=…): there is no such option"),
        ({"max_retries": -1}, "controller 'pods': max_retries=-1, expected 0 or more, or None"),
        ({"reconcile": lambda: None}, "controller 'pods': <lambda> must take one argument, the request: "),
        (
            {"existing": [{"kind": "Service", **named()}]},
            "default/web is a Service of v1, and here are ",
        ),
        ({"existing": [{"metadata": {"name": "n"}}]}, "Pod n: it needs a namespace"),
        ({"namespaced": False, "existing": [named()]}, "Pod default/web: it is of the cluster scope"),
    ],
)
def test_what_cannot_be_is_one_line(harness, wrong, told):
    with pytest.raises(ConfigurationError) as caught:
        harness(**wrong)
    assert str(caught.value).startswith(told)


def test_an_async_handler_and_an_async_map_are_refused(harness):
    async def wrong(**_):
        pass

    async def wrong_map(body):
        pass

    cluster = harness()
    with pytest.raises(ConfigurationError, match="is async"):
        cluster.objects.on_add(wrong)
    with pytest.raises(ConfigurationError, match="is async"):
        cluster.maps(cluster.informer("services", kind="Service"), by=wrong_map)


def test_the_end_of_a_harness_says_nothing_of_what_waits(harness, caplog):
    caplog.set_level(logging.WARNING)
    with Harness(lambda request: Result.requeue(after=9)) as cluster:
        cluster.apply(named("a"))
        cluster.run_until_idle()
        cluster.apply(named("b"))
    assert cluster.queue.shutting_down
    assert caplog.records == []
    cluster.close()


# Parking.


def test_a_resync_does_not_unpark_a_key_and_a_change_or_a_hand_does(harness):
    cluster = harness(fail, max_retries=0, errors="keep")
    cluster.apply(named())
    assert cluster.run_until_idle().parked == ("default/web",)
    cluster.resync()
    cluster.apply(named())
    assert cluster.run_until_idle().runs == ()
    cluster.apply(named(spec={"replicas": 2}))
    assert cluster.run_until_idle().outcomes == {"default/web": "parked"}
    cluster.add("default/web")
    assert cluster.run_until_idle().outcomes == {"default/web": "parked"}


def test_a_resync_does_not_cut_a_backoff(harness):
    cluster = harness(fail, errors="keep")
    cluster.apply(named())
    cluster.run_until_idle()
    cluster.resync()
    assert cluster.run_until_idle().runs == ()
    assert len(cluster.advance(0.005).runs) == 1


# Other resources.


def owned(name, owner, *, controller=True, **fields):
    reference = {"apiVersion": "v1", "kind": "Pod", "name": owner, "uid": "1", "controller": controller}
    return named(name, metadata={"ownerReferences": [reference]}, **fields)


def test_the_owner_of_another_object_runs(harness):
    seen = []
    cluster = harness(lambda request: seen.append((request.name, len(secrets.by_index("type", "Opaque")))))
    secrets = cluster.informer(
        "secrets", kind="Secret", existing=[owned("old", "web")], indexers={"type": lambda body: [body.get("type", "")]}
    )
    cluster.owns(secrets)
    assert [set(run.reasons) for run in cluster.run_until_idle().runs] == [{"initial list"}]
    secrets.apply(owned("new", "db", type="Opaque"))
    secrets.apply(owned("foreign", "other", controller=False))
    assert cluster.run_until_idle().keys == ["default/db"]
    secrets.delete("default/new")
    assert cluster.run_until_idle().keys == ["default/db"]
    assert seen == [("web", 0), ("db", 1), ("db", 0)]


def test_an_owner_of_another_group_is_none_of_ours(harness):
    cluster = harness(api_version="example.com/v1")
    secrets = cluster.informer("secrets", kind="Secret")
    cluster.owns(secrets)
    secrets.apply(owned("new", "web"))
    assert cluster.run_until_idle().runs == ()


def test_what_a_function_names_runs(harness):
    cluster = harness()
    nodes = cluster.informer("nodes", kind="Node", namespaced=False)
    cluster.maps(nodes, by=lambda node: [("default", name) for name in node["pods"]])
    nodes.apply({"metadata": {"name": "n1"}, "pods": ["a", "b"]})
    assert cluster.run_until_idle().keys == ["default/a", "default/b"]
    nodes.apply({"metadata": {"name": "n1"}, "pods": ["b", "c"]})
    assert cluster.run_until_idle().keys == ["default/a", "default/b", "default/c"], "both states are looked at"


def test_what_a_function_raises_for_an_object_is_raised_where_it_was_applied(harness):
    cluster = harness()
    nodes = cluster.informer("nodes", kind="Node", namespaced=False)
    cluster.maps(nodes, by=lambda node: node["pods"])
    with pytest.raises(KeyError, match="pods"):
        nodes.apply({"metadata": {"name": "n1"}})


# Events.


def test_events_of_a_recorder_are_kept(harness):
    def reconcile(request):
        recorder.event(request.get(), type="Warning", reason="Seen", message="again")

    cluster = harness(reconcile)
    recorder = cluster.recorder("pod-controller")
    assert cluster.events == []
    cluster.apply(named())
    cluster.run_until_idle()
    cluster.advance(60)
    cluster.add("default/web")
    cluster.run_until_idle()
    (event,) = cluster.events
    assert (event["reason"], event["count"], event["source"]["component"]) == ("Seen", 2, "pod-controller")
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    assert event["involvedObject"]["uid"] == cluster.objects.get("default/web")["metadata"]["uid"]


# Coroutines.


def test_an_async_function_sleeps_without_time_passing_for_anybody(harness):
    seen = []

    async def reconcile(request):
        await asyncio.sleep(3600)
        seen.append(await asyncio.to_thread(threading.current_thread))
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            return Result.requeue(after=1)

    cluster = harness(reconcile)
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert cluster.clock.now() == pytest.approx(3605)
    assert (report.outcomes, report.waiting) == ({"default/web": "requeue_after"}, {"default/web": 1})
    assert seen[0] is not threading.current_thread()


def test_what_comes_from_outside_is_waited_for_and_time_does_not_run_away(harness):
    async def reconcile(request):
        released = asyncio.Event()
        loop = asyncio.get_running_loop()
        gate = threading.Event()
        loop.call_later(10, gate.set)
        async with asyncio.timeout(1000):
            waiting = asyncio.create_task(asyncio.to_thread(gate.wait, 0.05))
            waiting.add_done_callback(lambda _: released.set())
            await released.wait()
        seen.append(gate.is_set())

    seen = []
    cluster = harness(reconcile)
    cluster.apply(named())
    cluster.run_until_idle()
    assert seen == [False]
    assert cluster.clock.now() == 0


def test_an_async_run_is_cancelled_when_its_time_is_over(harness):
    ends = []

    async def reconcile(request):
        try:
            await asyncio.sleep(3600)
        finally:
            ends.append(cluster.clock.now())

    cluster = harness(reconcile, timeout=10, max_retries=0, errors="keep")
    cluster.apply(named())
    report = cluster.run_until_idle()
    assert (ends, report.outcomes) == ([10], {"default/web": "parked"})
    assert isinstance(report.runs[0].error, TimeLimitExceeded)


def test_what_an_async_run_has_begun_ends_with_the_harness():
    ends = []

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    tasks = []

    async def reconcile(request):
        tasks.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)

    with Harness(reconcile) as cluster:
        cluster.apply(named())
        assert cluster.run_until_idle().outcomes == {"default/web": "success"}
        assert ends == []
    assert ends == ["cancelled"]


def test_an_async_function_is_not_run_in_a_test_that_is_async_itself(harness):
    async def reconcile(request):
        pass

    cluster = harness(reconcile)
    cluster.apply(named())

    async def test():
        cluster.run_until_idle()

    with pytest.raises(RuntimeError, match="test an async function by a test that is a plain one"):
        asyncio.run(test())
    assert len(cluster.run_until_idle().runs) == 1


# What is told of it.


def test_a_report_is_told_line_by_line(harness):
    cluster = harness(fail, max_retries=1, errors="keep")
    assert str(cluster.run_until_idle()) == "nothing ran"
    cluster.apply(named())
    assert str(cluster.run_until_idle()) == (
        "0 s  default/web  error (add, run 1): OSError('no luck')\ndefault/web waits 0.005 s"
    )
    assert str(cluster.advance(1)) == (
        "0.005 s  default/web  parked (a retry, run 2): OSError('no luck')\ndefault/web is parked"
    )
    assert [run.retry for run in cluster.run_until_idle().of("default/web")] == []


def test_a_report_tells_what_came_of_the_last_run_of_each_key(harness):
    cluster = harness(lambda request: None if request.retry else fail(request), errors="keep")
    cluster.apply(named())
    report = cluster.advance(1)
    assert (report.keys, report.outcomes) == (["default/web"] * 2, {"default/web": "success"})
    assert [run.outcome for run in report.of("default/web")] == ["error", "success"]


def test_a_long_report_tells_the_last_runs(harness):
    cluster = harness(lambda request: Result.requeue(after=1))
    cluster.apply(named())
    lines = str(cluster.advance(29)).splitlines()
    assert (lines[0], len(lines)) == ("… 10 runs before", 22)
