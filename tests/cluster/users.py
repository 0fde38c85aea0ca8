"""Who may talk to a control plane: static tokens, new at each start, and a kubeconfig for whoever wants one."""

import base64
import csv
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml


class Users:
    """Names, the groups of each, and their bearer tokens."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self._groups = dict(groups)
        self._tokens = {name: secrets.token_hex(16) for name in groups}

    def token(self, name: str) -> str:
        """KeyError for a name that is not known."""
        return self._tokens[name]

    def flags(self, folder: Path) -> list[str]:
        """kube-apiserver's, after writing the file that they name."""
        path = folder / "tokens.csv"
        path.touch(mode=0o600)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = ((self._tokens[name], name, name, ",".join(groups)) for name, groups in self._groups.items())
            csv.writer(file).writerows(rows)
        return [f"--token-auth-file={path}"]


def write_kubeconfig(path: Path, *, user: str, token: str, url: str, ca_file: Path, namespace: str) -> None:
    """A kubeconfig that holds all it needs, so that it may be copied elsewhere."""
    authority = base64.b64encode(ca_file.read_bytes()).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": user, "context": {"cluster": "test", "user": user, "namespace": namespace}}],
        "current-context": user,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
