"""From the arguments of a question to an empty collection of samples."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.diagnosis import SHAPE_ERRORS, raise_clearer
from ig_widgets.engine.errors import IGError
from ig_widgets.engine.integers import refuse_integers
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.layers import from_layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, ScalarFunction, check_chunk_size, refuse_training_mode
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, Tensors, make_path
from ig_widgets.engine.reduction import Reduce, make_reduction
from ig_widgets.engine.sampler import Sampler
from ig_widgets.engine.samples import Arrange, Samples
from ig_widgets.engine.target import TargetLike, make_target
from ig_widgets.engine.unsupported import refuse_unsupported


def make_samples(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    layer: Layer | None = None,
    reduce: Reduce = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    known_output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """Checks the arguments, evaluates both ends, and returns an empty collection of samples to extend.

    For callers who want to change rule or steps and keep what was sampled. Arguments are those of `attribute`, and:

    Args:
        layer: samples are like what the layer gives, batch first, each of its calls apart; `make_attribution` adds
            calls up and gives them the layer's shape.
        reduce: a linear function (rows, ...) -> (rows, *shape) that keeps rows apart, for all inputs (or all that the
            layer gives), or a tuple of one for each, None for what stays whole. It is given the product of gradient and
            x - x' of each sample, in at least float32, as soon as it is computed; what it returns, on the same device,
            is all that is kept. Maps, errors and attributions are those of the reduced map. Of embeddings (rows,
            tokens, dimensions) for instance `lambda t: t.sum(-1)`. Sums, means, choices and products with constants are
            linear; norms, absolute values and maxima are refused.
        guard, chunks: those of `Sampler`.
        known_output: F(x), (batch,), if it is known.
        cells: cells of the secant rule, by which samples are then taken.
        cancel: when set while both ends are evaluated, Cancelled is raised.

    Raises:
        As `attribute`, and ArgumentTypeError or ArgumentValueError where `reduce` cannot work.
    """
    further: tuple[object, ForwardKwargs, Output] = additional_forward_args, forward_kwargs, output
    arrange: Arrange | None = None
    if layer is None:
        refuse_integers(forward_func, inputs)
        path = make_path(inputs, baselines)
    else:
        refuse_unsupported(forward_func)
        inside = from_layer(forward_func, layer, inputs, baselines, *further, target=target, cancel=cancel)
        forward_func, path = inside.function, make_path(inside.inputs, inside.baselines)
        further = inside.arguments, inside.keywords, None
        reduce, arrange = inside.for_each(reduce), inside.as_held if reduce is None else inside.added_up
    return samples_along(
        path,
        forward_func,
        target=target,
        additional_forward_args=further[0],
        forward_kwargs=further[1],
        output=further[2],
        chunk_size=chunk_size,
        reduce=reduce,
        precision=precision,
        guard=guard,
        chunks=chunks,
        known_output=known_output,
        cells=cells,
        arrange=arrange,
        cancel=cancel,
    )


def samples_along(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    known_output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    freezes: bool = True,
    reduce: Reduce = None,
    arrange: Arrange | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """As `make_samples`, along any path; `freezes` is that of `Sampler`, `arrange` that of `Samples`."""
    refuse_unsupported(forward_func)
    reduction = make_reduction(reduce, path.inputs)
    function = ScalarFunction(
        forward_func,
        make_target(target, path.batch),
        additional_forward_args,
        path.batch,
        forward_kwargs=forward_kwargs,
        output=output,
    )
    refuse_training_mode((forward_func, output))
    sampler = Sampler(
        function,
        path,
        chunk_size=check_chunk_size(chunk_size),
        preview=precision == "preview",
        guard=guard,
        chunks=chunks,
        freezes=freezes,
        reduction=reduction,
    )

    def evaluated() -> Samples:
        if cells is None:
            return Samples(sampler, path, known_output, arrange=arrange, cancel=cancel)
        return CellSamples(sampler, path, cells, known_output, arrange=arrange, cancel=cancel)

    try:
        return evaluated()
    except (IGError, MemoryError, torch.OutOfMemoryError) as error:
        raise_clearer(error, function, path)
        raise
    except Exception as error:
        # Some models take one row at a time; of a batch of one it is clear what is meant.
        if path.batch == 1 and not function.takes_single_rows and isinstance(error, SHAPE_ERRORS):
            function.takes_single_rows = True
            try:
                return evaluated()
            except Exception:  # noqa: BLE001  (what the model said first is what matters)
                function.takes_single_rows = False
        raise_clearer(error, function, path)
        raise
