"""What others say makes no lines of its own, and no mischief."""

import pytest

from workqueue.base.text import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("a\nerror: all is well", "a error: all is well"),
        ("a\r\x0b\x0c\x85\u2028b", "a b"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("\u202eright to left\x9b", "right to left"),
        ("  spaced   out ", "spaced out"),
        ("Grüße, 世界", "Grüße, 世界"),
        (ValueError("no"), "no"),
        ("", ""),
    ],
)
def test_a_text_becomes_one_plain_line(text, line):
    assert one_line(text) == line


def test_a_long_one_is_cut():
    assert one_line("x" * 10_000_000) == "x" * 500 + "…"
    assert one_line("x" * 500) == "x" * 500
    assert one_line("abc", limit=2) == "ab…"
