"""What clients really asked of a control plane: kube-apiserver's audit log, one JSON document a line."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class AuditLog:
    """The log in a control plane's folder."""

    def __init__(self, folder: Path) -> None:
        self._policy = folder / "audit-policy.json"
        self.path = folder / "audit.log"

    def flags(self) -> list[str]:
        """kube-apiserver's, after writing the file that they name."""
        self._policy.write_text(json.dumps(_POLICY), encoding="utf-8")
        return [
            f"--audit-policy-file={self._policy}",
            f"--audit-log-path={self.path}",
            "--audit-log-maxsize=100000",  # MB; a rotated file would be lost to `events`
        ]

    def position(self) -> int:
        """Where it ends now (bytes)."""
        with contextlib.suppress(FileNotFoundError):
            return self.path.stat().st_size
        return 0

    def events(self, *, since: int) -> Iterator[dict[str, Any]]:
        """The events from a position on."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(since)
            for line in file:
                if line.endswith(b"\n"):  # else it is being written
                    yield json.loads(line)
