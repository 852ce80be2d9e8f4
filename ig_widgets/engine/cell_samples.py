"""Samples of the secant rule: cells, known by their ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.path import Path
from ig_widgets.engine.rules import Floats, Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.sampler import Sampler
from ig_widgets.engine.samples import Arrange, Samples


class CellSamples(Samples):
    """Collects cells by the secant rule, known by their ends; those of `nodes` also by their middles, as alphas."""

    def __init__(
        self,
        sampler: Sampler,
        path: Path,
        nodes: Nodes | None = None,
        output: Tensor | None = None,
        *,
        like: Samples | None = None,
        arrange: Arrange | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        super().__init__(sampler, path, output, like=like, arrange=arrange, cancel=cancel)
        cells = () if nodes is None else zip(nodes.alphas.tolist(), pairwise(nodes.edges.tolist()), strict=True)
        self._cells: dict[float, tuple[float, float]] = dict(cells)
        self._middles = {cell: alpha for alpha, cell in self._cells.items()}

    @property
    def alphas(self) -> Floats:
        """The middles, ascending, of those cells of `nodes` that have been sampled for every example of the batch."""
        complete = set(self._index.complete())
        return np.array([alpha for alpha, cell in self._cells.items() if complex(*cell) in complete])

    def keys(self, block: Any) -> list[Any]:
        """The ends of each cell."""
        return list(zip(block.lows.tolist(), block.highs.tolist(), strict=True))

    def keys_of(self, nodes: Nodes) -> list[Any]:
        """The ends of each cell."""
        # A part of `nodes` stands for more of the path than its own cells.
        known = [self._cells.get(alpha) for alpha in nodes.alphas.tolist()]
        return [own or cell for own, cell in zip(known, pairwise(nodes.edges.tolist()), strict=True)]

    def _keys_of_block(self, block: Any) -> Floats:
        return np.stack([block.lows.numpy(), block.highs.numpy()], 1)

    def _keys_of_each(self, each: BatchNodes) -> Floats:
        if self._cells:
            first = np.array(self.keys_of(each[0]), dtype=np.float64)
            return np.broadcast_to(first, (len(each), *first.shape))
        # Examples with fewer cells repeat their last one.
        last = np.minimum(np.arange(each.alphas.shape[1]), each.counts[:, None] - 1)
        return np.stack([np.take_along_axis(each.edges, last + k, 1) for k in (0, 1)], -1)

    def _keys_at(self, alphas: Floats) -> Floats:
        return np.array([self._cells[a] for a in alphas.tolist()], dtype=np.float64).reshape(-1, 2)

    def extend(
        self, alphas: Floats, *, first: int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Block]:
        """Sample what is missing, one example after the other, so that neighbours share their ends; as `take`."""
        return self.take(self._order(alphas, by_alpha=False), first=first, cancel=cancel)

    def _sample(self, rows: Wanted, first: int | None, cancel: threading.Event | None) -> Iterator[Block]:
        keys = rows.keys.reshape(-1, 2)
        middles = keys.mean(1)
        if self._middles:
            known = [self._middles.get((low, high), (low + high) / 2) for low, high in keys.tolist()]
            middles = np.array(known, dtype=np.float64)
        examples, alphas, ends = (torch.from_numpy(values) for values in (rows.examples, middles, keys))
        return self.sampler.sample_cells(examples, alphas, ends[:, 0], ends[:, 1], first=first, cancel=cancel)
