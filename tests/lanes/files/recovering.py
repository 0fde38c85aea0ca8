"""An operator for tests of what goes wrong: one informer, and a witness who knows contents as well as versions."""

import os

import kopf

from tests.faults.witness import KeenWitness
from workqueue import Manager

manager = Manager(grace=5.0)
pods = manager.informer(os.environ.get("WITNESSED", "configmaps"))
witness = KeenWitness().listen(pods)


@kopf.on.startup()
def hurry(settings: kopf.OperatorSettings, **_):
    """Numbers come from the environment: INACTIVITY and LIFETIME in seconds, PAGE in objects."""
    settings.watching.inactivity_timeout = float(os.environ.get("INACTIVITY", "30"))
    settings.watching.connect_timeout = 2.0
    if "LIFETIME" in os.environ:
        settings.watching.server_timeout = int(os.environ["LIFETIME"])
    if "PAGE" in os.environ:
        settings.watching.chunk_size = int(os.environ["PAGE"])
