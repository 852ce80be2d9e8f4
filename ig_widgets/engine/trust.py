"""How far a result can be trusted, in one of three states and a sentence; docs/verdict.md has the rule in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ig_widgets.engine.verdict import NOT_IG

State: TypeAlias = Literal["within tolerance", "rough", "not to be used"]

# What is asked for where a run has no tolerance of its own.
USUAL_TOL = 0.05
# A map of which more than this is missing, or wrong, is no map of F.
_USELESS = 0.5
# Relative to F at both ends: what sums of float32 lose.
_ROUNDING = 1e-5
_WORST_FIRST: tuple[State, ...] = ("not to be used", "rough", "within tolerance")


@dataclass(frozen=True)
class Trust:
    """`state`: within tolerance, rough, or not to be used. `why`: a sentence."""

    state: State
    why: str

    def __str__(self) -> str:
        return f"{self.state}: {self.why}"


@dataclass(frozen=True)
class Evidence:
    """What is known of one map.

    `output`, `baseline_output`: F at both ends, the latter None where there is none. `delta`: None where completeness
    is not claimed. `error`: the estimated relative error, None where nobody looked. `is_random`: the samples are draws,
    `error` that of their mean. `converged`, `complete`, `caveats`: as of an Attribution.
    """

    output: float
    baseline_output: float | None
    delta: float | None
    error: float | None
    tol: float = USUAL_TOL
    converged: bool | None = None
    complete: bool = True
    caveats: Sequence[str] = ()
    is_random: bool = False

    @property
    def missed(self) -> float | None:
        """By how much the sum misses F(x) - F(x'), as a share of that; None where completeness is not claimed."""
        if self.delta is None or self.baseline_output is None:
            return None
        change = abs(self.output - self.baseline_output)
        if abs(self.delta) <= _ROUNDING * (abs(self.output) + abs(self.baseline_output)):
            return 0.0
        return abs(self.delta) / change if change else math.inf

    @property
    def has_converged(self) -> bool:
        """Whether the error was estimated and is within the tolerance."""
        sure = self.converged is True or (self.is_random and self.converged is None)
        return sure and self.complete and self.error is not None and self.error <= self.tol


def judge(seen: Evidence) -> Trust:
    """Returns how far a map can be trusted: within tolerance only where nothing that is known contradicts it."""
    if reason := _useless(seen):
        return Trust("not to be used", reason)
    if reason := _rough(seen):
        return Trust("rough", reason)
    missed = seen.missed
    complete = "" if missed is None else f", and its sum misses F(x) - F(x') by {share(missed)}"
    return Trust("within tolerance", f"its error is about {share(seen.error)}, within {share(seen.tol)}{complete}.")


def worst(of: Sequence[Trust]) -> Trust:
    """Returns the one that is to be trusted least."""
    return min(of, key=lambda one: _WORST_FIRST.index(one.state))


def _useless(seen: Evidence) -> str:
    known = (seen.output, seen.baseline_output, seen.delta, seen.error)
    if not all(math.isfinite(value) for value in known if value is not None):
        return "F, the map's sum or its error is no finite number."
    if told := next((text for text in seen.caveats if NOT_IG in text), ""):
        return told
    if seen.error is not None and seen.error > _USELESS:
        return f"its error is about {share(seen.error)}, not {share(seen.tol)}.{_so_far(seen)}"
    missed = seen.missed
    # Where features cancel in F, a map that was put to the test may be good although F hardly changes.
    if missed is not None and missed > _USELESS and not seen.has_converged:
        return f"its sum misses F(x) - F(x') by {share(missed)}.{_so_far(seen)}"
    return ""


def _rough(seen: Evidence) -> str:
    missed = seen.missed
    off = missed is not None and missed > seen.tol
    summed = "" if missed is None else f"; its sum misses F(x) - F(x') by {share(missed)}"
    if not seen.complete:
        error = "" if seen.error is None else f", and its error is about {share(seen.error)}"
        return f"it is of a run that was stopped early{error}{summed}."
    if seen.error is None:
        if missed is None and seen.delta is None:
            return "it claims no completeness and has no estimate of its error, so that nothing checks it."
        return f"its error was not estimated{summed}."
    if seen.error > seen.tol:
        return f"its error is about {share(seen.error)}, not {share(seen.tol)}{summed}."
    # A caveat may be why the sum misses, as where F jumps.
    if seen.caveats:
        return seen.caveats[0]
    if off:
        return f"its error is about {share(seen.error)}{summed}."
    if not seen.has_converged:
        return f"its error seems to be {share(seen.error)}, which could not be put to the test{summed}."
    return ""


def _so_far(seen: Evidence) -> str:
    return "" if seen.complete else " It is of a run that was stopped early."


def share(value: float | None) -> str:
    """A share as a person reads it: 0.12%, 3.4%, 199%, and not ever 0% of what is more."""
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return "more than F changes" if value > 0 else "an unknown part"
    percent = 100 * value
    if percent > 1e4:
        return "more than a hundred times"
    return f"{percent:.0f}%" if percent >= 9.95 or percent == 0 else f"{percent:.2g}%" if percent >= 0.01 else "<0.01%"
