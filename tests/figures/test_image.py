"""Figures of a picture: the overlay that the explorers draw, and texts that stay texts."""

import base64
import io
import threading
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

import ig_widgets as igw
from ig_widgets import errors, figures
from ig_widgets.figures.inputs import as_map, as_photo, wrapped
from tests.engine.subjects import ConvScores, draw

ODD = "a $5 label, $x^2$ & <b>{odd}</b> \\alpha _i^j %"


def draw_photo(height=7, width=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def draw_map(height=7, width=9, seed=0):
    return np.random.default_rng(seed).normal(size=(height, width))


def explained():
    model, x = ConvScores((4,)), draw(0, 1, 3, 6, 6)
    return igw.attribute(model, x, target=1, method="secant", n_steps=4)


def pictures_of(figure):
    return [image.get_array() for axes in figure.get_axes() for image in axes.get_images()]


def texts_of(figure):
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text)}


# ---------------------------------------------------------------- what is drawn


@settings(max_examples=10)
@given(
    st.integers(0, 99),
    st.floats(50, 100),
    st.sampled_from(["RdBu_r", "PuOr_r"]),
    st.floats(0, 1),
    st.sampled_from(["all", "positive", "negative"]),
)
def test_the_overlay_is_composed_as_everywhere(seed, clip, colormap, opacity, sign):
    photo, values = draw_photo(seed=seed), draw_map(seed=seed)
    figure = figures.image(values, photo, clip=clip, colormap=colormap, opacity=opacity, sign=sign)
    left, right = pictures_of(figure)
    scale = figures.scale_of(values, clip)
    assert np.array_equal(left, photo)
    assert np.array_equal(right, figures.compose(photo, values, scale, figures.color_table(colormap), opacity, sign))
    bar = figure.get_axes()[2]
    assert bar.get_ylim() == pytest.approx((-scale, scale))


def test_channels_are_summed_and_forms_are_one():
    result, photo = explained(), draw_photo(6, 6)
    summed = result.attributions[0].sum(0)
    forms = [result, result.attributions, result.attributions[0]]
    forms += [summed, summed.numpy(), summed[None], summed.clone().requires_grad_()]
    drawn = [pictures_of(figures.image(form, photo))[1] for form in forms]
    assert all(np.array_equal(drawn[0], other) for other in drawn)


def test_captions_tell_how_it_came_about_unless_one_is_given():
    result, photo = explained(), draw_photo(6, 6)
    said = " ".join(texts_of(figures.image(result, photo)))
    for part in (f"F(x) {float(result.output[0]):.3g}", "secant, 4 evaluations", "of pixels beyond the colours"):
        assert part in " ".join(said.split())
    said = texts_of(figures.image(result, photo, caption="mine"))
    assert "mine" in said
    assert not any("evaluations" in text for text in said)
    assert not any("beyond" in text for text in texts_of(figures.image(result, photo, caption="")))


def test_the_share_beyond_the_colours_is_that_beyond_the_percentile():
    values = np.arange(1, 101.0).reshape(10, 10)
    assert "10.0% of pixels beyond the colours" in texts_of(figures.image(values, draw_photo(10, 10), clip=90))
    assert "0.0% of pixels beyond the colours" in texts_of(figures.image(values, draw_photo(10, 10), clip=100))


def test_axes_of_ones_own_are_drawn_into():
    figure = Figure()
    first, second = figure.subplots(1, 2)
    values, photo = draw_map(), draw_photo()
    assert figures.image(values, photo, ax=first, title="one") is figure
    assert figures.image(values, photo, ax=second, unit="probability") is figure
    drawn = pictures_of(figure)
    assert len(drawn) == 2
    assert np.array_equal(*drawn)
    assert {"one", "probability", "logit"} <= texts_of(figure)
    inner = figure.subfigures(1, 1)
    assert figures.image(values, photo, ax=inner.subplots()) is figure


# ---------------------------------------------------------------- files


def svg_of(figure):
    return ElementTree.fromstring(figures.to_svg(figure))


def embedded(root):
    found = [e.attrib["{http://www.w3.org/1999/xlink}href"] for e in root.iter("{http://www.w3.org/2000/svg}image")]
    data = [base64.b64decode(href.partition(",")[2]) for href in found]
    return [np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for d in data]


def test_svg_holds_texts_as_texts_and_pictures_as_they_are():
    photo, values = draw_photo(), draw_map()
    figure = figures.image(values, photo, title=ODD, caption="x " + ODD, unit="u " + ODD)
    root = svg_of(figure)
    texts = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {ODD, "x " + ODD, "u " + ODD, "input", "attribution"} <= texts
    pictures = embedded(root)
    overlay = pictures_of(figure)[1]
    for exact in (photo, overlay):
        assert any(np.array_equal(p, exact) or np.array_equal(p[::-1], exact) for p in pictures)


def test_files_are_the_same_twice_and_bear_no_date():
    make = lambda: figures.image(draw_map(), draw_photo(), title="t")  # noqa: E731
    assert figures.to_png(make()) == figures.to_png(make())
    assert figures.to_svg(make()) == figures.to_svg(make())
    assert b"date" not in figures.to_svg(make()).lower()
    table, overlay = figures.color_table("RdBu_r"), draw_photo(seed=1)
    arguments = draw_photo(), overlay, table, 0.5, "logit", "caption"
    assert figures.overlay_svg(*arguments) == figures.overlay_svg(*arguments)
    assert any(np.array_equal(p, overlay) for p in embedded(ElementTree.fromstring(figures.overlay_svg(*arguments))))


