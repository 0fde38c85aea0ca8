"""Bodies of several kinds, and what a packer makes of them."""

import functools
import json
import random

from tests.bench.intake import pods
from workqueue.cache.batches import BATCH
from workqueue.cache.packing import MAGIC, SAMPLES, WORTH

LIVE = WORTH


def pod(number, version=0):
    made = pods.stored(number, version)
    made["metadata"].pop("managedFields", None)
    return made


def body(number, kind="pod"):
    """Like the others of its kind, and unlike those of another."""
    if kind == "pod":
        return json.dumps(pod(number, number), separators=(",", ":")).encode()
    words = vocabulary(kind)
    chance = random.Random(f"{kind} {number}")
    return json.dumps({"metadata": {"name": f"{kind}-{number}"}, "words": chance.sample(words, 40)}).encode()


@functools.cache
def vocabulary(kind):
    chance = random.Random(kind)
    return ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=20)) for _ in range(200)]


def fill(packer, kind="pod", count=SAMPLES, start=0):
    """So many bodies come and are packed if that can be; what is kept of them."""
    kept = []
    for first in range(start, start + count, BATCH):
        bodies = [body(number, kind) for number in range(first, min(first + BATCH, start + count))]
        for each in bodies:
            packer.see(each, live=LIVE)
        dictionary = packer.dictionary
        frames = packer.pack(dictionary, bodies) if dictionary is not None else bodies
        kept += [(each, frame, dictionary) for each, frame in zip(bodies, frames, strict=True)]
    return kept


def read(kept):
    return [dictionary.unpack(frame) if frame.startswith(MAGIC) else frame for _, frame, dictionary in kept]
