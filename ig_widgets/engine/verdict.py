"""Sentences of `Attribution.caveats` and of `ConvergenceWarning`."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from torch import Tensor

from ig_widgets.engine.number_text import counted

# Below it a part of the path is as good as the baseline itself.
_NEAR_BASELINE = 0.02
# A delta that is said of a result whose number of points was given, as a share of how far F goes up and down.
_LARGE_DELTA = 0.05


@dataclass(frozen=True)
class Verdict:
    """What a run to a tolerance found: whether the tolerance is met, where the rest of the error lies, jumps of F.

    `place`: between which alphas most of the error lies, if that is known. `unattributed`: (batch,) float64. `notes`:
    further sentences.
    """

    converged: bool
    tol: float
    place: tuple[float, float] | None = None
    unattributed: Tensor | None = None
    notes: tuple[str, ...] = ()


def caveats(
    verdict: Verdict | None,
    *,
    nondeterminism: str,
    scales: Set[str],
    complete: bool,
    errors: Tensor | None,
    evaluations: int,
    delta: Tensor,
    variation: Tensor,
) -> tuple[str, ...]:
    """What is to be said of a result. `delta` and `variation` of F along the path: (batch,)."""
    sentences = [nondeterminism] if nondeterminism else []
    if verdict is None:
        share = float((delta.abs() / variation.clamp(min=1e-300)).max()) if len(delta) else 0.0
        if share > _LARGE_DELTA:
            sentences.append(
                f"attributions sum to F(x) - F(x') but for {share:.0%} of how far F goes up and down on the path; give "
                f"more n_steps, or leave n_steps out, so that it samples to a tolerance."
            )
        if scales:
            sentences.append(
                f"{', '.join(sorted(scales))} passes over many scales within a cell, as where a norm has no direction "
                f"at the baseline, or an activation levels off on both sides; attributions sum up, but are not those "
                f"of Integrated Gradients. Leave n_steps out or give method='gausslegendre'."
            )
        return tuple(sentences)
    if verdict.unattributed is not None and bool((verdict.unattributed != 0).any()):
        size = float(verdict.unattributed[verdict.unattributed.abs().argmax()])
        sentences.append(
            f"F jumps on the path, by {size:.3g} in all{_of_batch(verdict.unattributed)}; no gradient carries that, so "
            f"it is in no attribution (see unattributed)."
        )
    if complete and not verdict.converged and not nondeterminism:
        sentences.append(not_converged(verdict, errors, evaluations))
    return (*sentences, *verdict.notes)


def not_converged(verdict: Verdict, errors: Tensor | None, evaluations: int) -> str:
    """That the tolerance was not met, and what would help."""
    spent = f"After {counted(evaluations, 'evaluation')}"
    if errors is not None and float(errors.max()) <= verdict.tol:
        return (
            f"{spent} the relative error seems to be {float(errors.max()):.2g}, but that could not be put to the test."
        )
    reached = "unknown" if errors is None else f"about {float(errors.max()):.2g}"
    seen = f"{spent} the relative error is {reached}, not {verdict.tol:g}"
    if verdict.place is None:
        return f"{seen}; give a larger max_evaluations or tol."
    low, high = verdict.place
    if high <= _NEAR_BASELINE:
        return (
            f"{seen}; most of it lies below alpha {high:.1g}: the baseline is a point at which the model changes "
            f"abruptly, as a norm does that has no direction there. Take another baseline (the embedding of a padding "
            f"token, a blurred input), or give a larger max_evaluations."
        )
    return (
        f"{seen}; most of it lies at alpha between {low:.4g} and {high:.4g}. Give a larger max_evaluations or tol, or "
        f"look at what the model does there."
    )


def _of_batch(unattributed: Tensor) -> str:
    count = int((unattributed != 0).sum())
    return "" if len(unattributed) == 1 else f" ({counted(count, 'example')} of {len(unattributed)})"
