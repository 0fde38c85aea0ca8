"""What an API server sends, cut out of its bytes: lines, events, bookmarks, statuses, pages."""

import itertools
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workqueue.cache import Part
from workqueue.informer import wire
from workqueue.informer.wire import (
    INITIAL_EVENTS_END,
    Bookmark,
    Lines,
    Malformed,
    Refused,
    parse_bookmark,
    parse_line,
    parse_page,
    parse_status,
    raw_items,
)

RANDOM = settings(max_examples=200, deadline=None, derandomize="CI" in os.environ, print_blob=True)
DEEP = b"[" * 20_000 + b"]" * 20_000

# Lines.


def fed(lines, data):
    return [bytes(line) for line in lines.feed(data)]


def parse(line):
    """A line is a part of what came in one piece."""
    event = parse_line(Part.whole(line))
    piece = b'{"type":"DELETED"}\n' + line + b'\n{"type":"X","object":{}}\n'
    inside = parse_line(Part(piece, 19, 19 + len(line)))
    assert (event.type, event.raw) == (inside.type, inside.raw)
    return event


@RANDOM
@given(stream=st.lists(st.sampled_from([b"", b"a", b"bc", b"\r", b"\x00", b"\xff", b"{}"]) | st.binary(max_size=5),
    max_size=8),
       cuts=st.lists(st.integers(0, 60), max_size=8))  # fmt: skip
def test_any_cut_of_a_stream_gives_the_same_lines(stream, cuts):
    whole = b"\n".join(stream)
    *expected, rest = whole.split(b"\n")
    expected = [line for line in expected if line.strip()]
    at = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    lines = Lines()
    found = [line for start, end in itertools.pairwise(at) for line in fed(lines, whole[start:end])]
    assert found == expected
    assert fed(lines, b"!\n") == [rest + b"!"]


def test_byte_by_byte_is_the_same():
    lines = Lines()
    assert [line for byte in b"one\n\ntwo\r\nthree" for line in fed(lines, bytes([byte]))] == [b"one", b"two\r"]
    assert fed(lines, b"") == []
    assert fed(lines, b"\n") == [b"three"]
    assert fed(lines, b"\n") == []


def test_a_line_that_does_not_end_is_refused(monkeypatch):
    monkeypatch.setattr(wire, "MAXIMUM_LINE", 10)
    lines = Lines()
    for _ in range(3):
        assert fed(lines, b"1234567890"[:5]) == []
        assert fed(lines, b"67890") == []
        assert fed(lines, b"\n") == [b"1234567890"]
    fed(lines, b"1234567890")
    with pytest.raises(Malformed, match="a line of more than 10 bytes"):
        fed(lines, b"1")
    assert fed(Lines(), b"12345\n1234567890") == [b"12345"]


def test_what_came_before_a_line_that_does_not_end_is_not_counted(monkeypatch):
    monkeypatch.setattr(wire, "MAXIMUM_LINE", 10)
    lines = Lines()
    for _ in range(10):
        assert fed(lines, b"xyz\nabc") in ([b"xyz"], [b"abcxyz"])


def test_the_limit_is_above_what_any_etcd_takes():
    assert wire.MAXIMUM_LINE >= 16 * 1024 * 1024


# Events.

OBJECT = b'{"kind":"Pod","metadata":{"name":"a","labels":{"x":"}}\\"}"}},"spec":{}}'


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "OTHER", "added", ""])
def test_an_event_is_its_type_and_the_bytes_of_its_object(kind):
    line = b'{"type":"%s","object":%s}' % (kind.encode(), OBJECT)
    event = parse(line)
    assert (event.type, event.raw, bytes(event.object)) == (kind, OBJECT, OBJECT)
    assert parse_line(Part.whole(line)).object.data is line or kind in {"OTHER", "added", ""}, (
        "nothing is copied of what an API server sends"
    )


@pytest.mark.parametrize(
    "line",
    [
        b'{"object":%s,"type":"ADDED"}', b'{ "type" : "ADDED" , "object" : %s }', b' {"type":"ADDED","object":%s}',
        b'{"type":"ADDED","object":%s} ', b'{"type":"ADDED","object":%s}\r', b'{"type":"ADDED","object":%s }',
        b'{"type":"ADDED","object": %s}', b'{"type":"\\u0041DDED","object":%s}',
        b'{"x":[1,{}],"type":"ADDED","object":%s}',
        b'{"type":"ADDED","x":{"object":1},"object":%s}', b'{"type":"ADDED","object":%s,"x":1}',
        b'{"type":"ADDED","object":%s,"x":"}"}', b'{"type":"ADDED","object":%s,"x":[{}]}',
        b'{"type":"MODIFIED","type":"ADDED","object":%s}',
    ],
)  # fmt: skip
def test_an_event_may_be_written_in_any_way(line):
    event = parse(line % OBJECT)
    assert event.type == "ADDED"
    assert event.raw.strip() == OBJECT


