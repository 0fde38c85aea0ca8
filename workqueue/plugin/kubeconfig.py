"""Says in one line why there is nothing to log in with.

The clients' own errors do not name the file, the context or the line.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workqueue.base.errors import ConfigurationError

#: Where a pod finds the token of its service account.
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def in_cluster() -> bool:
    """True in a pod with a service account: clients use that before any kubeconfig."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and Path(SERVICE_ACCOUNT).exists()


def kubeconfig_paths() -> list[Path]:
    """The files that clients read: those of KUBECONFIG, else the one in the home folder."""
    given = [text for text in os.environ.get("KUBECONFIG", "").split(os.pathsep) if text.strip()]
    return [Path(os.path.expanduser(text.strip())) for text in given or ["~/.kube/config"]]  # noqa: PTH111  # never raises


def source() -> str:
    """Where the server and the credentials come from, in a few words."""
    if in_cluster():
        return "the pod's service account"
    paths = [path for path in kubeconfig_paths() if _exists(path)]
    try:
        context = _read(paths).current
    except ConfigurationError:
        context = ""
    return f"kubeconfig {', '.join(map(str, paths))}" + (f" (context {context})" if context else "")


def diagnose() -> str | None:
    """What is wrong with the kubeconfig and what to do, in one line; None if nothing is found to be wrong."""
    paths = kubeconfig_paths()
    shown = ", ".join(map(str, paths))
    if not any(_exists(path) for path in paths):
        if os.environ.get("KUBECONFIG"):
            return f"kubeconfig {shown} does not exist: correct KUBECONFIG"
        return (
            f"no cluster to log in to: there is no {shown}, KUBECONFIG is not set, "
            "and this is no pod with a service account"
        )
    try:
        config = _read(paths)
    except ConfigurationError as error:
        return str(error)
    known = ", ".join(sorted(config.contexts)) or "none"
    if not config.current:
        return f"kubeconfig {shown} has no current-context: choose one of its contexts ({known})"
    if config.current not in config.contexts:
        return f"kubeconfig {shown} has no context {config.current!r}, its current-context; there are: {known}"
    for kind, names in (("cluster", config.clusters), ("user", config.users)):
        name = str(config.contexts[config.current].get(kind) or "")
        if (name or kind == "cluster") and name not in names:
            return f"kubeconfig {shown} has no {kind} {name!r}, which its context {config.current!r} wants"
    return _diagnose_parts(config, shown)


def _diagnose_parts(config: "_Config", shown: str) -> str | None:
    """What is wrong with the cluster and the user of the current context."""
    names = {kind: str(config.contexts[config.current].get(kind) or "") for kind in ("cluster", "user")}
    cluster, user = config.clusters[names["cluster"]], config.users.get(names["user"], {})
    server = cluster.get("server")
    if not isinstance(server, str) or not server or "@" in server:  # never shown: it may hold a password
        return (
            f"kubeconfig {shown}: cluster {names['cluster']!r} has no server, or one with a user name in it: "
            "expected a URL such as https://host:6443"
        )
    for kind, part, name in (
        ("cluster", cluster, "certificate-authority"),
        ("user", user, "client-certificate"),
        ("user", user, "client-key"),
        ("user", user, "tokenFile"),
    ):
        path = part.get(name)
        if path and not _exists(config.folders[kind, names[kind]] / str(path)):
            return (
                f"kubeconfig {shown}: there is no file {path}, its {name}: correct the path, or get a fresh kubeconfig"
            )
    return None


def exec_command() -> str:
    """The command of the current context's exec plugin; "" if there is none, or a service account is used."""
    if in_cluster():
        return ""
    try:
        config = _read(kubeconfig_paths())
    except ConfigurationError:
        return ""
    user = config.users.get(str(config.contexts.get(config.current, {}).get("user")), {})
    plugin = user.get("exec")
    return str(plugin.get("command") or "") if isinstance(plugin, Mapping) else ""


def proxy_url() -> str | None:
    """The proxy that the current context's cluster is reached by, if there is one."""
    if in_cluster():
        return None
    try:
        config = _read(kubeconfig_paths())
    except ConfigurationError:
        return None
    cluster = config.clusters.get(str(config.contexts.get(config.current, {}).get("cluster")), {})
    return str(cluster["proxy-url"]) if cluster.get("proxy-url") else None


@dataclass(slots=True)
class _Config:
    """Several files as one, as the official client makes one: of each name the first counts, and the last context.

    kubectl takes the first current-context.
    """

    current: str = ""
    contexts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    clusters: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    users: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: By kind and name: the folder of the file that a part is from, where its paths begin.
    folders: dict[tuple[str, str], Path] = field(default_factory=dict)


def _read(paths: Iterable[Path]) -> _Config:
    config = _Config()
    for path in paths:
        if not _exists(path):
            continue
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ConfigurationError(f"kubeconfig {path} cannot be read: {error.strerror}") from None
        except Exception as error:  # PyYAML has errors of all sorts for dates, numbers and tags that are none
            raise ConfigurationError(
                f"kubeconfig {path} is not YAML ({_place(error)}): correct it, or choose another one by KUBECONFIG"
            ) from None
        if not isinstance(content, Mapping):
            raise ConfigurationError(f"kubeconfig {path} is no kubeconfig: expected clusters, users and contexts")
        if "current-context" in content:
            config.current = str(content["current-context"] or "")
        for kind, known in (("context", config.contexts), ("cluster", config.clusters), ("user", config.users)):
            items = content.get(f"{kind}s") or []
            if not isinstance(items, list):
                raise ConfigurationError(f"kubeconfig {path}: {kind}s is a {type(items).__name__}, expected a list")
            for item in items:
                if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
                    raise ConfigurationError(f"kubeconfig {path} has a {kind} without a name")
                body = item.get(kind) or {}
                if not isinstance(body, Mapping):
                    raise ConfigurationError(
                        f"kubeconfig {path}: {kind} {item['name']!r} is a {type(body).__name__}, expected fields"
                    )
                known.setdefault(item["name"], body)
                config.folders.setdefault((kind, item["name"]), path.parent)
    return config


def _exists(path: Path) -> bool:
    """False if there is no such file; True as well for one that cannot be looked at, which reading it then tells."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _place(error: Exception) -> str:
    """What PyYAML has against a text, and where."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"
