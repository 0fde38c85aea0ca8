"""The thread that sends events: tries, pauses, what is given up, what is dropped, and its end."""

import asyncio
import logging
import threading

import pytest

from tests.control.conftest import PATIENCE, until
from tests.control.event_sinks import pod
from workqueue.control.events import EventExists, EventRejected, NamespaceTerminating, SinkUnavailable
from workqueue.control.events.sending import PAUSE, QUEUE, TRIES


@pytest.fixture(autouse=True)
def all_lines(caplog):
    caplog.set_level(logging.DEBUG, logger="workqueue.control")


@pytest.fixture
def record(recorder):
    def run(name="web", *, reason="Synced", message="all is well"):
        recorder.event(pod(name), type="Normal", reason=reason, message=message)

    return run


@pytest.fixture
def hold(sink):
    """While it is not set, a call of the sink does not return."""
    gate = threading.Event()
    before, sink.problem = sink.problem, lambda verb, call: gate.wait(PATIENCE) and before(verb, call)
    yield gate
    gate.set()


@pytest.fixture
def settled(outbox):
    def run():
        until(lambda: not outbox.statistics().pending, "nothing is pending")
        return outbox.statistics()

    return run


@pytest.fixture
def pause_after(sink, clock):
    """``pause_after(number)`` lets the pause go by that follows a call in vain."""

    def run(number):
        sink.wait(number)
        clock.wait_for_waiters(1)
        clock.step(PAUSE)

    return run


def lines(caplog, level):
    return [each.getMessage() for each in caplog.records if each.levelno == level]


def sending():
    return [each for each in threading.enumerate() if each.name == "workqueue-events"]


def counts(statistics):
    """The numbers that are not 0, without those recorded."""
    numbers = {name: getattr(statistics, name) for name in ("sent", "patched", "filtered", "failed", "pending")}
    return {name: number for name, number in {**numbers, **statistics.dropped}.items() if number}


# Tries.


@pytest.mark.parametrize(
    "case",
    [(EventRejected("no"), 1), (ZeroDivisionError(), 1), (SinkUnavailable("away"), TRIES)],
    ids=["rejected", "a mistake of the sink's", "away"],
)
def test_an_event_that_never_gets_through_is_given_up(record, sink, settled, pause_after, case):
    error, tries = case
    sink.problem = lambda verb, call: error
    record()
    for number in range(1, tries):
        pause_after(number)
    assert counts(settled()) == {"failed": 1}
    assert len(sink.calls) == tries
    assert len({name for _, name, _ in sink.calls}) == 1


def test_an_event_gets_through_once_the_server_is_back(record, sink, pause_after, settled, caplog):
    sink.problem = lambda verb, call: SinkUnavailable("away") if call <= 2 else None
    record()
    for number in (1, 2):
        pause_after(number)
    assert counts(settled()) == {"sent": 1}
    assert sink.verbs == ["create"] * 3
    told = "the event Synced of Pod default/web could not be sent, and will be retried: away"
    assert lines(caplog, logging.WARNING) == [told]
    assert lines(caplog, logging.ERROR) == []


def test_the_first_pause_is_a_random_part_of_the_others(record, sink, clock):
    sink.problem = lambda verb, call: SinkUnavailable("away") if call <= 2 else None
    record()
    for pause, tries in ((0.5 * PAUSE, 2), (PAUSE, 3)):
        clock.wait_for_waiters(1)
        ((_, until_then),) = clock._waiting
        assert until_then - clock.now() == pause
        assert len(sink.calls) == tries - 1
        clock.step(pause)
        sink.wait(tries)


def test_all_wait_behind_one_that_is_retried_and_none_is_lost(record, sink, clock, settled):
    sink.problem = lambda verb, call: SinkUnavailable("away") if call == 1 else None
    for number in range(5):
        record(str(number))
    sink.wait(1)
    clock.wait_for_waiters(1)
    assert len(sink.calls) == 1
    clock.step(PAUSE)
    assert counts(settled()) == {"sent": 5}
    assert [call[2]["involvedObject"]["name"] for call in sink.calls[1:]] == list("01234")


def test_a_name_that_is_taken_after_a_try_in_vain_is_the_event_itself(record, sink, pause_after, settled):
    sink.problem = lambda verb, call: SinkUnavailable("cut off") if call == 1 else EventExists("taken")
    record()
    pause_after(1)
    assert counts(settled()) == {"sent": 1}


@pytest.mark.parametrize("error", [EventExists("taken"), NamespaceTerminating("going")], ids=["exists", "terminating"])
def test_some_rejections_are_normal_and_quiet(record, sink, settled, caplog, error):
    sink.problem = lambda verb, call: error
    record()
    assert counts(settled()) == {"failed": 1}
    assert len(sink.calls) == 1
    assert [each.levelno for each in caplog.records] == [logging.DEBUG]


