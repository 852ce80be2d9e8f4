"""The samples that an attribution is the weighted sum of, and sums of them up to any alpha."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ig_widgets.engine.blocks import Block
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.path import Path
from ig_widgets.engine.transfers import sent


@dataclass(frozen=True, eq=False)
class PathTrace:
    """The samples that an attribution is the weighted sum of, along alpha; all float64, on the CPU.

    `alphas` (batch, n), ascending: where each sample sits. `edges` (batch, n + 1): sample k stands for the piece
    from `edges[:, k]` to `edges[:, k + 1]`; an example with fewer samples than others repeats its last one, for pieces
    without length. `density` (batch, n): dF/dalpha there. `output_alphas` and `outputs`
    (batch, m), ascending: F along the path, both ends among them. `multiply_by_inputs`: whether sums have the factor
    (x - x'), or that of a curved path.
    """

    alphas: Tensor
    edges: Tensor
    density: Tensor
    output_alphas: Tensor
    outputs: Tensor
    multiply_by_inputs: bool
    _path: Path
    _pieces: tuple[tuple[Block, Tensor, Tensor], ...]
    _is_tuple: bool
    _keeps_products: bool

    def __repr__(self) -> str:
        batch, n = self.alphas.shape
        return f"PathTrace({counted(n, 'sample')}, batch of {batch})"

    def cumulative(self, alpha: float) -> Tensor | tuple[Tensor, ...]:
        """The attribution collected from the baseline up to `alpha`, like the samples; linear inside a piece.

        At 1 it is the attribution itself. Raises ArgumentValueError for alpha outside [0, 1].
        """
        if not 0 <= alpha <= 1:
            raise ArgumentValueError(f"alpha must lie in [0, 1], got {alpha}.")
        sums = self._sum(alpha)
        cast = tuple(s.to(x.dtype) for s, x in zip(sums, self._path.inputs, strict=True))
        return cast if self._is_tuple else cast[0]

    def _sum(self, alpha: float = 1.0) -> tuple[Tensor, ...]:
        """The same in the dtype it is added up in: the blocks in at least float32, their sum in float64."""
        device = self._path.device
        dtype = widest(device)
        like = self._pieces[0][0].gradients if self._pieces else self._path.inputs
        batch = len(self._path.inputs[0])
        sums = [torch.zeros((batch, *one.shape[1:]), dtype=dtype, device=device) for one in like]
        for block, start, stop in self._pieces:
            weight = (start.clamp(max=alpha) - stop.clamp(max=alpha)).neg()
            for total, gradient in zip(sums, block.gradients, strict=True):
                _add_weighted(total, gradient, weight, block.examples)
        if self.multiply_by_inputs and not self._keeps_products:
            for total, x, b in zip(sums, self._path.inputs, self._path.baselines, strict=True):
                total.mul_(x.to(dtype) - b.to(dtype))
        return tuple(sums)


def _add_weighted(total: Tensor, gradient: Tensor, weight: Tensor, examples: Tensor) -> None:
    wide = total.dtype if gradient.dtype == torch.float64 else torch.float32
    weighted = gradient.to(wide) * sent(weight, gradient.device, wide).view(-1, *[1] * (gradient.dim() - 1))
    if total.shape[0] == 1:
        total.add_(weighted.sum(0))
    else:
        total.add_(torch.zeros_like(total, dtype=wide).index_add_(0, sent(examples, total.device), weighted))
