"""Maps as they are sent and kept: 16-bit integers with a scale, or float32 where a map is small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Dtype: TypeAlias = Literal["i2", "f4"]
Floats: TypeAlias = npt.NDArray[np.float64]

# A map of fewer values is sent as float32: it is small, and what it holds may be read as numbers.
_LEAST_QUANTIZED = 4096
_MOST_LEVEL = 32767
# Between these float32 holds a value to its usual precision.
_LEAST_FLOAT, _MOST_FLOAT = 1e-30, 1e30


@dataclass(frozen=True)
class EncodedMap:
    """A flat map, little endian; its values are the numbers in `data` times `scale`."""

    scale: float
    data: bytes
    dtype: Dtype

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """The numbers (n,) without their scale, in their own dtype."""
        return np.frombuffer(self.data, f"<{self.dtype}")

    def decode(self) -> Floats:
        """Returns the values (n,) in float64."""
        values: Floats = self.numbers.astype(np.float64) * self.scale
        return values

    def __len__(self) -> int:
        return len(self.data) // int(self.dtype[1])


def dtype_for(size: int) -> Dtype:
    """Returns the dtype in which maps of so many values are sent."""
    return "f4" if size < _LEAST_QUANTIZED else "i2"


def encode(values: npt.NDArray[np.floating[Any]], dtype: Dtype | None = None) -> EncodedMap:
    """Encodes a map of any shape; `dtype` None chooses by its size.

    "i2": each value is off by at most half of 1 / 32767 of the largest. "f4": to the precision of float32; the scale is
    1 unless the largest value is out of float32's range.
    """
    wide = values.astype(np.float64).ravel()  # in float32 the scale of a map that nearly vanishes would be zero
    most = float(np.abs(wide).max(initial=0.0))
    dtype = dtype_for(wide.size) if dtype is None else dtype
    if dtype == "f4":
        scale = 1.0 if most == 0 or _LEAST_FLOAT <= most <= _MOST_FLOAT else most
        return EncodedMap(max(scale, float(np.finfo(np.float64).tiny)), (wide / scale).astype("<f4").tobytes(), dtype)
    scale = most / _MOST_LEVEL
    if scale < np.finfo(np.float64).tiny:  # zeros, or values that a scale of so few bits could not divide
        scale = 1.0
    return EncodedMap(scale, np.rint(wide / scale).astype("<i2").tobytes(), dtype)


def stack(maps: Sequence[EncodedMap], part: slice | None = None) -> npt.NDArray[Any]:
    """Returns the numbers of maps of one size as (maps, n), or of a part of each, without their scales."""
    return np.stack([one.numbers if part is None else one.numbers[part] for one in maps])
