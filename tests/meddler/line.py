"""A client that sees how an answer really ends."""

import json
import select
import socket
from email.message import Message
from email.parser import BytesParser
from typing import Any, Self
from urllib.parse import urlencode

from tests.cluster.meddler import Meddler

PATIENCE = 30.0
#: Seconds that nothing must come for.
SILENCE = 0.15
PODS = "/api/v1/namespaces/default/pods"


class Answer:
    """One request on a connection of its own, and its answer as it comes: nothing is read ahead."""

    def __init__(self, meddler: Meddler, path: str, *, token: str = "none", method: str = "GET", **query: str) -> None:
        #: "end", "close" (FIN in the middle), "reset", or "" as long as it goes on.
        self.ending = ""
        self.headers = Message()
        self.status = 0
        self._bytes = b""  # that came and are not decoded
        self._rest = b""  # of a line
        self._lines: list[bytes] = []
        target = f"{path}?{urlencode(query)}" if query else path
        head = f"{method} {target} HTTP/1.1\r\nHost: there\r\nAuthorization: Bearer {token}\r\n\r\n"
        self.socket = socket.create_connection(("127.0.0.1", meddler.port), timeout=PATIENCE)
        try:
            self.socket.sendall(head.encode())
            while b"\r\n\r\n" not in self._bytes:
                if not self._receive():
                    raise ConnectionResetError(f"no answer, but the end: {self.ending}")
        except BaseException:
            self.socket.close()
            raise
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        self.status = int(line.split()[1])
        self.headers = BytesParser().parsebytes(fields + b"\r\n\r\n", headersonly=True)
        self._left = int(self.headers.get("Content-Length", -1))  # of the body; -1 of one in chunks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.ending = "reset"
            return False
        if not data:
            self.ending = "close"
        self._bytes += data
        return bool(data)

    def more(self) -> bytes:
        """What comes next of the body; nothing at the end, which is noted."""
        while not self.ending:
            data = self._decode()
            if data or self.ending:
                return data
            self._receive()
        return b""

    def _decode(self) -> bytes:
        if self._left >= 0:
            data, self._bytes = self._bytes[: self._left], self._bytes[self._left :]
            self._left -= len(data)
            if not self._left:
                self._left, self._bytes = -1, b"0\r\n\r\n"  # the same end for both
            return data
        size, found, rest = self._bytes.partition(b"\r\n")
        count = int(size, 16) if found else 0
        if not found or len(rest) < count + 2:
            return b""
        self._bytes = rest[count + 2 :]
        if not count:
            self.ending = "end"
        return rest[:count]

    def line(self) -> dict[str, Any]:
        """The next event; of a line that is no JSON {"text": it}."""
        while not self._lines and not self.ending:
            *complete, self._rest = (self._rest + self.more()).split(b"\n")
            self._lines += complete
        assert self._lines, f"no further line, but the end: {self.ending}, and before it {self._rest!r}"
        line = self._lines.pop(0)
        try:
            return json.loads(line)
        except ValueError:
            return {"text": line.decode()}

    def names(self, count: int) -> list[str]:
        """What the next events are and of whom."""
        return [title(self.line()) for _ in range(count)]

    def rest(self) -> bytes:
        """All that comes until the end."""
        data = self._rest + b"".join(line + b"\n" for line in self._lines)
        while not self.ending:
            data += self.more()
        return data

    def is_silent(self, seconds: float = SILENCE) -> bool:
        """True if nothing comes for a while, an end neither."""
        return not self._bytes and not select.select([self.socket], [], [], seconds)[0]


def title(event: dict[str, Any]) -> str:
    """Such as "ADDED pod-01"."""
    if "text" in event:
        return event["text"]
    metadata = (event.get("object") or {}).get("metadata") or {}
    return f"{event['type']} {metadata.get('name', '')}".strip()
