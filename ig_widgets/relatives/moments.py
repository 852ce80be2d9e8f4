"""Moments over draws: means, means of squares, variances, and their standard errors."""

from __future__ import annotations

import math
import threading
import time

import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, samples_along
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import Cancelled, NonFiniteError
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import refuse_overflow, unit_of
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Path, Tensors
from ig_widgets.engine.progress import Progress
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.target import TargetLike
from ig_widgets.engine.transfers import sent
from ig_widgets.relatives.caveats import doubts_of
from ig_widgets.relatives.draws import Draws

# Of the maps of the draws, feature by feature.
MEAN, SQUARE, VARIANCE = "mean", "square", "variance"


def attribute_draws(
    draws: Draws,
    forward_func: ForwardFunc,
    *,
    name: str,
    of: str = MEAN,
    is_complete: bool = False,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    is_tuple: bool = False,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The moment `of` the maps of the draws.

    `is_complete`: up to chance, the mean sums to F(x) minus the mean of F(x'); F is then evaluated at each baseline
    that was drawn, unless the run was cancelled before.
    """
    begin = time.perf_counter()
    samples = samples_along(
        draws,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        cancel=cancel,
    )
    nodes = rules.nodes("riemann_middle", draws.count)
    total, done = draws.count * draws.batch, 0
    for block in samples.extend(nodes.alphas, cancel=cancel):
        done += len(block.alphas)
        if on_progress is not None:
            on_progress(done, total)

    def result(complete: bool) -> Attribution:
        made, errors = _moments(samples, of)
        baseline_output = delta = None
        # Of a part of the draws the mean sums to nothing that F at the baselines would confirm.
        if is_complete and complete:
            mean = mean_at_baselines(draws, samples, cancel)
            parts = (
                torch.stack([m.reshape(draws.batch, -1).sum(1, dtype=widest(m.device)) for m in made])
                .sum(0)
                .cpu()
                .double()
            )
            baseline_output, delta = (
                _in_result_dtype(draws, mean),
                _in_result_dtype(draws, parts - (samples.output - mean)),
            )
        return Attribution(
            attributions=like_inputs(draws, made, is_tuple),
            convergence_delta=delta,
            output=_in_result_dtype(draws, samples.output),
            baseline_output=baseline_output,
            method=name,
            n_steps=draws.count,
            evaluations=len(samples.alphas),
            elapsed=time.perf_counter() - begin,
            standard_error=None if errors is None else like_inputs(draws, errors, is_tuple),
            complete=complete,
            caveats=doubts_of(samples),
        )

    try:
        if done == total:
            return result(complete=True)
    except Cancelled:
        pass
    partial = result(complete=False) if len(samples.alphas) else None
    raise Cancelled(f"Cancelled after {done} of {total} gradient evaluations.", partial)


def _moments(samples: Samples, of: str) -> tuple[list[Tensor], list[Tensor] | None]:
    """The moment and its standard error, like the inputs, in float32 at least."""
    alphas, path = samples.alphas.tolist(), samples.path
    n = len(alphas)
    values, errors = [], []
    for example in range(path.batch):
        parts = list(samples.maps(example, alphas, multiply_by_inputs=True))
        if of == VARIANCE:
            # About the mean: E[g^2] - E[g]^2 may come out negative.
            values.append(torch.cat([p.var(0, correction=0) for p in parts]))
            continue
        parts = [p.square() for p in parts] if of == SQUARE else parts
        values.append(torch.cat([p.mean(0) for p in parts]))
        if n > 1:
            errors.append(torch.cat([_deviation(p) for p in parts]) / n**0.5)
    return split(values, path), split(errors, path) if errors else None


def _deviation(maps: Tensor) -> Tensor:
    """The standard deviation of each feature over maps (n, features), whose squares may overflow."""
    units = unit_of(maps.abs().amax(0))
    return (maps / units).std(0) * units


def split(flat: list[Tensor], path: Path) -> list[Tensor]:
    """One flat map for each example, in the shapes of the inputs."""
    sizes = [x[0].numel() for x in path.inputs]
    parts = torch.stack(flat).split(sizes, dim=1)
    return [part.reshape(x.shape) for part, x in zip(parts, path.inputs, strict=True)]


def mean_at_baselines(draws: Draws, samples: Samples, cancel: threading.Event | None = None) -> Tensor:
    """The mean of F over the baselines that were drawn, (batch,) float64 on the CPU.

    Raises Cancelled, and NonFiniteError that says which example's is none.
    """
    origins = draws.origins or ()
    examples = torch.arange(draws.batch, device="cpu").repeat_interleave(draws.count)
    # A baseline that was drawn several times for an example is evaluated once.
    pairs, counts = torch.unique(torch.stack([examples, draws.chosen.reshape(-1)]), dim=1, return_counts=True)

    def points(part: slice) -> tuple[Tensor, ...]:
        return tuple(o.index_select(0, sent(pairs[1, part], o.device)) for o in origins)

    alphas = torch.zeros(len(counts), dtype=torch.float64, device="cpu")
    values = samples.sampler.outputs(points, pairs[0], alphas, cancel)
    for (example, chosen), value in zip(pairs.T.tolist(), values.tolist(), strict=True):
        if not math.isfinite(value):
            raise NonFiniteError(
                f"forward_func's output is {value} at baseline {chosen} (example {example}), from which there is "
                f"nothing to explain; leave it out of baselines, or look at the model there.",
                0.0,
            )
    sums = torch.zeros(draws.batch, dtype=torch.float64, device="cpu").index_add_(0, pairs[0], values * counts)
    return sums / draws.count


def _in_result_dtype(draws: Draws, values: Tensor) -> Tensor:
    dtype = torch.float64 if draws.inputs[0].dtype == torch.float64 else torch.float32
    return values.to(dtype).to(draws.device)


def like_inputs(path: Path, made: list[Tensor], is_tuple: bool) -> Tensors:
    """Cast to the dtypes of the inputs; a tuple, or the only one. Raises NonFiniteError where they do not fit."""
    cast = tuple(m.to(x.dtype) for m, x in zip(made, path.inputs, strict=True))
    refuse_overflow("An attribution, or its standard error,", *cast)
    return cast if is_tuple else cast[0]
