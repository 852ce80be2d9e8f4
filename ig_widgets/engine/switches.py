"""Settings of the whole process that passes need otherwise: switched while any of them runs, in whatever thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ig_widgets.engine.model_locks import in_turn, lock_of

_T = TypeVar("_T")
_Value = TypeVar("_Value")


class Switch(Generic[_Value]):
    """One setting, which `read` reads and `write` writes, and the `value` that it has while a pass runs.

    Who enters first notes what it was, and who leaves last puts it back: what two passes in turns have read, each the
    other's, would stay for good.
    """

    def __init__(self, read: Callable[[], _Value], write: Callable[[_Value], None], value: _Value) -> None:
        self._read, self._write, self._value = read, write, value
        # By pass, its thread.
        self._passes: dict[object, int] = {}

    def during(self, act: Callable[[], _T]) -> _T:
        """What `act` gives, called while the setting is switched; left at whatever moment an interrupt comes."""
        key = object()
        try:
            try:
                in_turn([lock_of(self)], lambda: self._enter(key))
                return act()
            finally:
                in_turn([lock_of(self)], lambda: self._leave(key))
        except BaseException:
            in_turn([lock_of(self)], lambda: self._leave(key))
            raise

    @property
    def is_on(self) -> bool:
        """Whether a pass runs, in any thread."""
        return bool(self._passes)

    @property
    def is_own(self) -> bool:
        """Whether a pass of this thread runs."""
        return threading.get_ident() in list(self._passes.values())

    def outside(self) -> _Value:
        """The setting as it is when no pass runs."""
        return in_turn([lock_of(self)], lambda: self._before if self._passes else self._read())

    def _enter(self, key: object) -> None:
        if not self._passes:
            self._before = self._read()
        self._passes[key] = threading.get_ident()
        self._write(self._value)

    def _leave(self, key: object) -> None:
        if key not in self._passes:
            return
        if len(self._passes) == 1:
            self._write(self._before)
        del self._passes[key]
