"""An explorer from its file: what it shows, what it costs, and what of a stranger's file is believed."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers import ImageExplorer, restoring
from ig_widgets.files import FileError, read_npz
from tests.explorers.subjects import LABELS, SECONDS, Classifier, Watched, as_picture, photo, ready

Explore = Callable[..., ImageExplorer]
EXACT = ("method", "n_steps", "evaluations", "elapsed", "complete", "converged", "reason", "fallbacks")
TENSORS = ("attributions", "output", "baseline_output", "convergence_delta", "error_estimate")


@pytest.fixture
def restore(explore: Explore, tmp_path: Path) -> Iterator[Explore]:
    """What `from_npz` makes of an explorer's file, or of a path, with a model of its own that counts."""
    made: list[ImageExplorer] = []

    def again(source: ImageExplorer | Path, model: Any = None, image: Any = None, **options: Any) -> ImageExplorer:
        path = source if isinstance(source, Path) else tmp_path / "saved.npz"
        if isinstance(source, ImageExplorer):
            source.to_npz(path)
        model = Watched() if model is None else model
        image = photo() if image is None else image
        made.append(ImageExplorer.from_npz(path, model, image, **{"labels": LABELS} | options))
        return made[-1]

    yield again
    for explorer in made:
        explorer.close()


@pytest.fixture
def saved(explore: Explore, tmp_path: Path) -> Path:
    explorer = explore(target=1, labels=LABELS, region=(2, 3, 9, 10))
    ready(explorer)
    explorer.to_npz(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"


def rows(explorer: ImageExplorer) -> int:
    assert isinstance(explorer._model, Watched)
    return explorer._model.rows_with_gradient


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
    for name, value in vars(one._drawn()).items():
        again = getattr(other._drawn(), name)
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


# ---------------------------------------------------------------- what is shown


CASES = [
    {},
    {"method": "gausslegendre", "n_steps": 5, "baseline": "blur(sigma=2)", "output": "probability"},
    {"method": "riemann_trapezoid", "n_steps": 2, "output": "margin", "channel": "red"},
    {"method": "secant", "baseline": "noise(seed=3)"},
    {"method": "secant", "n_steps": 1, "output": "log-probability"},
    {"method": "gradient"},
    {"method": "input_x_gradient", "baseline": "white"},
    {"method": "smoothgrad"},
    {"method": "expected_gradients"},
    {"method": "blur_integrated_gradients"},
    {"method": "guided_integrated_gradients", "baseline": "colour(#ff8800)"},
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options.values())) or "usual")
def test_a_file_shows_what_was_saved_without_a_gradient(explore: Explore, restore: Explore, options: Any) -> None:
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
    assert other._npz() == one._npz()
    assert one._chores.wait(SECONDS)
    assert other._chores.wait(SECONDS)
    assert [curve["method"] for curve in other._curves] == [curve["method"] for curve in one._curves]
    assert rows(other) == 0


def test_all_exports_of_a_file_are_those_of_what_was_saved(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, alpha=0.4)
    ready(one)
    other = restore(one)
    for kind in ("png", "svg", "npz", "html"):
        is_same = other._export(kind) == one._export(kind)
        assert is_same, kind


def test_a_run_to_a_tolerance_is_shown_by_its_last_stage(explore: Explore, restore: Explore) -> None:
    """The cells that others have replaced are left out; the sums are the same."""
    for tol in (0.02, 0.3):
        one = explore(target=1, method="auto", tol=tol, n_steps=7, labels=LABELS)
        result = ready(one)
        other = restore(one)
        assert same(result, ready(other))
        assert (other.method, other.tol, other.n_steps) == ("auto", tol, 7)
        assert other._npz() == one._npz()
        (log, *_), view = told(one), one.comm.views[-1]
        (log_again, *_), view_again = told(other), other.comm.views[-1]
        for content, again in zip(log, log_again, strict=True):
            if content["type"] == "plan":
                assert [entry[1:] for entry in content["entries"]] == [entry[1:] for entry in again["entries"]]
                content["entries"] = again["entries"] = None
            if content["type"] != "samples":
                assert again == content
        for alpha in (0.3, 1.0):
            assert np.array_equal(view.collected(alpha), view_again.collected(alpha))
            one.alpha = other.alpha = alpha
            assert drawn_alike(one, other)
        assert rows(other) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_in_any_precision(explore: Explore, restore: Explore, dtype: torch.dtype) -> None:
    one = explore(Classifier(dtype=dtype), target=1, labels=LABELS)
    result = ready(one)
    other = restore(one, Watched(dtype=dtype))
    assert same(result, ready(other))
    assert result.attributions.dtype == dtype
    assert drawn_alike(one, other)
    assert rows(other) == 0


