"""The steps of a hypothesis machine drawn by luck alone: no failure is made short, but there are twenty times more."""

import os
import random


def walk(machine_class, rules, *, steps, life=60):
    """Let one machine after the other take random steps, and check what it checks after each of them.

    :param rules: of each rule its name, what its arguments are drawn from, and a question to the machine that is to be
        answered by yes before such a step, or None. A rule may be there several times.
    :param steps: how many in all.
    :param life: how many each machine takes.
    """
    seed = 0 if "CI" in os.environ else random.randrange(2**32)
    luck = random.Random(seed)
    for _ in range(steps // life):
        machine, taken = machine_class(), []
        try:
            machine.make()
            for _ in range(life):
                name, arguments, condition = luck.choice(rules)
                if condition is None or condition(machine):
                    drawn = {argument: luck.choice(choices) for argument, choices in arguments.items()}
                    taken.append(f"{name}({', '.join(f'{argument}={each!r}' for argument, each in drawn.items())})")
                    getattr(machine, name)(**drawn)
                    machine.holds()
            taken.append("teardown()")
            machine.teardown()
        except BaseException:
            print(f"seed {seed}", *taken, sep="\n")
            raise
