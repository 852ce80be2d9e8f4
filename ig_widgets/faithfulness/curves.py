"""Deletion and insertion: F as features are replaced in the order of the map, beside random orders."""

from __future__ import annotations

import threading

import torch

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import Progress, ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.curve import DELETION, INSERTION, Curves
from ig_widgets.faithfulness.curve_rows import CurveRows, all_ranks
from ig_widgets.faithfulness.evaluator import Evaluator
from ig_widgets.faithfulness.fills import Fill, make_fill
from ig_widgets.faithfulness.maps import by_feature, check_count
from ig_widgets.faithfulness.subject import make_subject


@with_progress
def deletion(
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    n_steps: int = 100,
    n_random: int = 1,
    by_pixel: bool = True,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Curves:
    """F as the features of the input are replaced, those of the largest attribution first, beside random orders.

    Petsiuk, Das, Saenko: RISE (2018), section 4.1; the random control: Samek et al.: Evaluating the Visualization of
    What a Deep Neural Network Has Learned (2017). A map that names what the model needs makes F fall
    early: the area is small. What is half replaced may be unlike anything that the model knows, and F may fall for that
    alone; so the area says little without that of a random order, and depends on the fill.

    Args:
        forward_func: as in `attribute`; what is measured is what it returns, so softmax is its own affair.
        inputs: a tensor (batch, ...) or a tuple of such, whose features are replaced in one order of all.
        attributions: an Attribution of these inputs, or tensors like them; for pictures also (batch, height, width).
        fill: what replaces: baseline (the `baselines`), blur, mean (of each channel), noise (with each channel's mean
            and deviation), one of `ig_widgets.baselines`, a tensor, a number, or a callable that is given the inputs.
            None: the baselines where they are given, else blur, for pictures. Of several inputs a tuple has one each.
        baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        layer: as in `attribute`, for the map of what a layer gives: that is then what is replaced, by what the layer
            gives at the baselines. Without it, features are those of the inputs, for token ids the tokens.
        n_steps: equal parts in which features are replaced, at most as many as there are.
        n_random: random orders, each of which takes as many forward passes as the order of the map. They are the same
            for each example.
        by_pixel: of pictures (batch, channels, height, width) a feature is a pixel, all its channels at once, ranked by
            their sum. False, and in other shapes: each value for itself.
        seed: of the random orders, of the order among equal attributions, and of the fill "noise".
        chunk_size: rows in the model at a time; None finds it by trying, and fits memory.
        on_progress: called with (done, total) forward passes, over all examples and orders.
        cancel: when set, the run stops after the chunk in hand.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument cannot work.
        OutputError, TrainingModeError, NonFiniteError, OutOfMemoryError, and what the model raises: as `attribute`.
        Cancelled: `cancel` was set.
    """
    return _curves(
        DELETION,
        forward_func,
        inputs,
        attributions,
        fill=fill,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        n_steps=n_steps,
        n_random=n_random,
        by_pixel=by_pixel,
        seed=seed,
        chunk_size=chunk_size,
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
def insertion(
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    n_steps: int = 100,
    n_random: int = 1,
    by_pixel: bool = True,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Curves:
    """F as the features of the input are put into the fill, those of the largest attribution first; as `deletion`.

    A map that names what is enough for the model makes F rise early: the area is large.
    """
    return _curves(
        INSERTION,
        forward_func,
        inputs,
        attributions,
        fill=fill,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        n_steps=n_steps,
        n_random=n_random,
        by_pixel=by_pixel,
        seed=seed,
        chunk_size=chunk_size,
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


def _curves(
    kind: str,
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill,
    baselines: Baselines,
    target: TargetLike,
    additional_forward_args: object,
    forward_kwargs: ForwardKwargs,
    output: Output,
    layer: Layer | None,
    n_steps: int,
    n_random: int,
    by_pixel: bool,
    seed: int,
    chunk_size: int | None,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Curves:
    n_steps = check_count("n_steps", n_steps, 1, "the number of parts in which features are replaced")
    n_random = check_count("n_random", n_random, 1, "the number of random orders")
    check_seed(seed)
    subject = make_subject(
        forward_func,
        inputs,
        baselines,
        layer=layer,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        integers=True,
        cancel=cancel,
    )
    maps = subject.maps(attributions)
    values = []
    for given, own in zip(maps, subject.parts, strict=True):
        # Calls of one layer share a map, and a feature is replaced in all of them at once.
        x = subject.inputs[own[0]]
        pixels = by_pixel and x.dim() == 4
        values.append(by_feature(given if pixels else given.expand_as(x), by_pixel=pixels))
    filled, name = make_fill(fill, subject, baselines, seed)
    ask = Evaluator(subject, target=target, chunk_size=chunk_size)
    rows = CurveRows(
        kind, subject, filled, all_ranks(torch.cat(values, dim=1), n_random, seed), n_steps, n_random, by_pixel
    )
    found = ask(rows.examples, rows.points, rows.where, on_progress=on_progress, cancel=cancel)
    return rows.curves(found, name, seed)
