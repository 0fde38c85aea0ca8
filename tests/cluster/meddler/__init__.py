"""An HTTP proxy that meddles with what an API server answers, to be put between an operator and a real kube-apiserver.

    with Meddler(plane.url, ca_file=plane.ca_file) as meddler:
        meddler.kubeconfig(into=tmp_path / "kubeconfig", token=plane.token_for("operator"))
        meddler.add(Meddling(path="/api/v1/pods", verb="watch", what=CutInsideEvent(after=3, keep=40)))
        meddler.wait_for(lambda now: now.faults["cut inside an event"] == 1)
        meddler.stall_watches()  # half open: no byte, no end
        meddler.heal()

The other proxy, `tests.cluster.proxy`, forwards bytes; with TLS it cannot tell a watch from a list. This one listens
without TLS on a loopback port, speaks TLS to the server, and so knows requests, answers and the lines of watches. Who
asks is passed on: the client's Authorization header is. What nobody ordered to be spoilt is passed on as it comes, each
line of a watch as soon as it is complete.

What can be ordered: see `Meddling`, and the deeds, each with the `kind` under which it is counted; lines to put into a
watch are made in `lines`.

What it cannot do: upgrades (exec, port-forward). Lines of a watch are only known in JSON; a watch in protobuf passes
and can be cut and stalled where it is, but no deed that counts events concerns it. Trailing headers are lost. A request
that the server does not answer at all is a reset for the client.
"""

from tests.cluster.meddler.answers import AnswerStatus, ExpireContinue, NoStreamingLists
from tests.cluster.meddler.bookmarks import DropClosingBookmark, EarlyBookmark
from tests.cluster.meddler.cuts import CutBetweenEvents, CutBody, CutInsideEvent, EndWatch
from tests.cluster.meddler.deeds import Deed
from tests.cluster.meddler.delays import DelayHead
from tests.cluster.meddler.lines import InjectLines
from tests.cluster.meddler.meddler import Meddler
from tests.cluster.meddler.meddling import Meddling
from tests.cluster.meddler.stalls import StallWatch
from tests.cluster.meddler.streams import OPEN_CUT, OPEN_INJECTED, OPEN_STALLED
from tests.cluster.meddler.tally import Statistics

__all__ = [
    "OPEN_CUT",
    "OPEN_INJECTED",
    "OPEN_STALLED",
    "AnswerStatus",
    "CutBetweenEvents",
    "CutBody",
    "CutInsideEvent",
    "Deed",
    "DelayHead",
    "DropClosingBookmark",
    "EarlyBookmark",
    "EndWatch",
    "ExpireContinue",
    "InjectLines",
    "Meddler",
    "Meddling",
    "NoStreamingLists",
    "StallWatch",
    "Statistics",
]
