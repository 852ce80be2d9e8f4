"""Whether a network bends smoothly along a path or has kinks there: counted while one forward pass looks at both ends.

A kink counts if an element lies on different sides of it at the baseline and at the input: a ReLU that is off at both
ends, or a clamp that only guards against zero, is as good as linear.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine.slopes import NoRowsError, Rows

# Where the slope of an element-wise operation jumps; those that clamp have their bounds as arguments.
_AT: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("relu", "leaky_relu", "prelu", "rrelu", "abs", "absolute", "selu"), (0.0,)),
    **dict.fromkeys(("hardsigmoid", "hardswish"), (-3.0, 3.0)),
    "relu6": (0.0, 6.0),
}
CLAMPS = ("hardtanh", "clamp", "clip", "clamp_min", "clamp_max")
_POOLS = {
    f"{kind}max_pool{n}d": getattr(F, f"{kind}max_pool{n}d_with_indices")
    for kind in ("", "adaptive_")
    for n in (1, 2, 3)
}
_LARGEST = ("amax", "amin", "max", "min")
_BETWEEN = ("maximum", "minimum", "fmax", "fmin")
KINKED = frozenset((*_AT, *CLAMPS, *_POOLS, *_LARGEST, *_BETWEEN, "elu", "threshold", "softshrink", "hardshrink"))


class Kinks:
    """What operations did between neighbouring points.

    `crossed` and `elements`: by operation, how many elements passed a kink, and of how many. `curved`: names of
    operations that are neither linear nor linear in pieces.
    """

    def __init__(self) -> None:
        self.crossed: Counter[str] = Counter()
        self.elements: Counter[str] = Counter()
        self.curved: set[str] = set()

    def __str__(self) -> str:
        if not self.elements.total():
            return "no operation with a kink"
        told = [
            f"{name} ({_share(self.crossed[name] / self.elements[name])} of its elements)"
            for name, count in self.crossed.most_common(3)
            if count
        ]
        return "kinks are passed in " + ", ".join(told) if told else "no kink is passed"

    def look(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], rows: Rows) -> None:
        """Count what the operation is about to do."""
        try:
            crossed = _crossed(name, args, kwargs, rows)
        except (NoRowsError, RuntimeError, TypeError, ValueError):
            return
        if crossed is not None:
            self.crossed[name] += int(crossed.sum())
            self.elements[name] += crossed.numel()


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


def _crossed(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], rows: Rows) -> Tensor | None:
    """Of each element whether it lies on different pieces at both ends of its cell; None: no kink in this call."""
    if name not in KINKED or not isinstance(args[0] if args else None, Tensor):
        return None
    x = args[0].detach()
    if name in _POOLS:
        kwargs = {key: value for key, value in kwargs.items() if key != "return_indices"}
        return _moves(_POOLS[name](x, *args[1:], **kwargs)[1], rows)
    if name in _BETWEEN or (name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor)):
        return _moves(x > args[1].detach(), rows)
    if name in _LARGEST:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if not isinstance(dim, int):
            return None
        return _moves(x.argmin(dim) if name in ("amin", "min") else x.argmax(dim), rows)
    pieces = sum(((x >= at).to(torch.uint8) for at in _at(name, args, kwargs)), torch.zeros_like(x, dtype=torch.uint8))
    return _moves(pieces, rows)


def _moves(what: Tensor, rows: Rows) -> Tensor:
    begin, end = rows.ends(what)
    return begin != end


def _at(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, ...]:
    if name in CLAMPS:
        return tuple(at for at in bounds(name, *args[1:], **kwargs) if math.isfinite(at))
    first = args[1] if len(args) > 1 else None
    if name == "threshold":
        at: Any = kwargs.get("threshold", first)
        return (float(at),)
    if name in ("softshrink", "hardshrink"):
        width = float(kwargs.get("lambd", 0.5 if first is None else first))
        return -width, width
    if name == "elu":
        return () if float(kwargs.get("alpha", 1.0 if first is None else first)) == 1 else (0.0,)
    return _AT[name]


def bounds(name: str, *args: Any, **kwargs: Any) -> tuple[float, float]:
    """Between which values an operation that clamps is the identity."""
    low_name, high_name = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
    defaults = (-1.0, 1.0) if name == "hardtanh" else (None, None)
    given = (None, *args) if name == "clamp_max" else args
    low = kwargs.get(low_name, given[0] if given else defaults[0])
    high = kwargs.get(high_name, given[1] if len(given) > 1 else defaults[1])
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)
