"""What a figure depends on: the day, the commit, the machine, the versions. No names of machines or of anybody."""

import datetime as dt
import os
import platform
import re
import subprocess
from pathlib import Path

from tests.bench.build import versions
from tests.bench.turns import ROOT, go_version

#: The pages of figures, and the benchmarks of each. Beside these the whole tree has to be as committed.
GENERATED = {
    "docs/benchmarks.md": ("delays", "idle", "queue"),
    "docs/benchmarks-controller.md": ("hung", "workers"),
    "docs/benchmarks-intake.md": ("latency", "sync", "updates"),
    "docs/benchmarks-cache.md": ("cache", "memory"),
}


def facts() -> dict[str, str]:
    """What is known, in the order in which it is told."""
    go = go_version()
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": f"{processor()}, {cores()} cores",
        "memory": f"{memory():.0f} GiB",
        "system": f"{platform.system()} {release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Go": go.removeprefix("go") or "none: Go's queues were not measured",
        **(versions() if go else {}),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }


def commit() -> str:
    """The commit and whether there is anything beside it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = [line for line in _git("status", "--porcelain").splitlines() if not line.endswith(tuple(GENERATED))]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name} and changes that are not committed" if changed else name


def processor() -> str:
    """The model's name, as the kernel has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def release() -> str:
    """The kernel's numbers, without what its builder calls it."""
    found = re.match(r"\d+(\.\d+)*", platform.release())
    return found.group() if found else ""


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """In GiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip()
