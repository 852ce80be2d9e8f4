"""Bytes that a forward pass keeps for the backward pass, by this engine and by Captum: the same rows, parameters aside.

python benchmarks/saved.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import captum.attr
import torch
from _report import Row, table
from torch import Tensor, nn

import ig_widgets as igw

ROWS = 4
GOAL = 0.7


class Vision(nn.Module):
    """A vision transformer of six blocks (GELU), for pictures of 224 x 224, with random weights."""

    def __init__(self, width: int = 192, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.places = nn.Parameter(0.02 * torch.randn(196, width))
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 6, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(pictures).flatten(2).mT + self.places).mean(1))


def saved(run: Callable[[], object], model: nn.Module) -> int:
    """Bytes kept by `run`, each piece of memory once, without the model's own."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}
    held = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # so that no other tensor is given the same place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(sizes.values())


def measured(name: str, model: nn.Module, goal: float | None) -> list[Row]:
    """Captum, and both kinds of passes of ours against it."""
    x = torch.rand(1, 3, 224, 224)

    def ours(method: str) -> int:
        return saved(lambda: igw.attribute(model, x, target=0, method=method, n_steps=ROWS, chunk_size=ROWS + 1), model)

    theirs = saved(lambda: captum.attr.IntegratedGradients(model).attribute(x, target=0, n_steps=ROWS), model)
    points = ours("gausslegendre") / theirs
    # One row more than cells.
    cells = ours("secant") / theirs * ROWS / (ROWS + 1)
    return [
        Row(f"{name}: Captum", f"{theirs / 1e6:.1f} MB for {ROWS} rows"),
        Row(f"{name}: ours, gausslegendre, a row against Captum", f"{points:.2f}x", points, goal, "x"),
        Row(f"{name}: ours, secant, a row against Captum", f"{cells:.2f}x"),
    ]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.manual_seed(0)
    rows = measured("vision transformer", Vision().eval(), GOAL)
    rows += measured("EfficientNet-Lite0", igw.demo.image_classifier().model, None)
    table("Saved for the backward pass", rows)


if __name__ == "__main__":
    main()
