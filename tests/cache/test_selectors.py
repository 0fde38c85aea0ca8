"""Label selectors, as kubectl takes them."""

import pytest

from workqueue.base.errors import InvalidSelector
from workqueue.cache import Everything, Nothing, parse_selector
from workqueue.cache.selectors import as_selector

LABELS = [
    {}, {"app": "web"}, {"app": "db"}, {"app": ""}, {"app": "web", "tier": "gold"}, {"tier": "gold"}, {"n": "5"},
    {"n": "12"}, {"n": "x"}, {"n": "1_000"}, {"n": ""}, {"example.com/app": "web"}, {"in": "in"},
]  # fmt: skip


def selected(text):
    selector = parse_selector(text)
    return [labels for labels in LABELS if selector.matches(labels)]


def having(name, *values):
    return [labels for labels in LABELS if name in labels and (not values or labels[name] in values)]


def all_but(chosen):
    return [labels for labels in LABELS if labels not in chosen]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LABELS), ("  ", LABELS), ("\n", LABELS),
        # Equality.
        ("app=web", having("app", "web")), ("app==web", having("app", "web")), (" app = web ", having("app", "web")),
        ("app=", having("app", "")), ("app=WEB", []),
        ("app!=web", all_but(having("app", "web"))), ("app !=web", all_but(having("app", "web"))),
        ("app!=", all_but(having("app", ""))),
        ("example.com/app=web", having("example.com/app")),
        # Sets.
        ("app in (web,db)", having("app", "web", "db")), ("app in(web)", having("app", "web")),
        ("  app   in  ( web , db ) ", having("app", "web", "db")), ("app in (web,)", having("app", "web", "")),
        ("app in ()", having("app", "")), ("in in (in)", having("in")),
        ("app notin (web,db)", all_but(having("app", "web", "db"))),
        ("app notin ()", all_but(having("app", ""))),
        # Presence.
        ("app", having("app")), ("in", having("in")), ("!app", all_but(having("app"))),
        ("! app", all_but(having("app"))),
        # Order.
        ("n>4", having("n", "5", "12")), ("n > 5", having("n", "12")), ("n<12", having("n", "5")), ("n<5", []),
        ("n>999", []),
        # Several: all must hold.
        ("app=web,tier=gold", [{"app": "web", "tier": "gold"}]), ("app=web,!tier", [{"app": "web"}]),
        ("tier,app notin (web)", [{"tier": "gold"}]), ("n>4,n<10", having("n", "5")), ("app=web,app=db", []),
        ("app in (web,db) , tier in (gold)", [{"app": "web", "tier": "gold"}]), ("app,app", having("app")),
    ],
)  # fmt: skip
def test_a_selector_selects(text, expected):
    assert selected(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("app=web,", "nothing after the last comma"), ("app=web, ", "nothing after the last comma"),
        (",", "cannot read ','"), (",app", "cannot read ',app'"), ("app,,tier", "cannot read ',tier'"),
        ("app=web,tier=a=b", "cannot read 'tier=a=b'"), ("app=web, a b", "cannot read 'a b'"),
        ("!", "cannot read '!'"), ("!!app", "cannot read '!!app'"), ("!app=web", "cannot read '!app=web'"),
        ("=web", "cannot read '=web'"), ("app=-", "cannot read 'app=-'"), ("-app", "cannot read '-app'"),
        ("app=a b", "cannot read 'app=a b'"), ("a/b/c", "cannot read 'a/b/c'"), ("/a", "cannot read '/a'"),
        ("app in web", "cannot read 'app in web'"), ("app in (web", "cannot read 'app in (web'"),
        ("app in web)", "cannot read 'app in web)'"), ("app in (a)b", "cannot read 'app in (a)b'"),
        ("app in ((a))", "cannot read 'app in ((a))'"), ("in (a)", "cannot read 'in (a)'"),
        ("tier,app in (a,-b)", "'-b' is no label value"), ("app notin (a b)", "'a b' is no label value"),
        ("tier,n>x", "n> wants a whole number"), ("n<", "n< wants a whole number"),
        ("n>1.5", "n> wants a whole number"),
        ("n>-1", "cannot read 'n>-1'"), ("äpp=web", "cannot read 'äpp=web'"), ("app=wäb", "cannot read 'app=wäb'"),
        ("app>=1", "cannot read 'app>=1'"), ("app=~web", "cannot read 'app=~web'"), ("*", "cannot read '*'"),
    ],
)  # fmt: skip
def test_a_selector_that_cannot_be_read_is_an_error_that_names_the_part(text, named):
    with pytest.raises(InvalidSelector) as caught:
        parse_selector(text)
    assert str(caught.value) == f"label selector {text.strip()!r}: {named}"
    assert isinstance(caught.value, ValueError)


def test_equal_selectors_are_equal():
    assert parse_selector("app in (a,b)") == parse_selector("app in (b, a)")
    assert parse_selector("") == Everything()
    assert parse_selector("app") != Everything()


def test_nothing_selects_no_labels():
    assert [labels for labels in LABELS if Nothing().matches(labels)] == []


def test_a_user_may_hold_a_selector_in_any_form():
    assert as_selector(None) == Everything()
    assert as_selector("app=web,tier") == parse_selector("app=web,tier")
    assert as_selector({"app": "web", "tier": ""}) == parse_selector("app=web,tier=")
    assert as_selector({}) == Everything()
    for selector in (Everything(), Nothing(), parse_selector("app")):
        assert as_selector(selector) is selector


@pytest.mark.parametrize("value", ["7" * 5000, "\u0664", "\u00b2", "1_000", "+7", " 7", "", "7 "])
def test_what_is_no_number_of_an_api_server_is_neither_greater_nor_less(value):
    for selector in ("n>3", "n<3"):
        assert not parse_selector(selector).matches({"n": value})


def test_numbers_of_selectors_have_an_end():
    assert parse_selector("n>3").matches({"n": "9" * 18})
    with pytest.raises(InvalidSelector, match="n> wants a whole number"):
        parse_selector("n>" + "9" * 19)


@pytest.mark.parametrize("given", [{"app": None}, {"app": 7}, {7: "x"}, {"app": ["x"]}])
def test_labels_to_select_by_are_texts(given):
    with pytest.raises(InvalidSelector, match="and its value must be texts"):
        as_selector(given)
