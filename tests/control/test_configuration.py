"""Mistakes in how a controller is made are found before anything runs, each told in one clear line."""

import functools

import pytest

from workqueue.base.errors import ConfigurationError


def fine(request):
    """A reconcile function."""


async def asynchronous(request):
    """Cannot run in a thread."""


class AsynchronousCall:
    async def __call__(self, request):
        """Cannot run in a thread either."""


def no_arguments():
    """Takes no request."""


def two_arguments(request, other):
    """Takes too much."""


def keyword_only(*, request):
    """Takes it by name only."""


def generator(request):
    yield


async def asynchronous_generator(request):
    yield


class GeneratorCall:
    def __call__(self, request):
        yield


class AsynchronousGeneratorCall:
    async def __call__(self, request):
        yield


class Callable:
    def __call__(self, request, log=None):
        """May be an object."""

    def method(self, request):
        """May be a method."""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers=0, expected a whole number of at least 1"),
        ({"workers": -1}, "workers=-1, expected"),
        ({"workers": True}, "workers=True, expected"),
        ({"workers": "4"}, "workers='4', expected"),
        ({"workers": 2.0}, "workers=2.0, expected"),
        ({"workers": None}, "workers=None, expected"),
        ({"max_retries": -1}, "max_retries=-1, expected 0 or more, or None"),
        ({"max_retries": True}, "max_retries=True, expected"),
        ({"max_retries": "10"}, "max_retries='10', expected"),
        ({"max_retries": 1.5}, "max_retries=1.5, expected"),
    ],
    ids=repr,
)
def test_a_number_that_cannot_be_is_refused(make, options, said):
    with pytest.raises(ConfigurationError) as caught:
        make(fine, **options)
    assert str(caught.value).startswith(f"controller 'pods': {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("reconcile", "said"),
    [
        (no_arguments, "no_arguments must take one argument, the request: "),
        (two_arguments, "two_arguments must take one argument, the request: "),
        (keyword_only, "keyword_only must take one argument, the request: "),
        (None, "None is no function to reconcile with"),
        ("reconcile", "'reconcile' is no function to reconcile with"),
        (42, "42 is no function to reconcile with"),
    ],
    ids=["no arguments", "two", "keyword", "none", "text", "number"],
)
def test_a_function_of_the_wrong_shape_is_refused_by_name(make, reconcile, said):
    with pytest.raises(ConfigurationError) as caught:
        make(reconcile)
    assert str(caught.value).startswith("controller 'pods': ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reconcile",
    [
        generator,
        asynchronous_generator,
        GeneratorCall(),
        AsynchronousGeneratorCall(),
        functools.partial(GeneratorCall()),
        GeneratorCall().__call__,
    ],
)
def test_what_yields_is_refused_whatever_it_looks_like(make, reconcile):
    with pytest.raises(ConfigurationError, match=r"^controller 'pods': .* yields; a run is a call that returns$"):
        make(reconcile)


@pytest.mark.parametrize(
    "reconcile",
    [
        fine,
        lambda request: None,
        lambda *args: None,
        Callable(),
        Callable().method,
        functools.partial(two_arguments, 1),
    ],
)
def test_anything_that_can_be_called_with_a_request_will_do(make, reconcile):
    controller = make(reconcile)
    controller.add("default/a")
    controller.start()
    assert controller.stop(30)
    assert controller.statistics().success == 1


@pytest.mark.parametrize("options", [{"workers": 1}, {"max_retries": 0}, {"max_retries": None}])
def test_the_smallest_numbers_are_fine(make, options):
    make(fine, **options)
