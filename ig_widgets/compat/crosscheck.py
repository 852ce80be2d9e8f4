"""Compares this engine with Captum: the same rule, points, baseline and target, once by each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, as_args, as_kwargs, tensors_changed
from ig_widgets.engine.output import Output, chosen
from ig_widgets.engine.path import Baselines, Tensors, make_path
from ig_widgets.engine.target import TargetLike
from ig_widgets.tables import html_table, text_table


@dataclass(frozen=True)
class CrossCheck:
    """One attribution beside Captum's.

    `largest_difference` and `largest_value` (of Captum's map) are absolute, in the units of F. `scale` is what Captum's
    map was multiplied by: n / (n - 1) for its trapezoid, whose weights sum to (n - 1) / n, and 1 otherwise.
    """

    method: str
    n_steps: int
    largest_difference: float
    largest_value: float
    scale: float
    captum_version: str

    @property
    def relative_difference(self) -> float:
        """The largest difference over the largest value; 0 where both maps are zero."""
        if self.largest_difference == 0:
            return 0.0
        return self.largest_difference / self.largest_value if self.largest_value else float("inf")

    def __repr__(self) -> str:
        scaled = f", Captum's trapezoid scaled by {self.scale:.4g}" if self.scale != 1 else ""
        return (
            f"CrossCheck({self.method}, {self.n_steps} points, Captum {self.captum_version}: "
            f"largest difference {self.largest_difference:.1e} of {self.largest_value:.2g}, "
            f"relative {self.relative_difference:.1e}{scaled})"
        )


def compare(
    ours: Attribution,
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Tensors,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    internal_batch_size: int | None = 8,
) -> CrossCheck:
    """Captum's IntegratedGradients at the rule and points of `ours`, and the largest difference between the two.

    Raises ValueError for an unfinished attribution or one of a single point, and ImportError, which names the extra,
    where Captum is not installed. Captum has neither the secant rule nor Fejér's nor adaptive points: ValueError.
    """
    try:
        import captum
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise ImportError("crosscheck needs Captum: pip install 'ig_widgets[captum]'.") from error
    if not ours.complete:
        raise ValueError(
            f"ours is unfinished ({ours.evaluations} of {ours.n_steps} evaluations); compare a finished one."
        )
    if ours.method not in rules.RULES or ours.path is None:
        raise ValueError(f"Captum has no rule {ours.method}; crosscheck a result of one of {', '.join(rules.RULES)}.")
    if ours.n_steps < 2:
        raise ValueError("Captum takes no rule of a single point; crosscheck needs n_steps >= 2.")
    scale = ours.n_steps / (ours.n_steps - 1) if ours.method == "riemann_trapezoid" else 1.0
    function, further = _bind(
        forward_func,
        (as_args(additional_forward_args), as_kwargs(forward_kwargs)),
        output,
        batch=len(ours.output),
        count=len(_members(inputs)),
    )
    theirs = IntegratedGradients(function, multiply_by_inputs=ours.path.multiply_by_inputs).attribute(
        inputs,
        baselines=baselines,
        target=target,
        additional_forward_args=further,
        method=ours.method,
        n_steps=ours.n_steps,
        internal_batch_size=internal_batch_size,
    )
    differences, values = [], []
    for our, their in zip(_members(ours.attributions), _members(theirs), strict=True):
        differences.append((our - their * scale).abs().max())
        values.append((their * scale).abs().max())
    return CrossCheck(
        method=ours.method,
        n_steps=ours.n_steps,
        largest_difference=float(torch.stack(differences).max()),
        largest_value=float(torch.stack(values).max()),
        scale=scale,
        captum_version=captum.__version__,
    )


@dataclass(frozen=True)
class CrossCheckReport:
    """Several rules beside Captum's, a row each; it prints as a table, in a notebook too."""

    checks: tuple[CrossCheck, ...]

    @property
    def relative_difference(self) -> float:
        """The largest of all rules."""
        return max(check.relative_difference for check in self.checks)

    def __repr__(self) -> str:
        return text_table(_HEAD, [_row(check) for check in self.checks])

    def _repr_html_(self) -> str:
        return html_table(_HEAD, [_row(check) for check in self.checks])


_HEAD = ("rule", "points", "largest value", "largest difference", "relative", "Captum's map scaled by")


def _row(check: CrossCheck) -> tuple[str, ...]:
    return (
        check.method,
        str(check.n_steps),
        f"{check.largest_value:.3g}",
        f"{check.largest_difference:.1e}",
        f"{check.relative_difference:.1e}",
        "" if check.scale == 1 else f"{check.scale:.4g}",
    )


def crosscheck(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    n_steps: int = 50,
    methods: Sequence[str] = rules.RULES,
    internal_batch_size: int | None = 8,
) -> CrossCheckReport:
    """This engine and Captum, by each of `methods` at `n_steps` points.

    Captum's weights of the trapezoid sum to (n - 1) / n; its map is scaled by n / (n - 1) before it is compared. Its
    weights are float32, so that differences of 1e-7 in float64 and 1e-5 in float32 are none; where a ReLU sits at its
    kink, rounding may decide. Raises as `attribute` and `compare` do.
    """
    known = make_path(inputs, baselines).baselines
    ends = known if isinstance(inputs, tuple | list) else known[0]
    checks = []
    for method in methods:
        ours = attribute(
            forward_func,
            inputs,
            baselines=ends,
            target=target,
            additional_forward_args=additional_forward_args,
            forward_kwargs=forward_kwargs,
            output=output,
            method=method,
            n_steps=n_steps,
        )
        checks.append(
            compare(
                ours,
                forward_func,
                inputs,
                baselines=ends,
                target=target,
                additional_forward_args=additional_forward_args,
                forward_kwargs=forward_kwargs,
                output=output,
                internal_batch_size=internal_batch_size,
            )
        )
    return CrossCheckReport(tuple(checks))


def _bind(
    forward_func: ForwardFunc, further: tuple[Any, Any], output: Output, *, batch: int, count: int
) -> tuple[ForwardFunc, tuple[Tensor, ...] | None]:
    """Captum repeats every further tensor along the path, this engine those of the batch: pass it only these."""
    following: list[Tensor] = []

    def found(tensor: Tensor) -> Tensor:
        if tensor.dim() > 0 and tensor.shape[0] == batch:
            following.append(tensor)
        return tensor

    tensors_changed(further, found)

    def bound(*arguments: Any) -> Tensor:
        given = iter(arguments[count:])
        own = {id(t) for t in following}
        args, keywords = tensors_changed(further, lambda t: next(given) if id(t) in own else t)
        return chosen(forward_func(*arguments[:count], *args, **keywords), output)

    return bound, tuple(following) or None


def _members(tensors: Tensors) -> tuple[Tensor, ...]:
    return tensors if isinstance(tensors, tuple) else (tensors,)
