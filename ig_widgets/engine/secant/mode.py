"""The mode that gives each operation its average slope over a cell in place of its derivative."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import slopes
from ig_widgets.engine.frozen_parameters import FrozenParameters
from ig_widgets.engine.kinks import CLAMPS, jump_in
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.engine.place import note, whereabouts
from ig_widgets.engine.secant.cell_mode import CellMode, Handler, note_passing
from ig_widgets.engine.secant.elementwise import clamp_bounds
from ig_widgets.engine.secant.lengths import note_length
from ig_widgets.engine.secant.operations import (
    GRADIENTS,
    LINEAR,
    LINEAR_IN_FIRST,
    in_order,
    is_in_place,
    is_number,
    out_of_place,
    python_body,
    tensors_in,
)
from ig_widgets.engine.secant.path_mode import ON_PATH, LeaveError
from ig_widgets.engine.secant.table import HANDLERS


class SecantMode(CellMode):
    """Gives operations their average slopes; `inputs` are the leaves. What has no rule is added to `fallbacks`.

    `begins` and `points` are those of `CellMode`. Raises LeaveError where the rule would go wrong.
    """

    def __init__(
        self,
        inputs: Iterable[Tensor],
        fallbacks: set[str],
        freezing: FrozenParameters | None = None,
        begins: Tensor | None = None,
        points: int = 0,
    ) -> None:
        super().__init__(inputs, freezing, begins, points)
        self.fallbacks = fallbacks

    def unseen(self, name: str) -> None:
        """A plain derivative is taken."""
        self.fallbacks.add(name)

    def transformed(self) -> None:
        """Derivatives inside would be average slopes, and points lie where nothing tells."""
        raise LeaveError("the secant rule does not hold here: forward_func uses torch.func on what it is given")

    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """The operation, with its average slope where there is a rule for it."""
        if name in GRADIENTS:
            raise LeaveError(f"the secant rule does not hold here: forward_func takes a gradient itself ({name})")
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in on_path):
            return func(*args, **kwargs)
        self._name = name
        handler = HANDLERS.get(name)
        if handler is not None:
            try:
                result = self._handled(handler, name, func, args, kwargs)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                # Whatever it stumbled on: the operation itself says whether that is an error.
                result = NotImplemented
            if result is not NotImplemented:
                note_length(name, func, args, kwargs, result)
                self._name_jumps(on_path)
                return result
        elif name in LINEAR:
            # An index or a condition that moves along the path is no part of what is linear.
            if any(not is_number(t) for t in on_path) or (
                name in LINEAR_IN_FIRST and any(t is not args[0] for t in on_path)
            ):
                return self._plain(name, func, args, kwargs)
            result = func(*args, **kwargs)
            note_length(name, func, args, kwargs, result)
            self._name_jumps(on_path)
            return result
        elif (body := python_body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return self._plain(name, func, args, kwargs)

    def _name_jumps(self, on_path: list[Tensor]) -> None:
        """Of what jumps there is no slope, though it counts."""
        self.fallbacks.update(jump for t in on_path if (jump := jump_in(t)) is not None)

    def _handled(self, handler: Handler, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = in_order(args, kwargs)
        in_place = kwargs.get("inplace") is True or is_in_place(func)
        if not in_place:
            return handler(self, func, *args, **kwargs)
        # Out of place first, on a copy, which the operation may then be saved of.
        kwargs = {**kwargs, **({"inplace": False} if "inplace" in kwargs else {})}
        target = args[0]
        if (clamp := self._clamp_in_place(name, target, args[1:], kwargs)) is not None:
            note_passing(self, name, target, self.place(target), clamp.high - clamp.low)
            return slopes.Elementwise.apply(target, clamp, self.place(target), True)
        copy = target.clone()
        if getattr(target, ON_PATH, False):
            setattr(copy, ON_PATH, True)
            note(copy, whereabouts(target))
        result = handler(self, out_of_place(func), copy, *args[1:], **kwargs)
        return result if result is NotImplemented else target.copy_(result)

    def _clamp_in_place(self, name: str, x: Tensor, further: Any, kwargs: Any) -> slopes.Clamp | None:
        """The operation, if x can be clamped where it is: no view, in full precision, between constants."""
        own = {key: value for key, value in kwargs.items() if key != "inplace"}
        if name not in ("relu", "relu6", *CLAMPS) or any(isinstance(t, Tensor) for t in (*further, *own.values())):
            return None
        if not self.depends(x) or not x.requires_grad or x.is_leaf or x._is_view():
            return None
        limits = clamp_bounds(name, *further, **own)
        return None if limits is None or x.element_size() < 4 or x.is_complex() else slopes.Clamp(*limits)

    def _plain(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if any(t.requires_grad for t in tensors_in(result)):
            self.fallbacks.add(name)
        return result
