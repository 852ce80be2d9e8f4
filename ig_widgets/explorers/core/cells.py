"""Cells: maps as sums over neighbouring values, which are complete as the values are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """A partition of a map: `labels`, of the map's shape, says to which cell each value belongs, from 0 on.

    `element`: what one cell is called ("patch of 8 x 8").
    """

    labels: npt.NDArray[np.integer[Any]]
    element: str

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many values each has (cells,)."""
        return np.bincount(self.labels.ravel())

    def sums(self, values: Values) -> Sums:
        """Returns the sum of a map over each cell (cells,)."""
        found: Sums = np.bincount(self.labels.ravel(), weights=values.astype(np.float64).ravel()).astype(np.float64)
        return found

    def drawn(self, values: Values) -> Sums:
        """Returns the map in which each value is the sum of its cell, as it is drawn."""
        found: Sums = self.sums(values)[self.labels]
        return found

    def shared_out(self, values: Values) -> Sums:
        """Returns the map in which the values of a cell share its sum, so that any part of it can be added up."""
        found: Sums = (self.sums(values) / self.sizes)[self.labels]
        return found
