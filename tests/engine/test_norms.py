"""Lengths whose squares no number holds, and units that lose no digit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine.norms import norm, norms, unit_of


@pytest.mark.parametrize("unit", [1.0, 2.0**1000, 2.0**-1000, 2.0**-1060])
def test_a_length_is_as_exact_as_its_numbers(unit: float) -> None:
    assert float(norm(torch.tensor([3.0, 4.0], dtype=torch.float64) * unit)) == 5.0 * unit
    rows = torch.tensor([[2.0, -3.0, 6.0], [0.0, 0.0, 0.0], [0.0, 8.0, -6.0]], dtype=torch.float64) * unit
    assert norm(rows).tolist() == [7 * unit, 0, 10 * unit]
    assert float(norm(rows[:, 1], 0)) == float(norm(rows[:, 1]))
    # Over all of several tensors of other shapes.
    parts = [rows[:, :1], rows[:, 1:].reshape(3, 2, 1)]
    assert norms(parts).tolist() == pytest.approx([7 * unit, 0, 10 * unit])


@given(st.floats(min_value=0, allow_infinity=True, allow_subnormal=False))
def test_a_unit_is_a_power_of_two_by_which_numbers_are_of_size_one(largest: float) -> None:
    unit = float(unit_of(torch.tensor(largest, dtype=torch.float64)))
    assert math.frexp(unit)[0] == 0.5
    if largest == 0 or math.isinf(largest):
        assert unit == 1
    else:
        assert 1 <= largest / unit < 2


def test_single_precision_is_measured_in_double() -> None:
    values = torch.full((4,), 1e30, dtype=torch.float32)
    assert float(norm(values)) == pytest.approx(2 * float(np.float32(1e30)), rel=1e-15)
