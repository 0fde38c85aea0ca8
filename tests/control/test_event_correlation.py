"""Which of many events are sent, and as what: the scenarios of client-go's TestEventCorrelator, and the edges."""

from dataclasses import replace

import pytest

from workqueue.control.events.correlation import COMBINED, INTERVAL, SIMILAR, SIZE, Correlator
from workqueue.control.events.event import MESSAGE_LIMIT, Event
from workqueue.control.events.recent import Recent
from workqueue.control.events.reference import Reference
from workqueue.control.events.spam import BURST, REFILL, SpamFilter


def event(reason, message, *, field_path="spec.containers{mycontainer}", **about):
    fields = {"kind": "Pod", "api_version": "v1", "name": "my-pod", "namespace": "my-ns", "uid": "C934"}
    reference = Reference(**{**fields, **about}, field_path=field_path)
    return Event(f"{reference.name}.0", reference, "Normal", reason, message, "kubelet", "node1", "t0", "t0")


def similar(count, template):
    return [replace(template, message=f"{template.message}-{number}") for number in range(count)]


def unique(count):
    return [event(f"reason-{n}", f"message-{n}", name=f"pod-{n}", namespace=f"ns-{n}") for n in range(count)]


@pytest.fixture
def correlator(clock):
    return Correlator(clock=clock)


@pytest.fixture
def play(clock, correlator):
    """Correlates events one after the other, so many seconds apart, and answers what becomes of the last."""
    played = []

    def run(events, *, seconds=5.0):
        for each in events:
            clock.step(seconds)
            played.append(each)
            number = len(played)
            sent = correlator.correlate(replace(each, name=f"n{number}", first=f"t{number}", last=f"t{number}"))
            if sent is not None:
                correlator.answered(sent, sent.event.body())
        return sent

    return run


