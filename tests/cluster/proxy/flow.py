"""One direction of one connection: bytes that were read from one socket and are to be written to the other.

A flow never waits. The loop calls it when something can be read, can be written or is due, it does what its conduct
and its splices allow, and then asks the loop for what it needs next. It belongs to the loop's thread.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tests.cluster.proxy import sockets
from tests.cluster.proxy.asking import Asking
from tests.cluster.proxy.faults import Conduct, End, How, Splice, Then, Way
from tests.cluster.proxy.pace import Pace
from tests.cluster.proxy.tally import Tally

#: Bytes that a flow holds at most.
LIMIT = 256 * 1024
_CHUNK = 64 * 1024
#: Seconds between two looks whether the peer has everything, before a reset: nothing else tells.
_LOOK = 0.002


class Owner(Protocol):
    """The connection, as its flows know it."""

    def run(self, step: Callable[[], None]) -> None:
        """Run a step that the loop has called; its exception ends this connection and nothing else."""

    def intercepts(self, flow: "Flow") -> bool:
        """True if bytes that were read now are not to be passed on."""

    def sink_lost(self, flow: "Flow") -> None:
        """The flow cannot write any more, since the sink's peer is gone."""

    def stall(self) -> None:
        """Stall both directions."""

    def cut(self, how: How) -> None:
        """End the connection as a fault."""

    def pass_on_reset(self) -> None:
        """End the connection, since one side has reset it."""

    def flow_finished(self) -> None:
        """Nothing will come through the flow any more."""


