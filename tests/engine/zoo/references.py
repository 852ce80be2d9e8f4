"""The true map of a case, in float64, and how far it is known. Nothing here uses the engine.

Exact where the case says it. Else a composite Gauss rule: the path in pieces, graded toward both ends and toward the
places that the case names, each piece halved where its two halves say something else than the whole, until what
is left is small beside the map. Kinks and jumps of the gradient only cost more halving.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from tests.engine.zoo.cases import Case

GOAL = 1e-4
MOST = 200_000
_ROWS = 256
# Where kinks lie close, many pieces of few points are better.
_ORDER, _KINKED_ORDER = 6, 2


@dataclass(frozen=True, eq=False)
class Reference:
    """`map`: (batch, features), float64. `error`: its own relative L2 error, at most about so large. `points`: what it
    cost. `difference` (batch,): F(x) - F(x'). `jump` (batch,): what of that no gradient carries.
    """

    map: Tensor
    error: float
    points: int
    difference: Tensor
    jump: Tensor


class Gradients:
    """Gradients of F along the path, times (x - x'): `at` gives (batch, n, features) in float64.

    `double`: of the copy of the model in float64, else of the model as it is.
    """

    def __init__(self, case: Case, *, double: bool) -> None:
        self.case = case
        kind = torch.float64 if double else case.inputs[0].dtype
        self._module = in_float64(case.module) if double else case.module
        self._extra = tuple(_floating(one, kind) if double else one for one in case.extra)
        self._inputs = tuple(one.to(kind) for one in case.inputs)
        self._baselines = tuple(one.to(kind) for one in case.baselines)
        self.features = sum(one[0].numel() for one in case.inputs)
        self.batch = len(case.inputs[0])
        self.points = 0

    def values(self, alphas: np.ndarray) -> Tensor:
        """F (batch, n), float64."""
        rows = [self._call(alphas[i : i + _ROWS], gradient=False)[0] for i in range(0, len(alphas), _ROWS)]
        return torch.cat(rows, 1)

    def at(self, alphas: np.ndarray) -> Tensor:
        self.points += len(alphas)
        parts = [self._call(alphas[i : i + _ROWS], gradient=True)[1] for i in range(0, len(alphas), _ROWS)]
        return torch.cat(parts, 1)

    def weighted(self, alphas: np.ndarray, weights: np.ndarray) -> Tensor:
        """Their sum by `weights` (n,): (batch, features)."""
        total = torch.zeros(self.batch, self.features, dtype=torch.float64)
        for i in range(0, len(alphas), _ROWS):
            part = self._call(alphas[i : i + _ROWS], gradient=True)[1]
            total += torch.einsum("n,bnf->bf", torch.from_numpy(weights[i : i + _ROWS]), part)
        self.points += len(alphas)
        return total

    def _call(self, alphas: np.ndarray, *, gradient: bool) -> tuple[Tensor, Tensor]:
        n = len(alphas)
        points, steps = [], []
        for x, b in zip(self._inputs, self._baselines, strict=True):
            at = torch.from_numpy(alphas).to(x.dtype).view(1, n, *[1] * (x.dim() - 1))
            step = (x - b).unsqueeze(1)
            points.append((b.unsqueeze(1) + at * step).flatten(0, 1).requires_grad_(gradient))
            steps.append(step)
        with torch.set_grad_enabled(gradient or _needs_gradients(self.case)):
            output = self._module(*points, *(_repeated(one, n, self.batch) for one in self._extra))
            chosen = output if self.case.target is None else _chosen(output, self.case.target)
            chosen = chosen.reshape(self.batch * n)
        values = chosen.detach().double().view(self.batch, n)
        if not gradient:
            return values, values
        found = torch.autograd.grad(chosen.sum(), points, materialize_grads=True)
        maps = [
            (g.unflatten(0, (self.batch, n)).double() * step.double()).flatten(2)
            for g, step in zip(found, steps, strict=True)
        ]
        return values, torch.cat(maps, 2)


def in_float64(module: nn.Module) -> nn.Module:
    """A copy. That of a traced module has parameters that are no leaves, which torch remarks on as it casts them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
        return copy.deepcopy(module).double()


def _needs_gradients(case: Case) -> bool:
    return getattr(case.module, "needs_gradients", False)


def _chosen(output: Tensor, target: int | tuple[int, ...]) -> Tensor:
    return output[(slice(None), *((target,) if isinstance(target, int) else target))]


def _floating(one: object, kind: torch.dtype) -> object:
    return one.to(kind) if isinstance(one, Tensor) and one.is_floating_point() else one


def _repeated(one: object, n: int, batch: int) -> object:
    """As the engine has it: tensors whose first dimension is the batch follow their example."""
    if isinstance(one, Tensor) and one.dim() and len(one) == batch:
        return one.repeat_interleave(n, 0)
    return one


@cache
def gauss(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (1 + x) / 2, w / 2


def graded(case: Case) -> np.ndarray:
    """Ends of pieces: even ones, and halved toward both ends of the path and toward each place."""
    # What jumps is seen only where a point of the rule lies beyond it.
    even = 256 if case.jumps else 32
    steps = 2.0 ** -np.arange(5, 50 if case.singular else 24)
    near = [p + s * steps for p in case.places for s in (-1, 1)]
    ends = np.concatenate([np.arange(even + 1) / even, steps, 1 - steps[:44], np.array(case.places), *near])
    ends = np.unique(ends[(ends >= 0) & (ends <= 1)])
    return ends[np.concatenate([[True], np.diff(ends) > 1e-15])]


def reference(case: Case, goal: float = GOAL, most: int = MOST) -> Reference:
    """The map, to `goal` if `most` points are enough for that; `error` says what came out."""
    gradients = Gradients(case, double=True)
    ends = gradients.values(np.array([0.0, 1.0]))
    difference = ends[:, 1] - ends[:, 0]
    if case.exact is not None:
        known = case.exact()
        return Reference(known, 1e-12, 0, difference, difference - known.sum(1))
    found, error = _halved(gradients, graded(case), goal, most)
    left = difference - found.sum(1)
    if not case.jumps:
        error = max(error, float((left.abs() / found.norm(dim=1)).max()))
    return Reference(found, error, gradients.points, difference, left)


def _halved(gradients: Gradients, ends: np.ndarray, goal: float, most: int) -> tuple[Tensor, float]:
    """Integrals by pieces, and the error: pieces that are most in doubt are halved until what is left is within `goal`.

    The doubts of pieces are of all signs, so that their squares add up.
    """
    pieces = _looked_at(gradients, ends[:-1], np.diff(ends), None)
    while True:
        total = pieces.sums.sum(0)
        doubts = (pieces.doubts / total.norm(dim=1).clamp_min(1e-300)).amax(1).numpy()
        order = np.argsort(doubts)
        squares = np.cumsum(doubts[order] ** 2)
        error = float(np.sqrt(squares[-1]))
        bad = np.sort(order[np.sqrt(squares) > goal / 2])
        if error <= goal or gradients.points >= most or (pieces.widths[bad] < 1e-14).all():
            return total, error
        pieces = _joined(pieces.but(bad), _halves(gradients, pieces, bad))


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Pieces of the path: integrals of their `halves` (pieces, 2, batch, features), and `doubts` (pieces, batch)."""

    starts: np.ndarray
    widths: np.ndarray
    halves: Tensor
    doubts: Tensor

    @property
    def sums(self) -> Tensor:
        return self.halves.sum(1)

    def but(self, bad: np.ndarray) -> _Pieces:
        keep = np.setdiff1d(np.arange(len(self.starts)), bad)
        at = torch.from_numpy(keep)
        return _Pieces(self.starts[keep], self.widths[keep], self.halves[at], self.doubts[at])


def _joined(one: _Pieces, other: _Pieces) -> _Pieces:
    return _Pieces(
        np.concatenate([one.starts, other.starts]),
        np.concatenate([one.widths, other.widths]),
        torch.cat([one.halves, other.halves]),
        torch.cat([one.doubts, other.doubts]),
    )


def _halves(gradients: Gradients, pieces: _Pieces, bad: np.ndarray) -> _Pieces:
    widths = pieces.widths[bad] / 2
    starts = np.stack([pieces.starts[bad], pieces.starts[bad] + widths], 1).reshape(-1)
    known = pieces.halves[torch.from_numpy(bad)].flatten(0, 1)
    return _looked_at(gradients, starts, np.repeat(widths, 2), known)


def _looked_at(gradients: Gradients, starts: np.ndarray, widths: np.ndarray, whole: Tensor | None) -> _Pieces:
    """Each piece is compared with its two halves, and with what F gains there, which shows kinks between its end and
    the first point of the rule."""
    if whole is None:
        whole = _integrals(gradients, starts, widths)
    begins = np.stack([starts, starts + widths / 2], 1).reshape(-1)
    halves = _integrals(gradients, begins, np.repeat(widths / 2, 2)).unflatten(0, (-1, 2))
    doubts = (halves.sum(1) - whole).norm(dim=2)
    if not gradients.case.jumps:
        gained = gradients.values(starts + widths) - gradients.values(starts)
        doubts = torch.maximum(doubts, (halves.sum((1, 3)) - gained.T).abs())
    return _Pieces(starts, widths, halves, doubts)


def _integrals(gradients: Gradients, starts: np.ndarray, widths: np.ndarray) -> Tensor:
    """(pieces, batch, features), each by Gauss's rule."""
    x, w = gauss(_KINKED_ORDER if gradients.case.kinked else _ORDER)
    rows = max(1, _ROWS // len(x))
    found = []
    for i in range(0, len(starts), rows):
        s, h = starts[i : i + rows], widths[i : i + rows]
        maps = gradients.at((s[:, None] + h[:, None] * x).reshape(-1)).unflatten(1, (len(s), len(x)))
        found.append(torch.einsum("pn,bpnf->pbf", torch.from_numpy(h[:, None] * w), maps))
    return torch.cat(found)
