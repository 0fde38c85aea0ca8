"""One line that says what is wrong with a kubeconfig; whatever is in it, nothing raises."""

import json
import os

import kopf
import pytest
from kubernetes.config.kube_config import KubeConfigMerger

from workqueue.base.errors import ConfigurationError
from workqueue.plugin import kubeconfig
from workqueue.plugin.kubeconfig import diagnose, exec_command, in_cluster, kubeconfig_paths
from workqueue.plugin.login import Login

GOOD = {
    "clusters": [{"name": "c", "cluster": {"server": "https://one.test"}}],
    "users": [{"name": "u", "user": {"exec": {"command": "get-token"}}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """No pod, and a home folder that is empty."""
    for name in ("KUBERNETES_SERVICE_HOST", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def use(monkeypatch, tmp_path):
    """``use(content, …)`` writes files and lets KUBECONFIG name them, None for one that is missing."""

    def run(*contents):
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"kubeconfig-{number}")
            if isinstance(content, bytes):
                paths[-1].write_bytes(content)
            elif content is not None:
                paths[-1].write_text(content if isinstance(content, str) else json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
        return paths

    return run


def changed(**fields):
    """The good one with other fields; None leaves one out."""
    content = {**GOOD, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return {name: value for name, value in content.items() if value is not None}


def without(kind):
    """The good one whose items of a kind have no body."""
    return changed(**{f"{kind}s": [{"name": GOOD[f"{kind}s"][0]["name"]}]})


# One file.


def test_a_good_one_is_fine(use):
    use(GOOD)
    assert diagnose() is None
    assert exec_command() == "get-token"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "{path} has no current-context: choose one of its contexts (none)"),
        ("null", "{path} has no current-context: choose one of its contexts (none)"),
        ({}, "{path} has no current-context: choose one of its contexts (none)"),
        ("[]", "{path} has no current-context: choose one of its contexts (none)"),
        (changed(current_context=None), "{path} has no current-context: choose one of its contexts (x)"),
        (changed(current_context=""), "{path} has no current-context: choose one of its contexts (x)"),
        (changed(current_context=[]), "{path} has no current-context: choose one of its contexts (x)"),
        (
            changed(current_context=None, contexts=[{"name": "b"}, {"name": "a"}]),
            "{path} has no current-context: choose one of its contexts (a, b)",
        ),
        (changed(current_context="y"), "{path} has no context 'y', its current-context; there are: x"),
        (changed(current_context=["x"]), "{path} has no context \"['x']\", its current-context; there are: x"),
        (changed(current_context={"a": 1}), "{path} has no context \"{{'a': 1}}\", its current-context; there are: x"),
        (changed(contexts=None), "{path} has no context 'x', its current-context; there are: none"),
        (changed(contexts=[]), "{path} has no context 'x', its current-context; there are: none"),
        (changed(contexts=0), "{path} has no context 'x', its current-context; there are: none"),
        (changed(contexts=5), "{path}: contexts is a int, expected a list"),
        (changed(contexts="x"), "{path}: contexts is a str, expected a list"),
        (changed(clusters={"c": {}}), "{path}: clusters is a dict, expected a list"),
        (changed(users=True), "{path}: users is a bool, expected a list"),
        (changed(contexts=[{}]), "{path} has a context without a name"),
        (changed(contexts=[None]), "{path} has a context without a name"),
        (changed(contexts=["x"]), "{path} has a context without a name"),
        (changed(clusters=[{"name": ["c"]}]), "{path} has a cluster without a name"),
        (changed(users=[{"name": None}]), "{path} has a user without a name"),
        (changed(users=[{"name": 5}]), "{path} has a user without a name"),
        (changed(contexts=[{"name": "x", "context": "c"}]), "{path}: context 'x' is a str, expected fields"),
        (changed(clusters=[{"name": "c", "cluster": [1]}]), "{path}: cluster 'c' is a list, expected fields"),
        (changed(users=[{"name": "u", "user": 5}]), "{path}: user 'u' is a int, expected fields"),
        (without("context"), "{path} has no cluster '', which its context 'x' wants"),
        (changed(clusters=None), "{path} has no cluster 'c', which its context 'x' wants"),
        (changed(users=[]), "{path} has no user 'u', which its context 'x' wants"),
        (
            changed(contexts=[{"name": "x", "context": {"cluster": ["c"]}}]),
            "{path} has no cluster \"['c']\", which its context 'x' wants",
        ),
        ("[1, 2]", "{path} is no kubeconfig: expected clusters, users and contexts"),
        ("text", "{path} is no kubeconfig: expected clusters, users and contexts"),
        ("5", "{path} is no kubeconfig: expected clusters, users and contexts"),
        ("contexts: &a [*a]", "{path} has a context without a name"),
    ],
)
def test_what_is_wrong_is_said_in_these_words(use, content, said):
    [path] = use(content)
    assert diagnose() == f"kubeconfig {said.format(path=path)}"
    assert exec_command() == "" or "cluster" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [b", "(line 1, column 6: expected ',' or ']', but got"),
        ("a: 'b", "(line 1, column 6: found unexpected end of stream)"),
        ("\ta: b", "cannot start any token"),
        ("{{{", "(line 1, column 4: "),
        (b"\x80", "'utf-8' codec can't decode byte 0x80"),
        ("a: !!python/object:os.system b", "could not determine a constructor"),
        ("a: 2026-99-99", "month must be in 1..12"),
        ("a: !!timestamp noon", ""),
        ("a: !!bool perhaps", ""),
        ("a: !!int one", "invalid literal for int()"),
        ("a: " + "1" * 5000, "Exceeds the limit"),
        ("[" * 10_000, ""),
        ("? [a]\n: b\n? {c: d}\n: e", "unhashable key"),
        ("a: *b", "found undefined alias"),
        ("a: 1\n---\nb: 2", "(line 2, column 1: but found another document)"),
    ],
    ids=lambda text: str(text)[:20],
)
def test_what_is_no_yaml_is_said_in_one_line(use, content, said):
    [path] = use(content)
    line = diagnose()
    assert line.startswith(f"kubeconfig {path} is not YAML (")
    assert said in line
    assert "\n" not in line
    assert exec_command() == ""


@pytest.mark.parametrize("content", [without("user"), changed(contexts=[{"name": "x", "context": {"cluster": "c"}}])])
def test_items_without_a_body_and_contexts_without_a_user_are_fine(use, content):
    use(content)
    assert diagnose() is None
    assert exec_command() == ""


def test_a_cluster_needs_a_server(use):
    use(without("cluster"))
    assert diagnose().endswith(
        ": cluster 'c' has no server, or one with a user name in it: expected a URL such as https://host:6443"
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("cluster", "certificate-authority"),
        ("user", "client-certificate"),
        ("user", "client-key"),
        ("user", "tokenFile"),
    ],
)
def test_a_file_that_a_kubeconfig_names_must_be_there(use, tmp_path, kind, name):
    content = json.loads(json.dumps(GOOD))
    content[f"{kind}s"][0][kind][name] = "some.pem"
    use(content)
    assert diagnose().endswith(f": there is no file some.pem, its {name}: correct the path, or get a fresh kubeconfig")
    (tmp_path / "some.pem").touch()
    assert diagnose() is None


def test_of_two_items_with_one_name_the_first_counts(use):
    again = {"name": "u", "user": {"exec": {"command": "other"}}}
    use(changed(users=[*GOOD["users"], again]))
    assert exec_command() == "get-token"


@pytest.mark.parametrize(
    ("plugin", "command"),
    [
        ({"command": "get-token", "args": ["x"]}, "get-token"), ({"command": "/bin/get token"}, "/bin/get token"),
        ({"command": None}, ""), ({"command": ""}, ""), ({}, ""), ({"command": 5}, "5"), ({"command": ["a"]}, "['a']"),
        ("foo", ""), (5, ""), (["command"], ""), (None, ""), (True, ""),
    ],
)  # fmt: skip
def test_the_command_of_the_exec_plugin(use, plugin, command):
    use(changed(users=[{"name": "u", "user": {"exec": plugin}}]))
    assert exec_command() == command
    assert diagnose() is None


# Which files.


def test_without_kubeconfig_it_is_the_file_in_the_home_folder(tmp_path):
    path = tmp_path / "home/.kube/config"
    assert kubeconfig_paths() == [path]
    assert diagnose() == (
        f"no cluster to log in to: there is no {path}, KUBECONFIG is not set, and this is no pod with a service account"
    )
    assert exec_command() == ""
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD))
    assert diagnose() is None
    assert exec_command() == "get-token"


