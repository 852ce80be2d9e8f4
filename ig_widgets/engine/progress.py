"""Progress of a run: callbacks, bars, and the event that cancels it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeAlias, TypeVar

from ig_widgets.bars import Bar
from ig_widgets.engine.errors import ArgumentTypeError

Progress = Callable[[int, int], None]
# True shows a bar.
ProgressLike: TypeAlias = Progress | bool | None

_P = ParamSpec("_P")
_R = TypeVar("_R")


def check_progress(on_progress: object) -> None:
    """Raise ArgumentTypeError unless it is None, a bool or a callable."""
    if not (on_progress is None or isinstance(on_progress, bool) or callable(on_progress)):
        raise ArgumentTypeError(
            f"on_progress must be None, True (a bar) or a callable that is given (done, total), got {on_progress!r} "
            f"({type(on_progress).__name__})."
        )


def check_cancel(cancel: object) -> None:
    """Raise ArgumentTypeError unless it is None or an event."""
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise ArgumentTypeError(
            f"cancel must be None or an event that another thread sets, threading.Event(), got {cancel!r} "
            f"({type(cancel).__name__})."
        )


@contextmanager
def reported(on_progress: ProgressLike) -> Iterator[Progress | None]:
    """What is to be called with (done, total): a bar where `on_progress` is True, which is closed at the end."""
    if isinstance(on_progress, bool):
        if not on_progress:
            yield None
            return
        bar = Bar()
        try:
            yield bar
        finally:
            bar.close()
        return
    yield on_progress


def progress_of(on_progress: ProgressLike) -> Progress | None:
    """The callable that `with_progress` has made of what was given."""
    return None if isinstance(on_progress, bool) else on_progress


def with_progress(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let `function` take True for `on_progress`, and look at it and at `cancel` before any work."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        on_progress = kwargs.get("on_progress")
        check_progress(on_progress)
        check_cancel(kwargs.get("cancel"))
        if not isinstance(on_progress, bool):
            return function(*args, **kwargs)
        with reported(on_progress) as progress:
            kwargs["on_progress"] = progress
            return function(*args, **kwargs)

    return call
