"""Counts the kinks that a network passes between both ends of a path, in a forward pass of both.

A kink counts if an element lies on different sides of it at the baseline and at the input: a ReLU that is off at both
ends, or a clamp that only guards against zero, is as good as linear.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine import rows
from ig_widgets.engine.place import Whereabouts, whereabouts

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
_ORDERS = ("sort", "topk", "kthvalue", "median", "cummax", "cummin")
_STEPS = ("round", "floor", "ceil", "trunc", "sign", "sgn", "heaviside")
KINKED = frozenset(
    (*_AT, *CLAMPS, *_POOLS, *_LARGEST, *_BETWEEN, *_ORDERS, *_STEPS, "elu", "threshold", "softshrink", "hardshrink")
)


# Of a tensor without a gradient: the operation that made a condition or a position of what moves.
JUMP = "_ig_widgets_jump"


def jump_in(tensor: Tensor) -> str | None:
    """The operation by which `tensor` jumps as the points move, if it does."""
    return None if tensor.requires_grad else getattr(tensor, JUMP, None)


class Kinks:
    """What operations did between the two points of each pair: 0 and 1, 2 and 3, ...

    `crossed` and `elements`: by operation, how many elements passed a kink, and of how many. `curved`: names of
    operations that are neither linear nor linear in pieces. `hidden`: names of what could not be looked into.
    """

    def __init__(self) -> None:
        self.crossed: Counter[str] = Counter()
        self.elements: Counter[str] = Counter()
        self.curved: set[str] = set()
        self.hidden: set[str] = set()

    def __str__(self) -> str:
        blind = f" (not visible inside {', '.join(sorted(self.hidden))})" if self.hidden else ""
        if not self.elements.total():
            return f"no operation with a kink{blind}"
        passed = [
            f"{name} ({_share(self.crossed[name] / self.elements[name])} of its elements)"
            for name, count in self.crossed.most_common(3)
            if count
        ]
        return f"kinks are passed in {', '.join(passed)}{blind}" if passed else f"no kink is passed{blind}"

    def look(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], on_path: Sequence[Tensor]
    ) -> None:
        """Count what the operation is about to do with the tensors `on_path`."""
        for label, what, where in _pieces(name, func, args, kwargs, on_path):
            if isinstance(where, str):
                self.hidden.add(f"{label} behind {where}")
                continue
            begin, end = where.pairs(what)
            crossed = begin != end
            self.crossed[label] += int(crossed.sum())
            self.elements[label] += crossed.numel()


class KinksByOne(Kinks):
    """Of points that come in passes of their own: what operations did at the last is compared with the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._before: list[tuple[str, Tensor]] = []
        self._now: list[tuple[str, Tensor]] = []

    def look(
        self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], on_path: Sequence[Tensor]
    ) -> None:
        """Note what the operation is about to do with the tensors `on_path`."""
        self._now += [(label, what) for label, what, _ in _pieces(name, func, args, kwargs, on_path)]

    def compare(self) -> None:
        """A pass is over: count what is otherwise than in the one before it."""
        before, now = self._before, self._now
        self._before, self._now = now, []
        if not before:
            return
        if [(label, what.shape) for label, what in before] != [(label, what.shape) for label, what in now]:
            self.hidden.add("a function that runs otherwise at both ends")
            return
        self._before = []
        for (label, begin), (_, end) in zip(before, now, strict=True):
            self.crossed[label] += int((begin != end).sum())
            self.elements[label] += begin.numel()


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


def _pieces(
    name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], on_path: Sequence[Tensor]
) -> list[tuple[str, Tensor, Whereabouts]]:
    """On which piece of the operation each element lies, and where points lie in that; nothing if it has no pieces."""
    if name not in KINKED:
        # Conditions and positions that move with the points choose between pieces.
        return [(jump, t, whereabouts(t)) for t in on_path if (jump := jump_in(t)) is not None]
    try:
        return [(name, *_piece(name, func, args, kwargs, on_path))] if isinstance(args[0], Tensor) else []
    except (RuntimeError, TypeError, ValueError, IndexError, StopIteration):
        return []


def _piece(
    name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], on_path: Sequence[Tensor]
) -> tuple[Tensor, Whereabouts]:
    x = args[0].detach()
    where = whereabouts(args[0])
    if name in _POOLS:
        kwargs = {key: value for key, value in kwargs.items() if key != "return_indices"}
        return _POOLS[name](x, *args[1:], **kwargs)[1], where
    if name in _BETWEEN or (name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor)):
        which = x > args[1].detach()
        found = [(t, whereabouts(t)) for t in on_path]
        return which, rows.follow("gt", func, args, kwargs, found, [which])[0]
    if name in _LARGEST:
        dim: Any = kwargs.get("dim", args[1] if len(args) > 1 else None)
        dims = sorted(d % x.dim() for d in ([dim] if isinstance(dim, int) else dim))
        if not isinstance(where, str) and where.dim in dims:
            return x, name
        flat = x.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
        if not isinstance(where, str):
            where = where._replace(dim=where.dim - sum(d < where.dim for d in dims))
        return flat.argmin(-1) if name in ("amin", "min") else flat.argmax(-1), where
    if name in _STEPS:
        return func(x, *args[1:], **kwargs), where
    if name in _ORDERS:
        result = func(*args, **kwargs)
        found = [(t, whereabouts(t)) for t in on_path]
        return result[1], rows.follow(name, func, args, kwargs, found, [result[1]])[0]
    return sum(
        ((x >= at).to(torch.uint8) for at in _at(name, args, kwargs)), torch.zeros_like(x, dtype=torch.uint8)
    ), where


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
