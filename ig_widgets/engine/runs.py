"""Runs: from checked arguments to samples, and from samples to ever finer attributions."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.bars import Bar
from ig_widgets.engine import rules
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.diagnosis import SHAPE_ERRORS, raise_clearer
from ig_widgets.engine.errors import ArgumentValueError, Cancelled, ConvergenceWarning, IGError
from ig_widgets.engine.integers import refuse_integers
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.layers import from_layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, ScalarFunction, check_chunk_size, refuse_training_mode
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, Tensors, make_path
from ig_widgets.engine.reduction import Reduce, make_reduction
from ig_widgets.engine.refinement import Stage, check_max_evaluations, check_tol, refined, suits
from ig_widgets.engine.result import Attribution, make_attribution
from ig_widgets.engine.sampling import Progress, Sampler
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.target import TargetLike, make_target
from ig_widgets.engine.trace import Arrange, CellSamples, Samples
from ig_widgets.engine.unfit import refuse_unfit
from ig_widgets.engine.verdict import not_converged

# So many points of each path give the first item of `refine`.
_FIRST_POINTS = 3


@dataclass(frozen=True)
class Rule:
    """A method, and how many points of it, or to which tolerance."""

    method: str
    n_steps: int | None
    tol: float
    most: int


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
        if stage.is_last and not stage.converged and not stage.samples.sampler.doubt:
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


def make_samples(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    layer: Layer | None = None,
    reduce: Reduce = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    known_output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """Check the arguments, evaluate both ends, and return an empty collection of samples to extend.

    For callers who want to change rule or steps and keep what was sampled. `layer` is that of `attribute`: samples are
    then like what the layer gives, batch first, each of its calls apart; `make_attribution` adds calls up.
    `reduce`: a linear function (rows, ...) -> (rows, *shape) that keeps rows apart. It is given the product of gradient
    and x - x' of each sample as soon as it is there, and what it returns is all that is kept, so that maps, errors and
    attributions are those of the reduced map; of tokens (rows, tokens, dimensions), say, `lambda t: t.sum(-1)`. One for
    all inputs (or all that the layer gives), or a tuple of one for each, None for what stays whole. It is given tensors
    of at least float32, batch first, and must stay on their device. Sums, means, choices and products with constants
    are linear; norms, absolute values and maxima are refused. `guard` and `chunks` are
    those of `Sampler`; `known_output` (batch,) is F(x), if it is known already; `cells` are those
    of the secant rule, which is then what samples them; `cancel`: when set while both ends are evaluated, Cancelled is
    raised. Raises as `attribute` does, and ArgumentTypeError or ArgumentValueError where `reduce` cannot work.
    """
    further: tuple[object, ForwardKwargs, Output] = additional_forward_args, forward_kwargs, output
    arrange: Arrange | None = None
    if layer is None:
        refuse_integers(forward_func, inputs)
        path = make_path(inputs, baselines)
    else:
        refuse_unfit(forward_func)
        inside = from_layer(forward_func, layer, inputs, baselines, *further, target=target, cancel=cancel)
        forward_func, path = inside.function, make_path(inside.inputs, inside.baselines)
        further = inside.arguments, inside.keywords, None
        reduce, arrange = inside.for_each(reduce), inside.as_held if reduce is None else inside.added_up
    return samples_along(
        path,
        forward_func,
        target=target,
        additional_forward_args=further[0],
        forward_kwargs=further[1],
        output=further[2],
        chunk_size=chunk_size,
        reduce=reduce,
        precision=precision,
        guard=guard,
        chunks=chunks,
        known_output=known_output,
        cells=cells,
        arrange=arrange,
        cancel=cancel,
    )


def samples_along(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    known_output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    freezes: bool = True,
    reduce: Reduce = None,
    arrange: Arrange | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """As `make_samples`, along any path; `freezes` is that of `Sampler`, `arrange` that of `Samples`."""
    refuse_unfit(forward_func)
    reduction = make_reduction(reduce, path.inputs)
    function = ScalarFunction(
        forward_func,
        make_target(target, path.batch),
        additional_forward_args,
        path.batch,
        forward_kwargs=forward_kwargs,
        output=output,
    )
    refuse_training_mode((forward_func, output))
    sampler = Sampler(
        function,
        path,
        chunk_size=check_chunk_size(chunk_size),
        preview=precision == "preview",
        guard=guard,
        chunks=chunks,
        freezes=freezes,
        reduction=reduction,
    )

    def evaluated() -> Samples:
        if cells is None:
            return Samples(sampler, path, known_output, arrange=arrange, cancel=cancel)
        return CellSamples(sampler, path, cells, known_output, arrange=arrange, cancel=cancel)

    try:
        return evaluated()
    except (IGError, MemoryError, torch.OutOfMemoryError) as error:
        raise_clearer(error, function, path)
        raise
    except Exception as error:
        # Some models take one row at a time; of a batch of one it is clear what is meant.
        if path.batch == 1 and not function.one_by_one and isinstance(error, SHAPE_ERRORS):
            function.one_by_one = True
            try:
                return evaluated()
            except Exception:  # noqa: BLE001  (what the model said first is what matters)
                function.one_by_one = False
        raise_clearer(error, function, path)
        raise


def check_rule(method: object, n_steps: object, tol: object, max_evaluations: object, precision: object) -> Rule:
    """The rule that is asked for. Raises ArgumentTypeError, ArgumentValueError."""
    checked = method if method in (rules.AUTO, rules.ADAPTIVE) else rules.check_method(method)
    count = None if n_steps is None else rules.check_n_steps(n_steps)
    if checked == rules.ADAPTIVE and count is not None:
        raise ArgumentValueError(
            f"method='adaptive' samples to a tolerance, not n_steps={count} points; leave n_steps out, or give one of "
            f"{', '.join(rules.METHODS)}."
        )
    tolerance, most = check_tol(tol), check_max_evaluations(max_evaluations)
    return Rule(_check_precision(precision, checked, count), count, tolerance, most)


def _check_precision(precision: object, method: str, n_steps: int | None) -> str:
    """The method, with auto settled for a preview, which leaves the point rules."""
    if precision not in ("full", "preview"):
        raise ArgumentValueError(f"precision must be 'full' or 'preview', got {precision!r}.")
    if precision == "full":
        return method
    if method == rules.SECANT:
        raise ArgumentValueError(
            "precision='preview' has too few digits for the secant rule, which divides differences; give a point rule "
            "as method, or precision='full'."
        )
    settled = rules.FEJER if n_steps is None else "gausslegendre"
    return settled if method == rules.AUTO else method
