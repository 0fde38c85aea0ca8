"""Timings, printed and never asserted: machines differ, so peers run beside ours in the same run."""
