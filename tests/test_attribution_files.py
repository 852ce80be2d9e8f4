"""An attribution from its file is, bit for bit, the one that was saved."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets import errors, files
from ig_widgets.engine.attribution import Attribution
from tests.explorers.subjects import Classifier, draw, photo


class Two(nn.Module):
    """Of two inputs, (rows, 4) and (rows, 2, 3)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(x).sum(1) * torch.relu(y).sum((1, 2))


class Small(nn.Module):
    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 7), nn.Linear(7, 3)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.to(dtype).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(torch.relu(self.inner(x)))


class Stepped(Small):
    """F jumps by 2 where the sum of the features passes 1/2."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x).sum(1, keepdim=True).expand(-1, 3) + 2.0 * (x.sum(1, keepdim=True) > 0.5)


def _missed() -> Attribution:
    with pytest.warns(igw.ConvergenceWarning, match="evaluations the relative error"):
        return igw.attribute(Small(), draw(0, 2, 5), target=0, tol=1e-6, max_evaluations=9)


def _cancelled() -> Attribution:
    stop = threading.Event()
    with pytest.raises(igw.Cancelled) as caught:
        igw.attribute(
            Small(), draw(0, 1, 5), target=1, n_steps=20, chunk_size=3, cancel=stop, on_progress=lambda *_: stop.set()
        )
    assert caught.value.partial is not None
    return caught.value.partial


CASES: dict[str, Callable[[], Attribution]] = {
    "batch": lambda: igw.attribute(Small(), draw(0, 4, 5), target=[0, 1, 2, 0], n_steps=9, chunk_size=5),
    "secant": lambda: igw.attribute(Small(), draw(0, 2, 5), target=0, method="secant", n_steps=6),
    "tolerance": lambda: igw.attribute(Small(), draw(0, 3, 5), target=0, tol=0.02),
    "tuple": lambda: igw.attribute(
        Two(), (draw(0, 3, 4), draw(1, 3, 2, 3)), n_steps=5, method="gausslegendre", feature_mask=None
    ),
    "tuple of one": lambda: igw.attribute(Small(), (draw(0, 2, 5),), target=0, n_steps=4),
    "float32": lambda: igw.attribute(Small(torch.float32), draw(0, 2, 5).float(), target=1, n_steps=7),
    "bfloat16": lambda: igw.attribute(Small(torch.bfloat16), draw(0, 2, 5).bfloat16(), target=1, n_steps=7),
    "float16": lambda: igw.attribute(Small(torch.float16), draw(0, 2, 5).half(), target=1, n_steps=7),
    "groups": lambda: igw.attribute(
        Small(), draw(0, 2, 5), target=1, n_steps=3, feature_mask=torch.tensor([0, 0, 1, 1, 2])
    ),
    "no factor": lambda: igw.attribute(Small(), draw(0, 2, 5), target=1, n_steps=3, multiply_by_inputs=False),
    "one baseline for all": lambda: igw.attribute(Small(), draw(0, 3, 5), baselines=draw(1, 1, 5), target=1, n_steps=3),
    "layer": lambda: igw.attribute(model := Small(), draw(0, 2, 5), target=1, n_steps=3, layer=model.inner),
    "pictures": lambda: igw.attribute(
        Classifier().to(memory_format=torch.channels_last), photo()[None], target=1, n_steps=5
    ),
    "cancelled": _cancelled,
    "jumps": lambda: igw.attribute(Stepped(), draw(0, 3, 5), target=0, tol=0.05),
    "misses the tolerance": _missed,
    "draws": lambda: igw.relatives.smoothgrad(Small(), draw(0, 2, 5), target=1, n_samples=6, seed=1),
    "curved": lambda: igw.relatives.blur_integrated_gradients(Classifier(), photo()[None], target=1, n_steps=4),
    "no path": lambda: dataclasses.replace(igw.attribute(Small(), draw(0, 1, 5), target=1, n_steps=2), path=None),
}


def bits(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return isinstance(other, tuple) and all(bits(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    return type(one) is type(other) and one == other


def same(one: Attribution, other: Attribution) -> bool:
    for field in dataclasses.fields(Attribution):
        if field.name != "path":
            assert bits(getattr(one, field.name), getattr(other, field.name)), field.name
    if one.path is None or other.path is None:
        return one.path is other.path is None
    for name in ("alphas", "edges", "density", "output_alphas", "outputs", "multiply_by_inputs"):
        assert bits(getattr(one.path, name), getattr(other.path, name)), name
    for alpha in (0.0, 0.3, 0.71, 1.0):
        assert bits(one.path.cumulative(alpha), other.path.cumulative(alpha)), alpha
    return repr(one) == repr(other)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_one_that_was_saved(name: str, tmp_path: Path) -> None:
    result = CASES[name]()
    files.save_attribution(tmp_path / "a.npz", result)
    again = files.load_attribution(tmp_path / "a.npz")
    assert same(result, again)
    files.save_attribution(tmp_path / "b.npz", again)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_it(tmp_path: Path) -> None:
    result = CASES["batch"]()
    files.save_attribution(tmp_path / "a.npz", result)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["attributions"], result.attributions)


def test_a_path_from_a_file_says_that_it_cannot_go_on(tmp_path: Path) -> None:
    files.save_attribution(tmp_path / "a.npz", CASES["curved"]())
    path = files.load_attribution(tmp_path / "a.npz").path
    assert path is not None
    with pytest.raises(files.FileError, match="attribute again"):
        path._path.points(torch.zeros(1, dtype=torch.int64), torch.zeros(1))


def test_what_is_no_attribution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.ArgumentTypeError, match=r"^result must be an Attribution, got Tensor"):
        files.save_attribution(tmp_path / "a.npz", torch.zeros(3))  # type: ignore[arg-type]
    files.write_npz(tmp_path / "a.npz", settings={}, x=1)
    with pytest.raises(files.FileError, match=r"a\.npz' holds no attribution that save_attribution wrote"):
        files.load_attribution(tmp_path / "a.npz")


def test_another_format_is_a_sentence(tmp_path: Path) -> None:
    files.save_attribution(tmp_path / "a.npz", CASES["batch"]())
    arrays, told = files.read_npz(tmp_path / "a.npz")
    files.write_npz(tmp_path / "a.npz", settings=told | {"format": 2}, **arrays)
    with pytest.raises(files.FileError, match=r"is of format 2, of which this version reads 1; read it with"):
        files.load_attribution(tmp_path / "a.npz")


def test_a_file_larger_than_is_wanted_is_refused(tmp_path: Path) -> None:
    files.save_attribution(tmp_path / "a.npz", CASES["batch"]())
    with pytest.raises(files.FileError, match=r"bytes of arrays, more than the 1e\+03 that are read"):
        files.load_attribution(tmp_path / "a.npz", most_bytes=1000)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attribution") / "a.npz"
    files.save_attribution(path, CASES["groups"]())
    return path


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=9), st.lists)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arrays_and_settings_at_random_are_a_sentence(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    """One array or setting is another: refused, or a result of which all shapes fit together."""
    arrays, told = files.read_npz(whole)
    place = data.draw(st.sampled_from([*arrays, *told, *(f"path.{name}" for name in told["path"])]))
    if place in arrays:
        other = data.draw(st.sampled_from([None, "[:-1]", "[None]", "int8", "bool"]))
        value = arrays.pop(place)
        changed = {"[:-1]": value[:-1], "[None]": value[None], "int8": np.zeros(value.shape, np.int8)}
        arrays |= {} if other is None else {place: changed.get(other, np.ones(value.shape, bool))}
    else:
        holder = told["path"] if place.startswith("path.") else told
        holder[place.removeprefix("path.")] = data.draw(JSON)
    files.write_npz(tmp_path / "b.npz", settings=told, **arrays)
    try:
        result = files.load_attribution(tmp_path / "b.npz")
    except files.FileError:
        return
    assert "Attribution" in repr(result)
    if result.path is not None:
        collected = result.path.cumulative(0.5)
        assert isinstance(collected, Tensor | tuple)


def _nan(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    value = value.copy()
    value.flat[-1] = np.nan
    return value


CHANGES: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "NaN": _nan,
    "reversed": lambda value: value[:, ::-1],
    "beyond": lambda value: value + 1,
    "another shape": lambda value: value[..., :-1],
}
UNFIT = [
    *((name, "NaN") for name in ("attributions", "output", "path_alphas", "path_edges", "path_outputs", "path_inputs_0",
                                 "block_alphas", "block_outputs", "block_gradients_0")),
    *((name, "reversed") for name in ("path_alphas", "path_edges", "path_output_alphas")),
    *((name, "beyond") for name in ("path_alphas", "path_edges", "path_output_alphas")),
    *((name, "another shape") for name in ("attributions", "path_alphas", "path_inputs_0", "block_gradients_0")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), UNFIT)
def test_what_does_not_fit_is_refused(whole: Path, tmp_path: Path, name: str, change: str) -> None:
    arrays, told = files.read_npz(whole)
    files.write_npz(tmp_path / "b.npz", settings=told, **arrays | {name: CHANGES[change](arrays[name])})
    with pytest.raises(files.FileError, match="not all fits together"):
        files.load_attribution(tmp_path / "b.npz")


@pytest.mark.parametrize("value", [10**18, -1])
@pytest.mark.parametrize("name", ["n_steps", "evaluations"])
def test_counts_are_looked_at_before_anything_is_built(whole: Path, tmp_path: Path, name: str, value: int) -> None:
    arrays, told = files.read_npz(whole)
    files.write_npz(tmp_path / "b.npz", settings=told | {name: value}, **arrays)
    with pytest.raises(files.FileError, match="n_steps or evaluations"):
        files.load_attribution(tmp_path / "b.npz")
