"""Baselines by hostile texts, and files that are no pictures, or far too large ones."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
import traitlets
from PIL import Image

import ig_widgets as igw
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.image.baselines import ImageBaselines
from ig_widgets.explorers.image.picture import prepare
from ig_widgets.explorers.image.upload import MOST_PIXELS
from ig_widgets.explorers.widget.schema import TEXT_LENGTH
from tests.explorers.subjects import BASELINES, SECONDS, panes_of, photo, subject_of, tasks_of
from tests.explorers.test_image_baselines import bomb, png

pytestmark = pytest.mark.robustness

Explore = Callable[..., ImageExplorer]

TEXTS = [
    "blur(sigma=1e9)", "blur(sigma=nan)", "blur(sigma=inf)", "blur(sigma=-1)", "blur(sigma=1e-320)", "blur(sigma=50.5)",
    "blur(sigma=0x10)", "blur(sigma=8", "blur)8(", "blur(sigma=8)(sigma=9)", "blur(sigma=(8))", "blur(sigma=8,)",
    "noise(seed=1e400)", "noise(seed=1e3)", "noise(seed=1000)", "noise(seed=-1)", "noise(seed=" + "9" * 900 + ")",
    "gaussian noise(sigma=1e-300)", "gaussian noise(sigma=1e300)", "gaussian noise(seed=0, sigma=3)", "colour(#zzz)",
    "colour(#ff00ff00)", "colour(value=inf)", "colour(value=1.5)", "colour(red)", "constant(value=inf)",
    "black(value=1)",
    "(" * 1000, ")" * 1000, " " * 1000, "blur" + " " * 10_000 + "x", " ( " * 5000, "blur(" + "sigma=1," * 2000 + ")",
    "", "()", "blur\x00", "\u202eblur", "__class__", "blur(__class__=1)", "blur(sigma=__import__('os'))",
]  # fmt: skip


@pytest.mark.parametrize("source", ["python", "browser"])
def test_hostile_texts_are_refused_by_name_at_once(explore: Explore, figure, source: str) -> None:
    explorer = explore(baseline="white")
    explorer.wait(SECONDS)
    slowest = 0.0
    for text in TEXTS:
        begin = time.perf_counter()
        if source == "python":
            with pytest.raises(traitlets.TraitError, match=r"baseline|sigma|seed|value"):
                explorer.baseline = text
        else:
            explorer._notice = {}
            explorer.comm.set_traits(baseline=text)
            assert 0 < len(explorer._notice["text"]) < 500
        slowest = max(slowest, time.perf_counter() - begin)
        assert explorer.baseline == "white"
    assert subject_of(explorer).baselines.names == [*BASELINES]
    figure(f"refusing a baseline's text from {source}, the slowest of {len(TEXTS)}", 1000 * slowest, " ms", at_most=50)


def test_what_a_control_can_show_is_what_a_text_can_ask_for(explore: Explore) -> None:
    explorer = explore()
    for name in BASELINES:
        for parameter in subject_of(explorer).baselines.parameters(name):
            for end in {"low", "high"} & parameter.keys():
                whole = parameter["step"] == 1
                number = int(parameter[end]) if whole else parameter[end]
                explorer.baseline = f"{name}({parameter['name']}={number})"
                shown = {one["name"]: one for one in subject_of(explorer).baselines.parameters(explorer.baseline)}
                assert shown[parameter["name"]]["value"] == number
    explorer.wait(SECONDS)


@pytest.mark.parametrize("given", [igw.baselines.blur(80), igw.baselines.uniform(seed=12_345)], ids=str)
def test_python_can_give_what_no_control_shows(explore: Explore, given: igw.baselines.Baseline) -> None:
    image = photo()[None]
    explorer = explore(inputs=image[0], target=0)
    explorer.baseline = given
    assert explorer.baseline == given.describe()
    explorer.wait(SECONDS)
    start = explorer.result.path._path.baselines[0]
    np.testing.assert_allclose(start.double(), given(image.float()).double(), atol=1e-6)
    # It is on offer by that name, to the front end as well.
    explorer.baseline = "black"
    explorer.comm.set_traits(baseline=given.describe())
    assert explorer.baseline == given.describe()


def test_the_usual_blur_of_a_large_picture_can_be_asked_for() -> None:
    gallery = ImageBaselines(prepare(photo(height=1100, width=1200), None, None), None, None)
    (sigma,) = gallery.parameters("blur")
    assert (sigma["value"], sigma["high"]) == (55, 55)
    assert gallery.name_of("blur(sigma=55)") == "blur(sigma=55)"


# ---------------------------------------------------------------- files


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


GREY = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\nshowpage\n"
REFUSED = {
    "no byte": b"",
    "svg": SVG,
    "eps": EPS,
    "pdf": b"%PDF-1.7",
    "icon": saved(GREY, "ICO"),
    "ppm": saved(GREY, "PPM"),
    "400,000,000 pixels": bomb(),
    "81,000,000 pixels": bomb(9_000),
    "bitmap of 2**62 pixels": saved(GREY, "BMP")[:18] + (2**31 - 1).to_bytes(4, "little") * 2 + saved(GREY, "BMP")[26:],
    "cut png": saved(GREY.resize((300, 300)), "PNG")[:-300],
    "cut jpeg": saved(GREY, "JPEG")[:200],
    "cut gif": saved(GREY, "GIF")[:60],
    "cut webp": saved(GREY, "WEBP")[:40],
    "cut tiff": saved(GREY, "TIFF")[:300],
    "a page": b"<!doctype html><script>alert(1)</script>",
}
TAKEN = {
    "palette": saved(GREY.convert("P"), "PNG", transparency=3),
    "grey and alpha": saved(GREY.convert("LA"), "PNG"),
    "16 bit": saved(GREY.convert("I;16"), "PNG"),
    "1 bit": saved(GREY.convert("1"), "TIFF"),
    "floats": saved(GREY.convert("F"), "TIFF"),
    "cmyk": saved(GREY.convert("CMYK"), "JPEG"),
    "webp": saved(GREY.convert("RGBA"), "WEBP"),
    "bmp": saved(GREY, "BMP"),
    "animation": saved(GREY, "GIF", save_all=True, append_images=[GREY.rotate(90)] * 3),
    "a line": saved(Image.new("RGB", (20_000, 1), "red"), "PNG"),
}


def upload(explorer: ImageExplorer, data: bytes, name: str = "a file.png") -> str:
    """What is said of it."""
    explorer._notice = {}
    explorer.comm.hear({"type": "upload", "view": "v", "name": name}, [data])
    assert tasks_of(explorer).wait(SECONDS)
    return str(explorer._notice.get("text", ""))


def test_files_that_are_no_pictures_are_refused_in_words(explore: Explore, caplog, figure) -> None:
    explorer = explore(baseline="white")
    explorer.wait(SECONDS)
    slowest = 0.0
    for kind, data in REFUSED.items():
        begin = time.perf_counter()
        said = upload(explorer, data)
        slowest = max(slowest, time.perf_counter() - begin)
        assert said.startswith("a file.png "), kind
        assert ("50,000,000" in said) == ("pixels" in kind), kind
        assert "0x" not in said
    assert (explorer.baseline, subject_of(explorer).baselines.names) == ("white", [*BASELINES])
    assert caplog.records == []
    figure(f"refusing a file, the slowest of {len(REFUSED)}", 1000 * slowest, " ms", at_most=50)
    assert MOST_PIXELS < 9_000**2


def test_pictures_of_odd_modes_are_taken(explore: Explore, caplog) -> None:
    explorer = explore()
    for kind, data in TAKEN.items():
        assert upload(explorer, data, kind) == "", kind
        assert explorer.baseline == kind
    explorer.wait(SECONDS)
    assert caplog.records == []


def test_preprocessing_that_fails_is_answered_in_words(explore: Explore, caplog) -> None:
    calls = []

    def preprocess(picture):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("out of order")
        return picture[None]

    explorer = explore(preprocess=preprocess)
    assert "out of order" in upload(explorer, png((9, 9), (1, 2, 3)))
    assert caplog.records == []


def test_long_names_are_cut_and_longer_ones_refused(explore: Explore) -> None:
    explorer = explore()
    assert upload(explorer, png((9, 9), (1, 2, 3)), "<b>" * 300 + ".png") == ""
    assert explorer.baseline == ("<b>" * 300)[:80]
    for name in ("x" * (TEXT_LENGTH + 1), "x" * 10_000, "half a pair \udc80"):
        upload(explorer, png((9, 9), (3, 2, 1)), name)
    assert len(explorer._baselines) == len(BASELINES) + 1
    # What parameters look like is no part of a name.
    upload(explorer, png((9, 9), (1, 2, 3)), "blur(sigma=8)")
    assert explorer.baseline == "blur sigma=8"


def test_the_oldest_files_go_and_what_is_in_use_stays(explore: Explore) -> None:
    explorer = explore(n_steps=1)
    names = []
    for i in range(40):
        assert upload(explorer, png((9, 9), (i, i, 0)), "snow.png") == ""
        names.append(explorer.baseline)
        if i == 0:
            explorer.compare({"baseline": names[0]})
    offered = explorer._baselines[len(BASELINES) :]
    assert offered == subject_of(explorer).baselines.names[len(BASELINES) :] == [names[0], *names[-15:]]
    # A name means one file for ever: what was sampled by it is kept by its name.
    assert len(set(names)) == 40
    assert len(subject_of(explorer).baselines._made) <= 16
    explorer.comm.set_traits(baseline=names[5])
    assert explorer.baseline == names[-1]
    assert "baseline must be one of" in explorer._notice["text"]
    explorer.wait(SECONDS)
    assert [pane.error for pane in panes_of(explorer)] == [None, None]
