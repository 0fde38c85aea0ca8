"""Our queues beside client-go's and controller-runtime's own: the same script of operations, compared after each one.

`make compat`, or `python -m pytest -m compat`; it needs Go and reaches its module proxy once. A script that shows a
difference is printed as a command that shows both sides again: `python -m tests.compat '<json>'`.
"""
