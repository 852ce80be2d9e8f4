"""Maps as they are sent: what is lost of them, and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ig_widgets.explorers.core.maps import EncodedMap, dtype_for, encode, stack

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)
FINITE = st.floats(-1e300, 1e300) | st.floats(-1, 1) | st.sampled_from([0.0, 1e-320, -1e-300, 3e38, 1e-38])
MAPS = SHAPES.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=FINITE))


@given(MAPS, st.sampled_from(["i2", "f4"]))
def test_a_map_is_off_by_half_a_step_of_its_numbers(values: Any, dtype: Any) -> None:
    made = encode(values, dtype)
    most = np.abs(values).max()
    assert (made.dtype, len(made), made.scale > 0) == (dtype, values.size, True)
    assert len(made.data) == values.size * int(dtype[1])
    assert np.isfinite(made.numbers).all()
    # What float32 or a scale cannot hold at all is lost: it is nothing beside any other map.
    step = most / 32767 if dtype == "i2" else most * 2.0**-23
    bound = (step / 2) * (1 + 1e-6) + 1e-36 * (most < 1e-30) + 1e-300
    assert np.abs(made.decode() - values.ravel()).max() <= bound


@given(MAPS, st.sampled_from(["i2", "f4"]))
def test_what_is_decoded_is_encoded_as_it_was(values: Any, dtype: Any) -> None:
    once = encode(values, dtype)
    again = encode(once.decode(), dtype)
    np.testing.assert_allclose(again.decode(), once.decode(), rtol=1e-6, atol=1e-36)


def test_small_maps_are_floats_and_large_ones_integers() -> None:
    assert [dtype_for(size) for size in (1, 4095, 4096, 10**6)] == ["f4", "f4", "i2", "i2"]
    for size, dtype in ((4095, "f4"), (4096, "i2")):
        assert encode(np.ones(size)).dtype == dtype
        assert encode(np.ones((1, size))).dtype == dtype


def test_usual_floats_are_sent_as_they_are() -> None:
    values = np.array([[1.5, -0.25], [0.0, 3e-20]])
    made = encode(values)
    assert made.scale == 1.0
    assert np.array_equal(made.numbers, values.ravel().astype(np.float32))
    # Beyond what float32 holds a scale goes with them.
    for most in (1e-40, 1e40):
        made = encode(values * most / 1.5)
        assert np.abs(made.numbers).max() == 1.0
        np.testing.assert_allclose(made.decode(), values.ravel() * most / 1.5, rtol=1e-6, atol=1e-70)


def test_the_largest_value_has_the_largest_integer_whatever_its_sign() -> None:
    made = encode(np.array([-2.0, 1.0, 0.0]), "i2")
    assert made.numbers.tolist() == [-32767, round(32767 / 2), 0]
    assert encode(np.zeros(3), "i2") == EncodedMap(1.0, bytes(6), "i2")
    assert encode(np.zeros(3), "f4").decode().tolist() == [0, 0, 0]


def test_maps_of_one_size_are_stacked_without_their_scales() -> None:
    made = [encode(np.array(values), "i2") for values in ([1.0, 2.0, 4.0], [-3.0, 0.0, 3.0])]
    rows = stack(made)
    assert rows.dtype == np.dtype("<i2")
    assert rows[1].tolist() == [-32767, 0, 32767]
    assert stack(made, slice(1, 3)).tolist() == rows[:, 1:].tolist()
    with pytest.raises(ValueError, match="shape"):
        stack([*made, encode(np.ones(2), "i2")])
