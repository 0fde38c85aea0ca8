"""Which schedules there are, and that the classic bugs are among them."""

import itertools
import re
import threading
import time
from math import comb

import pytest

from workqueue.testing import NotDeterministic, ScheduleFailed, explore, explore_random, replay


def steps(count):
    """A thread of so many steps, counting the one that begins it: each ends where a lock is asked for."""

    def scenario(run):
        lock = threading.Lock()

        def step():
            for _ in range(count - 1):
                with lock:
                    pass

        for number in range(2):
            run.thread(step, name=f"thread-{number}")

    return scenario


def counted_by_hand(count, preemptions):
    """Two threads of n steps take turns in blocks: with p preemptions in p + 2 of them, for one change is free.

    The first thread has (p + 3) // 2 of the blocks, to cut n steps into k blocks there are C(n - 1, k - 1) ways, and
    either thread may be the first.
    """
    total = 0
    for p in range(preemptions + 1):
        first, second = (p + 3) // 2, (p + 2) // 2
        total += 2 * comb(count - 1, first - 1) * comb(count - 1, second - 1)
    return total


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("preemptions", [0, 1, 2, 3])
def test_there_are_as_many_schedules_as_counted_by_hand(count, preemptions):
    report = explore(steps(count), preemptions=preemptions)
    assert report.schedules == counted_by_hand(count, preemptions)
    # Each step, and the end that is seen.
    assert report.longest == 2 * count + 1
    assert report.points == report.schedules * report.longest


def test_a_few_numbers_to_be_read():
    assert [explore(steps(4), preemptions=most).schedules for most in (0, 1, 2)] == [2, 8, 26]


def test_with_enough_preemptions_all_schedules_there_are_are_met_and_it_says_so():
    report = explore(steps(4), preemptions=100)
    assert report.schedules == comb(8, 4)
    assert report.exhaustive
    assert "70 schedules, all there are" in str(report)
    report = explore(steps(4), preemptions=5)
    assert report.schedules == comb(8, 4) - 2  # the two in which they take turns at each step have six
    assert not report.exhaustive
    assert "68 schedules, all with at most 5 preemptions: 612 points, 9 in the longest" in str(report)


def test_every_schedule_is_met_once():
    met = []

    def scenario(run):
        lock = threading.Lock()
        history = []

        def step(name):
            for _ in range(2):
                with lock:
                    history.append(name)

        for name in "abc":
            run.thread(step, args=[name], name=name)
        run.afterwards(lambda: met.append("".join(history)))

    report = explore(scenario, preemptions=100)
    met = met[-report.schedules :]
    assert set(met) == {"".join(each) for each in itertools.permutations("aabbcc")}
    assert report.schedules == 9 * 8 * 7 * comb(6, 3) // 6  # three threads of three steps


@pytest.mark.parametrize(("count", "schedules"), [(1, 1), (2, 2), (3, 6), (4, 24)])
def test_who_begins_is_tried_in_each_order(count, schedules):
    def scenario(run):
        for _ in range(count):
            run.thread(lambda: None, name="thread")

    assert explore(scenario, preemptions=0).schedules == schedules


def test_interchangeable_threads_begin_in_one_order_only():
    def scenario(run):
        lock = threading.Lock()

        def step():
            with lock, lock_of_two:
                pass

        lock_of_two = threading.Lock()
        add = run.threads if alike else lambda target, *, count: [run.thread(target) for _ in range(count)]
        add(step, count=2)

    alike = False
    different = explore(scenario, preemptions=100).schedules
    alike = True
    assert explore(scenario, preemptions=100).schedules * 2 == different


def test_a_scenario_without_threads_has_one_schedule():
    assert explore(lambda run: None).schedules == 1
    assert explore_random(lambda run: None, seed=1, runs=3).schedules == 3


# The bugs of the textbooks.


def lost_update(run):
    lock = threading.Lock()
    box = [0]

    def add():
        with lock:
            seen = box[0]
        with lock:
            box[0] = seen + 1

    run.threads(add, count=2)

    @run.afterwards
    def check():
        assert box[0] == 2, "an update was lost"


def embrace(run):
    left, right = threading.Lock(), threading.Lock()

    def one():
        with left, right:
            pass

    def other():
        with right, left:
            pass

    run.thread(one)
    run.thread(other)


def forgotten_wake_up(run):
    """Two consumers sleep, two items come at once: one notify wakes one of them, who takes one."""
    changed = threading.Condition()
    items = []

    def consume():
        with changed:
            while not items:
                changed.wait()
            items.pop()

    def produce():
        with changed:
            items.extend([1, 2])
            changed.notify()

    run.threads(consume, count=2)
    run.thread(produce)


