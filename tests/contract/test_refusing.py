"""Paths and methods that lead nowhere."""

import pytest

from tests.contract.conftest import Api, assert_refused


def test_a_path_outside_the_api_is_no_page(api: Api) -> None:
    response = api.get("/nowhere")
    assert (response.status_code, response.text) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothings",
        "/api/v1/namespaces/default/nothings/x",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/pods/x",
        "/api/v1/namespaces/default/configmaps/x/status",
        "/apis/apps/v9",
    ],
)
def test_a_resource_that_is_not_served_is_not_found(api: Api, path: str) -> None:
    status = assert_refused(api.get(path), 404, "NotFound")
    assert status["message"] == "the server could not find the requested resource"
    assert status["details"] == {}


def test_an_object_that_is_not_there_is_not_found(api: Api) -> None:
    response = api.get(api.path("pods", "none"))
    assert response.headers["Content-Type"] == "application/json"
    assert response.text.endswith("\n")
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "pods"},
        "code": 404,
    }


@pytest.mark.parametrize(("method", "name"), [("POST", "a"), ("PATCH", ""), ("PUT", "")])
def test_a_method_that_means_nothing_is_not_allowed(api: Api, method: str, name: str) -> None:
    refused = api.call(method, api.path(name=name), {})
    assert_refused(refused, 405, "MethodNotAllowed", "does not allow this method")


def test_a_slash_at_the_end_does_not_matter(api: Api) -> None:
    assert api.read(f"{api.path()}/")["kind"] == "ConfigMapList"


def test_the_server_says_that_it_is_well(api: Api) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert api.get(path).text == "ok"
