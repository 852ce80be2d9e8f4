"""Integrated Gradients of a model: `attribute`, `refine`, and the result."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentValueError, Cancelled, ConvergenceWarning
from ig_widgets.engine.groups import FeatureMask, check_feature_mask, group_sums
from ig_widgets.engine.layers import Layer, from_layer
from ig_widgets.engine.model import ForwardFunc, ScalarFunction, check_chunk_size, refuse_training_mode
from ig_widgets.engine.norms import refuse_overflow
from ig_widgets.engine.path import Baselines, Path, Tensors, make_path
from ig_widgets.engine.refinement import Stage, check_max_evaluations, check_tol, refined, suits
from ig_widgets.engine.sampling import Progress, Sampler
from ig_widgets.engine.target import TargetLike, make_target
from ig_widgets.engine.trace import CellSamples, PathTrace, Samples
from ig_widgets.engine.verdict import Verdict, caveats, not_converged
from ig_widgets.engine.wording import counted
from ig_widgets.tables import html_table

# So many points of each path give the first item of `refine`.
_FIRST_POINTS = 3


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each input feature contributed to F(x) - F(x'), in the units of F.

    `attributions`: like `inputs`, or what `layer` gives (a tensor, or a tuple), detached, of their dtype and device.
    What follows may be None where a relative of IG (igw.relatives) has no baseline, no path or is not complete.
    `group_attributions`: (batch, groups), their sums by `feature_mask`, or None. `convergence_delta`, `output` F(x),
    `baseline_output` F(x'): (batch,), on the device of the inputs, in at least float32; the delta is the sum of
    attributions - (F(x) - F(x')). `error_estimate`: (batch,), the estimated relative L2 error of the attributions (1
    where these are zeros that are not settled), or None where n_steps was given. `converged`: whether all of these are
    within `tol`, and nothing that was seen contradicts it, or None. `caveats`: sentences that a person should know
    before using the map. `unattributed`: (batch,), what of F(x) - F(x') no gradient carries because F jumps, 0 where it
    does not; None where jumps were not looked for. `method`, `n_steps` (points or cells in use), `evaluations`
    (gradient evaluations, the most of any example), `elapsed` (seconds): what was done, and `reason`, why so.
    `fallbacks`: operations for which a plain derivative was taken where the method has a better one. `path`: the
    samples. `complete`: False for an early or a cancelled one; with n_steps it weighs what was sampled by the piece of
    the path nearest to it. `standard_error`: like `attributions`, where these are a mean over draws.
    """

    attributions: Tensors
    convergence_delta: Tensor | None
    output: Tensor
    baseline_output: Tensor | None
    method: str
    n_steps: int
    evaluations: int
    elapsed: float
    path: PathTrace | None = field(default=None, repr=False)
    group_attributions: Tensor | None = None
    error_estimate: Tensor | None = None
    fallbacks: tuple[str, ...] = ()
    complete: bool = True
    converged: bool | None = None
    reason: str = ""
    standard_error: Tensors | None = field(default=None, repr=False)
    caveats: tuple[str, ...] = ()
    unattributed: Tensor | None = None

    def __repr__(self) -> str:
        deltas = self.convergence_delta
        delta = "" if deltas is None else f", delta {float(deltas[deltas.abs().argmax()]):.2g}"
        partial = "" if self.complete else " so far" if self.converged is not None else f" on the way to {self.n_steps}"
        error = "" if self.error_estimate is None else f", error {float(self.error_estimate.max()):.2g}"
        missed = ", not converged" if self.complete and self.converged is False else ""
        evaluations = counted(self.evaluations, "evaluation")
        noted = f", {counted(len(self.caveats), 'caveat')}" if self.caveats else ""
        return f"Attribution({self.method}, {evaluations}{partial}{error}{missed}{delta}{noted})"

    def _repr_html_(self) -> str:
        """A table of what was done and found, and the caveats, for a notebook."""
        found = {
            "method": self.method,
            "evaluations": str(self.evaluations) + ("" if self.complete else ", not complete"),
            "relative error": _largest(self.error_estimate),
            "converged": "" if self.converged is None else "yes" if self.converged else "no",
            "F(x)": _several(self.output),
            "F(x')": _several(self.baseline_output),
            "convergence delta": _largest(self.convergence_delta),
            "unattributed": _largest(self.unattributed)
            if self.unattributed is not None and self.unattributed.any()
            else "",
            **{f"caveat {i}": text for i, text in enumerate(self.caveats, 1)},
        }
        return html_table(("Attribution", ""), [(name, value) for name, value in found.items() if value], widest=1000)