def stolen_item(run):
    """Who is woken does not look again: another was faster."""
    changed = threading.Condition()
    items = []

    def consume():
        with changed:
            if not items:
                changed.wait()
            items.pop()

    def produce():
        for _ in range(2):
            with changed:
                items.append(1)
                changed.notify()

    run.threads(consume, count=2)
    run.thread(produce)


def checked_too_early(run):
    """Between the look without the lock and the deed with it, another comes."""
    lock = threading.Lock()
    made = []

    def get():
        if not made:
            with lock:
                made.append(1)

    run.threads(get, count=2)

    @run.afterwards
    def check():
        assert made == [1]


BUGS = [
    pytest.param(lost_update, 1, "an update was lost", id="lost update"),
    pytest.param(embrace, 1, "deadlock", id="embrace"),
    pytest.param(forgotten_wake_up, 0, "deadlock", id="forgotten wake-up"),
    pytest.param(stolen_item, 1, "pop from empty list", id="stolen item"),
    pytest.param(checked_too_early, 1, "assert [1, 1] == [1]", id="checked too early"),
]


@pytest.mark.parametrize(("scenario", "preemptions", "text"), BUGS)
def test_a_classic_bug_is_found_with_the_fewest_preemptions_it_takes(scenario, preemptions, text):
    if preemptions:
        explore(scenario, preemptions=preemptions - 1)
    with pytest.raises(ScheduleFailed) as failed:
        explore(scenario)
    assert text in str(failed.value)
    assert f"at most {preemptions} preemptions" in str(failed.value)
    assert f"schedule={failed.value.schedule!r}" in str(failed.value)
    with pytest.raises(ScheduleFailed) as again:
        replay(scenario, schedule=failed.value.schedule)
    assert text in str(again.value)
    assert again.value.trace == failed.value.trace


def test_a_failure_tells_what_every_thread_did_and_what_it_waits_for():
    with pytest.raises(ScheduleFailed) as failed:
        explore(forgotten_wake_up)
    told = re.sub(r"\S*tests\S+\.py:\d+", "FILE:LINE", str(failed.value)).splitlines()
    condition = "condition 1 of rlock 1 (changed)"
    assert told == [
        "deadlock: nobody can go on",
        f"  2 consume-2: sleeps on {condition} and was not notified  at FILE:LINE in consume",
        "(schedule 1 of those with at most 0 preemptions)",
        "",
        "to see it again: replay(scenario, schedule='1')",
        "",
        "       rlock 1 (changed) was made  at FILE:LINE in forgotten_wake_up",
        "    1  1 consume: begins",
        "    2  1 consume: acquires rlock 1 (changed)  at FILE:LINE in consume",
        f"       1 consume: sleeps on {condition}  at FILE:LINE in consume",
        "    3  2 consume-2: begins",
        "    4  2 consume-2: acquires rlock 1 (changed)  at FILE:LINE in consume",
        f"       2 consume-2: sleeps on {condition}  at FILE:LINE in consume",
        "    5  3 produce: begins",
        "    6  3 produce: acquires rlock 1 (changed)  at FILE:LINE in produce",
        f"       3 produce: notifies {condition}: 1 consume  at FILE:LINE in produce",
        f"    7  1 consume: wakes on {condition}, notified  at FILE:LINE in consume",
    ]


@pytest.mark.parametrize(("scenario", "preemptions", "text"), BUGS)
def test_a_classic_bug_is_found_by_chance(scenario, preemptions, text):
    with pytest.raises(ScheduleFailed) as failed:
        explore_random(scenario, seed=7, runs=200)
    assert text in str(failed.value)
    assert "seed 7" in str(failed.value)
    with pytest.raises(ScheduleFailed) as again:
        explore_random(scenario, seed=7, runs=200)
    assert again.value.schedule == failed.value.schedule
    with pytest.raises(ScheduleFailed, match=r"\(replayed\)"):
        replay(scenario, schedule=failed.value.schedule)


def test_random_schedules_of_code_without_bugs_are_reported_with_their_seed():
    report = explore_random(steps(5), seed=11, runs=50)
    assert (report.schedules, report.seed, report.longest) == (50, 11, 11)
    assert "50 random schedules (seed 11): 550 points" in str(report)


