"""Run a command against the cluster of the current kubeconfig, after one line that says which cluster that is.

`make run CLUSTER=current`. The command takes this process's place.
"""

import os
import shlex
import sys
from collections.abc import Sequence

from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KubeConfigMerger

from workqueue.plugin.kubeconfig import diagnose, in_cluster, kubeconfig_paths


def where() -> str:
    """The cluster that clients talk to now, in a few words; ConfigException if the kubeconfig leads nowhere.

    Read by the official client, which is what operators log in with: with several files it takes another
    current-context than kubectl does.
    """
    if in_cluster():
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        return f"the cluster of this pod, https://{host}:{port}"
    if problem := diagnose():
        raise ConfigException(problem)
    paths = os.pathsep.join(map(str, kubeconfig_paths()))
    config = KubeConfigMerger(paths).config
    context = config["current-context"]
    cluster = config["contexts"].get_with_name(context)["context"]["cluster"]
    server = config["clusters"].get_with_name(cluster)["cluster"]["server"]
    return f"{server}, context {context!r} of {paths}"


def main(command: Sequence[str]) -> int:
    """Run a command that only reads; returns an exit status only if it cannot be run."""
    try:
        cluster = where()
    except ConfigException as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"run: {shlex.join(command)} will only read, from {cluster}", file=sys.stderr, flush=True)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126
