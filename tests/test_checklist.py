"""tests/README.md is kept honest: what it says is tested has a test of that name, and nothing is left out."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "tests" / "README.md"

#: Every property that the README must have a row for; it may have more.
REQUIRED = {
    # tools/cache/reflector_test.go, reflector_watchlist_test.go
    "reflector/list-and-watch",
    "reflector/expired",
    "reflector/full-list-if-expired",
    "reflector/too-large",
    "reflector/too-many-requests",
    "reflector/replace-on-error",
    "watchlist/no-bookmark",
    "watchlist/unsupported",
    "watchlist/annotation-true",
    "random/reflector",
    # util/workqueue/queue_test.go
    "queue/many-producers-and-workers",
    "queue/add-while-processing",
    "queue/length",
    "queue/reinsert",
    "queue/collapse",
    "queue/collapse-while-processing",
    "queue/drain-waits-for-the-last-done",
    "queue/shutdown-does-not-wait",
    "queue/shutdown-releases-a-drain",
    "queue/drain-delivers-what-was-added-again",
    "queue/garbage",
    # util/workqueue/delaying_queue_test.go
    "delaying/not-early-and-once",
    "delaying/earliest-wins",
    "delaying/by-time",
    "delaying/due-together",
    # util/workqueue/rate_limiting_queue_test.go
    "ratelimiting/per-key-backoff-and-forget",
    # util/workqueue/default_rate_limiters_test.go
    "limiter/exponential",
    "limiter/exponential-overflow",
    "limiter/fast-slow",
    "limiter/max-of",
    "limiter/max-wait",
    # util/workqueue/parallelizer_test.go
    "parallelizer/every-piece-once",
    # pkg/controller/priorityqueue/priorityqueue_test.go, and the metrics of internal/metrics/workqueue_test.go
    "priority/returns-a-key",
    "priority/in-order",
    "priority/not-in-two-hands",
    "priority/back-once-done",
    "priority/de-duplicates",
    "priority/asked-for-in-hands",
    "priority/keeps-the-highest",
    "priority/never-lowers",
    "priority/raised-goes-ahead",
    "priority/earliest-time",
    "priority/length-without-waiting",
    "priority/get-after-shutdown",
    "priority/many-keys",
    "priority/counted-once-when-added",
    "priority/counted-where-raised",
    "priority/fifo-inside-a-priority",
    "priority/fuzz",
    "priority/high-before-low",
    "priority/not-before-its-time",
    "priority/became-ready-high",
    "priority/at-once",
    "priority/now-beats-later",
    "priority/by-time",
    "priority/shutdown-wakes",
    "priority/counted-once-ready",
    "priority/due-and-added",
    "priority/rate-limited-apart",
    "priority/no-deadlock",
    "priority/many-priorities",
    # Defects of client-go's and controller-runtime's queues that ours do not have.
    "departure/drain",
    "departure/done",
    "departure/second-shutdown",
    "departure/priority-drain",
    # tools/cache/store_test.go
    "store/contract",
    "store/contract-of-every-store",
    "store/transform",
    "store/index",
    "store/key-error",
    "store/transaction-errors",
    "store/unmeasured-by-default",
    # tools/cache/index_test.go
    "index/values",
    "index/many-values-of-one-object",
    # tools/cache/thread_safe_store_test.go
    "thread-safe-store/empty-sets-are-removed",
    "thread-safe-store/other-keys-stay-indexed",
    "thread-safe-store/values-follow-updates",
    "thread-safe-store/resource-version",
    # tools/cache/object-names_test.go
    "names/round-trip",
    # tools/cache/listers_test.go
    "lister/selectors-and-namespace",
    # Failure stories of queues.
    *(f"story/{number}" for number in range(5, 10)),
    # tools/record: event_test.go, events_cache_test.go, util/util_test.go
    "events/fields",
    "events/no-namespace",
    "events/write-errors",
    "events/expired",
    "events/cancelled",
    "events/shutdown",
    "events/many",
    "events/fresh-memory",
    "events/aggregate-key",
    "events/correlator",
    "events/spam-key",
    "events/names",
    # The work queue, point by point.
    *(f"B{number}" for number in range(1, 10)),
    # The pod controller, point by point.
    *(f"A{number}" for number in range(1, 15)),
    # The sample controller, point by point.
    *("C1", "C2", "C3", "C4/create", "C4/foreign", "C4/absorbed", "C4/status", "C4/writes", "C5"),
}

ROW = re.compile(r"\| (?P<id>[^ |]+) \| (?P<property>[^|]*[^| ]) \| (?P<tests>[^|]*) \|")
TEST = re.compile(r"(?P<path>tests/[\w/]+\.py)::(?P<name>\w+(?:::\w+)?)")


def rows():
    """Of each row: id, property, tests."""
    table = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [
        line if (match := ROW.fullmatch(line)) is None else match.group("id", "property", "tests")
        for line in table
        if not re.fullmatch(r"\| id \|.*|[|\s:-]+", line)
    ]


@cache
def contract_tests():
    """The tests of each contract that is shipped, by its class: its own, and those of the contracts it is made of."""
    found = {}
    for path in sorted((ROOT / "workqueue/testing/contracts").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = methods(node).union(*(found.get(base, ()) for base in bases(node)))
    return found


def methods(node):
    return {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}


def bases(node):
    return [base.id for base in node.bases if isinstance(base, ast.Name)]


@cache
def named_tests(path):
    """The names of the tests in a file, without running it: functions, methods, and assigned classes."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            functions = methods(node).union(*(contract_tests().get(base, ()) for base in bases(node)))
            found |= {node.name} | {f"{node.name}::{function}" for function in functions}
        elif isinstance(node, ast.Assign):  # hypothesis: TestX = Machine.TestCase
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_") or name.startswith("Test")}


def test_every_row_of_the_readme_can_be_read():
    assert rows()
    assert not [row for row in rows() if isinstance(row, str)], (
        "expected: | id | property | tests/…/test_x.py::test_y |"
    )


def test_no_id_of_the_readme_is_there_twice():
    ids = [row[0] for row in rows()]
    assert not {name for name in ids if ids.count(name) > 1}


def test_every_row_of_the_readme_names_tests_that_exist():
    wrong = []
    for name, _, tests in rows():
        for test in tests.split(", "):
            match = TEST.fullmatch(test)
            if match is None:
                wrong.append(f"{name}: {test!r} is no test, expected tests/…/test_x.py::test_y")
                continue
            path = ROOT / match["path"]
            if not path.is_file():
                wrong.append(f"{name}: no file {match['path']}")
            elif match["name"] not in named_tests(path):
                wrong.append(f"{name}: no test {match['name']} in {match['path']}")
    assert not wrong, "\n".join(wrong)


def test_no_required_property_is_missing_from_the_readme():
    missing = REQUIRED - {row[0] for row in rows()}
    assert not missing, f"no row for {', '.join(sorted(missing))}"
