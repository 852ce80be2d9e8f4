"""DeepLIFT: the secant rule with the whole path for a single cell."""

from __future__ import annotations

import threading
from dataclasses import replace

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike


@with_progress
def deeplift(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """DeepLIFT by its rescale rule: each operation's mean slope between x' and x, in one backward pass.

    That is `attribute(method="secant", n_steps=1)`, for any model of ordinary torch operations, where Captum's needs
    each activation to be a module of its own. Attributions sum to F(x) - F(x'). Unlike IG it depends on how a model is
    written. Operations for which the plain derivative was taken are in `fallbacks`. Shrikumar, Greenside, Kundaje:
    Learning Important Features Through Propagating Activation Differences (2017), section 3.5.1; Ancona, Ceolini,
    Oztireli, Gross: Towards Better Understanding of Gradient-based Attribution Methods (2018), section 2.2.
    """
    result = attribute(
        forward_func,
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        method="secant",
        n_steps=1,
        chunk_size=chunk_size,
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )
    # It has no number of steps that could be given otherwise; what it misses is of `fallbacks`.
    caveats = tuple(text for text in result.caveats if "n_steps" not in text)
    return replace(result, method="deeplift", caveats=caveats)
