"""A large batch is each of its examples alone, and costs as many passes as fit into chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ig_widgets.engine.adaptive import Adaptive
from ig_widgets.engine.attribution import attribute, make_samples
from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.sample_index import SampleIndex, Wanted
from tests.engine.subjects import Counting, draw, few, seeds


def network(seed: int, activation: nn.Module) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 24), activation, nn.Linear(24, 24), activation, nn.Linear(24, 1)).double().eval()


@pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning")
@few
@given(seeds, st.integers(2, 3), st.sampled_from([0.2, 0.05]), st.sampled_from([12, 40]))
def test_cells_of_a_batch_are_those_of_each_example(seed: int, batch: int, tol: float, most: int) -> None:
    """Examples that are done are left as they are, whatever the others still need."""
    model = network(seed, nn.ReLU())
    # Some paths hold many kinks, some few.
    x = draw(seed, batch, 6) * torch.logspace(-2, 1, batch, dtype=torch.float64)[:, None]
    options = {"method": "secant", "target": 0, "tol": tol, "max_evaluations": most, "chunk_size": 256}
    together = attribute(model, x, **options)
    alone = [attribute(model, x[e : e + 1], **options) for e in range(batch)]
    assert together.evaluations <= most
    assert together.converged == all(one.converged for one in alone)
    for e, one in enumerate(alone):
        torch.testing.assert_close(together.attributions[e], one.attributions[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(together.error_estimate[e], one.error_estimate[0], rtol=1e-6, atol=1e-12)
        # Where no kink lies on a path, rounding alone decides whether its cells are split.
        if float(one.error_estimate) > 1e-9:
            own = together.path.edges[e].unique()
            torch.testing.assert_close(own, one.path.edges[0].unique(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("steepest", [0.0, 0.8, 1.5])
def test_examples_that_are_known_together_are_sampled_as_if_each_were_known_by_itself(steepest: float) -> None:
    model, batch = network(0, nn.Tanh()), 24
    # Some paths are nearly straight, some hold steps.
    x = draw(1, batch, 6) * torch.logspace(-1, steepest, batch, dtype=torch.float64)[:, None]
    results = []
    for apart in (False, True):
        one = Adaptive(make_samples(model, x, target=0), multiply_by_inputs=True, most=40, is_smooth=True)
        while len(rows := one.rows(0.02)):
            assert len(list(one.samples.take(rows)))
            one.accept(rows)
            if apart:
                one._part(one._shared.members.tolist())
        nodes = BatchNodes.of(one.nodes, batch)
        results.append((nodes.alphas, nodes.edges, nodes.counts, one.errors, one.unattributed, one.done(0.02)))
    together, each = results
    for a, b in zip(together, each, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh()])
def test_passes_do_not_grow_with_the_batch(activation: nn.Module) -> None:
    counts = []
    for batch in (40, 400):
        model = Counting(network(0, activation))
        attribute(model, draw(1, batch, 6), target=0, chunk_size=40 * batch)
        counts.append(len(model.with_gradient))
    assert counts[1] <= 2 * counts[0]


@few
@given(seeds, st.integers(2, 20))
def test_kinks_of_a_batch_are_those_of_each_example(seed: int, batch: int) -> None:
    """Of examples that pass none, none is made by the neighbour in the chunk."""
    x = draw(seed, batch, 5).abs() + 0.1
    signs = torch.where(torch.arange(batch) % 2 == 0, 1.0, -1.0)[:, None]

    def forward(at: Tensor) -> Tensor:
        return at.relu().sum(1)

    found = make_samples(forward, 2 * signs * x, baselines=signs * x, chunk_size=64).sampler.kinks()
    assert (found.crossed.total(), found.elements["relu"]) == (0, x.numel())
    last = signs * x
    last[-1] = -last[-1]
    assert make_samples(forward, 2 * signs * x, baselines=last, chunk_size=64).sampler.kinks().crossed["relu"] == 5


@few
@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=30), st.booleans())
def test_an_index_is_a_dictionary(batch: int, pairs: list[tuple[int, int]], cells: bool) -> None:
    known, index = {}, SampleIndex(batch)
    pairs = [(e % batch, k) for e, k in pairs]
    for row, (example, key) in enumerate(pairs):
        known[example, key] = row
        keys = np.array([[key / 8, (key + 1) / 8]]) if cells else np.array([key / 8])
        index.add(np.array([example]), keys, np.array([row]))
    asked = Wanted(*(v.ravel() for v in np.meshgrid(np.arange(batch), np.arange(8.0))))
    keys = np.stack([asked.keys / 8, (asked.keys + 1) / 8], 1) if cells else asked.keys / 8
    found = index.find(asked.examples, keys).tolist()
    assert found == [known.get((e, int(k)), -1) for e, k in zip(asked.examples.tolist(), asked.keys, strict=True)]
    complete = {int(key.real * 8) for key in index.complete()}
    assert complete == {k for k in range(8) if all((e, k) in known for e in range(batch))}
