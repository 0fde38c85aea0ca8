"""A small client of an API server: JSON in, JSON out, one user. Tests and demonstrations set up and look with it."""

from pathlib import Path
from typing import Any, Self

import requests

MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The server refused; `code` is the HTTP status, the text says what was asked and what was answered."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """One session, for one thread at a time; to be closed, or used by `with`.

    token: whose bearer token; ca_file: the certificate to verify the server by, None for the system's.
    """

    def __init__(self, url: str, *, token: str, ca_file: str | Path | None) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to loopback
        self._session.verify = str(ca_file) if ca_file else True
        self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def call(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """What the server answers; ApiError if it refuses, requests' errors if it does not answer within 30 s."""
        headers = {"Content-Type": content_type}
        answer = self._session.request(method, self.url + path, json=body, headers=headers, timeout=30)
        if not answer.ok:
            raise ApiError(f"{method} {path}: {answer.status_code} {answer.text}", code=answer.status_code)
        document: dict[str, Any] = answer.json()
        return document

    def find(self, path: str) -> dict[str, Any] | None:
        """What is at a path; None if nothing is."""
        try:
            return self.call("GET", path)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def patch(self, path: str, patch: object) -> dict[str, Any]:
        """A merge patch."""
        return self.call("PATCH", path, patch, content_type=MERGE)
