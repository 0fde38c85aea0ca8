"""What a reconcile function should not answer or raise, and clocks that fail: told plainly, and no key is lost."""

import threading
from decimal import Decimal
from unittest.mock import MagicMock, Mock

import pytest

from tests.control.conftest import settle, until
from workqueue.base.errors import ConfigurationError, Interrupted, ShutDown
from workqueue.base.keys import ObjectKey
from workqueue.control import Result
from workqueue.queues import PriorityQueue, RateLimitingQueue
from workqueue.testing import FakeClock

KEY, OTHER = ObjectKey("default", "a"), ObjectKey("default", "other")


class Unprintable:
    def __repr__(self):
        raise SystemExit("no repr")

    __str__ = __repr__


class UnprintableError(RuntimeError):
    def __repr__(self):
        raise SystemExit("no repr")

    __str__ = __repr__


def check_failed_and_works_on(controller, runs, clock):
    """KEY failed once and is retried; the worker has not suffered."""
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().error == 1)
    until(lambda: controller.queue.statistics().delayed == 1)
    settle(controller)
    runs.answer = None
    controller.add(OTHER)
    until(lambda: controller.statistics().success == 1)
    clock.step(1.0)
    until(lambda: controller.statistics().success == 2)
    statistics = controller.statistics()
    assert (statistics.restarts, statistics.workers, statistics.error) == (0, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [True, 0, "done", object(), {}, Result, Mock(), MagicMock(), Mock(spec=Result), Unprintable(), float("nan")],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_that_is_none_is_a_failure_that_says_what_was_expected(make, runs, clock, caplog, *, answer):
    runs.answer = lambda _: answer
    check_failed_and_works_on(make(runs), runs, clock)
    assert "expected None or a Result" in caplog.text


def test_a_huge_error_is_a_line_of_bounded_length(make, runs, clock, caplog):
    runs.answer = ValueError("x" * 5_000_000)
    check_failed_and_works_on(make(runs), runs, clock)
    assert all(len(record.getMessage()) < 3_000 for record in caplog.records)


def test_a_judge_that_fails_leaves_the_error_one_like_any_other(make, runs, clock, caplog):
    def judge(error):
        raise OverflowError("too much")

    runs.answer = ValueError("no")
    controller = make(runs, judge=judge, max_retries=0)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().given_up == 1)
    assert controller.statistics().restarts == 0
    assert "an error could not be read, and counts as any other" in caplog.text


def test_a_huge_answer_is_not_written_out(make, runs, clock, caplog):
    runs.answer = lambda _: "x" * 10_000_000
    check_failed_and_works_on(make(runs), runs, clock)
    assert len(caplog.text) < 10_000


@pytest.mark.parametrize(
    "error",
    [
        *(UnprintableError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), RecursionError(), MemoryError()),
        *(StopIteration(), StopAsyncIteration(), ShutDown("of another queue"), Interrupted("elsewhere")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_raised_is_a_failure_and_no_more(make, runs, clock, error):
    runs.answer = error
    check_failed_and_works_on(make(runs), runs, clock)


@pytest.mark.parametrize("after", [Decimal(5), True, "5", 10**400, Mock(), float("inf"), float("nan"), 0, -1, None])
def test_a_delay_that_no_clock_can_count_is_refused_where_it_is_said(after):
    with pytest.raises(ConfigurationError, match="expected seconds, more than 0"):
        Result("requeue_after", after)


@pytest.mark.parametrize("error", [ShutDown("elsewhere"), Interrupted("elsewhere"), StopIteration(), GeneratorExit()])
@pytest.mark.parametrize("method", ["forget", "add_rate_limited"])
def test_a_limiter_that_raises_what_means_something_elsewhere_sends_no_worker_home(
    make, runs, queue, clock, *, error, method
):
    def broken(key):
        setattr(queue, method, plain)
        raise error

    plain = getattr(queue, method)
    setattr(queue, method, broken)
    runs.answer = lambda request: RuntimeError() if method != "forget" and len(runs) == 1 else None
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    until(lambda: clock.step(0.1) or controller.statistics().success == 1, "the key comes again")
    assert controller.statistics().workers == 1


class FailingClock(FakeClock):
    """Raises at the call that is asked for, and at some after it."""

    def __init__(self):
        super().__init__(start=0.0)
        self.calls, self.failing = 0, range(0)
        self.counting = threading.Lock()

    def count(self):
        if not threading.current_thread().name.startswith("workqueue"):
            return
        with self.counting:
            self.calls += 1
            if self.calls in self.failing:
                raise OSError("no time")

    def now(self):
        self.count()
        return super().now()

    def wait(self, condition, until):
        self.count()
        super().wait(condition, until)


@pytest.mark.parametrize("queue_class", [PriorityQueue, RateLimitingQueue])
@pytest.mark.parametrize("fails_at", range(1, 25))
@pytest.mark.parametrize("times", [1, 5])
def test_a_clock_that_raises_at_any_point_costs_no_key_and_no_worker(
    make, runs, *, monkeypatch, fails_at, times, queue_class
):
    monkeypatch.setattr("workqueue.control.working.RESTART_PAUSE", 0.01)
    monkeypatch.setattr("workqueue.control.runs.REST", 0.01)
    clock = FailingClock()
    clock.failing = range(fails_at, fails_at + times)
    runs.clock = FakeClock()
    runs.answer = lambda request: RuntimeError() if request.retry == 0 and request.key == KEY else None
    controller = make(runs, queue=queue_class(clock=clock), clock=clock, workers=2, timeout=100.0)
    controller.start()
    controller.queue.add_after("waits/so-that-there-is-one", 50.0)
    controller.add(KEY)
    controller.add(OTHER)

    def is_through():
        clock.step(0.01)
        statistics = controller.queue.statistics()
        return runs.of(OTHER) and runs.of(KEY) > 1 and not statistics.processing and statistics.delayed <= 1

    until(is_through)
    assert controller.statistics().workers == 2
    assert any(each.name == "workqueue-watch-pods" for each in threading.enumerate()), "deadlines are looked after"


def test_a_key_that_cannot_be_put_back_with_a_delay_is_put_back_at_once(make, runs, queue, clock):
    def broken(*args, **options):
        raise OSError("no time")

    for method in ("add_after", "add_with", "add_rate_limited"):
        setattr(queue, method, broken)
    runs.answer = lambda _: RuntimeError() if len(runs) == 1 else None
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: controller.statistics().restarts == 1)
    until(lambda: clock.step(0.1) or controller.statistics().success == 1)


def test_a_done_that_raises_is_tried_until_the_key_is_out_of_hands(make, runs, queue, clock):
    broken = [OSError(), SystemExit()]
    plain = queue.done

    def done(key):
        if broken:
            raise broken.pop()
        plain(key)

    queue.done = done
    controller = make(runs)
    controller.start()
    controller.add(KEY)
    until(lambda: clock.step(0.1) or (controller.queue.statistics().processing == 0 and not broken))
    controller.add(KEY)
    runs.wait(2)
    assert controller.statistics().restarts == 2