FIRST = event("first", "i am first")
DUPLICATE = event("duplicate", "me again")
SIMILAR_EVENT = event("similar", "similar message", field_path="spec.containers{container1}")
OTHER_CONTAINER = event("similar", "similar message", field_path="spec.containers{container2}")
COMBINED_MESSAGE = COMBINED + SIMILAR_EVENT.message
#: By what the last event is expected to be sent as: those before it, itself, seconds apart, message, count.
SCENARIOS = {
    "a single event is created": ([], FIRST, 5, FIRST.message, 1),
    "the same event is counted": ([DUPLICATE], DUPLICATE, 5, DUPLICATE.message, 2),
    "the same event is counted however often": ([DUPLICATE] * SIMILAR, DUPLICATE, 30, DUPLICATE.message, SIMILAR + 1),
    "the same event is spam if it comes too often": ([DUPLICATE] * (BURST + 1), DUPLICATE, 1, None, None),
    "events of different objects are left alone": (unique(30), event("unique", "snowflake"), 5, "snowflake", 1),
    "the tenth of similar events combines them": (
        similar(SIMILAR - 1, SIMILAR_EVENT), SIMILAR_EVENT, 5, COMBINED_MESSAGE, 1,
    ),
    "the eleventh counts the combined one": (similar(SIMILAR, SIMILAR_EVENT), SIMILAR_EVENT, 5, COMBINED_MESSAGE, 2),
    "events of another container are others": ([OTHER_CONTAINER], SIMILAR_EVENT, 5, SIMILAR_EVENT.message, 1),
    "events far apart are not similar": (
        similar(SIMILAR - 1, SIMILAR_EVENT), SIMILAR_EVENT, INTERVAL + 1, SIMILAR_EVENT.message, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_events_are_correlated_as_in_client_go(play, scenario):
    before, last, seconds, message, count = SCENARIOS[scenario]
    sent = play([*before, last], seconds=seconds)
    if message is None:
        assert sent is None
        return
    assert (sent.event.message, sent.event.count, sent.is_new) == (message, count, count == 1)
    assert (sent.event.about, sent.event.reason, sent.event.type) == (last.about, last.reason, last.type)
    assert sent.event.last == f"t{len(before) + 1}"
    assert (sent.event.first == sent.event.last) is (count == 1)


def test_a_counted_event_keeps_the_name_and_the_time_of_the_first(play):
    assert play([DUPLICATE]).event.name == "n1"
    again = play([DUPLICATE, DUPLICATE]).event
    assert (again.name, again.first, again.last, again.count) == ("n1", "t1", "t3", 3)
    assert again.patch() == {"count": 3, "lastTimestamp": "t3", "message": "me again"}


def test_a_combined_event_is_one_and_tells_the_latest_message(play):
    combined = play(similar(SIMILAR + 4, SIMILAR_EVENT)).event
    assert combined.message == f"{COMBINED}similar message-{SIMILAR + 3}"
    assert (combined.name, combined.count) == (f"n{SIMILAR}", 5)


def test_messages_that_came_before_the_tenth_are_still_counted_on_their_own(play):
    events = similar(SIMILAR, SIMILAR_EVENT)
    play(events)
    assert (play([events[0]]).event.message, play([events[8]]).event.count) == (events[0].message, 2)
    assert play([events[9]]).event.message == COMBINED + events[9].message


@pytest.mark.parametrize("field", ["reason", "type", "component", "instance"])
def test_events_that_differ_in_more_than_the_message_are_not_combined(play, field):
    play(similar(SIMILAR - 1, SIMILAR_EVENT))
    other = replace(SIMILAR_EVENT, **{field: "other"})
    assert play([other]).event.message == SIMILAR_EVENT.message


@pytest.mark.parametrize("field", ["kind", "namespace", "name", "uid", "api_version"])
def test_events_of_other_objects_are_neither_combined_nor_counted(play, field):
    play([*similar(SIMILAR - 1, SIMILAR_EVENT), DUPLICATE])
    for each in (SIMILAR_EVENT, DUPLICATE):
        sent = play([replace(each, about=replace(each.about, **{field: "other"}))]).event
        assert (sent.message, sent.count) == (each.message, 1)


@pytest.mark.parametrize(("gap", "message"), [(INTERVAL, COMBINED_MESSAGE), (INTERVAL + 1, SIMILAR_EVENT.message)])
def test_similar_events_are_forgotten_after_more_than_ten_quiet_minutes(play, gap, message):
    play(similar(SIMILAR - 1, SIMILAR_EVENT))
    assert play([SIMILAR_EVENT], seconds=gap).event.message == message


def test_a_combined_event_has_no_annotations_of_one_of_them_and_is_not_too_long(play):
    loud = replace(SIMILAR_EVENT, annotations={"a": "b"}, message="é" * (MESSAGE_LIMIT // 2))
    play(similar(SIMILAR - 1, SIMILAR_EVENT))
    combined = play([loud]).event
    assert combined.annotations == {}
    assert combined.message.startswith(COMBINED)
    assert len(combined.message.encode()) <= MESSAGE_LIMIT


def test_an_event_that_is_filtered_is_counted_all_the_same(play):
    assert play([DUPLICATE] * (BURST + 3), seconds=1) is None
    assert play([DUPLICATE], seconds=REFILL).event.count == BURST + 4


def test_what_the_server_made_of_an_event_is_counted_on(clock, correlator):
    sent = correlator.correlate(DUPLICATE)
    correlator.answered(sent, {"metadata": {"name": "other"}, "count": 41, "firstTimestamp": "then"})
    again = correlator.correlate(DUPLICATE).event
    assert (again.name, again.count, again.first) == ("other", 42, "then")


def test_an_answer_without_sense_changes_nothing(clock, correlator):
    for answer in (
        {},
        {"metadata": None, "count": "many", "firstTimestamp": 3},
        {"metadata": {"name": ""}, "count": 0},
    ):
        before = correlator.correlate(DUPLICATE)
        correlator.answered(before, answer)
    assert (before.event.name, before.event.count) == (DUPLICATE.name, 3)


def test_what_was_not_sent_for_long_is_forgotten_once_there_is_too_much_else(correlator):
    correlator.correlate(DUPLICATE)
    for number in range(SIZE - 1):
        correlator.correlate(event("r", "m", name=f"pod-{number}"))
    assert correlator.correlate(DUPLICATE).event.count == 2, "it was the oldest and is the newest now"
    for number in range(SIZE):
        correlator.correlate(event("r", "m", name=f"other-{number}"))
    assert correlator.correlate(DUPLICATE).event.count == 1


# The spam filter alone.


@pytest.mark.parametrize(
    ("second", "key", "spam"),
    [
        (event("duplicate", "me again"), "object", True),
        (event("duplicate", "me again"), "object and reason", False),
        (event("original", "me again"), "object and reason", True),
    ],
    ids=["the same object", "another reason, by a key of one's own", "the same reason, by a key of one's own"],
)
def test_whoever_filters_may_say_what_belongs_together(clock, second, key, spam):
    keys = {"key": lambda each: (each.about, each.reason)} if key == "object and reason" else {}
    correlator = Correlator(clock=clock, spam=SpamFilter(clock=clock, size=SIZE, burst=1, **keys))
    assert correlator.correlate(event("original", "i am first")) is not None
    clock.step(1)
    assert (correlator.correlate(second) is None) is spam


def test_an_object_may_have_25_events_at_once_and_one_more_each_five_minutes(clock):
    spam = SpamFilter(clock=clock, size=SIZE)
    assert [spam.is_spam(DUPLICATE) for _ in range(30)] == [False] * 25 + [True] * 5
    clock.step(299)
    assert spam.is_spam(DUPLICATE)
    clock.step(1)
    assert [spam.is_spam(DUPLICATE) for _ in range(2)] == [False, True]
    clock.step(3 * 300)
    assert [spam.is_spam(DUPLICATE) for _ in range(4)] == [False] * 3 + [True]
    clock.step(1000 * 300)
    assert [spam.is_spam(DUPLICATE) for _ in range(26)] == [False] * 25 + [True], "no more than a burst is saved up"


def test_warnings_and_other_objects_have_bursts_of_their_own(clock):
    spam = SpamFilter(clock=clock, size=SIZE)
    assert [spam.is_spam(DUPLICATE) for _ in range(26)][-1]
    assert not spam.is_spam(replace(DUPLICATE, type="Warning"))
    assert not spam.is_spam(replace(DUPLICATE, component="other"))
    assert not spam.is_spam(replace(DUPLICATE, about=replace(DUPLICATE.about, uid="other")))
    assert spam.is_spam(replace(DUPLICATE, reason="other", message="other"))


def test_what_was_used_last_is_kept():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c"), len(recent)) == (1, None, 3, 2)
    recent.put("a", 4)
    recent.put("d", 5)
    assert (recent.get("a"), recent.get("c")) == (4, None)