@pytest.mark.parametrize("value", [b"null", b"[]", b"7", b'"x"', b"{}", b'""'])
def test_an_object_may_be_anything_as_it_is_not_looked_at(value):
    event = parse(b'{"type":"ADDED","object":%s}' % value)
    assert (event.type, event.raw) == ("ADDED", value)


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"null", b"[]", b"{}", b'"ADDED"', b"nonsense", b'{"type":"ADDED"}', b'{"object":{}}', b"\xff",
        b"\x00",
        b'{"type":null,"object":{}}', b'{"type":7,"object":{}}', b'{"type":"ADDED","object":}',
        b'{"type":"ADDED","object":{}',
        b'{"type":"ADDED","object":{"a":1}', b'{"type":"ADDED","object":', b'{"type":"ADD',
        b'{"type":"ADDED\xff","object":{}}',
        b'{"type":"x","object":{}}}', b"x" * 1000, b'{"x":' + DEEP + b',"type":"ADDED","object":{}}',
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(line):
    with pytest.raises(Malformed, match="an event that is none"):
        parse(line)


@RANDOM
@given(cut=st.integers(0, 200))
def test_a_line_that_is_cut_off_is_refused_or_its_object_is_no_json(cut):
    line = b'{"type":"ADDED","object":%s}' % OBJECT
    cut %= len(line)
    try:
        event = parse(line[:cut])
    except Malformed:
        return
    with pytest.raises(ValueError):
        json.loads(event.raw)


# Bookmarks.


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"resourceVersion": "7"}, ("7", False)), ({}, ("", False)),
        ({"resourceVersion": "opaque", "uid": None}, ("opaque", False)),
        ({"resourceVersion": "7", "annotations": None}, ("7", False)),
        ({"resourceVersion": "7", "annotations": {}}, ("7", False)),
        ({"resourceVersion": "7", "annotations": {INITIAL_EVENTS_END: "true"}}, ("7", True)),
        ({"resourceVersion": "7", "annotations": {INITIAL_EVENTS_END: "false"}}, ("7", False)),
        ({"resourceVersion": "7", "annotations": {INITIAL_EVENTS_END: "True"}}, ("7", False)),
        ({"resourceVersion": "7", "annotations": {INITIAL_EVENTS_END: ""}}, ("7", False)),
        ({"resourceVersion": "7", "annotations": {"other": "true"}}, ("7", False)),
    ],
)  # fmt: skip
def test_a_bookmark_says_how_far_and_whether_it_ends_the_list(metadata, expected):
    raw = json.dumps({"kind": "Pod", "spec": {"containers": None}, "metadata": metadata}).encode()
    assert parse_bookmark(raw) == Bookmark(*expected)


@pytest.mark.parametrize("raw",
    [b"", b"null", b"{}", b"[]", b'{"metadata":null}', b'{"metadata":{"resourceVersion":7}}',
                                 b'{"metadata":{"annotations":{"a":1}}}', b'{"metadata":{}', b"\xff",
                                 b'{"metadata":{},"x":' + DEEP + b"}"])  # fmt: skip
def test_what_is_no_bookmark_is_refused(raw):
    with pytest.raises(Malformed, match="a bookmark that is none"):
        parse_bookmark(raw)


def test_the_annotation_is_that_of_the_api_server():
    assert INITIAL_EVENTS_END == "k8s.io/initial-events-end"


# Statuses.


def status(code=500, **parts):
    return parse_status(json.dumps({"kind": "Status", "status": "Failure", "code": code, **parts}).encode())


def test_a_status_says_what_the_server_said():
    error = status(
        429, message="too many requests", reason="TooManyRequests",
        details={"retryAfterSeconds": 7, "causes": [{"reason": "A", "message": "a"}, {"field": "x"}], "name": "n"},
    )  # fmt: skip
    assert isinstance(error, Refused)
    assert (str(error), error.code, error.reason, error.causes, error.retry_after, error.kind) == (
        "too many requests", 429, "TooManyRequests", ("A", ""), 7.0, "busy",
    )  # fmt: skip


@pytest.mark.parametrize("empty", [{}, {"details": None}, {"details": {}}, {"details": {"causes": None}},
                                   {"details": {"causes": []}}, {"message": None, "reason": None}])  # fmt: skip
def test_a_status_may_say_little(empty):
    error = status(503, **empty)
    assert (str(error), error.code, error.reason, error.causes, error.retry_after) == ("status 503", 503, "", (), None)
    assert str(status(503, reason="ServiceUnavailable")) == "ServiceUnavailable"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status(410), "expired"), (status(410, reason="Gone"), "expired"), (status(0, reason="Expired"), "expired"),
        (status(0, reason="Gone"), "expired"), (status(429), "busy"), (status(400), "unsupported"),
        (status(422), "unsupported"),
        (status(401), "other"), (status(403), "other"), (status(404), "other"), (status(405), "other"),
        (status(500), "other"),
        (status(503), "other"), (status(504, reason="Timeout"), "other"), (status(0), "other"),
        (status(504, reason="Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}), "expired"),
        (status(504, reason="Timeout", message="Timeout: Too large resource version: 9, current: 5"), "expired"),
        (status(500, message="Too large resource version"), "expired"),
        (status(504, reason="Timeout", details={"causes": [{"reason": "x"}, {"reason": "ResourceVersionTooLarge"}]}),
            "expired"),
    ],
)  # fmt: skip
def test_what_a_status_means(error, kind):
    assert error.kind == kind
    assert error.is_too_large is (kind == "expired" and error.code != 410 and error.reason in ("Timeout", ""))


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"nonsense", b"\xff", b'{"code":"410"}', b'{"code":1.5}', b'{"details":[]}', b'{"code":410',
     b'{"x":' + DEEP + b"}"],
)  # fmt: skip
def test_what_is_no_status_is_an_error_of_no_code(raw):
    error = parse_status(raw)
    assert (error.code, error.kind, error.retry_after) == (0, "other", None)
    assert str(error).startswith("an error that says nothing: ")
    assert len(str(error)) < 1000