def _largest(values: Tensor | None) -> str:
    """The value that is farthest from zero."""
    return "" if values is None else f"{float(values[values.abs().argmax()]):.2g}"


def _several(values: Tensor | None) -> str:
    """The value of one example; of several, from the least to the largest."""
    if values is None:
        return ""
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if len(values) == 1 else f"{low:.4g} to {high:.4g}"


def attribute(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    precision: str = "full",
    multiply_by_inputs: bool = True,
    layer: Layer | None = None,
    feature_mask: FeatureMask = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """Integrated Gradients along the straight line from `baselines` to `inputs`.

    Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks (2017), sections 3 and 5.

    Args:
        forward_func: a module or callable, given the inputs (rows, ...) and `additional_forward_args`; it returns one
            row for each row of the inputs. It is left as it was found.
        inputs: a tensor (batch, ...) or a tuple of such, of a floating dtype, on any device.
        baselines: where the path starts, for each input: None (zeros), a number, a tensor that broadcasts to the
            input, or for all a callable that is given `inputs` and returns these.
        target: which position of an output row is F: an int or a tuple of ints for all examples, a list of either or
            a 1-D integer tensor for each; None where F is one number a row already.
        additional_forward_args: one value or a tuple. Tensors whose first dimension is the batch follow their example
            along the path; all else is passed as it is.
        method: the quadrature rule, one of riemann_left, riemann_right, riemann_middle, riemann_trapezoid,
            gausslegendre, fejer; or secant, which takes the mean slope of each operation over cells of the path, so
            that attributions sum to F(x) - F(x') for any n_steps. At finite n_steps that depends, like DeepLIFT, on how
            the model is written; its limit, IG, does not. auto looks at both ends of the path: secant where kinks
            (ReLU, max) lie between, else gausslegendre for given n_steps, or adaptive: points where the gradient
            changes, for a tolerance only; where either could do, which of them does. `reason` tells.
        n_steps: points of the rule, that is gradient evaluations per example; secant: cells. None: as many as `tol`
            needs.
        tol: the relative L2 error of each example's attributions at which to stop, as it is estimated while sampling.
        max_evaluations: where to stop at the latest, in gradient evaluations per example. `tol` and this count for
            n_steps=None only.
        chunk_size: rows in the model at a time; None finds it by trying, and fits memory.
        precision: full, or preview: gradients by autocast to bfloat16, half the memory and quicker where the device
            has it; a map changes by about 1%. For point rules only: the secant rule divides differences, of which
            bfloat16 leaves little.
        multiply_by_inputs: False leaves out the factor (x - x'): the mean gradient on the path.
        on_progress: called with (done, total) gradient evaluations, over all examples.
        cancel: when set, the run stops after the chunk in hand.
        layer: a module inside the model, or a list of such: what it gives is attributed to, in place of the inputs, on
            the straight line between what it gives at both ends. Inputs may then be integers (token ids, with `layer`
            the embedding).
        feature_mask: for each input (with `layer`: each tensor that it gives) the group, from 0, of each feature, a
            tensor of integers that broadcasts to it; `group_attributions` are the sums over the groups.

    Raises:
        ArgumentValueError, ArgumentTypeError: an argument cannot work.
        OutputError, NotDifferentiableError, TrainingModeError, NonFiniteError: the model cannot be explained so. Where
            F does not depend on the inputs through any operation, that is NotDifferentiableError; where its gradient
            is zero, attributions are zeros.
        OutOfMemoryError: not even one row fits.
        Cancelled: `cancel` was set; it carries the finest result so far.
        Whatever the model itself raises, with a note that names alpha.
    """
    *_, last = _items(
        forward_func,
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        method=method,
        n_steps=n_steps,
        tol=tol,
        max_evaluations=max_evaluations,
        chunk_size=chunk_size,
        precision=precision,
        multiply_by_inputs=multiply_by_inputs,
        layer=layer,
        feature_mask=feature_mask,
        on_progress=on_progress,
        cancel=cancel,
        progressive=False,
    )
    return last


def refine(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    precision: str = "full",
    multiply_by_inputs: bool = True,
    layer: Layer | None = None,
    feature_mask: FeatureMask = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[Attribution]:
    """As `attribute`, yielding ever finer results, the last of which is what `attribute` returns.

    With n_steps the points are visited coarse to fine; an early item weighs each by the piece of the path nearest to
    it. Without, each item is the result of a round of sampling, with an estimate of its own error.
    Arguments are checked, and both ends of the path evaluated, at the call; the rest as items are asked for.
    """
    return _items(
        forward_func,
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        method=method,
        n_steps=n_steps,
        tol=tol,
        max_evaluations=max_evaluations,
        chunk_size=chunk_size,
        precision=precision,
        multiply_by_inputs=multiply_by_inputs,
        layer=layer,
        feature_mask=feature_mask,
        on_progress=on_progress,
        cancel=cancel,
        progressive=True,
    )


def _items(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines,
    target: TargetLike,
    additional_forward_args: object,
    method: str,
    n_steps: int | None,
    tol: float,
    max_evaluations: int,
    chunk_size: int | None,
    precision: str,
    multiply_by_inputs: bool,
    layer: Layer | None,
    feature_mask: FeatureMask,
    on_progress: Progress | None,
    cancel: threading.Event | None,
    progressive: bool,
) -> Iterator[Attribution]:
    begin = time.perf_counter()
    rule = _check_rule(method, n_steps, tol, max_evaluations, precision)
    is_tuple = isinstance(inputs, tuple | list)
    if layer is not None:
        inside = from_layer(forward_func, layer, inputs, baselines, additional_forward_args, cancel)
        forward_func, inputs, baselines, additional_forward_args = inside
        is_tuple = len(inputs) > 1
    samples = make_samples(
        forward_func,
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        chunk_size=chunk_size,
        precision=precision,
        cancel=cancel,
    )
    finish = _Finish(begin, multiply_by_inputs, is_tuple, check_feature_mask(feature_mask, samples.path.inputs))
    return _run(samples, rule, finish, progressive, on_progress, cancel)


def attribute_along(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    is_tuple: bool = False,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """As `attribute`, along another path than the straight line; `is_tuple`: give a tuple for a single input too."""
    begin = time.perf_counter()
    rule = _check_rule(method, n_steps, tol, max_evaluations, "full")
    samples = samples_along(
        path,
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        chunk_size=chunk_size,
        cancel=cancel,
    )
    finish = _Finish(begin, multiply_by_inputs=True, is_tuple=is_tuple or len(path.inputs) > 1, masks=None)
    *_, last = _run(samples, rule, finish, False, on_progress, cancel)
    return last


@dataclass(frozen=True)
class _Rule:
    """A method, and how many points of it, or to which tolerance."""

    method: str
    n_steps: int | None
    tol: float
    most: int


def _run(
    samples: Samples,
    rule: _Rule,
    finish: _Finish,
    progressive: bool,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Iterator[Attribution]:
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
        return _by_tolerance(stages, finish, progressive)
    method, reason = rule.method, ""
    if method == rules.AUTO:
        method, reason = suits(samples, rule.n_steps, cancel)
    nodes = rules.nodes(method, rule.n_steps)
    if method == rules.SECANT:
        samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
    return _by_steps(samples, nodes, method, reason, finish, progressive, on_progress, cancel)


@dataclass(frozen=True)
class _Finish:
    """What makes an attribution of samples."""

    begin: float
    multiply_by_inputs: bool
    is_tuple: bool
    masks: tuple[Tensor, ...] | None

    def __call__(self, samples: Samples, nodes: rules.Nodes | Sequence[rules.Nodes], **further: Any) -> Attribution:
        return make_attribution(
            samples,
            nodes,
            elapsed=time.perf_counter() - self.begin,
            multiply_by_inputs=self.multiply_by_inputs,
            is_tuple=self.is_tuple,
            masks=self.masks,
            **further,
        )


def _by_tolerance(stages: Iterator[Stage], finish: _Finish, progressive: bool) -> Iterator[Attribution]:
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
    finish: _Finish,
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
    chunk_size: int | None = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """Check the arguments, evaluate both ends, and return an empty collection of samples to extend.

    For callers who want to change rule or steps and keep what was sampled. `guard` and `chunks` are
    those of `Sampler`; `output` (batch,) is F(x), if it is known already; `cells` are those
    of the secant rule, which is then what samples them; `cancel`: when set while both ends are evaluated, Cancelled is
    raised. Raises as `attribute` does.
    """
    return samples_along(
        make_path(inputs, baselines),
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        chunk_size=chunk_size,
        precision=precision,
        guard=guard,
        chunks=chunks,
        output=output,
        cells=cells,
        cancel=cancel,
    )


def samples_along(
    path: Path,
    forward_func: ForwardFunc,
    *,
    target: TargetLike = None,
    additional_forward_args: object = None,
    chunk_size: int | None = None,
    precision: str = "full",
    guard: AbstractContextManager[object] | None = None,
    chunks: ChunkSize | None = None,
    output: Tensor | None = None,
    cells: rules.Nodes | None = None,
    cancel: threading.Event | None = None,
) -> Samples:
    """As `make_samples`, along any path."""
    function = ScalarFunction(forward_func, make_target(target, path.batch), additional_forward_args, path.batch)
    refuse_training_mode(forward_func)
    sampler = Sampler(
        function,
        path,
        chunk_size=check_chunk_size(chunk_size),
        preview=precision == "preview",
        guard=guard,
        chunks=chunks,
    )
    if cells is None:
        return Samples(sampler, path, output, cancel=cancel)
    return CellSamples(sampler, path, cells, output, cancel=cancel)


def make_attribution(
    samples: Samples,
    nodes: rules.Nodes | Sequence[rules.Nodes],
    *,
    method: str,
    elapsed: float,
    n_steps: int | None = None,
    evaluations: int | None = None,
    errors: Tensor | None = None,
    verdict: Verdict | None = None,
    reason: str = "",
    multiply_by_inputs: bool = True,
    is_tuple: bool = False,
    complete: bool = True,
    masks: tuple[Tensor, ...] | None = None,
) -> Attribution:
    """The attribution that `nodes`, all of them sampled, give; `complete` if they are the rule's own.

    `nodes` are those of all examples, or of each. `n_steps` and `evaluations` are their number unless given.
    """
    trace = samples.trace(nodes, multiply_by_inputs=multiply_by_inputs, is_tuple=is_tuple)
    path = samples.path
    sums = trace._sum()
    attributions = tuple(s.to(x.dtype) for s, x in zip(sums, path.inputs, strict=True))
    refuse_overflow("An attribution", *attributions)
    # Completeness needs the factor, also where the caller does not want it.
    contributions = sums
    if not multiply_by_inputs:
        ends = zip(sums, path.inputs, path.baselines, strict=True)
        contributions = tuple(s * (x.to(s.dtype) - b.to(s.dtype)) for s, x, b in ends)
    total = torch.stack([c.reshape(len(c), -1).sum(1) for c in contributions]).sum(0)
    dtype = torch.float64 if path.inputs[0].dtype == torch.float64 else torch.float32
    output, baseline_output = (v.to(dtype).to(path.device) for v in (samples.output, samples.baseline_output))
    sampled = trace.alphas.shape[1]
    difference = (samples.output - samples.baseline_output).to(total.dtype).to(path.device)
    delta = (total - difference).to(dtype)
    refuse_overflow("The sum of an attribution", delta)
    jumps = None if verdict is None else verdict.unattributed
    told = caveats(
        verdict,
        doubt=samples.sampler.doubt,
        scales=samples.sampler.scales if method == rules.SECANT else frozenset(),
        complete=complete,
        errors=errors,
        evaluations=sampled if evaluations is None else evaluations,
        delta=delta.detach().cpu().double(),
        variation=trace.outputs.diff(dim=1).abs().sum(1),
    )
    return Attribution(
        attributions=attributions if is_tuple else attributions[0],
        convergence_delta=delta,
        output=output,
        baseline_output=baseline_output,
        method=method,
        n_steps=sampled if n_steps is None else n_steps,
        evaluations=sampled if evaluations is None else evaluations,
        elapsed=elapsed,
        path=trace,
        group_attributions=None if masks is None else group_sums(attributions, masks),
        error_estimate=None if errors is None else errors.to(dtype).to(path.device),
        converged=None if verdict is None else verdict.converged,
        reason=reason,
        fallbacks=samples.fallbacks,
        complete=complete,
        caveats=told,
        unattributed=None if jumps is None else jumps.to(dtype).to(path.device),
    )


def _check_rule(method: object, n_steps: object, tol: object, max_evaluations: object, precision: object) -> _Rule:
    checked = method if method in (rules.AUTO, rules.ADAPTIVE) else rules.check_method(method)
    count = None if n_steps is None else rules.check_n_steps(n_steps)
    if checked == rules.ADAPTIVE and count is not None:
        raise ArgumentValueError(
            f"method='adaptive' samples to a tolerance, not n_steps={count} points; leave n_steps out, or give one of "
            f"{', '.join(rules.METHODS)}."
        )
    tolerance, most = check_tol(tol), check_max_evaluations(max_evaluations)
    return _Rule(_check_precision(precision, checked, count), count, tolerance, most)


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
