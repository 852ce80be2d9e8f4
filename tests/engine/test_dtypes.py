"""Narrow and wide dtypes, and CUDA where there is one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import ConvergenceWarning
from tests.engine.subjects import METHODS, ConvScores, Scores, draw, points, relative

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
HALF = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_error_of_a_square_is_one_rounding(dtype: torch.dtype, method: str) -> None:
    """F = sum x^2 / 2 has the gradient x, so all error is that of the points and of the result, whatever n is.

    Adding up 300 samples in bfloat16 would be off by tens of per cent; weights in bfloat16 by one.
    """
    x = draw(1, 2, 40).to(dtype)
    result = attribute(lambda at: (at * at).sum(1) / 2, x, method=method, n_steps=300)
    alphas, weights = points(method, 300)
    exact = x.double() ** 2 * float(np.dot(alphas, weights))
    assert result.attributions.dtype == dtype
    sum_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    error = (result.attributions.double() - exact).abs()
    # Half an eps of the point and half an eps of the result; the sum of n products has n roundings of its own.
    bound = torch.finfo(dtype).eps + 300 * torch.finfo(sum_dtype).eps
    assert (error <= bound * x.double() ** 2 + torch.finfo(dtype).tiny).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_n_distinct_points_are_used(dtype: torch.dtype, method: str) -> None:
    """Of points of which difference and product are rounded as well some coincide (Captum: 292 of 300 differ)."""
    n, seen = 300, []

    def forward(at: Tensor) -> Tensor:
        if at.requires_grad:
            seen.append(at.detach().clone())
        return at.sum(1)

    result = attribute(
        forward, draw(1, 1, 400).to(dtype), baselines=draw(2, 1, 400).to(dtype), method=method, n_steps=n
    )
    assert len(torch.cat(seen).unique(dim=0)) == n
    assert len(result.path.alphas.unique()) == n
    assert result.path.alphas.dtype == torch.float64


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_the_weights_of_gausslegendre_are_not_rounded(dtype: torch.dtype) -> None:
    x = torch.ones(1, 3, dtype=dtype)
    result = attribute(lambda at: at.sum(1), x, method="gausslegendre", n_steps=300)
    assert torch.equal(result.attributions, x)
    assert result.path.density.eq(3).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cells_are_left_where_rounding_hides_their_sums(dtype: torch.dtype) -> None:
    """What cells miss of F is the only sign that the secant rule has misread a model; in half precision it is void."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1)).eval().to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = attribute(model, draw(1, 1, 16).to(dtype), tol=0.05, max_evaluations=100)
    assert (result.method != "secant") == ("rounding hides" in result.reason) == (dtype in HALF)


def test_many_cells_in_single_precision_hold() -> None:
    """The most that rounding could hide in each adds up to more than the tolerance; what is missing does not."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)).eval()
    x = 30 * draw(1, 1, 32).float().repeat_interleave(2, 1)
    # What pairs of features do cancels, so that attributions are far larger than what F changes.
    result = attribute(lambda v: model(v) + 10 * (v[:, ::2] - v[:, 1::2]).sum(1, True), x, baselines=1.0, tol=0.002)
    assert result.converged
    assert result.method == "secant"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_network_in_each_dtype(dtype: torch.dtype) -> None:
    model = Scores([(4,)], (3,), seed=1).to(dtype)
    x, b = draw(2, 2, 4).to(dtype), draw(3, 2, 4).to(dtype)
    result = attribute(model, x, baselines=b, target=1, n_steps=16)
    exact = attribute(model.double(), x.double(), baselines=b.double(), target=1, n_steps=16)
    assert result.attributions.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert result.convergence_delta.dtype == result.output.dtype == result.baseline_output.dtype == wide
    # Six hidden units deep, a few roundings each.
    assert relative(result.attributions, exact.attributions) <= 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_the_delta_does_not_suffer_from_leaving_out_the_factor(dtype: torch.dtype) -> None:
    """The factor is put back for the delta, which is the same number, whatever x - x' rounds to."""
    x, b = draw(2, 3, 20).to(dtype), draw(3, 3, 20).to(dtype)
    forward = lambda at: at.float().tanh().sum(1) * 100  # noqa: E731
    # Of the same chunks: a size that is found by trying differs from run to run, and so does rounding.
    full = attribute(forward, x, baselines=b, n_steps=64, chunk_size=64)
    mean = attribute(forward, x, baselines=b, n_steps=64, chunk_size=64, multiply_by_inputs=False)
    torch.testing.assert_close(mean.convergence_delta, full.convergence_delta, rtol=1e-5, atol=1e-5)


