"""Reductions: samples that are made smaller as they are kept give the reduction of the map, and all else as before."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, attribute, make_attribution, make_samples
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError, NonFiniteError
from ig_widgets.engine.reduction import make_reduction
from ig_widgets.engine.refinement import Stage, refined
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.samples import Samples
from ig_widgets.files import load_attribution, save_attribution
from tests.engine.subjects import draw, relative
from tests.engine.test_layers import MODEL

DTYPES = {torch.float32: 1e-6, torch.float64: 1e-12}
TOKENS, WIDTH = 6, 8
MATRIX = torch.from_numpy(np.random.default_rng(0).normal(size=(WIDTH, 3)))


def over_width(t: Tensor) -> Tensor:
    return t.sum(-1)


def projected(t: Tensor) -> Tensor:
    """Complete for no F: the sum of what it gives is not that of what it is given."""
    return t @ MATRIX.to(t)


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": over_width,
    "projection": projected,
    "all": lambda t: t.flatten(1).sum(1, keepdim=True),
    "choice": lambda t: t[:, :2],
    "flipped": lambda t: t.transpose(1, 2),
}


class Text(nn.Module):
    """An embedding, a layer that mixes tokens, and two scores; with kinks, or smooth."""

    def __init__(self, activation: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.embedding, self.inner, self.activation = nn.Embedding(20, WIDTH), nn.Linear(WIDTH, WIDTH), activation
        self.mix, self.head = nn.Linear(TOKENS, TOKENS), nn.Linear(TOKENS * WIDTH, 2)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5
        self.to(dtype).eval()

    def forward(self, ids: Tensor) -> Tensor:
        return self.embedded(self.embedding(ids))

    def embedded(self, t: Tensor) -> Tensor:
        t = self.activation(self.inner(t))
        return self.head(self.activation(self.mix(t.transpose(1, 2))).flatten(1))


def text(kinks: bool, dtype: torch.dtype) -> Text:
    return Text(nn.ReLU() if kinks else nn.Tanh(), dtype)


def samples_of(kinks: bool, dtype: torch.dtype, layer: bool, reduce: Any = None, chunk_size: int | None = 8) -> Samples:
    """Of chunks of one size, as other chunks round otherwise."""
    options: dict[str, Any] = {"target": 1, "reduce": reduce, "chunk_size": chunk_size}
    model, chance = text(kinks, dtype), np.random.default_rng(1)
    if layer:
        ids, starts = (torch.from_numpy(chance.integers(0, 20, (3, TOKENS))) for _ in range(2))
        return make_samples(model, ids, baselines=starts, layer="embedding", **options)
    x, b = (torch.from_numpy(chance.normal(size=(3, TOKENS, WIDTH))).to(dtype) for _ in range(2))
    return make_samples(model.embedded, x, baselines=b, **options)


def taken(samples: Samples, method: str, n: int) -> Attribution:
    nodes = rules.nodes(method, n)
    if method == rules.SECANT:
        samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
    assert sum(len(block.alphas) for block in samples.extend(nodes.alphas)) == n * samples.path.batch
    return make_attribution(samples, nodes, method=method, elapsed=0.0)


def last(stages: Iterator[Stage]) -> Stage:
    *_, stage = stages
    return stage


# ------------------------------------------------------------------ the reduction of the map


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [False, True])
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("method", ["gausslegendre", "riemann_trapezoid", rules.SECANT])
def test_samples_that_are_reduced_give_the_reduction_of_the_map(
    method: str, name: str, layer: bool, dtype: torch.dtype
) -> None:
    reduce = REDUCTIONS[name]
    whole = taken(samples_of(True, dtype, layer), method, 9)
    reduced = taken(samples_of(True, dtype, layer, reduce), method, 9)
    assert reduced.attributions.dtype == dtype
    assert relative(reduced.attributions, reduce(whole.attributions)) <= DTYPES[dtype]
    # Completeness is that of the whole map, whatever is kept of it.
    size = float(whole.output.abs().max())
    for value in ("convergence_delta", "output", "baseline_output"):
        found, expected = getattr(reduced, value), getattr(whole, value)
        torch.testing.assert_close(found, expected, rtol=0, atol=20 * DTYPES[dtype] * size)
    torch.testing.assert_close(reduced.path.density, whole.path.density, rtol=0, atol=20 * DTYPES[dtype] * size)
    halfway = reduced.path.cumulative(0.4)
    assert relative(halfway, reduce(whole.path.cumulative(0.4))) <= DTYPES[dtype]


@pytest.mark.parametrize(("layer", "dtype"), [(False, torch.float64), (True, torch.float32)])
@pytest.mark.parametrize("method", [rules.AUTO, rules.ADAPTIVE, rules.SECANT, rules.FEJER, "riemann_middle"])
@pytest.mark.parametrize("kinks", [False, True])
def test_what_is_refined_to_a_tolerance_is_the_reduced_map(
    kinks: bool, method: str, layer: bool, dtype: torch.dtype
) -> None:
    """The same samples, unreduced, give what it is the reduction of; and its error is that of the reduced map."""
    given = {"tol": 0.02, "most": 300, "multiply_by_inputs": True}
    stage = last(refined(samples_of(kinks, dtype, layer, over_width), method=method, **given))  # type: ignore[arg-type]
    assert stage.converged
    found = make_attribution(stage.samples, stage.nodes, method=stage.method, elapsed=0.0, errors=stage.errors)
    assert tuple(found.attributions.shape) == (3, TOKENS)
    scale = float((found.output - found.baseline_output).abs().max())
    assert float((found.attributions.sum(1) - (found.output - found.baseline_output)).abs().max()) <= 0.02 * scale

    whole = samples_of(kinks, dtype, layer)
    if stage.method == rules.SECANT:
        whole = CellSamples(whole.sampler, whole.path, like=whole)
    each = [stage.nodes if isinstance(stage.nodes, rules.Nodes) else stage.nodes[e] for e in range(3)]
    keys = [np.array(stage.samples.keys_of(own)) for own in each]
    list(whole.take(Wanted(np.repeat(np.arange(3), [len(own) for own in keys]), np.concatenate(keys))))
    expected = make_attribution(whole, stage.nodes, method=stage.method, elapsed=0.0).attributions.sum(-1)
    assert relative(found.attributions, expected) <= DTYPES[dtype]
    exact = _limit(kinks, layer)
    assert float(_errors(found.attributions.double(), exact).max()) <= 0.04


@functools.lru_cache
def _limit(kinks: bool, layer: bool) -> Tensor:
    wide = samples_of(kinks, torch.float64, layer)
    return taken(wide, rules.SECANT if kinks else "gausslegendre", 200 if kinks else 40).attributions.sum(-1).double()


def _errors(found: Tensor, exact: Tensor) -> Tensor:
    return (found - exact).norm(dim=1) / exact.norm(dim=1)


def test_a_layer_s_samples_are_those_of_attribute() -> None:
    """Also of a layer whose calls are added up, with examples in its second dimension."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.stem, self.head = nn.Embedding(20, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
            self.double().eval()

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            a, b = (self.stem(self.embedding(ids).transpose(0, 1)) for ids in (first, second))
            return self.head(torch.tanh(a).sum(0) * torch.tanh(b).mean(0))[:, 0]

    torch.manual_seed(0)
    model, chance = Steps(), np.random.default_rng(2)
    ids = tuple(torch.from_numpy(chance.integers(0, 20, (4, n))) for n in (5, 5))
    for layer in ("embedding", "stem"):
        expected = attribute(model, ids, layer=layer, method="gausslegendre", n_steps=7)
        samples = make_samples(model, ids, layer=layer)
        found = taken(samples, "gausslegendre", 7)
        torch.testing.assert_close(found.attributions, expected.attributions, rtol=0, atol=1e-14)
        reduced = taken(make_samples(model, ids, layer=layer, reduce=over_width), "gausslegendre", 7)
        whole = expected.attributions.transpose(0, 1) if layer != "embedding" else expected.attributions
        torch.testing.assert_close(reduced.attributions, whole.sum(-1), rtol=0, atol=1e-14)
        one_for_each = make_samples(model, ids, layer=layer, reduce=(over_width,))
        again = taken(one_for_each, "gausslegendre", 7).attributions
        torch.testing.assert_close(again, reduced.attributions, rtol=0, atol=1e-14)


