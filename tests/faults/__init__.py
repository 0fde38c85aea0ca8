"""Random faults between an operator on the stream lane and a real API server, and what it makes of them.

    python -m tests.faults --runs 200 [--seed N] [--write]

Each run is an operator that watches a namespace of its own through a meddler, a writer who changes, deletes and makes
objects there all the time, and half a dozen faults of `kinds`. Then all is healed, and the cache must come to equal a
fresh list, what handlers were told must give the cache, and each object that went must have been told to be gone, once.

A run is drawn from its seed: `--runs 1 --seed N` has the same faults in the same order, though not in the same
millisecond. Twelve runs in a row from a multiple of twelve have every kind of fault.
"""
