"""Errors are one line with the place in the user's code, under click and without it."""

import copy
import inspect
import pickle
import subprocess
import sys

import click
import pytest

from workqueue.base import errors
from workqueue.base.errors import ConfigurationError, InvalidKey, ShutDown, WorkqueueError, with_place
from workqueue.base.keys import ObjectKey
from workqueue.queues import Queue

PATIENCE = 30.0
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, WorkqueueError)]
NO_KEY = "'a/b/c' is no key: expected 'namespace/name', or 'name' in the cluster scope"


def run(source, *, module="my_operator", **names):
    """Run code as if it was of a module, in a file of that name; what it defines."""
    scope = {"__name__": module, "ObjectKey": ObjectKey, "ConfigurationError": ConfigurationError, **names}
    exec(compile(source, f"{module}.py", "exec"), scope)
    return scope


def told(function):
    """What is said of the error of a call."""
    with pytest.raises(WorkqueueError) as caught:
        function()
    return with_place(caught.value)


# The place.


def test_the_place_is_where_the_users_code_called_ours():
    assert told(lambda: run("x = 1\n\nObjectKey.parse('a/b/c')\n")) == f"{NO_KEY} (my_operator.py:3)"


def test_the_place_is_the_innermost_of_the_users_own():
    source = """
def inner():
    return ObjectKey.parse("a/b/c")

def outer():
    return inner()

outer()
"""
    assert told(lambda: run(source)) == f"{NO_KEY} (my_operator.py:3)"


def test_of_several_calls_of_ours_the_place_is_still_the_users():
    """``of`` calls ``parse``; both are ours."""
    assert told(lambda: run("ObjectKey.of('a/b/c')")) == f"{NO_KEY} (my_operator.py:1)"


def test_code_of_the_users_that_ours_has_called_is_found_as_well():
    """As a handler or a reconcile function is."""
    added = run("def added():\n    ObjectKey.parse('a/b/c')\n")["added"]
    ours = run("def call(function):\n    function()\n", module="workqueue.informer.made_up")["call"]
    assert told(lambda: ours(added)) == f"{NO_KEY} (my_operator.py:2)"


@pytest.mark.parametrize("module", ["workqueue_extras", "workqueues", "my.workqueue.base", "__main__"])
def test_a_module_with_a_name_that_looks_like_ours_is_the_users(module):
    assert told(lambda: run("ObjectKey.parse('a/b/c')", module=module)) == f"{NO_KEY} ({module}.py:1)"


def test_code_in_a_module_without_a_name_is_the_users():
    def call():
        exec(compile("ObjectKey.parse('a/b/c')", "nameless.py", "exec"), {"ObjectKey": ObjectKey, "__name__": None})

    assert told(call) == f"{NO_KEY} (nameless.py:1)"


@pytest.mark.parametrize("raised", ["ConfigurationError('mine')", "ConfigurationError('mine') from OSError()"])
def test_what_the_users_own_code_raises_needs_no_place(raised):
    assert told(lambda: run(f"raise {raised}")) == "mine"


def test_what_the_users_code_raises_inside_of_ours_needs_none_either():
    mine = run("def mine():\n    raise ConfigurationError('mine')\n")["mine"]
    ours = run("def call(function):\n    function()\n", module="workqueue.control.made_up")["call"]
    assert told(lambda: run("ours(mine)", ours=ours, mine=mine)) == "mine"


def test_an_error_that_never_left_our_code_has_no_place():
    source = """
def call():
    try:
        ObjectKey.parse("a/b/c")
    except ValueError as error:
        return error
"""
    error = run(source, module="workqueue.plugin.made_up")["call"]()
    assert with_place(error) == NO_KEY


def test_an_error_that_was_never_raised_has_no_place():
    assert with_place(ConfigurationError("as it is")) == "as it is"
    assert with_place(WorkqueueError()) == ""