def test_float16_where_the_difference_overflows() -> None:
    """x - x' is 120 000, beyond float16; the gradient and the sum are not."""
    x, b = torch.full((1, 1), 6e4, dtype=torch.float16), torch.full((1, 1), -6e4, dtype=torch.float16)
    result = attribute(lambda at: at[:, 0].float() / 1000, x, baselines=b, n_steps=4)
    assert float(result.attributions) == pytest.approx(120, rel=1e-3)
    mean = attribute(lambda at: at[:, 0].float() / 1000, x, baselines=b, n_steps=4, multiply_by_inputs=False)
    assert abs(float(mean.convergence_delta)) < 0.2


def test_inputs_of_two_dtypes() -> None:
    model = Scores([(3,), (2,)], seed=1)
    inputs = (draw(1, 2, 3).float(), draw(2, 2, 2))
    result = attribute(lambda a, b: model(a.double(), b), inputs, n_steps=8)
    assert [a.dtype for a in result.attributions] == [torch.float32, torch.float64]
    exact = attribute(model, (inputs[0].double(), inputs[1]), n_steps=8)
    for ours, theirs in zip(result.attributions, exact.attributions, strict=True):
        assert relative(ours, theirs) <= 1e-6


@pytest.mark.parametrize("method", ["gausslegendre", "secant"])
def test_a_default_device_that_is_not_that_of_the_inputs(method: str) -> None:
    """`torch.set_default_device("cuda")` is common; here `meta` stands in for it."""
    model, x = Scores([(4,)], seed=1), draw(2, 2, 4)
    expected = attribute(model, x, method=method, n_steps=8)
    with torch.device("meta"):
        got = attribute(model, x, method=method, n_steps=8)
    torch.testing.assert_close(got.attributions, expected.attributions)


@pytest.mark.parametrize("target", [2, (1, 0), [(0, 1), (1, 2)], torch.tensor([0, 1])], ids=str)
def test_targets_of_any_form_beside_another_default_device(target: Any) -> None:
    several = not isinstance(target, int | Tensor)
    model, x = Scores([(4,)], (2, 3) if several else (3,), seed=1), draw(2, 2, 4)
    expected = attribute(model, x, target=target, n_steps=4)
    with torch.device("meta"):
        got = attribute(model, x, target=target, n_steps=4)
    torch.testing.assert_close(got.attributions, expected.attributions)


def test_under_autocast() -> None:
    model, x = torch.nn.Linear(4, 1), draw(2, 2, 4, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attribute(model, x, n_steps=8)
    assert result.attributions.dtype == torch.float32
    assert relative(result.attributions, x * model.weight.detach()) <= 2 * torch.finfo(torch.bfloat16).eps


# ------------------------------------------------------------------ CUDA

cuda = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def on_cuda(test: object) -> object:
    for mark in cuda:
        test = mark(test)  # type: ignore[operator]
    return test


@on_cuda
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-11)], ids=str)
def test_cuda_agrees_with_the_cpu(method: str, dtype: torch.dtype, bound: float) -> None:
    model, x, b = Scores([(4,)], (3,), seed=1).to(dtype), draw(2, 3, 4).to(dtype), draw(3, 1, 4).to(dtype)
    options = {"target": [0, 2, 1], "method": method, "n_steps": 16}
    here = attribute(model, x, baselines=b, **options)  # type: ignore[arg-type]
    there = attribute(model.cuda(), x.cuda(), baselines=b, **options)  # type: ignore[arg-type]
    assert there.attributions.device.type == there.output.device.type == there.convergence_delta.device.type == "cuda"
    assert there.path.density.device.type == "cpu"
    assert relative(there.attributions.cpu(), here.attributions) <= bound
    assert relative(there.path.cumulative(0.4).cpu(), here.path.cumulative(0.4)) <= bound  # type: ignore[union-attr]


@on_cuda
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_cuda_in_half_precision(dtype: torch.dtype) -> None:
    model, x = Scores([(4,)], seed=1).to(dtype).cuda(), draw(2, 3, 4).to(dtype).cuda()
    result = attribute(model, x, n_steps=16)
    exact = attribute(model.double(), x.double(), n_steps=16)
    assert result.attributions.dtype == dtype
    assert relative(result.attributions, exact.attributions) <= 8 * torch.finfo(dtype).eps


@on_cuda
@pytest.mark.parametrize("chunk_size", [1, 7, None])
def test_cuda_random_state_is_left(chunk_size: int | None) -> None:
    model, x = Scores([(4,)], seed=1).cuda(), draw(2, 3, 4).cuda()
    before = torch.cuda.get_rng_state()
    attribute(lambda at: model(torch.nn.functional.dropout(at)), x, n_steps=16, chunk_size=chunk_size)
    assert torch.equal(before, torch.cuda.get_rng_state())


@on_cuda
def test_cuda_images() -> None:
    model, x = ConvScores((3,), seed=1), draw(2, 2, 3, 6, 6)
    here = attribute(model, x, target=1, n_steps=8)
    there = attribute(model.cuda(), x.cuda(), target=1, n_steps=8)
    assert relative(there.attributions.cpu(), here.attributions) <= 1e-10