def test_an_empty_variable_is_as_if_there_was_none(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", "")
    assert kubeconfig_paths() == [tmp_path / "home/.kube/config"]
    assert diagnose().startswith("no cluster to log in to: ")


@pytest.mark.parametrize("variable", [" ", os.pathsep, f" {os.pathsep} "])
def test_a_variable_of_nothing_but_separators_names_the_file_in_the_home_folder(monkeypatch, tmp_path, variable):
    monkeypatch.setenv("KUBECONFIG", variable)
    assert diagnose() == f"kubeconfig {tmp_path / 'home/.kube/config'} does not exist: correct KUBECONFIG"


def test_a_file_that_is_missing_is_named(use):
    [path] = use(None)
    assert diagnose() == f"kubeconfig {path} does not exist: correct KUBECONFIG"
    assert exec_command() == ""


def test_the_home_folder_of_a_user_who_is_not_there_is_no_error(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "~nosuchuser/x")
    assert diagnose() == "kubeconfig ~nosuchuser/x does not exist: correct KUBECONFIG"


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", "~/mine")
    assert kubeconfig_paths() == [tmp_path / "home/mine"]


def test_a_file_below_a_file_does_not_exist(use, monkeypatch):
    [path] = use(GOOD)
    monkeypatch.setenv("KUBECONFIG", f"{path}/deeper")
    assert diagnose() == f"kubeconfig {path}/deeper does not exist: correct KUBECONFIG"


def test_a_folder_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path))
    assert diagnose() == f"kubeconfig {tmp_path} cannot be read: Is a directory"
    assert exec_command() == ""


