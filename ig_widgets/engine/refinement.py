"""Samples in rounds until the estimated error is within a tolerance: by points, by cells, or by the better of both."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.adaptive import Adaptive
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.cells import Cells
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, Cancelled
from ig_widgets.engine.kinks import Kinks
from ig_widgets.engine.points import Points
from ig_widgets.engine.rules import Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.secant import SecantRuleError
from ig_widgets.engine.verdict import Verdict

# Where points and cells could both do: so many points come first, and so many cells.
_FEW, _TRIAL = 7, 14
_LEAST_FOR_BOTH = 4 * _TRIAL
# One goes on while it has spent so many times of what the other has.
_PATIENCE = 3
# From so many cells on the secant rule is not far off where soft-max, norms or gates lie on the path.
_CURVED_CELLS = 32
# How much of the tolerance the error of a few points may be for points to be gone on with.
_NEAR = 4.0


@dataclass(frozen=True)
class Stage:
    """What is there after a round: `nodes`, for all examples or each, of `samples`; `errors` (batch,) or None.

    `evaluations`: all that were spent, the most of any example. `is_last`: nothing follows. `verdict`: what was found.
    """

    method: str
    samples: Samples
    nodes: Nodes | Sequence[Nodes]
    evaluations: int
    errors: Tensor | None
    reason: str
    is_last: bool
    verdict: Verdict

    @property
    def converged(self) -> bool:
        """Whether all errors are within the tolerance, and nothing at hand contradicts it."""
        return self.verdict.converged


class _Refiner(Protocol):
    method: str
    samples: Samples
    # Evaluations that it may spend on each example.
    most: int

    @property
    def evaluations(self) -> int: ...
    @property
    def nodes(self) -> Nodes | Sequence[Nodes]: ...
    @property
    def errors(self) -> Tensor | None: ...
    @property
    def unattributed(self) -> Tensor | None: ...
    def done(self, tol: float) -> bool: ...
    def where(self) -> tuple[float, float] | None: ...
    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted: ...
    def look_at(self, block: Block) -> None: ...
    def accept(self, rows: Wanted) -> None: ...


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
    run = _Run(samples, tol, most, multiply_by_inputs, cancel, on_progress)
    try:
        if cancel is not None and cancel.is_set():
            return
        if method == rules.AUTO:
            yield from run.by_what_suits()
        elif method == rules.SECANT:
            yield from run.by_cells()
        elif method == rules.ADAPTIVE:
            yield from run.by_points()
        else:
            yield from run.by(Points(samples, method, multiply_by_inputs=multiply_by_inputs, most=most), "")
    except Cancelled:  # while F alone was asked for
        return


class _Run:
    """One run to a tolerance: what was spent, on what, and which method goes on."""

    def __init__(
        self,
        samples: Samples,
        tol: float,
        most: int,
        multiply_by_inputs: bool,
        cancel: threading.Event | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._samples = samples
        self._tol = tol
        self._most = most
        self._multiply = multiply_by_inputs
        self._cancel = cancel
        self._on_progress = on_progress
        self._done = 0
        # Evaluations of cells that showed that the secant rule does not hold.
        self._lost = 0
        self._used: list[_Refiner] = []

    def by_what_suits(self) -> Iterator[Stage]:
        """By points where the path is smooth, by cells where kinks lie on it; where both could do, by which does."""
        kinks = self._kinks
        reason = f"{kinks} between baseline and input"
        if not kinks.crossed.total():
            yield from self.by(self._points(self._most), reason)
        elif not kinks.curved or self._most < _LEAST_FOR_BOTH:
            yield from self.by_cells(reason)
        else:
            yield from self._by_both(reason)

    def by(self, one: _Refiner, reason: str) -> Iterator[Stage]:
        """By one method to the end."""
        if one not in self._used:
            self._used.append(one)
        while (rows := self._step(one)) is not None:
            # Of a model that answers differently when asked again no map is the right one.
            is_random = bool(self._samples.sampler.nondeterminism) and one.errors is not None
            is_last = one.done(self._tol) or not len(rows) or is_random
            yield self._stage(one, reason, is_last=is_last)
            if is_last:
                return

    def by_cells(self, reason: str = "") -> Iterator[Stage]:
        """By cells, or by points where the secant rule does not hold."""
        try:
            yield from self.by(self._cells(self._most), reason)
        except SecantRuleError as error:
            yield from self.by_points("; ".join(filter(None, (reason, str(error)))))

    def by_points(self, reason: str = "") -> Iterator[Stage]:
        """By points where they are needed, as many as can still be afforded."""
        yield from self.by(self._points(max(1, self._most - self._spent)), reason)

    def _by_both(self, reason: str) -> Iterator[Stage]:
        """By points and by cells in turns, the better first, each time for longer; a few points may do."""
        points, cells = self._points(self._most), self._cells(self._most)
        self._used += [points, cells]
        turn, allowed, seen = points, _FEW, reason
        while True:
            while turn.evaluations < allowed:
                try:
                    rows = self._step(turn)
                except SecantRuleError as error:
                    yield from self.by(points, f"{reason}; {error}")
                    return
                if rows is None:
                    return
                if turn.done(self._tol) or not len(rows):
                    break
                yield self._stage(turn, seen, is_last=False)
            errors = " and ".join(f"{_worst(one):.2g} by {one.method}" for one in self._used if one.evaluations)
            seen = f"{reason}; errors after a trial: {errors}"
            best = min(self._used, key=lambda one: (not one.done(self._tol), _worst(one)))
            if best.done(self._tol) or self._spent >= self._most or rows is None or not len(rows):
                yield self._stage(best, seen, is_last=True)
                return
            if not cells.evaluations:
                if _worst(points) <= _NEAR * self._tol:
                    yield from self.by(points, seen)
                    return
                turn, allowed = cells, _TRIAL
                continue
            turn = best
            other = points if turn is cells else cells
            if turn.evaluations >= max(_PATIENCE * other.evaluations, 2 * _TRIAL):
                turn, other = other, turn
            allowed = max(_PATIENCE * other.evaluations, turn.evaluations + 1)

    def _points(self, most: int) -> _Refiner:
        kinks = self._kinks
        smooth = not kinks.crossed.total() and not kinks.hidden
        return Adaptive(self._samples, multiply_by_inputs=self._multiply, most=most, is_smooth=smooth)

    def _cells(self, most: int) -> _Refiner:
        return Cells(self._samples, multiply_by_inputs=self._multiply, most=most, tol=self._tol)

    @cached_property
    def _kinks(self) -> Kinks:
        return self._samples.sampler.kinks(self._cancel)

    @property
    def _spent(self) -> int:
        return self._lost + sum(one.evaluations for one in self._used)

    def _step(self, one: _Refiner) -> Wanted | None:
        """A round of one method; None if it was cancelled."""
        one.most = max(self._most - self._spent + one.evaluations, 0)
        rows = one.rows(self._tol, self._cancel)
        total = self._done + len(rows)
        begun = self._done
        for block in one.samples.take(rows, cancel=self._cancel):
            self._done += len(block.alphas)
            if self._on_progress is not None:
                self._on_progress(self._done, total)
            try:
                one.look_at(block)
            except SecantRuleError:
                self._lost += math.ceil((self._done - begun) / self._samples.path.batch)
                raise
        if self._done < total:
            return None
        if len(rows):
            one.accept(rows)
        return rows

    def _stage(self, one: _Refiner, reason: str, *, is_last: bool) -> Stage:
        described = f"{one.method}: {reason}" if reason else ""
        return Stage(
            method=one.method,
            samples=one.samples,
            nodes=one.nodes,
            evaluations=self._spent,
            errors=one.errors,
            reason=described,
            is_last=is_last,
            verdict=Verdict(
                # Of a model that answers differently when asked again there is no one map.
                converged=one.done(self._tol) and not self._samples.sampler.nondeterminism,
                tol=self._tol,
                place=one.where(),
                unattributed=one.unattributed,
            ),
        )


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
