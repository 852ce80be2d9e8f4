"""The gradient at the input, and what is made of it under noise."""

from __future__ import annotations

import threading

import torch

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, make_path
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.relatives.draws import Draws, check_count, check_sigma, draw
from ig_widgets.relatives.layer import of_layer
from ig_widgets.relatives.moments import SQUARE, VARIANCE, attribute_draws


@with_progress
@of_layer()
def gradient(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,  # noqa: ARG001  (one signature for all)
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """dF/dx at the input: how F answers to the smallest change of each feature. It is not complete.

    Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 3. Signed, where the paper takes
    the absolute value.
    """
    return attribute_draws(
        draw(inputs, count=1),
        forward_func,
        name="gradient",
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
@of_layer()
def input_x_gradient(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """(x - x') dF/dx at the input, with x' = 0 unless `baselines` are given, as for `attribute`.

    It is IG by the right Riemann sum of one point: complete, so that the delta is 0, where F is linear between x' and
    x, as that of a ReLU network without biases is for x' = 0. Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a
    Black Box (2016), section 2.
    """
    return attribute_draws(
        at_the_input(inputs, baselines),
        forward_func,
        name="input_x_gradient",
        is_complete=True,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
@of_layer()
def smoothgrad(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,  # noqa: ARG001  (one signature for all)
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    sigma: float = 0.15,
    n_samples: int = 50,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The mean gradient over `n_samples` points with Gaussian noise about the input. It is not complete.

    `sigma`: the standard deviation of the noise, as a share of the range (largest less smallest value) of each
    example's inputs; 0 gives the gradient. `standard_error` says how far chance moves each feature. Smilkov, Thorat,
    Kim, Viegas, Wattenberg: SmoothGrad (2017), sections 2 and 3.1. Raises as `attribute`, and ArgumentTypeError,
    ArgumentValueError for `sigma`, `n_samples`, `seed`.
    """
    return attribute_draws(
        noisy(inputs, sigma, n_samples, seed),
        forward_func,
        name="smoothgrad",
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
@of_layer(adds_up=False)
def smoothgrad_squared(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,  # noqa: ARG001  (one signature for all)
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    sigma: float = 0.15,
    n_samples: int = 50,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The mean square of the gradient over noise about the input: never negative, and without a direction.

    Arguments as for `smoothgrad`. Hooker, Erhan, Kindermans, Kim: A Benchmark for Interpretability Methods in Deep
    Neural Networks (2019), section 3.
    """
    return attribute_draws(
        noisy(inputs, sigma, n_samples, seed),
        forward_func,
        name="smoothgrad_squared",
        of=SQUARE,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
@of_layer(adds_up=False)
def vargrad(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,  # noqa: ARG001  (one signature for all)
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    sigma: float = 0.15,
    n_samples: int = 50,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The variance of the gradient over noise about the input: where it is least settled. Never negative.

    Over the n draws, divided by n, each taken about their mean. Arguments as for `smoothgrad`. Adebayo, Gilmer,
    Goodfellow, Kim: Local Explanation Methods for Deep Neural Networks Lack Sensitivity to Parameter Values (2018),
    section 2.
    """
    return attribute_draws(
        noisy(inputs, sigma, n_samples, seed),
        forward_func,
        name="vargrad",
        of=VARIANCE,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


def noisy(inputs: Tensors, sigma: float, n_samples: int, seed: int) -> Draws:
    """Draws under noise, of the gradient alone. Raises ArgumentTypeError, ArgumentValueError."""
    return draw(inputs, count=check_count("n_samples", n_samples), sigma=check_sigma(sigma), seed=seed)


def at_the_input(inputs: Tensors, baselines: Baselines) -> Draws:
    """The one draw that is the input itself, to be multiplied by x - x'."""
    path = make_path(inputs, baselines)
    ones = torch.ones(path.batch, 1, dtype=torch.float64, device="cpu")
    own = torch.arange(path.batch, device="cpu")[:, None]
    return draw(inputs, count=1, origins=path.baselines, positions=ones, chosen=own)
