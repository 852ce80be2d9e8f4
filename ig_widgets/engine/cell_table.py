"""Cells of all examples of a batch, as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ig_widgets.engine.rules import Floats, Integers


@dataclass(frozen=True, eq=False)
class CellTable:
    """Cells of all examples, one example after the other, ascending: each column (cells,).

    `errors`: of a cell's share of the map, an absolute one; of one that is among the `first`, known to a factor only.
    `rows`: where they lie among all samples.
    """

    examples: Integers
    lows: Floats
    highs: Floats
    errors: Floats
    first: Any
    rows: Integers

    def __len__(self) -> int:
        return len(self.lows)

    @property
    def ends(self) -> Floats:
        """(cells, 2)."""
        return np.stack([self.lows, self.highs], 1)

    def __getitem__(self, chosen: Any) -> CellTable:
        return CellTable(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def parts(self, counts: Integers) -> tuple[Integers, Floats]:
        """As many equal parts of each cell as `counts` (cells,) says: of which cell each is, its ends (parts, 2)."""
        of = np.repeat(np.arange(len(self)), counts)
        at = np.arange(len(of)) - (np.cumsum(counts) - counts)[of]
        lows, lengths, count = self.lows[of], (self.highs - self.lows)[of], counts[of]
        edges = np.stack([lows + lengths * at / count, lows + lengths * (at + 1) / count], 1)
        edges[:, 1] = np.where(at + 1 == count, self.highs[of], edges[:, 1])
        return of, edges
