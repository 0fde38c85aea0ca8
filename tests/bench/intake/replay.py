"""An API server for one purpose: it has so many pods, and sends so many changes of them, as fast as they are read.

A process of its own: ``python -m tests.bench.intake.replay -objects 1000``. It prints its URL and is told what to do by
lines of JSON on stdin, such as ``{"events": 10000, "rate": 0}``; it answers when all is sent, with the instant at which
each was written, if there was a rate. It ends with its stdin.

What it sends of a pod is made beforehand, but for the resourceVersion, for which the rest has gaps: putting an event
together costs a copy or two, and a sink of events shows that this is no limit to anybody. Besides pods it has what
clients look for before they ask for pods, and nothing else.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.bench.intake import answers, pods

#: Versions have ten digits, whatever comes, so that events keep their length.
FIRST_VERSION = 1_000_000_000
GAP = b"9999999999"
#: How many events are written at once when there is no rate; about 200 KB.
BATCH = 32
PATH = "/api/v1/pods"
#: Pods that are made beforehand. A million would need eight gigabytes: they are made as they are sent, 5,000 a second.
KEPT = 200_000


def compact(document: Any) -> bytes:
    """JSON without spaces, as API servers write it."""
    return json.dumps(document, separators=(",", ":")).encode()


def chunk(line: bytes) -> bytes:
    """A line as API servers send it in a watch: a chunk of its own."""
    return b"%x\r\n%s\n\r\n" % (len(line) + 1, line)


class Stock:
    """All pods; of each is kept its JSON, in pieces between which its version goes, unless there are too many."""

    def __init__(self, objects: int) -> None:
        self._objects = objects
        self._pieces = [_pieces(number) for number in range(objects)] if objects <= KEPT else []

    def __len__(self) -> int:
        return self._objects

    def body(self, number: int, version: int = FIRST_VERSION) -> bytes:
        """A pod of that version."""
        return (b"%d" % version).join(self._pieces[number] if self._pieces else _pieces(number))

    def change(self, version: int) -> bytes:
        """The event that has this version: pods change in turn."""
        return chunk(b'{"type":"MODIFIED","object":%s}' % self.body(version % len(self), version))

    def size(self) -> float:
        """The bytes of a pod on average, of the first thousand."""
        some = range(min(len(self), 1000))
        return sum(len(self.body(number)) for number in some) / len(some)

    def whole(self) -> tuple[int, Iterator[bytes]]:
        """The list of all: how long it is, and the list in pieces."""
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[' % FIRST_VERSION
        length = len(head) + sum(len(self.body(number)) + 1 for number in range(len(self))) + 1  # "," or "]", and "}"
        bodies = (self.body(number) + (b"," if number + 1 < len(self) else b"]}") for number in range(len(self)))
        return length, itertools.chain([head], bodies)

    def metadata(self) -> bytes:
        """The list of all as PartialObjectMetadata."""
        kinds = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        items = ({**kinds, "metadata": json.loads(self.body(number))["metadata"]} for number in range(len(self)))
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return compact({**head, "metadata": {"resourceVersion": str(FIRST_VERSION)}, "items": list(items)})

    def stream(self) -> Iterator[bytes]:
        """The streaming list, with its closing bookmark."""
        for number in range(len(self)):
            yield chunk(b'{"type":"ADDED","object":%s}' % self.body(number))
        metadata = {"resourceVersion": str(FIRST_VERSION), "annotations": {"k8s.io/initial-events-end": "true"}}
        bookmark = {"kind": "Pod", "apiVersion": "v1", "metadata": {**metadata, "creationTimestamp": None}}
        yield chunk(compact({"type": "BOOKMARK", "object": {**bookmark, "spec": {"containers": None}, "status": {}}}))


def _pieces(number: int) -> list[bytes]:
    body = pods.stored(number, int(GAP))
    body["metadata"]["annotations"]["bench.example.com/change"] = GAP.decode()  # so that a change changes the body
    return compact(body).split(GAP)


@dataclass
class Server:
    """Answers requests, and sends changes to whoever watches pods; there should be one."""

    stock: Stock
    watchers: list[asyncio.StreamWriter] = field(default_factory=list)
    sent: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while request := await _read(reader):
                if not await self._answer(*request, writer):
                    await reader.read()  # a watch: until the client has gone
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if writer in self.watchers:
                self.watchers.remove(writer)
            writer.close()

    async def _answer(self, method: str, target: str, accept: str, writer: asyncio.StreamWriter) -> bool:
        """Whether another request may follow on this connection."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        if query.get("watch", ["false"])[0] not in ("false", "0"):
            writer.write(answers.HEAD_OF_WATCH)
            if url.path == PATH and "PartialObjectMetadata" not in accept:
                if query.get("sendInitialEvents", ["false"])[0] == "true":
                    await _write(writer, self.stock.stream())
                self.watchers.append(writer)
            return False
        if url.path == PATH and "PartialObjectMetadata" not in accept:
            length, pieces = self.stock.whole()
            writer.write(answers.head(200, length))
            await _write(writer, pieces)
            return True
        if url.path == PATH:
            status, body = 200, self.stock.metadata()
        else:
            status, document = answers.answer(method, url.path)
            body = compact(document)
        await _write(writer, [answers.head(status, len(body)), body])
        return True

    async def send(self, events: int, rate: float) -> dict[str, Any]:
        """Send so many changes, in turn of all pods; with no rate, as fast as they are read."""
        while not self.watchers:  # who has listed is about to
            await asyncio.sleep(0.01)
        (writer,) = self.watchers
        first = FIRST_VERSION + self.sent + 1
        self.sent += events
        began, written = time.monotonic(), []
        if rate:
            for number in range(events):
                event = self.stock.change(first + number)
                if (wait := began + number / rate - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                written.append(time.monotonic())
                writer.write(event)
            await writer.drain()
        else:
            await _write(writer, map(self.stock.change, range(first, first + events)))
        return {"began": began, "first": first, "written": written}


async def _write(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    """Write some at a time, as fast as they are read."""
    left = iter(pieces)
    while batch := b"".join(itertools.islice(left, BATCH)):
        writer.write(batch)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, str] | None:
    """Method, target and Accept of the next request; None if there is none."""
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    if length := int(headers.get("content-length", 0)):
        await reader.readexactly(length)
    return method, target, headers.get("accept", "")


async def run(objects: int) -> None:
    """Serve until stdin ends."""
    server = Server(Stock(objects))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    print(json.dumps({"url": f"http://{host}:{port}", "bytes": server.stock.size()}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        print(json.dumps(await server.send(asked["events"], asked["rate"])), flush=True)


def main() -> None:
    """Run as told by the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-objects", type=int, required=True)
    asyncio.run(run(parser.parse_args().objects))


if __name__ == "__main__":
    main()
