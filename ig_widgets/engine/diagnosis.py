"""What is wrong where a model does not take the rows of a path: a forgotten batch dimension."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError, Cancelled, IGError, NonFiniteError, OutputError
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.engine.model import ScalarFunction
from ig_widgets.engine.path import Path
from ig_widgets.engine.state_guard import StateGuard

# What says enough as it is.
_CLEAR = (Cancelled, NonFiniteError)
# What models and torch raise where a shape does not fit. After any other error the model is not asked again.
SHAPE_ERRORS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)


def raise_clearer(error: Exception, function: ScalarFunction, path: Path) -> None:
    """Raise ArgumentValueError if what failed on the path works with one more dimension."""
    if isinstance(error, _CLEAR) or is_out_of_memory(error) or not isinstance(error, SHAPE_ERRORS):
        return
    if isinstance(error, IGError) and not isinstance(error, OutputError):
        return
    # What takes the inputs as they are has failed elsewhere on the path, for a reason of its own.
    if _rows(function, path.inputs) == path.batch or _rows(function, tuple(x[None] for x in path.inputs)) != 1:
        return
    several = len(path.inputs) > 1
    shapes = ", ".join(str(tuple(x.shape)) for x in path.inputs)
    raise ArgumentValueError(
        f"inputs of shape {shapes} {'are' if several else 'is'} taken for {path.batch} examples, and forward_func does "
        f"not take them as such ({_short(error)}); with a batch dimension it does: give "
        f"{'x.unsqueeze(0) of each' if several else 'inputs.unsqueeze(0)'}."
    ) from error


def _rows(function: ScalarFunction, inputs: tuple[Tensor, ...]) -> int:
    """Returns how many rows the model returns for `inputs`; 0 where it fails, or returns a number alone."""
    guard = StateGuard(function.forward_func, inputs[0].device)
    try:
        found: Any = guard.run(lambda: function.alone(tuple(x.clone() for x in inputs)), gradients=False)
        return int(found.shape[0]) if found.dim() else 0
    except Exception:  # noqa: BLE001  (then it is something else, and the error says it)
        return 0


def _short(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (a stranger's)
        return type(error).__name__
    line = text.partition("\n")[0]
    return f"{type(error).__name__}: {line if len(line) <= 120 else line[:117] + '...'}"
