"""A stranger's file of an explorer: what of it is believed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.export import npz_file
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.files import FileError, read_npz
from tests.explorers.answers import rows, same
from tests.explorers.contract.toy import METHODS, Function, ToyExplorer, point
from tests.explorers.subjects import SECONDS, panel, ready

Explore = Callable[..., Any]
LOOK = set(ToyExplorer.class_traits(look=True))


def read(path: Path) -> npz_file.SavedExplorer:
    return npz_file.read(path, "toy", METHODS, LOOK)


class Opened:
    """A file whose arrays and settings can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arrays, self.settings = read_npz(path)

    def write(self) -> Path:
        igw.files.write_npz(self.path, settings=self.settings, **self.arrays)
        return self.path


def test_numpy_reads_it(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as arrays:
        told = json.loads(str(arrays["settings"]))
        assert arrays["maps"].shape == (8, 2)
    assert (told["kind"], told["format"]) == ("ig_widgets.explorers.toy", 1)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_format_is_a_sentence(saved: Path, version: Any) -> None:
    file = Opened(saved)
    file.settings["format"] = version
    with pytest.raises(FileError, match=r"is of format .*, of which this version reads 1; read it with"):
        read(file.write())


def test_files_of_before_and_other_files_are_a_sentence(saved: Path, tmp_path: Path) -> None:
    file = Opened(saved)
    file.settings.pop("kind")
    with pytest.raises(FileError, match=r"was written by a version that could not restore; its arrays can be read"):
        read(file.write())
    igw.files.write_npz(tmp_path / "other.npz", settings={"a": 1}, x=np.ones(3))
    with pytest.raises(FileError, match=r"other\.npz' holds no explorer that to_npz wrote: it is no such\.$"):
        read(tmp_path / "other.npz")


def test_wrong_arrays_are_refused(saved: Path) -> None:
    """Each array missing, of another shape or dtype, or with NaN, infinity or values out of range."""
    whole = read_npz(saved)[0]
    tried = 0
    for name, array in whole.items():
        if name in ("weights", "baseline"):  # for people; nothing is made of them
            continue
        wrong = [None, array[:-1], array[None], array.astype(complex), np.array("text")]
        if array.dtype.kind == "f":
            for value in (np.nan, np.inf, -3e38):
                wrong.append(array.copy())
                wrong[-1].flat[1] = value
        if name in ("density", "sample_outputs", "outputs", "maps"):
            wrong = wrong[:-1]  # any finite value may be
        if name == "point":  # of another value it is a file of another input
            wrong = [None]
        if name == "attributions":  # of another shape it is a file of another model
            wrong = [None, *wrong[3:6]]
        for other in wrong:
            file = Opened(saved)
            data = saved.read_bytes()
            file.arrays.pop(name) if other is None else file.arrays.__setitem__(name, other)
            file.write()
            refused = False
            try:
                read(saved)
            except FileError as error:
                refused = "holds an explorer of which not all fits together" in str(error)
            assert refused, (name, other)
            saved.write_bytes(data)
            tried += 1
    assert tried > 60


WRONG = [
    ("traits.alpha", float("1e300")), ("traits.alpha", "0.5"), ("traits.n_steps", 10**9), ("traits.n_steps", None),
    ("traits.method", "eval"), ("traits.method", "x" * 10_001), ("traits.colormap", "<script>"),
    ("traits.sign", ["all"]), ("traits.baseline", {"a": 1}), ("traits.baseline", "no such"), ("traits.target", 99),
    ("traits.target", -1e9), ("traits.unknown", 1), ("traits._esm", "alert(1)"), ("traits", []), ("panes", [{"x": 1}]),
    ("panes", [{}] * 9), ("panes", [{"n_steps": "a"}]), ("panes", 3),
 ("given", ["a"]), ("given", "abc"),
    ("answers", {}), ("answers", [{}]), ("answers.0.settings", {}), ("answers.0.settings.n_steps", 9),
    ("answers.0.settings.n_steps", 10**18), ("answers.0.settings.n_steps", -1), ("traits.n_steps", 10**18),
    ("answers.0.settings.target", [1]), ("answers.0.dtype", "object"), ("answers.0.ends", [1.0]),
    ("answers.0.ends", ["nan", 1.0]), ("answers.0.spent", -1), ("answers.0.n_steps", True), ("answers.0.elapsed", -1.0),
    ("answers.0.elapsed", "long"), ("answers.0.complete", 1), ("answers.0.converged", "yes"), ("answers.0.reason", 5),
    ("answers.0.fallbacks", [5]), ("answers.0.output", None), ("answers.0.output", "many"), ("answers.0.method", []),
    ("answers.0.caveats", [5]), ("answers.0.caveats", "text"), ("answers.0.unattributed", "many"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_settings_are_refused(saved: Path, where: str, value: Any) -> None:
    file = Opened(saved)
    *parents, last = where.split(".")
    place: Any = file.settings
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    place[last] = value
    with pytest.raises((FileError, ArgumentValueError)) as caught:
        ToyExplorer.from_npz(file.write(), Function(), point()).close()
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_a_file_that_says_more_than_fits_settings_of_its_own_is_computed(saved: Path, restore: Explore) -> None:
    """An answer to another wish than the settings': nothing of it is shown."""
    file = Opened(saved)
    file.settings["traits"]["n_steps"] = 5
    other = restore(file.write())
    assert ready(other).n_steps == 5
    assert rows(other) == 5


def test_a_file_cut_short_anywhere_is_a_sentence(saved: Path) -> None:
    data = saved.read_bytes()
    for size in np.linspace(0, len(data) - 1, 60).astype(int):
        saved.write_bytes(data[:size])
        with pytest.raises(FileError):
            read(saved)


def test_nothing_is_unpickled(saved: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    whole = read_npz(saved)[0]
    for name in ("point", "settings"):
        np.savez(saved, **whole | {name: np.array([Trap()], dtype=object)})
        with pytest.raises(FileError, match=r"holds no \.npz that write_npz wrote"):
            read(saved)
    assert not (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def bytes_of_a_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    explorer = ToyExplorer(Function(), point(), n_steps=3, target=1)
    explorer.wait(SECONDS)
    path = tmp_path_factory.mktemp("flipped") / "a.npz"
    data = panel(explorer, ExportPanel).npz()
    explorer.close()
    return path, data


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_bytes_at_random_are_a_sentence_or_the_same_picture(bytes_of_a_file: Any, changes: Any) -> None:
    path, data = bytes_of_a_file
    path.write_bytes(data)
    exact = read(path).answers[0]
    changed = bytearray(data)
    for place, value in changes:
        changed[int(place * len(data))] = value
    path.write_bytes(changed)
    with contextlib.suppress(FileError):
        found = read(path).answers[0]
        assert same(exact.result, found.result)
        assert exact.rule.log == found.rule.log
