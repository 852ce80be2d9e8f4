"""Where pictures come from: one of any form, a list, a batch, or a folder, each with a name."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.figures.pixels import Picture, is_picture, pixels_of, to_bytes, variants
from ig_widgets.texts import plain, whole

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"))
# As `input` holds it.
_NAME_LENGTH = 200
_THUMBNAIL = 64
# As many files as a sentence names.
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Source:
    """A picture, or the path of its file, which is read when it is asked for."""

    name: str
    picture: Any = field(repr=False)

    def thumbnail(self) -> bytes:
        """Returns a small picture, a JPEG or PNG; b"" where it cannot be read."""
        try:
            small = _small(self.picture)
        except Exception:  # noqa: BLE001  (a broken file; its error is told when the picture is asked for)
            return b""
        out = io.BytesIO()
        if max(small.size) < _THUMBNAIL:
            small.save(out, "PNG")
        else:
            small.save(out, "JPEG", quality=80)
        return out.getvalue()


@dataclass(frozen=True, eq=False)
class Sources:
    """The pictures of an explorer, in order, and `remarks`: what a person should know of them."""

    pictures: tuple[Source, ...]
    remarks: tuple[str, ...] = ()


def is_sequence(image: object) -> bool:
    """Whether this has the form of several pictures: a list, a batch, or a folder."""
    if isinstance(image, str | os.PathLike):
        return Path(image).is_dir()
    if isinstance(image, Tensor | np.ndarray):
        return image.ndim == 4 and len(image) > 1
    return isinstance(image, list | tuple) and bool(image) and all(map(is_picture, image))


def sources_of(image: object) -> Sources:
    """Returns the pictures in `image`; a single one has the name "". Files are opened later, but for their heads.

    Raises ArgumentTypeError, ArgumentValueError where there is none.
    """
    if isinstance(image, str | os.PathLike) and Path(image).is_dir():
        return _of_folder(Path(image))
    if isinstance(image, list | tuple):
        return _of_list(image)
    if isinstance(image, Tensor | np.ndarray) and image.ndim == 4 and len(image) > 1:
        return Sources(tuple(Source(f"picture {i}", one) for i, one in enumerate(image)))
    return Sources((Source("", image),))


def _of_list(image: Sequence[Picture]) -> Sources:
    if not image:
        raise ArgumentValueError("image is an empty list; give one picture at least.")
    for i, one in enumerate(image):
        if not isinstance(one, Image.Image | Tensor | np.ndarray | str | os.PathLike | bytes | bytearray):
            raise ArgumentTypeError(
                f"image must be a picture, a list of pictures, a batch or a folder; entry {i} of the list is of type "
                f"{type(one).__name__}. Of numbers make an array first."
            )
    names: dict[str, Source] = {}
    for i, one in enumerate(image):
        wanted = Path(one).name if isinstance(one, str | os.PathLike) else f"picture {i}"
        name = unused(wanted, names)
        names[name] = Source(name, one)
    return Sources(tuple(names.values()))


def _of_folder(folder: Path) -> Sources:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    broken = [path for path in files if not _is_readable(path)]
    names: dict[str, Source] = {}
    for path in files:
        if path not in broken:
            name = unused(path.name, names)
            names[name] = Source(name, path)
    remarks = (_broken_in_words(broken),) if broken else ()
    if not names:
        raise ArgumentValueError(
            f"image {str(folder)!r} is a folder without pictures ({', '.join(sorted(_SUFFIXES))}). {''.join(remarks)}"
        )
    return Sources(tuple(names.values()), remarks)


def _is_readable(path: Path) -> bool:
    try:
        # The head alone: a folder of a thousand photos opens at once.
        with Image.open(path):
            return True
    except Exception:  # noqa: BLE001  (of a broken file Pillow raises almost anything)
        return False


def _broken_in_words(broken: Sequence[Path]) -> str:
    named = ", ".join(plain(path.name, 60) for path in broken[:_MOST_NAMED])
    more = f" and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
    return f"Left out, as no pictures that can be read: {named}{more}."


def unused(wanted: str, names: Any) -> str:
    """Returns a name that is not among `names`."""
    base = whole(wanted)[:_NAME_LENGTH] or "picture"
    number, name = 1, base
    while name in names:
        number += 1
        name = f"{base} ({number})"
    return name


def _small(picture: Any) -> Image.Image:
    if isinstance(picture, str | os.PathLike):
        with Image.open(picture) as found:
            # A JPEG is decoded at the size that is needed, which takes a tenth of the time.
            found.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))
            turned = ImageOps.exif_transpose(found)
            picture = turned if max(turned.size) > 4 * _THUMBNAIL else picture
            if isinstance(picture, Image.Image):
                picture.thumbnail((4 * _THUMBNAIL, 4 * _THUMBNAIL))
    values = pixels_of(picture).values
    grey = values.float().mean(0, keepdim=True).expand(3, -1, -1) if len(values) not in (1, 2, 3, 4) else values
    small = Image.fromarray(to_bytes(variants(grey, 3)[0]))
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return small
