"""Groups of features beside the path: what F along it does not show is found, and interactions are not taken for it."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.corners import corner_points, doubted_places
from ig_widgets.engine.feature_groups import Numbering, Walk
from ig_widgets.engine.path import make_path
from ig_widgets.engine.rules import Floats, Integers
from tests.engine.subjects import draw, few, seeds

X = torch.ones(1, 2, dtype=torch.float64)


@few
@given(seeds, st.integers(2, 40))
def test_every_pair_of_features_is_parted_by_one_numbering(seed: int, count: int) -> None:
    numbering = Numbering(np.arange(count), count, np.random.default_rng(seed))
    own = numbering.next((count - 1).bit_length()).own
    assert len(np.unique(own, axis=1).T) == count


@few
@given(seeds)
def test_a_corner_takes_each_feature_from_the_place_of_its_group(seed: int) -> None:
    x, y = draw(seed, 2, 3), draw(seed + 1, 2, 2, 2)
    path = make_path((x, y), (draw(seed + 2, 2, 3), 0.0))
    group = torch.rand(1, 7, generator=torch.Generator().manual_seed(seed)) > 0.5
    of, own, others = torch.tensor([1]), torch.tensor([0.7]), torch.tensor([0.2])
    found = torch.cat([t.flatten(1) for t in corner_points(path, of, own, others, group)], 1)
    here, there = (torch.cat([t.flatten(1) for t in path.points(of, at)], 1) for at in (own, others))
    assert torch.equal(found[group], here[group])
    assert torch.equal(found[~group], there[~group])


def places(model: nn.Module, x: Tensor, alphas: Floats, tol: float) -> list[float]:
    """Where `model` would be sampled after samples at `alphas`, by what groups of features say."""
    path, examples = make_path(x, None), torch.zeros(len(alphas), dtype=torch.int64)
    points = path.points(examples, torch.from_numpy(alphas))[0].requires_grad_()
    outputs = model(points)
    maps = (torch.autograd.grad(outputs.sum(), points)[0] * x).numpy()
    size = float(np.linalg.norm(maps.mean(0)))

    def ask(of: Integers, own: Floats, others: Floats, groups: Tensor) -> Floats:
        where = (torch.from_numpy(of), torch.from_numpy(own), torch.from_numpy(others))
        with torch.no_grad():
            values: Floats = model(*corner_points(path, *where, groups)).numpy()
        return values

    with torch.no_grad():
        ends = tuple(float(model(end)[0]) for end in (torch.zeros_like(x), x))
    walk = Walk(0, alphas, outputs.detach().numpy(), ends, maps, size, 0, 1e-12, 1e-12)
    numbering = Numbering(np.arange(x.shape[1]), x.shape[1], np.random.default_rng(0))
    return doubted_places([walk], numbering, tol, ask).get(0, [])


class Cancelling(nn.Module):
    """Of two features a step each, one up and one down, at the same place of the path."""

    def __init__(self, at: float, width: float) -> None:
        super().__init__()
        self.at, self.width = at, width

    def forward(self, x: Tensor) -> Tensor:
        step = torch.tanh((x - self.at) / self.width)
        return step[:, 0] - step[:, 1] + torch.sin(x).sum(1)


@few
@given(st.floats(0.03, 0.97), st.floats(-9, -2.5))
def test_a_step_that_cancels_in_f_is_located_however_narrow(at: float, exponent: float) -> None:
    """Samples are asked for within its width; where one lies in it, its gradient shows it."""
    alphas = np.linspace(0.01, 0.99, 9)
    assume(abs(alphas - at).min() > 20 * 10**exponent)
    found = places(Cancelling(at, 10**exponent), X, alphas, 0.05)
    assert min(abs(np.array(found) - at)) <= 4 * 10**exponent


@few
@given(seeds)
def test_interactions_of_a_smooth_model_are_no_doubt(seed: int) -> None:
    weights = draw(seed, 6, 8) / 3

    class Smooth(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x @ weights).sum(1)

    assert not places(Smooth(), draw(seed + 1, 1, 6), np.linspace(0.02, 0.98, 15), 0.05)


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("features", [2, 6])
def test_what_one_feature_gives_and_another_takes_is_attributed(width: float, features: int) -> None:
    x = torch.ones(1, features, dtype=torch.float64)
    result = igw.attribute(Cancelling(0.437, width), x)
    true = np.full(features, np.sin(1.0))
    true[:2] += [2, -2]
    assert result.converged
    assert np.linalg.norm(result.attributions[0].numpy() - true) <= 0.05 * np.linalg.norm(true)


def test_jumps_that_cancel_end_the_search() -> None:
    def swap(v: Tensor) -> Tensor:
        return (v[:, 0] > 0.437).double() - (v[:, 1] > 0.437).double() + torch.sin(v).sum(1)

    result = igw.attribute(swap, X)
    assert result.evaluations <= 64
    np.testing.assert_allclose(result.attributions.numpy(), np.sin([[1.0, 1.0]]), rtol=0.02)


def test_one_hard_example_among_many_is_seen() -> None:
    """Groups are looked at in a few examples at first, in all others where one of these is wrong."""
    x = torch.ones(40, 2, dtype=torch.float64) * torch.linspace(0.5, 1.0, 40, dtype=torch.float64)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = igw.attribute(Cancelling(0.2, 1e-3), x)
    true = np.sin(x.numpy()) + np.array([2.0, -2.0])
    errors = np.linalg.norm(result.attributions.numpy() - true, axis=1) / np.linalg.norm(true, axis=1)
    assert result.converged
    assert errors.max() <= 0.1


@pytest.mark.parametrize("count", [1, 3, 9, 40, 71, 200])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_look_beside_many_samples_is_in_every_interval_and_no_dearer(count: int, batch: int) -> None:
    """Each of a few groups is asked at both other corners of an interval: of many intervals fewer groups."""
    features = 4
    path = make_path(torch.ones(batch, features, dtype=torch.float64), None)
    alphas = (np.arange(count) + 0.5) / count
    asked: list[tuple[int, float, float]] = []

    def ask(of: Integers, own: Floats, others: Floats, groups: Tensor) -> Floats:
        asked.extend(zip(of.tolist(), own.tolist(), others.tolist(), strict=True))
        where = (torch.from_numpy(of), torch.from_numpy(own), torch.from_numpy(others))
        values: Floats = corner_points(path, *where, groups)[0].sum(1).numpy()
        return values

    ends, maps = (0.0, float(features)), np.ones((count, features))
    walks = [Walk(e, alphas, alphas * features, ends, maps, 2.0, 0, 1e-12, 1e-12) for e in range(batch)]
    assert doubted_places(walks, Numbering(np.arange(features), features, np.random.default_rng(0)), 0.05, ask) == {}
    assert len(asked) <= batch * max(288, 2 * count)
    if count <= 71:
        edges = [0.0, *alphas.tolist(), 1.0]
        every = {(e, a, b) for e in range(batch) for pair in pairwise(edges) for a, b in (pair, pair[::-1])}
        assert set(asked) == every
