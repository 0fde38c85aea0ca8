"""For `kopf run`: Kopf's own handler of events, and nothing else. A coroutine: Kopf calls it without a thread."""

import time

import kopf

from tests.bench.intake.first_request import notice
from tests.bench.intake.probe import Probe

probe = Probe()
notice(probe.asks)
uids: set[str] = set()


@kopf.on.event("pods")
async def event(uid, meta, **_):
    if probe.live:
        probe.runs.append((time.monotonic(), int(meta["resourceVersion"])))
        probe.changed()
    elif uid not in uids:
        uids.add(uid)
        probe.added()