def test_a_rejection_is_said_once_for_several_events_in_a_row(record, sink, settled, caplog):
    forbidden = EventRejected("events is forbidden")
    sink.problem = lambda verb, call: None if call == 4 else forbidden
    for number in range(6):
        record(str(number))
        settled()
    told = "the event Synced of Pod default/{} was rejected and will not be retried: events is forbidden"
    assert lines(caplog, logging.ERROR) == [told.format(0), told.format(4)]
    assert counts(settled()) == {"sent": 1, "failed": 5}


@pytest.mark.parametrize("mistake", [ZeroDivisionError("oops"), asyncio.CancelledError("oops"), SystemExit("oops")])
def test_a_mistake_of_the_sink_is_told_with_its_trace_and_the_next_event_is_sent(
    record, sink, settled, caplog, mistake
):
    sink.problem = lambda verb, call: mistake if call == 1 else None
    record("first")
    record("second")
    assert counts(settled()) == {"sent": 1, "failed": 1}
    assert lines(caplog, logging.ERROR) == ["the event Synced of Pod default/first could not be sent"]
    assert f"{type(mistake).__name__}: oops" in caplog.text


def test_a_log_that_raises_costs_no_event(record, sink, settled):
    def raises(entry):
        raise RuntimeError("a filter of somebody's")

    logger = logging.getLogger("workqueue.control")
    logger.addFilter(raises)
    try:
        sink.problem = lambda verb, call: EventRejected("no") if call == 1 else None
        record("first")
        record("second")
        assert counts(settled()) == {"sent": 1, "failed": 1}
    finally:
        logger.removeFilter(raises)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_a_clock_has_ended_is_followed_by_another(record, settled, clock, monkeypatch):
    wait = clock.wait

    def fails_once(*args):
        monkeypatch.setattr(clock, "wait", wait)
        raise RuntimeError("no time today")

    monkeypatch.setattr(clock, "wait", fails_once)
    record("first")
    until(lambda: not any(thread.name == "workqueue-events" for thread in threading.enumerate()), "its end")
    assert counts(settled()) == {"sent": 1}
    record("second")
    assert counts(settled()) == {"sent": 2}


# Patches.


def test_an_event_that_has_expired_is_created_anew_with_its_count(record, sink, settled):
    record()
    settled()
    sink.events.clear()
    record()
    assert counts(settled()) == {"sent": 2}
    assert sink.verbs == ["create", "patch", "create"]
    first, _, again = (call[2] for call in sink.calls)
    assert again == {**first, "count": 2, "lastTimestamp": again["lastTimestamp"]}
    record()
    assert counts(settled()) == {"sent": 2, "patched": 1}
    assert sink.verbs[3:] == ["patch"]


def test_what_the_server_has_made_of_an_event_is_what_is_patched(record, sink, settled):
    create = sink.create
    sink.create = lambda namespace, event: create(
        namespace, {**event, "metadata": {**event["metadata"], "name": "renamed"}}
    )
    record()
    settled()
    record()
    assert counts(settled()) == {"sent": 1, "patched": 1}
    assert sink.calls[1][:2] == ("patch", "renamed")


def test_a_patch_is_retried_as_a_patch(record, sink, pause_after, settled):
    record()
    settled()
    sink.problem = lambda verb, call: SinkUnavailable("away") if call == 2 else None
    record()
    pause_after(2)
    assert counts(settled()) == {"sent": 1, "patched": 1}
    assert sink.calls[1] == sink.calls[2]


def test_an_event_that_was_never_created_is_so_the_next_time(record, sink, settled):
    sink.problem = lambda verb, call: EventRejected("no") if call == 1 else None
    record()
    record()
    assert counts(settled()) == {"failed": 1, "sent": 1}
    assert sink.verbs == ["create", "patch", "create"]
    assert [event["count"] for event in sink.events.values()] == [2]


def test_too_many_events_of_one_object_are_filtered(record, sink, settled):
    for _ in range(30):
        record()
    assert counts(settled()) == {"sent": 1, "patched": 24, "filtered": 5}


# The queue.


def test_there_is_no_thread_before_the_first_event_and_one_for_all_after_it(recorder, record, sink, settled):
    assert sending() == []
    assert recorder.statistics().recorded == 0
    for number in range(3):
        record(str(number))
        settled()
    assert sink.threads == set(sending())
    assert [thread.daemon for thread in sending()] == [True]


