"""For tests of controllers, ours and yours: no shipped room imports this one."""

from workqueue.testing.clock import FakeClock

__all__ = ["FakeClock"]
