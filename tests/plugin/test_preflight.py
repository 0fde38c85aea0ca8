"""The look before the leap: few questions, in order, none that changes anything; and what follows from the answers."""

import json

import kopf
import pytest

from tests.plugin.conftest import DEFINITION
from workqueue.base.errors import ConfigurationError
from workqueue.plugin.preflight import Clearance, Preflight
from workqueue.plugin.reachability import NotReachable
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.testing.apiserver import Fault

SOURCE = "kubeconfig /home/me/.kube/config"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ROLE = "bind a role with the verbs list and watch, as in deploy/kustomize/base"

ALL = Scope()
PODS = ("list pods", "watch pods")
NAMESPACES = ("list namespaces", "watch namespaces")
DEFINITIONS = (
    "list customresourcedefinitions.apiextensions.k8s.io",
    "watch customresourcedefinitions.apiextensions.k8s.io",
)
EVERYTHING = Clearance(version="v1.36.3", may_watch_namespaces=True, may_watch_definitions=True)


class Look:
    """``look(…)`` looks, and remembers in ``asked`` what went over the wire: paths, and of reviews what they ask."""

    def __init__(self, client, server):
        self.asked = []
        self._client = client
        self._server = server
        client.session.hooks["response"].append(self._remember)

    def _remember(self, response, **_):
        request = response.request
        path = request.url.removeprefix(self._server.url)
        if path == REVIEWS:
            what = json.loads(request.body)["spec"]["resourceAttributes"]
            path = f"{what['verb']} {what['resource']}"
            path += f".{what['group']}" if what["group"] else ""
            path += f" in {what['namespace']}" if what["namespace"] else ""
        self.asked.append(path if request.method == "GET" or path != request.path_url else f"{request.method} {path}")

    def __call__(self, *specs, scope=ALL, token=None):
        self.asked.clear()
        preflight = Preflight(self._client, server=self._server.url, source=SOURCE, token=token)
        try:
            return preflight.run([ResourceSpec.parse(each) for each in specs], scope)
        finally:
            assert not [request for request in self._server.requests if request.writes], "nothing is written"

    def fails(self, *specs, kind=ConfigurationError, **options):
        """The line that it fails with."""
        with pytest.raises(ConfigurationError) as caught:
            self(*specs, **options)
        assert type(caught.value) is kind
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)


@pytest.fixture
def look(client, server):
    return Look(client, server)


@pytest.fixture
def namespaces(server):
    """``namespaces("a", "b")`` makes them."""

    def make(*names):
        for name in names:
            server.create("namespaces", {"metadata": {"name": name}})
        return names

    return make


@pytest.fixture
def review(server):
    """``review(path, body=…, status=…)`` is how reviews of a kind are answered from now on."""

    def script(path, *, status=201, body=None):
        server.script(Fault(method="POST", path=path, status=status, body=body, times=None))

    return script


def named(names):
    return [f"/api/v1/namespaces?fieldSelector=metadata.name%3D{name}" for name in names]


# What is asked, and in which order.


def test_in_all_namespaces_there_is_one_review_for_each_verb_and_resource(look):
    assert look("pods") == EVERYTHING
    assert look.asked == ["/version", "/api/v1", *PODS, *NAMESPACES, *DEFINITIONS]


def test_nothing_but_gets_and_reviews_is_sent(look, server):
    server.clear_requests()
    server.deny(verb="watch", resource="pods")
    look.fails("pods")
    look("deployments")
    assert {request.path for request in server.requests if request.method == "POST"} == {REVIEWS, WHO}
    assert {request.method for request in server.requests} == {"GET", "POST"}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_rights_in_all_namespaces_are_asked_for_once_however_many_are_served(look, namespaces, count):
    names = namespaces(*(f"team-{number}" for number in range(count)))
    assert look("pods", scope=Scope(names)) == EVERYTHING
    assert look.asked == ["/version", *named(names), "/api/v1", *PODS, *NAMESPACES, *DEFINITIONS]


def test_without_rights_in_all_namespaces_they_are_asked_for_in_each_that_is_served(look, namespaces, server):
    names = namespaces("a", "b")
    server.deny(resource="pods", namespace="")
    assert look("pods", scope=Scope(names)) == EVERYTHING
    each = [f"{verb} in {name}" for name in names for verb in PODS]
    assert look.asked == ["/version", *named(names), "/api/v1", *PODS, *each, *NAMESPACES, *DEFINITIONS]


