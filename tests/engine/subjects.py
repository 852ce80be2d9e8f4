"""Subjects of the tests: generated models, two of them with exact answers, and a reference of its own.

Nothing here uses the engine: points, weights and sums are written out a second time.
"""

from __future__ import annotations

import copy
import itertools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

METHODS = ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid", "gausslegendre")
seeds = st.integers(0, 2**16)
methods = st.sampled_from(METHODS)
# A model call costs about a millisecond: so many examples keep the suite within a minute.
few = settings(max_examples=25)
SECONDS = 60.0  # nothing takes so long; what does, hangs


def smallest(method: str) -> int:
    """The least number of points that a rule takes."""
    return 2 if method == "riemann_trapezoid" else 1


# ------------------------------------------------------------------ a reference


def points(method: str, n: int) -> tuple[list[float], list[float]]:
    """Alphas and weights of a rule, from its definition."""
    if method == "gausslegendre":  # Golub and Welsch: eigenvalues of the Jacobi matrix
        k = np.arange(1, n)
        off = k / np.sqrt(4.0 * k**2 - 1)
        values, vectors = np.linalg.eigh(np.diag(off, 1) + np.diag(off, -1))
        return ((1 + values) / 2).tolist(), (vectors[0] ** 2).tolist()
    if method == "riemann_trapezoid":
        ends = [0.5 if i in (0, n - 1) else 1.0 for i in range(n)]
        return [i / (n - 1) for i in range(n)], [e / (n - 1) for e in ends]
    shift = {"riemann_left": 0.0, "riemann_right": 1.0, "riemann_middle": 0.5}[method]
    return [(i + shift) / n for i in range(n)], [1 / n] * n


def reference(
    forward: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    baselines: tuple[Tensor, ...],
    choose: Callable[[Tensor], Tensor],
    method: str,
    n: int,
) -> tuple[Tensor, ...]:
    """Integrated Gradients in float64, one alpha after the other. `choose` picks (batch,) from the output."""
    xs, bs = [x.double() for x in inputs], [b.double().expand(x.shape) for b, x in zip(baselines, inputs, strict=True)]
    sums = [torch.zeros_like(x) for x in xs]
    for alpha, weight in zip(*points(method, n), strict=True):
        at = [(b + alpha * (x - b)).requires_grad_() for x, b in zip(xs, bs, strict=True)]
        gradients = torch.autograd.grad(choose(forward(*at)).sum(), at)
        for total, gradient in zip(sums, gradients, strict=True):
            total += weight * gradient
    return tuple((x - b) * s for x, b, s in zip(xs, bs, sums, strict=True))


def in_float64(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).double()


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference over the largest value."""
    scale = float(theirs.abs().max())
    difference = float((ours.double() - theirs.double()).abs().max())
    return difference / scale if scale else difference


# ------------------------------------------------------------------ generated models


def draw(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


class Scores(nn.Module):
    """A small network of any number of inputs (rows, ...), that returns rows of shape `row`."""

    def __init__(
        self,
        shapes: list[tuple[int, ...]],
        row: tuple[int, ...] = (),
        *,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        seed: int = 0,
        hidden: int = 6,
    ) -> None:
        super().__init__()
        features = sum(math.prod(shape) for shape in shapes)
        self.row, self.activation = row, activation
        self.inner = nn.Parameter(draw(seed, hidden, features) / features**0.5)
        self.shift = nn.Parameter(draw(seed + 1, hidden))
        self.outer = nn.Parameter(draw(seed + 2, math.prod(row), hidden))

    def forward(self, *inputs: Tensor) -> Tensor:
        flat = torch.cat([x.flatten(1) for x in inputs], dim=1)
        hidden = self.activation(F.linear(flat, self.inner, self.shift))
        return F.linear(hidden, self.outer).reshape(len(flat), *self.row)


class ConvScores(nn.Module):
    """Two convolutions and a linear layer, for images (rows, 3, 6, 6)."""

    def __init__(self, row: tuple[int, ...] = (), *, seed: int = 0, flatten: str = "flatten") -> None:
        super().__init__()
        self.row, self.flatten = row, flatten
        self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 4, 3, stride=2)
        self.last = nn.Linear(4 * 2 * 2, math.prod(row))
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(seed + i, *parameter.shape) / parameter[0].numel() ** 0.5
        self.double()
        self.formats: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.formats.append(x.is_contiguous(memory_format=torch.channels_last))
        x = torch.tanh(self.second(F.softplus(self.first(x))))
        x = x.view(len(x), -1) if self.flatten == "view" else x.flatten(1)
        return self.last(x).reshape(len(x), *self.row)


class Counting(nn.Module):
    """Wraps a function and writes down the rows that go through it: with and without a gradient."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function
        self.seen: list[Tensor] = []
        self.with_gradient: list[int] = []
        self.without_gradient: list[int] = []

    def forward(self, x: Tensor, *rest: object) -> Tensor:
        self.seen.append(x.detach().clone())
        (self.with_gradient if x.requires_grad else self.without_gradient).append(len(x))
        return self.function(x, *rest)

    @property
    def rows(self) -> int:
        return sum(self.with_gradient) + sum(self.without_gradient)


