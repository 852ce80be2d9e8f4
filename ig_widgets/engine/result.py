"""`Attribution`, the frozen result, and how it is made of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.groups import group_sums
from ig_widgets.engine.norms import refuse_overflow
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.path import Tensors
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.trace import PathTrace
from ig_widgets.engine.verdict import Verdict, caveats
from ig_widgets.tables import html_table


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
    before using the map. `unattributed`: (batch,), what of F(x) - F(x') no gradient carries because F jumps, 0 where
    no jump matters to the tolerance; None where jumps were not looked for. `method`, `n_steps` (points or cells in
    use), `evaluations` (gradient evaluations, the most of any example), `elapsed` (seconds): what was done, and
    `reason`, why so. `fallbacks`: operations for which a plain derivative was taken where the method has a better one.
    `path`: the samples. `complete`: False for an early or a cancelled one; with n_steps it weighs what was sampled by
    the piece of the path nearest to it. `standard_error`: like `attributions`, where these are a mean over draws.
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


def _total(samples: Samples, trace: PathTrace, sums: Sequence[Tensor]) -> Tensor:
    """The sum of all contributions, (batch,): what completeness is about."""
    path = samples.path
    if samples.sampler.reduction is not None:
        # A reduced map may have any sum; that of each sample was taken before.
        return (trace.density * trace.edges.diff(dim=1)).sum(1).to(path.device, sums[0].dtype)
    if not trace.multiply_by_inputs:
        # Completeness needs the factor, also where the caller does not want it.
        ends = zip(sums, path.inputs, path.baselines, strict=True)
        sums = [s * (x.to(s.dtype) - b.to(s.dtype)) for s, x, b in ends]
    return torch.stack([s.reshape(len(s), -1).sum(1) for s in sums]).sum(0)


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

    `nodes` are those of all examples, or of each. `n_steps` and `evaluations` are their number unless given. Samples of
    a layer say by themselves whether attributions are a tuple. With a reduction attributions are (batch, *shape), and
    the convergence delta is that of the map before it. `masks`: like the maps of the samples.
    """
    path = samples.path
    is_tuple = is_tuple if samples.arrange is None else len(path.inputs) > 1
    trace = samples.trace(nodes, multiply_by_inputs=multiply_by_inputs, is_tuple=is_tuple)
    sums = trace._sum()
    attributions = tuple(s.to(x.dtype) for s, x in zip(sums, path.inputs, strict=True))
    refuse_overflow("An attribution", *attributions)
    total = _total(samples, trace, sums)
    dtype = torch.float64 if path.inputs[0].dtype == torch.float64 else torch.float32
    output, baseline_output = (v.to(dtype).to(path.device) for v in (samples.output, samples.baseline_output))
    sampled = trace.alphas.shape[1]
    difference = (samples.output - samples.baseline_output).to(total.dtype).to(path.device)
    delta = (total - difference).to(dtype)
    refuse_overflow("The sum of an attribution", delta)
    jumps = None if verdict is None else verdict.unattributed
    sentences = caveats(
        verdict,
        nondeterminism=samples.sampler.nondeterminism,
        scales=samples.sampler.scales if method == rules.SECANT else frozenset(),
        complete=complete,
        errors=errors,
        evaluations=sampled if evaluations is None else evaluations,
        delta=delta.detach().cpu().double(),
        variation=trace.outputs.diff(dim=1).abs().sum(1),
    )
    shown = attributions if is_tuple else attributions[0]
    return Attribution(
        attributions=shown if samples.arrange is None else samples.arrange(attributions),
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
        caveats=sentences,
        unattributed=None if jumps is None else jumps.to(dtype).to(path.device),
    )