def test_each_tensor_of_several_layers_has_a_reduction_of_its_own() -> None:
    given = {"baselines": draw(2, 3, 4), "layer": ["left", "right"], "target": 0}
    whole = taken(make_samples(MODEL, draw(1, 3, 4), **given), "gausslegendre", 8).attributions
    reduce = (over_width, None, lambda t: t[:, 1:])
    found = taken(make_samples(MODEL, draw(1, 3, 4), **given, reduce=reduce), "gausslegendre", 8).attributions
    assert isinstance(found, tuple)
    for own, other, function in zip(found, whole, reduce, strict=True):
        torch.testing.assert_close(own, function(other) if function else other, rtol=0, atol=1e-14)
    with pytest.raises(ArgumentValueError, match="2 members for 3 tensors that layer gives"):
        make_samples(MODEL, draw(1, 3, 4), **given, reduce=(over_width, None))


def test_each_input_has_a_reduction_of_its_own() -> None:
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return (torch.tanh(a).sum((1, 2)) * torch.tanh(b).sum(1)).sin()

    x = (draw(1, 2, 5, 4), draw(2, 2, 3))
    whole, reduced = (make_samples(forward, x, reduce=reduce) for reduce in (None, (over_width, None)))
    nodes = rules.nodes("gausslegendre", 8)
    expected, found = (
        (list(s.extend(nodes.alphas)), make_attribution(s, nodes, method="x", elapsed=0.0, is_tuple=True))[1]
        for s in (whole, reduced)
    )
    torch.testing.assert_close(found.attributions[0], expected.attributions[0].sum(-1), rtol=0, atol=1e-14)
    torch.testing.assert_close(found.attributions[1], expected.attributions[1], rtol=0, atol=1e-14)
    assert reduced.map_shapes == ((5,), (3,))
    assert reduced.values == 8


