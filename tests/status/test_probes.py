"""/livez and /readyz answer as kube-apiserver's do."""

import asyncio
import threading

import pytest

from tests.status.conftest import PATIENCE, check, get
from workqueue.status import health

WELL = check(None)


def test_if_all_is_well_the_answer_is_ok(serve):
    server = serve(live={"loop": WELL}, ready={"caches": WELL, "stopping": WELL})
    for probe in ("/livez", "/readyz"):
        answer = get(server, probe)
        assert (answer.status, answer.text) == (200, "ok")
        assert answer.content_type.startswith("text/plain")


def test_a_probe_without_checks_is_ok(serve):
    assert get(serve(), "/livez").text == "ok"


@pytest.mark.parametrize("query", ["verbose", "verbose=", "verbose=1", "verbose=true"])
def test_verbose_lists_the_checks_though_all_is_well(serve, query):
    server = serve(ready={"stopping": WELL, "caches": WELL})
    answer = get(server, f"/readyz?{query}")
    assert (answer.status, answer.text) == (200, "[+]stopping ok\n[+]caches ok\nreadyz check passed\n")


def test_a_failing_check_is_500_and_lists_all_of_them_verbose_or_not(serve):
    server = serve(ready={"stopping": WELL, "caches": check("pods: not synced; foos: gone")})
    for path in ("/readyz", "/readyz?verbose"):
        answer = get(server, path)
        assert answer.status == 500
        assert answer.text == ("[+]stopping ok\n[-]caches failed: pods: not synced; foos: gone\nreadyz check failed\n")


def test_one_probe_fails_without_the_other(serve):
    server = serve(live={"loop": WELL}, ready={"caches": check("no")})
    assert get(server, "/livez").status == 200
    assert get(server, "/readyz").status == 500


def test_an_excluded_check_is_not_asked_and_shown_as_excluded(serve):
    server = serve(ready={"stopping": WELL, "caches": check("no")})
    answer = get(server, "/readyz?exclude=caches")
    assert (answer.status, answer.text) == (200, "ok")
    answer = get(server, "/readyz?verbose&exclude=caches")
    assert (answer.status, answer.text) == (
        200,
        "[+]stopping ok\n[+]caches excluded: ok\nreadyz check passed\n",
    )


def test_several_checks_may_be_excluded(serve):
    server = serve(ready={"a": check("no"), "b": check("no"), "c": WELL})
    assert get(server, "/readyz?exclude=a&exclude=b").status == 200
    assert get(server, "/readyz?exclude=a").status == 500


def test_excluding_what_is_not_there_is_a_warning(serve):
    server = serve(ready={"caches": WELL})
    assert get(server, "/readyz?exclude=cashes").text == "ok"
    assert get(server, "/readyz?verbose&exclude=cashes").text == (
        '[+]caches ok\nwarn: some health checks cannot be excluded: no matches for "cashes"\nreadyz check passed\n'
    )


def test_a_single_check_can_be_asked_for(serve):
    server = serve(live={"loop": check("blocked")}, ready={"stopping": check("yes"), "caches": WELL})
    assert (get(server, "/readyz/caches").status, get(server, "/readyz/caches").text) == (200, "ok")
    assert get(server, "/readyz/caches?verbose").text == "[+]caches ok\nreadyz check passed\n"
    answer = get(server, "/readyz/stopping")
    assert (answer.status, answer.text) == (500, "[-]stopping failed: yes\nreadyz check failed\n")
    assert get(server, "/livez/loop").text == "[-]loop failed: blocked\nlivez check failed\n"


@pytest.mark.parametrize("path", ["/readyz/loop", "/readyz/x", "/readyz/caches%20"])
def test_a_check_that_is_not_there_is_404_and_says_which_are(serve, path):
    server = serve(live={"loop": WELL}, ready={"stopping": WELL, "caches": WELL})
    answer = get(server, path)
    assert answer.status == 404
    assert answer.text == f"there is no check {path[8:].replace('%20', ' ')!r}; there are: stopping, caches\n"


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/readyz/caches/more"])
def test_other_paths_are_404(serve, path):
    assert get(serve(ready={"caches": WELL}), path).status == 404


def test_a_probe_is_only_read(serve):
    assert get(serve(), "/livez", method="HEAD").status == 200
    assert get(serve(), "/livez", method="POST").status == 405


def test_a_check_that_hangs_fails_and_holds_nobody(serve, monkeypatch):
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 0.05)
    cancelled = threading.Event()

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    server = serve(live={"loop": hang, "workers": WELL})
    answer = get(server, "/livez")
    assert (answer.status, answer.text) == (
        500,
        "[-]loop failed: no answer within 0.05 s\n[+]workers ok\nlivez check failed\n",
    )
    assert cancelled.wait(PATIENCE), "the check must not be left running"
    assert get(server, "/livez/workers").status == 200


def test_the_timeout_of_a_check_is_below_that_of_a_kubelet():
    assert health.CHECK_TIMEOUT < 1.0


def test_checks_are_asked_at_the_same_time(serve):
    """Each waits for the other: one after the other they would both time out."""
    met = []

    async def meet():
        met.append(True)
        while len(met) < 2:
            await asyncio.sleep(0)

    assert get(serve(live={"a": meet, "b": meet}), "/livez").text == "ok"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("broken check"), "ValueError: broken check"),
        (KeyError("name"), "KeyError: 'name'"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
    ids=["value", "key", "cancelled"],
)
def test_a_check_that_raises_fails_and_says_why(serve, error, said):
    server = serve(ready={"caches": check(error), "stopping": WELL})
    for _ in range(2):
        answer = get(server, "/readyz")
        assert answer.status == 500
        assert answer.text.startswith(f"[-]caches failed: {said}")
        assert answer.text.endswith("\n[+]stopping ok\nreadyz check failed\n")


def test_a_check_that_fails_for_a_moment_is_well_again(serve):
    problems = ["not yet", None]

    async def caches():
        return problems.pop(0)

    server = serve(ready={"caches": caches})
    assert [get(server, "/readyz").status for _ in range(2)] == [500, 200]
