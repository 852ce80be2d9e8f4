"""What may be given: inputs, baselines, targets, further arguments, and outputs of every allowed form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import OutputError
from tests.engine.subjects import METHODS, Scores, draw

X, ROW = draw(1, 3, 4), draw(2, 1, 4)
MODEL = Scores([(4,)], (5,), seed=9)
DEEP = Scores([(4,)], (2, 3), seed=10)


def kind_of(value: object) -> str:
    return type(value).__name__


def same(one: object, other: object) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("baselines", "full"),
    [
        (None, torch.zeros(3, 4)),
        (0.5, torch.full((3, 4), 0.5)),
        (2, torch.full((3, 4), 2.0)),
        (np.float64(0.25), torch.full((3, 4), 0.25)),
        (ROW, ROW.expand(3, 4)),
        (ROW[0], ROW.expand(3, 4)),
        (torch.tensor(0.5), torch.full((3, 4), 0.5)),
        (torch.ones(1, 4, dtype=torch.int64), torch.ones(3, 4)),
        ((ROW,), ROW.expand(3, 4)),
        ([ROW], ROW.expand(3, 4)),
        (lambda x: x.flip(0), X.flip(0)),
        (lambda x: 0.5, torch.full((3, 4), 0.5)),
        (lambda x: (x[:1],), X[:1].expand(3, 4)),
    ],
    ids=kind_of,
)
def test_baselines_broadcast(baselines: object, full: Tensor, dtype: torch.dtype) -> None:
    model, x = Scores([(4,)], (5,), seed=9).to(dtype), X.to(dtype)
    expected = attribute(model, x, baselines=full.to(dtype), target=1, n_steps=6, chunk_size=4)
    got = attribute(model, x, baselines=baselines, target=1, n_steps=6, chunk_size=4)  # type: ignore[arg-type]
    assert torch.equal(got.attributions, expected.attributions)
    assert torch.equal(got.baseline_output, expected.baseline_output)


def test_baselines_of_tuples() -> None:
    model = Scores([(4,), (2, 2), (3,)], seed=3)
    inputs = (X, draw(4, 3, 2, 2), draw(5, 3, 3))
    callable_ = lambda xs: (xs[0] * 0 + 1, None, draw(6, 1, 3))  # noqa: E731
    expected = attribute(
        model, inputs, baselines=(torch.ones(3, 4), torch.zeros(3, 2, 2), draw(6, 1, 3).expand(3, 3)), n_steps=6
    )
    for baselines in ((1, None, draw(6, 1, 3)), [1.0, 0, draw(6, 3)], callable_):
        got = attribute(model, inputs, baselines=baselines, n_steps=6)  # type: ignore[arg-type]
        for one, other in zip(got.attributions, expected.attributions, strict=True):
            same(one, other)
    number = attribute(model, inputs, baselines=0.5, n_steps=6)
    assert [a.shape for a in number.attributions] == [x.shape for x in inputs]


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_tuple_of_one_gives_a_tuple_of_one(kind: type) -> None:
    plain = attribute(MODEL, X, target=0, n_steps=5, chunk_size=15)
    packed = attribute(MODEL, kind([X]), target=0, n_steps=5, chunk_size=15)
    assert isinstance(packed.attributions, tuple)
    assert torch.equal(packed.attributions[0], plain.attributions)


@pytest.mark.parametrize(
    "target",
    [
        2,
        -3,
        (2,),
        np.int64(2),
        np.uint8(2),
        np.array(2),
        np.array([2, 2, 2]),
        torch.tensor(2),
        torch.tensor([2]),
        torch.tensor([2, -3, 2]),
        torch.tensor([2, 2, 2], dtype=torch.int32),
        [2],
        [2, -3, 2],
        [(2,), (2,), (-3,)],
        [np.int64(2), 2, torch.tensor(2)],
        range(2, 3),
    ],
    ids=kind_of,
)
def test_targets_that_mean_the_same(target: object) -> None:
    expected = attribute(lambda at: MODEL(at)[:, 2], X, n_steps=6)
    got = attribute(MODEL, X, target=target, n_steps=6)  # type: ignore[arg-type]
    same(got.attributions, expected.attributions)
    same(got.output, expected.output)


@pytest.mark.parametrize("chunk_size", [1, 2, 7, None])
@pytest.mark.parametrize("target", [[0, 4, -2], torch.tensor([0, 4, 3]), [(0,), (4,), (3,)]], ids=kind_of)
def test_each_example_its_own_target(target: object, chunk_size: int | None) -> None:
    got = attribute(MODEL, X, target=target, n_steps=6, chunk_size=chunk_size)  # type: ignore[arg-type]
    for i, position in enumerate((0, 4, 3)):
        alone = attribute(MODEL, X[i : i + 1], target=position, n_steps=6)
        same(got.attributions[i : i + 1], alone.attributions)


def test_targets_of_deeper_outputs() -> None:
    for i, j in itertools.product(range(2), range(3)):
        expected = attribute(lambda at, i=i, j=j: DEEP(at)[:, i, j], X, n_steps=4).attributions
        for target in ((i, j), (i - 2, j - 3), [(i, j)] * 3, [(i, j)]):
            same(attribute(DEEP, X, target=target, n_steps=4).attributions, expected)
    mixed = attribute(DEEP, X, target=[(0, 0), (1, 2), (0, 1)], n_steps=4).attributions
    same(mixed[1], attribute(DEEP, X, target=(1, 2), n_steps=4).attributions[1])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_number_a_row_needs_no_target(shape: tuple[int, ...]) -> None:
    model = Scores([(4,)], shape, seed=9)
    assert torch.equal(
        attribute(model, X, n_steps=5, chunk_size=5).attributions,
        attribute(lambda at: model(at).reshape(-1), X, n_steps=5, chunk_size=5).attributions,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunk_size", [1, 7, None])
def test_a_number_for_a_batch_of_one(method: str, chunk_size: int | None) -> None:
    """A function of one example that returns a 0-D tensor, and would add up the rows of a chunk."""
    model = Scores([(4,)], seed=9)
    expected = attribute(model, X[:1], method=method, n_steps=9)
    got = attribute(lambda at: model(at).sum(), X[:1], method=method, n_steps=9, chunk_size=chunk_size)
    same(got.attributions, expected.attributions)
    same(got.path.outputs, expected.path.outputs)
    assert got.output.shape == got.convergence_delta.shape == (1,)


def test_a_number_for_a_larger_batch_is_refused() -> None:
    with pytest.raises(OutputError, match="0-D output is allowed for a batch of one"):
        attribute(lambda at: MODEL(at).sum(), X, n_steps=4)


# ------------------------------------------------------------------ further arguments


@pytest.mark.parametrize("chunk_size", [1, 2, 7, None])
def test_tensors_with_a_batch_dimension_follow_their_example(chunk_size: int | None) -> None:
    scale = draw(7, 3, 4)
    got = attribute(
        lambda at, s: MODEL(at * s), X, target=1, additional_forward_args=scale, n_steps=6, chunk_size=chunk_size
    )
    for i in range(3):
        alone = attribute(lambda at, i=i: MODEL(at * scale[i]), X[i : i + 1], target=1, n_steps=6)
        same(got.attributions[i : i + 1], alone.attributions)


@pytest.mark.parametrize("chunk_size", [1, 2, 7, None])
def test_all_else_is_passed_as_it_is(chunk_size: int | None) -> None:
    table, words, nothing = draw(7, 4, 4), {"scale": 2.0}, None
    seen = []

    def forward(at: Tensor, *rest: object) -> Tensor:
        seen.append(rest)
        return MODEL(at @ table * words["scale"])

    rest = (table, words, nothing, torch.tensor(3.0), [1, 2])
    got = attribute(forward, X, target=1, additional_forward_args=rest, n_steps=6, chunk_size=chunk_size)
    assert seen
    assert all(a is b for each in seen for a, b in zip(each, rest, strict=True))
    same(got.attributions, attribute(lambda at: MODEL(at @ table * 2.0), X, target=1, n_steps=6).attributions)


def test_one_value_need_not_be_a_tuple() -> None:
    for given in (2.0, (2.0,)):
        got = attribute(lambda at, s: MODEL(at * s), X, target=1, additional_forward_args=given, n_steps=6)
        same(got.attributions, attribute(lambda at: MODEL(at * 2.0), X, target=1, n_steps=6).attributions)


def test_integers_and_flags_may_come_beside_the_inputs() -> None:
    index, keep = torch.tensor([0, 2, 1]), torch.tensor([True, False, True])

    def forward(at: Tensor, which: Tensor, mask: Tensor) -> Tensor:
        return MODEL(at).gather(1, which[:, None])[:, 0] * (1 + mask)

    got = attribute(forward, X, additional_forward_args=(index, keep), n_steps=6)
    expected = attribute(MODEL, X, target=[0, 2, 1], n_steps=6).attributions * torch.tensor([2, 1, 2])[:, None]
    same(got.attributions, expected)


# ------------------------------------------------------------------ results


def test_results_have_the_form_of_the_inputs() -> None:
    result = attribute(MODEL, X.clone().requires_grad_(), target=0, method="riemann_middle", n_steps=5)
    assert result.attributions.shape == X.shape
    assert result.attributions.dtype == X.dtype
    assert not result.attributions.requires_grad
    for field in (result.convergence_delta, result.output, result.baseline_output):
        assert field.shape == (3,)
        assert not field.requires_grad
    assert (result.method, result.n_steps, result.evaluations) == ("riemann_middle", 5, 5)
    assert result.elapsed > 0
    assert result.error_estimate is None
    assert result.group_attributions is None
    assert result.fallbacks == ()


def test_by_default_it_is_within_five_per_cent() -> None:
    result = attribute(MODEL, X, target=0)
    assert result.converged
    assert result.error_estimate is not None
    assert (result.error_estimate <= 0.05).all()


@pytest.mark.parametrize("chunk_size", [1, 7, None])
def test_inputs_that_share_memory_or_lie_oddly(chunk_size: int | None) -> None:
    """Slices, transposes, broadcasts and overlaps are tensors like others."""
    base = draw(3, 4, 6)
    for odd in (
        base.T[:3],
        base[:, ::2][:3, :3].expand(3, 3),
        base[:1, :4].expand(3, 4),
        base.flatten().as_strided((3, 4), (1, 1)),
    ):
        model = Scores([tuple(odd.shape[1:])], seed=2)
        got = attribute(model, odd, n_steps=5, chunk_size=chunk_size)
        same(got.attributions, attribute(model, odd.contiguous().clone(), n_steps=5).attributions)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_both_ends_are_evaluated_exactly_where_they_are(dtype: torch.dtype) -> None:
    """F(x) is F at the input, not at the input after a subtraction and an addition."""
    seen: list[Tensor] = []

    def forward(at: Tensor) -> Tensor:
        if not at.requires_grad:
            seen.extend(at.clone())
        return at.sum(1)

    x, b = (draw(1, 1, 9) * 1e3).to(dtype), (draw(2, 1, 9) / 3).to(dtype)
    for start, end in ((b, x), (x, b)):
        seen.clear()
        result = attribute(forward, end, baselines=start, n_steps=5)
        assert any(torch.equal(row, end[0]) for row in seen)
        assert any(torch.equal(row, start[0]) for row in seen)
        assert float(result.output) == float(end.sum(1))
        assert float(result.baseline_output) == float(start.sum(1))


def test_f_of_x_where_the_baseline_is_far_away() -> None:
    """In float32, 1e8 + (1 - 1e8) is 0."""
    result = attribute(lambda at: at.sum(1), torch.ones(1, 3), baselines=1e8, n_steps=4)
    assert float(result.output) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_points_are_captums_to_the_bit(dtype: torch.dtype) -> None:
    """One rounding more or less flips ReLUs that sit at their kink, and maps could not be compared."""
    seen: list[Tensor] = []

    def forward(at: Tensor) -> Tensor:
        if at.requires_grad:
            seen.extend(at.detach().clone())
        return at.sum(1)

    x, b = draw(1, 1, 50, dtype=dtype), draw(2, 1, 50, dtype=dtype)
    result = attribute(forward, x, baselines=b, method="gausslegendre", n_steps=16)
    expected = {tuple((b + float(alpha) * (x - b))[0].tolist()) for alpha in result.path.alphas[0]}
    assert {tuple(row.tolist()) for row in seen} == expected


def test_a_batch_of_single_numbers() -> None:
    x = torch.tensor([1.0, -2.0], dtype=torch.float64)
    for method in (*METHODS, "secant"):
        result = attribute(lambda v: v**2, x, method=method, n_steps=64, feature_mask=torch.zeros(2, dtype=torch.int64))
        assert isinstance(result.attributions, Tensor)
        torch.testing.assert_close(result.attributions, x**2, rtol=0.05, atol=0)
        assert result.group_attributions is not None
        torch.testing.assert_close(result.group_attributions[:, 0], result.attributions)


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("method", ["auto", "adaptive", "secant", "gausslegendre"])
def test_one_number_an_example(method: str, multiply: bool) -> None:
    """Inputs (batch,), or a layer's values: what is attributed to the only feature is what F changes."""
    x = draw(0, 4)
    result = attribute(torch.sin, x, baselines=0.25, method=method, multiply_by_inputs=multiply, tol=1e-4)
    gained = torch.sin(x) - torch.sin(torch.tensor(0.25, dtype=x.dtype))
    torch.testing.assert_close(result.attributions, gained if multiply else gained / (x - 0.25), rtol=1e-4, atol=1e-6)
    inner = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)).double()
    model, given = nn.Sequential(inner, nn.Tanh()), draw(1, 2, 3)
    held = attribute(model, given, layer="0", method=method, tol=1e-4)
    expected = model(given) - model(torch.zeros_like(given))
    torch.testing.assert_close(held.attributions, expected.detach(), rtol=1e-4, atol=1e-6)
