"""What the tests of the deployment share: the administrator of the real API server, and the image, made once."""

from collections.abc import Iterator

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.deploy.cluster import Cluster
from tests.deploy.dockerfile import Builder, Context, Image
from tests.deploy.rendering import NAME, ROOT


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    """The administrator; what a test applied must be gone when it ends."""
    with Cluster(control_plane) as made:
        before = made.namespaces()
        yield made
        assert made.labelled(NAME) == []
        assert made.namespaces() <= before


@pytest.fixture(scope="session")
def context() -> Context:
    """The files that the image is made from."""
    return Context(ROOT)


@pytest.fixture(scope="session")
def image(context: Context, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile makes. Its steps load some 20 MB from the package index."""
    folder = tmp_path_factory.mktemp("image")
    return Builder(context, folder).build((ROOT / "deploy/docker/Dockerfile").read_text())
