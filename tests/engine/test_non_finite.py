"""NaN and infinity are reported with the smallest alpha sampled at which they are, and never returned."""

from __future__ import annotations

import math
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute, refine
from ig_widgets.engine.errors import IGError, NonFiniteError
from tests.engine.subjects import METHODS, few, methods, points, smallest

# From zeros to ones each feature of a point is its alpha.
ONES = torch.ones(1, 2, dtype=torch.float64)


class Hole:
    """NaN (or infinite) for low < alpha < high, in the output, in the gradient alone, or in both."""

    def __init__(self, low: float, high: float, what: str = "nan") -> None:
        self.low, self.high, self.what = low, high, what

    def __contains__(self, alpha: float) -> bool:
        return self.low < alpha < self.high

    def __call__(self, at: Tensor) -> Tensor:
        inside = (at.detach()[:, 0] > self.low) & (at.detach()[:, 0] < self.high)
        if self.what == "both":
            return at.sum(1) * torch.where(inside, torch.nan, 1.0)
        if self.what == "gradient":  # sqrt of 0 is 0, and its slope infinite
            return at.sum(1) + torch.sqrt(torch.where(inside, at[:, 0] * 0, torch.ones_like(at[:, 0])))
        return torch.where(inside, torch.full_like(at[:, 0], float(self.what)), at.sum(1))


@few
@given(
    methods,
    st.integers(1, 40),
    st.sampled_from([1, 7, None]),
    st.floats(-0.2, 1.1),
    st.floats(0.001, 1.2),
    st.sampled_from(["nan", "inf", "-inf"]),
    st.booleans(),
)
def test_the_alpha_is_the_smallest_of_all(
    method: str, n: int, chunk: int | None, low: float, width: float, what: str, progressive: bool
) -> None:
    n = max(n, smallest(method))
    hole = Hole(low, low + width, what)
    expected = min((a for a in [0.0, *points(method, n)[0], 1.0] if a in hole), default=None)
    options = {"method": method, "n_steps": n, "chunk_size": chunk}

    def run() -> None:
        if progressive:
            list(refine(hole, ONES, **options))  # type: ignore[arg-type]
        else:
            attribute(hole, ONES, **options)  # type: ignore[arg-type]

    if expected is None:
        run()
        return
    with pytest.raises(NonFiniteError) as raised:
        run()
    assert raised.value.alpha == pytest.approx(expected, rel=0, abs=1e-13)
    assert f"alpha = {expected:.4g}" in str(raised.value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunk_size", [1, 7, None])
@pytest.mark.parametrize("what", ["nan", "gradient", "both"])
def test_beyond_0_37(method: str, chunk_size: int | None, what: str) -> None:
    hole = Hole(0.37, math.inf, what)
    first = min(a for a in points(method, 50)[0] if a > 0.37)
    with pytest.raises(NonFiniteError, match="NaN or infinite") as raised:
        attribute(hole, ONES, method=method, n_steps=50, chunk_size=chunk_size)
    assert raised.value.alpha == pytest.approx(first, rel=0, abs=1e-13)
    assert isinstance(raised.value, IGError)
    assert isinstance(raised.value, ArithmeticError)
    assert ("the gradient" if what == "gradient" else "forward_func's output") in str(raised.value)


@pytest.mark.parametrize("chunk_size", [1, 5, None])
def test_the_example_is_named(chunk_size: int | None) -> None:
    """Of three examples the last goes wrong, and the second does later on."""
    scale = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)[:, None]
    with pytest.raises(NonFiniteError, match="example 2") as raised:
        attribute(
            Hole(1.5, math.inf), ONES.expand(3, 2) * scale, method="riemann_middle", n_steps=64, chunk_size=chunk_size
        )
    assert raised.value.alpha == min(a for a in points("riemann_middle", 64)[0] if 4 * a > 1.5)


def test_a_gradient_that_only_its_own_rule_meets() -> None:
    """sqrt has an infinite slope at zero: a left sum asks there, a middle sum does not."""
    with pytest.raises(NonFiniteError, match="gradient") as raised:
        attribute(lambda at: at.sqrt().sum(1), ONES, method="riemann_left", n_steps=8)
    assert raised.value.alpha == 0
    assert torch.isfinite(attribute(lambda at: at.sqrt().sum(1), ONES, n_steps=8).attributions).all()


@pytest.mark.parametrize(("hole", "alpha", "end"), [(Hole(-1, 0.001), 0.0, "baseline"), (Hole(0.999, 2), 1.0, "input")])
def test_an_end_that_no_sample_meets(hole: Hole, alpha: float, end: str) -> None:
    with pytest.raises(NonFiniteError, match=f"at the {end}") as raised:
        attribute(hole, ONES, n_steps=16)
    assert raised.value.alpha == alpha


def test_refine_shows_nothing_with_nan_in_it() -> None:
    """F(x) is known to be NaN from the start, and with it every delta."""
    shown: list[Attribution] = []
    with pytest.raises(NonFiniteError):
        shown.extend(refine(Hole(0.999, 2), ONES, n_steps=16, chunk_size=1))
    assert all(torch.isfinite(item.output).all() and torch.isfinite(item.convergence_delta).all() for item in shown)


@pytest.mark.parametrize("stop_at", [3, 16])
def test_cancelling_does_not_let_nan_through(stop_at: int) -> None:
    cancel = threading.Event()

    def on_progress(done: int, total: int) -> None:
        if done >= stop_at:
            cancel.set()

    try:
        result = attribute(Hole(0.999, 2), ONES, n_steps=16, chunk_size=1, on_progress=on_progress, cancel=cancel)
    except NonFiniteError:
        return
    except IGError as cancelled:
        result = getattr(cancelled, "partial", None)
    assert result is None or torch.isfinite(result.convergence_delta).all()


@pytest.mark.parametrize("name", ["inputs", "baselines"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_ends_are_refused_before_anything_runs(name: str, value: float) -> None:
    ends = {"inputs": ONES.clone(), "baselines": torch.zeros_like(ONES)}
    ends[name][0, 1] = value
    with pytest.raises(ValueError, match=f"{name} holds NaN or infinite"):
        attribute(lambda at: pytest.fail("called"), **ends)  # type: ignore[arg-type]
