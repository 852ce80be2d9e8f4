"""The input's own values in another order."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets import baselines, errors


def numbered(*shape):
    """No two values alike."""
    return torch.arange(int(np.prod(shape)), dtype=torch.float64).view(shape) / 1e6


def places(made, x, dims):
    """Where each place along `dims` of each example came from, one row each; found by value."""
    rest = [d for d in range(1, x.dim()) if d not in dims]
    flat = [t.permute(0, *dims, *rest).flatten(1, len(dims)).reshape(len(t), -1, *[x.shape[d] for d in rest])
            for t in (made, x)]  # fmt: skip
    found = []
    for after, before in zip(*flat, strict=True):
        equal = (after.flatten(1)[:, None] == before.flatten(1)[None]).all(2) if after.dim() > 1 else (
            after[:, None] == before[None])  # fmt: skip
        assert (equal.sum(1) == 1).all(), "a place holds what no place held"
        found.append(equal.int().argmax(1).tolist())
    return found


@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_pixels_change_places_and_keep_their_channels(seed, batch, channels, height, width):
    x = numbered(batch, channels, height, width)
    found = places(baselines.permuted(seed)(x), x, (2, 3))
    for order in found:
        assert sorted(order) == list(range(height * width))


@pytest.mark.parametrize(
    ("shape", "dim", "dims"),
    [
        ((3, 40), None, (1,)),
        ((3, 20, 4), 1, (1,)),
        ((3, 4, 20), -1, (2,)),
        ((3, 4, 20), (2,), (2,)),
        ((2, 4, 5), (1, 2), (1, 2)),
        ((2, 6, 4, 5), 1, (1,)),
        ((2, 3, 4, 5), (3, 1), (1, 3)),
    ],
)
def test_what_lies_along_other_dimensions_stays_together(shape, dim, dims):
    x = numbered(*shape)
    made = baselines.permuted(1, dim)(x)
    assert made.shape == x.shape
    for order in places(made, x, dims):
        assert sorted(order) == list(range(len(order)))
        assert order != sorted(order)


def test_token_ids_can_be_shuffled():
    ids = torch.arange(20).view(2, 10)
    made = baselines.permuted(0)(ids)
    assert made.dtype == ids.dtype
    assert torch.equal(made.sort(1).values, ids)


def test_each_example_has_an_order_of_its_own_that_depends_on_none_behind_it():
    x = numbered(1, 3, 8, 8).expand(3, -1, -1, -1)
    made = baselines.permuted(5)(x)
    for first, second in itertools.pairwise(made):
        assert not torch.equal(first, second)
    assert torch.equal(baselines.permuted(5)(x[:2]), made[:2])


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_the_seed_is_the_order_and_the_random_state_stays(seed, other):
    before = torch.get_rng_state()
    x = numbered(1, 1, 8, 8)
    made = baselines.permuted(seed)(x)
    assert torch.equal(made, baselines.permuted(seed)(x))
    assert torch.equal(made, baselines.permuted(other)(x)) is (seed == other)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_place_goes_everywhere_about_as_often():
    x = torch.arange(5.0).view(1, 5)
    counts = sum(torch.nn.functional.one_hot(baselines.permuted(seed)(x)[0].long(), 5) for seed in range(1000))
    assert (counts - 200).abs().max() < 70  # five standard deviations


def test_it_is_a_value_with_memory_of_its_own():
    x = numbered(1, 1, 1, 1)
    baselines.permuted()(x).add_(1)
    assert x == 0
    assert {baselines.permuted(1, (1, 2)), baselines.permuted(1, (1, 2))} == {baselines.permuted(1, (1, 2))}


@pytest.mark.parametrize(
    ("shape", "dim", "message"),
    [
        ((2, 3, 4), None, r"dim must be given for inputs \(2, 3, 4\)"),
        ((4,), None, r"dim must be given for inputs \(4,\)"),
        ((2, 3), 2, r"dim must name dimensions from 1 to 1 of inputs \(2, 3\), .*, got 2"),
        ((2, 3), 0, "dim must name .* not the batch, got 0"),
        ((2, 3), -2, "dim must name .* not the batch, got -2"),
        ((2, 3, 4), (1, -2), r"dim must name .* each once .*, got \(1, -2\)"),
    ],
)
def test_a_dimension_that_is_not_there_is_refused(shape, dim, message):
    with pytest.raises(errors.ArgumentValueError, match=f"^{message}"):
        baselines.permuted(0, dim)(torch.zeros(shape))


@pytest.mark.parametrize("dim", [1.0, "1", True, (), (1, None), [1]])
def test_a_dimension_that_is_no_number_is_refused(dim):
    with pytest.raises(errors.ArgumentTypeError, match=r"^dim must be an integer"):
        baselines.permuted(0, dim)


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(errors.ArgumentTypeError, match=r"^seed must be an integer"):
        baselines.permuted(0.5)
