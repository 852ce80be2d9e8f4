"""Evaluates F at many points without gradients: in chunks that fit memory, cancellable."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ig_widgets.engine.chunks import ChunkSize, known_chunk_size
from ig_widgets.engine.errors import NonFiniteError
from ig_widgets.engine.model import ScalarFunction, check_chunk_size, refuse_training_mode
from ig_widgets.engine.progress import Progress
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.target import TargetLike, make_target
from ig_widgets.faithfulness.subject import Subject


class Evaluator:
    """Evaluates F at any number of rows, each made from an example of `subject`.

    `guard` is entered around each pass of the model (a lock, say).
    Raises as `ig_widgets.attribute` for what cannot be explained so.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        target: TargetLike = None,
        chunk_size: int | None = None,
        guard: AbstractContextManager[object] | None = None,
    ) -> None:
        forward_func, inputs = subject.forward_func, subject.inputs
        batch, device = subject.batch, inputs[0].device
        fixed = check_chunk_size(chunk_size)
        self._function = ScalarFunction(
            forward_func,
            make_target(target, batch),
            subject.additional_forward_args,
            batch,
            forward_kwargs=subject.forward_kwargs,
            output=subject.output,
        )
        refuse_training_mode((forward_func, subject.output))
        self._state_guard = StateGuard(forward_func, device)
        self._guard = guard if guard is not None else nullcontext()

        def make() -> ChunkSize:
            return ChunkSize(fixed, device, sum(x[0].numel() * x.element_size() for x in inputs))

        # Sizes found for forward passes are kept apart from those for gradients, which need more memory.
        kind = ("forward", device, torch.get_num_threads())
        shape = tuple((x.shape[1:], x.dtype) for x in inputs)
        self._chunks = make() if fixed is not None else known_chunk_size(forward_func, kind, shape, make)

    def __call__(
        self,
        examples: Tensor,
        points: Callable[[slice], tuple[Tensor, ...]],
        where: Callable[[int], str],
        *,
        alphas: Sequence[float] = (),
        on_progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Tensor:
        """F (rows,), float64 on the CPU, of rows that belong to `examples` (rows,).

        `points` makes those of a slice, of each input, in memory of their own; `where` says in words what a row is.
        `alphas`: where on a path the first rows lie, if they do. Raises Cancelled, NonFiniteError, OutOfMemoryError,
        and what the model raises.
        """
        count, chunks = len(examples), self._chunks

        def ask(part: slice) -> Tensor:
            def run() -> Tensor:
                return self._function(points(part), examples[part]).detach().cpu().double()

            with self._guard:
                return self._state_guard.run(run, gradients=False)

        found = []
        for part, values, seconds in chunks.run(count, ask, cancel=cancel):
            if part.start:
                chunks.record(len(values), seconds, None)
            else:
                # Meant for gradients, which cost thrice as much: a low guess, after which larger ones are tried.
                chunks.start(seconds / len(values))
            for row, value in enumerate(values.tolist(), part.start):
                if not math.isfinite(value):
                    alpha = alphas[row] if row < len(alphas) else math.nan
                    raise NonFiniteError(f"forward_func's output is {value} {where(row)}.", alpha)
            found.append(values)
            if on_progress is not None:
                on_progress(part.stop, count)
        return torch.cat(found)
