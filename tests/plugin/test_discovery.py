"""Which of the cluster's resources a spec means, with no more questions than needed."""

import pytest
import requests

from tests.plugin.conftest import DEFINITION
from workqueue.plugin.discovery import discover, discover_all, get_json
from workqueue.plugin.resources import ResourceSpec
from workqueue.testing.apiserver import Fault


@pytest.fixture
def find(client, server):
    """``find("pods")`` is what is discovered, as (group, version, plural)."""

    def run(*args, **kwargs):
        server.clear_requests()
        found = discover(client, ResourceSpec.parse(*args, **kwargs))
        return [(each.group, each.version, each.plural) for each in found]

    return run


def paths(server):
    return [each.path for each in server.requests]


def test_a_core_resource_costs_one_request(find, server):
    assert find("pods") == [("", "v1", "pods")]
    assert paths(server) == ["/api/v1"]


def test_what_is_found_is_all_that_kopf_would_know(client):
    [pods] = discover(client, ResourceSpec.parse("pods"))
    assert (pods.kind, pods.singular, pods.shortcuts) == ("Pod", "pod", frozenset({"po"}))
    assert (pods.namespaced, pods.preferred) == (True, True)
    [namespaces] = discover(client, ResourceSpec.parse("ns"))
    assert not namespaces.namespaced


def test_a_resource_of_a_group_that_is_said_asks_for_that_group_only(find, server):
    assert find("deployments.apps") == [("apps", "v1", "deployments")]
    assert paths(server) == ["/apis", "/apis/apps/v1"]


@pytest.mark.parametrize("name", ["deployments", "Deployment", "deployment", "deploy"])
def test_a_resource_of_no_group_in_particular_is_looked_for_in_all(find, name):
    assert find(name) == [("apps", "v1", "deployments")]


def test_a_core_resource_that_is_not_there_is_not_looked_for_elsewhere(find, server):
    assert find("", "deployments") == []
    assert paths(server) == ["/api/v1"]


def test_status_and_other_subresources_are_no_resources(client):
    every = discover_all(client)
    assert {"pods", "namespaces"} <= {each.plural for each in every}
    assert not any("/" in each.plural for each in every)


def test_all_resources_are_those_of_the_preferred_versions(client, server):
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    every = discover_all(client)
    assert [each.version for each in every if each.plural == "foos"] == ["v1"]
    assert all(each.preferred for each in every)


@pytest.mark.parametrize("spec", ["foos", "foos.example.com", "foos.v1.example.com", "Foo", "fo"])
def test_a_custom_resource_is_found_once_it_is_served(find, server, spec):
    assert find(spec) == []
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    assert find(spec) == [("example.com", "v1", "foos")]


def test_a_version_that_is_not_preferred_is_found_if_it_is_said(find, server, client):
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    assert find("foos.v1beta1.example.com") == [("example.com", "v1beta1", "foos")]
    assert paths(server) == ["/apis", "/apis/example.com/v1beta1"]
    assert find(kind="Foo", version="v1beta1") == [("example.com", "v1beta1", "foos")]
    assert find("foos.v7.example.com") == []


def test_the_group_of_an_aggregated_server_that_is_away_is_passed_over(find, server):
    server.create("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    server.script(Fault(path="/apis/apps/v1", status=503, times=None))
    assert find("foos") == [("example.com", "v1", "foos")]
    assert find("deployments") == []


def test_a_group_that_has_just_gone_is_passed_over(find, server):
    server.script(Fault(path="/apis/apps/v1", status=404, times=None))
    assert find("deployments.apps") == []


@pytest.mark.parametrize("path", ["/api/v1", "/apis", "/apis/apps/v1"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_any_other_refusal_is_an_error_and_not_an_empty_answer(find, server, path, status):
    server.script(Fault(path=path, status=status, times=None))
    with pytest.raises(requests.HTTPError) as caught:
        find("deployments")
    assert caught.value.response.status_code == status


def test_no_answer_is_an_error(find, server):
    server.stop()
    with pytest.raises(requests.RequestException):
        find("pods")


def test_an_answer_that_is_no_json_is_an_error(client, server):
    server.script(Fault(path="/version", status=200, body=b"<html>"))
    with pytest.raises(requests.RequestException):
        get_json(client, "/version")


@pytest.mark.parametrize("path", ["/version", "/apis", "/api/v1", "/apis/apps/v1", "/api/v1/namespaces/default"])
def test_a_path_is_asked_for_as_it_is(client, server, path):
    server.clear_requests()
    get_json(client, path)
    assert paths(server) == [path]
