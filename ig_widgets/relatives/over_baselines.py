"""Integrated Gradients from each of several baselines: the mean, and how much the map depends on the choice."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.groups import FeatureMask
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import refuse_overflow, unit_of
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.tables import html_table, text_table


@dataclass(frozen=True, eq=False)
class OverBaselines:
    """The attributions from each of K baselines, their mean, and how far they differ. All in the units of F.

    `names`: of the baselines. `each`: their Attributions, in that order. `attributions`: the mean of theirs, like
    inputs. `variance`: of each feature over the baselines, unbiased (K - 1), like inputs, in at least float32.
    `dependence` (batch,): how much of the map depends on the baseline: 0, all maps are alike; 1, two of them have
    nothing in common (their product is 0 on average), however many there are; above, to the root of 2, they contradict
    each other. It is the root of the sum of variances over the mean square size (L2) of the maps. `correlations`
    (K, batch): Pearson's, of each map with the mean, NaN for a map without variation. `output` (batch,): F(x);
    `baseline_outputs` (K, batch): F(x').
    """

    names: tuple[str, ...]
    each: tuple[Attribution, ...] = field(repr=False)
    attributions: Tensors
    variance: Tensors
    dependence: Tensor
    correlations: Tensor
    output: Tensor
    baseline_outputs: Tensor

    @property
    def convergence_delta(self) -> Tensor:
        """Sum of the mean attributions - (F(x) - mean of F(x')), (batch,)."""
        return torch.stack([_required(one.convergence_delta) for one in self.each]).mean(0)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a person should know of the runs, each sentence after the name of its baseline."""
        named = zip((" ".join(name.split()) for name in self.names), self.each, strict=True)
        return tuple(f"{name}: {text}" for name, one in named for text in one.caveats)

    @property
    def standard_deviation(self) -> Tensors:
        """The root of `variance`."""
        return _each_tensor(torch.sqrt, self.variance)

    @property
    def sign_agreement(self) -> Tensors:
        """How far the baselines agree on the sign of each feature, like inputs: 1, all do; 0, as many say + as say -.

        The size of the mean sign; a zero counts as neither.
        """
        signs = [_each_tensor(torch.sign, one.attributions) for one in self.each]
        return _each_tensor(lambda *of: torch.stack(of).mean(0).abs(), *signs)

    @property
    def group_attributions(self) -> Tensor | None:
        """The mean of the sums over groups (batch, groups), where `feature_mask` was given."""
        groups = [one.group_attributions for one in self.each if one.group_attributions is not None]
        return torch.stack(groups).mean(0) if groups else None

    def __repr__(self) -> str:
        return f"{text_table(self._head, self._rows(), right=True)}\n{self._summary()}"

    def _repr_html_(self) -> str:
        return f"{html_table(self._head, self._rows())}<p>{self._summary()}</p>"

    @property
    def _head(self) -> tuple[str, ...]:
        if len(self.output) == 1:
            return "baseline", "F(x')", "to explain", "delta", "correlation with the mean"
        return "baseline", "mean F(x')", "mean to explain", "largest delta", "mean correlation with the mean"

    def _rows(self) -> list[tuple[str, ...]]:
        deltas = [_required(one.convergence_delta) for one in self.each]
        outputs, correlations = list(self.baseline_outputs), list(self.correlations)
        rows = [*zip(self.names, outputs, deltas, correlations, strict=True)]
        rows.append(("mean", self.baseline_outputs.mean(0), self.convergence_delta, torch.ones_like(self.output)))
        return [
            (
                " ".join(name.split()),
                f"{float(before.mean()):.3g}",
                f"{float((self.output - before).mean()):.3g}",
                _percent(float((delta / (self.output - before)).abs().max())),
                "" if math.isnan(shown := float(correlation.nanmean())) else f"{round(shown, 2) + 0.0:.2f}",  # no -0
            )
            for name, before, delta, correlation in rows
        ]

    def _summary(self) -> str:
        seen = self.dependence.tolist()
        shown = f"{seen[0]:.2f}" if len(seen) == 1 else f"{min(seen):.2f} to {max(seen):.2f}"
        count = sum(bool(one.caveats) for one in self.each)
        noted = f"; there are caveats for {count} of {counted(len(self.each), 'baseline')}" if count else ""
        return f"dependence on the baseline {shown} (0: none, 1: nothing in common){noted}"


@with_progress
def over_baselines(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Sequence[Baselines] | Mapping[str, Baselines],
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    precision: str = "full",
    multiply_by_inputs: bool = True,
    layer: Layer | None = None,
    feature_mask: FeatureMask = None,
    keep_paths: bool = False,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> OverBaselines:
    """`attribute` from each of several baselines, one after the other.

    The mean over baselines is what Sturmfels, Lundberg, Lee: Visualizing the Impact of Feature Attribution Baselines
    (Distill, 2020), Averaging Over Multiple Baselines, recommend where there is no one good baseline; over draws from
    the data it is an estimate of expected gradients (Erion, Janizek, Sturmfels, Lundberg, Lee: Improving performance of
    deep learning models with axiomatic attribution priors and expected gradients, 2021). It is complete with regard to
    the mean of F(x'). A mean of different questions is not always an answer: look at `each` first.

    Args:
        baselines: a list, or a mapping from names, of two or more; each is anything that `attribute` takes.
        keep_paths: keep the samples of each path, for `each[k].path.cumulative`, in K times the memory of one run.
            Otherwise `each[k].path` is None: what was sampled goes as soon as a run is done.
        on_progress: called with (done, total) gradient evaluations, over all baselines; the total is a guess unless
            n_steps is given.
        others: as in `attribute`.

    Raises as `attribute`, with a note that names the baseline, and ArgumentTypeError, ArgumentValueError for a list
    that is none. When `cancel` is set: Cancelled, whose `partial` is of the run in hand.
    """
    tell = progress_of(on_progress)
    named = _check_baselines(baselines)
    each: list[Attribution] = []
    before = done = 0

    def report(of_run: int, run_total: int) -> None:
        nonlocal done
        done = before + of_run
        if tell is not None:
            tell(done, before + run_total * (len(named) - len(each)))

    for name, baseline in named:
        before = done
        try:
            run = attribute(
                forward_func,
                inputs,
                baselines=baseline,
                target=target,
                additional_forward_args=additional_forward_args,
                forward_kwargs=forward_kwargs,
                output=output,
                method=method,
                n_steps=n_steps,
                tol=tol,
                max_evaluations=max_evaluations,
                chunk_size=chunk_size,
                precision=precision,
                multiply_by_inputs=multiply_by_inputs,
                layer=layer,
                feature_mask=feature_mask,
                on_progress=report,
                cancel=cancel,
            )
        except Exception as error:
            error.add_note(f"This was baseline {name!r}, {len(each) + 1} of {len(named)}.")
            raise
        each.append(run if keep_paths else replace(run, path=None))
        del run  # or its samples would outlive the next run
    return _summed([name for name, _ in named], each)


def _summed(names: Sequence[str], each: Sequence[Attribution]) -> OverBaselines:
    maps = [_as_tuple(one.attributions) for one in each]
    count, output, device = len(each), each[0].output, maps[0][0].device
    wide = widest(device)
    means, variances = [], []
    off, size = torch.zeros(2, len(output), dtype=wide, device=device)
    # Of squares: those of the maps themselves may overflow, or vanish.
    unit = unit_of(torch.stack([t.abs().max().to(wide) for one in maps for t in one]).max())
    for member in zip(*maps, strict=True):
        # One map at a time: a stack of all would be as large again as all results.
        mean = sum((one.to(wide) for one in member), torch.zeros_like(member[0], dtype=wide)) / count
        squares = torch.zeros_like(mean)
        for one in member:
            squares += ((one.to(wide) - mean) / unit).square()
            size += (one.to(wide) / unit).square().reshape(len(one), -1).sum(1)
        off += squares.reshape(len(squares), -1).sum(1)
        means.append(mean)
        variances.append((squares / (count - 1) * unit * unit).to(torch.promote_types(member[0].dtype, torch.float32)))
    refuse_overflow("The variance over the baselines", *variances)
    mean_maps = tuple(mean.to(x.dtype) for mean, x in zip(means, maps[0], strict=True))
    is_tuple = isinstance(each[0].attributions, tuple)
    return OverBaselines(
        names=tuple(names),
        each=tuple(each),
        attributions=mean_maps if is_tuple else mean_maps[0],
        variance=tuple(variances) if is_tuple else variances[0],
        dependence=torch.where(size > 0, count / (count - 1) * off / size, 0.0).sqrt().to(output.dtype),
        correlations=torch.stack([_correlation(one, means) for one in maps]).to(output.dtype),
        output=output,
        baseline_outputs=torch.stack([_required(one.baseline_output) for one in each]),
    )


def _required(value: Tensor | None) -> Tensor:
    """The value of an optional field that IG always sets, unlike its relatives."""
    if value is None:
        raise NotImplementedError
    return value


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if math.isfinite(share) else ""


def _correlation(one: Sequence[Tensor], mean: Sequence[Tensor]) -> Tensor:
    """Pearson's over all features, (batch,); NaN where one has no variation."""
    a, b = (torch.cat([t.to(mean[0].dtype).reshape(len(t), -1) for t in tensors], 1) for tensors in (one, mean))
    a, b = (t / unit_of(t.abs().amax(1, keepdim=True)) for t in (a, b))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    together: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    return together


def _check_baselines(given: object) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        named = [(str(name), baseline) for name, baseline in given.items()]
    elif isinstance(given, list):
        named = [(_name(baseline, i), baseline) for i, baseline in enumerate(given, 1)]
    else:
        raise ArgumentTypeError(
            f"baselines must be a list or a mapping from names to baselines, got {type(given).__name__}; for one "
            f"baseline use igw.attribute (a tuple there is one baseline for each input tensor)."
        )
    if len(named) < 2:
        raise ArgumentValueError(
            f"baselines has {len(named)} members, which cannot be compared; give two or more, or use igw.attribute."
        )
    seen: dict[str, int] = {}
    for i, (name, baseline) in enumerate(named):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            named[i] = f"{name} ({seen[name]})", baseline
    return named


def _name(baseline: object, number: int) -> str:
    describe = getattr(baseline, "describe", None)
    if callable(describe):
        return str(describe())
    if baseline is None or (isinstance(baseline, int | float) and not isinstance(baseline, bool)):
        return f"{float(baseline or 0):g}"
    name = getattr(baseline, "__name__", "<lambda>")
    return name if isinstance(name, str) and name != "<lambda>" else f"baseline {number}"


def _as_tuple(tensors: Tensors) -> tuple[Tensor, ...]:
    return tensors if isinstance(tensors, tuple) else (tensors,)


def _each_tensor(function: Callable[..., Tensor], *of: Tensors) -> Tensors:
    made = tuple(function(*members) for members in zip(*map(_as_tuple, of), strict=True))
    return made if isinstance(of[0], tuple) else made[0]
