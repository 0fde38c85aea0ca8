"""Kopf is kept quiet about objects that are only watched, and about nothing else."""

import logging
from contextvars import copy_context

import kopf
import pytest

from workqueue.base.keys import ObjectKey
from workqueue.control.context import RunContext, enter
from workqueue.plugin.noise import FINALIZER, HandlerNoise, RunFieldsEverywhere, leave_finalizers_alone

LOGGER = logging.getLogger("kopf.objects")


@pytest.fixture
def said(caplog):
    """``said(message)`` is whether a line of Kopf's logger for objects comes through."""
    caplog.set_level(logging.DEBUG, "kopf.objects")
    LOGGER.propagate, before = True, LOGGER.propagate
    noise = HandlerNoise()
    noise.attach()

    def say(message, *args):
        caplog.clear()
        LOGGER.info(message, *args)
        return len(caplog.records) == 1

    yield say
    noise.detach()
    LOGGER.propagate = before


@pytest.mark.parametrize(
    "line",
    [
        "Handler 'workqueue/pods' succeeded.",
        "Handler 'workqueue/pods' is invoked.",
        "Handler 'workqueue/' succeeded.",
        "Activity 'workqueue/startup' succeeded.",
        "Activity 'workqueue/login' is cancelled. Will escalate.",
    ],
)
def test_the_lines_about_our_handlers_are_dropped(said, line):
    assert not said(line)


@pytest.mark.parametrize(
    "line",
    [
        "Handler 'my_handler' succeeded.",
        "Handler 'my_handler' is invoked.",
        "Handler 'my/workqueue/pods' succeeded.",
        "Handler 'workqueue' succeeded.",
        "Handler 'workqueues/pods' succeeded.",
        "Handler 'workqueue/pods' failed with an exception. Will retry.",
        "Handler 'workqueue/pods' failed permanently: no",
        "Activity 'my_startup' succeeded.",
        "Activity 'my_login' is cancelled. Will escalate.",
        "Activity 'workqueue/login' failed with an exception. Will escalate.",
        "Something about workqueue/pods succeeded.",
        "Handler 'workqueue/pods' succeeded",
        "",
    ],
)
def test_every_other_line_comes_through(said, line):
    assert said(line)


def test_a_message_that_is_no_text_comes_through(said):
    assert said(ValueError("Handler 'workqueue/pods' succeeded."))
    assert said(42)


def test_a_line_with_arguments_comes_through(said):
    assert said("Handler %r succeeded.", "mine")


def test_after_detaching_all_lines_come_through(said, caplog):
    noise = HandlerNoise()
    noise.attach()
    noise.detach()
    assert said("Handler 'other' succeeded.")
    assert noise not in LOGGER.filters


def test_the_lines_are_those_that_this_kopf_writes():
    """The filter knows Kopf's words by heart: here they are taken from a handler as Kopf names it."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("pods", id="workqueue/pods", registry=registry)
    def handler(**_):
        """Only watched."""

    [made] = registry._watching.get_all_handlers()
    assert str(made) == "Handler 'workqueue/pods'"


# The fields of runs.


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.ids = []

    def emit(self, record):
        self.ids.append(getattr(record, "reconcile_id", None))


@pytest.fixture
def kept():
    """``kept(name)`` is a handler of that logger, which passes nothing on."""
    changed = []

    def make(name):
        logger, handler = logging.getLogger(name), Kept()
        changed.append((logger, handler, logger.propagate, logger.level))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = not name
        return handler

    yield make
    for logger, handler, propagate, level in changed:
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)


def log_in_a_run(name):
    def run():
        enter(RunContext("pods", ObjectKey("default", "a"), "1-2-3", 1))
        logging.getLogger(name).info("something")

    copy_context().run(run)


def test_every_handler_that_there_is_gets_the_fields_and_loses_them_at_the_end(kept):
    everywhere = RunFieldsEverywhere()
    root, own = kept(""), kept("tests.of.its.own")
    everywhere.attach()
    for name in ("", "tests.anything", "tests.of.its.own"):
        log_in_a_run(name)
    assert (root.ids, own.ids) == (["1-2-3", "1-2-3"], ["1-2-3"])
    everywhere.detach()
    for name in ("", "tests.of.its.own"):
        log_in_a_run(name)
    assert (root.ids[2:], own.ids[1:]) == ([None], [None])
    assert (root.filters, own.filters) == ([], [])


def test_handlers_that_came_meanwhile_get_them_at_the_next_call_and_each_once(kept):
    everywhere = RunFieldsEverywhere()
    first = kept("tests.first")
    everywhere.attach()
    second = kept("tests.second")
    everywhere.attach()
    log_in_a_run("tests.second")
    assert second.ids == ["1-2-3"]
    assert len(first.filters) == len(second.filters) == 1
    everywhere.detach()
    assert (first.filters, second.filters) == ([], [])


# The finalizer.


@pytest.fixture
def registry():
    return kopf.OperatorRegistry()


@pytest.fixture
def finalizer(registry):
    """What the finalizer is after our startup, for a registry and, if given, a user's finalizer."""

    def find(own=None):
        settings = kopf.OperatorSettings()
        if own is not None:
            settings.persistence.finalizer = own
        leave_finalizers_alone(settings, registry)
        return settings.persistence.finalizer

    return find


DEFAULT = kopf.OperatorSettings().persistence.finalizer


def handler(**_):
    """Does nothing."""


def test_with_watching_handlers_only_the_finalizer_is_one_that_nobody_has(registry, finalizer):
    kopf.on.event("pods", registry=registry)(handler)
    assert finalizer() == FINALIZER != DEFAULT


def test_handlers_for_changes_need_no_finalizer(registry, finalizer):
    kopf.on.create("pods", registry=registry)(handler)
    kopf.on.update("pods", registry=registry)(handler)
    kopf.on.event("pods", registry=registry)(handler)
    assert finalizer() == FINALIZER


@pytest.mark.parametrize(
    "decorator",
    [
        lambda registry: kopf.on.delete("foos", registry=registry),
        lambda registry: kopf.daemon("foos", registry=registry),
        lambda registry: kopf.timer("foos", registry=registry, interval=1),
    ],
    ids=["on.delete", "daemon", "timer"],
)
def test_with_a_handler_that_needs_finalizers_everything_stays_as_it_is(registry, finalizer, decorator):
    kopf.on.event("pods", registry=registry)(handler)
    decorator(registry)(handler)
    assert finalizer() == DEFAULT


def test_an_optional_handler_for_deletions_needs_none(registry, finalizer):
    kopf.on.delete("foos", registry=registry, optional=True)(handler)
    assert finalizer() == FINALIZER


def test_the_finalizer_that_a_user_chose_stays(registry, finalizer):
    assert finalizer("my.dev/finalizer") == "my.dev/finalizer"


def test_a_registry_that_cannot_be_looked_into_is_left_alone():
    settings = kopf.OperatorSettings()
    leave_finalizers_alone(settings, object())
    assert settings.persistence.finalizer == DEFAULT
