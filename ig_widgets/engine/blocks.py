"""What a chunk of samples gave: points, or cells of the secant rule."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ig_widgets.engine.path import Path


@dataclass(frozen=True, eq=False)
class Block:
    """What one chunk gave. Rows are (example, alpha) pairs.

    `examples`, `alphas` (float64), `outputs` (float64), `density` (float64, dF/dalpha) are (rows,) on the CPU;
    `gradients` are tensors (rows, ...) like the inputs, on their device; on a curved path, times its tangent; with a
    reduction what it gives of the product of gradient and tangent.
    """

    examples: Tensor
    alphas: Tensor
    outputs: Tensor
    density: Tensor
    gradients: tuple[Tensor, ...]

    @property
    def output_alphas(self) -> Tensor:
        """Where `outputs` were taken."""
        return self.alphas


@dataclass(frozen=True, eq=False)
class CellBlock(Block):
    """What one chunk of the secant rule gave. Rows are cells from `lows` to `highs`; `alphas` are their middles.

    `gradients` and `density` are means over the cell; `outputs` are F at its beginning. `defects` and `roundings`
    (rows,), float64 on the CPU: what the attributions of the cell miss F(end) - F(beginning) by, both ends taken in the
    same pass at the points that the model was given, and what rounding alone explains of that. `scales`: operations
    that passed over many scales within a cell.
    """

    lows: Tensor
    highs: Tensor
    defects: Tensor
    roundings: Tensor
    scales: frozenset[str]

    @property
    def output_alphas(self) -> Tensor:
        """Where `outputs` were taken."""
        return self.lows


def smallest_non_finite(
    block: Block, gradients: Tensor, path: Path, before: tuple[float, str] | None = None
) -> tuple[float, str] | None:
    """The smallest alpha so far at which something is NaN or infinite, and the sentence that says so.

    `gradients` (rows,): which gradients of the block are finite.
    """
    for finite, what in (
        (torch.isfinite(block.outputs), "forward_func's output"),
        (gradients, "the gradient of forward_func"),
    ):
        if bool(finite.all()):
            continue
        alphas = block.alphas[~finite]
        alpha = float(alphas.min())
        if before is None or alpha < before[0]:
            example = int(block.examples[~finite][alphas.argmin()])
            before = (
                alpha,
                f"{what} is NaN or infinite {path.place(alpha, alpha)} (example {example}), the first sample at which "
                f"it is; a map with NaN in it explains nothing. Look at the model there, or use a wider dtype.",
            )
    return before
