"""What a login gives to prove who we are, in the forms that the clients want it.

Kopf's ConnectionInfo has certificates as paths, as PEM or as that in base64; both clients want paths. Two logins are
the same if everything in them is, contents of files included: a certificate is renewed by a file under the old name.
"""

import base64
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import kopf

from workqueue.base.errors import ConfigurationError


class CertificateFiles:
    """Certificates and keys that came as data, as files that only this user may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Guarded by _lock. None until there is something to write.
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def path(self, name: str, path: Any, data: str | bytes | None) -> str | None:
        """The path of a certificate or key that is given as a path or as data (PEM, or that in base64).

        :param name: ends the file's name, and stands for it in an error.
        :param path: of a file; it stays where it is.
        :param data: what becomes a file; the same data is the same file.
        :return: None if neither is given.
        :raises ConfigurationError: if the data is none.
        """
        if path:
            return os.fsdecode(path)
        if not data:
            return None
        raw = data.encode() if isinstance(data, str) else data
        if not raw.lstrip().startswith(b"-----"):
            try:
                raw = base64.b64decode(b"".join(raw.split()), validate=True)
            except ValueError:
                raise ConfigurationError(f"the login's {name} is neither PEM nor base64 of it") from None
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="kopf-workqueue-")
            file = Path(self._folder.name) / f"{hashlib.sha256(raw).hexdigest()[:16]}-{name}"
            if not file.exists():
                file.touch(mode=0o600)
                file.write_bytes(raw)
            return str(file)

    def clear(self) -> None:
        """Remove the files."""
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None


def authorization_of(info: kopf.ConnectionInfo) -> str | None:
    """The Authorization header of a login; None for one by certificate, or by nothing."""
    header = info.as_http_headers().get("Authorization")
    if not header and info.username and info.password:  # Kopf 1.44 leaves that to its HTTP library
        header = "Basic " + base64.b64encode(f"{info.username}:{info.password}".encode()).decode()
    return header or None


def is_bearer(info: kopf.ConnectionInfo) -> bool:
    """Whether the token is sent as such. Of user and password the official client's login makes a "Basic" one."""
    return (info.scheme or "Bearer").lower() == "bearer"


def fingerprint(info: kopf.ConnectionInfo) -> str:
    """Equal for two logins that are the same, whatever became of the files in between.

    Paths count as well as what is in them: a file that was removed is found again elsewhere.
    """
    parts: list[object] = [info.server, authorization_of(info), info.insecure, info.proxy_url]
    for path, data in (
        (info.ca_path, info.ca_data),
        (info.certificate_path, info.certificate_data),
        (info.private_key_path, info.private_key_data),
    ):
        parts += [os.fsdecode(path), _content(os.fsdecode(path))] if path else [data]
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
