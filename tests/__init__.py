"""Tests; a package, so that `python -m tests.cluster` works and helpers can be imported."""