def test_a_namespace_that_is_named_twice_is_asked_for_once(look, server):
    server.deny(resource="pods", namespace="")
    look("pods", scope=Scope(("default", "default")))
    assert [asked for asked in look.asked if "default" in asked] == [
        *named(["default"]), "list pods in default", "watch pods in default",
    ]  # fmt: skip


def test_the_first_namespace_that_is_not_allowed_ends_the_look(look, namespaces, server):
    names = namespaces("a", "b", "c")
    server.deny(resource="pods", namespace="")
    server.deny(verb="watch", resource="pods", namespace="b")
    assert look.fails("pods", scope=Scope(names)) == (
        f"no permission to watch pods in namespace b as the user of {SOURCE}: {ROLE}"
    )
    assert look.asked[-4:] == ["watch pods in a", "list pods in b", "watch pods in b", f"POST {WHO}"]


def test_of_several_resources_each_is_asked_for(look, server):
    assert look("pods", "deployments.apps", "nodes") == EVERYTHING
    reviews = [asked for asked in look.asked if not asked.startswith("/")]
    assert reviews == [
        *PODS, "list deployments.apps", "watch deployments.apps", "list nodes", "watch nodes",
        *NAMESPACES, *DEFINITIONS,
    ]  # fmt: skip


def test_the_second_of_two_resources_may_be_what_is_not_allowed(look, server):
    server.deny(group="apps", verb="list")
    assert look.fails("pods", "deployments.apps") == (
        f"no permission to list deployments.apps in all namespaces as the user of {SOURCE}: {ROLE}"
    )


def test_a_resource_that_is_not_served_is_not_asked_for(look, server):
    server.deny(resource="foos")
    assert look("foos.example.com") == EVERYTHING
    assert look.asked == ["/version", "/apis", *NAMESPACES, *DEFINITIONS]
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    assert look.fails("foos.example.com").startswith("no permission to list and watch foos.example.com in all")


def test_without_resources_only_what_kopf_itself_wants_is_asked_for(look):
    assert look() == EVERYTHING
    assert look.asked == ["/version", *NAMESPACES, *DEFINITIONS]


@pytest.mark.parametrize("scope", [ALL, Scope(("default", "other")), Scope(("de*",))], ids=str)
def test_a_resource_without_namespaces_is_asked_for_in_the_cluster_whatever_is_served(look, namespaces, server, scope):
    namespaces("other")
    assert look("nodes", scope=scope) == EVERYTHING
    assert [asked for asked in look.asked if "nodes" in asked] == ["list nodes", "watch nodes"]
    server.deny(verb="watch", resource="nodes")
    assert look.fails("nodes", scope=scope) == (
        f"no permission to watch nodes in the cluster as the user of {SOURCE}: {ROLE}"
    )
    assert not [asked for asked in look.asked if "nodes in " in asked]


# Patterns.


def test_of_a_pattern_the_namespaces_that_fit_are_asked_for(look, namespaces, server):
    namespaces("team-a", "team-b", "other")
    server.deny(resource="pods", namespace="")
    server.deny(resource="pods", namespace="other")
    assert look("pods", scope=Scope(("team-*",))) == EVERYTHING
    each = [f"{verb} in {name}" for name in ("team-a", "team-b") for verb in PODS]
    assert look.asked == [
        "/version", *NAMESPACES, "/api/v1/namespaces", "/api/v1", *PODS, *each, *NAMESPACES, *DEFINITIONS,
    ]  # fmt: skip


def test_a_pattern_that_fits_nothing_yet_needs_no_right_to_a_resource_of_namespaces(look, server):
    server.deny(resource="pods")
    assert look("pods", scope=Scope(("team-*",))) == EVERYTHING


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_pattern_needs_the_namespaces(look, server, verb):
    server.deny(verb=verb, resource="namespaces")
    assert look.fails("pods", scope=Scope(("team-*", "default"))) == (
        f"no permission to list and watch namespaces as the user of {SOURCE}, which -n 'team-*' -n 'default' needs: "
        "grant it by a ClusterRole, or name the namespaces without wildcards"
    )
    assert look.asked == ["/version", *NAMESPACES, f"POST {WHO}"], "and no more is asked"