class Meeting(nn.Module):
    """Holds the first pass of each of two threads until both are in the model."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self._met = threading.local()
        self._barrier: threading.Barrier | None = None

    @contextmanager
    def meets(self) -> Iterator[None]:
        self._met, self._barrier = threading.local(), threading.Barrier(2)
        try:
            yield
        finally:
            self._barrier.abort()
            self._barrier = None

    def forward(self, x: Tensor) -> Tensor:
        if self._barrier is not None and not getattr(self._met, "it", False):
            self._met.it = True
            self._barrier.wait(SECONDS)
        return self.inner(x)


# ------------------------------------------------------------------ two families with exact answers


@dataclass(frozen=True)
class Waves:
    """F(x) = sum_j c_j sin(w_j . x + p_j): smooth, and its Integrated Gradients have a closed form."""

    w: Tensor  # (waves, features)
    c: Tensor
    p: Tensor
    x: Tensor  # (batch, features)
    b: Tensor

    def __call__(self, points: Tensor) -> Tensor:
        return torch.sin(points @ self.w.T + self.p) @ self.c

    @property
    def turns(self) -> Tensor:
        """How far each wave turns along each path (batch, waves)."""
        return (self.x - self.b) @ self.w.T

    def exact(self) -> Tensor:
        start, end = self.b @ self.w.T + self.p, self.x @ self.w.T + self.p
        mean_slope = (torch.sin(end) - torch.sin(start)) / self.turns
        return (self.x - self.b) * ((self.c * mean_slope) @ self.w)

    def slope_bound(self, k: int) -> Tensor:
        """Bounds |d^k/dalpha^k of (x_i - b_i) dF/dx_i| on the path, (batch, features)."""
        return (self.x - self.b).abs() * ((self.c.abs() * self.turns.abs() ** k) @ self.w.abs())

    def rule_bound(self, method: str, n: int) -> Tensor:
        """The textbook bound of a rule's error, (batch, features)."""
        if method in ("riemann_left", "riemann_right"):
            return self.slope_bound(1) / (2 * n)
        if method == "riemann_middle":
            return self.slope_bound(2) / (24 * n**2)
        if method == "riemann_trapezoid":
            return self.slope_bound(2) / (12 * (n - 1) ** 2)
        factor = math.exp(4 * math.lgamma(n + 1) - 3 * math.lgamma(2 * n + 1)) / (2 * n + 1)
        return self.slope_bound(2 * n) * factor


def waves(seed: int, batch: int, features: int, count: int = 4) -> Waves:
    return Waves(
        w=draw(seed, count, features),
        c=draw(seed + 1, count),
        p=draw(seed + 2, count),
        x=draw(seed + 3, batch, features),
        b=draw(seed + 4, batch, features),
    )


@dataclass(frozen=True)
class ReluNetwork:
    """A ReLU network of one scalar. Along a path it is piecewise linear, so its attribution is a finite sum."""

    layers: tuple[tuple[Tensor, Tensor], ...]

    def __call__(self, points: Tensor) -> Tensor:
        for weight, bias in self.layers[:-1]:
            points = F.relu(F.linear(points, weight, bias))
        return F.linear(points, *self.layers[-1])[:, 0]

    def pieces(self, x: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Widths (pieces,) and gradients (pieces, features) of the linear pieces from `b` to `x`, (features,)."""
        edges = torch.tensor([0.0, 1.0], dtype=torch.float64)
        for depth in range(len(self.layers) - 1):
            values = torch.lerp(b, x, edges[:, None])
            for weight, bias in self.layers[:depth]:
                values = F.relu(F.linear(values, weight, bias))
            before = F.linear(values, *self.layers[depth])  # linear in alpha between the edges found so far
            low, high = before[:-1], before[1:]
            share = (low / (low - high))[(low * high) < 0]
            start, width = (t[:, None].expand_as(low)[(low * high) < 0] for t in (edges[:-1], edges.diff()))
            edges = torch.cat([edges, start + share * width]).unique()
        middles = torch.lerp(b, x, ((edges[:-1] + edges[1:]) / 2)[:, None]).requires_grad_()
        (gradients,) = torch.autograd.grad(self(middles).sum(), middles)
        return edges.diff(), gradients

    def exact(self, x: Tensor, b: Tensor) -> Tensor:
        widths, gradients = self.pieces(x, b)
        return (x - b) * (widths @ gradients)

    def variation(self, x: Tensor, b: Tensor) -> Tensor:
        """Total variation along alpha of (x_i - b_i) dF/dx_i, (features,)."""
        return (x - b).abs() * self.pieces(x, b)[1].diff(dim=0).abs().sum(0)


def relu_network(seed: int, features: int, *hidden: int, bias: bool = True) -> ReluNetwork:
    sizes = (features, *hidden, 1)
    return ReluNetwork(
        tuple(
            (draw(seed + i, out, inn) * (2 / inn) ** 0.5, draw(seed + 100 + i, out) * (0.3 if bias else 0.0))
            for i, (inn, out) in enumerate(itertools.pairwise(sizes))
        )
    )
