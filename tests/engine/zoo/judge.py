"""What the engine says of a case, beside what is true."""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ig_widgets as igw
from tests.engine.zoo.cases import Case
from tests.engine.zoo.references import Gradients, Reference, gauss

# Points of Captum's default rule that are tried, up to the budget of `attribute`.
GRID = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
# Errors below are those of float32.
ROUNDING = 1e-6
RATIOS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.01)
ORDERS = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Record:
    """One run of `attribute` on a case.

    `error`: the true relative L2 error of the worst example, `estimate`: what was said of that example. `unknown`: how
    far the reference itself is known. `delta`: the convergence delta over the norm of the true map. `captum`: the
    least points with which Captum's default rule reaches `error`, None: 1024 do not; `captum_met`: whether 1024 or
    fewer meet `tol`. `failed`: the error that was raised, in place of a map; `internal`: whether it is none of the
    package's own.
    """

    name: str
    family: str
    tol: float
    error: float | None
    estimate: float | None
    converged: bool | None
    evaluations: int
    elapsed: float
    method: str
    delta: float | None
    unknown: float
    reason: str = ""
    warnings: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    captum: int | None = None
    captum_met: bool | None = None
    graded: int | None = None
    failed: str = ""
    internal: bool = False

    @property
    def false_claim(self) -> bool:
        """Converged, and off by more than twice the tolerance."""
        return bool(self.converged) and not self.met_within(2)

    @property
    def met(self) -> bool:
        return self.met_within(1)

    def met_within(self, times: float) -> bool:
        return self.error is not None and self.error <= times * self.tol

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def run(case: Case, truth: Reference, tol: float = 0.05, **options: Any) -> Record:
    """What `attribute` makes of it. Whatever is raised is a part of the record."""
    known = {"name": case.name, "family": case.family, "tol": tol, "unknown": truth.error}
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = igw.attribute(**case.arguments(), tol=tol, **options)
        except Exception as error:  # noqa: BLE001  (that none is internal is what is judged)
            spent = time.perf_counter() - begin
            internal = not isinstance(error, igw.IGError)
            said = f"{type(error).__name__}: {error}"
            return Record(
                **known,
                **dict.fromkeys(("error", "estimate", "converged", "delta")),
                evaluations=0,
                elapsed=spent,
                method="",
                failed=said,
                internal=internal,
            )
    spent = time.perf_counter() - begin
    errors = relative_errors(flat(result.attributions), truth.map)
    worst = int(errors.nan_to_num(nan=torch.inf).argmax())
    estimates, deltas = result.error_estimate, result.convergence_delta
    scale = float(truth.map[worst].norm().clamp_min(1e-300))
    return Record(
        **known,
        error=float(errors[worst]),
        estimate=None if estimates is None else float(estimates[worst]),
        converged=result.converged,
        evaluations=result.evaluations,
        elapsed=spent,
        method=result.method,
        delta=None if deltas is None else float(deltas[worst]) / scale,
        reason=result.reason,
        warnings=tuple(f"{one.category.__name__}: {one.message}" for one in seen),
        fallbacks=result.fallbacks,
    )


def flat(maps: Tensor | tuple[Tensor, ...]) -> Tensor:
    """(batch, features), float64."""
    parts = maps if isinstance(maps, tuple) else (maps,)
    return torch.cat([one.double().flatten(1) for one in parts], 1)


def relative_errors(found: Tensor, true: Tensor) -> Tensor:
    """(batch,): the L2 error of each example over the norm of its true map."""
    return (found - true).norm(dim=1) / true.norm(dim=1).clamp_min(1e-300)


class Captum:
    """Captum's default rule, Gauss-Legendre, on the model as it is: errors by number of points, each taken once."""

    def __init__(self, case: Case, truth: Reference) -> None:
        self._gradients = Gradients(case, double=False)
        self._truth = truth
        self._errors: dict[int, float] = {}

    def error(self, n: int) -> float:
        if n not in self._errors:
            found = self._gradients.weighted(*gauss(n))
            self._errors[n] = float(relative_errors(found, self._truth.map).nan_to_num(nan=torch.inf).amax())
        return self._errors[n]

    def meets(self, tol: float) -> bool:
        """Whether 1024 points or fewer do; large rules are looked at first."""
        return any(self.error(n) <= tol for n in (1024, 16, 64, 512))

    def points(self, error: float) -> int | None:
        """The least number that gives no larger error, and not by chance: the next in the grid gives none either."""
        error = max(error, ROUNDING)
        following = zip(GRID, (*GRID[1:], GRID[-1]), strict=True)
        return next((n for n, m in following if self.error(n) <= error and self.error(m) <= error), None)


def graded_points(case: Case, truth: Reference, error: float, most: int = 400) -> int | None:
    """The least points of a composite Gauss rule that reaches `error`: pieces that shrink toward the singular end by
    the best ratio, each of the best order.
    """
    error = max(error, ROUNDING)
    gradients = Gradients(case, double=False)
    best = None
    for ratio in RATIOS:
        for order in ORDERS:
            found = _graded(gradients, truth, error, ratio, order, (best or most + 1) - 1, case.singular == "1")
            best = found or best
    return best


def _graded(
    gradients: Gradients, truth: Reference, error: float, ratio: float, order: int, most: int, mirrored: bool
) -> int | None:
    x, w = gauss(order)
    total = torch.zeros_like(truth.map)
    end = 1.0
    for pieces in range(1, most // order + 1):
        last = total + _piece(gradients, x, w, 0.0, end, mirrored)
        if bool((relative_errors(last, truth.map) <= error).all()):
            return pieces * order
        total += _piece(gradients, x, w, ratio * end, end, mirrored)
        end *= ratio
        if end < 1e-30:
            break
    return None


def _piece(gradients: Gradients, x: np.ndarray, w: np.ndarray, start: float, end: float, mirrored: bool) -> Tensor:
    at = start + (end - start) * x
    return gradients.weighted(1 - at if mirrored else at, (end - start) * w)
