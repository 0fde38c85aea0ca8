"""Adding keys never waits for workers, and a key that changes during its run runs exactly once more."""

from tests.control.conftest import settle
from workqueue.base.keys import ObjectKey
from workqueue.queues import RateLimitingQueue

KEYS = [ObjectKey("default", f"pod-{number}") for number in range(1_000)]


def test_a_key_added_during_its_run_runs_exactly_once_more(make, runs, gate):
    runs.answer = gate
    controller = make(runs, workers=2)
    controller.start()
    controller.add(KEYS[0])
    runs.wait(1)
    controller.add(KEYS[0])
    assert controller.queue.statistics().ready == 0, "the free worker must not get it"
    gate.set()
    runs.wait(2)
    settle(controller)
    assert len(runs) == 2


def test_while_all_workers_hang_a_thousand_keys_and_a_hundred_changes_are_taken_in(make, runs, gate):
    """The gate opens only after all of them were added: were an add to wait for a worker, this would never end."""
    runs.answer = gate
    controller = make(runs, workers=4)
    controller.start()
    for key in KEYS[:4]:
        controller.add(key)
    runs.wait(4)
    for key in KEYS[4:]:
        controller.add(key)
    statistics = controller.queue.statistics()
    assert (statistics.depth, statistics.ready, statistics.processing) == (996, 996, 4)
    assert len(runs) == 4

    for _ in range(100):
        controller.add(KEYS[0])
    statistics = controller.queue.statistics()
    assert (statistics.depth, statistics.ready, statistics.processing) == (997, 996, 4)

    gate.set()
    runs.wait(1_001)
    settle(controller)
    assert [runs.of(key) for key in KEYS[:5]] == [2, 1, 1, 1, 1]
    assert len(runs) == 1_001
    assert set(runs.keys) == set(KEYS)


def test_a_reconcile_function_may_add_keys_its_own_included(make, runs):
    def answer(request):
        if len(runs) == 1:
            controller.add(request.key)
            controller.add(KEYS[1])

    runs.answer = answer
    controller = make(runs)
    controller.add(KEYS[0])
    controller.start()
    runs.wait(3)
    settle(controller)
    # In client-go's queue its own key comes back after its done, in a priority queue it keeps the turn of its add.
    client_go = [KEYS[0], KEYS[1], KEYS[0]]
    assert runs.keys == (client_go if isinstance(controller.queue, RateLimitingQueue) else sorted(client_go))
