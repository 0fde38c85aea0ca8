"""Bodies made small: zstd, with a dictionary that was trained on the objects themselves.

Objects of one resource say the same things in the same words: a pod of 7 KB is some 500 bytes to
whoever knows the words of the others. So the first objects are kept as they come, a dictionary is
trained on them, and what comes after is packed with it, in batches: zstd gives up Python's lock for
each call, and whoever gave it up for each event would wait for every thread that computes.

The first dictionary is waited for: it comes while a list is put together, of which nothing is small
without it. Those after it are trained in a thread of their own, and the events go on meanwhile.
"""

import functools
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import zstandard

from workqueue.base.errors import ConfigurationError

logger = logging.getLogger("workqueue.cache")

Compression = Literal["auto", "none", "zstd"]

#: Bodies that a dictionary is trained on, the bytes that are taken of each, and of all.
SAMPLES, SAMPLE, SAMPLED = 256, 64 * 1024, 4 * 1024 * 1024
#: Bytes of bodies below which no dictionary pays: itself and what zstd needs beside it are about as much.
WORTH = 1024 * 1024
#: The size of a dictionary: zstd's own default.
WORDS = 112 * 1024
#: The bytes of its parts: objects say much the same at length. To look for the best size, as zstd does if it is given
#: none, takes five times as long and finds worse ones.
PART = 2000
#: zstd's; what more would save is not worth its time.
LEVEL = 3
#: A body is packed if that makes it smaller than this part of it.
PAYS = 0.9
#: Bodies after which a dictionary is trained on what comes then: objects change, and the first may be like no others.
#: Doubled each time, up to the second.
SOONEST, LATEST = 4096, 65536
#: It is taken if it needs less than this part of what the present one needs.
BETTER = 0.8
#: Dictionaries that may be alive; none is trained while there are so many. Each has what was packed with it.
ALIVE = 8
#: Idle contexts that are kept for each dictionary.
IDLE = 8
#: How zstd's frames begin, and no JSON.
MAGIC = b"("