def test_nothing_of_the_process_is_touched():
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    figure = figures.image(draw_map(), draw_photo())
    interpolations = [i.get_interpolation() for axes in figure.get_axes() for i in axes.get_images()]
    figures.to_svg(figure)
    figures.to_png(figure)
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []
    assert interpolations == [i.get_interpolation() for axes in figure.get_axes() for i in axes.get_images()]


def test_threads_write_the_same_svg():
    expected = figures.to_svg(figures.image(draw_map(), draw_photo()))
    made = []

    def write():
        made.append(figures.to_svg(figures.image(draw_map(), draw_photo())))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 4


def test_save_goes_by_the_ending(tmp_path):
    figure = figures.image(draw_map(), draw_photo())
    figures.save(figure, tmp_path / "a.PNG")
    figures.save(figure, str(tmp_path / "a.svg"))
    assert Image.open(io.BytesIO((tmp_path / "a.PNG").read_bytes())).format == "PNG"
    assert (tmp_path / "a.svg").read_bytes() == figures.to_svg(figure)
    assert (tmp_path / "a.PNG").read_bytes() == figures.to_png(figure)
    for path in ("a.jpg", "a"):
        with pytest.raises(errors.ArgumentValueError, match=r"^path must end in .png or .svg"):
            figures.save(figure, tmp_path / path)
    with pytest.raises(OSError, match=r"cannot be written"):
        figures.save(figure, tmp_path / "none" / "a.png")


# ---------------------------------------------------------------- what may be given


def test_a_photo_is_the_same_in_every_form():
    photo = draw_photo()
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    forms = [photo, Image.fromarray(photo), photo / 255, (photo / 255).astype(np.float32)]
    forms += [tensor, tensor / 255, (tensor / 255)[None], (tensor / 255).double()]
    for form in forms:
        assert np.array_equal(as_photo(form), photo)
    grey = photo[..., :1]
    for form in (grey, grey[..., 0], grey / 255, torch.from_numpy(grey).permute(2, 0, 1) / 255):
        assert np.array_equal(as_photo(form), np.repeat(grey, 3, 2))


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        ("cat.png", errors.ArgumentTypeError, "picture must be a PIL image, an array or a tensor, got str"),
        (np.zeros((3, 4, 2), np.uint8), errors.ArgumentValueError, r"picture must be .* got \(3, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), errors.ArgumentValueError, r"picture must be .* got \(0, 4, 3\)"),
        (torch.zeros(2, 3, 4, 4), errors.ArgumentValueError, r"picture must be .* got \(2, 3, 4, 4\)"),
        (np.full((7, 9, 3), 1.5), errors.ArgumentValueError, r"picture must lie in \[0, 1\], got 1.5 to 1.5"),
        (np.full((7, 9, 3), np.nan), errors.ArgumentValueError, r"picture must lie in \[0, 1\]"),
        (np.zeros((7, 9, 3), np.int64), errors.ArgumentTypeError, "picture must hold bytes, .* got int64"),
        (
            draw_photo(8, 9),
            errors.ArgumentValueError,
            "attribution is 9 x 7 and picture 9 x 8 pixels; give the picture",
        ),
    ],
)
def test_a_picture_that_is_none_is_refused(picture, error, message):
    with pytest.raises(error, match=f"^{message}[^\n]*$"):
        figures.image(draw_map(), picture)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([[1.0]], errors.ArgumentTypeError, "attribution must be an Attribution .* got list"),
        (np.full((7, 9), "x"), errors.ArgumentTypeError, "attribution must be .* an array of <U1"),
        (np.zeros(63), errors.ArgumentValueError, r"attribution must be that of one picture, .* got \(63,\)"),
        (np.zeros((2, 3, 7, 9)), errors.ArgumentValueError, r"attribution must be .* got \(2, 3, 7, 9\)"),
        (np.full((7, 9), np.nan), errors.ArgumentValueError, "attribution holds NaN"),
    ],
)
def test_a_map_that_is_none_is_refused(values, error, message):
    with pytest.raises(error, match=f"^{message}[^\n]*$"):
        as_map(values, draw_photo())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sign": "both"}, errors.ArgumentValueError, "sign must be one of all, positive, negative, got 'both'"),
        ({"opacity": 1.1}, errors.ArgumentValueError, "opacity must lie from 0 to 1, got 1.1"),
        ({"opacity": "full"}, errors.ArgumentTypeError, "opacity must be a number"),
        ({"clip": 0}, errors.ArgumentValueError, "clip must be above 0"),
        ({"clip": float("nan")}, errors.ArgumentValueError, "clip must lie"),
        ({"colormap": "rainbow road"}, errors.ArgumentValueError, "colormap='rainbow road' is not one of matplotlib's"),
    ],
)
def test_settings_that_are_none_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"^{message}[^\n]*$"):
        figures.image(draw_map(), draw_photo(), **arguments)


@settings(max_examples=8)
@given(st.text(max_size=12))
def test_any_text_can_be_written(text):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # signs that the font has not
        figure = figures.image(draw_map(), draw_photo(), title=text, caption=text, unit=text)
        svg_of(figure)


@given(st.text(alphabet="ab \n", max_size=200), st.integers(5, 30))
def test_captions_are_wrapped_and_lose_no_word(text, columns):
    made = wrapped(text, columns)
    assert "".join(made.split()) == "".join(text.split())
    assert all(len(line) <= columns for line in made.splitlines())
