"""What Kopf's observers are told of listings, and of what was missed between two watches."""

import pytest
from kopf._core.reactor.queueing import get_uid

from tests.plugin.observed import BOOKMARK, END, LISTED, definition, listed, namespace, resource
from workqueue.plugin.observers import DEFINITIONS, NAMESPACES, BrokenListing, Observed


def watch(observed, *events, listing="paged"):
    """What Kopf sees of one watch, as (type, name), but for marks and bookmarks."""
    observed.begin(listing=listing)
    return told(observed, *events)


def told(observed, *events):
    seen = [each for event in events for each in observed.see(event)]
    return [
        (each["type"], each["object"]["metadata"]["name"])
        for each in seen
        if each is not LISTED and each["type"] != "BOOKMARK"
    ]


@pytest.fixture
def namespaces():
    return Observed(NAMESPACES)


@pytest.fixture
def definitions():
    return Observed(DEFINITIONS)


# Namespaces.


def test_every_namespace_of_the_first_listing_is_told_since_kopfs_own_look_cannot_be_seen(namespaces):
    assert watch(namespaces, *listed(namespace("a"), namespace("b"))) == [("ADDED", "a"), ("ADDED", "b")]


def test_marks_and_bookmarks_and_errors_stay_what_they_are(namespaces):
    namespaces.begin(listing="paged")
    for same in (LISTED, BOOKMARK, END, {"type": "ERROR", "object": {"code": 410}}, "a mark of another Kopf"):
        (seen,) = namespaces.see(same)
        assert seen is same


def test_live_events_are_told_with_all_that_is_in_them(namespaces):
    watch(namespaces, LISTED)
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        body = namespace("a", status={"phase": "Terminating"})
        (seen,) = namespaces.see({"type": kind, "object": body})
        assert seen["type"] == kind
        assert seen["object"] == namespace("a", uid="a", status={"phase": "Terminating"})
        assert body == namespace("a", status={"phase": "Terminating"}), "what came is not changed"


def test_a_second_listing_that_brings_nothing_new_tells_nothing(namespaces):
    watch(namespaces, *listed(namespace("a")), {"type": "ADDED", "object": namespace("b")})
    assert watch(namespaces, *listed(namespace("a"), namespace("b"))) == []


def test_a_second_listing_tells_what_came_and_what_changed_and_what_went(namespaces):
    watch(namespaces, *listed(namespace("a"), namespace("b"), namespace("c")))
    assert watch(namespaces, *listed(namespace("a"), namespace("b", version="2"), namespace("d"))) == [
        ("MODIFIED", "b"),
        ("ADDED", "d"),
        ("DELETED", "c"),
    ]
    assert watch(namespaces, *listed(namespace("a"), namespace("b", version="2"), namespace("d"))) == []


def test_what_went_is_told_before_the_mark(namespaces):
    watch(namespaces, *listed(namespace("a")))
    namespaces.begin(listing="paged")
    assert list(namespaces.see(LISTED)) == [
        {"type": "DELETED", "object": {"metadata": {"name": "a", "uid": "a"}}},
        LISTED,
    ]


def test_what_a_live_event_told_of_is_not_told_again(namespaces):
    watch(namespaces, *listed(namespace("a"), namespace("b")))
    told(namespaces, {"type": "DELETED", "object": namespace("a", version="3")})
    told(namespaces, {"type": "MODIFIED", "object": namespace("b", version="4")})
    assert watch(namespaces, *listed(namespace("b", version="4"))) == []


def test_a_namespace_that_was_made_anew_meanwhile_is_there_and_not_gone(namespaces):
    watch(namespaces, *listed(namespace("a", uid="u1")))
    assert watch(namespaces, *listed(namespace("a", uid="u2"))) == [("ADDED", "a")]


def test_both_lives_of_a_name_are_one_queue_of_kopfs(namespaces):
    """Kopf keeps the order of the events of one uid; the end of the first life must not come after the second began."""
    watch(namespaces, *listed(namespace("a", uid="u1")))
    uids = set()
    for event in ({"type": "DELETED", "object": namespace("a")}, {"type": "ADDED", "object": namespace("a", uid="u2")}):
        (seen,) = namespaces.see(event)
        uids.add(get_uid(seen))
    uids.update(get_uid(each) for each in _deletions_of_an_empty_listing(namespaces))
    assert len(uids) == 1


def _deletions_of_an_empty_listing(observed):
    observed.begin(listing="paged")
    return [each for each in observed.see(LISTED) if each is not LISTED]


def test_a_listing_that_breaks_off_tells_of_no_deletion(namespaces):
    watch(namespaces, *listed(namespace("a"), namespace("b"), namespace("c")))
    half = listed(namespace("a"))[:-1]
    assert watch(namespaces, *half) == []
    assert watch(namespaces, *listed(namespace("b"))) == [("DELETED", "a"), ("DELETED", "c")]


