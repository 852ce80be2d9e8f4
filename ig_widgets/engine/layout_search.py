"""Finds the layout of what layers give, by passes with other numbers of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ig_widgets.engine.activations import Activations
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.layer_calls import Recorder
from ig_widgets.engine.layouts import Layout
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.engine.state_guard import StateGuard


def layouts_of(
    found: Activations, arguments: Sequence[object], keywords: Mapping[str, object], *, batch: int
) -> tuple[Layout, ...]:
    """The layout of each used tensor. Raises ArgumentValueError where examples cannot be told apart in it.

    Where shapes leave a choice the model runs once more, with another number of examples.
    """
    held = [t for t, used in zip(found.inputs, found.used, strict=True) if used]
    if all(_is_plain(t, batch) for t in held):
        return (Layout(),) * len(held)
    # As few as tell: one, or two of the same.
    number = 1 if batch > 1 else 2

    def resized(value: Tensor) -> Tensor:
        if value.dim() == 0 or value.shape[0] != batch:
            return value
        return value[:1] if batch > 1 else torch.cat([value, value])

    probe = Recorder(found.layers)
    others: list[Tensor] | None = None
    try:
        given = pytree.tree_map_only(Tensor, resized, (list(arguments), dict(keywords)))
        StateGuard(found.function.forward_func, held[0].device).run(lambda: probe.run(*given), gradients=False)
        every = [t for call in probe.calls for t in probe.held(call)]
        if len(every) == len(found.used):
            others = [t for t, used in zip(every, found.used, strict=True) if used]
    except Exception as error:
        # A model of one row, or of this batch alone: then shapes have to do.
        if is_out_of_memory(error):
            raise
    made = []
    for i, tensor in enumerate(held):
        layout = None if others is None else _layout(tensor, others[i], batch, number)
        if layout is None and others is None and tensor.dim() and tensor.shape[0] == batch:
            layout = Layout()
        if layout is None and others is None and batch == 1:
            layout = Layout(is_whole=True)
        if layout is None:
            raise ArgumentValueError(
                f"layer gives a tensor of shape {tuple(tensor.shape)} for a batch of {batch}; it must have the "
                f"examples along one dimension, one after the other. Choose a layer before or behind it."
            )
        made.append(layout)
    return tuple(made)


def _is_plain(tensor: Tensor, batch: int) -> bool:
    """Whether the batch can only be the first dimension."""
    return tensor.dim() > 0 and tensor.shape[0] == batch and batch not in tensor.shape[1:]


def _layout(tensor: Tensor, other: Tensor, batch: int, number: int) -> Layout | None:
    """From the same tensor with `number` examples."""
    if tensor.dim() != other.dim():
        return None
    differing = [d for d in range(tensor.dim()) if tensor.shape[d] != other.shape[d]]
    if len(differing) != 1:
        return None
    dim = differing[0]
    count, rest = divmod(tensor.shape[dim], batch)
    if rest or count == 0 or other.shape[dim] != count * number:
        return None
    # The rows of the first example come first, which is not so where steps alternate.
    first, again = tensor.narrow(dim, 0, count), other.narrow(dim, 0, count)
    scale = float(first.abs().max()) if first.numel() else 0.0
    if count > 1 and not torch.allclose(first, again, rtol=0.0, atol=1e-3 * scale, equal_nan=True):
        return None
    return Layout(dim, count)