def test_an_empty_object_is_an_error_of_no_code():
    assert (str(parse_status(b"{}")), parse_status(b"{}").kind) == ("status 0", "other")


# Pages.


def page(**parts):
    return parse_page(json.dumps({"metadata": {"resourceVersion": "7"}, **parts}).encode())


def test_a_page_is_its_items_as_bytes_of_their_own():
    raw = b'{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x"},"items":[ {"a": 1} ,null,[]]}'
    found = parse_page(raw)
    assert (found.resource_version, found.continue_) == ("7", "x")
    items = list(raw_items(found))
    assert items == [b'{"a": 1}', b"null", b"[]"]
    assert all(type(each) is bytes for each in items)


@pytest.mark.parametrize("parts", [{}, {"items": None}, {"items": []}])
def test_a_page_may_have_no_items(parts):
    assert list(raw_items(page(**parts))) == []
    assert page(**parts).continue_ == ""


@pytest.mark.parametrize(
    "metadata", [{}, {"continue": None}, {"continue": ""}, {"remainingItemCount": 7, "selfLink": None}]
)
def test_a_page_may_say_little_of_itself(metadata):
    found = page(metadata=metadata)
    assert (found.resource_version, found.continue_) == ("", "")


@pytest.mark.parametrize(
    ("parts", "head"),
    [
        ({"kind": "PodList", "apiVersion": "v1"}, {"kind": "Pod", "apiVersion": "v1"}),
        ({"kind": "FooList", "apiVersion": "a.b/v1beta1"}, {"kind": "Foo", "apiVersion": "a.b/v1beta1"}),
        ({"kind": "ListList", "apiVersion": "v1"}, {"kind": "List", "apiVersion": "v1"}),
        ({"kind": 'O"dd\\éList', "apiVersion": 'v"1'}, {"kind": 'O"dd\\é', "apiVersion": 'v"1'}),
        ({}, {}), ({"kind": "PodList"}, {}), ({"apiVersion": "v1"}, {}), ({"kind": "Pods", "apiVersion": "v1"}, {}),
        ({"kind": "List", "apiVersion": "v1"}, {}), ({"kind": "", "apiVersion": "v1"}, {}),
        ({"kind": "PodList", "apiVersion": ""}, {}),
    ],
)  # fmt: skip
def test_what_a_list_says_of_its_items_is_a_head_for_each(parts, head):
    found = page(**parts).head
    assert json.loads(b"{" + found + b'"x":1}') == {**head, "x": 1}
    assert (found == b"") is (head == {})


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"{}", b'{"items":[]}', b'{"metadata":null}', b'{"metadata":[]}',
        b'{"metadata":{},"items":{}}',
     b'{"metadata":{},"items":[1', b'{"metadata":{"resourceVersion":7}}', b'{"metadata":{"continue":7}}', b"\xff",
     b"<html>",
     b'{"metadata":{},"kind":7}', b'{"metadata":{},"items":[]}x',
     b'{"kind":"Status","apiVersion":"v1","status":"Failure"}'],
)  # fmt: skip
def test_what_is_no_list_is_refused(raw):
    with pytest.raises(Malformed, match="a list that is none"):
        parse_page(raw)


def test_an_item_deeper_than_can_be_read_is_an_item_among_others():
    raw = (
        b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"a":1},'
        + DEEP
        + b',{"b":2}]}'
    )
    found = parse_page(raw)
    assert [bytes(item) for item in found.items] == [b'{"a":1}', DEEP, b'{"b":2}']
    assert (found.resource_version, found.continue_) == ("7", "")
    assert found.head == b'"kind":"Pod","apiVersion":"v1",'
    for damaged in (raw[:-1], raw.replace(b'"metadata"', b'"meta"'), raw.replace(b'"items":[', b'"items":{')):
        with pytest.raises(Malformed, match="a list that is none"):
            parse_page(damaged)


@RANDOM
@given(cut=st.integers(0, 500))
def test_a_list_that_is_cut_off_is_refused(cut):
    raw = json.dumps(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": [{"a": 1}] * 5}
    ).encode()
    with pytest.raises(Malformed):
        parse_page(raw[: cut % len(raw)])
