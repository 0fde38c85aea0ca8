"""An API server for reflectors: a script of answers, or a little world with its history. No network, no time."""

import asyncio
import contextlib
import functools
import json
from collections import deque

from tests.informer.test_fold import Fold
from tests.queues.conftest import PATIENCE
from workqueue.base.keys import object_key
from workqueue.informer.wire import INITIAL_EVENTS_END

END = "end"


def compact(body):
    """JSON as Go writes it."""
    if "kind" in body:
        body = {"kind": body["kind"], "apiVersion": body["apiVersion"], **body}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def line(kind, body):
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), body if isinstance(body, bytes) else compact(body))


def added(*bodies):
    return b"".join(line("ADDED", body) for body in bodies)


def modified(*bodies):
    return b"".join(line("MODIFIED", body) for body in bodies)


def deleted(*bodies):
    return b"".join(line("DELETED", body) for body in bodies)


def bookmark(version, *, ends=False):
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    if ends:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    return line("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": None}})


def closing(version):
    return bookmark(version, ends=True)


def status(code, message="", reason="", **details):
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body |= {"message": message, "reason": reason, "details": details, "code": code}
    return compact(body)


def error(code, message="", reason="", **details):
    return line("ERROR", status(code, message, reason, **details))


def page(*bodies, version, continue_=None, kind="PodList"):
    """A list; its items do not say what they are, as those of built-in resources do not."""
    items = [{name: value for name, value in body.items() if name not in ("kind", "apiVersion")} for body in bodies]
    metadata = {"resourceVersion": str(version)}
    if continue_:
        metadata["continue"] = continue_
    return json.dumps(
        {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}, separators=(",", ":")
    ).encode()


class FakeStream:
    """An open watch that says what it is fed."""

    def __init__(self, *chunks):
        #: Somebody reads, and there is nothing.
        self.resting = False
        self.closed = False
        self._chunks = deque(chunks)
        self._more = asyncio.Event()

    def send(self, *chunks):
        """Bytes, END, or what breaks it."""
        self._chunks.extend(chunks)
        self.resting = False
        self._more.set()

    def close(self):
        self.closed = True
        self.send(END)

    async def __aiter__(self):
        while True:
            while not self._chunks:
                self.resting = True
                self._more.clear()
                await self._more.wait()
            chunk = self._chunks.popleft()
            if self.closed or chunk is END:
                return
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class Scripted:
    """Answers as it was told to, one by one; who asks for more waits."""

    lifetime = 300.0

    def __init__(self, *answers):
        self.asked = []
        self.stream = None
        #: Somebody asks, and there is no answer.
        self.owes_an_answer = False
        self._answers = deque(answers)
        self._more = asyncio.Event()

    def then(self, *answers):
        """What comes next: a page, a stream, bytes that a stream begins with, or an error."""
        self._answers.extend(answers)
        self.owes_an_answer = False
        self._more.set()

    @property
    def resting(self):
        return self.owes_an_answer or (self.stream is not None and self.stream.resting)

    async def _next(self):
        while not self._answers:
            self.owes_an_answer = True
            self._more.clear()
            await self._more.wait()
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def list(self, *, limit, continue_=""):
        self.asked.append(f"list {limit} {continue_}".strip())
        return await self._next()

    @contextlib.asynccontextmanager
    async def watch(self, *, since):
        self.asked.append(f"watch {since}")
        answer = await self._next()
        self.stream = answer if isinstance(answer, FakeStream) else FakeStream(*answer)
        try:
            yield self.stream
        finally:
            self.stream = None

    def take(self):
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


class CarefulFold(Fold):
    """A fold that counts updates without a change, too."""

    refused = 0

    def update(self, key, old, new, initial, **_):
        self.refused += old["metadata"].get("resourceVersion") == new["metadata"].get("resourceVersion")
        super().update(key=key, old=old, new=new, initial=initial)

    def forgive(self):
        """They were right, here."""
        self.refused = 0


class Pauses:
    """A backoff that waits for nobody, and remembers."""

    def __init__(self):
        self.asked = []

    def pause(self, *, at_least=0.0):
        self.asked.append(at_least)
        return 0.0

    def take(self):
        asked, self.asked = self.asked, []
        return asked


class Following:
    """A reflector that runs, and what Kopf would get of it."""

    def __init__(self, reflector, source, *, tap, hear=None):
        """hear: called with what Kopf would get; it is remembered if there is none."""
        self.heard = []
        self._hear = hear or self.heard.append
        self._reflector, self._source, self._tap = reflector, source, tap
        self._stop = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        async with contextlib.aclosing(self._reflector.run(self._stop, tap=self._tap)) as heard:
            async for each in heard:
                self._hear(each)

    async def rest(self):
        """Wait until it waits for the server, and nothing is under way."""

        async def resting():
            calm = 0
            while calm < 5:  # what is due now, such as the settling of a watch, has its turn
                await asyncio.sleep(0)
                calm = calm + 1 if self.task.done() or self._source.resting else 0
            if self.task.done():
                await self.task

        await asyncio.wait_for(resting(), PATIENCE)

    async def until(self, condition):
        """Wait until that is so, where something real has to pass first."""

        async def looking():
            while not condition():
                await asyncio.sleep(0.001)

        await asyncio.wait_for(looking(), PATIENCE)
        await self.rest()

    async def feed(self, *chunks):
        """The open stream goes on with these."""
        self._source.stream.send(*chunks)
        await self.rest()

    async def then(self, *answers):
        """It is answered so, from now on."""
        self._source.then(*answers)
        await self.rest()

    async def fails(self, what, *answers):
        """The open stream ends so, and what is asked after that is answered so."""
        self._source.then(*answers)
        await self.feed(what)

    def take(self):
        """What was heard since the last time: LISTED, or type and name and version."""
        heard, self.heard[:] = list(self.heard), []
        return [each if isinstance(each, str) else told(each) for each in heard]

    def stop_now(self):
        self._stop.set_result(None)

    async def stop(self):
        self.stop_now()
        await asyncio.wait_for(self.task, PATIENCE)

    async def kill(self):
        self.task.cancel()
        await asyncio.wait([self.task], timeout=PATIENCE)


def cached(informer):
    return {entry.key: entry.decode() for entry in informer.reader.entries()}


def by_key(*bodies):
    return {object_key(body): body for body in bodies}


def told(heard):
    metadata = json.loads(heard.raw)["metadata"]
    return f"{heard.type} {metadata['name']} {metadata['resourceVersion']}"


def scenario(function):
    """A test that is a coroutine, on a loop of its own."""

    @functools.wraps(function)
    def test(*args, **kwargs):
        asyncio.run(function(*args, **kwargs))

    return test
