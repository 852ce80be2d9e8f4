"""What was sampled on a path, and what a rule makes of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentValueError, NonFiniteError
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.path import Path, Tensors
from ig_widgets.engine.rules import Floats, Integers, Nodes, nearest_edges
from ig_widgets.engine.sample_index import SampleIndex, Wanted
from ig_widgets.engine.sampling import Block, Sampler
from ig_widgets.engine.transfers import sent
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


# What brings maps like the path's inputs into the form of results.
Arrange = Callable[[Sequence[Tensor]], Tensors]
# What a sample is known by, beside its example: alpha, or the two ends of a cell.
Key = float | tuple[float, float]
# Of so many elements at a time a copy is made.
_ELEMENTS = 1 << 24
# In float64, so that inner products lose no digits.
_WIDE_ELEMENTS = 1 << 20
# Squares below it have lost digits.
_SMALL = 1e-280


class Samples:
    """Collects the samples of one path, known by alpha. What has been sampled is never sampled again.

    `output` (batch,) is F(x), if it is known; `like` are samples of the same path by another method, whose ends serve.
    `arrange` brings maps, one for each input, into the form in which results have them (of a layer, say). Raises
    Cancelled while both ends are evaluated, if `cancel` is set.
    """

    def __init__(
        self,
        sampler: Sampler,
        path: Path,
        output: Tensor | None = None,
        *,
        like: Samples | None = None,
        arrange: Arrange | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.sampler = sampler
        self.path = path
        self.arrange: Arrange | None = arrange if like is None else like.arrange
        self.baseline_output: Tensor
        self.output: Tensor
        ends = sampler.ends(output, cancel) if like is None else (like.baseline_output, like.output)
        self.baseline_output, self.output = ends
        self._blocks: list[Block] = []
        # Where blocks begin, if all are laid end to end, and where the last one ends.
        self._offsets = [0]
        self._index = SampleIndex(path.batch)

    @property
    def count(self) -> int:
        """How many samples there are, of all examples."""
        return self._offsets[-1]

    @property
    def alphas(self) -> Floats:
        """The alphas, ascending, that have been sampled for every example of the batch."""
        return np.sort(np.array([key.real for key in self._index.complete()]))

    @property
    def nbytes(self) -> int:
        """What its gradients take, in bytes."""
        return sum(g.nbytes for block in list(self._blocks) for g in block.gradients)

    @property
    def map_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the map of one sample, one for each input: (...) of it, or what the reduction gives."""
        return self.sampler.map_shapes

    @property
    def values(self) -> int:
        """How many numbers the map of one sample has, over all inputs."""
        return sum(math.prod(shape) for shape in self.map_shapes)

    def _needs_factor(self, multiply_by_inputs: bool) -> bool:
        """Whether what is kept is still to be multiplied by x - x'. Raises ArgumentValueError where it never can be."""
        if self.sampler.reduction is not None and not multiply_by_inputs:
            raise ArgumentValueError(
                "multiply_by_inputs=False asks for mean gradients, and reduce has kept sums of their products with "
                "x - x'; leave one of both out."
            )
        return multiply_by_inputs and not self.sampler.keeps_products

    def missing(self, alphas: Floats) -> Floats:
        """Those of `alphas`, in their order, that are not yet sampled for every example."""
        wanted = self._order(alphas, by_alpha=True)
        found = self._index.find(wanted.examples, wanted.keys).reshape(len(alphas), -1)
        missing: Floats = alphas[(found < 0).any(1)]
        return missing

    def extend(
        self, alphas: Floats, *, first: int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Block]:
        """Sample what is missing of `alphas`, in their order, for every example; as `take`."""
        return self.take(self._order(alphas), first=first, cancel=cancel)

    def take(self, rows: Wanted, *, first: int | None = None, cancel: threading.Event | None = None) -> Iterator[Block]:
        """Sample what is missing of `rows` in their order; each block as it comes.

        Stops early when `cancel` is set. Raises as `Sampler.sample` does, and NonFiniteError for the ends.
        """
        rows = rows[self._index.find(rows.examples, rows.keys) < 0]
        _refuse_non_finite(self.baseline_output, 1.0 if self.path.baselines is self.path.inputs else 0.0)
        # Where F(x) is not finite there will be nothing to show, and only the smallest alpha is looked for.
        hopeless = not bool(torch.isfinite(self.output).all())
        for block in self._sample(rows, first, cancel):
            if hopeless:
                continue
            start, count = self._offsets[-1], len(block.alphas)
            self._blocks.append(block)
            self._offsets.append(start + count)
            self._index.add(block.examples.numpy(), self._keys_of_block(block), np.arange(start, start + count))
            yield block
        if not (hopeless and cancel is not None and cancel.is_set()):
            _refuse_non_finite(self.output, 1.0)

    def map(self, example: int, key: Key, *, multiply_by_inputs: bool) -> tuple[Tensor, ...]:
        """The gradient of one sample, times (x - x') if asked for, like the inputs; in at least float32.

        On a curved path always times its tangent, with a reduction always what that gives, as in `maps`.
        """
        ((block, row),) = self._found(example, [key])
        gradients = [g[row] for g in self._blocks[block].gradients]
        wide = [g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients]
        if self._needs_factor(multiply_by_inputs):
            ends = zip(wide, self.path.inputs, self.path.baselines, strict=True)
            wide = [g * (x[example].to(g.dtype) - b[example].to(g.dtype)) for g, x, b in ends]
        return tuple(wide)

    def maps(self, example: int, keys: Sequence[Key], *, multiply_by_inputs: bool) -> Iterator[Tensor]:
        """Those of several samples, flat, some features at a time so that copies stay small: (samples, features)."""
        found = self._found(example, keys)
        for i, (x, b) in enumerate(zip(self.path.inputs, self.path.baselines, strict=True)):
            rows = [self._blocks[block].gradients[i][row].reshape(-1) for block, row in found]
            wide = torch.promote_types(rows[0].dtype, torch.float32)
            needs_factor = self._needs_factor(multiply_by_inputs)
            factor = (x[example].to(wide) - b[example].to(wide)).reshape(-1) if needs_factor else None
            step = max(1, _ELEMENTS // len(rows))
            for start in range(0, len(rows[0]), step):
                part = torch.stack([row[start : start + step] for row in rows]).to(wide)
                yield part if factor is None else part * factor[start : start + step]

    def scalars(self, examples: Integers, keys: Floats) -> tuple[Floats, Floats]:
        """F and dF/dalpha at as many samples of each example, keys as in `rows`: (examples, samples)."""
        rows = self.rows(examples, keys)
        outputs, density = (torch.cat([getattr(b, name) for b in self._blocks]) for name in ("outputs", "density"))
        return outputs[rows].numpy(), density[rows].numpy()

    def products(
        self,
        examples: Integers,
        keys: Floats,
        others: Floats,
        *,
        multiply_by_inputs: bool,
        units: Floats,
    ) -> Floats:
        """The inner products of samples and others of each example, in `units` (examples,) of the maps.

        As many samples for each example, and as many others, keys as in `rows`: (examples, samples, others).
        """
        device = self.path.device
        rows, other_rows = self.rows(examples, keys), self.rows(examples, others)
        same = torch.equal(rows, other_rows)
        dtype = widest(device)
        result = torch.zeros(*rows.shape, other_rows.shape[1], dtype=dtype, device=device)
        unit = sent(torch.from_numpy(1 / units), device, dtype)[:, None]
        chosen = sent(torch.from_numpy(examples), device)
        for i, (x, b) in enumerate(zip(self.path.inputs, self.path.baselines, strict=True)):
            factor = unit.expand(len(examples), math.prod(self.map_shapes[i]))
            if self._needs_factor(multiply_by_inputs):
                factor = factor * (x[chosen].to(dtype) - b[chosen].to(dtype)).reshape(len(examples), -1)
            step = max(1, _WIDE_ELEMENTS // (rows.numel() + other_rows.numel()))
            for at in range(0, factor.shape[1], step):
                part = slice(at, at + step)
                own = self._gathered(rows, i, part, dtype) * factor[:, None, part]
                beside = own if same else self._gathered(other_rows, i, part, dtype) * factor[:, None, part]
                result += own @ beside.mT
        return result.cpu().double().numpy()

    def units(self, examples: Integers, keys: Floats, multiply_by_inputs: bool) -> Floats:
        """A power of two near the largest value of each example's maps, where squares overflow or vanish; else 1."""
        ones = np.ones(len(examples))
        products = self.products(examples, keys, keys, multiply_by_inputs=multiply_by_inputs, units=ones)
        squares, keys = products.diagonal(axis1=1, axis2=2), np.broadcast_to(keys, products.shape[:2])
        fits = np.isfinite(products).all((1, 2)) & ((squares == 0) | (squares > _SMALL)).all(1)
        for i in np.flatnonzero(~fits).tolist():
            own = int(examples[i])
            maps = [self.map(own, key, multiply_by_inputs=multiply_by_inputs) for key in keys[i].tolist()]
            largest = [float(t.abs().max()) for parts in maps for t in parts]
            ones[i] = float(unit_of(torch.tensor(largest, dtype=torch.float64, device="cpu").max()))
        return ones

    def shares(self, rows: Tensor, examples: Tensor, factors: Tensor, *, multiply_by_inputs: bool) -> list[Tensor]:
        """Maps of `rows` (samples,) of all samples, times `factors` (samples,): (samples, features) for each input.

        `examples` (samples,): of which they are. In at least float32.
        """
        result = []
        for i, (x, b) in enumerate(zip(self.path.inputs, self.path.baselines, strict=True)):
            wide = torch.promote_types(self._blocks[0].gradients[i].dtype, torch.float32)
            maps = self._gathered(rows, i, slice(None), wide)
            if self._needs_factor(multiply_by_inputs):
                maps = maps.mul_((x.to(wide) - b.to(wide)).reshape(len(x), -1)[sent(examples, x.device)])
            result.append(maps.mul_(sent(factors, x.device, wide)[:, None]))
        return result

    def rows(self, examples: Integers, keys: Floats) -> Tensor:
        """Where samples lie if all blocks are laid end to end, as many for each example: (examples, samples).

        `keys` (examples, samples), or (1, samples) if they are those of all.
        """
        found = self._index.find(examples[:, None], keys)
        if (found < 0).any():
            raise KeyError("not sampled")
        return torch.from_numpy(found)

    def _found(self, example: int, keys: Sequence[Key]) -> list[tuple[int, int]]:
        """The block, and the row in it, of samples of one example."""
        rows = self.rows(np.array([example]), np.array(keys, dtype=np.float64)[None])[0].numpy()
        blocks = np.searchsorted(self._offsets, rows, side="right") - 1
        return [(block, row - self._offsets[block]) for block, row in zip(blocks.tolist(), rows.tolist(), strict=True)]

    def _gathered(self, rows: Tensor, index: int, part: slice, dtype: torch.dtype) -> Tensor:
        """Some features of the gradients of `rows` (...): (..., features)."""
        flat = rows.flatten()
        order = None
        if not bool((flat[1:] >= flat[:-1]).all()):
            flat, order = flat.sort(stable=True)
        bounds = torch.searchsorted(flat, torch.tensor(self._offsets, device="cpu")).tolist()
        parts = []
        for block, start, (low, high) in zip(self._blocks, self._offsets, pairwise(bounds), strict=False):
            if high > low:
                gradient = block.gradients[index].reshape(len(block.alphas), -1)
                parts.append(gradient[sent(flat[low:high] - start, gradient.device), part].to(dtype))
        sorted_rows = torch.cat(parts)
        if order is None:
            return sorted_rows.view(*rows.shape, -1)
        result = torch.empty_like(sorted_rows)
        result[sent(order, result.device)] = sorted_rows
        return result.view(*rows.shape, -1)

    def keys(self, block: Any) -> list[Any]:
        """What the samples of a block are known by, beside their example."""
        keys: list[float] = block.alphas.tolist()
        return keys

    def keys_of(self, nodes: Nodes) -> list[Any]:
        """What the samples at `nodes` are known by."""
        keys: list[float] = nodes.alphas.tolist()
        return keys

    def _keys_of_block(self, block: Any) -> Floats:
        keys: Floats = block.alphas.numpy()
        return keys

    def _keys_of_each(self, each: BatchNodes) -> Floats:
        """What the samples of each example are known by: (batch, n, ...)."""
        return each.alphas

    def _keys_at(self, alphas: Floats) -> Floats:
        return alphas

    def _order(self, alphas: Floats, *, by_alpha: bool = True) -> Wanted:
        """Every example at each of `alphas`, one alpha after the other, or one example after the other."""
        keys, examples = self._keys_at(alphas), np.arange(self.path.batch)
        if by_alpha:
            return Wanted(np.tile(examples, len(alphas)), np.repeat(keys, len(examples), 0))
        return Wanted(np.repeat(examples, len(alphas)), np.concatenate([keys] * len(examples)))

    def _sample(self, rows: Wanted, first: int | None, cancel: threading.Event | None) -> Iterator[Block]:
        examples, alphas = torch.from_numpy(rows.examples), torch.from_numpy(rows.keys)
        return self.sampler.sample(examples, alphas, first=first, cancel=cancel)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Operations for which a plain derivative was taken where the method has a better one."""
        return tuple(sorted(self.sampler.fallbacks))

    def trace(
        self, nodes: Nodes | Sequence[Nodes], *, multiply_by_inputs: bool = True, is_tuple: bool = False
    ) -> PathTrace:
        """The samples at `nodes`, or those of each example, all of which have been taken, weighed by their pieces."""
        self._needs_factor(multiply_by_inputs)
        each = BatchNodes.of(nodes, self.path.batch)
        keys = self._keys_of_each(each)
        rows = self.rows(np.arange(self.path.batch), keys[:1] if isinstance(nodes, Nodes) else keys)
        edges = torch.from_numpy(each.edges)
        start = torch.zeros(self._offsets[-1], dtype=torch.float64, device="cpu")
        stop = torch.zeros_like(start)
        used = edges[:, 1:] > edges[:, :-1]
        start[rows[used]], stop[rows[used]] = edges[:, :-1][used], edges[:, 1:][used]
        sizes = [len(block.alphas) for block in self._blocks]
        output_alphas, outputs = self._with_ends(
            torch.cat([b.output_alphas for b in self._blocks])[rows], torch.cat([b.outputs for b in self._blocks])[rows]
        )
        return PathTrace(
            alphas=torch.from_numpy(each.alphas),
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
            _keeps_products=self.sampler.keeps_products,
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


def _refuse_non_finite(outputs: Tensor, alpha: float) -> None:
    for example in (~torch.isfinite(outputs)).nonzero()[:1, 0].tolist():
        end = "the baseline" if alpha == 0 else "the input"
        raise NonFiniteError(
            f"forward_func's output is {float(outputs[example])} at {end} (alpha = {alpha:g}, example {example}), the "
            f"smallest alpha sampled at which it is NaN or infinite; there is nothing to explain.",
            alpha,
        )
