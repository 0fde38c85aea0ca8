"""A whole control plane for you, until Ctrl-C: `python -m tests.cluster` (`make cluster`).

Pods are scheduled to a few nodes that kwok keeps, and run there, as far as anyone can see. The last line on stdout can
be pasted into another shell; everything else is said on stderr. One user without rights, `operator`, is there as well,
to try roles with.
"""

import signal
import sys
from types import FrameType

from tests.cluster.components import WHOLE
from tests.cluster.controlplane import ControlPlane, ControlPlaneError
from tests.golang import BuildError


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run until a signal; the exit status is 0 after it, and 1 if there is no control plane to be had."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)
    try:
        with ControlPlane(parts=WHOLE, service_accounts="mounted", users={"operator": ()}) as plane:
            nodes = plane.make_nodes(3)
            print(f"kube-apiserver at {plane.url}, logs in {plane.directory}", file=sys.stderr)
            print(f"nodes without machines behind them, kept by kwok: {', '.join(nodes)}", file=sys.stderr)
            print(f"kubeconfig of a user without rights: {plane.kubeconfig_for('operator')}", file=sys.stderr)
            print("Ctrl-C ends it and removes everything", file=sys.stderr)
            print(plane.kubeconfig)
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 0
    except (BuildError, ControlPlaneError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