# Exact namespaces.


def forbid(server, *names):
    """Whether they exist, nobody tells."""
    for name in names:
        server.script(
            Fault(
                path="/api/v1/namespaces",
                query=lambda query, name=name: query.get("fieldSelector") == f"metadata.name={name}",
                status=403,
                times=None,
            )
        )


def test_namespaces_that_nobody_may_tell_us_of_are_taken_to_be_there(look, server, caplog):
    forbid(server, "here", "there")
    assert look("pods", scope=Scope(("here", "there"))) == EVERYTHING
    assert caplog.messages == []


def test_namespaces_that_are_not_there_yet_are_told_unless_none_is(look, server, namespaces, caplog):
    forbid(server, "here")
    assert look("pods", scope=Scope(("here", "later", "much-later"))) == EVERYTHING
    assert caplog.messages == ["namespaces later, much-later: not there yet; served as soon as it is"]
    caplog.clear()
    told = look.fails("pods", scope=Scope(("later",), said="Manager(namespaces=…)"))
    assert told.endswith("not exist: correct Manager(namespaces=…), or create what is missing")
    assert look.fails("pods", scope=Scope(("later",))) == (
        "namespace later does not exist: correct -n, or create what is missing"
    )
    assert look.asked == ["/version", *named(["later"])]
    namespaces("later")
    look("pods", scope=Scope(("later",)))
    assert caplog.messages == []


def test_of_all_namespaces_none_is_looked_for(look):
    look("pods", scope=ALL)
    assert not [asked for asked in look.asked if "/namespaces" in asked]


# What Kopf must be kept from.


@pytest.mark.parametrize("verb", ["list", "watch", "*"])
@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("namespaces", Clearance(version="v1.36.3", may_watch_namespaces=False, may_watch_definitions=True)),
        (
            "customresourcedefinitions",
            Clearance(version="v1.36.3", may_watch_namespaces=True, may_watch_definitions=False),
        ),
    ],
)
def test_what_may_not_be_listed_and_watched_is_said(look, server, verb, resource, expected):
    server.deny(verb=verb, resource=resource)
    assert look("pods") == expected
    assert look("pods", scope=Scope(("default",))) == expected


# How reviews are answered.


@pytest.mark.parametrize("status", [403, 404, 405])
def test_without_reviews_everything_is_taken_to_be_allowed(look, review, server, status):
    review(REVIEWS, status=status)
    server.deny(resource="customresourcedefinitions")
    assert look("pods", scope=Scope(("default",))) == EVERYTHING


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("body", [{}, {"status": {}}, {"status": None}, {"status": {"allowed": None}}], ids=json.dumps)
def test_a_review_that_does_not_say_is_taken_to_allow(look, review, status, body):
    review(REVIEWS, status=status, body=body)
    assert look("pods") == EVERYTHING


@pytest.mark.parametrize("status", [200, 201])
def test_a_review_that_says_no_is_a_no(look, review, status):
    review(REVIEWS, status=status, body={"status": {"allowed": False, "reason": "no\nway"}})
    assert look.fails("pods") == (
        f"no permission to list and watch pods in all namespaces as the user of {SOURCE}: {ROLE}"
    )


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (401, ConfigurationError, "does not accept the credentials"),
        (400, ConfigurationError, "is no Kubernetes API server (it answers 400 "),
        (429, NotReachable, "is not ready (429 "),
        (500, NotReachable, "is not ready (500 "),
        (503, NotReachable, "is not ready (503 "),
    ],
)
@pytest.mark.parametrize("path", [REVIEWS, WHO])
def test_a_review_that_is_refused_otherwise_is_explained(look, *, review, server, path, status, kind, told):
    server.deny(verb="watch", resource="pods")
    review(path, status=status)
    assert told in look.fails("pods", kind=kind)


# Who we are.


