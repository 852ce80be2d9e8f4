"""Pictures of every usual form are read as the same values, and what cannot be right is refused in a sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.figures.pixels import pixels_of, to_pil, variants

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 5, 3), np.uint8)
GREY = RNG.integers(0, 256, (6, 5), np.uint8)
DEEP = RNG.integers(0, 65536, (6, 5), np.uint16)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def values(picture: Any, channels: int | None = None) -> np.ndarray[Any, Any]:
    return np.moveaxis(pixels_of(picture, channels).values.double().numpy(), 0, 2)


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(BYTES),
        BYTES,
        BYTES[None],
        BYTES / 255,
        (BYTES / 255).astype(np.float32),
        BYTES.astype(np.uint16) * 257,
        np.moveaxis(BYTES, 2, 0),
        np.moveaxis(BYTES, 2, 0)[None],
        np.dstack([BYTES, np.full((6, 5), 255, np.uint8)]),
        torch.from_numpy(BYTES.copy()).permute(2, 0, 1),
        torch.from_numpy(BYTES.astype(np.int32) * 257).permute(2, 0, 1).to(torch.uint16),
        torch.from_numpy(BYTES / 255),
        torch.from_numpy(BYTES / 255).permute(2, 0, 1)[None].requires_grad_(),
        file_of(Image.fromarray(BYTES), "PNG"),
        file_of(Image.fromarray(BYTES), "TIFF"),
        bytearray(file_of(Image.fromarray(BYTES), "BMP")),
    ],
    ids=lambda picture: f"{type(picture).__name__} {tuple(getattr(picture, 'shape', ()))}",
)
def test_forms_of_one_picture_are_one_picture(picture: Any) -> None:
    found = pixels_of(picture, 3)
    rgb = variants(found.values, 3)[0]
    assert np.abs(np.moveaxis(rgb.double().numpy(), 0, 2) - BYTES / 255).max() < 1e-6
    # And back, in the form in which it was given.
    back = found.like(found.values)
    assert type(back) is (Image.Image if isinstance(picture, bytes | bytearray) else type(picture))
    assert float((pixels_of(back, 3).values - found.values).abs().max()) < 1e-6


def test_a_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(Image.fromarray(BYTES), "PNG"))
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.abs(values(path) - BYTES / 255).max() < 1e-6


@pytest.mark.parametrize("picture", [GREY, GREY[..., None], GREY / 255, Image.fromarray(GREY), torch.from_numpy(GREY)])
def test_greys_have_one_channel(picture: Any) -> None:
    assert np.abs(values(picture) - GREY[..., None] / 255).max() < 1e-6


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(DEEP),
        Image.fromarray(DEEP.astype(np.int32)),
        file_of(Image.fromarray(DEEP), "TIFF"),
        file_of(Image.fromarray(DEEP), "PNG"),
        Image.fromarray((DEEP / 65535).astype(np.float32)),
        DEEP,
    ],
    ids=["I;16", "I", "TIFF", "PNG", "F", "array"],
)
def test_sixteen_bits_keep_their_values(picture: Any) -> None:
    assert np.abs(values(picture) - DEEP[..., None] / 65535).max() < 1e-6


def test_bytes_that_pillow_has_made_wider_stay_what_they_are() -> None:
    for mode in ("I", "F"):
        assert np.abs(values(Image.fromarray(GREY).convert(mode)) - GREY[..., None] / 255).max() < 1e-6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_camera_was_held(orientation: int) -> None:
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [4], 7: [6], 8: [2]}
    upright = Image.fromarray(BYTES)
    stored = upright
    for turn in turns.get(orientation, []):
        # What `exif_transpose` does, undone.
        undone = {0: 0, 1: 1, 2: 4, 3: 3, 4: 2, 5: 5, 6: 6}[turn]
        stored = stored.transpose(Image.Transpose(undone))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.abs(values(file_of(stored, "PNG", exif=exif)) - BYTES / 255).max() < 1e-6


@given(red=st.integers(0, 255), opacity=st.integers(0, 255))
@settings(max_examples=25, deadline=None)
def test_transparency_is_laid_over_white(red: int, opacity: int) -> None:
    image = Image.new("RGBA", (2, 2), (red, 0, 0, opacity))
    share = opacity / 255
    expected = np.array([share * red / 255 + 1 - share, 1 - share, 1 - share])
    assert np.abs(values(image) - expected).max() < 1e-6
    assert np.abs(variants(pixels_of(np.asarray(image)).values, 3)[0][:, 0, 0].numpy() - expected).max() < 1e-6
    # A model of four channels sees it.
    assert pixels_of(image, 4).channels == 4


def test_a_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    found = values(file_of(image, "GIF", transparency=0))
    assert np.allclose(found[0, 1], [200 / 255, 100 / 255, 0], atol=1e-6)
    assert np.allclose(found[0, 0], 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_all_modes_show_what_pillow_shows(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode) if mode in ("1", "LA") else Image.fromarray(BYTES).convert(mode)
    expected = np.asarray(image.convert("RGB")) / 255
    assert np.abs(np.moveaxis(variants(pixels_of(image).values, 3)[0].numpy(), 0, 2) - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "is_tensor", "channels", "found"),
    [
        ((3, 9, 3), True, None, (3, 9, 3)),
        ((3, 9, 4), False, None, (4, 3, 9)),
        ((7, 32, 32), True, None, (7, 32, 32)),
        ((32, 32, 7), False, None, (7, 32, 32)),
        ((7, 32, 32), False, 7, (7, 32, 32)),
        ((32, 32, 7), True, 7, (7, 32, 32)),
        ((4, 4, 3), False, None, (3, 4, 4)),
        ((4, 4, 3), True, None, (4, 4, 3)),
        ((4, 4, 3), True, 3, (3, 4, 4)),
        ((9, 8, 3), True, None, (3, 9, 8)),
    ],
)
def test_channels_are_where_the_model_has_them_or_the_type(
    shape: tuple[int, ...], is_tensor: bool, channels: int | None, found: tuple[int, ...]
) -> None:
    array = np.zeros(shape, np.float32)
    assert tuple(pixels_of(torch.from_numpy(array) if is_tensor else array, channels).values.shape) == found


@pytest.mark.parametrize(
    ("picture", "error", "says"),
    [
        (RNG.random((5, 5, 3)) * 255, ArgumentValueError, "divide by 255"),
        (torch.rand(3, 5, 5) * 255, ArgumentValueError, "divide by 255"),
        (RNG.random((5, 5)) * 70000, ArgumentValueError, "divide by the value of white"),
        (RNG.standard_normal((5, 5, 3)), ArgumentValueError, "before normalisation.*preprocess="),
        (torch.randn(1, 3, 5, 5), ArgumentValueError, "before normalisation.*preprocess="),
        (np.zeros((5, 5, 3), np.int64), ArgumentValueError, r"ndarray \(5, 5, 3\) int64, whose white cannot be told"),
        (torch.zeros(3, 5, 5, dtype=torch.int32), ArgumentValueError, "int32, whose white cannot be told"),
        (np.zeros((5, 5, 3), complex), ArgumentValueError, "complex128"),
        (np.full((5, 5, 3), np.nan), ArgumentValueError, "NaN"),
        (torch.full((3, 5, 5), torch.inf), ArgumentValueError, "infinity"),
        (np.zeros((0, 5, 3)), ArgumentValueError, r"\(0, 5, 3\)"),
        (np.zeros(5), ArgumentValueError, r"\(5,\)"),
        (torch.zeros(2, 3, 5, 5), ArgumentValueError, r"one picture, got Tensor \(2, 3, 5, 5\)"),
        (Image.fromarray(np.full((4, 4), -1, np.int32)), ArgumentValueError, "of the mode I .* from -1 to -1"),
        (b"no picture", ArgumentValueError, "of 10 bytes holds no picture"),
        ("nowhere.png", ArgumentValueError, "'nowhere.png' is not there"),
        (None, ArgumentTypeError, "got NoneType"),
        ([[0, 1]], ArgumentTypeError, "got list"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_right_is_refused_with_the_remedy(picture: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^image .*{says}") as caught:
        pixels_of(picture)
    assert " at 0x" not in str(caught.value)


def test_a_variant_for_each_number_of_channels() -> None:
    rgb = pixels_of(BYTES).values
    assert [len(one) for one in variants(rgb, None)] == [3, 1]
    grey = np.asarray(Image.fromarray(BYTES).convert("L")) / 255
    assert np.abs(variants(rgb, 1)[0][0].numpy() - grey).max() < 1.01 / 255
    assert [len(one) for one in variants(pixels_of(GREY).values, None)] == [1, 3]
    assert [len(one) for one in variants(torch.zeros(4, 2, 2), None)] == [4, 3, 1]
    assert [len(one) for one in variants(torch.zeros(7, 2, 2), None)] == [7]
    assert variants(torch.zeros(7, 2, 2), 3) == []
    assert to_pil(rgb).tobytes() == Image.fromarray(BYTES).tobytes()
