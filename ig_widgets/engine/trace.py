"""What was sampled on a path, and what a rule makes of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError, NonFiniteError
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.path import Path
from ig_widgets.engine.rules import Floats, Nodes, nearest_edges
from ig_widgets.engine.sampling import Block, Sampler
from ig_widgets.engine.wording import counted


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

    def __repr__(self) -> str:
        batch, n = self.alphas.shape
        return f"PathTrace({counted(n, 'sample')}, batch of {batch})"

    def cumulative(self, alpha: float) -> Tensor | tuple[Tensor, ...]:
        """The attribution collected from the baseline up to `alpha`, like the inputs; linear inside a piece.

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
        dtype = torch.float32 if device.type == "mps" else torch.float64
        sums = [torch.zeros(x.shape, dtype=dtype, device=device) for x in self._path.inputs]
        for block, start, stop in self._pieces:
            weight = (start.clamp(max=alpha) - stop.clamp(max=alpha)).neg()
            for total, gradient in zip(sums, block.gradients, strict=True):
                _add_weighted(total, gradient, weight, block.examples)
        if self.multiply_by_inputs and self._path.is_straight:
            for total, x, b in zip(sums, self._path.inputs, self._path.baselines, strict=True):
                total.mul_(x.to(dtype) - b.to(dtype))
        return tuple(sums)


def _add_weighted(total: Tensor, gradient: Tensor, weight: Tensor, examples: Tensor) -> None:
    wide = total.dtype if gradient.dtype == torch.float64 else torch.float32
    weighted = gradient.to(wide) * weight.to(device=gradient.device, dtype=wide).view(-1, *[1] * (gradient.dim() - 1))
    if total.shape[0] == 1:
        total.add_(weighted.sum(0))
    else:
        total.add_(torch.zeros_like(total, dtype=wide).index_add_(0, examples.to(total.device), weighted))


# What a sample is known by, beside its example: alpha, or the two ends of a cell.
Key = float | tuple[float, float]
Wanted = Sequence[tuple[int, Any]]
# Of so many elements at a time a copy is made.
_ELEMENTS = 1 << 24
# Squares below it have lost digits.
_SMALL = 1e-280