class Flow:
    """Reads from its source, writes to its sink. Nobody else does either."""

    def __init__(self, way: Way, *, loop: asyncio.AbstractEventLoop, tally: Tally, owner: Owner) -> None:
        self.way: Way = way
        self.conduct = Conduct()
        #: Bytes that were read and not yet written, left out or dropped.
        self.held = 0
        #: True once nothing will come any more, and the sink knows if it is to know.
        self.finished = False
        self._loop = loop
        self._tally = tally
        self._owner = owner
        self._asking = Asking(loop, run=owner.run, on_readable=self._read, go_on=self.go_on)
        self._source: socket.socket | None = None  # None before it is connected, and once it is of no use
        self._sink: socket.socket | None = None  # likewise
        self._chunks: deque[tuple[float, memoryview]] = deque()  # when each was read, and what of it is held
        self._end: tuple[float, End] | None = None  # when the source ended and how; "hold" is not to be passed on
        self._source_broken = False  # writing to the source has failed: its end, when it is read, is a reset
        self._sink_broken = False  # writing to the sink has failed, and the owner does not yet know
        self._dropping = False  # the sink is gone: read on, so that the source does not get stuck
        self._stopped = False  # the sockets are gone for good
        self._pace: Pace | None = None
        self._position = 0  # bytes of the real stream that were written or left out
        self._splices: list[tuple[int, Splice]] = []  # and their positions, in order
        self._extra = memoryview(b"")  # of a splice that has begun: to be written before anything else
        self._then: Then = "continue"  # of it: what to do after _extra
        self._skip = 0  # of it: bytes of the real stream to be left out
        self._blocked = False  # the sink's kernel takes no more for now
        self._due: float | None = None  # the instant to go on at

    # -- what the owner says

    def connect(self, *, source: socket.socket | None = None, sink: socket.socket | None = None) -> None:
        """A socket is connected, and may be used from now on."""
        if not self._stopped:
            self._source = source or self._source
            self._sink = sink or self._sink
            self.go_on()

    def behave(self, conduct: Conduct) -> None:
        """Change how all bytes are treated, those held included."""
        self.conduct = conduct
        self._pace = None if conduct.rate is None else Pace(conduct.rate)
        self.go_on()

    def splice(self, splice: Splice) -> None:
        """Let something happen once so many more bytes are written."""
        self._splices.append((self._position + splice.after, splice))
        self._splices.sort(key=lambda each: each[0])
        self.go_on()

    def forget_splices(self) -> None:
        """Let none of them happen; one that has begun goes on."""
        self._splices.clear()

    def replace_source(self, data: bytes, end: End) -> None:
        """Write these bytes and this end instead of all that is held or would come."""
        self.lose_source()
        self.forget_splices()
        self._extra, self._then, self._skip = memoryview(b""), "continue", 0
        now = self._loop.time()
        if data:
            self._chunks.append((now, memoryview(data)))
            self.held = len(data)
        self._end, self.finished = (now, end), False
        self.go_on()

    def break_source(self) -> None:
        """The source's peer is gone. What it has sent before can still be read, then its end counts as a reset."""
        self._source_broken = True

    def lose_source(self) -> None:
        """The source is about to be closed. The sink is not told."""
        self._source, self.finished = None, True
        self._drop_held()
        self._ask()

    def lose_sink(self) -> None:
        """The sink is about to be closed, or as good as. Call go_on() when it is."""
        self._sink, self._dropping = None, True
        self._drop_held()
        self._ask()

    def stop(self) -> None:
        """Both sockets are about to be closed."""
        self._stopped = True
        self._sink = None
        self.lose_source()

    # -- what the loop says

    def go_on(self) -> None:
        """Do whatever can be done now."""
        self._blocked, self._due = False, None
        now = self._loop.time()
        if self.conduct.half_closed and self._sink is not None:
            self._shut_sink()
            self.lose_sink()
        while self._sink is not None and not self.conduct.stalled and self._write_some(now):
            pass
        if self._sink_broken:
            self._sink_broken = False
            self._owner.sink_lost(self)
        if self._dropping and self._end is not None and not self.finished:
            if self._end[1] == "reset":
                self._owner.pass_on_reset()
            else:
                self._finish()
        self._ask()

    def _read(self) -> None:
        if self._source is None:  # it was closed in this round of the loop
            return
        now = self._loop.time()
        try:
            data = self._source.recv(_CHUNK if self._dropping else min(_CHUNK, LIMIT - self.held))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end = (now, "reset")
        else:
            if not data:
                self._end = (now, "reset" if self._source_broken else "close")
            elif self._dropping or self._owner.intercepts(self):
                self._tally.dropped += len(data)
            else:
                self._chunks.append((now, memoryview(data)))
                self.held += len(data)
        self.go_on()

    # -- writing: each of these says whether there may be more to write at once

    def _write_some(self, now: float) -> bool:
        if self._extra:
            sent = self._send(self._extra)
            self._extra = self._extra[sent:]
            return sent > 0
        if self._then != "continue":
            self._do_then(now)
            return False
        if self._splices and self._splices[0][0] <= self._position:
            _, splice = self._splices.pop(0)
            if splice.times.take():
                self._extra, self._then = memoryview(splice.data), splice.then
                self._skip += splice.replacing
            return True
        if self._chunks:
            return self._write_chunk(now)
        if self._pace is not None:
            self._pace.rest()
        if self._end is not None:
            self._pass_on_end(now)
        return False

    def _write_chunk(self, now: float) -> bool:
        read_at, chunk = self._chunks[0]
        if read_at + self.conduct.delay > now:
            self._due = read_at + self.conduct.delay
            return False
        part = chunk[: self._splices[0][0] - self._position] if self._splices else chunk
        if self._skip:
            taken = min(self._skip, len(part))
            self._skip -= taken
            self._tally.dropped += taken
        else:
            if self._pace is not None:
                allowed, self._due = self._pace.allowed(now, len(part))
                part = part[:allowed]
            taken = self._send(part)
        self._position += taken
        self.held -= taken
        if taken < len(chunk):
            self._chunks[0] = (read_at, chunk[taken:])
        else:
            self._chunks.popleft()
        return taken > 0

    def _send(self, data: memoryview) -> int:
        if self._sink is None or not data:
            return 0
        try:
            sent = self._sink.send(data)
        except (BlockingIOError, InterruptedError):
            self._blocked, self._due = True, None
            if self._pace is not None:
                self._pace.rest()
            return 0
        except OSError:
            self._sink_broken = True
            return 0
        if self._pace is not None:
            self._pace.use(sent)
        if self.way == "to_client":
            self._tally.to_client += sent
        else:
            self._tally.to_target += sent
        return sent

    def _do_then(self, now: float) -> None:
        if self._then == "stall":
            self._then = "continue"
            self._owner.stall()
        elif self._all_taken(now):
            self._owner.cut("close" if self._then == "close" else "reset")

    def _pass_on_end(self, now: float) -> None:
        assert self._end is not None
        ended_at, end = self._end
        if ended_at + self.conduct.delay > now:
            self._due = ended_at + self.conduct.delay
        elif end != "reset":
            if end == "close":
                self._shut_sink()
            self._sink = None
            self._finish()
        elif self._all_taken(now):
            self._owner.pass_on_reset()

    def _all_taken(self, now: float) -> bool:
        if self._sink is None or sockets.all_taken(self._sink):
            return True
        self._due = now + _LOOK
        return False

    def _shut_sink(self) -> None:
        try:
            if self._sink is not None:
                self._sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._sink_broken = True

    def _finish(self) -> None:
        self.finished = True
        self._owner.flow_finished()

    def _drop_held(self) -> None:
        self._tally.dropped += self.held
        self.held = 0
        self._chunks.clear()

    def _ask(self) -> None:
        reads = not self.conduct.stalled and self._end is None and (self._dropping or self.held < LIMIT)
        self._asking.ask(
            read=self._source if reads else None,
            write=self._sink if self._blocked else None,
            at=self._due if self._sink is not None else None,
        )
