"""Which namespaces the operator serves. Kopf knows and does not tell, so it is read where the user said it."""

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import click
import kopf

from workqueue.base.errors import ConfigurationError
from workqueue.plugin.internals import match_namespace


@dataclass(frozen=True, slots=True)
class Scope:
    """All namespaces, or those that patterns name."""

    #: Kopf's patterns; empty is all namespaces.
    patterns: tuple[str, ...] = ()
    #: Where they were said: what a user corrects who has made a mistake in them.
    said: str = field(default="-n", compare=False)

    @classmethod
    def of_run(cls, settings: kopf.OperatorSettings, given: Collection[str] | None = None) -> "Scope":
        """What this run of Kopf serves; call it in the thread of Kopf's loop.

        :param settings: those of the run.
        :param given: what ``Manager(namespaces=…)`` said, for operators that are not started by ``kopf run``.
        :raises ConfigurationError: if nobody said it, or the manager and Kopf were told different ones.
        """
        if settings.peering.clusterwide:
            if given is not None:
                raise _differ(given, "all namespaces")
            return cls()
        context = click.get_current_context(silent=True)
        given_to_kopf = context.params.get("namespaces") if context is not None else None
        by_command = isinstance(given_to_kopf, tuple)
        patterns: tuple[str, ...] = given_to_kopf if isinstance(given_to_kopf, tuple) else ()
        if legacy := os.environ.get("KOPF_RUN_NAMESPACE"):
            patterns += (legacy,)
        if given is not None and not (by_command and patterns):
            return cls(tuple(given), said="Manager(namespaces=…)")
        if any(not pattern.strip() for pattern in patterns):
            raise ConfigurationError("-n '': the name of the namespace is empty; for all namespaces it is -A")
        if not patterns:
            raise ConfigurationError(
                "this operator was not started by `kopf run`, and serves some namespaces: "
                "say the same ones in Manager(namespaces=[…])"
            )
        if given is not None and set(given) != set(patterns):
            raise _differ(given, str(cls(patterns)))
        return cls(patterns)

    @property
    def exact(self) -> bool:
        """True if nobody needs to be asked which namespaces there are."""
        return all(_is_exact(pattern) for pattern in self.patterns)

    def __str__(self) -> str:
        if self.said != "-n":
            return f"Manager(namespaces={list(self.patterns)!r})"
        return " ".join(f"-n {pattern!r}" for pattern in self.patterns) or "-A"

    def resolve(self, list_namespaces: Callable[[], Iterable[str]]) -> list[str]:
        """The namespaces served now; [""] stands for all.

        :param list_namespaces: asked only if there are patterns, which need it.
        """
        if not self.patterns:
            return [""]
        if self.exact:
            return list(dict.fromkeys(self.patterns))
        present = list(list_namespaces())
        return [name for name in present if any(match_namespace(name, pattern) for pattern in self.patterns)]


def _differ(given: Collection[str], served: str) -> ConfigurationError:
    return ConfigurationError(
        f"Manager(namespaces={list(given)!r}), but Kopf was told to serve {served}: leave it out with `kopf run`, "
        "else say the same to both"
    )


def _is_exact(pattern: str) -> bool:
    return not any(special in pattern for special in "*?![],")
