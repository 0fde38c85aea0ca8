"""The limiters alone.

Properties asserted by client-go's util/workqueue/default_rate_limiters_test.go; numbers that client-go
itself gave (v0.36.3, golang.org/x/time v0.14.0); and the edges of ours.
"""

import math
import sys
import threading

import pytest

from workqueue.base.errors import ConfigurationError
from workqueue.queues import (
    BucketRateLimiter,
    ItemExponentialFailureRateLimiter,
    ItemFastSlowRateLimiter,
    MaxOfRateLimiter,
    WithMaxWaitRateLimiter,
    default_controller_rate_limiter,
)

from .conftest import PATIENCE

#: math.MaxInt64 nanoseconds in seconds: golang.org/x/time/rate InfDuration.
FOREVER = (2**63 - 1) / 1e9


def whens(limiter, key, count):
    return [limiter.when(key) for _ in range(count)]


# Exponential.


def test_the_exponential_delay_doubles_with_each_failure_up_to_its_limit():
    limiter = ItemExponentialFailureRateLimiter(0.001, 1.0)
    assert whens(limiter, "one", 5) == [0.001, 0.002, 0.004, 0.008, 0.016]
    assert limiter.num_requeues("one") == 5
    assert whens(limiter, "one", 6) == [0.032, 0.064, 0.128, 0.256, 0.512, 1.0]


def test_the_exponential_delay_is_of_each_key_alone():
    limiter = ItemExponentialFailureRateLimiter(0.001, 1.0)
    whens(limiter, "one", 5)
    assert whens(limiter, "two", 2) == [0.001, 0.002]
    assert limiter.num_requeues("two") == 2
    assert limiter.num_requeues("one") == 5


def test_a_key_the_exponential_limiter_forgot_starts_again():
    limiter = ItemExponentialFailureRateLimiter(0.001, 1.0)
    whens(limiter, "one", 5)
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert limiter.when("one") == 0.001


def test_the_exponential_limit_holds_at_any_number_of_failures():
    limiter = ItemExponentialFailureRateLimiter(0.001, 1000.0)
    whens(limiter, "one", 5)
    assert limiter.when("one") == 0.032
    whens(limiter, "overflow", 1000)
    assert limiter.when("overflow") == 1000.0
    whens(limiter, "overflow", 2000)
    assert limiter.when("overflow") == 1000.0


@pytest.mark.parametrize("base", [60.0, 1e300, sys.float_info.max, sys.float_info.min, 5e-324])
def test_the_exponential_limit_holds_with_any_base(base):
    limiter = ItemExponentialFailureRateLimiter(base, 3600.0)
    delays = whens(limiter, "one", 2500)
    assert delays == sorted(delays)
    assert delays[0] == min(base, 3600.0)
    assert delays[-1] == 3600.0


def test_an_exponential_limit_below_the_base_wins():
    assert ItemExponentialFailureRateLimiter(5, 2).when("one") == 2


def test_an_exponential_base_of_zero_stays_zero():
    limiter = ItemExponentialFailureRateLimiter(0, 1000)
    assert set(whens(limiter, "one", 2500)) == {0.0}
    assert limiter.num_requeues("one") == 2500


