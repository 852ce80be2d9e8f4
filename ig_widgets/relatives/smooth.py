"""IG averaged over noise on the input."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, wide
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.relatives.caveats import caveats_of, unattributed_of
from ig_widgets.relatives.gradients import noisy
from ig_widgets.relatives.layer import of_layer
from ig_widgets.relatives.moments import like_inputs


@with_progress
@of_layer()
def smooth_integrated_gradients(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,  # noqa: ARG001  (of_layer)
    sigma: float = 0.15,
    n_samples: int = 10,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    seed: int = 0,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """The mean of IG over `n_samples` inputs under Gaussian noise, from the same baseline: SmoothGrad on top of IG.

    `sigma` and `seed` as for `smoothgrad`; `method`, `n_steps`, `tol`, `max_evaluations` are those of `attribute`, for
    each noisy input. `output` is the mean of F over the noisy inputs, so that the sum of attributions is
    output - baseline_output to within `convergence_delta`; `error_estimate` the root mean square of theirs, an upper
    bound for that of the mean. `standard_error` says how far chance moves each feature. Smilkov, Thorat, Kim, Viegas,
    Wattenberg: SmoothGrad (2017), section 3.4 on combining it with IG.
    """
    tell = progress_of(on_progress)
    begin = time.perf_counter()
    draws = noisy(inputs, sigma, n_samples, seed)
    everyone, is_tuple = torch.arange(draws.batch, device="cpu"), isinstance(inputs, tuple | list)
    one_baseline = baselines(inputs) if callable(baselines) and not isinstance(baselines, Tensor) else baselines
    running, spent, results = _Running(), 0, list[Attribution]()

    def mean(complete: bool) -> Attribution:
        each: Any = results
        return Attribution(
            attributions=like_inputs(draws, running.mean, is_tuple),
            convergence_delta=torch.stack([r.convergence_delta for r in each]).mean(0),
            output=torch.stack([r.output for r in each]).mean(0),
            baseline_output=torch.stack([r.baseline_output for r in each]).mean(0),
            method="smooth_integrated_gradients",
            n_steps=max(r.n_steps for r in each),
            evaluations=spent,
            elapsed=time.perf_counter() - begin,
            error_estimate=None if n_steps else torch.stack([r.error_estimate for r in each]).square().mean(0).sqrt(),
            converged=None if n_steps else all(r.converged for r in each),
            fallbacks=tuple(sorted({name for r in each for name in r.fallbacks})),
            standard_error=like_inputs(draws, running.standard_error, is_tuple) if running.count > 1 else None,
            complete=complete,
            reason=each[0].reason,
            caveats=caveats_of(each),
            unattributed=unattributed_of(each),
        )

    for k in range(draws.count):
        points = draws.points(
            everyone, torch.full((draws.batch,), (k + 0.5) / draws.count, dtype=torch.float64, device="cpu")
        )

        def progress(done: int, total: int, k: int = k) -> None:
            if tell is not None:
                tell(k * total + done, draws.count * total)

        try:
            one = attribute(
                forward_func,
                points if is_tuple else points[0],
                baselines=one_baseline,
                target=target,
                additional_forward_args=additional_forward_args,
                forward_kwargs=forward_kwargs,
                output=output,
                method=method,
                n_steps=n_steps,
                tol=tol,
                max_evaluations=max_evaluations,
                chunk_size=chunk_size,
                on_progress=progress,
                cancel=cancel,
            )
        except Cancelled as cancelled:
            raise Cancelled(str(cancelled), mean(False) if results else None) from None
        running.add(one.attributions if isinstance(one.attributions, tuple) else (one.attributions,))
        spent += one.evaluations
        # What was sampled is let go: of n_samples paths it would fill memory.
        results.append(replace(one, attributions=(), path=None))
    return mean(True)


class _Running:
    """Mean and variance as values come. Welford: Note on a Method for Calculating Corrected Sums of Squares (1962)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: list[Tensor] = []
        self._squares: list[Tensor] = []

    def add(self, values: tuple[Tensor, ...]) -> None:
        """Take up one more value."""
        given = [wide(v) for v in values]
        if not self.count:
            self.mean, self._squares = ([torch.zeros_like(v) for v in given] for _ in range(2))
        self.count += 1
        for mean, squares, value in zip(self.mean, self._squares, given, strict=True):
            before = value - mean
            mean.add_(before / self.count)
            squares.add_(before * (value - mean))

    @property
    def standard_error(self) -> list[Tensor]:
        """The standard error of the mean."""
        return [(s / (self.count - 1) / self.count).sqrt() for s in self._squares]
