"""Runs: from samples of a path to ever finer attributions, by a rule or to a tolerance."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ig_widgets.bars import Bar
from ig_widgets.engine import rules
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.errors import Cancelled, ConvergenceWarning
from ig_widgets.engine.progress import Progress
from ig_widgets.engine.refinement import Stage, refined, suits
from ig_widgets.engine.requested_rule import Rule
from ig_widgets.engine.result import Attribution, make_attribution
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.verdict import not_converged

# So many points of each path give the first item of `refine`.
_FIRST_POINTS = 3


def run(
    samples: Samples,
    rule: Rule,
    finish: Finish,
    progressive: bool,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Iterator[Attribution]:
    """Sample by `rule`, and yield what `finish` makes of it: every stage if `progressive`, else the last alone."""
    if rule.n_steps is None:
        stages = refined(
            samples,
            method=rule.method,
            tol=rule.tol,
            most=rule.most,
            multiply_by_inputs=finish.multiply_by_inputs,
            cancel=cancel,
            on_progress=on_progress,
        )
        return _by_tolerance(stages, finish, progressive, on_progress)
    return _by_rule(samples, rule, rule.n_steps, finish, progressive, on_progress, cancel)


def _by_rule(
    samples: Samples,
    rule: Rule,
    n_steps: int,
    finish: Finish,
    progressive: bool,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Iterator[Attribution]:
    method, reason = rule.method, ""
    if method == rules.AUTO:
        method, reason = suits(samples, n_steps, cancel)
    if method == rules.SECANT:
        nodes = rules.nodes(method, n_steps)
        cells = CellSamples(samples.sampler, samples.path, nodes, like=samples)
        try:
            yield from _by_steps(cells, nodes, method, reason, finish, progressive, on_progress, cancel)
            return
        except SecantRuleError as error:
            # As many evaluations, where cells are.
            method = "gausslegendre" if rule.method == rules.AUTO else "riemann_middle"
            reason = f"{method}: {'; '.join(filter(None, (reason.partition(': ')[2], str(error))))}"
    nodes = rules.nodes(method, n_steps)
    yield from _by_steps(samples, nodes, method, reason, finish, progressive, on_progress, cancel)


@dataclass(frozen=True)
class Finish:
    """What makes an attribution of samples."""

    begin: float
    multiply_by_inputs: bool
    is_tuple: bool
    masks: tuple[Tensor, ...] | None

    def __call__(self, samples: Samples, nodes: rules.Nodes | Sequence[rules.Nodes], **further: Any) -> Attribution:
        """The attribution; `further` as for `make_attribution`."""
        return make_attribution(
            samples,
            nodes,
            elapsed=time.perf_counter() - self.begin,
            multiply_by_inputs=self.multiply_by_inputs,
            is_tuple=self.is_tuple,
            masks=self.masks,
            **further,
        )


def _by_tolerance(
    stages: Iterator[Stage], finish: Finish, progressive: bool, on_progress: Progress | None
) -> Iterator[Attribution]:
    def made(stage: Stage) -> Attribution:
        return finish(
            stage.samples,
            stage.nodes,
            method=stage.method,
            evaluations=stage.evaluations,
            errors=stage.errors,
            verdict=stage.verdict,
            reason=stage.reason,
            complete=stage.is_last,
        )

    stage = None
    for stage in stages:
        if isinstance(on_progress, Bar) and stage.errors is not None:
            on_progress.found(float(stage.errors.max()))
        if stage.is_last and not stage.converged and not stage.samples.sampler.nondeterminism:
            text = not_converged(stage.verdict, stage.errors, stage.evaluations)
            _warn(text)
        if progressive or stage.is_last:
            yield made(stage)
    if stage is None or not stage.is_last:
        spent = 0 if stage is None else stage.evaluations
        partial = None if stage is None else made(stage)
        raise Cancelled(f"Cancelled after {spent} gradient evaluations per example.", partial)


def _warn(text: str) -> None:
    """Warn at the line that called this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ig_widgets."):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, ConvergenceWarning, stacklevel=level)


def _by_steps(
    samples: Samples,
    nodes: rules.Nodes,
    method: str,
    reason: str,
    finish: Finish,
    progressive: bool,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Iterator[Attribution]:
    n_steps = len(nodes.alphas)
    levels = rules.visits(method, n_steps, progressive=progressive)
    batch = samples.path.batch
    total, done = n_steps * batch, 0
    milestones = np.cumsum([len(level) for level in levels[:-1]]) * batch if progressive else np.array([])
    first = min(_FIRST_POINTS * batch, total) if progressive else None
    # Cells are taken example by example, so that neighbours meet; each level for all examples.
    parts = levels if method == rules.SECANT else [np.concatenate(levels)]
    blocks = (b for part in parts for b in samples.extend(nodes.alphas[part], first=first, cancel=cancel))
    for block in blocks:
        before, done = done, done + len(block.alphas)
        if on_progress is not None:
            on_progress(done, total)
        if done < total and ((before < milestones) & (milestones <= done)).any():
            yield finish(samples, samples.so_far(), method=method, n_steps=n_steps, reason=reason, complete=False)
    if done < total:
        partial = None
        if len(samples.alphas):
            partial = finish(samples, samples.so_far(), method=method, n_steps=n_steps, reason=reason, complete=False)
        raise Cancelled(f"Cancelled after {done} of {total} gradient evaluations.", partial)
    yield finish(samples, nodes, method=method, n_steps=n_steps, reason=reason)