# ------------------------------------------------------------------ what is kept


@pytest.mark.parametrize("method", ["riemann_middle", rules.SECANT])
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("chunk_size", [1, 7, None])
def test_nothing_but_the_reduced_maps_is_kept(name: str, method: str, chunk_size: int | None) -> None:
    """Also where the function gives a part of what it is given, of which torch would keep the whole."""
    samples = samples_of(True, torch.float64, False, REDUCTIONS[name], chunk_size)
    nodes, n = rules.nodes(method, 12), 12 * 3
    if method == rules.SECANT:
        samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
    list(samples.extend(nodes.alphas))
    values = int(np.prod(samples.map_shapes[0]))
    assert samples.nbytes == n * values * 8
    stored = sum(g.untyped_storage().nbytes() for block in samples._blocks for g in block.gradients)
    assert stored == samples.nbytes
    whole = samples_of(True, torch.float64, False)
    list(whole.extend(rules.nodes("riemann_middle", 12).alphas))
    assert whole.nbytes == n * TOKENS * WIDTH * 8


def test_reduced_maps_want_no_gradient_of_what_reduces_them() -> None:
    matrix = torch.randn(WIDTH, 2, dtype=torch.float64, requires_grad=True)
    samples = samples_of(True, torch.float64, False, lambda t: t @ matrix)
    found = taken(samples, "riemann_middle", 3)
    assert not found.attributions.requires_grad
    assert not any(g.requires_grad for block in samples._blocks for g in block.gradients)


def test_a_reduction_that_writes_into_what_it_is_given_changes_nothing_else() -> None:
    def rude(t: Tensor) -> Tensor:
        made = t.sum(-1)
        t.zero_()
        return made

    found, expected = (
        taken(samples_of(True, torch.float64, False, f), "riemann_middle", 5) for f in (rude, over_width)
    )
    torch.testing.assert_close(found.attributions, expected.attributions, rtol=0, atol=0)
    torch.testing.assert_close(found.path.density, expected.path.density, rtol=0, atol=0)


def test_a_gradient_that_is_nan_is_found_where_it_is_not_kept() -> None:
    def forward(t: Tensor) -> Tensor:
        # Of sqrt at zero the gradient is infinite, times zero it is NaN.
        return t[:, 0] + torch.where(t[:, 1] > 0.5, 0.0 * torch.sqrt(t[:, 1] * 0.0), 0.0)

    samples = make_samples(forward, torch.ones(1, 2, dtype=torch.float64), reduce=lambda t: t[:, :1])
    with pytest.raises(NonFiniteError, match=r"alpha = 0\.125"):
        list(samples.extend(rules.nodes("riemann_middle", 4).alphas))


def test_a_result_of_reduced_samples_is_saved_and_loaded(tmp_path: Any) -> None:
    found = taken(samples_of(True, torch.float32, True, over_width), "riemann_middle", 6)
    save_attribution(tmp_path / "a.npz", found)
    loaded = load_attribution(tmp_path / "a.npz")
    assert torch.equal(loaded.attributions, found.attributions)
    torch.testing.assert_close(loaded.path.cumulative(0.3), found.path.cumulative(0.3), rtol=0, atol=0)


# ------------------------------------------------------------------ groups of features beside the path


def test_features_are_known_by_the_value_that_they_are_added_to() -> None:
    x = (draw(1, 1, 3, 2), draw(2, 1, 4))
    both = make_reduction((over_width, None), x)
    assert both is not None
    assert both.members is not None
    assert both.members.tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]
    chosen = make_reduction((lambda t: t[:, 1:, 0], lambda t: t.flip(1)), x)
    assert chosen is not None
    assert chosen.members is not None
    assert chosen.members.tolist() == [-1, -1, 0, -1, 1, -1, 5, 4, 3, 2]
    for other in (lambda t: t.mean(-1), lambda t: -t, lambda t: t.cumsum(1), lambda t: torch.cat([t, t], 1)):
        reduction = make_reduction((other, None), x)
        assert reduction is not None
        assert reduction.members is None


