"""Mean gradients of the secant rule over cells of a path, in chunks that fit memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from ig_widgets.engine.blocks import CellBlock, smallest_non_finite
from ig_widgets.engine.chunk_queue import ChunkQueue, LaunchedChunk
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.end_outputs import EndOutputs
from ig_widgets.engine.errors import (
    IGError,
    NonFiniteError,
)
from ig_widgets.engine.folded_norms import FoldedNorms, Folds, UnfoldError
from ig_widgets.engine.gradients import cell_sums, coarsest_rounding, defects_of, differentiate, weighed
from ig_widgets.engine.memory import is_out_of_memory, says
from ig_widgets.engine.model import uncompiling
from ig_widgets.engine.model_passes import ADAPTABLE, ModelPasses
from ig_widgets.engine.place import LEAF, whereabouts
from ig_widgets.engine.reduction import Reduction
from ig_widgets.engine.saved_tensors import PassStopped
from ig_widgets.engine.secant import LeaveError, SecantMode, SecantRuleError
from ig_widgets.engine.transfers import sent

# How far F may be in the company of another row from what it is alone: more than any rounding.
_SAME_ALONE = 0.01


class CellSampler:
    """Samples mean gradients of the secant rule along one path, a chunk of cells at a time."""

    def __init__(self, passes: ModelPasses, chunks: ChunkSize, ends: EndOutputs, reduction: Reduction | None) -> None:
        self._passes, self._chunks, self._ends, self._reduction = passes, chunks, ends, reduction
        self._folds = Folds(passes.function.forward_func)
        # Operations whose plain derivative was taken.
        self.fallbacks: set[str] = set()
        # What passed over many scales within a cell: there the secant rule is complete, and far from its limit.
        self.scales: set[str] = set()
        # Whether both ends of a path give in one pass what they gave alone; None until it was asked.
        self._pairs: bool | None = None

    def takes_pairs(self) -> bool:
        """Returns whether both ends of a path, in one pass, give what they gave alone; the model is asked once."""
        if self._pairs is None:
            examples, alphas = torch.zeros(2, dtype=torch.int64, device="cpu"), torch.tensor([0.0, 1.0], device="cpu")
            ends, batch = self._passes.path.ends(slice(0, 2 * self._passes.path.batch)), self._passes.path.batch

            def ask() -> Tensor:
                return self._passes.function(tuple(e[[0, batch]] for e in ends), examples).detach().cpu().double()

            try:
                found = self._passes.run(alphas, ask, gradients=False)
            except Exception:  # noqa: BLE001  (it says so by whatever it raises)
                self._pairs = False
            else:
                scale = self._ends.first.abs().max()
                self._pairs = bool(((found - self._ends.first).abs() <= _SAME_ALONE * scale).all())
        return self._pairs

    def sample(
        self,
        examples: Tensor,
        alphas: Tensor,
        lows: Tensor,
        highs: Tensor,
        *,
        first: int | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[CellBlock]:
        """The mean gradient of the secant rule over each cell (example, low, high), a block at a time, as `sample`.

        `alphas` are the middles of the cells, by which they are known.
        A cell that begins where the one before it ends shares its point. Operations without a rule of their own are
        added to `fallbacks`. Raises SecantRuleError where the rule does not hold for the model, with a sentence that
        says why, before anything wrong comes out.
        """
        queue: ChunkQueue[CellBlock] = ChunkQueue(self._passes.path.device, self._chunks)
        while len(lows) or queue:
            if len(lows) and queue.has_room:
                if cancel is not None and cancel.is_set():
                    return
                # One row more than cells; a size that the caller has set is kept to.
                rows = max(2, min(self._chunks.rows + (not self._chunks.is_fixed), (first or len(lows)) + 1))
                ahead = slice(0, rows)
                starts = torch.ones(len(lows[ahead]), dtype=torch.bool, device="cpu")
                starts[1:] = (examples[ahead][1:] != examples[ahead][:-1]) | (lows[ahead][1:] != highs[ahead][:-1])
                # Each cell has its beginning for a row, the last of a run its end too.
                needed = torch.arange(len(starts), device="cpu") + starts.cumsum(0) + 1
                cells = max(1, int((needed <= rows).sum()))
                part = slice(0, cells)
                try:
                    made = self._cells(examples[part], alphas[part], lows[part], highs[part], starts[part], cancel)
                except PassStopped:
                    return
                except UnfoldError:
                    continue
                except LeaveError as error:
                    raise SecantRuleError(str(error)) from error
                except (RuntimeError, MemoryError) as error:
                    if not self._passes.adapts(error):
                        self._chunks.halve_or_raise(error, rows - 1)
                    continue
                queue.add(made, is_awaited=first is not None)
                first = None
                examples, alphas, lows, highs = (t[cells:] for t in (examples, alphas, lows, highs))
                continue
            if (found := queue.next_block(cancel)) is None:
                return
            block, finite = found
            trouble = smallest_non_finite(block, finite, self._passes.path)
            if trouble is not None and bool(torch.isfinite(block.outputs).all()):
                # F is finite at both ends, so that mean slopes are too: points tell whether a gradient is not.
                raise SecantRuleError("the secant rule does not hold here: slopes of cells are NaN or infinite")
            if trouble is not None:
                raise NonFiniteError(trouble[1], trouble[0])
            yield block

    def _cells(
        self,
        examples: Tensor,
        middles: Tensor,
        lows: Tensor,
        highs: Tensor,
        starts: Tensor,
        cancel: threading.Event | None,
    ) -> LaunchedChunk[CellBlock]:
        begin = time.perf_counter()
        run = starts.long().cumsum(0) - 1
        row = torch.arange(len(lows), device="cpu") + run
        count = int(row[-1]) + 2
        row_examples = torch.zeros(count, dtype=torch.int64, device="cpu")
        alphas = torch.zeros(count, dtype=torch.float64, device="cpu")
        row_examples[row + 1], alphas[row + 1] = examples, highs
        row_examples[row], alphas[row] = examples, lows
        saved = self._passes.saved(self._chunks, cancel)

        def ask() -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], SecantMode]:
            leaves = self._passes.leaves(row_examples, alphas)
            # Each mode costs each operation a few microseconds.
            folding = FoldedNorms(self._folds) if self._folds.allowed else nullcontext()
            begins = sent(row, leaves[0].device)
            secant = SecantMode(leaves, self.fallbacks, self._passes.freezing(), begins, count)
            with saved.look_at(), secant, folding:
                outputs = self._passes.function(tuple(leaf.clone() for leaf in leaves), row_examples, eager=True)
            if secant.depends(outputs) and isinstance(where := whereabouts(outputs), tuple) and where != LEAF:
                raise LeaveError("the secant rule does not hold here: rows of the output are not those of the inputs")
            seeds = torch.zeros_like(outputs).index_fill_(0, sent(row, outputs.device), 1.0)
            found = self._backward(outputs, leaves, seeds)
            return outputs, leaves, tuple(g.index_select(0, sent(row, g.device)) for g in found), secant

        outputs, leaves, plain, secant = self._passes.run(alphas, lambda: uncompiling(ask), gradients=True)
        eps, names = coarsest_rounding(secant.dtypes, leaves[0]), [name for name, _ in secant.spans]
        sums = cell_sums(leaves, plain, row)
        spans = [sent(span, outputs.device).reshape(1) for _, span in secant.spans]
        further = [*sums, torch.cat(spans)] if spans else sums
        gradients, products, checked = weighed(
            self._passes.path, self._reduction, plain, self._passes.path.chords(examples, lows, highs)
        )

        def made(values: Tensor, density: Tensor, further: list[Tensor]) -> CellBlock:
            defects, roundings = defects_of(values, further[: len(sums)], row, eps)
            found = further[-1].tolist() if names else []
            scales = frozenset(name for name, spans in zip(names, found, strict=True) if spans)
            self.scales |= scales
            self._ends.compare(row_examples, alphas, values)
            return CellBlock(
                examples=examples,
                alphas=middles,
                outputs=values[row],
                density=density,
                gradients=gradients,
                lows=lows,
                highs=highs,
                defects=defects,
                roundings=roundings,
                scales=scales,
            )

        self._chunks.note_memory(count - 1, saved.total)
        return LaunchedChunk(count - 1, begin, outputs, products, checked, made, further)

    def _backward(self, outputs: Tensor, leaves: tuple[Tensor, ...], seeds: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the secant rule. Raises LeaveError where they cannot be taken, points being none the worse."""
        try:
            return differentiate(outputs, leaves, seeds)
        except IGError:
            raise
        except Exception as error:
            if is_out_of_memory(error) or any(says(error, words) for words in ADAPTABLE):
                raise
            failure = f"{type(error).__name__} in the backward pass"
            raise LeaveError(f"the secant rule does not hold here: {failure}") from error
