"""Sampling until the attribution is good enough: by which rule, where next, how large the error is, when to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.cells import Cells
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.norms import norms
from ig_widgets.engine.rules import Nodes
from ig_widgets.engine.spectrum import tail
from ig_widgets.engine.trace import Samples, Wanted

# So many evaluations of each show which of two methods suits; that of points may take as many as come next.
_TRIAL = 14
_TRIAL_MOST = 23
# From so many cells on the secant rule is not far off where soft-max, norms or gates lie on the path.
_CURVED_CELLS = 32
# How a rule grows: its first number of points; the next one, by a factor and a term, so that the points before it are
# among its own; and which part of the change is left as an error if that falls as 1/n, as it does where kinks are.
_GROWTH: dict[str, tuple[int, int, int, float]] = {
    "riemann_left": (8, 2, 0, 1.0),
    "riemann_right": (8, 2, 0, 1.0),
    "riemann_middle": (9, 3, 0, 0.5),
    "riemann_trapezoid": (9, 2, -1, 1.0),
    "gausslegendre": (8, 2, 0, 0.5),
    rules.FEJER: (7, 2, 1, 1.0),
}


@dataclass(frozen=True)
class Stage:
    """What is there after a round: `nodes`, for all examples or each, of `samples`; `errors` (batch,) or None.

    `evaluations` (per example) are all that were spent. `is_last`: nothing follows; `converged`: all within `tol`.
    """

    method: str
    samples: Samples
    nodes: Nodes | Sequence[Nodes]
    evaluations: int
    errors: Tensor | None
    reason: str
    is_last: bool
    converged: bool


class _Refiner(Protocol):
    method: str
    samples: Samples

    @property
    def evaluations(self) -> int: ...
    @property
    def nodes(self) -> Nodes | Sequence[Nodes]: ...
    @property
    def errors(self) -> Tensor | None: ...
    def done(self, tol: float) -> bool: ...
    def rows(self, tol: float) -> Wanted: ...
    def accept(self, rows: Wanted) -> None: ...


class Points:
    """The points of a rule, whose number grows in rounds; at most `most` for each example.

    For Fejér's rule errors are told from the spectrum of the gradient along the path, for others from the last change.
    """

    def __init__(self, samples: Samples, method: str, *, multiply_by_inputs: bool, most: int) -> None:
        self.method = method
        self.samples = samples
        self._multiply = multiply_by_inputs
        self._most = most
        self._n = self._next = 0
        self._errors: Tensor | None = None
        self._expected: float | None = None
        self._sums: list[Tensor] = []

    @property
    def evaluations(self) -> int:
        """Points of each example so far."""
        return len(self.samples.alphas)

    @property
    def nodes(self) -> Nodes:
        """The points in use."""
        return rules.nodes(self.method, self._n)

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        return self._errors

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`."""
        return self._errors is not None and bool((self._errors <= tol).all())

    def rows(self, tol: float) -> Wanted:
        """What to sample in the next round; nothing if no more can be afforded."""
        first, factor, term, _ = _GROWTH[self.method]
        if not self._n:
            # The trapezoid needs both ends.
            self._next = max(min(first, self._most), 2 if self.method == "riemann_trapezoid" else 1)
        else:
            self._next = factor * self._n + term
            if self.method == rules.FEJER and self._expected is not None and self._expected > tol:
                self._next = 3 * self._n + 2
                if self._missing() > self._most - self.evaluations:
                    self._next = 2 * self._n + 1
            if self._missing() > self._most - self.evaluations:
                return []
        missing = self.samples.missing(rules.nodes(self.method, self._next).alphas)
        return [(e, alpha) for alpha in missing.tolist() for e in range(self.samples.path.batch)]

    def accept(self, rows: Wanted) -> None:  # noqa: ARG002  (what it is for is known)
        """All of `rows` has been sampled."""
        self._n = self._next
        if self.method == rules.FEJER:
            if self._n >= _GROWTH[rules.FEJER][0]:
                alphas = self.nodes.alphas.tolist()
                every = range(self.samples.path.batch)
                parts = (self.samples.maps(example, alphas, multiply_by_inputs=self._multiply) for example in every)
                found = [tail(one, self._n) for one in parts]
                self._errors = torch.tensor([now for now, _ in found], dtype=torch.float64, device="cpu")
                self._expected = max(then for _, then in found)
            return
        sums = list(self.samples.trace(self.nodes, multiply_by_inputs=self._multiply)._sum())
        if self._sums:
            change, size = norms([a - b for a, b in zip(sums, self._sums, strict=True)]), norms(sums)
            # Of a map of zeros that was another before nothing is settled: 1 stands for all of it.
            relative = torch.where(size > 0, change / size, (change > 0).double())
            self._errors = _GROWTH[self.method][3] * relative
        self._sums = sums

    def _missing(self) -> int:
        return len(self.samples.missing(rules.nodes(self.method, self._next).alphas))


