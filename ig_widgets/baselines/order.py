"""The input's own values in random order as baseline: attributes to their arrangement."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, Parameter, check_seed
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError


@dataclass(frozen=True)
class permuted(Baseline):  # noqa: N801
    """The values of each input in an order drawn by `seed`, each example in its own, the same on every device.

    `dim`: the dimension along which places change, or several, whose places are shuffled as one; what lies along the
    others stays together. None: the pixels of pictures (batch, channels, height, width), each with its channels; the
    features of a table (batch, features); else it has to be named, 1 for the steps of (batch, steps, features). Also of
    token ids. Raises ArgumentTypeError, ArgumentValueError.
    """

    seed: int = 0
    dim: int | tuple[int, ...] | None = None

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "any"
    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("seed", 0, 999, 1, 0),)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        dims = self.dim if isinstance(self.dim, tuple) else () if self.dim is None else (self.dim,)
        if any(isinstance(dim, bool) or not isinstance(dim, Integral) for dim in dims) or self.dim == ():
            raise ArgumentTypeError(f"dim must be an integer, a tuple of them or None, got {self.dim!r}.")

    def __call__(self, inputs: Tensor) -> Tensor:
        """`inputs` (batch, ...), shuffled. Raises ArgumentValueError for a dim that they do not have."""
        dims = self._dims(inputs)
        ends = list(range(-len(dims), 0))
        moved = inputs.movedim(dims, ends)
        flat = moved.flatten(-len(dims))
        generator = torch.Generator().manual_seed(int(self.seed))
        orders = [torch.randperm(flat.shape[-1], generator=generator).to(inputs.device) for _ in range(len(inputs))]
        rows = [row.index_select(-1, order) for row, order in zip(flat, orders, strict=True)]
        return torch.stack(rows).view(moved.shape).movedim(ends, dims).contiguous()

    def describe(self) -> str:
        """What is shuffled, and the seed."""
        what = "shuffled" if self.dim is None else f"shuffled along {self.dim}"
        return f"{what}, seed {self.seed}"

    def _dims(self, inputs: Tensor) -> list[int]:
        if self.dim is None:
            if inputs.dim() not in (2, 4):
                raise ArgumentValueError(
                    f"dim must be given for inputs {tuple(inputs.shape)}: the dimension along which to shuffle. None "
                    f"is for pictures (batch, channels, height, width) and tables (batch, features)."
                )
            return list(range(2, 4) if inputs.dim() == 4 else range(1, 2))
        given = self.dim if isinstance(self.dim, tuple) else (self.dim,)
        found = sorted({dim % inputs.dim() for dim in given if -inputs.dim() <= dim < inputs.dim()})
        if len(found) < len(given) or 0 in found:
            raise ArgumentValueError(
                f"dim must name dimensions from 1 to {inputs.dim() - 1} of inputs {tuple(inputs.shape)}, each once and "
                f"not the batch, got {self.dim}."
            )
        return found
