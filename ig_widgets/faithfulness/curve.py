"""The result of deletion and insertion: F at each step, its area, and that of random orders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ig_widgets.faithfulness.maps import numbers
from ig_widgets.tables import html_table, text_table

DELETION, INSERTION = "deletion", "insertion"


@dataclass(frozen=True, eq=False)
class Curves:
    """F as ever more features are replaced, by falling attribution and in random orders. All in the units of F.

    `kind`: deletion (from the input to the fill) or insertion (from the fill to the input). `fill`: what replaces.
    `shares` (steps + 1,): of the features that have been exchanged, from 0 to 1. `outputs` (batch, steps + 1): F in the
    order of the map. `random_outputs` (batch, n_random, steps + 1): F in random orders, of `seed`. `evaluations`:
    forward passes per example, of which the order of the map alone would take steps + 1. Tensors are float64, on the
    CPU. Prints as a table.
    """

    kind: str
    fill: str
    shares: Tensor
    outputs: Tensor
    random_outputs: Tensor
    seed: int
    evaluations: int

    @property
    def area(self) -> Tensor:
        """The area under F (batch,), by the trapezoid rule: smaller is better for deletion, larger for insertion."""
        return torch.trapezoid(self.outputs, self.shares)

    @property
    def random_area(self) -> Tensor:
        """The areas of the random orders (batch, n_random)."""
        return torch.trapezoid(self.random_outputs, self.shares)

    @property
    def advantage(self) -> Tensor:
        """By how much the map does better than random orders on average (batch,); 0 is chance."""
        ahead = self.area - self.random_area.mean(1)
        return ahead if self.kind == INSERTION else -ahead

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        orders = self.random_outputs.shape[1]
        chance = "random area" if orders == 1 else f"random area (mean of {orders})"
        return f"{self.kind}, fill: {self.fill}", "F at start", "F at end", "area", chance, "advantage"

    def _rows(self) -> list[tuple[str, ...]]:
        columns = torch.stack(
            [self.outputs[:, 0], self.outputs[:, -1], self.area, self.random_area.mean(1), self.advantage], dim=1
        )
        rows = [(f"example {i}", *map(numbers, values)) for i, values in enumerate(columns.tolist())]
        return rows if len(rows) == 1 else [*rows, ("mean", *map(numbers, columns.mean(0).tolist()))]
