"""What end-to-end tests share: an administrator, a namespace of the test's own, nodes on which pods run."""

from collections.abc import Iterator

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.e2e.admin import Admin


@pytest.fixture
def admin(control_plane: ControlPlane) -> Iterator[Admin]:
    """The administrator; the user `operator` may do what the deployed role allows, for as long as the test runs."""
    with Admin(control_plane.url, token=control_plane.admin_token, ca_file=control_plane.ca_file) as made:
        made.let_operator_read()
        yield made
        made.forbid_operator_to_read()


@pytest.fixture
def namespace(admin: Admin) -> Iterator[str]:
    """A namespace; without pods at the end, so that nothing in it moves during the next test."""
    name = admin.make_namespace("e2e-")
    yield name
    admin.delete_namespace(name)


@pytest.fixture(scope="session")
def nodes(control_plane: ControlPlane) -> list[str]:
    """Nodes that kwok keeps, with room for 550 pods in all."""
    return control_plane.make_nodes(5)
