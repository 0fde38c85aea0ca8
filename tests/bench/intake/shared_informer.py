"""The official Python client's informer of pods, which is all that it has: no indexes, no queue."""

import threading

from kubernetes import client, config
from kubernetes.informer import ADDED, MODIFIED, SharedInformer

from tests.bench.intake.probe import Probe


def main() -> None:
    """Inform until the benchmark ends this process."""
    config.load_kube_config()
    probe = Probe()
    informer = SharedInformer(client.CoreV1Api().list_pod_for_all_namespaces)
    informer.add_event_handler(ADDED, lambda pod: probe.added())
    informer.add_event_handler(MODIFIED, lambda pod: probe.changed())
    probe.asks()
    informer.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
