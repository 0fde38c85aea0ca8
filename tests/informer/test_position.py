"""What each thing that goes wrong means for going on; that the reflector acts by it is test_reflector's."""

import pytest

from workqueue.informer.position import NO_VERSION, NoClosingBookmark, Position
from workqueue.informer.source import Interrupted, Silent
from workqueue.informer.wire import Malformed, Refused


def at(version="10"):
    position = Position()
    position.streams_list()
    position.listed(version)
    return position


@pytest.mark.parametrize(
    ("error", "since", "at_once", "versions", "at_least"),
    [
        (Interrupted("cut"), "10", "if live", "begin anew", 0.0),
        (Silent("no byte"), "10", "if live", "begin anew", 0.0),
        (Malformed("no JSON"), None, "never", "go on", 0.0),
        (NoClosingBookmark("no end"), "10", "if steady", "go on", 0.0),
        (Refused("", code=410), None, "if steady", "go on", 0.0),
        (Refused("", code=504, causes=("ResourceVersionTooLarge",)), None, "if steady", "begin anew", 0.0),
        (Refused("", code=429, retry_after=7.0), "10", "never", "go on", 7.0),
        (Refused("", code=403), "10", "never", "go on", 0.0),
        (Refused("", code=422), "10", "never", "go on", 0.0),
        (Refused("", code=503, retry_after=2.0), "10", "never", "begin anew", 2.0),
    ],
    ids=repr,
)
def test_after_each_failure(error, since, at_once, versions, at_least):
    position = at()
    verdict = position.failed(error)
    assert (position.since, position.versions) == (since, versions)
    assert (verdict.at_once, verdict.at_least) == (at_once, at_least)
    assert verdict.why
    assert position.is_blind == isinstance(error, Silent)
    position.listed("20")
    assert (position.since, position.versions, position.is_doubtful, position.is_blind) == ("20", "go on", False, False)


def test_a_server_that_refuses_to_stream_a_list_is_asked_for_pages_at_once_and_ever_after():
    position = Position()
    position.streams_list()
    assert not position.wants_pages
    assert position.failed(Refused("", code=422)).at_once == "always"
    assert position.wants_pages
    position.listed("10")
    assert not position.wants_pages
    position.lost()
    assert position.wants_pages


def test_pages_are_tried_when_two_streams_failed_and_streams_again_after_a_list():
    position = Position()
    for _ in range(2):
        assert not position.wants_pages
        position.streams_list()
    assert position.wants_pages
    position.listed("10")
    position.lost()
    assert not position.wants_pages


@pytest.mark.parametrize(
    ("seen", "now", "ahead"),
    [("10", "9", True), ("10", "10", False), ("9", "10", False), ("10", "", False), ("10", "opaque", False),
     ("opaque", "9", False), ("", "9", False)],
)  # fmt: skip
def test_a_storage_that_has_not_come_to_what_was_seen_went_back(seen, now, ahead):
    position = at(seen or "1")
    position.since = seen or None
    assert position.is_ahead_of(now) == ahead


@pytest.mark.parametrize(("code", "since"), [(410, None), (500, None), (429, "10")])
def test_an_error_event_leaves_the_position_only_to_a_busy_server(code, since):
    position = at()
    position.answered(Refused("", code=code))
    assert position.since == since


def test_a_list_without_a_version_is_watched_on_from_whatever_there_is():
    assert at("").since == NO_VERSION


def test_what_somebody_wants_is_wanted_until_there_is_a_list():
    position = at()
    position.want_list("somebody doubts")
    position.reached("")
    position.reached("11")
    assert (position.wanted, position.since, position.versions) == ("somebody doubts", "11", "begin anew")
    position.listed("20")
    assert position.wanted == ""
