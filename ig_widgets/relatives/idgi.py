"""Important Direction Gradient Integration: the change of F in each step, shared out along the gradient."""

from __future__ import annotations

import threading
import time
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_samples
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.target import TargetLike
from ig_widgets.relatives.caveats import doubts_of
from ig_widgets.relatives.draws import check_count
from ig_widgets.relatives.layer import of_layer
from ig_widgets.relatives.moments import like_inputs, split


@with_progress
@of_layer()
def idgi(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    n_steps: int = 100,
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The change of F in each of `n_steps` equal steps from x' to x, shared out by the squares of the gradient there.

    Of a step from x_j the feature i is given g_i^2 / |g|^2 (F(x_{j+1}) - F(x_j)), g the gradient at x_j: what the step
    does across the gradient, which changes F little, is left out. The sum is F(x) - F(x') by construction, but for
    steps whose gradient is zero everywhere; a delta of 0 therefore says nothing of the map. It is neither linear in F
    nor a path method. Yang, Wang, Bilgic: IDGI: A Framework to Eliminate Explanation Noise from Integrated Gradients
    (2023), section 4, algorithm 1. Raises as `attribute`, and for `n_steps`.
    """
    tell = progress_of(on_progress)
    begin = time.perf_counter()
    nodes = rules.nodes("riemann_left", check_count("n_steps", n_steps))
    samples = make_samples(
        forward_func,
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        cancel=cancel,
    )
    is_tuple = isinstance(inputs, tuple | list)
    total, done = n_steps * samples.path.batch, 0
    for block in samples.extend(nodes.alphas, cancel=cancel):
        done += len(block.alphas)
        if tell is not None:
            tell(done, total)
    if done < total:
        # Steps that were not taken cannot be shared out: there is no partial result.
        raise Cancelled(f"Cancelled after {done} of {total} gradient evaluations.", None)
    flat = shared_out(samples, nodes)
    path = samples.path
    dtype = torch.float64 if path.inputs[0].dtype == torch.float64 else torch.float32
    at_input, at_baseline = (v.to(dtype).to(path.device) for v in (samples.output, samples.baseline_output))
    sums = torch.stack([f.sum(dtype=widest(f.device)) for f in flat]).cpu().double()
    return Attribution(
        attributions=like_inputs(path, split(flat, path), is_tuple),
        convergence_delta=(sums - (samples.output - samples.baseline_output)).to(dtype).to(path.device),
        output=at_input,
        baseline_output=at_baseline,
        method="idgi",
        n_steps=n_steps,
        evaluations=n_steps,
        elapsed=time.perf_counter() - begin,
        caveats=doubts_of(samples),
    )


def shared_out(samples: Samples, nodes: rules.Nodes) -> list[Tensor]:
    """The map of each example, flat; all of `nodes` have been sampled."""
    trace, alphas = samples.trace(nodes), nodes.alphas.tolist()
    made = []
    for example in range(samples.path.batch):
        gains = trace.outputs[example].diff()

        def gradients(example: int = example) -> Any:
            return samples.maps(example, alphas, multiply_by_inputs=False)

        units = unit_of(torch.stack([g.abs().amax(1) for g in gradients()]).amax(0))[:, None]

        def squares(units: Tensor = units) -> Any:
            return ((g / units).square() for g in gradients())

        norms = torch.stack([part.sum(1, dtype=widest(part.device)) for part in squares()]).sum(0)
        weights = torch.where(norms > 0, gains.to(norms.device, norms.dtype) / norms, 0.0)
        made.append(torch.cat([(weights.to(part.dtype) @ part) for part in squares()]))
    return made
