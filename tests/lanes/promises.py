"""What the handlers lane cannot promise, by the test of the stream lane's promise. docs/lanes.md says it to users."""

from workqueue.plugin.internals import obstacles

#: Those that this Kopf can have.
LANES = ("handlers",) if obstacles() else ("stream", "handlers")

#: Test: why not.
NOT_PROMISED = {
    "test_the_cache_is_not_synced_while_the_api_server_is_away": "Kopf does not tell that a watch is interrupted",
    "test_a_list_replaces_the_cache_at_once": "Kopf brings the objects of a list one by one",
    "test_what_was_deleted_unseen_is_told_before_anything_newer": "an own list, a second later, finds it",
    "test_a_server_whose_storage_went_back_in_time": "an older version never replaces a newer one there",
    "test_errors_in_the_stream_are_survived_in_line": "Kopf begins anew, after a pause of at least a second",
    "test_an_end_that_users_of_kopf_ask_for_is_no_outage": "Kopf does not tell how its watches end",
    "test_an_error_answer_that_cannot_be_read_is_one_all_the_same": "Kopf asks, not we, and begins anew",
    "test_a_namespace_that_is_gone_takes_its_objects_along": "an own list, within five minutes, finds it",
    "test_while_kopf_is_paused_nothing_is_watched_and_the_cache_is_not_synced": "Kopf does not tell that it is paused",
}

#: Tests of what Kopf itself has since 1.45 only.
WANTS_1_45 = {"test_kopfs_selectors_narrow_what_is_watched"}
