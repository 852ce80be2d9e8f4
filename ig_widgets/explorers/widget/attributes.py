"""Attributes of a widget: a name that does not exist cannot be set, and `dir` begins with the widget's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import anywidget

# The framework's names that a user of our widgets needs.
_USEFUL = frozenset(("close", "layout", "observe", "unobserve"))


class _FrameworkName(str):
    """A name that comes after all others, as `dir` sorts what it is given."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return super().__lt__(other) if isinstance(other, _FrameworkName) else False

    def __gt__(self, other: str) -> bool:
        return super().__gt__(other) if isinstance(other, _FrameworkName) else True


class OwnAttributes:
    """A mixin for widgets; names that begin with an underscore are free for the framework."""

    def __setattr__(self, name: str, value: Any) -> None:
        # The class has traits, properties and methods alike.
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{self._nearest(name)}")
        super().__setattr__(name, value)

    def __dir__(self) -> Iterable[str]:
        own = set(self._own_names())
        return [*sorted(own), *map(_FrameworkName, sorted({*super().__dir__()} - own))]

    @classmethod
    def _own_names(cls) -> Iterable[str]:
        """Returns the public names that are ours, and those of the framework's that are of use."""
        framework = {*dir(anywidget.AnyWidget)} - _USEFUL
        return [name for name in dir(cls) if not name.startswith("_") and name not in framework]

    def _nearest(self, name: str) -> str:
        found = difflib.get_close_matches(name, list(self._own_names()), n=1)
        return f"; did you mean {found[0]!r}?" if found else "."
