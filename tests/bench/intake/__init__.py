"""What the benchmarks of the intake share: pods, servers that have them, and processes that take them in.

A benchmark (``bench_sync`` and its neighbours) starts a server, and lets its subjects take turns at it; each turn is a
process of its own that begins cold. Subject and benchmark talk in lines (see ``probe``).
"""
