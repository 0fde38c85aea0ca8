"""What managers say of the whole operator: each may say something, and no two say different things."""

from dataclasses import dataclass, fields, replace
from typing import Any

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """None is what nobody has said anything of. See :class:`workqueue.Manager` for what each means."""

    bind: str | None = None
    #: In any order.
    namespaces: tuple[str, ...] | None = None
    grace: float | None = None
    api_server_timeout: float | None = None
    #: Requests a second and the burst of them.
    rate: tuple[float, int] | None = None
    clock: Clock | None = None

    def and_also(self, other: "Said") -> "Said":
        """Both together.

        :param other: what another manager says.
        :raises ConfigurationError: if they differ.
        """
        news: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            before, now = getattr(self, name), getattr(other, name)
            if before is None:
                news[name] = now
            elif now is not None and _comparable(name, before) != _comparable(name, now):
                raise ConfigurationError(
                    f"Manager({_shown(name, now)}), but another Manager of this operator has said "
                    f"{_shown(name, before)}: say it in one of them, or the same in both"
                )
        return replace(self, **news)


def _comparable(name: str, value: Any) -> object:
    return set(value) if name == "namespaces" else value


def _shown(name: str, value: Any) -> str:
    """A value as its manager was given it."""
    match name:
        case "rate":
            return f"qps={value[0]!r}, burst={value[1]!r}"
        case "namespaces":
            return f"namespaces={list(value)!r}"
    return f"{name}={value!r}"
