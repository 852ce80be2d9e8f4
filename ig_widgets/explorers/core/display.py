"""Display: what the front end draws a map over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Display:
    """What a request's maps are drawn over, from which the front end chooses how to draw them.

    `kind`: of the explorer, such as "image". `shape`: of each map. `arrays`: by name, of uint8 or float32.
    `meta`: plain data that JSON can hold.
    """

    kind: str
    shape: tuple[int, ...]
    arrays: Mapping[str, npt.NDArray[Any]]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many values a map has."""
        return math.prod(self.shape)

    def to_data(self) -> dict[str, Any]:
        """Returns it as JSON can hold it, with the form of each array in place of its values."""
        arrays = [
            {"name": name, "dtype": _dtype_name(array), "shape": list(array.shape)}
            for name, array in self.arrays.items()
        ]
        return {"kind": self.kind, "shape": list(self.shape), "meta": dict(self.meta), "arrays": arrays}

    def buffers(self) -> list[bytes]:
        """Returns the values of the arrays, in their order, little endian."""
        return [array.astype(f"<{_dtype_name(array)}").tobytes() for array in self.arrays.values()]


def _dtype_name(array: npt.NDArray[Any]) -> str:
    return "u1" if array.dtype == np.uint8 else "f4"