def test_the_user_is_named_as_the_server_knows_it(look, review, server):
    server.deny(resource="pods")
    review(WHO, body={"status": {"userInfo": {"username": "system:serviceaccount:ops:pods", "groups": []}}})
    assert look.fails("pods") == (
        f"no permission to list and watch pods in all namespaces as system:serviceaccount:ops:pods: {ROLE}"
    )
    assert look.asked[-1] == f"POST {WHO}"
    server.deny(resource="namespaces")
    assert "namespaces as system:serviceaccount:ops:pods, which -n 'a*' needs" in look.fails(
        "pods", scope=Scope(("a*",))
    )


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403},
        {"status": 404},
        {"status": 405},
        {"body": {}},
        {"body": {"status": None}},
        {"body": {"status": {}}},
        {"body": {"status": {"userInfo": None}}},
        {"body": {"status": {"userInfo": {}}}},
        {"body": {"status": {"userInfo": {"username": ""}}}},
    ],
    ids=str,
)
def test_a_user_that_the_server_does_not_name_is_named_by_the_kubeconfig(look, review, server, answer):
    server.deny(resource="pods")
    review(WHO, **answer)
    assert f" as the user of {SOURCE}: " in look.fails("pods")


def test_nobody_asks_who_we_are_where_nothing_is_missing(look, server):
    server.deny(resource="customresourcedefinitions")
    look("pods")
    assert f"POST {WHO}" not in look.asked


# The server itself.


def test_a_version_that_is_not_for_us_is_unknown(look, server):
    server.script(Fault(path="/version", status=403))
    assert look("pods").version == "unknown"
    assert look.asked[:2] == ["/version", "/api/v1"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b"[1]", b"null", b"1", b'"v1"', b'[["a", "b"]]'])
def test_something_that_tells_no_version_is_no_api_server(look, server, body):
    server.script(Fault(path="/version", status=200, body=body))
    assert look.fails("pods") == (
        f"what answers at {server.url} is no Kubernetes API server (it tells no version): "
        f"correct the server of {SOURCE}"
    )
    assert look.asked == ["/version"]


@pytest.mark.parametrize("path", ["/version", "/api/v1/namespaces", "/api/v1"])
@pytest.mark.parametrize(("status", "kind"), [(401, ConfigurationError), (500, NotReachable), (429, NotReachable)])
def test_a_server_that_errs_at_any_step_is_explained(look, server, path, status, kind):
    server.script(Fault(path=path, status=status, times=None))
    told = look.fails("pods", scope=Scope(("default",)), kind=kind, token="secret")
    assert str(status) in told
    assert "secret" not in told


def test_a_server_that_is_away_is_explained(look, server):
    server.stop()
    assert f"no API server answers at {server.url} (connection refused)" in look.fails("pods", kind=NotReachable)


@pytest.mark.parametrize("token", ["sesame\n", "sesame…", "sesame\x7f"], ids=["a line end", "an ellipsis", "a delete"])
def test_a_token_that_cannot_be_sent_is_not_the_servers_fault_and_not_told(login, server, token):
    """As of a kubeconfig with ``token: |``, or one that was copied out of a text."""
    client = login.client_for(kopf.ConnectionInfo(server=server.url, token=token))
    try:
        with pytest.raises(ConfigurationError) as caught:
            Preflight(client, server=server.url, source=SOURCE, token=token).run([], ALL)
    finally:
        client.session.close()
    assert type(caught.value) is ConfigurationError
    assert str(caught.value) == (
        f"the token of {SOURCE} holds characters that cannot be sent, such as a line end: copy it anew"
    )
    assert server.requests == ()


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/v1", {}, "KeyError('resources')"),
        ("/api/v1", b"[[1]]", "ValueError"),
        (REVIEWS, b"null", "TypeError"),
        (REVIEWS, {"status": "Success"}, "AttributeError"),
    ],
)
def test_json_of_another_shape_is_no_api_servers(look, server, path, body, told):
    server.script(Fault(path=path, status=200, body=body, times=None))
    line = look.fails("pods")
    assert f"what answers at {server.url} is no Kubernetes API server (it answers with odd JSON: {told}" in line


@pytest.mark.parametrize("host", ["my..cluster", "x" * 64])
def test_a_host_that_can_be_none_is_named(login, host):
    url = f"http://{host}:6443"
    client = login.client_for(kopf.ConnectionInfo(server=url))
    try:
        with pytest.raises(ConfigurationError) as caught:
            Preflight(client, server=url, source=SOURCE, token=None).run([], ALL)
    finally:
        client.session.close()
    assert str(caught.value) == f"{url!r} is no URL of an API server: correct the server of {SOURCE}"
