"""Run a command against the cluster that was chosen: `python -m tests.cluster.run WHERE COMMAND...` (`make run`).

- embedded: a cluster inside of a Python process, there in a second (`workqueue.testing.demo`);
- real: a whole control plane with nodes and no machines (`tests.cluster.demo`);
- current: the cluster of the current kubeconfig (`tests.cluster.current`).
"""

import importlib
import sys
from collections.abc import Sequence

#: The modules whose `main` gets the command. Imported when chosen: `make run` alone is to be quick.
CHOICES = {"embedded": "workqueue.testing.demo", "real": "tests.cluster.demo", "current": "tests.cluster.current"}


def main(arguments: Sequence[str]) -> int:
    """Run the command where it was asked for; returns the exit status."""
    choice, *command = arguments or [""]
    if choice not in CHOICES:
        print(f"error: CLUSTER={choice} is not known; choose one of {', '.join(CHOICES)}", file=sys.stderr)
        return 2
    if not command:
        print(f"usage: python -m tests.cluster.run {'|'.join(CHOICES)} COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    status: int = importlib.import_module(CHOICES[choice]).main(command)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
