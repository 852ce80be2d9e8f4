"""Rows of tables in the forms that people have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.texts import whole

Row: TypeAlias = "Tensor | np.ndarray[Any, Any] | Sequence[float] | Mapping[str, float]"

_FORMS = "a tensor, an array or a list of numbers (features,), a mapping from names to numbers, or a pandas Series"


def is_row(data: object) -> bool:
    """Whether this is one row: a 1-D tensor or array, (1, features), a list of numbers, a mapping, or a Series."""
    if isinstance(data, Mapping):
        return bool(data)
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in data)
    shape = getattr(data, "shape", None)
    return shape is not None and (len(shape) == 1 or (len(shape) == 2 and shape[0] == 1))


def as_inputs(row: object, like: Tensor | None) -> Tensor:
    """Returns a row as the model's input (1, features), in the dtype and on the device of `like`, else float32.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    if not is_row(row):
        seen = f"{type(row).__name__} {tuple(row.shape)}" if hasattr(row, "shape") else type(row).__name__
        raise ArgumentTypeError(f"row must be {_FORMS}, got {seen}.")
    values = list(row.values()) if isinstance(row, Mapping) else row
    try:
        # A copy: arrays of pandas may be read-only, of which torch warns.
        numbers = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"row must hold numbers alone: {error}") from None
    dtype = torch.float32 if like is None else like.dtype
    inputs = numbers.reshape(1, -1).to(dtype if like is None or like.is_floating_point() else torch.float32)
    inputs = inputs if like is None else inputs.to(like.device)
    if not inputs.numel() or not bool(torch.isfinite(inputs).all()):
        raise ArgumentValueError("row must hold finite numbers, and one at least; fill missing values first.")
    return inputs


def names_of(row: object, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Returns a name for each feature: `names`, else the row's own, else numbers.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    if names is None:
        own = row.keys() if isinstance(row, Mapping) else getattr(row, "index", None)
        found = None if own is None or callable(own) else [str(name) for name in own]
        return tuple(map(whole, found)) if found else tuple(f"feature {i}" for i in range(count))
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError("names must be a list of texts, one for each feature.")
    if len(names) != count:
        raise ArgumentValueError(f"names has {len(names)} texts, the row {count} features; give one for each.")
    return tuple(map(whole, names))
