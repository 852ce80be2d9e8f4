"""What two explorers answer, compared: an explorer and the one that was made of its file."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from ig_widgets.explorers import ImageExplorer
from tests.explorers.subjects import Watched

EXACT = ("method", "n_steps", "evaluations", "elapsed", "complete", "converged", "reason", "fallbacks", "caveats")
TENSORS = ("attributions", "output", "baseline_output", "convergence_delta", "error_estimate", "unattributed")


def rows(explorer: ImageExplorer) -> int:
    assert isinstance(explorer._subject.model, Watched)
    return explorer._subject.model.rows_with_gradient


def same(one: Any, other: Any) -> bool:
    for name in EXACT:
        assert getattr(one, name) == getattr(other, name), name
    for name in TENSORS:
        a, b = getattr(one, name), getattr(other, name)
        assert (a is b is None) or (a.dtype == b.dtype and torch.equal(a, b)), name
    for name in ("alphas", "edges", "density", "output_alphas", "outputs"):
        assert torch.equal(getattr(one.path, name), getattr(other.path, name)), name
    return True


def equal(one: Any, other: Any) -> bool:
    """Computed twice: to rounding, as chunks are of different sizes."""
    np.testing.assert_allclose(one.attributions, other.attributions, atol=1e-12, rtol=1e-9)
    return True


def told(explorer: ImageExplorer, pane: int = 0) -> Any:
    """What a view that opens is sent, but for the numbers of request and path."""
    view = explorer.comm.open_view(f"late {pane}", pane=pane)
    log = copy.deepcopy(view.log)
    for content in log:
        content.pop("request")
        content.pop("trace", None)
        content.pop("elapsed", None)  # of the run, a little longer than until its result
    return log, view.pictures, view.maps, view.scales


def drawn_alike(one: ImageExplorer, other: ImageExplorer) -> bool:
    """What pictures, figures and their captions are made of."""
    for name, value in vars(one._panels[-1].drawing()).items():
        again = getattr(other._panels[-1].drawing(), name)
        assert np.array_equal(value, again), name
        assert np.asarray(value).dtype == np.asarray(again).dtype, name
    return True


def alike(one: Any, other: Any) -> bool:
    for index in (0, 1, 3):
        # To tell how two such differ would take pytest minutes.
        is_same = one[index] == other[index]
        assert is_same, index
    assert one[2].keys() == other[2].keys()
    return all(np.array_equal(one[2][key], other[2][key]) for key in one[2])