def test_another_seed_draws_other_schedules():
    def history_of(seed):
        histories = []

        def scenario(run):
            lock = threading.Lock()
            history = []

            def step(name):
                for _ in range(5):
                    with lock:
                        history.append(name)

            for name in "abcd":
                run.thread(step, args=[name])
            run.afterwards(lambda: histories.append("".join(history)))

        explore_random(scenario, seed=seed, runs=20)
        return histories

    assert history_of(1) == history_of(1)
    assert history_of(1) != history_of(2)
    assert len(set(history_of(1))) > 10


# Where a schedule may switch.


def outcomes(scenario, grain, preemptions=100):
    """What can come of it; the scenario returns what is looked at in the end."""
    met = set()

    def collecting(run):
        result = scenario(run)
        run.afterwards(lambda: met.add(tuple(result)))

    explore(collecting, preemptions=preemptions, grain=grain)
    return met


def with_conditions(run):
    changed = threading.Condition(threading.Lock())
    history = []

    def wait(name):
        with changed:
            while "go" not in history:
                changed.wait()
            history.append(name)

    def go():
        with changed:
            history.append("go")
            changed.notify_all()

    run.thread(wait, args=["a"])
    run.thread(wait, args=["b"])
    run.thread(go)
    return history


def with_two_locks(run):
    one, two = threading.Lock(), threading.RLock()
    history = []

    def nest(name):
        with one:
            history.append(name + "1")
            with two, two:
                history.append(name + "2")

    def single(name):
        with two:
            history.append(name + "2")

    run.thread(nest, args=["a"])
    run.thread(nest, args=["b"])
    run.thread(single, args=["c"])
    return history


@pytest.mark.parametrize("preemptions", [0, 1, 2])
@pytest.mark.parametrize("scenario", [with_conditions, with_two_locks])
def test_where_data_is_guarded_by_locks_coarse_schedules_show_all_that_fine_ones_do(scenario, preemptions):
    coarse = outcomes(scenario, "coarse", preemptions)
    assert coarse == outcomes(scenario, "fine", preemptions)
    assert len(coarse) > 1


def test_a_fine_schedule_shows_what_is_done_without_the_lock_after_a_release():
    def scenario(run):
        lock = threading.Lock()
        box = [0]

        def add():
            with lock:
                seen = box[0]
            box[0] = seen + 1

        run.threads(add, count=2)
        return box

    assert outcomes(scenario, "coarse") == {(2,)}
    assert outcomes(scenario, "fine") == {(1,), (2,)}


def test_a_fine_schedule_shows_a_lock_that_is_tried_in_vain():
    def scenario(run):
        lock = threading.Lock()
        results = []

        def hold():
            with lock:
                pass

        def attempt():
            results.append(lock.acquire(blocking=False))
            if results[0]:
                lock.release()

        run.thread(hold)
        run.thread(attempt)
        return results

    assert outcomes(scenario, "coarse") == {(True,)}
    assert outcomes(scenario, "fine") == {(True,), (False,)}


def test_a_fine_schedule_is_told_as_such_and_replayed():
    def scenario(run):
        lock = threading.Lock()
        box = [0]

        def add():
            with lock:
                seen = box[0]
            box[0] = seen + 1

        run.threads(add, count=2)
        run.afterwards(lambda: box[0] == 2 or pytest.fail("lost"))

    with pytest.raises(ScheduleFailed, match="lost") as failed:
        explore(scenario, grain="fine")
    assert failed.value.schedule.startswith("fine ")
    with pytest.raises(ScheduleFailed, match="lost"):
        replay(scenario, schedule=failed.value.schedule)


def test_a_scenario_may_name_points_of_its_own():
    def scenario(run):
        box = [0]

        def add():
            seen = box[0]
            run.pause()
            box[0] = seen + 1

        run.threads(add, count=2)
        return box

    assert outcomes(scenario, "coarse") == {(1,), (2,)}


# What cannot be explored.


def test_more_schedules_than_allowed_are_an_error():
    assert explore(steps(4), at_most=26).schedules == 26
    with pytest.raises(ValueError, match="more than 25 schedules with at most 2 preemptions"):
        explore(steps(4), at_most=25)


def test_threads_that_keep_each_other_busy_for_ever_fail():
    def scenario(run):
        lock = threading.Lock()

        def poll():
            while True:
                with lock:
                    pass

        run.thread(poll)

    with pytest.raises(ScheduleFailed, match="no end after 200 points") as failed:
        explore(scenario, endless_after=200)
    assert "1 poll: waits for lock 1 (lock)" in str(failed.value)


