"""TableExplorer: rows in the forms that people have them, and the engine's numbers for them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers import TableExplorer
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.explorers.table.row import as_inputs, is_row, names_of
from tests.explorers.answers import assert_restored, same
from tests.explorers.contract.cases import Case
from tests.explorers.subjects import LABELS, SECONDS, Watching, draw, panel, ready, subject_of

VALUES = [0.25, -1.5, 3.0, 0.0]
NAMES = ["age", "income", "<b>height</b>", "a b"]
ROWS = {
    "tensor": torch.tensor(VALUES),
    "tensor of one row": torch.tensor([VALUES]),
    "integers": torch.tensor([1, -2, 3, 0]),
    "array": np.array(VALUES),
    "array of float32, of one row": np.array([VALUES], np.float32),
    "list": VALUES,
    "tuple": (1, -2, 3.5, 0),
    "mapping": OrderedDict(zip(NAMES, VALUES, strict=True)),
    "series": pandas.Series(VALUES, index=NAMES),
    "series of numbers": pandas.Series(VALUES, index=[7, 8, 9, 10]),
    "tensor that needs a gradient": torch.tensor(VALUES, requires_grad=True),
}


class Rows(nn.Module):
    """Scores of rows (n, features), with a kink for each hidden unit."""

    def __init__(self, features: int = 4, classes: int = 5, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(features, 16), nn.Linear(16, classes)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.to(dtype).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))


class WatchedRows(Watching, Rows):
    """The same, watched."""


def row(seed: int = 0) -> Tensor:
    return draw(seed, 4)


@pytest.fixture
def case() -> Case:
    """Which explorer the fixtures make."""
    return Case("table", TableExplorer, Rows, WatchedRows, row, ("zeros",), ())


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize("given", ROWS.values(), ids=ROWS)
def test_a_row_in_any_form_is_explained_as_attribute_does(explore: Any, given: Any) -> None:
    model = Rows()
    explorer = explore(model, given, target=2, method="gausslegendre", n_steps=6)
    values = list(given.values()) if isinstance(given, dict) else given
    numbers = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    inputs = numbers.reshape(1, -1).double()
    expected = igw.attribute(model, inputs, target=2, method="gausslegendre", n_steps=6)
    result = ready(explorer)
    torch.testing.assert_close(result.attributions, expected.attributions)
    assert float(result.attributions.sum()) == pytest.approx(float(result.output - result.baseline_output), rel=0.2)
    assert is_row(given)


NO_ROWS = [
    (torch.zeros(2, 4), ArgumentTypeError, r"row must be .* got Tensor \(2, 4\)"),
    (torch.tensor(1.0), ArgumentTypeError, r"got Tensor \(\)"),
    (np.zeros((1, 2, 2)), ArgumentTypeError, r"got ndarray \(1, 2, 2\)"),
    ([], ArgumentTypeError, "got list"),
    ({}, ArgumentTypeError, "got dict"),
    ("1, 2", ArgumentTypeError, "got str"),
    (3.0, ArgumentTypeError, "got float"),
    ([True, False], ArgumentTypeError, "got list"),
    (["a", "b"], ArgumentTypeError, "got list"),
    (np.array(["a", "b"]), ArgumentTypeError, "row must hold numbers alone"),
    ({"a": "b"}, ArgumentTypeError, "row must hold numbers alone"),
    (pandas.Series(["x", 1.0]), ArgumentTypeError, "row must hold numbers alone"),
    ([1.0, float("nan")], ArgumentValueError, "finite numbers"),
    (np.array([1.0, np.inf]), ArgumentValueError, "finite numbers"),
    (np.zeros(0), ArgumentValueError, "one at least"),
]


@pytest.mark.parametrize(("given", "error", "says"), NO_ROWS, ids=[str(given)[:20] for given, _, _ in NO_ROWS])
def test_what_is_no_row_is_named(given: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        TableExplorer(Rows(2), given)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_a_row_is_given_in_the_precision_of_the_model(dtype: torch.dtype) -> None:
    inputs = as_inputs(VALUES, torch.zeros(1, dtype=dtype))
    assert (inputs.dtype, inputs.shape) == (dtype, (1, 4))
    assert as_inputs(VALUES, None).dtype == as_inputs(VALUES, torch.zeros(1, dtype=torch.int64)).dtype == torch.float32


def test_features_are_named_by_the_row_or_by_the_caller(explore: Any) -> None:
    own = [names_of(given, None, 4) for given in ROWS.values()]
    numbered = tuple(f"feature {i}" for i in range(4))
    assert own == [numbered] * 7 + [tuple(NAMES)] * 2 + [("7", "8", "9", "10"), numbered]
    explorer = explore(inputs=VALUES, names=NAMES[::-1])
    view = explorer.comm.open_view()
    ready(explorer)
    explorer.comm.settle()
    assert view.begin["display"]["meta"] == {"names": NAMES[::-1]}
    assert np.frombuffer(view.pictures[0], "<f4").tolist() == VALUES
    assert np.frombuffer(view.pictures[1], "<f4").tolist() == [0] * 4
    for wrong, error, says in (
        ("abcd", ArgumentTypeError, "names must be a list of texts"),
        ([1, 2, 3, 4], ArgumentTypeError, "names must be a list of texts"),
        (["a"], ArgumentValueError, "names has 1 texts, the row 4 features"),
    ):
        with pytest.raises(error, match=says):
            explore(inputs=VALUES, names=wrong)


# ---------------------------------------------------------------- baselines


@pytest.mark.parametrize("as_data", [torch.as_tensor, np.asarray, pandas.DataFrame], ids=["tensor", "array", "frame"])
def test_the_mean_of_the_data_is_the_first_baseline(explore: Any, as_data: Any) -> None:
    data = draw(9, 20, 4)
    model, x = Rows(), row()
    explorer = explore(model, x, data=as_data(data.numpy()), target=1)
    assert (explorer.baseline, explorer._baselines) == ("mean", ["mean", "zeros"])
    mean = data.mean(0, keepdim=True)
    expected = igw.attribute(model, x[None], baselines=mean, target=1, method="riemann_middle", n_steps=8)
    torch.testing.assert_close(ready(explorer).attributions, expected.attributions)
    explorer.baseline = "zeros"
    expected = igw.attribute(model, x[None], target=1, method="riemann_middle", n_steps=8)
    torch.testing.assert_close(ready(explorer).attributions, expected.attributions)
    assert [card.name for card in explorer.gallery()] == ["mean", "zeros"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.zeros((3, 5)), r"data must be numbers \(rows, 4\).*got \(3, 5\)"),
        (np.zeros(4), r"got \(4,\)"),
        (np.zeros((0, 4)), r"got \(0, 4\)"),
        (np.array([["a"] * 4]), "data must be numbers"),
        (np.full((2, 4), np.nan), "data holds NaN or infinity"),
    ],
)
def test_data_that_have_no_mean_for_this_row_are_named(data: Any, says: str) -> None:
    with pytest.raises(ArgumentValueError, match=says):
        TableExplorer(Rows(), VALUES, data=data)


# ---------------------------------------------------------------- files and pictures


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "secant", "baseline": draw(3, 1, 4)}, {"method": "auto", "tol": 0.1}, {"method": "smoothgrad"}],
    ids=["usual", "secant", "auto", "smoothgrad"],
)
def test_a_file_shows_what_was_saved(explore: Any, restore: Any, options: Any) -> None:
    if options.get("method") != "auto":
        assert_restored(explore, restore, options)
        return
    one = explore(target=1, labels=LABELS, **options)
    assert same(ready(one), ready(restore(one)))


def test_a_file_of_another_row_is_noticed_by_the_feature(explore: Any, restore: Any, tmp_path: Path) -> None:
    one = explore(inputs=VALUES, names=NAMES, target=1, labels=LABELS)
    ready(one)
    one.to_npz(tmp_path / "a.npz")
    with pytest.warns(UserWarning, match=r"income was -1\.5 and is -1\.25"):
        other = restore(tmp_path / "a.npz", inputs=[0.25, -1.25, 3.0, 0.0], names=NAMES)
    assert ready(other).complete


def test_bars_say_what_was_collected(explore: Any) -> None:
    explorer = explore(inputs=VALUES, names=NAMES, target=1, labels=LABELS, method="secant")
    attributions = ready(explorer).attributions[0].numpy()
    drawing = panel(explorer, ExportPanel).drawing()
    assert drawing.shown.caption.startswith("Egyptian cat, logit ")
    assert "baseline zeros; secant, 8 samples" in drawing.shown.caption
    (axes,) = explorer.figure().axes
    order = np.argsort(-np.abs(attributions), kind="stable")
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(attributions[order].tolist())
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [f"{NAMES[i]} = {VALUES[i]:.4g}" for i in order]
    explorer.sign = "positive"
    (axes,) = explorer.figure().axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(np.maximum(attributions[order], 0).tolist())
    assert explorer.snapshot().startswith(b"\x89PNG")


def test_more_features_than_are_read_are_counted(explore: Any) -> None:
    explorer = explore(Rows(50), draw(1, 50), target=0, n_steps=2)
    ready(explorer)
    figure = explorer.figure()
    assert len(figure.axes[0].patches) == 40
    assert "10 features with smaller attributions are not shown" in figure.get_supxlabel().replace("\n", " ")


def test_it_has_no_channels_nor_a_method_that_needs_data(explore: Any) -> None:
    explorer = explore()
    assert explorer._channels == ["sum"]
    assert "expected_gradients" not in explorer._methods
    assert subject_of(explorer).coarsen(np.zeros((1, 4))) is None
    explorer.wait(SECONDS)