def test_a_thousand_events_of_many_threads_all_arrive(recorder, sink, outbox):
    def run(first):
        for number in range(first, first + 100):
            recorder.event(pod(f"pod-{number}"), type="Normal", reason="Told", message=f"{number}")

    threads = [threading.Thread(target=run, args=(first,)) for first in range(0, 1000, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    outbox.close(PATIENCE)
    assert sorted(map(int, sink.messages)) == list(range(1000))
    assert counts(outbox.statistics()) == {"sent": 1000}


def test_what_does_not_fit_the_queue_is_dropped_and_said_once(record, sink, hold, settled, caplog):
    record("held")
    sink.wait(1)
    for number in range(QUEUE + 10):
        record(f"pod-{number}")
    told = f"events are dropped, such as Synced of Pod default/pod-{QUEUE}: {QUEUE} of them wait already"
    assert lines(caplog, logging.ERROR) == [told]
    hold.set()
    assert counts(settled()) == {"sent": QUEUE + 1, "full": 10}
    assert settled().recorded == QUEUE + 11


def test_a_second_time_of_dropping_is_said_again(record, sink, settled, caplog, clock):
    for batch in "ab":
        gate = threading.Event()
        sink.problem = lambda verb, call, gate=gate: gate.wait(PATIENCE) and None
        calls = len(sink.calls)
        record(f"held-{batch}")
        sink.wait(calls + 1)
        for number in range(QUEUE + 2):
            record(f"{batch}-{number}")
        gate.set()
        settled()
        clock.wait_for_waiters(1)
    assert len(lines(caplog, logging.ERROR)) == 2
    assert counts(settled()) == {"sent": 2 * (QUEUE + 1), "full": 4}


def test_without_a_thread_events_are_dropped_until_there_is_one(record, settled, monkeypatch, caplog, sink):
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda thread: (_ for _ in ()).throw(RuntimeError("no more")))
        record("first")
        record("second")
    told = "events are dropped, such as Synced of Pod default/first: no thread could be started to send them"
    assert lines(caplog, logging.ERROR) == [told]
    record("third")
    assert counts(settled()) == {"sent": 1, "no thread": 2}


# The end.


def test_a_close_sends_what_waits_and_ends_the_thread(record, sink, hold, outbox, caplog):
    for number in range(50):
        record(f"pod-{number}")
    hold.set()
    outbox.close(PATIENCE)
    assert counts(outbox.statistics()) == {"sent": 50}
    until(lambda: not sending())
    assert caplog.records == []


def test_a_close_of_an_outbox_that_was_never_used_returns_at_once(outbox):
    outbox.close(PATIENCE)
    assert outbox.statistics().recorded == 0


def test_a_close_ends_a_pause_and_each_event_is_tried_once_more_at_most(record, sink, clock, outbox, caplog):
    sink.problem = lambda verb, call: SinkUnavailable("away")
    record("retried")
    sink.wait(1)
    clock.wait_for_waiters(1)
    for number in range(3):
        record(f"pod-{number}")
    outbox.close(PATIENCE)
    assert len(sink.calls) == 4
    assert counts(outbox.statistics()) == {"shutdown": 4}
    assert lines(caplog, logging.WARNING)[1:] == ["4 events were not sent before the end"]
    assert lines(caplog, logging.ERROR) == []


def test_a_close_with_a_hanging_server_returns_when_its_time_is_over(record, sink, hold, clock, outbox):
    for number in range(3):
        record(f"pod-{number}")
    sink.wait(1)
    closing = threading.Thread(target=outbox.close, args=(5.0,))
    closing.start()
    clock.wait_for_waiters(1)
    clock.step(4.9)
    clock.wait_for_waiters(1)
    assert closing.is_alive()
    clock.step(0.1)
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert counts(outbox.statistics()) == {"shutdown": 3}
    hold.set()
    until(lambda: not sending())
    assert counts(outbox.statistics()) == {"shutdown": 3}, "what was given up is not counted again"
    assert len(sink.calls) == 1


def test_after_a_close_events_are_dropped_until_the_outbox_is_renewed(record, sink, outbox, settled):
    record()
    outbox.close(PATIENCE)
    record()
    assert counts(outbox.statistics()) == {"sent": 1, "closed": 1}
    outbox.close(PATIENCE)
    outbox.renew()
    record()
    assert counts(settled()) == {"sent": 2, "closed": 1}
    assert sink.verbs == ["create", "create"], "a new run knows nothing of the former's events"
    assert len(sink.threads) == 2


def test_an_outbox_that_is_renewed_without_a_close_ends_its_thread(record, outbox, settled):
    record()
    settled()
    outbox.renew()
    until(lambda: not sending())


def test_recording_and_closing_at_once_loses_no_count(recorder, outbox, sink):
    barrier = threading.Barrier(5)

    def run(first):
        barrier.wait(PATIENCE)
        for number in range(first, first + 200):
            recorder.event(pod(f"pod-{number}"), type="Normal", reason="Told", message="")

    threads = [threading.Thread(target=run, args=(first,)) for first in range(0, 800, 200)]
    for thread in threads:
        thread.start()
    barrier.wait(PATIENCE)
    sink.wait(1)
    outbox.close(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    statistics = outbox.statistics()
    assert (statistics.recorded, statistics.pending) == (800, 0)
    assert statistics.sent == len(sink.events)
    assert statistics.sent + statistics.dropped["closed"] + statistics.dropped["full"] == 800
