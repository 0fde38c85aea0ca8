"""A user's function is told by its name and its place, whatever is around it."""

import functools

import pytest

from workqueue.base.functions import described


def place(function, name):
    return f"{name} ({__file__}:{function.__code__.co_firstlineno})"


def plain(request):
    """Nothing around it."""


async def asynchronous(request):
    """A coroutine function."""


class Reconciler:
    def __call__(self, request):
        """May be an object."""

    def method(self, request):
        """May be a method."""


def decorator(function):
    @functools.wraps(function)
    def wrapper(request):
        return function(request)

    return wrapper


def decorator_without_wraps(function):
    def wrapper(request):
        return function(request)

    return wrapper


def with_argument(request, other):
    """Given with a functools.partial."""


nameless = lambda request: None  # noqa: E731


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (plain, place(plain, "plain")),
        (asynchronous, place(asynchronous, "asynchronous")),
        (nameless, place(nameless, "<lambda>")),
        (Reconciler(), place(Reconciler.__call__, "Reconciler.__call__")),
        (Reconciler().method, place(Reconciler.method, "Reconciler.method")),
        (functools.partial(with_argument, other=1), place(with_argument, "with_argument")),
        (functools.partial(functools.partial(Reconciler().method)), place(Reconciler.method, "Reconciler.method")),
        (functools.lru_cache(plain), place(plain, "plain")),
        (len, "len"),
    ],
)
def test_a_function_is_told_by_its_name_and_its_place(function, said):
    assert described(function) == said


def test_of_a_decorated_function_both_places_are_told():
    inner, around = plain.__code__, decorator(plain).__code__
    assert described(decorator(plain)) == (
        f"plain ({__file__}:{inner.co_firstlineno}; decorated at {__file__}:{around.co_firstlineno})"
    )


def test_a_decorator_that_hides_what_it_is_around_is_told_itself():
    wrapper = decorator_without_wraps(plain)
    assert described(wrapper) == place(wrapper, "decorator_without_wraps.<locals>.wrapper")


def test_an_object_that_answers_with_itself_or_raises_is_told_by_its_type():
    class Endless:
        @property
        def __wrapped__(self):
            return self

    class Raising:
        def __getattr__(self, name):
            raise OSError(name)

    assert described(Endless()) == "Endless"
    assert described(Raising()) == "a Raising"
