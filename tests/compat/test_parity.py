"""Parity with Captum's public IntegratedGradients, and with a reference that owes nothing to either.

Captum's weights are float32 for float64 models (parity to 3e-7), and those of its trapezoid sum to (n - 1) / n,
so that its map is scaled by n / (n - 1) first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from captum.testing.helpers import basic_models as captum_models
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine.attribution import Attribution, attribute
from tests.engine.subjects import (
    METHODS,
    ConvScores,
    Scores,
    draw,
    few,
    in_float64,
    methods,
    reference,
    relative,
    seeds,
)

FROM_CAPTUM = {torch.float64: 3e-7, torch.float32: 1e-5}
FROM_REFERENCE = {torch.float64: 1e-11, torch.float32: 1e-5}

STRUCTURES: dict[str, list[tuple[int, ...]]] = {
    "vector": [(5,)],
    "sequence": [(4, 3)],
    "image": [(3, 6, 6)],
    "pair": [(3,), (2, 2)],
    "triple": [(2,), (3,), (2, 1, 2)],
}
BATCH = 3
# (shape of an output row, the target)
TARGETS: dict[str, tuple[tuple[int, ...], object]] = {
    "none": ((), None),
    "none, one column": ((1,), None),
    "int": ((4,), 2),
    "negative int": ((4,), -1),
    "0-D tensor": ((4,), torch.tensor(1)),
    "1-element tensor": ((4,), torch.tensor([3])),
    "1-D tensor": ((4,), torch.tensor([0, 3, 1])),
    "list of ints": ((4,), [2, 0, 3]),
    "tuple": ((2, 3), (1, 2)),
    "list of tuples": ((2, 3), [(0, 1), (1, 2), (1, 0)]),
}


def choose(target: object, batch: int) -> Callable[[Tensor], Tensor]:
    """(batch,) of an output (batch, ...), written down from what Captum's page says of targets."""
    if isinstance(target, Tensor):
        target = target.tolist()
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    each = target if isinstance(target, list) else [target] * batch

    def pick(output: Tensor) -> Tensor:
        rows = []
        for row, position in zip(output, each, strict=True):
            if position is None:
                rows.append(row.reshape(()))
            else:
                rows.append(row[position if isinstance(position, tuple) else (position,)])
        return torch.stack(rows)

    return pick


def theirs(model: Callable[..., Tensor], inputs: object, method: str, n: int, **options: object) -> tuple[Tensor, ...]:
    maps = IntegratedGradients(model, multiply_by_inputs=bool(options.pop("multiply_by_inputs", True))).attribute(
        inputs, method=method, n_steps=n, **options
    )
    scale = n / (n - 1) if method == "riemann_trapezoid" else 1.0
    return tuple(m * scale for m in (maps if isinstance(maps, tuple) else (maps,)))


def ours(model: Callable[..., Tensor], inputs: object, method: str, n: int, **options: object) -> tuple[Tensor, ...]:
    maps = attribute(model, inputs, method=method, n_steps=n, **options).attributions  # type: ignore[arg-type]
    return maps if isinstance(maps, tuple) else (maps,)


