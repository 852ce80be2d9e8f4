"""Norms that are written out, as x * rsqrt(x.pow(2).mean(-1, keepdim=True) + eps).

Each result that is a step on the way to a length carries a note of which length, and how far on the way it is.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from ig_widgets.engine.unit_length import Length

_LENGTH = "_ig_widgets_length"


def note_length(name: str, func: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Note of what an operation has made, if it has, that it leads to a length, and how far on the way it is."""
    if name not in _STEPS_TO_LENGTH or not isinstance(result, Tensor) or not args or not isinstance(args[0], Tensor):
        return
    x, other = args[0], args[1] if len(args) > 1 else None
    if (
        name == "square"
        or (name == "pow" and isinstance(other, int | float) and other == 2)
        or (name == "mul" and other is x)
    ):
        step, known = _known_length(x)
        found: Any = ("squares", known if step == "cast" else x)
    else:
        step, known = _known_length(x)
        found = None
        if name in ("mean", "sum") and step == "squares" and result.dim() == x.dim():
            dim = kwargs.get("dim", other)
            if isinstance(dim, int | tuple | list) and not isinstance(dim, bool):
                dims = tuple((d % x.dim()) - x.dim() for d in ([dim] if isinstance(dim, int) else dim))
                count = math.prod(x.shape[d] for d in dims) if name == "mean" else 1
                found = ("square", Length(known, dims, 1 / count))
        elif name in ("add", "radd") and step == "square" and isinstance(other, float | int) and not kwargs:
            found = ("square", replace(known, eps=known.eps + other))
        elif name in ("sqrt", "rsqrt") and step == "square":
            found = ("length" if name == "sqrt" else "inverse", known)
        elif name in ("clamp_min", "clamp") and step == "length":
            low = kwargs.get("min", other)
            # The corner at so short a length is rounded off.
            found = ("length", replace(known, eps=known.eps + low * low)) if isinstance(low, float | int) else None
        elif name == "reciprocal" and step == "length":
            found = ("inverse", known)
        elif name in ("expand_as", "expand", "to", "float", "double", "type_as"):
            keeps = step in ("length", "inverse") or name.startswith("expand")
            found = (step, known) if keeps else ("cast", known if step == "cast" else x)
    if found is not None:
        setattr(result, _LENGTH, found)


_STEPS_TO_LENGTH = frozenset(
    """square pow mul mean sum add radd sqrt rsqrt clamp_min clamp reciprocal expand_as expand to float double
    type_as""".split()
)


def _known_length(tensor: Tensor) -> tuple[str, Any]:
    """How far on the way to a length `tensor` is, and to which."""
    return getattr(tensor, _LENGTH, ("", None))


def length_of(d: Tensor, factor: Tensor, *, inverse: bool) -> Length | None:
    """The length that `factor` (or one over it) is, if it is that of `d`."""
    step, known = _known_length(factor)
    fits = step == ("inverse" if inverse else "length") and known.of is d and not d.is_complex()
    return known if fits else None
