"""Locks by model: one for all that call it, and whether its passes have to take turns.

A pass that writes to the model's buffers, or draws random numbers, cannot run beside another one of that model. Most
models do neither, and wait for nobody once that was seen.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar

_T = TypeVar("_T")


class ModelLock:
    """Of one model: its lock, and what its passes were seen to do.

    `writes`: to buffers. `draws`: random numbers. `seen`: the kinds of passes that were looked at, with gradients
    (True) and without.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.writes = False
        self.draws = False
        self.seen: set[bool] = set()


_known: weakref.WeakKeyDictionary[object, ModelLock] = weakref.WeakKeyDictionary()
_known_guard = threading.RLock()


def model_lock_of(model: object) -> ModelLock:
    """What is known of a model, the same for all."""
    model = model.__self__ if isinstance(model, MethodType) else model
    try:
        found = _known.get(model)
        return found if found is not None else in_turn([_known_guard], lambda: _known.setdefault(model, ModelLock()))
    except TypeError:  # not weakly referable, or without a hash: nothing to share it by
        return ModelLock()


def _after_fork() -> None:
    """In a child no thread is left that could let a lock go."""
    global _known_guard
    _known_guard = threading.RLock()
    for turns in list(_known.values()):
        turns.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def lock_of(model: object) -> threading.RLock:
    """The one lock of a model, so that those who ask it take turns."""
    return model_lock_of(model).lock


def in_turn(locks: list[Any], act: Callable[[], _T]) -> _T:
    """What `act` gives, called while this thread holds re-entrant `locks`; those that it did not hold are let go.

    Whatever the moment of an interrupt: who holds a lock is asked of the lock itself.
    """
    if not locks:
        return act()
    lock, *others = locks
    if lock._is_owned():
        return in_turn(others, act)
    try:
        try:
            lock.acquire()
            return in_turn(others, act)
        finally:
            _let_go(lock)
    except BaseException:
        _let_go(lock)
        raise


def _let_go(lock: Any) -> None:
    while lock._is_owned():
        lock.release()
