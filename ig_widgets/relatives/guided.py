"""Guided IG: a path that moves the features with the smallest gradient first."""

from __future__ import annotations

import math
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute_along, samples_along
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, Cancelled
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, CurvedPath, Path, Tensors, along, make_path, wide
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.engine.transfers import sent
from ig_widgets.relatives.draws import check_count
from ig_widgets.relatives.layer import of_layer


@with_progress
@of_layer()
def guided_integrated_gradients(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    n_knots: int = 100,
    fraction: float = 0.25,
    max_dist: float = 0.02,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """IG along a path that moves at each step the features with the smallest gradient first.

    So it keeps out of regions where the gradient is large for other reasons than the features that are moved. The path
    is found in `n_knots` steps of equal length (L1), with a gradient evaluation each: at each one the `fraction` of
    features with the smallest |gradient| moves on, none farther than `max_dist` (of its own way) from where the
    straight line is. It is straight between knots, and then sampled as any path: `method`, `n_steps`, `tol`,
    `max_evaluations` are those of `attribute`. `method="riemann_left", n_steps=n_knots` is the sum of the paper; other
    rules add up to F(x) - F(x') more closely. `evaluations` counts both. The path depends on the model, so that
    linearity in F is lost.
    Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi: Guided Integrated Gradients (2021), section 4, algorithm 1.
    Raises as `attribute`, and ArgumentTypeError, ArgumentValueError for `n_knots`, `fraction`, `max_dist`.
    """
    tell = progress_of(on_progress)
    straight = make_path(inputs, baselines)
    knots = check_count("n_knots", n_knots)
    searched = knots * straight.batch

    def searching(done: int, total: int) -> None:
        if tell is not None:
            tell(done, total + (n_steps or 0) * straight.batch)

    def sampling(done: int, total: int) -> None:
        if tell is not None:
            tell(searched + done, searched + total)

    path = guided_path(
        straight,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        n_knots=knots,
        fraction=fraction,
        max_dist=max_dist,
        chunk_size=chunk_size,
        on_progress=searching,
        cancel=cancel,
    )
    result = attribute_along(
        path,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        method=method,
        n_steps=n_steps,
        tol=tol,
        max_evaluations=max_evaluations,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=sampling,
        cancel=cancel,
    )
    return replace(result, method=f"guided path, {result.method}", evaluations=result.evaluations + knots)


@with_progress
def guided_path(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    n_knots: int,
    fraction: float = 0.25,
    max_dist: float = 0.02,
    chunk_size: int | None = None,
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> GuidedPath:
    """The path of `guided_integrated_gradients` between the ends of a straight one. Raises as that, and Cancelled."""
    tell = progress_of(on_progress)
    share = _check_share("fraction", fraction)
    far = _check_share("max_dist", max_dist)
    search = _Search(path.inputs, path.baselines, [path.baselines])
    sampler = samples_along(
        search,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
        guard=guard,
        chunks=chunks,
        cancel=cancel,
    ).sampler
    fronts = [_Front(path, example, share, far) for example in range(path.batch)]
    everyone, steps = torch.arange(path.batch, device="cpu"), [path.baselines]
    for step in range(n_knots):
        alphas = torch.full((path.batch,), step / n_knots, dtype=torch.float64, device="cpu")
        blocks = list(sampler.sample(everyone, alphas, cancel=cancel))
        if sum(len(block.alphas) for block in blocks) < path.batch:
            raise Cancelled(f"Cancelled after {step} of {n_knots} steps of the search for the path.", None)
        gradients = [torch.cat(parts) for parts in zip(*(block.gradients for block in blocks), strict=True)]
        for example, front in enumerate(fronts):
            front.move([g[example] for g in gradients], (step + 1) / n_knots)
        last = step + 1 == n_knots
        steps.append(path.inputs if last else _unflattened([front.point() for front in fronts], path))
        search.here[0] = steps[-1]
        if tell is not None:
            tell((step + 1) * path.batch, n_knots * path.batch)
    knots = tuple(torch.stack(part, dim=1) for part in zip(*steps, strict=True))
    return GuidedPath(path.inputs, path.baselines, knots)


@dataclass(frozen=True, eq=False)
class GuidedPath(CurvedPath):
    """Straight between `knots`: for each input (batch, knots, ...), at alphas that are equally far apart."""

    knots: tuple[Tensor, ...]

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The points at `alphas`."""
        _, within = self._segments(alphas)
        found = []
        for x, (start, end) in zip(self.inputs, self._ends(examples, alphas), strict=True):
            found.append(torch.lerp(wide(start), wide(end), along(within, x)).to(x.dtype))
        return tuple(found)

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The derivative of the points with respect to alpha; at a knot that of the piece after it."""
        count = self.knots[0].shape[1] - 1
        return tuple((wide(end) - wide(start)) * count for start, end in self._ends(examples, alphas))

    def _segments(self, alphas: Tensor) -> tuple[Tensor, Tensor]:
        count = self.knots[0].shape[1] - 1
        # step / count * count may come out just below step.
        number = (alphas * count + 1e-9).long().clamp(0, count - 1)
        return number, (alphas * count - number).clamp(0, 1)

    def _ends(self, examples: Tensor, alphas: Tensor) -> list[tuple[Tensor, Tensor]]:
        number, _ = self._segments(alphas)
        return [(k[examples, number], k[examples, number + 1]) for k in self.knots]


@dataclass(frozen=True, eq=False)
class _Search(CurvedPath):
    """The current point of the search as a path: `here` holds (batch, ...) for each input, whatever alpha is."""

    here: list[tuple[Tensor, ...]]

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        return tuple(z.index_select(0, sent(examples, z.device)) for z in self.here[0])

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        return tuple(torch.ones((), dtype=wide(z).dtype, device=z.device) for z in self.here[0])


class _Front:
    """The share of its way that each feature of one example has moved, from 0 at the baseline to 1 at the input."""

    def __init__(self, path: Path, example: int, fraction: float, max_dist: float) -> None:
        self._start = torch.cat([wide(b[example]).reshape(-1) for b in path.baselines])
        self._way = torch.cat([wide(x[example]).reshape(-1) for x in path.inputs]) - self._start
        self._lengths = self._way.abs().to(widest(self._way.device))
        self._total = float(self._lengths.sum())
        self._fraction, self._max_dist = fraction, max_dist
        # Features that are equal at both ends count as moved.
        self._moved = (self._way == 0).to(self._lengths.dtype)

    def point(self) -> Tensor:
        """The current point, flat."""
        return self._start + self._moved.to(self._way.dtype) * self._way

    def move(self, gradients: list[Tensor], alpha: float) -> None:
        """Move features, those with the smallest gradients first, until `alpha` of the L1 distance is covered."""
        sizes = torch.cat([g.reshape(-1) for g in gradients]).abs().to(self._lengths.dtype)
        # No feature may lag or lead by more than `max_dist`, or the path would run along the edges of the box.
        least, most = max(alpha - self._max_dist, 0.0), min(alpha + self._max_dist, 1.0)
        self._moved = self._moved.clamp(min=least)
        while True:
            ahead = self._lengths * (1 - self._moved)
            excess = float(ahead.sum()) - self._total * (1 - alpha)
            free = self._moved < most
            if excess <= 1e-9 * self._total or not bool(free.any()):
                return
            # Those that may not move further are out of the ranking, of which a fraction moves.
            ranked = torch.where(free, sizes, math.inf)
            lowest = ranked.kthvalue(1 + int(self._fraction * (len(ranked) - 1))).values
            chosen = free & (ranked <= lowest)
            room = float((self._lengths * (most - self._moved))[chosen].sum())
            # The last group stops where the distance is covered, all by the same share of their room.
            if room > excess:
                self._moved[chosen] += excess / room * (most - self._moved[chosen])
                return
            self._moved[chosen] = most


def _unflattened(points: list[Tensor], path: Path) -> tuple[Tensor, ...]:
    """Flat points of all examples, like the inputs."""
    sizes = [x[0].numel() for x in path.inputs]
    parts = torch.stack(points).split(sizes, dim=1)
    return tuple(part.reshape(x.shape).to(x.dtype) for part, x in zip(parts, path.inputs, strict=True))


def _check_share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r} ({type(value).__name__}).")
    if not 0 < value <= 1:
        raise ArgumentValueError(f"{name} is a share and must lie above 0 and up to 1, got {value}.")
    return float(value)