def test_the_standard_library_between_the_users_code_and_ours_is_no_place_of_the_users():
    """``queue.item()`` goes through contextlib."""
    queue = Queue()
    queue.shut_down()
    assert told(lambda: run("with queue.item():\n    pass\n", queue=queue)).endswith(" (my_operator.py:1)")


# Under click.


def as_command(source, capsys):
    """What a command ends with whose code is this: status, standard output, standard error."""
    command = click.Command("run", callback=lambda: run(source))
    with pytest.raises(SystemExit) as ended:
        command.main([], prog_name="run")
    output = capsys.readouterr()
    return ended.value.code, output.out, output.err


def test_a_mistake_ends_a_command_with_one_line_and_status_1(capsys):
    assert as_command("x = 1\nObjectKey.parse('a/b/c')\n", capsys) == (1, "", f"error: {NO_KEY} (my_operator.py:2)\n")
    assert as_command("raise ConfigurationError('mine')\n", capsys) == (1, "", "error: mine\n")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_does(kind, capsys):
    name = kind.__name__
    assert as_command(f"from workqueue.base.errors import {name}\nraise {name}('told')\n", capsys) == (
        1, "", "error: told\n",
    )  # fmt: skip


def test_the_line_may_go_to_a_file_as_with_clicks_own_errors(tmp_path, capsys):
    path = tmp_path / "log"
    with path.open("w") as file:
        ConfigurationError("told").show(file)
    assert path.read_text() == "error: told\n"
    assert capsys.readouterr() == ("", "")


# As exceptions.


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_its_text_and_survives_being_copied(kind):
    error = kind("told")
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(each) is kind
        assert (str(each), each.args, each.message) == ("told", ("told",), "told")
    assert str(kind()) == ""


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidKey, ValueError),
        (errors.IndexNotFound, LookupError),
        (errors.IndexConflict, ValueError),
        (errors.InvalidObject, ValueError),
        (errors.ConfigurationError, ValueError),
        (errors.ObjectNotFound, LookupError),
        (errors.InvalidSelector, ValueError),
    ],
)
def test_errors_are_what_python_calls_such_mistakes(kind, builtin):
    with pytest.raises(builtin):
        raise kind("told")


# Without click.

WITHOUT_CLICK = """
import sys
sys.modules["click"] = None
try:
    import click
except ImportError:
    pass
else:
    raise AssertionError("click is there")

import workqueue.base.clock, workqueue.base.errors, workqueue.base.keys, workqueue.base.metrics, workqueue.base.origin
import workqueue.queues
from workqueue.base.errors import ConfigurationError, InvalidKey, ShutDown, WorkqueueError, with_place
from workqueue.base.keys import ObjectKey
from workqueue.queues import ItemExponentialFailureRateLimiter, RateLimitingQueue

assert WorkqueueError.__mro__ == (WorkqueueError, Exception, BaseException, object), WorkqueueError.__mro__
assert (str(WorkqueueError()), str(ConfigurationError("told"))) == ("", "told")

try:
    ObjectKey.parse("a/b/c")
except InvalidKey as error:
    assert " (<string>:" in with_place(error), with_place(error)

queue = RateLimitingQueue(rate_limiter=ItemExponentialFailureRateLimiter(0.001, 1.0))
queue.add("a")
with queue.item() as key:
    assert key == "a"
    queue.add_rate_limited(key)
assert queue.get(timeout=30) == "a"
queue.done("a")
queue.forget("a")
assert queue.shut_down_with_drain(timeout=30)
try:
    queue.get()
except ShutDown as error:
    assert isinstance(error, WorkqueueError)
else:
    raise AssertionError("no end")
print("well")
"""


def test_the_ground_floor_and_the_queues_work_without_click():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_CLICK],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")


def test_with_click_errors_are_clicks_as_well():
    assert issubclass(WorkqueueError, click.ClickException)
    assert all(issubclass(kind, WorkqueueError) for kind in (InvalidKey, ShutDown))