def test_maps_too_small_for_float32_are_kept(explore: Explore, restore: Explore) -> None:
    class Faint(Watched):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 1e-40

    one = explore(Faint(), target=1, labels=LABELS)
    other = restore(ready(one) and one, Faint())
    assert alike(told(one), told(other))
    assert drawn_alike(one, other)


def test_all_settings_come_back(explore: Explore, restore: Explore) -> None:
    looks = {"alpha": 0.25, "opacity": 0.5, "clip": 91.0, "colormap": "PuOr", "sign": "negative", "ground": "colour"}
    mask = np.zeros((16, 16), bool)
    mask[2:5, 7] = True
    one = explore(target=2, labels=LABELS, baseline="noise(seed=4)", n_steps=6, tol=0.2, **looks)
    one.regions = [(1, 1, 5, 6), np.array([(2, 2), (9, 3), (4, 12)]), mask]
    one.compare({"baseline": "white", "n_steps": 3}, {"method": "secant", "target": 1})
    ready(one)
    other = restore(one)
    for name in (*looks, "baseline", "target", "output", "method", "n_steps", "tol", "channel", "_panes", "_regions"):
        assert getattr(other, name) == getattr(one, name), name
    assert all(np.array_equal(a, b) for a, b in zip(one.regions, other.regions, strict=True))
    assert all(map(same, one.results, other.results))
    for pane in range(3):
        assert alike(told(one, pane), told(other, pane))
    # What the model says of regions is asked without a gradient.
    assert [repr(a) for a in other.audits(2)] == [repr(a) for a in one.audits(2)]
    assert other._chores.wait(SECONDS)
    assert [row["sum"] for row in other._audits] == [row["sum"] for row in one._audits]
    assert rows(other) == 0
    with_dependence = restore(explore(target=1, labels=LABELS, show_dependence=True))
    assert with_dependence.show_dependence


def test_panes_without_an_answer_are_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    one.compare({"n_steps": 4})
    ready(one)
    before, one._asked[1].answer = one._asked[1].answer, None
    assert before is not None
    other = restore(one)
    ready(other)
    assert rows(other) == 4
    assert equal(before.result, other.results[1])


def _upload(explorer: ImageExplorer) -> None:
    data = io.BytesIO()
    Image.fromarray(as_picture(photo(7))).save(data, "PNG")
    explorer.comm.hear({"type": "upload", "view": "v", "name": "my picture.png"}, [data.getvalue()])
    assert explorer._chores.wait(SECONDS)


@pytest.mark.parametrize(
    "given_as",
    [
        lambda: photo(5)[None],
        lambda: as_picture(photo(5)),
        lambda: lambda inputs: inputs / 2,
        lambda: igw.baselines.samples(np.stack([as_picture(photo(5)), as_picture(photo(6))]), seed=3),
        lambda: _upload,
    ],
    ids=["tensor", "picture", "function", "samples", "upload"],
)
def test_a_baseline_that_was_given_is_offered_again(explore: Explore, restore: Explore, given_as: Any) -> None:
    value = given_as()
    one = explore(target=1, labels=LABELS)
    if value is _upload:
        _upload(one)
    else:
        one.baseline = value
    result = ready(one)
    other = restore(one)
    assert same(result, other.result)
    assert other.baseline == one.baseline
    assert set(other._baselines) >= set(one._baselines)
    assert torch.equal(other._gallery.inputs(other.baseline), one._gallery.inputs(one.baseline))
    assert alike(told(one), told(other))
    # And from there again, by the model.
    one.n_steps = other.n_steps = 5
    assert equal(ready(one), ready(other))
    # One that is not in use is kept, too.
    one.baseline = "white"
    ready(one)
    other = restore(one)
    assert set(other._baselines) >= set(one._baselines)


