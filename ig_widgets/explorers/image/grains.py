"""Grains of a picture: pixels, square patches of them, or superpixels; js/src/image/grains.ts has the same cells."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.core.cells import Cells

PIXELS, SUPERPIXELS = "pixels", "superpixels"
SIDES = {f"patches of {side}": side for side in (2, 4, 8, 16, 32)}
GRAINS = (PIXELS, *SIDES, SUPERPIXELS)


def grain_of(value: object) -> str:
    """Returns the name of a grain; of a number that of patches of so many pixels each way. Raises IGError."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ArgumentTypeError(f"grain must be one of {_offered()}, got {value!r} ({type(value).__name__}).")
    name = value if isinstance(value, str) else PIXELS if value == 1 else f"patches of {value}"
    if name not in GRAINS:
        raise ArgumentValueError(f"grain must be one of {_offered()}, got {value!r}.")
    return name


def _offered() -> str:
    return f"{', '.join(GRAINS)}, or the side of a patch (1, 2, 4, 8, 16, 32)"


@lru_cache(maxsize=16)
def patches(height: int, width: int, side: int) -> Cells:
    """Returns patches of `side` pixels each way; those at the right and the lower edge may be smaller."""
    across = -(-width // side)
    labels = np.arange(height)[:, None] // side * across + np.arange(width) // side
    return Cells(labels, f"patch of {side} x {side}")


def superpixel_cells(labels: npt.NDArray[np.uint8]) -> Cells:
    """Returns the cells of superpixels."""
    return Cells(labels, "superpixel")
