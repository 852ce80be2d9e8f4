"""Every error that the engine raises, and what it warns of.

Each is an `IGError` and the built-in that fits, so `except ValueError` works as anywhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ig_widgets.engine.result import Attribution


class IGError(Exception):
    """Base of all errors of this package."""


class ArgumentValueError(IGError, ValueError):
    """An argument has a value or a shape that cannot work."""


class ArgumentTypeError(IGError, TypeError):
    """An argument is of a type that cannot work."""


class OutputError(IGError, ValueError):
    """What the model returned cannot be explained: not a tensor, not one row per example, not one scalar."""


class NotDifferentiableError(IGError, RuntimeError):
    """There is no gradient from the explained output back to an input."""


class TrainingModeError(IGError, RuntimeError):
    """A module is in training mode, so that an output depends on its neighbours in the batch or on chance."""


class NonFiniteError(IGError, ArithmeticError, RuntimeError):
    """The model's output or gradient is NaN or infinite on the path.

    `alpha` is the smallest sampled position at which it is.
    """

    def __init__(self, message: str, alpha: float) -> None:
        super().__init__(message)
        self.alpha = alpha


class NondeterminismWarning(UserWarning):
    """The model answered differently when it was asked the same again, perhaps in other company in a chunk.

    By chance, by a state that it keeps, or since rows mix: attributions are of no one function.
    """


class ConvergenceWarning(UserWarning):
    """The tolerance was not met within `max_evaluations`; the text says where the error lies and what would help."""


class OutOfMemoryError(IGError, MemoryError, RuntimeError):
    """Not even one row of the path fits into memory."""


class Cancelled(IGError, RuntimeError):  # noqa: N818  (a request granted, not a fault)
    """The run was cancelled. `partial` is the finest result so far, or None if there is none."""

    def __init__(self, message: str, partial: Attribution | None) -> None:
        super().__init__(message)
        self.partial = partial
