"""F at many points, without a gradient: in chunks that fit memory, cancellable."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ig_widgets.engine.chunks import ChunkSize, is_out_of_memory, known_chunk_size
from ig_widgets.engine.errors import Cancelled, NonFiniteError
from ig_widgets.engine.model import ForwardFunc, Keeper, ScalarFunction, check_chunk_size, refuse_training_mode
from ig_widgets.engine.sampling import Progress
from ig_widgets.engine.target import TargetLike, make_target


class Asker:
    """What the model says of any number of rows, each made from one of `inputs` (batch, ...).

    Raises as `ig_widgets.attribute` for what cannot be explained so.
    """

    def __init__(
        self,
        forward_func: ForwardFunc,
        inputs: Tensor,
        *,
        target: TargetLike = None,
        additional_forward_args: object = None,
        chunk_size: int | None = None,
    ) -> None:
        batch, device = len(inputs), inputs.device
        fixed = check_chunk_size(chunk_size)
        self._function = ScalarFunction(forward_func, make_target(target, batch), additional_forward_args, batch)
        refuse_training_mode(forward_func)
        self._keeper = Keeper(forward_func, device)

        def make() -> ChunkSize:
            return ChunkSize(fixed, device, inputs[0].numel() * inputs.element_size())

        key = ("forward", device, inputs.shape[1:], inputs.dtype, torch.get_num_threads())
        self._chunks = make() if fixed is not None else known_chunk_size(forward_func, key, make)

    def __call__(
        self,
        examples: Tensor,
        points: Callable[[slice], Tensor],
        where: Callable[[int], str],
        *,
        on_progress: Progress | None = None,
        cancel: threading.Event | None = None,
    ) -> Tensor:
        """F (rows,), float64 on the CPU, of rows that belong to `examples` (rows,).

        `points` makes those of a slice, in memory of their own; `where` says in words what a row is. Raises Cancelled,
        NonFiniteError, OutOfMemoryError, and what the model raises.
        """
        count, start, chunks = len(examples), 0, self._chunks
        found = []
        while start < count:
            if cancel is not None and cancel.is_set():
                raise Cancelled(f"Cancelled after {start} of {count} forward passes.", None)
            rows = min(chunks.rows, count - start)
            part = slice(start, start + rows)
            begin = time.perf_counter()
            try:
                with torch.inference_mode(False), self._keeper.keep(), torch.no_grad():
                    values = self._function((points(part),), examples[part]).detach().cpu().double()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                chunks.halve(rows)
                continue
            seconds = time.perf_counter() - begin
            if start:
                chunks.record(rows, seconds, None)
            else:
                # Meant for gradients, which cost thrice as much: a low guess, after which larger ones are tried.
                chunks.start(seconds / rows)
            for row, value in enumerate(values.tolist(), start):
                if not math.isfinite(value):
                    raise NonFiniteError(f"forward_func's output is {value} {where(row)}.", math.nan)
            found.append(values)
            start += rows
            if on_progress is not None:
                on_progress(start, count)
        return torch.cat(found)