def refined(
    samples: Samples,
    *,
    method: str,
    tol: float,
    most: int,
    multiply_by_inputs: bool,
    cancel: threading.Event | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[Stage]:
    """Sample in rounds until the error is at most `tol`, or `most` evaluations per example are spent.

    Stops early when `cancel` is set. Raises as `Samples.take` does.
    """
    if cancel is not None and cancel.is_set():
        return
    candidates, reason = _candidates(samples, method, most, multiply_by_inputs, cancel)
    batch, done = samples.path.batch, 0

    def advance(one: _Refiner, rows: Wanted) -> bool:
        nonlocal done
        total = done + len(rows)
        for block in one.samples.take(rows, cancel=cancel):
            done += len(block.alphas)
            if on_progress is not None:
                on_progress(done, total)
        return done == total

    def stage(one: _Refiner, *, is_last: bool) -> Stage:
        converged = one.done(tol)
        told = f"{one.method}: {reason}" if reason else ""
        return Stage(one.method, one.samples, one.nodes, done // batch, one.errors, told, is_last, converged)

    for one in candidates if len(candidates) > 1 else []:
        while one.evaluations < _TRIAL and not one.done(tol):
            rows = one.rows(tol)
            if not advance(one, rows):
                return
            one.accept(rows)
            yield stage(one, is_last=one.done(tol))
        if one.done(tol):
            return
    chosen = min(candidates, key=_worst)
    if len(candidates) > 1:
        told = " and ".join(f"{_worst(one):.2g} by {one.method}" for one in candidates)
        reason += f"; errors after a trial of each: {told}"
    rows = chosen.rows(tol)
    while True:
        if not advance(chosen, rows):
            return
        if rows:
            chosen.accept(rows)
        rows = [] if chosen.done(tol) else chosen.rows(tol)
        yield stage(chosen, is_last=not rows)
        if not rows:
            return


def _candidates(
    samples: Samples, method: str, most: int, multiply_by_inputs: bool, cancel: threading.Event | None
) -> tuple[list[_Refiner], str]:
    """What is to be tried, and what was seen that speaks for it."""

    def cells(most: int) -> _Refiner:
        return Cells(samples, multiply_by_inputs=multiply_by_inputs, most=most)

    def points(rule: str, most: int) -> _Refiner:
        return Points(samples, rule, multiply_by_inputs=multiply_by_inputs, most=most)

    if method == rules.SECANT:
        return [cells(most)], ""
    if method != rules.AUTO:
        return [points(method, most)], ""
    kinks = samples.sampler.kinks(cancel)
    seen = f"{kinks} between baseline and input"
    if not kinks.crossed.total():
        return [points(rules.FEJER, most)], seen
    if not kinks.curved or most < 4 * _TRIAL:
        return [cells(most)], seen
    # Both may be slow.
    return [cells(most - _TRIAL_MOST), points(rules.FEJER, most - _TRIAL)], seen


def suits(samples: Samples, n_steps: int, cancel: threading.Event | None) -> tuple[str, str]:
    """The method for a fixed number of evaluations, and why."""
    kinks = samples.sampler.kinks(cancel)
    kinked = kinks.crossed.total() and (not kinks.curved or n_steps >= _CURVED_CELLS)
    method = rules.SECANT if kinked else "gausslegendre"
    return method, f"{method}: {kinks} between baseline and input"


def _worst(one: _Refiner) -> float:
    return float("inf") if one.errors is None else float(one.errors.max())


def check_tol(tol: object) -> float:
    """`tol` as a number between 0 and 1. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number):
        raise ArgumentTypeError(f"tol must be a number between 0 and 1, got {tol!r} ({type(tol).__name__}).")
    if not 0 < tol < 1:
        raise ArgumentValueError(f"tol is a relative error and must lie between 0 and 1, got {tol}; 0.05 is 5%.")
    return float(tol)


def check_max_evaluations(most: object) -> int:
    """`max_evaluations` as an int of at least 2. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(most, bool) or not isinstance(most, int | np.integer):
        raise ArgumentTypeError(f"max_evaluations must be an integer, got {most!r} ({type(most).__name__}).")
    if most < 2:
        raise ArgumentValueError(f"max_evaluations must be at least 2, got {most}; n_steps=1 is a single one.")
    return int(most)
