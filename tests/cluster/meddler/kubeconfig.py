"""A kubeconfig that leads to the meddler."""

from pathlib import Path

import yaml


def write(into: Path, *, url: str, token: str, user: str, namespace: str) -> Path:
    """Write one that holds all it needs, to a file that only its owner can read; returns its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "meddler", "cluster": {"server": url}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": user, "context": {"cluster": "meddler", "user": user, "namespace": namespace}}],
        "current-context": user,
    }
    into.touch(mode=0o600)
    into.chmod(0o600)  # it may have been there
    into.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return into
