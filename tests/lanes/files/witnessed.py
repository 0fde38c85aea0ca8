"""An operator for tests of lanes: everything that one informer can do, written down."""

import os
from collections import Counter

import kopf

from tests.lanes.witness import Witness
from workqueue import Manager, Request, field

manager = Manager(grace=5.0)
METADATA_ONLY = "METADATA_ONLY" in os.environ
pods = manager.informer(
    os.environ.get("WITNESSED", "pods"),
    indexers={} if METADATA_ONLY else {"node": field("spec.nodeName")},
    metadata_only=METADATA_ONLY,
    consistency_check=float(os.environ.get("CHECK", "0")),
)
witness = Witness().listen(pods)
runs: Counter[str] = Counter()
more: Counter[str] = Counter()
#: What Kopf itself was told, if the test wants to know.
heard: list[tuple[str | None, str, str]] = []
#: The names of those objects that came with a spec.
whole: set[str] = set()


def reconcile(request: Request) -> None:
    runs[str(request.key)] += 1


def reconcile_too(request: Request) -> None:
    more[str(request.key)] += 1


controller = pods.controller(reconcile, workers=2)
second = pods.controller(reconcile_too, workers=2, name="second")


def enqueue(key, **_):
    controller.add(key)
    second.add(key)


pods.on_add(enqueue)
pods.on_update(enqueue)
pods.on_delete(enqueue)

if "KOPF_TOO" in os.environ:

    @kopf.on.event(os.environ.get("WITNESSED", "pods"))
    async def hear(type, name, body, **_):  # noqa: A002 - Kopf's name for it
        heard.append((type, name, body["metadata"]["resourceVersion"]))
        if "spec" in body:
            whole.add(name)


if "OTHER_LANE" in os.environ:
    other = manager.informer(os.environ.get("WITNESSED", "pods"), lane=os.environ["OTHER_LANE"])
    other_witness = Witness().listen(other)


if "CLIENT_TIMEOUT" in os.environ:

    @kopf.on.startup()
    def limit(settings: kopf.OperatorSettings, **_):
        settings.watching.client_timeout = float(os.environ["CLIENT_TIMEOUT"])


if "SELECTED" in os.environ:

    @kopf.on.startup()
    def select(settings: kopf.OperatorSettings, **_):
        settings.watching.label_selectors[kopf.EVERYTHING] = os.environ["SELECTED"]
