"""What only a real API server can show of the wrong ways in: TLS, tokens, and roles as RBAC has them."""

from pathlib import Path

import pytest
import yaml

from tests.operators.harness import eventually, run_as_process
from tests.operators.test_wrong_ways import LIMIT, assert_one_line

pytestmark = pytest.mark.e2e

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE = "bind a role with the verbs list and watch, as in deploy/kustomize/base"


@pytest.fixture
def refused(tmp_path):
    """``refused(kubeconfig, *args)`` is the output of an operator that ends by itself with status 1."""

    def run(kubeconfig, *args):
        with run_as_process(*(args or ("-A",)), kubeconfig=kubeconfig, log=tmp_path / "log", ready=False) as operator:
            assert operator.process.wait(LIMIT) == 1
        return operator.output()

    return run


@pytest.fixture
def edited(control_plane, tmp_path):
    """``edited(user, change)`` is the path of a changed copy of the user's kubeconfig."""

    def edit(user, change):
        document = yaml.safe_load(Path(control_plane.kubeconfig_for(user)).read_text())
        change(document["clusters"][0]["cluster"], document["users"][0]["user"])
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    return edit


@pytest.fixture
def bound(admin):
    """``bound(rules, namespace=…)`` gives rights to the user `nobody`, in a namespace or everywhere, until the end."""
    made = []

    def bind(rules, *, namespace=""):
        where = f"{RBAC}/namespaces/{namespace}/" if namespace else f"{RBAC}/cluster"
        kind = "Role" if namespace else "ClusterRole"
        roles, bindings = f"{where}roles", f"{where}rolebindings"
        admin.call("POST", roles, {"metadata": {"name": "wrong-ways"}, "rules": rules})
        made.append(f"{roles}/wrong-ways")
        body = {
            "metadata": {"name": "wrong-ways"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "wrong-ways"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}],
        }
        admin.call("POST", bindings, body)
        made.append(f"{bindings}/wrong-ways")

    yield bind
    for path in reversed(made):
        admin.call("DELETE", path)


def rule(verbs, *resources, group=""):
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs}


def test_a_certificate_that_is_not_trusted(control_plane, edited, refused):
    path = edited("nobody", lambda cluster, user: cluster.pop("certificate-authority-data"))
    assert_one_line(
        refused(path),
        f"the certificate of the API server at {control_plane.url} is not trusted (self-signed certificate in "
        f"certificate chain): correct the certificate authority or the server of kubeconfig {path} (context nobody)",
    )


def test_a_certificate_of_another_name(control_plane, edited, refused):
    server = control_plane.url.replace("127.0.0.1", "127.1")  # the same address by a name that the certificate lacks
    path = edited("nobody", lambda cluster, user: cluster.update(server=server))
    assert_one_line(
        refused(path),
        f"the certificate of the API server at {server} is not trusted (Hostname mismatch, certificate is not valid "
        f"for '127.1'): correct the certificate authority or the server of kubeconfig {path} (context nobody)",
    )


def test_a_token_of_nobody(control_plane, edited, refused):
    path = edited("nobody", lambda cluster, user: user.update(token="of-no-one"))
    assert_one_line(
        refused(path),
        f"the API server at {control_plane.url} does not accept the credentials of kubeconfig {path} (context nobody) "
        "(401 Unauthorized): log in again, or renew them",
    )


def test_no_token_at_all(control_plane, edited, refused):
    path = edited("nobody", lambda cluster, user: user.clear())
    assert_one_line(
        refused(path),
        f'the API server at {control_plane.url} forbids what every user may (forbidden: User "system:anonymous" cannot '
        f'get path "/api/v1"): correct the credentials of kubeconfig {path} (context nobody)',
    )


def test_no_rights(control_plane, refused):
    assert_one_line(
        refused(control_plane.kubeconfig_for("nobody")),
        f"no permission to list and watch pods in all namespaces as nobody: {ROLE}",
    )


def test_the_right_to_list_and_not_to_watch(control_plane, bound, refused):
    bound([rule(["list"], "pods")])
    assert_one_line(
        refused(control_plane.kubeconfig_for("nobody")),
        f"no permission to watch pods in all namespaces as nobody: {ROLE}",
    )


def test_a_role_in_one_of_two_namespaces(control_plane, bound, refused, namespace):
    bound([rule(["list", "watch"], "pods")], namespace=namespace)
    assert_one_line(
        refused(control_plane.kubeconfig_for("nobody"), "-n", namespace, "-n", "default"),
        f"no permission to list and watch pods in namespace default as nobody: {ROLE}",
    )


def test_a_pattern_without_the_right_to_list_namespaces(control_plane, bound, refused):
    bound([rule(["list", "watch"], "pods")])
    assert_one_line(
        refused(control_plane.kubeconfig_for("nobody"), "-n", "def*"),
        "no permission to list and watch namespaces as nobody, which -n 'def*' needs: "
        "grant it by a ClusterRole, or name the namespaces without wildcards",
    )


def test_a_namespace_that_does_not_exist(control_plane, bound, refused):
    bound([rule(["list", "watch"], "pods", "namespaces")])
    assert_one_line(
        refused(control_plane.kubeconfig_for("nobody"), "-n", "prodd"),
        "namespace prodd does not exist: correct -n, or create what is missing",
    )


def test_an_exact_namespace_needs_a_role_in_it_and_nothing_else(control_plane, admin, bound, namespace, tmp_path):
    bound([rule(["list", "watch"], "pods")], namespace=namespace)
    admin.make_pod(namespace, "web", "node-1")
    with run_as_process(
        "-n", namespace, kubeconfig=control_plane.kubeconfig_for("nobody"), log=tmp_path / "log"
    ) as operator:
        operator.wait_until_idle(1)
        admin.make_pod(namespace, "later", "node-1")
        eventually(lambda: f"{namespace}/later: pod created" in operator.output(), "the later pod")
    output = operator.output()
    assert operator.process.returncode == 0
    assert f"{namespace}/web: pod created" in output
    assert "no permission to watch namespaces and custom resource definitions" in output
    assert "ERROR" not in output
    assert "WARNING" not in output