class Dictionary:
    """Words, and how to pack and unpack with them; from any thread."""

    def __init__(self, words: zstandard.ZstdCompressionDict | None) -> None:
        """:param words: None is without any."""
        self._words = words
        if words is not None:
            words.precompute_compress(level=LEVEL)
        # zstd's contexts are for one thread at a time: who needs one takes it out of here, and puts it back. Both are
        # one step for Python's lists.
        self._packers: list[zstandard.ZstdCompressor] = []
        self._unpackers: list[zstandard.ZstdDecompressor] = []

    @property
    def size(self) -> int:
        """Bytes of the words."""
        return 0 if self._words is None else len(self._words)

    def pack(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Pack some bodies.

        :return: a frame for each, in memory of its own size; nothing stays nothing.
        """
        some: list[bytes | bytearray | memoryview] = [body for body in bodies if body]
        if not some:  # zstd wants at least one, and none that is empty
            return [b""] * len(bodies)
        try:
            packer = self._packers.pop()
        except IndexError:
            packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=self._words, write_dict_id=False)
        frames = packer.multi_compress_to_buffer(some)
        made = iter([frames[number].tobytes() for number in range(len(frames))])
        if len(self._packers) < IDLE:
            self._packers.append(packer)
        return [next(made) if body else b"" for body in bodies]

    def unpack(self, frame: bytes) -> bytes:
        """One body."""
        unpacker = self._unpacker()
        body: bytes = unpacker.decompress(frame)
        self._put_back(unpacker)
        return body

    def unpack_all(self, frames: Sequence[bytes]) -> list[bytes]:
        """Some bodies, at once."""
        unpacker = self._unpacker()
        bodies = unpacker.multi_decompress_to_buffer(list(frames))
        found = [bodies[number].tobytes() for number in range(len(bodies))]
        self._put_back(unpacker)
        return found

    def _unpacker(self) -> zstandard.ZstdDecompressor:
        try:
            return self._unpackers.pop()
        except IndexError:
            return zstandard.ZstdDecompressor(dict_data=self._words)

    def _put_back(self, unpacker: zstandard.ZstdDecompressor) -> None:
        if len(self._unpackers) < IDLE:
            self._unpackers.append(unpacker)


def train(samples: Sequence[bytes]) -> Dictionary | None:
    """Make a dictionary of what some bodies have in common.

    :return: None if that is too little.
    """
    try:
        beginnings: list[bytes | bytearray | memoryview] = [each[:SAMPLE] for each in samples]
        return Dictionary(zstandard.train_dictionary(WORDS, beginnings, k=PART, d=8, f=18, accel=1, split_point=1.0))
    except zstandard.ZstdError:
        return None


@dataclass(frozen=True, slots=True)
class PackingStatistics:
    """What packing has done so far."""

    compression: Compression
    #: Dictionaries that were taken.
    dictionaries: int
    #: Bytes of those that are needed still.
    dictionary_bytes: int
    #: Bodies that came since the present one was taken.
    dictionary_age: int
    #: Trainings that failed; the first of them was logged.
    failures: int
    #: Bytes of the bodies that could be packed, as they came and as they are kept.
    plain_bytes: int
    kept_bytes: int


def in_a_thread(work: Callable[[], None]) -> None:
    """Have something done in a thread that nobody waits for, not even the end of the process."""
    threading.Thread(target=work, name="workqueue-dictionary", daemon=True).start()


class Packer:
    """Packs the bodies of one cache, and sees to the dictionary. From any thread; nothing here ever raises."""

    def __init__(
        self, compression: Compression = "auto", *, aside: Callable[[Callable[[], None]], None] = in_a_thread
    ) -> None:
        """
        :param compression: "none" keeps bodies as they are; "zstd" packs all of them; "auto" those of a cache that is
            large enough.
        :param aside: gets what is to be done beside the packing, some 20 ms each time, and does it now or later, in
            whatever thread. Never more than one at a time.
        :raises ConfigurationError: if the compression is none of these.
        """
        if compression not in get_args(Compression):
            raise ConfigurationError(
                f"compression={compression!r}: expected one of {', '.join(map(repr, get_args(Compression)))}"
            )
        self.compression = compression
        self._aside = aside
        self._lock = threading.Lock()
        # All below are guarded by _lock.
        #: What bodies are packed with now; None while they are not. Replaced, never changed: it may be read without.
        self._dictionary = Dictionary(None) if compression == "zstd" else None
        self._alive = weakref.WeakSet[Dictionary]()
        #: Beginnings of bodies to train the next dictionary on; None while none is wanted, as while one is trained.
        self._samples: list[bytes] | None = None if compression == "none" else []
        #: One is trained: no other is until that has ended.
        self._is_training = False
        self._dictionaries = self._failures = 0
        self._plain_bytes = self._kept_bytes = 0
        #: Bodies that could be packed: so far, when the dictionary was taken, and at the next training, 0 before the
        #: first.
        self._bodies = self._taken_at = self._train_at = 0
        self._interval = SOONEST

    @property
    def dictionary(self) -> Dictionary | None:
        """What to pack with now; None if bodies are to stay as they are."""
        return self._dictionary

    def see(self, body: bytes, *, live: int) -> None:
        """Look at a body that came: it may be trained on.

        :param live: bytes of bodies that are kept, or will be.
        """
        with self._lock:
            samples = self._samples
            if samples is None:
                return
            if live < WORTH:
                samples.clear()
                return
            samples.append(body[:SAMPLE])
            if len(samples) < SAMPLES and sum(map(len, samples)) < SAMPLED:
                return
            self._samples = None
            self._is_training = True
            present, is_first = self._dictionary, not self._train_at
        training = functools.partial(self._train, samples, present)
        if present is None or is_first:
            training()
            return
        try:
            self._aside(training)
        except (RuntimeError, MemoryError) as error:  # no thread is to be had
            self._ended(None, failure=error)

    def _train(self, samples: Sequence[bytes], present: Dictionary | None) -> None:
        """Some 20 ms, without Python's lock; half of that to compare."""
        try:
            better = train(samples)
            if present is None:
                better = better or Dictionary(None)
            elif better is not None and not _is_better(better, present, samples):
                better = None
        except Exception as error:  # in a thread of its own nobody would hear of it, and no other would be trained
            self._ended(None, failure=error)
        else:
            self._ended(better)

    def _ended(self, better: Dictionary | None, *, failure: Exception | None = None) -> None:
        """A training is over.

        :param better: what to pack with from now on; None leaves what there is.
        :param failure: why none could be trained.
        """
        with self._lock:
            self._is_training = False
            if better is not None:
                self._dictionary = better
                self._alive.add(better)
                self._dictionaries += 1
                self._taken_at = self._bodies
            elif self._dictionary is None:
                self._samples = []
            self._train_at = self._bodies + self._interval
            self._interval = min(2 * self._interval, LATEST)
            self._failures += failure is not None
            is_news = self._failures == 1
        if failure is not None and is_news:
            logger.warning(
                "no dictionary could be trained; it is tried again later, and further failures are counted only",
                exc_info=failure,
            )

    def pack(self, dictionary: Dictionary, bodies: Sequence[bytes]) -> Sequence[bytes]:
        """Pack some bodies with :attr:`dictionary`.

        :return: a frame for each that is worth it, the others as they are.
        """
        try:
            frames = dictionary.pack(bodies)
        except (zstandard.ZstdError, MemoryError):
            # A cache that is too large is better than one that misses an event, in whose way this is.
            logger.warning("%d bodies could not be packed; they stay as they came", len(bodies), exc_info=True)
            return bodies
        kept = [frame if len(frame) < PAYS * len(body) else body for body, frame in zip(bodies, frames, strict=True)]
        with self._lock:
            self._plain_bytes += sum(map(len, bodies))
            self._kept_bytes += sum(map(len, kept))
            self._bodies += len(kept)
            wanted = self._bodies >= self._train_at and len(self._alive) < ALIVE
            if wanted and self._samples is None and not self._is_training:
                self._samples = []
        return kept

    def statistics(self) -> PackingStatistics:
        """The packer at this instant."""
        with self._lock:
            return PackingStatistics(
                compression=self.compression,
                dictionaries=self._dictionaries,
                dictionary_bytes=sum(each.size for each in self._alive),
                dictionary_age=self._bodies - self._taken_at,
                failures=self._failures,
                plain_bytes=self._plain_bytes,
                kept_bytes=self._kept_bytes,
            )


def _is_better(one: Dictionary, other: Dictionary, samples: Sequence[bytes]) -> bool:
    return sum(map(len, one.pack(samples))) < BETTER * sum(map(len, other.pack(samples)))
