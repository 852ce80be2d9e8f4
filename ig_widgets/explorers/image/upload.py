"""Opens a picture file that a stranger may have made: of a few formats, its size checked before it is read."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.texts import plain, words_of

# All of them kinds that Pillow reads by itself; for others it starts programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# A file of a few bytes can say that it is larger, and would be in memory.
MOST_PIXELS = 50_000_000


def opened(name: str, data: bytes) -> Image.Image:
    """Returns the picture, RGB; of an animation the first frame. Raises ArgumentValueError, which names the file."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            # Before a single pixel is read.
            if picture.width * picture.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            picture.load()
            return picture.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ArgumentValueError(
            f"{name} has more pixels than a picture should, {MOST_PIXELS:,} are the most; make it smaller first."
        ) from None
    except UnidentifiedImageError:
        raise ArgumentValueError(
            f"{name} is no picture that can be read; it must be one of {', '.join(_FORMATS)}."
        ) from None
    except Exception as error:  # noqa: BLE001  (of a broken file Pillow raises almost anything)
        raise ArgumentValueError(f"{name} is no picture that can be read: {plain(words_of(error), 200)}") from None
