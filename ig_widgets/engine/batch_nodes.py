"""The nodes of each example of a batch, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ig_widgets.engine.rules import Floats, Integers, Nodes


@dataclass(frozen=True, eq=False)
class BatchNodes(Sequence[Nodes]):
    """The nodes of each example of a batch, side by side.

    `alphas` (batch, n), `edges` (batch, n + 1): those of examples with fewer than n repeat their last. `counts`
    (batch,): how many each has.
    """

    alphas: Floats
    edges: Floats
    counts: Integers

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, example: Any) -> Any:
        count = self.counts[example]
        edges = self.edges[example, : count + 1]
        return Nodes(self.alphas[example, :count], np.diff(edges), edges)

    @staticmethod
    def of(nodes: Nodes | Sequence[Nodes], batch: int) -> BatchNodes:
        """Of all examples, or of each."""
        if isinstance(nodes, BatchNodes):
            return nodes
        if isinstance(nodes, Nodes):
            alphas, edges = (np.tile(values, (batch, 1)) for values in (nodes.alphas, nodes.edges))
            return BatchNodes(alphas, edges, np.full(batch, len(nodes.alphas)))
        counts = np.array([len(own.alphas) for own in nodes])
        at = np.minimum(np.arange(counts.max()), counts[:, None] - 1) + (np.cumsum(counts) - counts)[:, None]
        ends = np.minimum(np.arange(counts.max() + 1), counts[:, None]) + (np.cumsum(counts + 1) - counts - 1)[:, None]
        alphas, edges = (np.concatenate([getattr(own, name) for own in nodes]) for name in ("alphas", "edges"))
        return BatchNodes(alphas[at], edges[ends], counts)
