"""IG averaged over baselines that are drawn: expected gradients, and GradientSHAP, which adds noise."""

from __future__ import annotations

import threading

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.relatives.draws import Draws, check_count, check_sigma, draw
from ig_widgets.relatives.layer import of_layer
from ig_widgets.relatives.moments import attribute_draws
from ig_widgets.relatives.origins import make_origins


@with_progress
@of_layer(draws_baselines=True)
def expected_gradients(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    n_samples: int = 200,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The mean of IG over a distribution of baselines: alpha and baseline are drawn together, `n_samples` times.

    `baselines`: the distribution, a tensor (K, ...) of K baselines (a tuple of such for several inputs, whose rows
    belong together), a number, a callable that is given the inputs and returns these, or None: zero. Of each K draws
    every baseline is taken once, and alpha is drawn once in each of `n_samples` equal parts of [0, 1], so that with one
    baseline the mean converges to IG quicker than by independent draws.
    `baseline_output` is the mean of F over the baselines drawn, `convergence_delta` the sum of attributions less F(x)
    less that, which is 0 but for chance. `standard_error` is that of independent draws, which overstates it.
    Erion, Janizek, Sturmfels, Lundberg, Lee: Improving Performance of Deep Learning Models with Axiomatic Attribution
    Priors and Expected Gradients (2021), section on expected gradients. Raises as `attribute`, and ArgumentTypeError,
    ArgumentValueError for `baselines`, `n_samples`, `seed`.
    """
    return attribute_draws(
        about(inputs, baselines, 0.0, n_samples, seed),
        forward_func,
        name="expected_gradients",
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
@of_layer(draws_baselines=True)
def gradient_shap(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    sigma: float = 0.0,
    n_samples: int = 200,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """Expected gradients with Gaussian noise on the input: the mean of (x + noise - x') dF/dx between x' and x + noise.

    `sigma`: the standard deviation of the noise, as a share of the range of each example's inputs; with 0, for which
    alone completeness is claimed, it is `expected_gradients`. Other arguments as there. Lundberg, Lee: A Unified
    Approach to Interpreting Model Predictions (2017); GradientExplainer of shap, GradientShap of Captum.
    """
    return attribute_draws(
        about(inputs, baselines, sigma, n_samples, seed),
        forward_func,
        name="gradient_shap",
        is_complete=not sigma,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


def about(inputs: Tensors, baselines: Baselines, sigma: float, n_samples: int, seed: int) -> Draws:
    """Draws between baselines and the input under noise. Raises ArgumentTypeError, ArgumentValueError."""
    return draw(
        inputs,
        count=check_count("n_samples", n_samples),
        sigma=check_sigma(sigma),
        seed=seed,
        origins=make_origins(inputs, baselines),
    )
