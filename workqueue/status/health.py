"""Health that tells the truth: named checks, answered as Kubernetes' own probes answer.

``/livez`` fails only for what a restart mends; ``/readyz`` says whether the view of the cluster is
true now. Paths, ``?verbose`` and ``?exclude=`` as kube-apiserver's (apiserver pkg/server/healthz).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

#: Says what is wrong, or None.
Check = Callable[[], Awaitable[str | None]]

#: Seconds that one check may take; a kubelet gives up after one second by default.
CHECK_TIMEOUT = 0.9


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to one probe."""

    healthy: bool
    text: str


async def report(probe: str, checks: dict[str, Check], *, verbose: str = "", exclude: Collection[str] = ()) -> Report:
    """Run the checks.

    :param probe: the probe's name, for the last line.
    :param checks: by name.
    :param verbose: anything but "" lists the checks even if all are well.
    :param exclude: names of checks to leave out.
    """
    chosen = {name: check for name, check in checks.items() if name not in exclude}
    problems = dict(zip(chosen, await asyncio.gather(*map(_ask, chosen.values())), strict=True))
    lines = [f"[-]{name} failed: {problem}" if problem else f"[+]{name} ok" for name, problem in problems.items()]
    lines += [f"[+]{name} excluded: ok" for name in checks if name in exclude]
    lines += [f'warn: some health checks cannot be excluded: no matches for "{n}"' for n in exclude if n not in checks]
    if any(problems.values()):
        return Report(healthy=False, text="\n".join([*lines, f"{probe} check failed", ""]))
    return Report(healthy=True, text="\n".join([*lines, f"{probe} check passed", ""]) if verbose else "ok")


async def _ask(check: Check) -> str | None:
    try:
        return await asyncio.wait_for(check(), CHECK_TIMEOUT)
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT} s"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # the probe itself is cancelled; else what the check waited for was, such as a loop that ends
        return "CancelledError: what it waited for was cancelled"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
