"""Samples of one path: what was sampled is kept, found by alpha, and never sampled again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentValueError, NonFiniteError
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.path import Path, Tensors
from ig_widgets.engine.rules import Floats, Integers, Nodes, nearest_edges
from ig_widgets.engine.sample_index import SampleIndex, Wanted
from ig_widgets.engine.sampler import Sampler
from ig_widgets.engine.trace import PathTrace
from ig_widgets.engine.transfers import sent

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


def _refuse_non_finite(outputs: Tensor, alpha: float) -> None:
    for example in (~torch.isfinite(outputs)).nonzero()[:1, 0].tolist():
        end = "the baseline" if alpha == 0 else "the input"
        raise NonFiniteError(
            f"forward_func's output is {float(outputs[example])} at {end} (alpha = {alpha:g}, example {example}), the "
            f"smallest alpha sampled at which it is NaN or infinite; there is nothing to explain.",
            alpha,
        )
