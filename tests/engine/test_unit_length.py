"""The average slope of d over its length: what quadrature gives, complete, bounded where a cell begins at zero."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import draw, few, relative, seeds
from tests.engine.test_rows import cells, excess

Function = Callable[[Tensor], Tensor]


def quadrature(function: Function, b: Tensor, x: Tensor) -> Tensor:
    """Integrated Gradients by Gauss's rule of 40 points on pieces graded toward the middle and both ends."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    half = [0.0, *(0.5 * 2.0**-k for k in range(60, -1, -1))]
    edges = sorted({*half, *(1 - e for e in half), *(0.5 - e / 2 for e in half), *(0.5 + e / 2 for e in half)})
    total = torch.zeros_like(x)
    for low, high in pairwise(edges):
        alphas = torch.from_numpy(low + (high - low) * (nodes + 1) / 2)
        at = (b + alphas[:, None] * (x - b)).requires_grad_()
        (gradient,) = torch.autograd.grad(function(at).sum(), at)
        total += (torch.from_numpy(weights)[:, None] * gradient).sum(0, keepdim=True) * (high - low) / 2
    return (x - b) * total


NORMS: dict[str, Function] = {
    "layer_norm": lambda x: F.layer_norm(x, (6,), draw(1, 6), draw(2, 6)),
    "rms_norm": lambda x: F.rms_norm(x, (6,), draw(1, 6), eps=1e-5),
    "group_norm": lambda x: F.group_norm(x, 2, draw(1, 6)),
    "instance_norm": lambda x: F.instance_norm(x.view(-1, 2, 3)).flatten(1),
    "normalize": lambda x: F.normalize(x, eps=1e-9),
    "llama": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "t5": lambda x: 2 * (x.to(torch.float64) * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()),
    "squares in another dtype": lambda x: x * torch.rsqrt(x.to(torch.float32).double().pow(2).mean(-1, True) + 1e-6),
    "written out": lambda x: x / ((x * x).sum(dim=1, keepdim=True) + 1e-4).sqrt(),
}
WEIGHTS = draw(7, 6)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("start", ["zero", "opposite", "any", "near"])
def test_one_cell_is_integrated_gradients(name: str, start: str) -> None:
    """The norm is the only thing that bends, so that its mean slope is all."""
    x = draw(5, 1, 6)
    b = {"zero": 0 * x, "opposite": -x, "any": draw(6, 1, 6), "near": x + 1e-7 * draw(6, 1, 6)}[start]

    def model(v: Tensor) -> Tensor:
        return NORMS[name](v) @ WEIGHTS

    result = attribute(model, x, baselines=b, method="secant", n_steps=1)
    assert isinstance(result.attributions, Tensor)
    assert result.fallbacks == ()
    # A clamped length is rounded off below 1e-9, which the integral sees only on a line through zero.
    tolerance = 0.05 if name == "normalize" and start in ("zero", "opposite") else 1e-7
    # The length itself is known to single precision alone.
    rounding, tolerance = (1e-6, 1e-5) if "dtype" in name else (1e-12, tolerance)
    exact = quadrature(model, b, x)
    assert relative(result.attributions, exact) < tolerance
    assert float(result.convergence_delta.abs()) < rounding


@few
@given(seeds, st.floats(-6, 6), st.floats(-3, 3), st.sampled_from([torch.float32, torch.float64]))
def test_a_cell_is_complete_at_any_size(seed: int, size: float, apart: float, dtype: torch.dtype) -> None:
    """Ends of sizes so far apart that the path itself loses the smaller one are no matter of the rule."""
    b, x = 10**size * draw(seed, 2, 6), 10 ** (size + apart) * draw(seed + 1, 2, 6)

    def model(v: Tensor) -> Tensor:
        return F.layer_norm(v, (6,)) @ WEIGHTS.to(v.dtype)

    assert excess(cells(model, x.to(dtype), 2, b.to(dtype))) < 1


@few
@given(seeds)
def test_a_norm_behind_zero_costs_a_logarithm(seed: int) -> None:
    """A single cell attributes no more than a few times what F rises by, however short the baseline is."""

    def model(x: Tensor) -> Tensor:
        return (F.layer_norm(x, (6,), eps=1e-12) @ draw(seed, 6, 6)).tanh().sum(1)

    result = attribute(model, draw(seed + 9, 2, 6), method="secant", n_steps=1)
    assert isinstance(result.attributions, Tensor)
    assert float(result.attributions.abs().max()) < 1e3
    assert float(result.convergence_delta.abs().max()) < 1e-9


AFTERWARDS: dict[str, Function] = {
    "times a number": lambda r: r * 3,
    "and a number": lambda r: r + 0.5,
    "its root": lambda r: r.sqrt(),
    "clamped": lambda r: r.clamp(min=0.1),
    "one over it": lambda r: r.reciprocal(),
    "its square": lambda r: r.square(),
    "its mean": lambda r: r.mean(-1, keepdim=True),
    "in another dtype": lambda r: r.float().double(),
    "expanded": lambda r: r.expand(-1, 6),
}


@pytest.mark.parametrize("name", AFTERWARDS)
@pytest.mark.parametrize("n", [1, 3])
def test_what_is_made_of_one_over_a_length_is_complete(name: str, n: int) -> None:
    """Whatever is made of it and multiplied with the vector: it is one over the length no more, or still is."""

    def model(x: Tensor) -> Tensor:
        return (x * AFTERWARDS[name](torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))) @ WEIGHTS

    result = attribute(model, draw(5, 2, 6), baselines=draw(6, 2, 6), method="secant", n_steps=n)
    assert result.fallbacks == ()
    rounding = 1e-6 if "dtype" in name else 1e-12
    assert float(result.convergence_delta.abs().max()) < rounding


EXPANDED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "length": lambda x, norm: x / norm.clamp_min(1e-9).expand_as(x),
    "inverse": lambda x, norm: x * norm.reciprocal().expand(x.shape),
    "in another dtype and back": lambda x, norm: x / norm.float().type_as(x),
}


@pytest.mark.parametrize("name", EXPANDED)
@pytest.mark.parametrize("n", [1, 2])
def test_a_length_that_is_expanded_or_cast_is_still_one(name: str, n: int) -> None:
    """One cell of x / |x| is its mean Jacobian, however the length is brought to the shape and dtype of x."""
    x, b = draw(5, 1, 6), draw(6, 1, 6)

    def written(v: Tensor) -> Tensor:
        return EXPANDED[name](v, v.pow(2).sum(-1, keepdim=True).sqrt()).double() @ WEIGHTS

    result = attribute(written, x, baselines=b, method="secant", n_steps=n)
    exact = quadrature(lambda v: (v / v.norm(dim=1, keepdim=True)) @ WEIGHTS, b, x)
    assert relative(result.attributions, exact) < 1e-5