def test_a_first_listing_that_breaks_off_and_is_made_again_tells_each_once(namespaces):
    assert watch(namespaces, *listed(namespace("a"))[:-1]) == [("ADDED", "a")]
    assert watch(namespaces, *listed(namespace("a"), namespace("b"))) == [("ADDED", "b")]


def test_a_mark_in_the_middle_of_live_events_is_no_end_of_a_listing(namespaces):
    watch(namespaces, *listed(namespace("a")))
    assert told(namespaces, LISTED) == []


# Streamed listings: Kopf's mark comes with the first bookmark, whatever that says.


def test_a_streamed_listing_ends_with_the_bookmark_that_says_so(namespaces):
    watch(namespaces, *listed(namespace("a"), namespace("b")), END, listing="streamed")
    namespaces.begin(listing="streamed")
    assert told(namespaces, *listed(namespace("a"))) == []
    assert list(namespaces.see(END)) == [
        {"type": "DELETED", "object": {"metadata": {"name": "b", "uid": "b"}}},
        END,
    ]
    assert told(namespaces, BOOKMARK) == [], "later ones are like any"


@pytest.mark.parametrize("bookmark", [BOOKMARK, {"type": "BOOKMARK"}, {"type": "BOOKMARK", "object": {}}])
def test_a_stream_that_went_on_after_a_break_is_not_taken_for_whole(namespaces, bookmark):
    watch(namespaces, *listed(namespace("a"), namespace("b")), END, listing="streamed")
    with pytest.raises(BrokenListing):
        watch(namespaces, *listed(namespace("a")), bookmark, listing="streamed")
    whole = listed(namespace("a"), namespace("b"))
    assert watch(namespaces, bookmark, *whole, bookmark) == [], "a bookmark ends nothing where lists come first"
    assert watch(namespaces, *listed(namespace("a"), namespace("b")), END, listing="streamed") == []


def test_live_events_in_the_middle_of_a_stream_are_part_of_it(namespaces):
    watch(namespaces, *listed(namespace("a"), namespace("b"), namespace("c")), END, listing="streamed")
    assert watch(
        namespaces,
        {"type": None, "object": namespace("a")},
        {"type": "MODIFIED", "object": namespace("b", version="5")},
        {"type": "DELETED", "object": namespace("a", version="6")},
        {"type": None, "object": namespace("d", version="7")},
        LISTED,
        END,
        listing="streamed",
    ) == [("MODIFIED", "b"), ("DELETED", "a"), ("ADDED", "d"), ("DELETED", "c")]


# Definitions: one event for each group that Kopf must look at again.


def test_of_the_first_listing_only_a_group_with_something_that_kopf_did_not_find_is_told(definitions):
    definitions.scanned([resource("things", "a.dev"), resource("as", "b.dev"), resource("pods", "")], groups=None)
    bodies = (definition("things", "a.dev"), definition("as", "b.dev"), definition("bs", "b.dev"))
    assert watch(definitions, *listed(*bodies)) == [("ADDED", "bs.b.dev")]


def test_a_version_that_kopf_did_not_find_or_that_is_served_no_more_is_told(definitions):
    definitions.scanned([resource("as", "a.dev"), resource("as", "b.dev"), resource("as", "b.dev", "v2")], groups=None)
    bodies = (definition("as", "a.dev", served=("v1", "v2")), definition("as", "b.dev"))
    assert watch(definitions, *listed(*bodies)) == [("MODIFIED", "as.a.dev"), ("MODIFIED", "as.b.dev")]


def test_a_definition_of_nothing_that_is_served_is_as_good_as_not_found(definitions):
    definitions.scanned([], groups=None)
    body = definition("things", "a.dev")
    del body["spec"]["versions"], body["spec"]["names"]
    assert watch(definitions, *listed(definition("things", "b.dev", served=()), body)) == []


def test_several_of_a_group_are_one_event(definitions):
    definitions.scanned([], groups=None)
    bodies = [definition(plural, group) for plural in ("as", "bs", "cs") for group in ("a.dev", "b.dev")]
    assert watch(definitions, *listed(*bodies)) == [("ADDED", "as.a.dev"), ("ADDED", "as.b.dev")]


def test_groups_that_no_handler_can_match_are_not_told(definitions):
    """A cluster may have a thousand definitions, and Kopf would look at each one's group."""
    definitions.scanned([], groups={"", "a.dev"})
    bodies = (definition("things", "b.dev"), definition("things", "a.dev"))
    assert watch(definitions, *listed(*bodies)) == [("ADDED", "things.a.dev")]
    definitions.scanned([resource("things", "a.dev")], groups={"a.dev"})
    assert watch(definitions, *listed(bodies[1])) == []


def test_without_kopfs_look_the_first_listing_tells_nothing_and_the_second_what_differs(definitions):
    bodies = [definition("as", f"{group}.dev") for group in "abc"]
    assert watch(definitions, *listed(*bodies)) == []
    changed = definition("as", "a.dev", version="2")
    assert watch(definitions, *listed(changed, bodies[1], definition("ds", "d.dev"))) == [
        ("MODIFIED", "as.a.dev"),
        ("ADDED", "ds.d.dev"),
        ("DELETED", "as.c.dev"),
    ]


