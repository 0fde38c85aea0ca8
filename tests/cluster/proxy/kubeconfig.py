"""Copies a kubeconfig so that its cluster is reached by another port."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

#: Fields that name files, relative to the kubeconfig's folder.
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_PORTS = {"http": 80, "https": 443}


def redirect(path: Path, *, into: Path, hosts: set[str], port: int, netloc: str) -> Path:
    """Write a copy whose clusters at one of these hosts and this port are at `netloc`. Other clusters stay as they are.

    Raises ValueError, in one line, when there is no such cluster.
    """
    config = _load(path)
    clusters = _parts(config, "clusters", "cluster")
    moved = False
    for cluster in clusters:
        url = urlsplit(str(cluster.get("server", "")))
        if url.hostname in hosts and (url.port or _PORTS.get(url.scheme)) == port:
            cluster["server"] = url._replace(netloc=netloc).geturl()
            moved = True
    if not moved:
        found = ", ".join(str(each.get("server")) for each in clusters) or "nowhere"
        raise ValueError(f"{path}: no cluster is at {' or '.join(sorted(hosts))}, port {port}; found: {found}")
    for part in (*clusters, *_parts(config, "users", "user")):
        for name in _FILES:
            if part.get(name):
                part[name] = str(path.absolute().parent / part[name])
    into.touch(mode=0o600)
    into.chmod(0o600)  # it may have been there; there are credentials in it
    into.write_text(yaml.safe_dump(config), encoding="utf-8")
    return into


def _load(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no kubeconfig can be read there: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: not a kubeconfig, but a {type(config).__name__}")  # noqa: TRY004 - as above
    return config


def _parts(config: dict[str, Any], many: str, one: str) -> list[dict[str, Any]]:
    return [each[one] for each in config.get(many) or () if isinstance(each.get(one), dict)]
