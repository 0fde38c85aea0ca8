"""Kopf's own errors mean the same in a harness and in an operator."""

import sys

import kopf
import pytest

from workqueue.control import TerminalError
from workqueue.plugin import kopf_errors
from workqueue.testing.kopf_errors import judge

ERRORS = [
    kopf.PermanentError("no"),
    kopf.TemporaryError("later"),
    kopf.TemporaryError("later", delay=3),
    kopf.TemporaryError("now", delay=0),
    kopf.TemporaryError("now", delay=-1),
    kopf.TemporaryError("at once", delay=None),
    kopf.TemporaryError("no time", delay="soon"),
    TerminalError("no"),
    OSError("no luck"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_is_judged_as_in_an_operator(error):
    assert judge(error) == kopf_errors.judge(error)


def test_where_kopf_is_not_no_error_is_kopfs(monkeypatch):
    monkeypatch.delitem(sys.modules, "kopf")
    assert [judge(error) for error in ERRORS] == [None] * len(ERRORS)
