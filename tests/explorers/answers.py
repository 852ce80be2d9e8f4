"""What two explorers answer, compared: an explorer and the one that was made of its file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ig_widgets.explorers.export.exports import ExportPanel
from tests.explorers.subjects import LABELS, SECONDS, Watching, panel, ready, subject_of, tasks_of

EXACT = ("method", "n_steps", "evaluations", "elapsed", "complete", "converged", "reason", "fallbacks", "caveats")
TENSORS = ("attributions", "output", "baseline_output", "convergence_delta", "error_estimate", "unattributed")


def rows(explorer: Any) -> int:
    assert isinstance(subject_of(explorer).model, Watching)
    return subject_of(explorer).model.rows_with_gradient


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


def told(explorer: Any, pane: int = 0) -> Any:
    """What a view that opens is sent, but for the numbers of request and path."""
    view = explorer.comm.open_view(f"late {pane}", pane=pane)
    log = copy.deepcopy(view.log)
    for content in log:
        content.pop("request")
        content.pop("trace", None)
        content.pop("elapsed", None)  # of the run, a little longer than until its result
    return log, view.pictures, view.maps, view.scales


def _parts(drawing: Any) -> dict[str, Any]:
    own = dict(vars(drawing))
    return own | vars(own.pop("shown")) if "shown" in own else own


def drawn_alike(one: Any, other: Any) -> bool:
    """What pictures, figures and their captions are made of."""
    parts, again = (_parts(panel(explorer, ExportPanel).drawing()) for explorer in (one, other))
    assert parts.keys() == again.keys()
    for name, value in parts.items():
        assert np.array_equal(value, again[name]), name
        assert np.asarray(value).dtype == np.asarray(again[name]).dtype, name
    return True


def alike(one: Any, other: Any) -> bool:
    for index in (0, 1, 3):
        # To tell how two such differ would take pytest minutes.
        is_same = one[index] == other[index]
        assert is_same, index
    assert one[2].keys() == other[2].keys()
    return all(np.array_equal(one[2][key], other[2][key]) for key in one[2])


def assert_restored(explore: Callable[..., Any], restore: Callable[..., Any], options: dict[str, Any]) -> None:
    """Of a file all is shown that was saved, without a gradient."""
    one = explore(target=1, labels=LABELS, alpha=0.4, **options)
    result = ready(one)
    other = restore(one)
    assert other.result is not None  # before anything is waited for
    assert same(result, ready(other))
    assert rows(other) == 0
    assert repr(other) == repr(one)
    for alpha in (0.4, 0.0, 0.77, 1.0):
        one.alpha = other.alpha = alpha
        assert drawn_alike(one, other)
    assert alike(told(one), told(other))
    # A file of the file is the file.
    assert panel(other, ExportPanel).npz() == panel(one, ExportPanel).npz()
    assert tasks_of(one).wait(SECONDS)
    assert tasks_of(other).wait(SECONDS)
    assert [curve["method"] for curve in other._curves] == [curve["method"] for curve in one._curves]
    assert rows(other) == 0


def assert_given_baseline_is_kept(one: Any, restore: Callable[..., Any], usual: str) -> None:
    """A baseline that was given to `one` is on offer in what is made of its file, also where `usual` is in use."""
    result = ready(one)
    other = restore(one)
    assert same(result, other.result)
    assert other.baseline == one.baseline
    assert set(other._baselines) >= set(one._baselines)
    assert torch.equal(
        subject_of(other).baselines.inputs(other.baseline), subject_of(one).baselines.inputs(one.baseline)
    )
    assert alike(told(one), told(other))
    # And from there again, by the model.
    one.n_steps = other.n_steps = 5
    assert equal(ready(one), ready(other))
    # One that is not in use is kept, too.
    one.baseline = usual
    ready(one)
    assert set(restore(one)._baselines) >= set(one._baselines)
