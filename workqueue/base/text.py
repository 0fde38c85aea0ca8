"""What others say, in a line of ours: a server's answer must not look like lines of its own."""

#: Characters of a foreign text that are shown.
LIMIT = 500


def one_line(text: object, *, limit: int = LIMIT) -> str:
    """A text without line ends, escapes and whatever else would do things to a terminal, and not too long.

    :param text: anything; its ``str``.
    :param limit: characters to keep.
    """
    told = str(text)[: 2 * limit]
    line = " ".join("".join(each if each.isprintable() else " " for each in told).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def told(value: object) -> str:
    """What ``repr`` says of a value; and where that raises, that it does. For values that are somebody else's."""
    try:
        return repr(value)
    except BaseException as error:  # one that raises SystemExit is to be told as well, and ends nothing
        return f"<a {type(value).__name__} that cannot be told: {type(error).__name__}>"
