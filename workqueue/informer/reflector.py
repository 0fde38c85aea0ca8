"""The reflector: keeps informers equal to what the API server has, through whatever happens on the way.

Semantics: client-go tools/cache/reflector.go. A list (streamed by the watch itself where the server
can, else in pages) replaces the cache as a whole, a watch goes on from there; what interrupts the
watch is answered by watching on from the last resourceVersion, or by a list where that may have
lost something. Better than there:

- a list that breaks off, or a streaming list that does not end with its own bookmark, changes nothing;
- after an interruption it asks whether the storage went back in time (an etcd that was restored):
  a watch from a version of the future is accepted, and blind, without an error; and after one in
  which that may have happened and have been made up for by other writes, it lists;
- an event that cannot be read is followed by a list: whatever it said is not lost;
- the informers are marked stale while their view may be, and one line tells how long it took.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from workqueue.base.clock import Clock
from workqueue.base.errors import InvalidObject
from workqueue.informer.backoff import Backoff
from workqueue.informer.collection import Collection, is_readable
from workqueue.informer.informer import SLICE, Informer
from workqueue.informer.liveness import Liveness
from workqueue.informer.patience import Patience
from workqueue.informer.position import NO_VERSION, NoClosingBookmark, Position
from workqueue.informer.source import Interrupted, Source, Stream
from workqueue.informer.wire import (
    Event,
    Lines,
    Malformed,
    Refused,
    parse_bookmark,
    parse_line,
    parse_page,
    parse_status,
    raw_items,
)

logger = logging.getLogger("workqueue.informer")

#: client-go's page size, tools/pager.
PAGE = 500
#: Seconds without another object after which a streaming list without its closing bookmark is given up for a list.
BOOKMARK_PATIENCE = 15.0
#: A watch that ends by itself in less than so many seconds, and without an event, did not work: client-go's "very short
#: watch".
SHORT = 1.0
#: An API server sends each object of a streaming list by itself, and waking up for each costs more than reading it. So
#: after less than so many bytes of a list it sleeps for so many seconds; nobody waits for a part of it.
BITE, BREATH = 64 * 1024, 0.002
#: Seconds of an outage in which the storage may have been exchanged for another (an etcd that was restored), which has
#: come as far as what was seen by now: no kube-apiserver starts in less. Nothing but a list tells, then.
AWAY = 2.0


class Heard(NamedTuple):
    """An event, for those who want to see it after the informers."""

    #: None for an object of a list.
    type: str | None
    raw: bytes


#: Stands for the end of a list among what is heard.
LISTED = "listed"


@dataclass(frozen=True, slots=True)
class ReflectorStatistics:
    """One reflector at one instant."""

    #: "" is all namespaces.
    namespace: str
    #: Its view is live.
    live: bool
    #: Why not, in a few words.
    problem: str
    #: Lists that replaced the cache.
    lists: int
    #: Watches begun, each going on where the one before ended.
    watches: int
    #: Watches and lists that ended otherwise than by their own end.
    interruptions: int
    #: Events and objects that could not be read or stored.
    ignored: int
    #: When the last byte came, by the clock; None before.
    heard_at: float | None


def _is_object(item: bytes) -> bool:
    try:
        return is_readable(item)
    except Malformed:
        return False


class Reflector:
    """Follows one resource in one namespace, or in all. Belongs to the thread of one event loop."""

    def __init__(
        self,
        name: str,
        *,
        source: Source,
        informers: Sequence[Informer],
        clock: Clock,
        backoff: Backoff,
        changed: Callable[[], None],
        namespace: str = "",
        page: int = PAGE,
    ) -> None:
        """
        :param name: of the resource, for logs.
        :param source: asks the API server.
        :param informers: kept up to date, one after another.
        :param clock: tells how long things took.
        :param backoff: says how long to wait after a failure.
        :param changed: called when it becomes live, or stale.
        :param namespace: the one that the source is of; "" is all.
        :param page: objects in one page of a list.
        """
        self.namespace = namespace
        self._name = f"{name} in {namespace}" if namespace else name
        self._source = source
        self._informers = tuple(informers)
        self._clock = clock
        self._backoff = backoff
        self._changed = changed
        self._page = page

        self._position = Position()
        #: It was listed once.
        self.listed = False
        #: The handlers were told of everything in that list.
        self.told = False
        self._liveness = Liveness(self._name, clock=clock, changed=changed)
        self._stream: Stream | None = None

        self._lists = self._watches = self._interruptions = self._ignored = 0
        self._heard_at: float | None = None

    @property
    def is_live(self) -> bool:
        """True while the informers follow, as far as anybody can know."""
        return self._liveness.is_live

    @property
    def problem(self) -> str:
        """Why they do not, in a few words; "" if they do."""
        return self._liveness.problem

    def statistics(self) -> ReflectorStatistics:
        """The reflector at this instant; from any thread."""
        return ReflectorStatistics(
            namespace=self.namespace,
            live=self.is_live,
            problem=self.problem,
            lists=self._lists,
            watches=self._watches,
            interruptions=self._interruptions,
            ignored=self._ignored,
            heard_at=self._heard_at,
        )

    def want_list(self, why: str) -> None:
        """List anew now, as somebody doubts the view.

        :param why: in a few words.
        """
        self._position.want_list(why)
        if self._stream is not None:
            self._stream.close()

    async def run(
        self, stop: "asyncio.Future[object]", *, tap: Literal["all", "nothing"] = "nothing"
    ) -> AsyncGenerator[Heard | str, None]:
        """Follow until told to stop; called again, it goes on where it was.

        :param stop: done when it shall stop.
        :param tap: "all" lists first, and yields every object of it, LISTED, and every event after the informers have
            it; "nothing" yields nothing.
        """
        if tap == "all":
            self._position.since = None
        ended = "paused"
        try:
            if self.listed and not self.told:  # the run before was cancelled in the middle of that
                await self._deliver()
                self._tell()
            while not stop.done():
                pause: float | None = None
                try:
                    async with contextlib.aclosing(self._round(stop, tap=tap)) as heard:
                        async for each in heard:
                            yield each
                except (Interrupted, Refused, Malformed, NoClosingBookmark) as error:
                    if not stop.done():
                        pause = self._failed(error)
                if pause:
                    await asyncio.wait([stop], timeout=pause)
        except Exception as error:
            ended = f"{type(error).__name__} in the watch itself"
            raise
        finally:
            self._position.is_doubtful = True  # whatever happens until it goes on, nobody sees
            self._liveness.stale(ended)

    async def _round(self, stop: "asyncio.Future[object]", *, tap: str) -> AsyncGenerator[Heard | str, None]:
        """Ask once for whatever helps now; returns at the regular end of a watch."""
        position = self._position
        if position.wanted:
            position.since = None
        if position.wants_pages:
            async with contextlib.aclosing(self._list(stop, tap=tap)) as heard:
                async for each in heard:
                    yield each
            if stop.done():
                return
        if position.since is not None and position.is_doubtful:
            await self._look_back()
        async with contextlib.aclosing(self._watch(stop, tap=tap)) as heard:
            async for each in heard:
                yield each

    # Lists.

    async def _list(self, stop: "asyncio.Future[object]", *, tap: str) -> AsyncGenerator[Heard | str, None]:
        began = self._clock.now()
        collections = [Collection(informer) for informer in self._informers]
        tapped: list[Heard | str] = []
        continue_ = ""
        while True:
            try:
                raw = await self._source.list(limit=0 if self._position.whole else self._page, continue_=continue_)
            except Refused as error:
                if error.kind == "expired" and continue_:
                    self._position.whole = True  # in one piece it cannot expire: client-go's tools/pager
                raise
            self._heard_at = self._clock.now()
            if stop.done():  # whoever pauses wants neither the rest nor what there is so far
                return
            page = parse_page(raw)
            for item in raw_items(page):
                taken = [collection.add(item, head=page.head) for collection in collections]
                if tap == "all" and (all(taken) or _is_object(item)):
                    tapped.append(Heard(None, b"{" + page.head + item[1:] if page.head else item))
            continue_ = page.continue_
            if not continue_:
                break
        await self._replace(collections, version=page.resource_version, took=self._clock.now() - began, how="in pages")
        for each in tapped:
            yield each
        if tap == "all":
            yield LISTED

    async def _replace(self, collections: Sequence[Collection], *, version: str, took: float, how: str) -> None:
        """A list is whole: it is what exists."""
        initial = not self.listed
        differences = 0
        for informer, collection in zip(self._informers, collections, strict=True):
            self._ignored += collection.ignored
            differences = informer.replace(
                collection.draft,
                initial=initial,
                namespace=self.namespace or None,
                versions=self._position.versions,
            )
            informer.progress.reached(version, namespace=self.namespace)
        objects = len(collections[0])
        self._position.listed(version)
        self._lists += 1
        self.listed = True
        if initial:
            logger.info("informer %s: %d objects listed %s in %.2f s, watching", self._name, objects, how, took)
        self._liveness.live(f"listed anew: {differences} of {objects} objects differed")
        await self._deliver()
        self._tell()

    def _tell(self) -> None:
        """The handlers were told of all that is in the cache."""
        if not self.told:
            self.told = True
            self._changed()

    # Watches.

    async def _watch(self, stop: "asyncio.Future[object]", *, tap: str) -> AsyncGenerator[Heard | str, None]:
        position = self._position
        lists = position.since is None
        collections = [Collection(informer) for informer in self._informers] if lists else None
        tapped: list[Heard | str] = []
        began = self._clock.now()
        lines = Lines()
        events = 0
        patience = Patience(BOOKMARK_PATIENCE)
        if lists:
            position.streams_list()
        async with self._source.watch(since=position.since) as stream:
            self._stream = stream
            if position.since == NO_VERSION:
                position.since = None  # nothing tells what a next watch would have to go on from: list again
            close = lambda _: stream.close()  # noqa: E731 - it must be the same object twice
            stop.add_done_callback(close)
            try:
                self._watches += 1
                if not lists:
                    self._liveness.settle()
                if collections is not None:
                    patience.begin(stream.close)
                async for chunk in stream:
                    self._heard_at = self._clock.now()
                    failure: Exception | None = None
                    try:
                        for line in lines.feed(chunk):
                            event = parse_line(line)
                            if event.type == "BOOKMARK":
                                bookmark = parse_bookmark(event.raw)
                                if collections is None:
                                    self._reached(bookmark.resource_version)
                                elif bookmark.ends_initial_events:
                                    took = self._clock.now() - began
                                    version = bookmark.resource_version
                                    await self._replace(collections, version=version, took=took, how="as a stream")
                                    collections = None
                                    patience.end()
                                    if tap == "all":
                                        tapped.append(LISTED)
                                continue
                            events += 1
                            if event.type == "ERROR":
                                refused = parse_status(event.raw)
                                position.answered(refused)
                                raise refused
                            if collections is None:
                                if self._apply(event) and tap == "all":
                                    tapped.append(Heard(event.type, event.raw))
                                continue
                            kind = self._kind(event)
                            known = len(collections[0])
                            readable = [collection.change(kind, event.object) for collection in collections]
                            if len(collections[0]) > known:
                                patience.renew()
                            if tap == "all" and all(readable):
                                tapped.append(Heard(None if kind == "ADDED" else kind, event.raw))
                    except (Refused, Malformed) as error:
                        failure = error  # what came before it in the same piece was good
                    if collections is None:
                        await self._deliver()
                        for each in tapped:
                            yield each
                        tapped.clear()
                    if failure is not None:
                        raise failure
                    if collections is not None and len(chunk) < BITE:
                        await asyncio.sleep(BREATH)
            finally:
                patience.end()
                stop.remove_done_callback(close)
                self._stream = None
                self._liveness.stop_settling()
        lasted = self._clock.now() - began
        if position.wanted:
            raise Interrupted(position.wanted)
        if stop.done():
            return
        if patience.is_over:
            raise NoClosingBookmark(f"a streaming list without its end for {BOOKMARK_PATIENCE:g} s")
        if lists and collections is not None:
            raise Interrupted("the streaming list ended before it was whole")
        if lasted < SHORT and not events:
            raise Interrupted("the watch ended at once")
        # An end long before its time may be the server's own, and what it comes back with may be another storage.
        position.is_doubtful = position.is_doubtful or lasted < self._source.lifetime - SHORT

    def _apply(self, event: Event) -> bool:
        """The informers take it in; False if it is nested too deep for anybody to read."""
        readable = True
        kind = self._kind(event)
        version = ""
        for informer in self._informers:
            try:
                changed = informer.remove(event.object) if kind == "DELETED" else informer.apply(event.object)
            except Exception as error:  # a user's transform: the event is lost to this informer, as in client-go
                if kind == "DELETED":  # no transform keeps a deletion from being seen; nobody would tell it again
                    raise Malformed(f"a deletion that cannot be read: {error}") from None
                if isinstance(error, InvalidObject):
                    readable = is_readable(event.object)
                self._ignored += 1
                logger.warning("informer %s: an event was not applied: %r", self._name, error)
            else:
                version = changed.resource_version
        if version:
            self._reached(version)
        return readable

    def _kind(self, event: Event) -> Literal["ADDED", "MODIFIED", "DELETED"]:
        match event.type:
            case "ADDED" | "MODIFIED" | "DELETED":
                return event.type
        raise Malformed(f"an event of type {event.type[:50]!r}")

    def _reached(self, version: str) -> None:
        self._position.reached(version)
        for informer in self._informers:
            informer.progress.reached(version, namespace=self.namespace)

    async def _deliver(self) -> None:
        for informer in self._informers:
            while informer.deliver(at_most=SLICE):
                await asyncio.sleep(0)

    async def _look_back(self) -> None:
        """Ask how far the storage is: if it has not come as far as what was seen, it is another one.

        If it has, it may be another one all the same, unless it was away for a moment only.
        """
        position = self._position
        if position.is_blind or self._liveness.away > AWAY:
            position.lost()
            return
        page = parse_page(await self._source.list(limit=1))
        position.is_doubtful = False
        if position.is_ahead_of(page.resource_version):
            why = f"the storage of the API server went back in time, from {position.since} to {page.resource_version}"
            position.lost()
            logger.warning("informer %s: %s; listing anew", self._name, why)
            self._liveness.stale(why)

    def _failed(self, error: Exception) -> float:
        """Something went wrong: seconds to wait."""
        self._interruptions += 1
        why, at_once, at_least = self._position.failed(error)
        if at_once == "always":
            return 0.0
        self._liveness.failures += 1
        # A view that was good for a while is mended at once; what fails soon, or again, waits.
        good = self._liveness.failures == 1 and self._liveness.is_steady
        now = good and (at_once == "if steady" or (at_once == "if live" and self.is_live))
        self._liveness.stale(why)
        if now:
            return 0.0
        pause = self._backoff.pause(at_least=at_least)
        self._liveness.warn(why, pause=pause)
        return pause
