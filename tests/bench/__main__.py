"""Run the benchmarks: each module here that has a ``main()``, in the order of the names.

``python -m tests.bench`` runs all; ``python -m tests.bench queue workers`` those named. ``--write PAGE``, such as
``docs/benchmarks.md``, runs what is on that page, and writes it; ``--quick`` is for trying whether it runs.
``BENCH_SIZES=1000,20000`` chooses other sizes of queues; ``sync --pods 300 --only ours`` fewer pods, and of those who
take them in those whose name has this. One benchmark runs in one process of its own: what the one before left in
memory would slow the next.
"""

import argparse
import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tests.bench
from tests.bench import machine, page, records
from tests.bench.scale import CHOSEN, scale
from tests.bench.turns import ROOT


def names() -> list[str]:
    """The benchmarks there are: ``queue`` for ``bench_queue.py``."""
    prefix = "bench_"
    return sorted(
        module.name.removeprefix(prefix)
        for module in pkgutil.iter_modules(tests.bench.__path__)
        if module.name.startswith(prefix)
    )


def run(wanted: list[str]) -> list[str]:
    """Run the benchmarks of those names; return those that failed."""
    failed = []
    for name in wanted:
        print(f"== {name}", flush=True)
        code = f"from tests.bench.bench_{name} import main; main()"
        if subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode:
            failed.append(name)
        print(flush=True)
    return failed


def _count(text: str) -> int:
    """A number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main(arguments: list[str]) -> int:
    """Run what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Timings, printed and never asserted.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="few and small: to try whether it runs")
    parser.add_argument("--write", type=Path, metavar="PAGE", help=" or ".join(machine.GENERATED))
    for name in CHOSEN:
        parser.add_argument(f"--{name}", type=_count, metavar="N", help="see Scale in tests/bench/scale.py")
    parser.add_argument("--only", metavar="TEXT", help="of the intake's subjects those whose name has this")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - set(names())):
        print(f"error: no benchmark {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    if asked.write and (asked.names or asked.only):
        print("error: a page wants all its benchmarks: it has one date, one commit and one machine", file=sys.stderr)
        return 2
    chosen = asked.names or names()
    if asked.write:
        pages = {Path(each).name: benchmarks for each, benchmarks in machine.GENERATED.items()}
        if asked.write.name not in pages:
            print(f"error: no page {asked.write.name}; there are: {', '.join(sorted(pages))}", file=sys.stderr)
            return 2
        chosen = list(pages[asked.write.name])
    for name in (*CHOSEN, "only"):
        if (value := getattr(asked, name)) is not None:
            os.environ[f"BENCH_{name.upper()}"] = str(value)
    if asked.quick:
        os.environ["BENCH_QUICK"] = "1"
    if asked.write and asked.write.exists():
        page.by_hand(asked.write.read_text(encoding="utf-8"))  # rather now than when all is measured
    facts = machine.facts() if asked.write else {}
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "records")
        saved.touch()
        os.environ[records.FILE] = str(saved)
        failed = run(chosen)
        if failed:
            print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
            return 1
        if asked.write:
            page.write(asked.write, page.sections(chosen, records.load(saved)), facts, scale())
            print(f"written: {asked.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
