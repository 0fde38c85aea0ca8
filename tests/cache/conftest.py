"""What the other rooms' tests made for threads."""

from tests.base.conftest import background, hectic

__all__ = ["background", "hectic"]