def test_a_name_that_is_too_long_cannot_be_read(monkeypatch, tmp_path):
    path = tmp_path / ("x" * 1000)
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert diagnose() == f"kubeconfig {path} cannot be read: File name too long"
    assert exec_command() == ""


def test_several_files_are_one_with_the_first_of_each_name_and_the_last_context(use):
    second_user = {"name": "u", "user": {"exec": {"command": "second"}}}
    use(
        {"current-context": "other", "users": GOOD["users"]},
        {**GOOD, "users": [second_user]},
    )
    assert diagnose() is None
    assert exec_command() == "get-token"
    merged = KubeConfigMerger(os.environ["KUBECONFIG"]).config  # what really logs in
    assert merged["current-context"] == GOOD["current-context"] == "x"
    assert merged["users"].get_with_name("u")["user"].value["exec"]["command"] == "get-token"


def test_a_current_context_that_is_empty_in_the_first_file_is_the_second_ones(use):
    use({"current-context": ""}, GOOD)
    assert diagnose() is None


def test_of_several_files_some_may_be_missing(use):
    use(None, GOOD)
    assert diagnose() is None
    assert exec_command() == "get-token"


def test_of_several_files_all_are_named_if_none_is_there_or_what_is_wanted_is_in_none(use):
    first, second = use(None, None)
    assert diagnose() == f"kubeconfig {first}, {second} does not exist: correct KUBECONFIG"
    first, second = use(changed(users=[]), {"users": []})
    assert diagnose() == f"kubeconfig {first}, {second} has no user 'u', which its context 'x' wants"


def test_of_several_files_the_one_that_is_wrong_is_named(use):
    _, second = use(GOOD, {"users": 5})
    assert diagnose() == f"kubeconfig {second}: users is a int, expected a list"


# In a pod.


@pytest.fixture
def in_a_pod(monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", str(token))
    return token


def test_a_pod_needs_both_the_variable_and_the_token(in_a_pod, monkeypatch):
    assert in_cluster()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "")
    assert not in_cluster()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    in_a_pod.unlink()
    assert not in_cluster()


def test_in_a_pod_no_kubeconfig_is_looked_at(in_a_pod, use, monkeypatch):
    use("{{{")
    assert exec_command() == ""
    use(GOOD)
    assert exec_command() == ""
    use(None)
    info = kopf.ConnectionInfo(server="https://10.0.0.1")
    monkeypatch.setattr(kopf, "login_via_client", lambda **_: info)
    assert Login.log_in() is info


def test_outside_of_a_pod_the_kubeconfig_is_judged_before_anything_is_tried(use, monkeypatch):
    monkeypatch.setattr(kopf, "login_via_client", lambda **_: pytest.fail("tried"))
    [path] = use(None)
    with pytest.raises(ConfigurationError) as caught:
        Login.log_in()
    assert str(caught.value) == f"kubeconfig {path} does not exist: correct KUBECONFIG"


def test_a_login_as_nobody_though_there_is_a_plugin_names_the_plugin(use, monkeypatch):
    use(GOOD)
    nobody = kopf.ConnectionInfo(server="https://one.test")
    monkeypatch.setattr(kopf, "login_via_client", lambda **_: nobody)
    monkeypatch.setattr(kopf, "login_via_pykube", lambda **_: None)
    with pytest.raises(ConfigurationError) as caught:
        Login.log_in()
    assert str(caught.value).startswith("the login with kubeconfig ")
    assert str(caught.value).endswith(" failed: the exec plugin 'get-token' of the kubeconfig gave no credentials")