class Opposed(nn.Module):
    """A bump in two tokens, of one against the other: F along the path shows nothing of it, nor do few gradients."""

    def forward(self, t: Tensor) -> Tensor:
        bump = torch.sigmoid(400 * (t - 0.43)) - torch.sigmoid(400 * (t - 0.47))
        return (
            t.sum((1, 2))
            + 3 * (bump[:, 0].mean(-1) - bump[:, 1].mean(-1))
            + 4 * (torch.sigmoid(300 * (t[:, 2].mean(-1) - 0.713)) - torch.sigmoid(300 * (t[:, 3].mean(-1) - 0.713)))
        )


def test_what_one_token_gains_and_another_loses_is_found_of_sums_too() -> None:
    x = torch.ones(1, 5, 3, dtype=torch.float64)
    for reduce, shape in ((None, (1, 5, 3)), (over_width, (1, 5))):
        samples = make_samples(Opposed(), x, reduce=reduce)
        stage = last(refined(samples, method=rules.ADAPTIVE, tol=0.02, most=600, multiply_by_inputs=True))
        found = make_attribution(stage.samples, stage.nodes, method="adaptive", elapsed=0.0).attributions
        assert found.shape == shape
        assert stage.converged
        tokens = found if reduce else found.sum(-1)
        expected = torch.tensor([[3.0, 3.0, 7.0, -1.0, 3.0]], dtype=torch.float64)
        assert relative(tokens, expected) <= 0.03


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("reduce", "error", "words"),
    [
        (3, ArgumentTypeError, "must be a function"),
        ((over_width, over_width), ArgumentValueError, "2 members for 1"),
        (lambda t: t.sum(), ArgumentValueError, "first dimension"),
        (lambda t: t.sum(0), ArgumentValueError, "first dimension|each row apart"),
        (lambda t: t[:1], ArgumentValueError, "first dimension|each row apart"),
        (lambda t: t[:, :0], ArgumentValueError, "first dimension"),
        (lambda t: t.sum(-1).tolist(), ArgumentTypeError, "got list"),
        (lambda t: t.sum(-1).long(), ArgumentTypeError, "int64"),
        (lambda t: t.abs().sum(-1), ArgumentValueError, "not linear"),
        (lambda t: t.norm(dim=-1), ArgumentValueError, "not linear"),
        (lambda t: t.square().sum(-1), ArgumentValueError, "not linear"),
        (lambda t: t.amax(-1), ArgumentValueError, "not linear"),
        (lambda t: t.sum(-1) + 1, ArgumentValueError, "not linear"),
        (lambda t: t - t.mean(0), ArgumentValueError, "not linear|rows apart"),
        (lambda t: t.gather(-1, t.abs().argmax(-1, keepdim=True)), ArgumentValueError, "not linear"),
    ],
)
def test_what_is_no_linear_function_of_rows_is_refused(reduce: Any, error: type[IGError], words: str) -> None:
    with pytest.raises(error, match=words):
        samples_of(True, torch.float64, False, reduce)


def test_a_function_that_raises_is_told_what_it_was_given() -> None:
    with pytest.raises(IndexError) as caught:
        samples_of(True, torch.float64, False, lambda t: t.sum(5))
    assert "(1, 6, 8)" in caught.value.__notes__[0]


def test_a_shape_that_changes_later_is_refused() -> None:
    calls = []

    def fickle(t: Tensor) -> Tensor:
        calls.append(len(t))
        return t.sum(-1) if len(calls) < 3 else t.sum((1, 2))

    samples = samples_of(True, torch.float64, False, fickle)
    with pytest.raises(ArgumentValueError, match="any number of rows"):
        list(samples.extend(rules.nodes("riemann_middle", 4).alphas))


def test_mean_gradients_of_reduced_samples_are_refused() -> None:
    samples = samples_of(True, torch.float64, False, over_width)
    nodes = rules.nodes("riemann_middle", 4)
    list(samples.extend(nodes.alphas))
    with pytest.raises(ArgumentValueError, match="multiply_by_inputs=False"):
        make_attribution(samples, nodes, method="riemann_middle", elapsed=0.0, multiply_by_inputs=False)
    for method in (rules.AUTO, rules.SECANT, rules.FEJER):
        with pytest.raises(ArgumentValueError, match="multiply_by_inputs=False"):
            list(refined(samples, method=method, tol=0.1, most=40, multiply_by_inputs=False))
