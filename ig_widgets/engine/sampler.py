"""F and its gradient at given positions of the path, in chunks that fit memory, cancellable."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ig_widgets.engine.blocks import Block, CellBlock, smallest_non_finite
from ig_widgets.engine.cell_sampler import CellSampler
from ig_widgets.engine.chunk_queue import ChunkQueue, LaunchedChunk
from ig_widgets.engine.chunks import ChunkSize, known_chunk_size
from ig_widgets.engine.end_outputs import EndOutputs
from ig_widgets.engine.errors import (
    Cancelled,
    NonFiniteError,
)
from ig_widgets.engine.gradients import differentiate, weighed
from ig_widgets.engine.kink_search import find_kinks
from ig_widgets.engine.kinks import Kinks
from ig_widgets.engine.model import ScalarFunction
from ig_widgets.engine.model_passes import ModelPasses
from ig_widgets.engine.path import Path
from ig_widgets.engine.reduction import Reduction
from ig_widgets.engine.saved_tensors import PassStopped
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.training_mode import refuse_chance
from ig_widgets.engine.transfers import Fetch


class Sampler:
    """Samples F and its gradient along one path.

    `guard` is entered around each pass of the model (a lock, say). `preview`: gradients at points are taken by autocast
    to bfloat16. `chunks` is what another sampler of this model, at this shape, has learnt (its `chunks`). `reduction`:
    applied to the product of gradient and tangent of each sample.
    """

    def __init__(
        self,
        function: ScalarFunction,
        path: Path,
        *,
        chunk_size: int | None = None,
        preview: bool = False,
        guard: AbstractContextManager[object] | None = None,
        chunks: ChunkSize | None = None,
        freezes: bool = True,
        reduction: Reduction | None = None,
    ) -> None:
        self._function = function
        self._path = path
        self._preview = preview
        self.reduction = reduction
        self._passes = ModelPasses(function, path, guard=guard, freezes=freezes, preview=preview)
        self._ends = EndOutputs(path, is_compared=not preview)
        # A cell keeps more for its backward pass than a point does.
        self.chunks = (
            chunks if chunks is not None else self._known_chunks("preview" if preview else "points", chunk_size)
        )
        self._cell_chunks = chunks if chunks is not None else self._known_chunks("cells", chunk_size)
        self._cells = CellSampler(self._passes, self._cell_chunks, self._ends, reduction)

    @property
    def fallbacks(self) -> set[str]:
        """Operations of cells whose plain derivative was taken."""
        return self._cells.fallbacks

    @property
    def scales(self) -> set[str]:
        """Operations that passed over many scales within a cell, where the secant rule is complete and not accurate."""
        return self._cells.scales

    @property
    def nondeterminism(self) -> str:
        """The warning that the model answers differently when it is asked again; empty where it does not."""
        return self._ends.nondeterminism

    @property
    def keeps_products(self) -> bool:
        """Whether samples have the factor x - x', or that of a curved path, already."""
        return self.reduction is not None or not self._path.is_straight

    @property
    def map_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of what one sample keeps, one for each input."""
        return tuple(tuple(x.shape[1:]) for x in self._path.inputs) if self.reduction is None else self.reduction.shapes

    def ends(self, output: Tensor | None = None, cancel: threading.Event | None = None) -> tuple[Tensor, Tensor]:
        """F(x') and F(x), (batch,) float64 on the CPU, from a forward pass without gradients.

        `output` is F(x), if it is known already. A path that starts at the input itself has no baseline: F(x) twice.
        Raises as `outputs`.
        """
        batch = self._path.batch
        alone = self._path.baselines is self._path.inputs
        total = 2 * batch if output is None and not alone else batch
        examples = torch.arange(batch, device="cpu").repeat(2)
        alphas = torch.arange(2, dtype=torch.float64, device="cpu").repeat_interleave(batch)
        values = self.outputs(self._path.ends, examples[:total], alphas[:total], cancel)
        if alone:
            return values, values
        known = values[:batch], values[batch:] if output is None else output.detach().cpu().double()
        self._ends.keep(*known)
        if self._passes.draws and not self._preview and not self._is_single_row:
            self._ask_again(examples, alphas, cancel)
        return known

    def _ask_again(self, examples: Tensor, alphas: Tensor, cancel: threading.Event | None) -> None:
        """Compares F at the ends in other rows, of a model that draws random numbers; others are not asked again."""
        total = len(examples)

        def points(part: slice) -> tuple[Tensor, ...]:
            return tuple(p.flip(0) for p in self._path.ends(slice(total - part.stop, total - part.start)))

        examples, alphas = examples.flip(0), alphas.flip(0)
        again = self.outputs(points, examples, alphas, cancel)
        if self._ends.differ(examples, alphas, again, beyond=0.0).any():
            refuse_chance(self._function.forward_func)
        self._ends.compare(examples, alphas, again)

    @property
    def _is_single_row(self) -> bool:
        """Whether each pass has one row: random numbers are then the same in each, as the random state is put back."""
        return self.chunks.is_fixed and self.chunks.rows == 1

    @property
    def _takes_single_rows(self) -> bool:
        """Whether the function must be given one row at a time, as far as that is known."""
        return self._is_single_row or self._function.takes_single_rows

    def outputs(
        self,
        points: Callable[[slice], tuple[Tensor, ...]],
        examples: Tensor,
        alphas: Tensor,
        cancel: threading.Event | None = None,
        *,
        first: int | None = 2,
    ) -> Tensor:
        """F (rows,) float64 on the CPU, without gradients, at the rows that `points` gives of a slice of them.

        `examples` (rows,): whose target and further arguments; `alphas` (rows,): where they lie, for a message.
        `first` bounds the rows of the first pass. Raises Cancelled, OutOfMemoryError, and what the model raises.
        """

        def ask(part: slice) -> Fetch:
            def ask_part() -> Fetch:
                return Fetch([self._function(points(part), examples[part])])

            return self._passes.run(alphas[part], ask_part, gradients=False)

        fetched = []
        # As few rows as say what a row costs, before it is known how many fit.
        for part, fetch, seconds in self.chunks.run(len(examples), ask, first=first, cancel=cancel):
            for chunks in (self.chunks, self._cell_chunks):
                chunks.start(seconds / (part.stop - part.start))
            fetched.append(fetch)
        outputs = []
        for fetch in fetched:
            if (arrived := fetch.arrived(cancel)) is None:
                raise Cancelled(f"Cancelled while {len(examples)} forward passes were under way.", None)
            outputs.append(arrived[0].double())
        return torch.cat(outputs)

    def kinks(self, cancel: threading.Event | None = None) -> Kinks:
        """Returns what kinks lie between both ends of the paths, as `find_kinks`."""
        return find_kinks(self._passes, self.chunks, self._ends, by_single_rows=self._takes_single_rows, cancel=cancel)

    def sample(
        self, examples: Tensor, alphas: Tensor, *, first: int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Block]:
        """F and gradient at each (example, alpha), in this order, a block at a time; stops early if cancelled.

        `first` bounds the rows of the first chunk, for a caller who wants something to show soon.
        Raises NotDifferentiableError, OutOfMemoryError, NonFiniteError (with the smallest alpha, which is looked
        for among the rows that are left), and whatever the model raises, with a note that names alpha.
        """
        non_finite: tuple[float, str] | None = None
        queue: ChunkQueue[Block] = ChunkQueue(self._path.device, self.chunks)
        while len(alphas) or queue:
            if len(alphas) and queue.has_room:
                if cancel is not None and cancel.is_set():
                    return
                rows = min(self.chunks.rows, len(alphas), first or len(alphas))
                try:
                    queue.add(self._gradients(examples[:rows], alphas[:rows], cancel), is_awaited=first is not None)
                except PassStopped:
                    return
                except (RuntimeError, MemoryError) as error:
                    if not self._passes.adapts(error):
                        self.chunks.halve_or_raise(error, rows)
                    continue
                first = None
                examples, alphas = examples[rows:], alphas[rows:]
                continue
            if (found := queue.next_block(cancel)) is None:
                return
            block, finite = found
            non_finite = smallest_non_finite(block, finite, self._path, non_finite)
            if non_finite is None:
                yield block
            else:
                before = alphas < non_finite[0]
                examples, alphas = examples[before], alphas[before]
        if non_finite is not None:
            raise NonFiniteError(non_finite[1], non_finite[0])

    def sample_cells(
        self,
        examples: Tensor,
        alphas: Tensor,
        lows: Tensor,
        highs: Tensor,
        *,
        first: int | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[CellBlock]:
        """Samples cells in place of points, as `CellSampler.sample` does."""
        if self._takes_single_rows and (self._function.takes_single_rows or not self._cells.takes_pairs()):
            raise SecantRuleError(
                "the secant rule takes both ends of a cell in one pass, and forward_func takes one row at a time"
            )
        return self._cells.sample(examples, alphas, lows, highs, first=first, cancel=cancel)

    def _gradients(self, examples: Tensor, alphas: Tensor, cancel: threading.Event | None) -> LaunchedChunk[Block]:
        begin = time.perf_counter()
        saved = self._passes.saved(self.chunks, cancel)

        def ask() -> tuple[Tensor, tuple[Tensor, ...]]:
            leaves = self._passes.leaves(examples, alphas)
            with saved.look_at(), self._passes.freezing() or nullcontext(), self._passes.casting():
                # The model is given a copy, which it may change in place.
                outputs = self._function(tuple(leaf.clone() for leaf in leaves), examples)
            return outputs, differentiate(outputs, leaves)

        outputs, gradients = self._passes.run(alphas, ask, gradients=True)
        kept, products, checked = weighed(self._path, self.reduction, gradients, self._path.tangents(examples, alphas))

        def made(values: Tensor, density: Tensor, further: list[Tensor]) -> Block:  # noqa: ARG001  (of cells alone)
            self._ends.compare(examples, alphas, values)
            return Block(examples, alphas, values, density, kept)

        self.chunks.note_memory(len(alphas), saved.total)
        return LaunchedChunk(len(alphas), begin, outputs, products, checked, made)

    def _known_chunks(self, kind: str, fixed: int | None) -> ChunkSize:
        """What is known of this model at this shape."""
        inputs, device = self._path.inputs, self._path.device
        input_bytes = sum(x[0].numel() * x.element_size() for x in inputs)

        def make() -> ChunkSize:
            return ChunkSize(fixed, device, input_bytes)

        if fixed is not None:
            return make()
        shapes = tuple((x.shape[1:], x.dtype) for x in inputs)
        return known_chunk_size(self._function.forward_func, (kind, device, torch.get_num_threads()), shapes, make)
