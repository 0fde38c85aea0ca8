"""Who takes pods in: names, and how each is started.

Everybody gets the same from the environment: where the cluster is, and what is going to happen.
"""

import importlib.util
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.bench.build import INFORMERS
from tests.golang import BuildError

HERE = Path(__file__).resolve().parent

STREAM, HANDLERS = "ours, stream lane", "ours, handlers lane"
GO_JSON, GO_PROTOBUF = "client-go, JSON", "client-go, protobuf"
ON_EVENT, ON_EVENT_QUIET = "kopf.on.event", "kopf.on.event, --quiet"
ON_EVENT_SLEEPING = "kopf.on.event, a plain function"
SHARED_INFORMER, SINK = "kubernetes SharedInformer", "empty sink"
OURS = {STREAM: "stream", HANDLERS: "handlers"}


class Absent(Exception):
    """This subject cannot be had here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a subject is told beforehand.

    objects: how many pods there are; events: how many changes follow; workers, sleep, spin: who works on keys, and how
    many seconds each takes of sleep and of computing; gc: whether Python collects garbage; seconds: how long readers of
    a cache are in each other's way, if they are told to be.
    """

    objects: int
    events: int = 0
    workers: int = 16
    sleep: float = 0.0
    spin: float = 0.0
    gc: bool = True
    seconds: float = 1.0

    def environment(self) -> dict[str, str]:
        """The same for subjects in Python."""
        return {
            "BENCH_OBJECTS": str(self.objects),
            "BENCH_EVENTS": str(self.events),
            "BENCH_WORKERS": str(self.workers),
            "BENCH_SLEEP": str(self.sleep),
            "BENCH_SPIN": str(self.spin),
            "BENCH_GC": "on" if self.gc else "off",
            "BENCH_SECONDS": str(self.seconds),
        }

    def flags(self) -> list[str]:
        """The same for the one in Go."""
        numbers = {"objects": self.objects, "events": self.events, "workers": self.workers}
        times = {"sleep": self.sleep, "spin": self.spin}
        return [f"-{name}={value}" for name, value in {**numbers, **times}.items()]


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is run, and what is added to the environment."""

    words: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def command(name: str, load: Load) -> Command:
    """How the subject of that name is started; Absent if it cannot be."""
    if name in OURS:
        return Command(words=_kopf("ours.py"), environment={**load.environment(), "BENCH_LANE": OURS[name]})
    if name in (ON_EVENT, ON_EVENT_QUIET):  # by default Kopf logs a line for each event
        quiet = ["--quiet"] if name == ON_EVENT_QUIET else []
        return Command(words=_kopf("on_event.py", *quiet), environment=load.environment())
    if name == ON_EVENT_SLEEPING:
        return Command(words=_kopf("sleeping.py", "--quiet"), environment=load.environment())
    if name in (GO_JSON, GO_PROTOBUF):
        wire = "protobuf" if name == GO_PROTOBUF else "json"
        try:
            binary = INFORMERS.ensure()
        except BuildError as error:
            raise Absent(str(error)) from None
        return Command(words=[str(binary), f"-wire={wire}", *load.flags()])
    if name == SHARED_INFORMER and importlib.util.find_spec("kubernetes.informer") is None:
        raise Absent(f"kubernetes {version('kubernetes')} has no informer yet")
    modules = {SHARED_INFORMER: "shared_informer", SINK: "sink"}
    words = [sys.executable, "-m", f"tests.bench.intake.{modules[name]}"]
    return Command(words=words, environment=load.environment())


def _kopf(file: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "kopf", "run", "-A", "--standalone", *options, str(HERE / file)]