def test_who_polls_with_a_sleep_lets_others_go_on():
    def scenario(run):
        lock = threading.Lock()
        done = []

        def poll():
            while True:
                with lock:
                    if done:
                        return
                time.sleep(0)

        def work():
            with lock:
                done.append(1)

        run.thread(poll)
        run.thread(work)

    assert explore(scenario).schedules > 2


def test_a_scenario_that_is_not_the_same_each_time_is_found_out():
    runs = itertools.count()

    def scenario(run):
        lock = threading.Lock()
        count = 2 + next(runs) % 2

        def step():
            for _ in range(count):
                with lock:
                    pass

        run.thread(step)
        run.thread(step)

    with pytest.raises(NotDeterministic) as found:
        explore(scenario)
    for cause in ("real time", "random numbers", "order of a set", "cache"):
        assert cause in str(found.value)


def test_it_is_also_found_out_where_other_threads_can_go_on():
    runs = itertools.count()

    def scenario(run):
        for _ in range(2 + next(runs) % 2):
            run.thread(lambda: None, name="thread")

    with pytest.raises(NotDeterministic, match=r"threads \(1, 2, 3\) could go on at point 0, now \(1, 2\) at 0"):
        explore(scenario)


def test_it_is_also_found_out_where_only_some_schedules_differ():
    odd = itertools.count()

    def scenario(run):
        lock = threading.Lock()
        order = []

        def step(name):
            order.append(name)
            for _ in range(2 + (order == ["b"] and next(odd) % 2)):
                with lock:
                    pass

        run.thread(step, args=["a"])
        run.thread(step, args=["b"])

    with pytest.raises(NotDeterministic, match="could go on at point"):
        explore(scenario)


def test_it_is_also_found_out_where_runs_grow_after_the_points_that_are_looked_at():
    runs = itertools.count()

    def scenario(run):
        lock = threading.Lock()
        count = 2 + (next(runs) > 5)

        def step():
            for _ in range(count):
                with lock:
                    pass

        run.thread(step)
        run.thread(step)

    with pytest.raises(
        NotDeterministic, match=r"While nobody was preempted, threads went on as 1\*3 2\*3 0, and then as 1\*4"
    ):
        explore(scenario)


def test_a_failure_that_does_not_come_again_is_found_out():
    runs = itertools.count()

    def scenario(run):
        number = next(runs)
        run.thread(lambda: None)
        run.afterwards(lambda: number == 1 and pytest.fail("this once"))

    with pytest.raises(NotDeterministic, match=r"this once\nfailed; the same schedule once more: nothing"):
        explore(scenario)


def test_what_is_made_for_good_in_the_first_run_is_no_difference():
    made = []

    def scenario(run):
        if not made:
            made.append(threading.Lock())
            with made[0]:
                pass
        lock = threading.Lock()

        def step():
            with lock, made[0]:
                pass

        run.threads(step, count=2)

    explore(scenario)
    with made[0]:  # and it goes on as an ordinary lock, also in another exploration
        assert not made[0].acquire(blocking=False)
    explore(scenario)


def test_a_schedule_that_does_not_fit_is_found_out():
    with pytest.raises(NotDeterministic, match="thread 3 should go on at point 1, but only"):
        replay(steps(3), schedule="1 3")


@pytest.mark.parametrize("schedule", ["1*", "a", "1*2 x", "-1", "1*2*3", "coarse 1"])
def test_a_text_that_is_no_schedule_is_refused(schedule):
    with pytest.raises(ValueError, match="a schedule reads like"):
        replay(steps(3), schedule=schedule)


def test_a_schedule_may_be_empty_or_only_a_beginning():
    assert replay(steps(2), schedule="").count("begins") == 2
    lines = replay(steps(2), schedule="1 2*2").splitlines()
    assert [line.split(":")[0].split()[-2:] for line in lines if ": begins" in line or "acquires" in line] == [
        ["1", "thread-0"],
        ["2", "thread-1"],
        ["2", "thread-1"],
        ["1", "thread-0"],
    ]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: explore(steps(2), preemptions=-1), "preemptions=-1"),
        (lambda: explore(steps(2), grain="medium"), "grain='medium'"),
        (lambda: explore(steps(2), endless_after=0), "endless_after=0"),
        (lambda: explore(steps(2), patience=0), "patience=0"),
        (lambda: explore(steps(2), patience=float("nan")), "patience=nan"),
        (lambda: explore_random(steps(2), seed=1, runs=0), "runs=0"),
        (lambda: explore_random(steps(2), seed=1, runs=1, changes=-1), "changes=-1"),
    ],
)
def test_senseless_parameters_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