def test_the_next_wish_is_computed(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    ready(one)
    other = restore(one)
    for name, value in (("n_steps", 4), ("channel", "red"), ("target", 2), ("baseline", "blur"), ("method", "secant")):
        setattr(one, name, value)
        setattr(other, name, value)
        assert equal(ready(one), ready(other))
        assert rows(other) > 0
    # And back to what was in the file.
    other.baseline, other.method, other.target, other.channel, other.n_steps = "black", "riemann_middle", 1, "sum", 8
    view = other.comm.open_view()
    ready(other)
    other.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"


def test_exports_and_checks_of_what_came_from_a_file(explore: Explore, restore: Explore, tmp_path: Path) -> None:
    one = explore(target=1, labels=LABELS, region=(2, 2, 9, 9), method="gausslegendre")
    other = restore(ready(one) and one)
    assert other.figure().axes
    for kind in ("png", "svg", "npz", "html"):
        getattr(other, f"to_{kind}")(tmp_path / "again")
        assert (tmp_path / "again").stat().st_size > 1000
    assert other.audit().attribution_sum == one.audit().attribution_sum
    assert rows(other) == 0
    assert other.crosscheck().relative_difference < 1e-5
    with pytest.raises(FileError, match=r"of alpha = 0\.5 there are snapshot\(\) and figure\(\)"):
        other.result.path.cumulative(0.5)
    assert torch.equal(other.result.path.cumulative(1), other.result.attributions)
    assert not other.result.path.cumulative(0).any()
    with pytest.raises(ArgumentValueError, match=r"^result\.path comes from an explorer's file"):
        igw.files.save_attribution(tmp_path / "x.npz", other.result)


def test_a_cancelled_run_comes_back_as_far_as_it_went(explore: Explore, restore: Explore, chunks_of_two: None) -> None:
    for method in ("riemann_middle", "secant"):
        model = Watched()
        model.block(after=2)
        one = explore(model, target=1, labels=LABELS, method=method, n_steps=9)
        model.await_entry()
        one.cancel()
        model.release()
        one.wait(SECONDS)
        result = one.result
        assert result is not None
        assert not result.complete
        other = restore(one)
        assert same(result, ready(other))
        assert rows(other) == 0
        one.alpha = other.alpha = 0.6
        assert drawn_alike(one, other)
        assert alike(told(one), told(other))
        assert other.comm.views[-1].ended["kind"] == "cancelled"
        other.n_steps = 4
        assert ready(other).complete


def test_a_file_may_be_saved_while_another_run_is_in_hand(explore: Explore, restore: Explore) -> None:
    """What is kept is what is shown, with the settings that it has."""
    model = Watched()
    one = explore(model, target=1, labels=LABELS)
    result = ready(one)
    model.block()
    one.n_steps, one.baseline = 20, "white"
    model.await_entry()
    other = restore(one)
    model.release()
    assert same(result, other.result)
    assert (other.n_steps, other.baseline) == (8, "black")


def test_samples_taken_while_another_channel_was_drawn_are_drawn_in_all(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS)
    view = one.comm.open_view()
    for name, value in (("channel", "red"), ("n_steps", 16), ("channel", "sum")):
        setattr(one, name, value)
        ready(one)
    one.comm.settle()
    assert view.ended is not None
    assert view.ended["type"] == "done"
    exact = one.result.attributions[0].sum(0).numpy()
    assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-12
    assert same(one.result, restore(one).result)


# ---------------------------------------------------------------- of another model or picture


@pytest.mark.parametrize(
    ("model", "image", "says"),
    [
        (lambda: Watched(seed=1), photo, r"F\(x\), the logit of Egyptian cat, was (\S+) and is (\S+)\."),
        (Watched, lambda: photo(1), r"the photo was (\d+) of 255 at its pixel .* and is (\d+)"),
        (Watched, lambda: photo(0, height=20), r"the model's input was (\(3, 16, 16\)) and is (\(3, 20, 16\))"),
    ],
    ids=["model", "picture", "size"],
)
def test_another_model_or_picture_is_computed_anew(
    saved: Path, restore: Explore, explore: Explore, model: Any, image: Any, says: str
) -> None:
    with pytest.warns(UserWarning, match=says) as caught:
        other = restore(saved, model(), image())
    assert caught[0].filename == __file__
    assert (other.n_steps, other.target, other.method) == (8, 1, "riemann_middle")
    fresh = explore(model(), image(), target=1)
    assert equal(ready(other), ready(fresh))
    assert rows(other) == 8


def test_a_baseline_at_which_the_model_says_something_else_is_noticed(saved: Path, restore: Explore) -> None:
    class Other(Watched):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + (x.amax((1, 2, 3)) == 0).to(x)[:, None]

    with pytest.warns(UserWarning, match=r"another model or picture: F\(black\), the logit of Egyptian cat, was"):
        restore(saved, Other())


def test_rounding_is_no_other_model(explore: Explore, restore: Explore) -> None:
    one = explore(Classifier(dtype=torch.float32), target=1, labels=LABELS)
    assert same(ready(one), restore(one, Watched()).result)  # in float64


def test_what_a_model_cannot_be_asked_is_a_sentence(saved: Path) -> None:
    with pytest.raises(FileError, match=r"settings that cannot be for this model: target must be a class from 0 to 0"):
        ImageExplorer.from_npz(saved, Classifier(classes=1), photo())


def test_given_baselines_and_regions_do_not_outlive_the_size_of_the_picture(explore: Explore, restore: Explore) -> None:
    one = explore(target=1, labels=LABELS, baseline=photo(3)[None], region=(1, 1, 4, 4))
    ready(one)
    with pytest.warns(UserWarning, match="another model or picture"):
        other = restore(one, image=photo(0, height=20))
    assert other.baseline == "black"
    assert other.regions == ()


# ---------------------------------------------------------------- a stranger's file


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
        assert arrays["maps"].shape == (8, 16, 16)
    assert (told["kind"], told["format"]) == ("ig_widgets.ImageExplorer", 1)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_format_is_a_sentence(saved: Path, version: Any) -> None:
    file = Opened(saved)
    file.settings["format"] = version
    with pytest.raises(FileError, match=r"is of format .*, of which this version reads 1; read it with"):
        restoring.read(file.write())


def test_files_of_before_and_other_files_are_a_sentence(saved: Path, tmp_path: Path) -> None:
    file = Opened(saved)
    file.settings.pop("kind")
    with pytest.raises(FileError, match=r"was written by a version that could not restore; its arrays can be read"):
        restoring.read(file.write())
    igw.files.write_npz(tmp_path / "other.npz", settings={"a": 1}, x=np.ones(3))
    with pytest.raises(FileError, match=r"other\.npz' holds no explorer that to_npz wrote: it is no such\.$"):
        restoring.read(tmp_path / "other.npz")


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
        if name in ("density", "sample_outputs", "outputs"):
            wrong = wrong[:-1]  # any finite value may be
        if name == "attributions":  # of other channels it is a file of another model
            wrong = [None, *wrong[2:6]]
        for other in wrong:
            file = Opened(saved)
            data = saved.read_bytes()
            file.arrays.pop(name) if other is None else file.arrays.__setitem__(name, other)
            file.write()
            refused = False
            try:
                restoring.read(saved)
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
    ("panes", [{}] * 9), ("panes", [{"n_steps": "a"}]), ("panes", 3), ("regions", [{"kind": "rectangle"}]),
    ("regions", [{"kind": "mask", "runs": [10**12]}]), ("regions", [[]] * 99), ("given", ["a"]), ("given", "abc"),
    ("answers", {}), ("answers", [{}]), ("answers.0.settings", {}), ("answers.0.settings.n_steps", 9),
    ("answers.0.settings.target", "1"), ("answers.0.dtype", "object"), ("answers.0.ends", [1.0]),
    ("answers.0.ends", ["nan", 1.0]), ("answers.0.spent", -1), ("answers.0.n_steps", True), ("answers.0.elapsed", -1.0),
    ("answers.0.elapsed", "long"), ("answers.0.complete", 1), ("answers.0.converged", "yes"), ("answers.0.reason", 5),
    ("answers.0.fallbacks", [5]), ("answers.0.output", None), ("answers.0.output", "many"), ("answers.0.method", []),
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
        ImageExplorer.from_npz(file.write(), Classifier(), photo())
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
            restoring.read(saved)


def test_nothing_is_unpickled(saved: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    whole = read_npz(saved)[0]
    for name in ("photo", "settings"):
        np.savez(saved, **whole | {name: np.array([Trap()], dtype=object)})
        with pytest.raises(FileError, match=r"holds no \.npz that write_npz wrote"):
            restoring.read(saved)
    assert not (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def bytes_of_a_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    explorer = ImageExplorer(Classifier(), photo(), n_steps=3, target=1)
    explorer.wait(SECONDS)
    path = tmp_path_factory.mktemp("flipped") / "a.npz"
    data = explorer._npz()
    explorer.close()
    return path, data


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_bytes_at_random_are_a_sentence_or_the_same_picture(bytes_of_a_file: Any, changes: Any) -> None:
    path, data = bytes_of_a_file
    path.write_bytes(data)
    exact = restoring.read(path).answers[0]
    changed = bytearray(data)
    for place, value in changes:
        changed[int(place * len(data))] = value
    path.write_bytes(changed)
    with contextlib.suppress(FileError):
        found = restoring.read(path).answers[0]
        assert same(exact.result, found.result)
        assert exact.known.record == found.known.record


@pytest.mark.robustness
def test_what_a_file_costs(figure: Callable[..., None], tmp_path: Path) -> None:
    """The demo at 64 steps: the model, its photo, and nothing computed."""
    demo = pytest.importorskip("efficientnet_lite_pytorch") and igw.demo.image_classifier("cpu")
    image = igw.demo.image("cat")
    evaluated = 0

    def count(_module: Any, inputs: Any) -> None:
        nonlocal evaluated
        evaluated += len(inputs[0]) if inputs[0].requires_grad else 0

    explorer = ImageExplorer(demo.model, image, preprocess=demo.preprocess, labels=demo.labels, n_steps=64)
    explorer.wait(4 * SECONDS)
    begin = time.perf_counter()
    explorer.to_npz(tmp_path / "demo.npz")
    writing = time.perf_counter() - begin
    picture = explorer.snapshot()
    explorer.close()
    hook = demo.model.register_forward_pre_hook(count)
    begin = time.perf_counter()
    again = ImageExplorer.from_npz(
        tmp_path / "demo.npz", demo.model, image, preprocess=demo.preprocess, labels=demo.labels
    )
    assert again.result is not None
    restoring_seconds = time.perf_counter() - begin
    again.wait(SECONDS)
    same_picture = again.snapshot() == picture
    again.close()
    hook.remove()
    assert same_picture
    assert evaluated == 0
    figure("gradient evaluations to restore an explorer from its file", evaluated, at_most=0)
    figure("file of an explorer, EfficientNet-Lite0, 64 steps", (tmp_path / "demo.npz").stat().st_size / 1e6, " MB")
    figure("writing it", writing, " s", at_most=3)
    figure("restoring an explorer from it, until its picture can be shown", restoring_seconds, " s", at_most=2)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_saved_on_one_device_and_restored_on_another(explore: Explore, restore: Explore) -> None:
    places = ("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")
    for saved_on, restored_on in places:
        one = explore(Classifier(dtype=torch.float32).to(saved_on), target=1, labels=LABELS, baseline=photo(5)[None])
        result = ready(one)
        other = restore(one, Watched(dtype=torch.float32).to(restored_on))
        assert rows(other) == 0
        assert other.result.attributions.device.type == other.result.output.device.type == restored_on
        assert torch.equal(other.result.attributions.cpu(), result.attributions.cpu())
        assert drawn_alike(one, other)
        assert alike(told(one), told(other))
        assert other.crosscheck().relative_difference < 1e-4
        other.n_steps = 5
        assert ready(other).complete
