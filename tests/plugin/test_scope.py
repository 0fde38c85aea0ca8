"""Which namespaces the operator serves, as the user told Kopf."""

import click
import kopf
import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.plugin.scope import Scope

PRESENT = ["default", "dev", "demo", "kube-system", "prod"]


@pytest.fixture(autouse=True)
def no_legacy(monkeypatch):
    monkeypatch.delenv("KOPF_RUN_NAMESPACE", raising=False)


def settings(*, clusterwide):
    made = kopf.OperatorSettings()
    made.peering.clusterwide = clusterwide
    return made


def run_by_kopf(*arguments, given=None):
    """What the scope is inside of a command with Kopf's options."""
    found = []

    @click.command()
    @click.option("-n", "--namespace", "namespaces", multiple=True)
    def run(namespaces):
        found.append(Scope.of_run(settings(clusterwide=False), given))

    run.main(list(arguments), standalone_mode=False)
    return found[0]


def test_clusterwide_is_all_namespaces_and_asks_nobody():
    scope = Scope.of_run(settings(clusterwide=True))
    assert scope == Scope(())
    assert scope.resolve(pytest.fail) == [""]


def test_the_namespaces_of_kopf_run_are_taken():
    assert run_by_kopf("-n", "default", "--namespace", "de*") == Scope(("default", "de*"))


def test_the_environment_of_old_adds_a_namespace(monkeypatch):
    monkeypatch.setenv("KOPF_RUN_NAMESPACE", "legacy")
    assert run_by_kopf("-n", "default") == Scope(("default", "legacy"))
    assert run_by_kopf() == Scope(("legacy",))
    assert Scope.of_run(settings(clusterwide=False)) == Scope(("legacy",))


def test_what_the_manager_was_told_counts_where_kopf_was_told_nothing(monkeypatch):
    monkeypatch.setenv("KOPF_RUN_NAMESPACE", "legacy")
    assert Scope.of_run(settings(clusterwide=False), ["a", "b"]) == Scope(("a", "b"))
    assert str(Scope.of_run(settings(clusterwide=False), ["a", "b"])) == "Manager(namespaces=['a', 'b'])"


def test_the_same_may_be_said_to_both_in_any_order(monkeypatch):
    monkeypatch.setenv("KOPF_RUN_NAMESPACE", "legacy")
    assert run_by_kopf("-n", "a", "-n", "b", given=["legacy", "b", "a"]) == Scope(("a", "b", "legacy"))


@pytest.mark.parametrize(
    ("arguments", "served"),
    [(("-n", "default"), "-n 'default'"), (("-n", "blue", "-n", "default"), "-n 'blue' -n 'default'")],
    ids=["another", "more"],
)
def test_a_manager_that_says_otherwise_than_the_command_is_refused(arguments, served):
    with pytest.raises(ConfigurationError) as caught:
        run_by_kopf(*arguments, given=["blue"])
    assert str(caught.value) == (
        f"Manager(namespaces=['blue']), but Kopf was told to serve {served}: leave it out with `kopf run`, else say "
        "the same to both"
    )


def test_a_manager_that_says_some_where_kopf_serves_all_is_refused():
    with pytest.raises(ConfigurationError, match=r"\['blue'\]\), but Kopf was told to serve all namespaces: "):
        Scope.of_run(settings(clusterwide=True), ["blue"])


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="the name of the namespace is empty"):
        run_by_kopf("-n", "default", "-n", name)


def test_not_started_by_kopf_run_somebody_must_say_it():
    with pytest.raises(ConfigurationError, match=r"say the same ones in Manager\(namespaces=") as caught:
        Scope.of_run(settings(clusterwide=False))
    assert "\n" not in str(caught.value)


def test_kopf_run_with_another_command_is_no_answer():
    @click.command()
    def other():
        with pytest.raises(ConfigurationError):
            Scope.of_run(settings(clusterwide=False))

    other.main([], standalone_mode=False)


def test_exact_names_need_no_list_and_come_once_in_their_order_whether_they_exist_or_not():
    assert Scope(("b", "a", "b", "later")).resolve(pytest.fail) == ["b", "a", "later"]


@pytest.mark.parametrize(
    ("patterns", "served"),
    [
        (["de*"], ["default", "dev", "demo"]),
        (["de?"], ["dev"]),
        (["d*", "prod"], ["default", "dev", "demo", "prod"]),
        (["!dev"], ["default", "demo", "kube-system", "prod"]),
        (["de*,!demo"], ["default", "dev"]),
        (["!de*,dev"], ["dev", "kube-system", "prod"]),
        (["[dp]*"], ["default", "dev", "demo", "prod"]),
        (["*"], PRESENT),
        (["x*"], []),
        (["x*", "not-there"], []),
    ],
    ids=lambda each: " ".join(each),
)
def test_patterns_choose_among_the_namespaces_that_are_there(patterns, served):
    assert Scope(tuple(patterns)).resolve(lambda: PRESENT) == served


def test_a_namespace_that_comes_later_is_found_then():
    present = ["dev"]
    scope = Scope(("de*",))
    assert scope.resolve(lambda: present) == ["dev"]
    present.append("demo")
    assert scope.resolve(lambda: present) == ["dev", "demo"]


def test_a_failing_list_is_not_taken_for_no_namespaces():
    def fail():
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        Scope(("de*",)).resolve(fail)
