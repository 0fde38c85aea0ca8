"""What was really compared: hypothesis may draw fewer examples than it is asked for, and one script twice."""

from collections import Counter
from dataclasses import dataclass, field

from tests.compat.comparison import Verdict
from tests.compat.scripts import OPERATIONS, Script


@dataclass
class Count:
    """Of one kind of queue.

    scripts: the different ones; occurring, limiters: how many of them have each operation and each limiter;
    touched: how many touch a departure; excused: how often each is; differences: those that nothing excuses.
    """

    queue: str
    scripts: set[str] = field(default_factory=set)
    repeated: int = 0
    operations: int = 0
    waited: int = 0
    touched: int = 0
    differences: int = 0
    occurring: Counter[str] = field(default_factory=Counter)
    limiters: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    def add(self, script: Script, verdict: Verdict) -> None:
        """One script was compared without an unexplained difference."""
        line = script.to_json()
        if line in self.scripts:
            self.repeated += 1
            return
        self.scripts.add(line)
        self.operations += verdict.operations
        self.waited += verdict.waited
        self.touched += bool(verdict.excused)
        self.excused.update(verdict.excused)
        self.occurring.update({each.name for each in script.operations})
        self.limiters[script.limiter[0] if script.limiter else "none"] += 1

    def share_touched(self) -> float:
        """The part of the scripts that touch a departure."""
        return self.touched / max(1, len(self.scripts))

    def rarest(self) -> tuple[float, str]:
        """The operation that occurs in the fewest scripts, and in which part of them."""
        return min((self.occurring[each] / max(1, len(self.scripts)), each) for each in OPERATIONS[self.queue])


@dataclass
class Tally:
    """Of the whole run, by the kind of queue."""

    counts: dict[str, Count] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people."""
        lines = []
        for count in self.counts.values():
            share, name = count.rarest()
            excused = ", ".join(f"{name} {number}" for name, number in sorted(count.excused.items())) or "nothing"
            lines.append(
                f"{count.queue}: {len(count.scripts)} scripts (and {count.repeated} again), "
                f"{count.operations} operations compared, {count.waited} gets that waited; "
                f"{count.share_touched():.1%} of the scripts touch a departure ({excused}); "
                f"rarest operation: {name} in {share:.0%}; unexplained differences: {count.differences}"
            )
        counts = list(self.counts.values())
        scripts = sum(len(each.scripts) for each in counts)
        touched = sum(each.touched for each in counts)
        lines.append(
            f"in all: {scripts} scripts, {sum(each.operations for each in counts)} operations, "
            f"{touched / max(1, scripts):.1%} of the scripts touch a departure, "
            f"unexplained differences: {sum(each.differences for each in counts)}"
        )
        return lines
