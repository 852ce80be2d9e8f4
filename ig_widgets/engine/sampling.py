"""F and its gradient at given positions of the path, in chunks that fit memory, cancellable."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ig_widgets.engine.checkpoints import unrolled
from ig_widgets.engine.chunks import ChunkSize, known_chunk_size
from ig_widgets.engine.devices import fails_in_cudnn, widest, without_cudnn
from ig_widgets.engine.errors import (
    ArgumentValueError,
    Cancelled,
    IGError,
    NondeterminismWarning,
    NonFiniteError,
    NotDifferentiableError,
)
from ig_widgets.engine.flight import Flight, Launched
from ig_widgets.engine.folding import Folding, Folds, UnfoldError
from ig_widgets.engine.freezing import Freezing
from ig_widgets.engine.keeper import Keeper
from ig_widgets.engine.kinks import Kinks, KinksByOne
from ig_widgets.engine.memory import is_out_of_memory, says
from ig_widgets.engine.model import ScalarFunction, modules_of, uncompiling
from ig_widgets.engine.path import Path
from ig_widgets.engine.place import LEAF, whereabouts
from ig_widgets.engine.progress import Progress as Progress
from ig_widgets.engine.reduction import Reduction
from ig_widgets.engine.secant import KinkMode, LeaveError, SecantMode, SecantRuleError
from ig_widgets.engine.training import refuse_chance
from ig_widgets.engine.transfers import Fetch, sent

_T = TypeVar("_T")

# What a pass is run again for, in another way.
_KNOWN = ("does not require grad", "cudnn RNN backward")
# How far F at an end of the path may be from what it was, relative to F(x) - F(x'). Half precision stays below this,
# relative to F; dropout does not.
_SAME = 0.05
# So many units in the last place of F are rounding: other chunks stay below a millionth (EfficientNet-Lite0 by 9e-8).
_ROUNDED = 1000.0
# How far F may be in the company of another row from what it is alone: more than any rounding.
_SAME_ALONE = 0.01
# By how much more examples than before are looked at for kinks.
_MORE = 8
# How many units in the last place a healthy network may lose of F and of the gradient times the input. The most that
# was seen is 8, of 13 networks of up to 31 layers in float64, float32 and bfloat16, at 1 to 512 cells.
_ROUNDING = 50.0


@dataclass(frozen=True, eq=False)
class Block:
    """What one chunk gave. Rows are (example, alpha) pairs.

    `examples`, `alphas` (float64), `outputs` (float64), `density` (float64, dF/dalpha) are (rows,) on the CPU;
    `gradients` are tensors (rows, ...) like the inputs, on their device; on a curved path, times its tangent; with a
    reduction what it gives of the product of gradient and tangent.
    """

    examples: Tensor
    alphas: Tensor
    outputs: Tensor
    density: Tensor
    gradients: tuple[Tensor, ...]

    @property
    def output_alphas(self) -> Tensor:
        """Where `outputs` were taken."""
        return self.alphas


@dataclass(frozen=True, eq=False)
class CellBlock(Block):
    """What one chunk of the secant rule gave. Rows are cells from `lows` to `highs`; `alphas` are their middles.

    `gradients` and `density` are means over the cell; `outputs` are F at its beginning. `defects` and `roundings`
    (rows,), float64 on the CPU: what the attributions of the cell miss F(end) - F(beginning) by, both ends taken in the
    same pass at the points that the model was given, and what rounding alone explains of that. `scales`: operations
    that passed over many scales within a cell.
    """

    lows: Tensor
    highs: Tensor
    defects: Tensor
    roundings: Tensor
    scales: frozenset[str]

    @property
    def output_alphas(self) -> Tensor:
        """Where `outputs` were taken."""
        return self.lows


class Sampler:
    """Samples F along one path.

    `guard` is entered around each pass of the model (a lock, say). `preview`: gradients at points are taken by autocast
    to bfloat16. `chunks` is what another sampler of this model, at
    this shape, has learnt (its `chunks`). `reduction`: applied to the product of gradient and tangent of each sample.
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
        self.reduction = reduction
        self._keeper = Keeper(function.forward_func, path.device)
        self._modules = modules_of(function.forward_func)
        self._parameters = {p.untyped_storage().data_ptr() for m in self._modules for p in m.parameters()}
        self._guard = guard if guard is not None else nullcontext()
        self._preview = preview
        # A cell keeps more for its backward pass than a point does.
        self.chunks = chunks if chunks is not None else self._chunks("preview" if preview else "points", chunk_size)
        self._cell_chunks = chunks if chunks is not None else self._chunks("cells", chunk_size)
        self.fallbacks: set[str] = set()
        # What passed over many scales within a cell: there the secant rule is complete, and far from its limit.
        self.scales: set[str] = set()
        self._freezes = freezes and not function.is_compiled
        self._cudnn_fails = False
        # A compiler would trace them, anew for each model.
        self._hooks = not function.is_compiled
        self._folds = Folds(function.forward_func)
        # F(x') and F(x), to be compared with where F is there again; None once they were compared in vain.
        self._ends: tuple[Tensor, Tensor] | None = None
        # What was warned of then, for those who have no console before them.
        self.doubt = ""
        # Those of the first example, and whether they are the same in one pass; None until it was asked.
        self._alone = torch.zeros(2, dtype=torch.float64, device="cpu")
        self._pairs: bool | None = None

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
        self._ends = known
        self._alone = torch.stack([end[0] for end in known])
        if self._keeper.draws and not self._preview and not self._asks_one_by_one:
            self._ask_again(examples, alphas, cancel)
        return known

    def _ask_again(self, examples: Tensor, alphas: Tensor, cancel: threading.Event | None) -> None:
        """Compare what a model that draws random numbers says of the ends in other rows; of others none is asked."""
        total = len(examples)

        def points(part: slice) -> tuple[Tensor, ...]:
            return tuple(p.flip(0) for p in self._path.ends(slice(total - part.stop, total - part.start)))

        examples, alphas = examples.flip(0), alphas.flip(0)
        again = self.outputs(points, examples, alphas, cancel)
        if self._is_other(examples, alphas, again, beyond=0.0).any():
            refuse_chance(self._function.forward_func)
        self._compare(examples, alphas, again)

    @property
    def _asks_one_by_one(self) -> bool:
        """One row at a time draws the same for each, as the random state is put back: that is one function."""
        return self.chunks.is_fixed and self.chunks.rows == 1

    @property
    def _takes_one_row(self) -> bool:
        """Whether the function must be given one row at a time, as far as that is known."""
        return self._asks_one_by_one or self._function.one_by_one

    def _bears_pairs(self) -> bool:
        """Whether both ends of a path, in one pass, give what they gave alone; asked once."""
        if self._pairs is None:
            examples, alphas = torch.zeros(2, dtype=torch.int64, device="cpu"), torch.tensor([0.0, 1.0], device="cpu")
            ends, batch = self._path.ends(slice(0, 2 * self._path.batch)), self._path.batch

            def ask() -> Tensor:
                return self._function(tuple(e[[0, batch]] for e in ends), examples).detach().cpu().double()

            try:
                found = self._pass(alphas, ask, gradients=False)
            except Exception:  # noqa: BLE001  (it says so by whatever it raises)
                self._pairs = False
            else:
                scale = self._alone.abs().max()
                self._pairs = bool(((found - self._alone).abs() <= _SAME_ALONE * scale).all())
        return self._pairs

    def _compare(self, examples: Tensor, alphas: Tensor, outputs: Tensor) -> None:
        """Warn, once, where `outputs` (rows,) at an end of the path are others than before.

        It costs no pass: most methods come by an end again.
        """
        at_end = (alphas == 0) | (alphas == 1)
        if self._ends is None or self._preview or not bool(at_end.any()):
            return
        examples, alphas, outputs = examples[at_end], alphas[at_end], outputs[at_end]
        others = self._is_other(examples, alphas, outputs, beyond=_SAME)
        if not bool(others.any()):
            return
        row = int(others.long().argmax())
        before = torch.where(alphas == 0, self._ends[0][examples], self._ends[1][examples])
        self._ends = None
        self.doubt = (
            f"forward_func was asked the same twice and answered {float(before[row]):.4g}, then "
            f"{float(outputs[row]):.4g} ({self._path.place(float(alphas[row]), float(alphas[row]))}, example "
            f"{int(examples[row])}): what is attributed is of no one function. "
            f"Call model.eval(), leave out functional dropout and noise (or fix their seed in forward_func), "
            f"and let no row depend on the others of its chunk."
        )
        warnings.warn(self.doubt, NondeterminismWarning, stacklevel=2)

    def _is_other(self, examples: Tensor, alphas: Tensor, outputs: Tensor, *, beyond: float) -> Tensor:
        """Which of `outputs` (rows,) are at an end, and other than F was there: `beyond` so many times F(x) - F(x')."""
        if self._ends is None:
            return torch.zeros(len(examples), dtype=torch.bool, device="cpu")
        start, end = (known[examples] for known in self._ends)
        size = torch.stack([torch.where(known.isfinite(), known.abs(), 0.0) for known in (start, end)]).amax(0)
        change = torch.where((end - start).isfinite(), (end - start).abs(), 0.0)
        # What rounding may do is a share of F itself, however little of it is attributed.
        eps = torch.finfo(self._path.inputs[0].dtype).eps
        allowed = torch.maximum(beyond * change, min(_SAME, _ROUNDED * eps) * size).clamp(min=10 * eps)
        off = outputs - torch.where(alphas == 0, start, end)
        return ((alphas == 0) | (alphas == 1)) & off.isfinite() & (off.abs() > allowed)

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

            return self._pass(alphas[part], ask_part, gradients=False)

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
        """What kinks lie between both ends of the paths: forward passes of ever more examples, until one shows.

        Of each example the input and the baseline are in one pass. Stops early where these do not fit into memory.
        Raises Cancelled.
        """
        found = KinksByOne() if self._takes_one_row else Kinks()
        start, count, batch = 0, 1, self._path.batch
        most = batch
        while start < batch:
            if cancel is not None and cancel.is_set():
                raise Cancelled("Cancelled after 0 gradient evaluations.", None)
            # Most models show their kinks at the first example; what is counted should not depend on timing.
            count = max(1, min(count, most, self.chunks.rows // 2, batch - start))
            examples = torch.arange(start, start + count, device="cpu").repeat_interleave(2)
            # From inputs to baselines, the other way round than `ends`: what is drawn for each row is then another's.
            alphas = torch.tensor([1.0, 0.0], dtype=torch.float64, device="cpu").repeat(count)
            parts = (slice(0, 1), slice(1, 2)) if isinstance(found, KinksByOne) else (slice(0, None),)
            try:
                for part in parts:
                    self._look(examples[part], alphas[part], found, cancel)
            except _Stopped:
                continue
            except (RuntimeError, MemoryError) as error:
                if self._adapts(error):
                    continue
                if not is_out_of_memory(error):
                    raise
                if count == 1:
                    break
                count = most = count // 2
                continue
            if found.crossed.total():
                break
            start, count = start + count, _MORE * count
        return found

    def _look(self, examples: Tensor, alphas: Tensor, found: Kinks, cancel: threading.Event | None) -> None:
        """Let `found` look at a pass of these rows."""
        saved = self._saved(None, cancel)

        def ask() -> Tensor:
            leaves = tuple(p.requires_grad_() for p in self._path.points(examples, alphas))
            with saved.look_at(), KinkMode(leaves, found):
                return self._function(tuple(leaf.clone() for leaf in leaves), examples, eager=True)

        outputs = self._pass(alphas, lambda: uncompiling(ask), gradients=True)
        if isinstance(found, KinksByOne):
            found.compare()
        # This pass is of two rows at the least.
        if not self._asks_one_by_one:
            self._compare(examples, alphas, outputs.detach().cpu().double())

    def sample(
        self, examples: Tensor, alphas: Tensor, *, first: int | None = None, cancel: threading.Event | None = None
    ) -> Iterator[Block]:
        """F and gradient at each (example, alpha), in this order, a block at a time; stops early if cancelled.

        `first` bounds the rows of the first chunk, for a caller who wants something to show soon.
        Raises NotDifferentiableError, OutOfMemoryError, NonFiniteError (with the smallest alpha, which is looked
        for among the rows that are left), and whatever the model raises, with a note that names alpha.
        """
        non_finite: tuple[float, str] | None = None
        flight: Flight[Block] = Flight(self._path.device, self.chunks)
        while len(alphas) or flight:
            if len(alphas) and flight.has_room:
                if cancel is not None and cancel.is_set():
                    return
                rows = min(self.chunks.rows, len(alphas), first or len(alphas))
                try:
                    flight.add(self._gradients(examples[:rows], alphas[:rows], cancel), is_awaited=first is not None)
                except _Stopped:
                    return
                except (RuntimeError, MemoryError) as error:
                    if not self._adapts(error):
                        self._halve_or_raise(error, rows, self.chunks)
                    continue
                first = None
                examples, alphas = examples[rows:], alphas[rows:]
                continue
            if (landed := flight.land(cancel)) is None:
                return
            block, finite = landed
            non_finite = _smallest_non_finite(block, finite, self._path, non_finite)
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
        """The mean gradient of the secant rule over each cell (example, low, high), a block at a time, as `sample`.

        `alphas` are the middles of the cells, by which they are known.
        A cell that begins where the one before it ends shares its point. Operations without a rule of their own are
        added to `fallbacks`. Raises SecantRuleError where the rule does not hold for the model, with a sentence that
        says why, before anything wrong comes out.
        """
        if self._takes_one_row and (self._function.one_by_one or not self._bears_pairs()):
            raise SecantRuleError(
                "the secant rule takes both ends of a cell in one pass, and forward_func takes one row at a time"
            )
        flight: Flight[CellBlock] = Flight(self._path.device, self._cell_chunks)
        while len(lows) or flight:
            if len(lows) and flight.has_room:
                if cancel is not None and cancel.is_set():
                    return
                # One row more than cells; a size that the caller has set is kept to.
                rows = max(2, min(self._cell_chunks.rows + (not self._cell_chunks.is_fixed), (first or len(lows)) + 1))
                ahead = slice(0, rows)
                starts = torch.ones(len(lows[ahead]), dtype=torch.bool, device="cpu")
                starts[1:] = (examples[ahead][1:] != examples[ahead][:-1]) | (lows[ahead][1:] != highs[ahead][:-1])
                # Each cell has its beginning for a row, the last of a run its end too.
                needed = torch.arange(len(starts), device="cpu") + starts.cumsum(0) + 1
                cells = max(1, int((needed <= rows).sum()))
                part = slice(0, cells)
                try:
                    made = self._cells(examples[part], alphas[part], lows[part], highs[part], starts[part], cancel)
                except _Stopped:
                    return
                except UnfoldError:
                    continue
                except LeaveError as error:
                    raise SecantRuleError(str(error)) from error
                except (RuntimeError, MemoryError) as error:
                    if not self._adapts(error):
                        self._halve_or_raise(error, rows - 1, self._cell_chunks)
                    continue
                flight.add(made, is_awaited=first is not None)
                first = None
                examples, alphas, lows, highs = (t[cells:] for t in (examples, alphas, lows, highs))
                continue
            if (landed := flight.land(cancel)) is None:
                return
            block, finite = landed
            trouble = _smallest_non_finite(block, finite, self._path)
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
    ) -> Launched[CellBlock]:
        begin = time.perf_counter()
        run = starts.long().cumsum(0) - 1
        row = torch.arange(len(lows), device="cpu") + run
        count = int(row[-1]) + 2
        row_examples = torch.zeros(count, dtype=torch.int64, device="cpu")
        alphas = torch.zeros(count, dtype=torch.float64, device="cpu")
        row_examples[row + 1], alphas[row + 1] = examples, highs
        row_examples[row], alphas[row] = examples, lows
        saved = self._saved(self._cell_chunks, cancel)

        def ask() -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], SecantMode]:
            leaves = tuple(p.requires_grad_() for p in self._path.points(row_examples, alphas))
            # Each mode costs each operation a few microseconds.
            folding = Folding(self._folds) if self._folds.allowed else nullcontext()
            begins = sent(row, leaves[0].device)
            secant = SecantMode(leaves, self.fallbacks, self._freezing(), begins, count)
            with saved.look_at(), secant, folding:
                outputs = self._function(tuple(leaf.clone() for leaf in leaves), row_examples, eager=True)
            if secant.depends(outputs) and isinstance(where := whereabouts(outputs), tuple) and where != LEAF:
                raise LeaveError("the secant rule does not hold here: rows of the output are not those of the inputs")
            seeds = torch.zeros_like(outputs).index_fill_(0, sent(row, outputs.device), 1.0)
            found = self._backward(outputs, leaves, seeds)
            return outputs, leaves, tuple(g.index_select(0, sent(row, g.device)) for g in found), secant

        outputs, leaves, plain, secant = self._pass(alphas, lambda: uncompiling(ask), gradients=True)
        eps, names = _eps(secant.dtypes, leaves[0]), [name for name, _ in secant.spans]
        sums = _cell_sums(leaves, plain, row)
        spans = [sent(span, outputs.device).reshape(1) for _, span in secant.spans]
        further = [*sums, torch.cat(spans)] if spans else sums
        gradients, products, checked = self._weighed(plain, self._path.chords(examples, lows, highs))

        def made(values: Tensor, density: Tensor, further: list[Tensor]) -> CellBlock:
            defects, roundings = _defects(values, further[: len(sums)], row, eps)
            found = further[-1].tolist() if names else []
            scales = frozenset(name for name, spans in zip(names, found, strict=True) if spans)
            self.scales |= scales
            self._compare(row_examples, alphas, values)
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

        self._cell_chunks.note_memory(count - 1, saved.total)
        return Launched(count - 1, begin, outputs, products, checked, made, further)

    def _backward(self, outputs: Tensor, leaves: tuple[Tensor, ...], seeds: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the secant rule. Raises LeaveError where they cannot be taken, points being none the worse."""
        try:
            return _differentiate(outputs, leaves, seeds)
        except IGError:
            raise
        except Exception as error:
            if is_out_of_memory(error) or any(says(error, words) for words in _KNOWN):
                raise
            told = f"{type(error).__name__} in the backward pass"
            raise LeaveError(f"the secant rule does not hold here: {told}") from error

    def _gradients(self, examples: Tensor, alphas: Tensor, cancel: threading.Event | None) -> Launched[Block]:
        begin = time.perf_counter()
        saved = self._saved(self.chunks, cancel)

        def ask() -> tuple[Tensor, tuple[Tensor, ...]]:
            leaves = tuple(p.requires_grad_() for p in self._path.points(examples, alphas))
            with saved.look_at(), self._freezing() or nullcontext(), self._casting():
                # The model is given a copy, which it may change in place.
                outputs = self._function(tuple(leaf.clone() for leaf in leaves), examples)
            return outputs, _differentiate(outputs, leaves)

        outputs, gradients = self._pass(alphas, ask, gradients=True)
        kept, products, checked = self._weighed(gradients, self._path.tangents(examples, alphas))

        def made(values: Tensor, density: Tensor, further: list[Tensor]) -> Block:  # noqa: ARG001  (of cells alone)
            self._compare(examples, alphas, values)
            return Block(examples, alphas, values, density, kept)

        self.chunks.note_memory(len(alphas), saved.total)
        return Launched(len(alphas), begin, outputs, products, checked, made)

    def _casting(self) -> AbstractContextManager[object]:
        return torch.autocast(self._path.device.type, torch.bfloat16) if self._preview else nullcontext()

    def _freezing(self) -> Freezing | None:
        """Made anew for each pass: a parameter may have been replaced, or frozen by its owner."""
        asking = [p for m in self._modules for p in m.parameters() if p.requires_grad and self._freezes]
        return Freezing(asking) if asking else None

    def _bearable(self, run: Callable[[], _T]) -> _T:
        """What `run` gives, without what has no backward pass that we could take."""
        if self._cudnn_fails or fails_in_cudnn(self._modules, self._path.device):
            return unrolled(lambda: without_cudnn(run))
        return unrolled(run)

    def _adapts(self, error: BaseException) -> bool:
        """Whether the pass should be run again, as the model bears less than others.

        One that differentiates by its parameters needs them as they are; one that uses torch.func, which knows no hooks
        on saved tensors, cannot be left in the middle of a pass.
        """
        if self._freezes and says(error, "does not require grad"):
            self._freezes = False
            return True
        if self._hooks and says(error, "saved tensor hooks"):
            self._hooks = False
            return True
        if not self._cudnn_fails and says(error, "cudnn RNN backward"):
            # Of one that no module holds.
            self._cudnn_fails = True
            return True
        return False

    def _saved(self, chunks: ChunkSize | None, cancel: threading.Event | None) -> _Saved:
        """What looks at saved tensors in a pass; with `chunks`, which want to know how many bytes they take."""
        counts = self._hooks and chunks is not None and chunks.wants_memory
        return _Saved(self._parameters if counts else None, cancel if self._hooks else None)

    def _halve_or_raise(self, error: Exception, rows: int, chunks: ChunkSize) -> None:
        if not is_out_of_memory(error):
            raise error
        chunks.halve(rows)

    def _chunks(self, kind: str, fixed: int | None) -> ChunkSize:
        """What is known of this model at this shape."""
        inputs, device = self._path.inputs, self._path.device
        input_bytes = sum(x[0].numel() * x.element_size() for x in inputs)

        def make() -> ChunkSize:
            return ChunkSize(fixed, device, input_bytes)

        if fixed is not None:
            return make()
        shapes = tuple((x.shape[1:], x.dtype) for x in inputs)
        return known_chunk_size(self._function.forward_func, (kind, device, torch.get_num_threads()), shapes, make)

    def _weighed(
        self, gradients: tuple[Tensor, ...], tangents: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, ...], list[Tensor], tuple[Tensor, ...]]:
        """What is kept of the gradients, what of dF/dalpha each input gives, (rows,), and what has to be finite."""
        products = tuple(tangent * gradient for tangent, gradient in zip(tangents, gradients, strict=True))
        density = [p.reshape(len(p), -1).sum(1) for p in products]
        checked = gradients if self._path.is_straight else products
        return checked if self.reduction is None else self.reduction(products), density, checked

    @property
    def keeps_products(self) -> bool:
        """Whether samples have the factor x - x', or that of a curved path, already."""
        return self.reduction is not None or not self._path.is_straight

    @property
    def map_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of what one sample keeps, one for each input."""
        return tuple(tuple(x.shape[1:]) for x in self._path.inputs) if self.reduction is None else self.reduction.shapes

    def _pass(self, alphas: Tensor, run: Callable[[], _T], *, gradients: bool) -> _T:
        """What `run` gives, one pass of the user's model, whatever the grad mode; errors of the model name alpha."""
        try:
            with self._guard:
                return self._keeper.run(lambda: self._bearable(run), gradients=gradients)
        except IGError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                place = self._path.place(float(alphas.min()), float(alphas.max()))
                if says(error, "Guard failed"):
                    raise ArgumentValueError(
                        "forward_func was exported for fixed shapes; export it with a dynamic first dimension, "
                        "dynamic_shapes=({0: torch.export.Dim('batch')},)."
                    ) from error
                error.add_note(f"The model raised this on the path from baseline to input, {place}.")
            raise


def _cell_sums(leaves: tuple[Tensor, ...], gradients: tuple[Tensor, ...], row: Tensor) -> list[Tensor]:
    """For each input what it adds to the attribution of each cell, and the size of what that is summed of: (cells,).

    `row` (cells,): where cells begin.
    """
    sums = []
    for leaf, gradient in zip(leaves, gradients, strict=True):
        wide, most = torch.promote_types(leaf.dtype, torch.float32), widest(leaf.device)
        # Copies, in which the rest is worked out.
        ends = (leaf.detach().index_select(0, sent(r, leaf.device)) for r in (row, row + 1))
        begin, end = (t.reshape(len(row), -1).to(wide) for t in ends)
        flat = gradient.reshape(len(row), -1).to(wide)
        parts = begin.neg_().add_(end).mul_(flat)
        sums += [parts.sum(1, dtype=most), parts.abs_().add_(end.mul_(flat).abs_()).sum(1, dtype=most)]
    return sums


def _defects(values: Tensor, sums: list[Tensor], row: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """What the attributions of each cell miss the rise of F by, and what rounding explains of that: (cells,) float64.

    `values` (rows,) are F, `sums` those of `_cell_sums`, on the CPU, `eps` is the unit of rounding.
    """
    # Where F passes zero, what it is summed of does not.
    total, size = torch.zeros(len(row), dtype=torch.float64, device="cpu"), values.abs().max().expand(len(row))
    for part, beside in zip(sums[::2], sums[1::2], strict=True):
        total += part
        size = size + beside
    return total - (values[row + 1] - values[row]), _ROUNDING * eps * size


def _eps(dtypes: set[torch.dtype], leaf: Tensor) -> float:
    """The coarsest rounding of a pass whose tensors were of these dtypes."""
    numbers = [d for d in (*dtypes, leaf.dtype) if d.is_floating_point or d.is_complex]
    eps = max(torch.finfo(d).eps for d in numbers)
    # Products of float32 may be taken in TF32, which keeps 10 bits.
    rough = leaf.is_cuda and (torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)
    return max(eps, 2.0**-11) if rough and torch.float32 in numbers else eps


def _differentiate(outputs: Tensor, leaves: tuple[Tensor, ...], seeds: Tensor | None = None) -> tuple[Tensor, ...]:
    several = len(leaves) > 1
    if not outputs.requires_grad:
        raise NotDifferentiableError(
            f"forward_func's output does not depend on {'any of the inputs' if several else 'inputs'} through "
            f"operations that torch can differentiate; look for detach(), torch.no_grad(), numpy, argmax or rounding."
        )
    seeds = torch.ones_like(outputs) if seeds is None else seeds
    gradients = torch.autograd.grad(outputs, leaves, seeds, allow_unused=True)
    for i, gradient in enumerate(gradients):
        if gradient is None:
            name = f"inputs[{i}]" if several else "inputs"
            raise NotDifferentiableError(
                f"forward_func's output does not depend on {name}; leave it out of inputs "
                f"(additional_forward_args passes it on), or look for a detach() on its way."
            )
    return gradients


def _smallest_non_finite(
    block: Block, gradients: Tensor, path: Path, before: tuple[float, str] | None = None
) -> tuple[float, str] | None:
    """The smallest alpha so far at which something is NaN or infinite, and the sentence that says so.

    `gradients` (rows,): which gradients of the block are finite.
    """
    for finite, what in (
        (torch.isfinite(block.outputs), "forward_func's output"),
        (gradients, "the gradient of forward_func"),
    ):
        if bool(finite.all()):
            continue
        alphas = block.alphas[~finite]
        alpha = float(alphas.min())
        if before is None or alpha < before[0]:
            example = int(block.examples[~finite][alphas.argmin()])
            before = (
                alpha,
                f"{what} is NaN or infinite {path.place(alpha, alpha)} (example {example}), the first sample at which "
                f"it is; a map with NaN in it explains nothing. Look at the model there, or use a wider dtype.",
            )
    return before


class _Stopped(BaseException):
    """A pass was left in the middle, since it was cancelled. No Exception: a model may catch those."""


class _Saved:
    """Looks at each tensor that a forward pass keeps for the backward pass, as it is kept and as it is used.

    Counts their bytes, beyond the model's own `parameters` (None: counts nothing), and raises `_Stopped` once `cancel`
    is set: a chunk may take a second, a layer takes little.
    """

    def __init__(self, parameters: set[int] | None, cancel: threading.Event | None) -> None:
        self._parameters = parameters
        self._cancel = cancel
        self._sizes: dict[int, int] = {}

    @property
    def total(self) -> int | None:
        """The bytes, None if they were not to be counted."""
        return None if self._parameters is None else sum(self._sizes.values())

    def look_at(self) -> AbstractContextManager[object]:
        """A context for the forward pass."""
        if self._parameters is None and self._cancel is None:
            return nullcontext()
        return torch.autograd.graph.saved_tensors_hooks(self._keep, self._use)

    def _keep(self, tensor: Tensor) -> Tensor:
        if self._parameters is not None:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._parameters:
                self._sizes[storage.data_ptr()] = storage.nbytes()
        # An operation that keeps its own output would be kept by it in turn, for ever, unless a backward pass follows.
        return self._use(tensor).detach()

    def _use(self, tensor: Tensor) -> Tensor:
        if self._cancel is not None and self._cancel.is_set():
            raise _Stopped
        return tensor
