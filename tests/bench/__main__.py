"""Run every benchmark: each module here that has a ``main()``, in the order of the names.

``python -m tests.bench`` runs all; ``python -m tests.bench queue workers`` those named. One benchmark
runs in one process of its own: what the one before left in memory would slow the next.
"""

import pkgutil
import subprocess
import sys

import tests.bench


def names() -> list[str]:
    """The benchmarks there are: ``queue`` for ``bench_queue.py``."""
    prefix = "bench_"
    return sorted(
        module.name.removeprefix(prefix)
        for module in pkgutil.iter_modules(tests.bench.__path__)
        if module.name.startswith(prefix)
    )


def main(wanted: list[str]) -> int:
    """Run the benchmarks of those names, all if none is named; return the exit status."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"error: no benchmark {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted or names():
        print(f"== {name}", flush=True)
        code = f"from tests.bench.bench_{name} import main; main()"
        if subprocess.run([sys.executable, "-c", code], check=False).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
