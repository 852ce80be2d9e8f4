"""The output of a model as a function of what its layers give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.layer_calls import Call, Layers, copies
from ig_widgets.engine.layouts import Layout


class FromLayers:
    """The model's output from the layers' values and the model's arguments.

    What lies before the layers depends on the arguments alone, which are the same all along a path. They are then
    given in one row; what the layers hold brings the others in, beside which a single row broadcasts.
    """

    def __init__(self, layers: Layers, calls: tuple[Call, ...], used: tuple[bool, ...]) -> None:
        # By this name others look for what is inside a function.
        self.forward_func = layers.forward_func
        self.layouts: tuple[Layout, ...] | None = None
        self._layers = layers
        self._used: dict[Call, list[bool]] = {}
        for call, flag in zip(calls, used, strict=True):
            self._used.setdefault(call, []).append(flag)
        # The one row that was last given before the layers, and whether the model bears it beside more behind: what is
        # true of one example (a mask that masks nothing) need not be so of the next.
        self._seen: tuple[list[Tensor], bool] | None = None

    def __call__(self, *values: Any, **keywords: Any) -> Tensor:
        """The explained tensor of the output, of the used values, then the arguments."""
        split = sum(map(sum, self._used.values()))
        held, arguments = values[:split], values[split:]
        rows = len(held[0])
        leaves, structure = pytree.tree_flatten((list(arguments), keywords))
        narrow = _narrowed(leaves, rows)
        if narrow is not None and self._broadcasts(held, leaves, narrow, structure, rows):
            leaves = _first(leaves, rows, 1)
        arguments, keywords = pytree.tree_unflatten(leaves, structure)
        return self._run(held, arguments, keywords)

    def _broadcasts(
        self, held: Sequence[Any], leaves: list[Any], narrow: list[Tensor], structure: Any, rows: int
    ) -> bool:
        """Whether one row before the layers gives what all rows give; two rows will show it."""
        if self._seen is None or not _equal(self._seen[0], narrow):
            with torch.no_grad(), torch._C.DisableTorchFunction():
                few = [h[:2] for h in held]
                full, one = (pytree.tree_unflatten(_first(leaves, rows, n), structure) for n in (2, 1))
                self._seen = ([n.detach().clone() for n in narrow], self._agree(few, full, one))
        return self._seen[1]

    def _run(self, values: Sequence[Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Tensor:
        if self.layouts is not None:
            values = [layout.as_held(v) for layout, v in zip(self.layouts, values, strict=True)]
        remaining = iter(values)
        given = {call: [next(remaining) if flag else None for flag in flags] for call, flags in self._used.items()}

        def replace(call: Call, value: Any) -> Any:
            if call not in given:
                raise ArgumentValueError(
                    f"{self._layers.names[call[0]]} is called more often on the path than at its ends; there is no "
                    f"value to put in its place."
                )
            held, put_back = self._layers.members(value, call[0])
            return put_back([h if g is None else g for h, g in zip(held, given[call], strict=True)])

        return self._layers.run(arguments, keywords, replace)

    def _agree(self, held: Sequence[Any], full: Any, narrow: Any) -> bool:
        """Whether one row before the layers gives what all rows give. Copies, for a model that writes in place."""
        try:
            expected, seen = (
                self._run(copies(held), *pytree.tree_map_only(Tensor, lambda t: t.detach().clone(), arguments))
                for arguments in (full, narrow)
            )
        except Exception:  # noqa: BLE001  (rows that do not broadcast, or are none; without this it will be seen)
            return False
        if seen.shape != expected.shape:
            return False
        size = float(expected.abs().max()) if expected.numel() else 0.0
        return torch.allclose(seen, expected, rtol=0.0, atol=64 * torch.finfo(expected.dtype).eps * size)


def _has_rows(value: object, rows: int) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and value.shape[0] == rows


def _narrowed(leaves: Sequence[Any], rows: int) -> list[Tensor] | None:
    """One row of the arguments that have `rows`, where all rows are the same; None where they are not, or it is one."""
    along = [a for a in leaves if _has_rows(a, rows)]
    if rows < 2 or not all(bool((a == a[:1]).all()) for a in along):
        return None
    return [a[:1] for a in along]


def _first(leaves: Sequence[Any], rows: int, count: int) -> list[Any]:
    """The first `count` of the `rows` of the arguments, of those that have rows."""
    return [a[:count] if _has_rows(a, rows) else a for a in leaves]


def _equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))
