"""Integrated Gradients of a model: `attribute` and `refine`; `attribute_along` a path that is not straight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Unpack

from ig_widgets.engine.groups import check_feature_mask, check_mask_type
from ig_widgets.engine.integers import refuse_integers
from ig_widgets.engine.layers import from_layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, check_chunk_size
from ig_widgets.engine.options import Options, check_flag, completed, with_options
from ig_widgets.engine.output import Output, check_output
from ig_widgets.engine.path import Path, Tensors, make_path
from ig_widgets.engine.progress import Progress, ProgressLike, check_cancel, check_progress, reported
from ig_widgets.engine.requested_rule import check_rule
from ig_widgets.engine.result import Attribution as Attribution
from ig_widgets.engine.result import make_attribution as make_attribution
from ig_widgets.engine.runs import Finish, run
from ig_widgets.engine.sample_setup import make_samples as make_samples
from ig_widgets.engine.sample_setup import samples_along as samples_along
from ig_widgets.engine.target import TargetLike
from ig_widgets.engine.unsupported import refuse_unsupported


@with_options
def attribute(forward_func: ForwardFunc, inputs: Tensors, **options: Unpack[Options]) -> Attribution:
    """Integrated Gradients along the straight line from `baselines` to `inputs`.

    Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017), sections 3 and 5.

    Args:
        forward_func: a module or callable, given the inputs (rows, ...), `additional_forward_args` and
            `forward_kwargs`; it returns one row for each row of the inputs, or several tensors of which `output` names
            one. It is left as it was found.
        inputs: a tensor (batch, ...) or a tuple of such, of a floating dtype, on any device.
        baselines: where the path starts, for each input: None (zeros), a number, a tensor that broadcasts to the
            input, or for all a callable that is given `inputs` and returns these.
        target: which position of an output row is F: an int or a tuple of ints for all examples, a list of either or
            a 1-D integer tensor for each; None where F is one number a row already.
        additional_forward_args: one value or a tuple. Tensors whose first dimension is the batch, also those in tuples,
            lists and dicts, follow their example along the path; all else is passed as it is.
        forward_kwargs: a mapping, the same by keyword: attention masks and the like.
        output: which tensor of what the model returns is explained: a key, an attribute, a position, a tuple of these
            that leads inside, or a callable that picks it. None: a tensor as it is, of a mapping or an object with
            `logits` these.
        method: the quadrature rule, one of riemann_left, riemann_right, riemann_middle, riemann_trapezoid,
            gausslegendre, fejer; or secant, which takes the mean slope of each operation over cells of the path, so
            that attributions sum to F(x) - F(x') for any n_steps. At finite n_steps that depends, like DeepLIFT, on how
            the model is written; its limit, IG, does not. auto looks at both ends of the path: secant where kinks
            (ReLU, max) lie between, else gausslegendre for given n_steps, or adaptive: points where the gradient
            changes, for a tolerance only; where either could do, which of them does. `reason` tells.
        n_steps: points of the rule, that is gradient evaluations per example; secant: cells. None: as many as `tol`
            needs.
        tol: the relative L2 error of each example's attributions at which to stop, as it is estimated while sampling.
        max_evaluations: where to stop at the latest, in gradient evaluations per example. `tol` and this count for
            n_steps=None only.
        chunk_size: rows in the model at a time; None finds it by trying, and fits memory.
        precision: full, or preview: gradients by autocast to bfloat16, half the memory and quicker where the device
            has it; a map changes by about 1%. For point rules only: the secant rule divides differences, of which
            bfloat16 leaves little.
        multiply_by_inputs: False leaves out the factor (x - x'): the mean gradient on the path.
        on_progress: called with (done, total) gradient evaluations, over all examples; True shows a bar, in a notebook
            or a terminal, with the estimated error and the time left.
        cancel: when set, the run stops after the chunk in hand.
        layer: a module inside the model, its dotted name, or a list of such: what it gives is attributed to, in place
            of the inputs, on the straight line between what it gives at both ends. Inputs may then be integers (token
            ids, with `layer` the embedding); they stay as they are, unless a list holds their positions too:
            layer=["embedding", 1] moves inputs[1] beside the embedding. Contributions of several calls of a layer are
            added up; where their shapes differ they stand side by side in a tuple.
        feature_mask: for each input (with `layer`: each tensor that it gives) the group, from 0, of each feature, a
            tensor of integers that broadcasts to it; `group_attributions` are the sums over the groups.

    Raises:
        ArgumentValueError, ArgumentTypeError: an argument cannot work.
        OutputError, NotDifferentiableError, TrainingModeError, NonFiniteError: the model cannot be explained so. Where
            F does not depend on the inputs through any operation, that is NotDifferentiableError; where its gradient
            is zero, attributions are zeros.
        OutOfMemoryError: not even one row fits.
        Cancelled: `cancel` was set; it carries the finest result so far.
        Whatever the model itself raises, with a note that names alpha.
    """
    *_, last = _items(forward_func, inputs, completed(options), progressive=False)
    return last


@with_options
def refine(forward_func: ForwardFunc, inputs: Tensors, **options: Unpack[Options]) -> Iterator[Attribution]:
    """As `attribute`, yielding ever finer results, the last of which is what `attribute` returns.

    With n_steps the points are visited coarse to fine; an early item weighs each by the piece of the path nearest to
    it. Without, each item is the result of a round of sampling, with an estimate of its own error.
    Arguments are checked, and both ends of the path evaluated, at the call; the rest as items are asked for.
    """
    return _items(forward_func, inputs, completed(options), progressive=True)


def _items(forward_func: ForwardFunc, inputs: Tensors, o: Options, *, progressive: bool) -> Iterator[Attribution]:
    begin = time.perf_counter()
    rule = check_rule(o["method"], o["n_steps"], o["tol"], o["max_evaluations"], o["precision"])
    refuse_unsupported(forward_func)
    check_progress(o["on_progress"])
    check_cancel(o["cancel"])
    check_chunk_size(o["chunk_size"])
    check_mask_type(o["feature_mask"])
    check_flag("multiply_by_inputs", o["multiply_by_inputs"])
    check_output(o["output"])
    cancel, inside = o["cancel"], None
    is_tuple = isinstance(inputs, tuple | list)
    further: tuple[object, ForwardKwargs, Output]
    further = o["additional_forward_args"], o["forward_kwargs"], o["output"]
    if o["layer"] is None:
        refuse_integers(forward_func, inputs)
        path = make_path(inputs, o["baselines"])
        masks = check_feature_mask(o["feature_mask"], path.inputs)
    else:
        inside = from_layer(
            forward_func, o["layer"], inputs, o["baselines"], *further, target=o["target"], cancel=cancel
        )
        forward_func, path = inside.function, make_path(inside.inputs, inside.baselines)
        further = inside.arguments, inside.keywords, None
        masks = inside.masks(o["feature_mask"])
    samples = samples_along(
        path,
        forward_func,
        target=o["target"],
        additional_forward_args=further[0],
        forward_kwargs=further[1],
        output=further[2],
        chunk_size=o["chunk_size"],
        precision=o["precision"],
        arrange=None if inside is None else inside.as_held,
        cancel=cancel,
    )
    finish = Finish(begin, o["multiply_by_inputs"], is_tuple, masks)
    return _reported(lambda progress: run(samples, rule, finish, progressive, progress, cancel), o["on_progress"])


def _reported(
    start: Callable[[Progress | None], Iterator[Attribution]], on_progress: ProgressLike
) -> Iterator[Attribution]:
    with reported(on_progress) as progress:
        yield from start(progress)


def attribute_along(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    is_tuple: bool = False,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """As `attribute`, along another path than the straight line; `is_tuple`: give a tuple for a single input too."""
    begin = time.perf_counter()
    rule = check_rule(method, n_steps, tol, max_evaluations, "full")
    samples = samples_along(
        path,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        cancel=cancel,
    )
    finish = Finish(begin, multiply_by_inputs=True, is_tuple=is_tuple or len(path.inputs) > 1, masks=None)
    *_, last = run(samples, rule, finish, False, on_progress, cancel)
    return last