class Samples:
    """Collects the samples of one path, known by alpha. What has been sampled is never sampled again.

    `output` (batch,) is F(x), if it is known; `like` are samples of the same path by another method, whose ends serve.
    Raises Cancelled while both ends are evaluated, if `cancel` is set.
    """

    def __init__(
        self,
        sampler: Sampler,
        path: Path,
        output: Tensor | None = None,
        *,
        like: Samples | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.sampler = sampler
        self.path = path
        self.baseline_output: Tensor
        self.output: Tensor
        ends = sampler.ends(output, cancel) if like is None else (like.baseline_output, like.output)
        self.baseline_output, self.output = ends
        self._blocks: list[Block] = []
        self._row_of: dict[tuple[int, Key], tuple[int, int]] = {}

    @property
    def alphas(self) -> Floats:
        """The alphas, ascending, that have been sampled for every example of the batch."""
        values, counts = np.unique(np.array([alpha for _, alpha in self._row_of]), return_counts=True)
        complete: Floats = values[counts == self.path.batch]
        return complete

    @property
    def nbytes(self) -> int:
        """What its gradients take, in bytes."""
        return sum(g.nbytes for block in list(self._blocks) for g in block.gradients)

    def missing(self, alphas: Floats) -> Floats:
        """Those of `alphas`, in their order, that are not yet sampled for every example."""
        batch = range(self.path.batch)
        return np.array([a for a in alphas.tolist() if any((e, self._key(a)) not in self._row_of for e in batch)])

    def extend(
        self, alphas: Floats, *, first: int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Block]:
        """Sample what is missing of `alphas`, in their order, for every example; as `take`."""
        return self.take(self._order(alphas), first=first, cancel=cancel)

    def take(self, rows: Wanted, *, first: int | None = None, cancel: threading.Event | None = None) -> Iterator[Block]:
        """Sample what is missing of `rows`, pairs of an example and a key, in their order; each block as it comes.

        Stops early when `cancel` is set. Raises as `Sampler.sample` does, and NonFiniteError for the ends.
        """
        rows = [row for row in rows if row not in self._row_of]
        _refuse_non_finite(self.baseline_output, 1.0 if self.path.baselines is self.path.inputs else 0.0)
        # Where F(x) is not finite there will be nothing to show, and only the smallest alpha is looked for.
        hopeless = not bool(torch.isfinite(self.output).all())
        for block in self._sample(rows, first, cancel):
            if hopeless:
                continue
            for row, key in enumerate(zip(block.examples.tolist(), self.keys(block), strict=True)):
                self._row_of[key] = len(self._blocks), row
            self._blocks.append(block)
            yield block
        if not (hopeless and cancel is not None and cancel.is_set()):
            _refuse_non_finite(self.output, 1.0)

    def map(self, example: int, key: Key, *, multiply_by_inputs: bool) -> tuple[Tensor, ...]:
        """The gradient of one sample, times (x - x') if asked for, like the inputs; in at least float32.

        On a curved path always times its tangent, as in `maps`.
        """
        block, row = self._row_of[example, key]
        gradients = [g[row] for g in self._blocks[block].gradients]
        wide = [g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients]
        if multiply_by_inputs and self.path.is_straight:
            ends = zip(wide, self.path.inputs, self.path.baselines, strict=True)
            wide = [g * (x[example].to(g.dtype) - b[example].to(g.dtype)) for g, x, b in ends]
        return tuple(wide)

    def maps(self, example: int, keys: Sequence[Key], *, multiply_by_inputs: bool) -> Iterator[Tensor]:
        """Those of several samples, flat, some features at a time so that copies stay small: (samples, features)."""
        found = [self._row_of[example, key] for key in keys]
        for i, (x, b) in enumerate(zip(self.path.inputs, self.path.baselines, strict=True)):
            rows = [self._blocks[block].gradients[i][row].reshape(-1) for block, row in found]
            wide = torch.promote_types(rows[0].dtype, torch.float32)
            multiply = multiply_by_inputs and self.path.is_straight
            factor = (x[example].to(wide) - b[example].to(wide)).reshape(-1) if multiply else None
            step = max(1, _ELEMENTS // len(rows))
            for start in range(0, len(rows[0]), step):
                part = torch.stack([row[start : start + step] for row in rows]).to(wide)
                yield part if factor is None else part * factor[start : start + step]

    def scalars(self, examples: Sequence[int], keys: Sequence[Sequence[Key]]) -> tuple[Floats, Floats]:
        """F and dF/dalpha at as many samples of each example: (examples, samples)."""
        rows = self._rows(examples, keys)
        outputs, density = (torch.cat([getattr(b, name) for b in self._blocks]) for name in ("outputs", "density"))
        return outputs[rows].numpy(), density[rows].numpy()

    def products(
        self,
        examples: Sequence[int],
        keys: Sequence[Sequence[Key]],
        others: Sequence[Sequence[Key]],
        *,
        multiply_by_inputs: bool,
        units: Floats,
    ) -> Floats:
        """The inner products of samples and others of each example, in `units` (examples,) of the maps.

        As many samples for each example, and as many others: (examples, samples, others).
        """
        device = self.path.device
        rows, other_rows = self._rows(examples, keys), self._rows(examples, others)
        same = torch.equal(rows, other_rows)
        dtype = torch.float32 if device.type == "mps" else torch.float64
        result = torch.zeros(*rows.shape, other_rows.shape[1], dtype=dtype, device=device)
        unit = torch.from_numpy(1 / units).to(device, dtype)[:, None]
        chosen = torch.tensor(examples, device=device)
        for i, (x, b) in enumerate(zip(self.path.inputs, self.path.baselines, strict=True)):
            factor = unit.expand(len(examples), math.prod(x.shape[1:]))
            if multiply_by_inputs and self.path.is_straight:
                factor = factor * (x[chosen].to(dtype) - b[chosen].to(dtype)).reshape(len(examples), -1)
            step = max(1, _ELEMENTS // (rows.numel() + other_rows.numel()))
            for at in range(0, factor.shape[1], step):
                part = slice(at, at + step)
                own = self._gathered(rows, i, part, dtype) * factor[:, None, part]
                beside = own if same else self._gathered(other_rows, i, part, dtype) * factor[:, None, part]
                result += own @ beside.mT
        return result.double().cpu().numpy()

    def units(self, examples: Sequence[int], keys: Sequence[Sequence[Key]], multiply_by_inputs: bool) -> Floats:
        """A power of two near the largest value of each example's maps, where squares overflow or vanish; else 1."""
        ones = np.ones(len(examples))
        products = self.products(examples, keys, keys, multiply_by_inputs=multiply_by_inputs, units=ones)
        squares = products.diagonal(axis1=1, axis2=2)
        fits = np.isfinite(products).all((1, 2)) & ((squares == 0) | (squares > _SMALL)).all(1)
        for i in np.flatnonzero(~fits).tolist():
            maps = [self.map(examples[i], key, multiply_by_inputs=multiply_by_inputs) for key in keys[i]]
            largest = [float(t.abs().max()) for parts in maps for t in parts]
            ones[i] = float(unit_of(torch.tensor(largest, dtype=torch.float64, device="cpu").max()))
        return ones

    def _rows(self, examples: Sequence[int], keys: Sequence[Sequence[Key]]) -> Tensor:
        """Where samples lie if all blocks are laid end to end: (examples, samples)."""
        offsets = [0, *accumulate(len(block.alphas) for block in self._blocks)]
        found = [[self._row_of[e, key] for key in own] for e, own in zip(examples, keys, strict=True)]
        return torch.tensor([[offsets[block] + row for block, row in own] for own in found], device="cpu")

    def _gathered(self, rows: Tensor, index: int, part: slice, dtype: torch.dtype) -> Tensor:
        """Some features of the gradients of `rows` (examples, samples): (examples, samples, features)."""
        flat, start, parts, places = rows.flatten(), 0, [], []
        for block in self._blocks:
            own = torch.nonzero((flat >= start) & (flat < start + len(block.alphas)))[:, 0]
            if len(own):
                gradient = block.gradients[index].reshape(len(block.alphas), -1)
                parts.append(gradient[(flat[own] - start).to(gradient.device), part].to(dtype))
                places.append(own)
            start += len(block.alphas)
        order = torch.cat(places).argsort()
        return torch.cat(parts)[order.to(parts[0].device)].view(*rows.shape, -1)

    def _key(self, alpha: float) -> Key:
        return alpha

    def keys(self, block: Any) -> list[Any]:
        """What the samples of a block are known by, beside their example."""
        keys: list[float] = block.alphas.tolist()
        return keys

    def keys_of(self, nodes: Nodes) -> list[Any]:
        """What the samples at `nodes` are known by."""
        keys: list[float] = nodes.alphas.tolist()
        return keys

    def _order(self, alphas: Floats) -> Wanted:
        return [(e, a) for a in alphas.tolist() for e in range(self.path.batch)]

    def _sample(self, rows: Wanted, first: int | None, cancel: threading.Event | None) -> Iterator[Block]:
        examples = torch.tensor([e for e, _ in rows], dtype=torch.int64, device="cpu")
        alphas = torch.tensor([a for _, a in rows], dtype=torch.float64, device="cpu")
        return self.sampler.sample(examples, alphas, first=first, cancel=cancel)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Operations for which a plain derivative was taken where the method has a better one."""
        return tuple(sorted(self.sampler.fallbacks))

    def trace(
        self, nodes: Nodes | Sequence[Nodes], *, multiply_by_inputs: bool = True, is_tuple: bool = False
    ) -> PathTrace:
        """The samples at `nodes`, or those of each example, all of which have been taken, weighed by their pieces."""
        each = [nodes] * self.path.batch if isinstance(nodes, Nodes) else nodes
        most = max(len(own.alphas) for own in each)
        offsets = [0, *accumulate(len(block.alphas) for block in self._blocks)]
        found = [[self._row_of[e, key] for key in self.keys_of(own)] for e, own in enumerate(each)]
        own_rows = [[offsets[block] + row for block, row in own] for own in found]
        rows = torch.tensor([own + own[-1:] * (most - len(own)) for own in own_rows], device="cpu")
        edges = torch.from_numpy(np.stack([_padded(own.edges, most + 1) for own in each]))
        start = torch.zeros(offsets[-1], dtype=torch.float64, device="cpu")
        stop = torch.zeros_like(start)
        used = edges[:, 1:] > edges[:, :-1]
        start[rows[used]], stop[rows[used]] = edges[:, :-1][used], edges[:, 1:][used]
        sizes = [len(block.alphas) for block in self._blocks]
        output_alphas, outputs = self._with_ends(
            torch.cat([b.output_alphas for b in self._blocks])[rows], torch.cat([b.outputs for b in self._blocks])[rows]
        )
        return PathTrace(
            alphas=torch.from_numpy(np.stack([_padded(own.alphas, most) for own in each])),
            edges=edges,
            density=torch.cat([b.density for b in self._blocks])[rows],
            output_alphas=output_alphas,
            outputs=outputs,
            _path=self.path,
            _pieces=tuple(
                piece
                for piece in zip(self._blocks, start.split(sizes), stop.split(sizes), strict=True)
                if bool((piece[2] > piece[1]).any())
            ),
            multiply_by_inputs=multiply_by_inputs,
            _is_tuple=is_tuple,
        )

    def so_far(self) -> Nodes:
        """What has been sampled, each sample weighed by the piece of the path nearest to it."""
        alphas = self.alphas
        edges = nearest_edges(alphas)
        return Nodes(alphas, np.diff(edges), edges)

    def _with_ends(self, alphas: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        at, columns = [alphas], [outputs]
        if (alphas[:, 0] > 0).all():
            at.insert(0, torch.zeros_like(alphas[:, :1]))
            columns.insert(0, self.baseline_output[:, None])
        if (alphas[:, -1] < 1).all():
            at.append(torch.ones_like(alphas[:, :1]))
            columns.append(self.output[:, None])
        return torch.cat(at, dim=1), torch.cat(columns, dim=1)


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
        cancel: threading.Event | None = None,
    ) -> None:
        super().__init__(sampler, path, output, like=like, cancel=cancel)
        cells = () if nodes is None else zip(nodes.alphas.tolist(), pairwise(nodes.edges.tolist()), strict=True)
        self._cells: dict[float, tuple[float, float]] = dict(cells)
        self._middles = {cell: alpha for alpha, cell in self._cells.items()}

    @property
    def alphas(self) -> Floats:
        """The middles, ascending, of those cells of `nodes` that have been sampled for every example of the batch."""
        batch = range(self.path.batch)
        return np.array([a for a, cell in self._cells.items() if all((e, cell) in self._row_of for e in batch)])

    def _key(self, alpha: float) -> Key:
        return self._cells[alpha]

    def keys(self, block: Any) -> list[Any]:
        """The ends of each cell."""
        return list(zip(block.lows.tolist(), block.highs.tolist(), strict=True))

    def keys_of(self, nodes: Nodes) -> list[Any]:
        """The ends of each cell."""
        # A part of `nodes` stands for more of the path than its own cells.
        known = [self._cells.get(alpha) for alpha in nodes.alphas.tolist()]
        return [own or cell for own, cell in zip(known, pairwise(nodes.edges.tolist()), strict=True)]

    def _order(self, alphas: Floats) -> Wanted:
        return [(e, self._cells[a]) for e in range(self.path.batch) for a in alphas.tolist()]

    def _sample(self, rows: Wanted, first: int | None, cancel: threading.Event | None) -> Iterator[Block]:
        examples = torch.tensor([e for e, _ in rows], dtype=torch.int64, device="cpu")
        middles = [self._middles.get(cell, (cell[0] + cell[1]) / 2) for _, cell in rows]
        alphas = torch.tensor(middles, dtype=torch.float64, device="cpu")
        ends = torch.tensor([cell for _, cell in rows], dtype=torch.float64, device="cpu").view(-1, 2)
        return self.sampler.sample_cells(examples, alphas, ends[:, 0], ends[:, 1], first=first, cancel=cancel)


def _padded(values: Floats, length: int) -> Floats:
    """`values`, the last of them repeated."""
    return values if len(values) == length else np.pad(values, (0, length - len(values)), mode="edge")


def _refuse_non_finite(outputs: Tensor, alpha: float) -> None:
    for example, value in enumerate(outputs.tolist()):
        if not math.isfinite(value):
            end = "the baseline" if alpha == 0 else "the input"
            raise NonFiniteError(
                f"forward_func's output is {value} at {end} (alpha = {alpha:g}, example {example}), the smallest alpha "
                f"sampled at which it is NaN or infinite; there is nothing to explain.",
                alpha,
            )