def test_the_exponential_delays_of_a_controller_are_those_of_client_go():
    limiter = ItemExponentialFailureRateLimiter(0.005, 1000.0)
    assert whens(limiter, "one", 20) == [
        *(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
        *(163.84, 327.68, 655.36, 1000.0, 1000.0),
    ]


# Fast, then slow.


def test_the_first_failures_are_fast_and_the_others_slow():
    limiter = ItemFastSlowRateLimiter(0.005, 10.0, 3)
    assert whens(limiter, "one", 5) == [0.005, 0.005, 0.005, 10.0, 10.0]
    assert limiter.num_requeues("one") == 5
    assert whens(limiter, "two", 2) == [0.005, 0.005]
    assert limiter.num_requeues("two") == 2


def test_a_key_the_fast_slow_limiter_forgot_is_fast_again():
    limiter = ItemFastSlowRateLimiter(0.005, 10.0, 3)
    whens(limiter, "one", 5)
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert whens(limiter, "one", 4) == [0.005, 0.005, 0.005, 10.0]


def test_without_fast_attempts_all_are_slow():
    assert ItemFastSlowRateLimiter(0.005, 10.0, 0).when("one") == 10.0


# Bucket.


def test_the_bucket_gives_its_burst_at_once_and_then_one_token_after_the_other(clock):
    limiter = BucketRateLimiter(2, 3, clock=clock)
    assert whens(limiter, "any", 6) == [0, 0, 0, 0.5, 1.0, 1.5]


def test_the_bucket_fills_with_time_up_to_its_burst(clock):
    limiter = BucketRateLimiter(2, 3, clock=clock)
    whens(limiter, "any", 5)  # two tokens in debt
    clock.step(1.25)
    assert limiter.when("any") == 0.25
    clock.step(0.25)
    assert limiter.when("any") == 0.5
    clock.step(1_000_000)
    assert whens(limiter, "any", 4) == [0, 0, 0, 0.5]


def test_the_bucket_starts_full_however_long_ago_it_was_made(clock):
    limiter = BucketRateLimiter(2, 3, clock=clock)
    clock.step(1000)
    assert whens(limiter, "any", 4) == [0, 0, 0, 0.5]


def test_the_bucket_is_one_for_all_keys(clock):
    limiter = BucketRateLimiter(2, 1, clock=clock)
    assert [limiter.when(key) for key in ("a", "b", "c")] == [0, 0.5, 1.0]


def test_the_bucket_forgets_nothing_and_counts_no_requeues(clock):
    limiter = BucketRateLimiter(2, 1, clock=clock)
    whens(limiter, "one", 3)
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert limiter.when("one") == 1.5


def test_a_bucket_without_burst_is_about_292_years_and_stays_so(clock):
    limiter = BucketRateLimiter(10, 0, clock=clock)
    assert whens(limiter, "one", 2) == [FOREVER, FOREVER]
    clock.step(1e6)
    assert limiter.when("one") == FOREVER
    assert 292 < FOREVER / (365.25 * 86400) < 293


def test_a_bucket_without_rate_gives_its_burst_and_then_nothing(clock):
    limiter = BucketRateLimiter(0, 2, clock=clock)
    assert whens(limiter, "one", 3) == [0, 0, FOREVER]
    clock.step(1e6)
    assert limiter.when("one") == FOREVER


def test_a_debt_no_time_will_pay_is_limited_to_the_longest_delay(clock):
    limiter = BucketRateLimiter(5e-324, 1, clock=clock)
    assert whens(limiter, "one", 3) == [0, FOREVER, FOREVER]


def test_the_bucket_gives_the_delays_of_client_go(clock):
    """The instants and delays of a run of golang.org/x/time/rate with 10 a second and a burst of 4."""
    limiter = BucketRateLimiter(10, 4, clock=clock)
    whens(limiter, "any", 4)
    delays = []
    for pause in (0.0, 0.03125, 0.0, 0.25, 0.0, 0.0):
        clock.step(pause)
        delays.append(limiter.when("any"))
    assert delays == pytest.approx([0.1, 0.16875, 0.26875, 0.11875, 0.21875, 0.31875])


def together(background, fn, threads=4):
    """Run it on some threads that begin at the same moment; return the results."""
    start = threading.Barrier(threads)

    def run():
        start.wait(PATIENCE)
        return fn()

    return [future.result(PATIENCE) for future in [background(run) for _ in range(threads)]]


def test_threads_that_share_a_bucket_get_each_token_once(clock, background, hectic):
    limiter = BucketRateLimiter(1, 1, clock=clock)
    results = together(background, lambda: whens(limiter, "any", 3000))
    assert sorted(delay for delays in results for delay in delays) == list(range(12_000))


def test_threads_that_share_a_limiter_lose_no_failure(background, hectic):
    class Key:
        def __hash__(self):  # in Python, so that threads may change places in the middle of a count
            return 1

    key = Key()
    limiter = ItemExponentialFailureRateLimiter(0, 1)
    together(background, lambda: whens(limiter, key, 3000))
    assert limiter.num_requeues(key) == 12_000


# Several.


def test_the_slowest_of_several_limiters_counts(clock):
    limiter = MaxOfRateLimiter(ItemFastSlowRateLimiter(0.005, 3.0, 3), ItemExponentialFailureRateLimiter(0.001, 1.0))
    assert whens(limiter, "one", 5) == [0.005, 0.005, 0.005, 3.0, 3.0]
    assert limiter.num_requeues("one") == 5
    assert whens(limiter, "two", 2) == [0.005, 0.005]
    assert limiter.num_requeues("two") == 2


def test_several_limiters_all_forget():
    parts = ItemFastSlowRateLimiter(0.005, 3.0, 3), ItemExponentialFailureRateLimiter(0.001, 1.0)
    limiter = MaxOfRateLimiter(*parts)
    whens(limiter, "one", 5)
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert [part.num_requeues("one") for part in parts] == [0, 0]
    assert limiter.when("one") == 0.005


def test_every_one_of_several_limiters_counts_each_call(clock):
    bucket = BucketRateLimiter(1, 1, clock=clock)
    limiter = MaxOfRateLimiter(ItemExponentialFailureRateLimiter(64, 64), bucket)
    assert whens(limiter, "one", 3) == [64, 64, 64]
    assert bucket.when("one") == 3


def test_several_limiters_answer_the_largest_count():
    slow, fast = ItemExponentialFailureRateLimiter(1, 2), ItemExponentialFailureRateLimiter(1, 2)
    whens(slow, "one", 2)
    assert MaxOfRateLimiter(fast, slow).num_requeues("one") == 2


def test_no_limiters_at_all_are_no_delay():
    limiter = MaxOfRateLimiter()
    assert limiter.when("one") == 0
    assert limiter.num_requeues("one") == 0
    limiter.forget("one")


def test_a_maximum_wait_is_never_exceeded():
    limiter = WithMaxWaitRateLimiter(ItemExponentialFailureRateLimiter(1, 1000), 5)
    assert whens(limiter, "one", 5) == [1, 2, 4, 5, 5]
    assert limiter.num_requeues("one") == 5
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert limiter.when("one") == 1


def test_a_maximum_wait_tames_a_bucket_in_debt(clock):
    limiter = WithMaxWaitRateLimiter(BucketRateLimiter(1, 0, clock=clock), 30)
    assert whens(limiter, "one", 2) == [30, 30]


# The default.


def test_the_default_limiter_is_per_key_until_the_bucket_is_empty(clock):
    limiter = default_controller_rate_limiter(clock=clock)
    assert whens(limiter, "one", 3) == [0.005, 0.01, 0.02]
    for number in range(97):
        assert limiter.when(number) == 0.005
    assert limiter.when("next") == pytest.approx(0.1)
    assert limiter.when("after") == pytest.approx(0.2)
    assert limiter.num_requeues("one") == 3
    limiter.forget("one")
    assert limiter.when("one") == pytest.approx(0.3)


def test_each_default_limiter_is_a_new_one(clock):
    first, second = (default_controller_rate_limiter(clock=clock) for _ in range(2))
    first.when("one")
    assert second.num_requeues("one") == 0


# Wrong arguments.


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, -math.inf, pytest.param(10**400, id="huge")])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("base_delay", lambda value: ItemExponentialFailureRateLimiter(base_delay=value, max_delay=1)),
        ("max_delay", lambda value: ItemExponentialFailureRateLimiter(base_delay=1, max_delay=value)),
        ("fast_delay", lambda value: ItemFastSlowRateLimiter(fast_delay=value, slow_delay=1, max_fast_attempts=1)),
        ("slow_delay", lambda value: ItemFastSlowRateLimiter(fast_delay=1, slow_delay=value, max_fast_attempts=1)),
        ("qps", lambda value: BucketRateLimiter(qps=value, burst=1)),
        ("max_delay", lambda value: WithMaxWaitRateLimiter(limiter=MaxOfRateLimiter(), max_delay=value)),
    ],
)
def test_a_delay_or_rate_that_means_nothing_is_refused_by_name(name, make, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be .*, not {value!r}$"):
        make(value)


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1]], ids=repr)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("base_delay", lambda value: ItemExponentialFailureRateLimiter(value, 1)),
        ("slow_delay", lambda value: ItemFastSlowRateLimiter(1, value, 1)),
        ("max_fast_attempts", lambda value: ItemFastSlowRateLimiter(1, 1, value)),
        ("qps", lambda value: BucketRateLimiter(value, 1)),
        ("burst", lambda value: BucketRateLimiter(1, value)),
        ("max_delay", lambda value: WithMaxWaitRateLimiter(MaxOfRateLimiter(), value)),
    ],
)
def test_an_argument_of_a_wrong_kind_is_refused_by_name(name, make, value):
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        make(value)


@pytest.mark.parametrize("value", [1.0, 2.5, math.inf])
def test_a_burst_or_a_number_of_attempts_is_an_int(value):
    with pytest.raises(ConfigurationError, match="burst must be an int"):
        BucketRateLimiter(1, value)
    with pytest.raises(ConfigurationError, match="max_fast_attempts must be an int"):
        ItemFastSlowRateLimiter(1, 1, value)


def test_a_burst_or_a_number_of_attempts_is_not_negative():
    with pytest.raises(ConfigurationError, match="burst must be zero or more, not -1"):
        BucketRateLimiter(1, -1)
    with pytest.raises(ConfigurationError, match="max_fast_attempts must be zero or more, not -1"):
        ItemFastSlowRateLimiter(1, 1, -1)