def distance(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> float:
    """The largest difference over the largest value, of all members together."""
    flat = [torch.cat([member.double().flatten() for member in members]) for members in (some, others)]
    return relative(*flat)


def subject(shapes: list[tuple[int, ...]], row: tuple[int, ...], seed: int, dtype: torch.dtype) -> nn.Module:
    if shapes == STRUCTURES["image"]:
        return ConvScores(row, seed=seed).to(dtype)
    activation = (torch.tanh, F.softplus, F.relu)[seed % 3]
    return Scores(shapes, row, seed=seed, activation=activation).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_rule_by_target_by_structure_by_dtype(method: str, kind: str, structure: str, dtype: torch.dtype) -> None:
    shapes, (row, target) = STRUCTURES[structure], TARGETS[kind]
    seed = 10 * list(TARGETS).index(kind) + list(STRUCTURES).index(structure)
    model = subject(shapes, row, seed, dtype)
    inputs = tuple(draw(seed + i, BATCH, *shape, dtype=dtype) for i, shape in enumerate(shapes))
    baselines = tuple(draw(seed + 50 + i, 1 + seed % 2 * 2, *shape, dtype=dtype) for i, shape in enumerate(shapes))
    options = {"baselines": baselines, "target": target}
    got = ours(model, inputs, method, 7, **options)
    assert all(g.dtype == dtype and g.shape == x.shape for g, x in zip(got, inputs, strict=True))
    assert distance(got, theirs(model, inputs, method, 7, **options)) <= FROM_CAPTUM[dtype]
    exact = reference(in_float64(model), inputs, baselines, choose(target, BATCH), method, 7)
    assert distance(got, exact) <= FROM_REFERENCE[dtype]


@few
@given(
    seeds,
    methods,
    st.integers(2, 60),  # Captum takes no single point
    st.integers(1, 4),
    st.sampled_from(list(STRUCTURES)),
    st.sampled_from([torch.float64, torch.float32]),
    st.sampled_from(["none", "number", "one row", "all rows"]),
    st.sampled_from([1, 5, None]),
    st.booleans(),
)
def test_generated(
    seed: int,
    method: str,
    n: int,
    batch: int,
    structure: str,
    dtype: torch.dtype,
    baseline: str,
    chunk_size: int | None,
    multiply: bool,
) -> None:
    shapes = STRUCTURES[structure]
    model = subject(shapes, (4,), seed, dtype)
    inputs = tuple(draw(seed + i, batch, *shape, dtype=dtype) for i, shape in enumerate(shapes))
    full = {
        "none": lambda x: torch.zeros_like(x),
        "number": lambda x: torch.full_like(x, 0.25),
        "one row": lambda x: x.flip(0)[:1] / 2 - 1,
        "all rows": lambda x: x.flip(-1) / 2 - 1,
    }[baseline]
    baselines = tuple(full(x) for x in inputs)
    given_: object = {"none": None, "number": (0.25,) * len(shapes)}.get(baseline, baselines)
    options = {"baselines": given_, "target": seed % 4, "multiply_by_inputs": multiply}
    got = ours(model, inputs, method, n, chunk_size=chunk_size, **options)
    assert distance(got, theirs(model, inputs, method, n, **options)) <= FROM_CAPTUM[dtype]
    if multiply:
        exact = reference(in_float64(model), inputs, baselines, choose(seed % 4, batch), method, n)
        assert distance(got, exact) <= FROM_REFERENCE[dtype]


@pytest.mark.parametrize("method", METHODS)
def test_with_further_arguments(method: str) -> None:
    model, x = Scores([(4,)], (3,), seed=1), draw(2, 3, 4)
    extra = (draw(3, 3, 4), 2.0, None, [1.0, 3.0])

    def forward(at: Tensor, shift: Tensor, factor: float, _: None, pair: list[float]) -> Tensor:
        return model(at * factor + shift) * pair[1]

    options = {"target": [0, 2, 1], "additional_forward_args": extra}
    assert distance(ours(forward, x, method, 9, **options), theirs(forward, x, method, 9, **options)) <= 3e-7


@pytest.mark.parametrize("method", [m for m in METHODS if m != "riemann_trapezoid"])
def test_convergence_deltas(method: str) -> None:
    model, x, b = Scores([(4,)], (3,), seed=1), draw(2, 3, 4), draw(3, 3, 4)
    result = attribute(model, x, baselines=b, target=1, method=method, n_steps=5)
    _, deltas = IntegratedGradients(model).attribute(
        x, baselines=b, target=1, method=method, n_steps=5, return_convergence_delta=True
    )
    assert isinstance(result, Attribution)
    bound = 3e-7 * float(result.attributions.abs().sum(1).max())
    assert (result.convergence_delta - deltas).abs().max() <= bound


@pytest.mark.parametrize("n", [2, 5, 50])
def test_captums_trapezoid_is_low_and_ours_is_not(n: int) -> None:
    """On a linear function, whose attribution anyone can tell. If this fails, Captum has changed: drop the scaling."""
    x = draw(1, 2, 4)
    linear = lambda at: at.sum(1)  # noqa: E731
    captums = IntegratedGradients(linear).attribute(x, method="riemann_trapezoid", n_steps=n)
    assert relative(captums, x * (n - 1) / n) <= 3e-7
    assert relative(ours(linear, x, "riemann_trapezoid", n)[0], x) <= 1e-12


# ------------------------------------------------------------------ Captum's own small models


def close_to_kinkless(seed: int, *shape: int) -> Tensor:
    """Inputs of a few units, at random, so that no sample falls onto a kink of these models."""
    return draw(seed, *shape) * 3 + 2


def logits(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Without the softmax, which equal weights before it make constant: its attribution is rounding alone."""

    def made() -> nn.Module:
        model = make()
        model.softmax = nn.Identity()
        return model

    return made


MODELS: dict[str, tuple[Callable[[], nn.Module], list[tuple[int, ...]], object, tuple[object, ...]]] = {
    "BasicModel": (captum_models.BasicModel, [(1,)], None, ()),
    "BasicModel, many features": (captum_models.BasicModel, [(4,)], 2, ()),
    "BasicModel2": (captum_models.BasicModel2, [(1,), (1,)], None, ()),
    "BasicModel3": (captum_models.BasicModel3, [(1,), (1,)], None, ()),
    "BasicModel4_MultiArgs": (captum_models.BasicModel4_MultiArgs, [(3,), (3,)], None, (4, 1)),
    "BasicModel5_MultiArgs": (captum_models.BasicModel5_MultiArgs, [(3,), (3,)], None, ([2, 3], 1)),
    "BasicModel6_MultiTensor": (captum_models.BasicModel6_MultiTensor, [(3,), (3,)], None, ()),
    "BasicLinearModel": (captum_models.BasicLinearModel, [(3,), (4,)], 0, ()),
    "ReLULinearModel": (captum_models.ReLULinearModel, [(3,), (3,)], 0, ()),
    "ReLULinearModel, in place": (lambda: captum_models.ReLULinearModel(inplace=True), [(3,), (3,)], 0, (2,)),
    "TanhDeepLiftModel": (captum_models.TanhDeepLiftModel, [(1,), (1,)], None, ()),
    "ReLUDeepLiftModel": (captum_models.ReLUDeepLiftModel, [(1,), (1,)], None, (3,)),
    "BasicModelWithReusedModules": (captum_models.BasicModelWithReusedModules, [(3,)], 1, ()),
    "BasicModel_MaxPool_ReLU": (captum_models.BasicModel_MaxPool_ReLU, [(1, 5)], None, ()),
    "BasicModel_MultiLayer": (captum_models.BasicModel_MultiLayer, [(3,)], 1, ()),
    "BasicModel_MultiLayer, in place": (lambda: captum_models.BasicModel_MultiLayer(inplace=True), [(3,)], [0, 1], ()),
    "BasicModel_MultiLayer, deep output": (
        captum_models.BasicModel_MultiLayer,
        [(3,)],
        [(0, 1, 1), (1, 0, 1)],
        (None, True),
    ),
    "BasicModel_MultiLayer_MultiInput": (captum_models.BasicModel_MultiLayer_MultiInput, [(3,), (3,), (3,)], 0, (2,)),
    "BasicModel_MultiLayer_TrueMultiInput": (
        captum_models.BasicModel_MultiLayer_TrueMultiInput,
        [(3,), (3,), (3,), (3,)],
        1,
        (),
    ),
    "BasicModel_ConvNet_One_Conv": (captum_models.BasicModel_ConvNet_One_Conv, [(1, 4, 4)], 0, ()),
    "BasicModel_ConvNet_One_Conv, two": (captum_models.BasicModel_ConvNet_One_Conv, [(1, 4, 4), (1, 4, 4)], 1, ()),
    "BasicModel_ConvNetWithPaddingDilation": (
        captum_models.BasicModel_ConvNetWithPaddingDilation,
        [(1, 5, 5)],
        3,
        (),
    ),
    "BasicModel_ConvNet": (logits(captum_models.BasicModel_ConvNet), [(1, 10, 10)], 4, ()),
    "BasicModel_ConvNet_MaxPool1d": (logits(captum_models.BasicModel_ConvNet_MaxPool1d), [(1, 10)], 4, ()),
    "BasicModel_ConvNet_MaxPool3d": (logits(captum_models.BasicModel_ConvNet_MaxPool3d), [(1, 10, 10, 10)], [1, 2], ()),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_captums_own_models(name: str, dtype: torch.dtype) -> None:
    make, shapes, target, extra = MODELS[name]
    torch.manual_seed(0)
    model = make().to(dtype).eval()
    wide = in_float64(model)
    inputs = tuple(close_to_kinkless(7 + i, 2, *shape).to(dtype) for i, shape in enumerate(shapes))
    options = {"target": target, "additional_forward_args": extra or None}
    given_: object = inputs if len(inputs) > 1 else inputs[0]
    zeros = tuple(torch.zeros_like(x) for x in inputs)
    for method, n in itertools.product(METHODS, (2, 20)):
        got = ours(model, given_, method, n, **options)
        assert distance(got, theirs(model, given_, method, n, **options)) <= FROM_CAPTUM[dtype]
        exact = reference(lambda *at: wide(*at, *extra), inputs, zeros, choose(target, 2), method, n)
        assert distance(got, exact) <= FROM_REFERENCE[dtype]


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean])
def test_zero_gradients_of_a_model_that_saturates(reduce: Callable[[Tensor], Tensor]) -> None:
    """1 - relu(1 - x) at 3 from 2 is flat: zeros from both."""
    model, x, b = captum_models.BasicModel(), torch.full((1, 1), 3.0), torch.full((1, 1), 2.0)
    assert float(reduce(ours(model, x, "riemann_middle", 8, baselines=b)[0])) == 0
    assert float(reduce(theirs(model, x, "riemann_middle", 8, baselines=b)[0])) == 0


def test_the_paper_s_example() -> None:
    """f(x1, x2) = relu(relu(x1) - 1 - relu(x2)) at (3, 1) from zero: 1.5 and -0.5 (Sundararajan et al., figure 2)."""
    inputs = (torch.tensor([[3.0]], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64))
    first, second = ours(captum_models.BasicModel2(), inputs, "riemann_middle", 4096)
    assert float(first) == pytest.approx(1.5, abs=3 / 4096)
    assert float(second) == pytest.approx(-0.5, abs=1 / 4096)


# ------------------------------------------------------------------ where Captum is odd and we are not


def test_numpy_integer_targets() -> None:
    model, x = Scores([(4,)], (3,), seed=1), draw(2, 2, 4)
    got = ours(model, x, "gausslegendre", 9, target=np.int64(2))
    assert distance(got, theirs(model, x, "gausslegendre", 9, target=2)) <= 3e-7


def test_bfloat16_uses_all_of_its_points() -> None:
    """A point is rounded to bfloat16 once; Captum rounds difference, product and sum, and some points coincide."""
    seen: dict[str, list[Tensor]] = {"ours": [], "theirs": []}
    x, b = draw(1, 1, 400).bfloat16(), draw(2, 1, 400).bfloat16()

    def watching(name: str) -> Callable[[Tensor], Tensor]:
        def forward(at: Tensor) -> Tensor:
            if at.requires_grad:
                seen[name].append(at.detach().clone())
            return at.float().tanh().sum(1)

        return forward

    options = {"baselines": b, "method": "gausslegendre", "n_steps": 300}
    mine = attribute(watching("ours"), x, **options)  # type: ignore[arg-type]
    captums = IntegratedGradients(watching("theirs")).attribute(x, **options)
    distinct = {name: len(torch.cat(rows).unique(dim=0)) for name, rows in seen.items()}
    assert distinct["ours"] == 300
    assert distinct["theirs"] < 300
    (exact,) = reference(lambda at: at.tanh().sum(1), (x,), (b,), lambda out: out, "gausslegendre", 300)
    assert relative(mine.attributions, exact) <= torch.finfo(torch.bfloat16).eps
    assert relative(mine.attributions, exact) < relative(captums, exact)


def test_a_chunk_below_the_batch_is_kept() -> None:
    """Captum's internal_batch_size below the batch warns and uses the batch size."""
    rows = []

    def forward(at: Tensor) -> Tensor:
        rows.append(len(at))
        return at.sum(1)

    attribute(forward, draw(1, 6, 4), n_steps=5, chunk_size=2)
    assert max(rows) == 2