def test_what_a_listing_found_before_it_broke_off_is_told_by_the_next(definitions):
    definitions.scanned([resource("as", "a.dev"), resource("as", "b.dev")], groups=None)
    bodies = [definition("as", "a.dev"), definition("as", "b.dev")]
    assert watch(definitions, *listed(*bodies)) == []
    changed = definition("as", "b.dev", version="2")
    assert watch(definitions, *listed(changed)[:-1]) == []
    assert watch(definitions, *listed(bodies[0], changed)) == [("MODIFIED", "as.b.dev")]
    assert watch(definitions, *listed(bodies[0], changed)) == []


def test_what_kopf_found_after_the_watch_broke_is_told_if_it_is_gone_when_the_watch_is_back(definitions):
    """No event told of it, but a look at its group, because of another event, came across it."""
    definitions.scanned([resource("as", "a.dev")], groups=None)
    watch(definitions, *listed(definition("as", "a.dev")))
    definitions.scanned([resource("as", "a.dev"), resource("bs", "a.dev")], groups={"a.dev"})
    assert watch(definitions, *listed(definition("as", "a.dev"))) == [("DELETED", "bs.a.dev")]
    definitions.scanned([resource("as", "a.dev")], groups={"a.dev"})
    assert watch(definitions, *listed(definition("as", "a.dev"))) == []


def test_a_look_at_one_group_says_nothing_of_others(definitions):
    definitions.scanned([resource("as", "a.dev"), resource("as", "b.dev")], groups=None)
    definitions.scanned([], groups={"b.dev"})
    assert watch(definitions, *listed(definition("as", "a.dev"), definition("as", "b.dev"))) == [("ADDED", "as.b.dev")]
    definitions.scanned([resource("as", "b.dev")], groups=None)
    assert watch(definitions, *listed(definition("as", "a.dev"), definition("as", "b.dev"))) == [("ADDED", "as.a.dev")]


def test_a_definition_that_went_after_kopfs_look_is_told_and_what_is_no_definition_is_not(definitions):
    found = [resource("as", "a.dev"), resource("bs", "a.dev"), resource("cs", "c.dev")]
    builtin = [resource("pods", ""), resource("jobs", "batch"), resource("leases", "coordination.k8s.io")]
    definitions.scanned([*found, *builtin], groups=None)
    assert watch(definitions, *listed(definition("cs", "c.dev"))) == [("DELETED", "as.a.dev")]
    definitions.scanned([], groups={"a.dev"})
    assert watch(definitions, *listed(definition("cs", "c.dev"))) == []


def test_a_group_of_kubernetes_is_watched_for_what_is_gone_once_it_had_a_definition(definitions):
    gateway, policy = resource("gateways", "x.k8s.io"), resource("policies", "x.k8s.io")
    definitions.scanned([gateway, policy], groups=None)
    assert watch(definitions, *listed(definition("gateways", "x.k8s.io"))) == [("DELETED", "policies.x.k8s.io")]


def test_a_deletion_has_what_kopf_reads(definitions):
    definitions.scanned([resource("things", "a.dev")], groups=None)
    watch(definitions, *listed(definition("things", "a.dev")))
    (seen,) = _deletions_of_an_empty_listing(definitions)
    assert seen == {
        "type": "DELETED",
        "object": {
            "metadata": {"name": "things.a.dev", "uid": "things.a.dev"},
            "spec": {"group": "a.dev", "names": {"plural": "things"}},
        },
    }


def test_events_that_kopf_would_die_of_are_not_understood(namespaces, definitions):
    for kind in ("ADDED", "DELETED", None):
        assert namespaces.understands({"type": kind, "object": namespace("a")})
        assert definitions.understands({"type": kind, "object": definition("things", "a.dev")})
        for odd in ({}, {"name": None}, {"name": ["a"]}):
            assert not namespaces.understands({"type": kind, "object": {"metadata": odd}})
        for odd in ({}, {"spec": None}, {"spec": {}}, {"spec": {"group": None}}):
            assert not definitions.understands({"type": kind, "object": namespace("a", **odd)})
    for other in (LISTED, BOOKMARK, {"type": "ERROR", "object": None}):
        assert namespaces.understands(other)
        assert definitions.understands(other)


def test_no_more_is_kept_than_is_needed(namespaces, definitions):
    watch(namespaces, *listed(namespace("a", labels={"x": "y"})))
    watch(definitions, *listed(definition("things", "a.dev")))
    assert namespaces._known == {"a": ("u1", "1", "", "", frozenset())}
    assert definitions._known == {"things.a.dev": ("u1", "1", "a.dev", "things", frozenset({"v1"}))}
    for observed in (namespaces, definitions):
        _deletions_of_an_empty_listing(observed)
        assert (observed._known, observed._untold, observed._listed) == ({}, {}, None)
