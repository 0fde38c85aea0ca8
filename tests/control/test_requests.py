"""What a reconcile function is given."""

import logging

import pytest

from tests.control.conftest import settle
from workqueue.base.keys import ObjectKey
from workqueue.cache import Indexer

POD = {"metadata": {"namespace": "default", "name": "a", "uid": "u-1", "resourceVersion": "5"}, "spec": {"x": [1]}}


@pytest.fixture
def ask(make):
    """``ask(key, question, …)`` is what a question about the request of one run is answered with."""

    def run(key, question, **options):
        answers = []
        controller = make(lambda request: answers.append(question(request)), **options)
        controller.add(key)
        controller.start()
        settle(controller)
        assert controller.statistics().error == 0
        return answers[0]

    return run


def test_the_key_and_its_parts(ask):
    assert ask("default/a", lambda r: (r.key, r.namespace, r.name)) == (ObjectKey("default", "a"), "default", "a")


def test_in_the_cluster_scope_the_namespace_is_empty(ask):
    assert ask("node", lambda r: (r.key, r.namespace, r.name)) == (ObjectKey("", "node"), "", "node")


def test_the_first_run_is_no_retry(ask):
    assert ask("default/a", lambda r: r.retry) == 0


def test_the_object_is_looked_up_when_it_is_asked_for(ask):
    cache = Indexer()
    cache.add(POD)

    def question(request):
        first = request.get(), request.uid
        cache.add({"metadata": {**POD["metadata"], "uid": "u-2"}})
        return first, (request.get()["metadata"]["uid"], request.uid)

    assert ask("default/a", question, cache=cache.reader) == ((POD, "u-1"), ("u-2", "u-2"))


def test_the_object_is_a_copy_of_the_callers_own(ask):
    cache = Indexer()
    cache.add(POD)

    def question(request):
        request.get()["spec"]["x"].append(2)
        return request.get()

    assert ask("default/a", question, cache=cache.reader) == POD


def test_an_object_that_is_gone_is_none_and_so_is_its_uid(ask):
    assert ask("default/gone", lambda r: (r.get(), r.uid), cache=Indexer().reader) == (None, None)


def test_an_empty_cache_is_a_cache(ask):
    assert ask("default/a", lambda r: r.get(), cache=Indexer().reader) is None


@pytest.mark.parametrize("question", [lambda r: r.get(), lambda r: r.uid], ids=["get", "uid"])
def test_without_a_cache_looking_up_is_an_error_that_says_so(ask, question):
    def ask_and_catch(request):
        with pytest.raises(LookupError, match="made without a cache"):
            question(request)
        return True

    assert ask("default/a", ask_and_catch)


def test_the_logger_puts_worker_and_key_in_front(ask, caplog):
    caplog.set_level(logging.INFO, "workqueue")
    ask("default/a", lambda r: r.logger.info("made %d of %s", 2, "3", extra={"mine": "x"}))
    [record] = [each for each in caplog.records if "made" in each.getMessage()]
    assert record.getMessage() == "[pods-0] default/a: made 2 of 3"
    assert record.mine == "x"
    assert record.name == "workqueue.control"


def test_the_logger_shows_an_exception(ask, caplog):
    def question(request):
        try:
            raise ValueError("inner")
        except ValueError:
            request.logger.exception("outer")

    ask("node", question)
    assert "[pods-0] node: outer" in caplog.text
    assert "ValueError: inner" in caplog.text


def test_a_request_cannot_be_changed(ask):
    def question(request):
        with pytest.raises(AttributeError):
            request.retry = 7
        return True

    assert ask("default/a", question)
