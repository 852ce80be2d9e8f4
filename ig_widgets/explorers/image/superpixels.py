"""A picture cut into superpixels, pieces of like colour that hang together.

SLIC: k-means over colour and place from seeds on a grid. Achanta and others, SLIC Superpixels Compared to
State-of-the-Art Superpixel Methods (2012), section 3. A pixel is compared with the nine seeds about it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]

# At most, so that a label is a byte; a small picture has one for so many pixels.
_MOST, _PIXELS_EACH = 150, 16
_ROUNDS = 6
# How much place counts beside colour: the paper's m.
_COMPACTNESS = 15.0
# A larger picture is cut at a fraction of its size: what lies within a pixel of an edge is not worth a second.
_MOST_PIXELS = 1 << 14


def superpixels(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns the superpixel (height, width) of each pixel of an RGB picture, from 0 on; each hangs together."""
    height, width = photo.shape[:2]
    factor = int(np.ceil(np.sqrt(height * width / _MOST_PIXELS)))
    small = np.asarray(Image.fromarray(photo).reduce(factor)) if factor > 1 else photo
    labels = _connected(_slic(_to_lab(small)))
    return np.repeat(np.repeat(labels, factor, 0), factor, 1)[:height, :width].astype(np.uint8)


def _slic(lab: Floats) -> Labels:
    height, width = lab.shape[:2]
    count = int(np.clip(height * width // _PIXELS_EACH, 1, _MOST))
    step = max(float(np.sqrt(height * width / count)), 1.0)
    columns = int(np.clip(round(width / step), 1, count))
    rows = int(np.clip(round(height / step), 1, count // columns))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    place = _COMPACTNESS / step
    # Five numbers a pixel, in which distances are those of the paper.
    points = np.concatenate([lab, place * x[..., None], place * y[..., None]], axis=2).reshape(-1, 5)
    own_row, own_column = (y * rows // height).astype(np.intp).ravel(), (x * columns // width).astype(np.intp).ravel()
    labels: Labels = own_row * columns + own_column
    about = [
        (own_row + down).clip(0, rows - 1) * columns + (own_column + right).clip(0, columns - 1)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    near_seeds = np.stack(about)
    for _ in range(_ROUNDS):
        centres = _means(points, labels, rows * columns)
        apart = (points - centres[near] for near in about)
        distances = np.stack([np.einsum("ij,ij->i", one, one) for one in apart])
        labels = np.take_along_axis(near_seeds, distances.argmin(0)[None], 0)[0]
    found: Labels = labels.reshape(height, width)
    return found


def _means(points: Floats, labels: Labels, count: int) -> Floats:
    sizes = np.bincount(labels, minlength=count)
    sums = np.stack([np.bincount(labels, weights=values, minlength=count) for values in points.T], axis=1)
    # One that has lost all its pixels is far from everything.
    return np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], np.inf).astype(np.float32)


def _connected(labels: Labels) -> Labels:
    """Gives specks, which do not hang together with the most of their superpixel, to a neighbour."""
    pieces = _pieces(labels)
    names, inverse, sizes = np.unique(pieces, return_inverse=True, return_counts=True)
    of = labels.ravel()[names]
    order = np.lexsort((-sizes, of))
    largest = order[np.unique(of[order], return_index=True)[1]]
    is_kept = np.isin(np.arange(len(names)), largest)[inverse].reshape(labels.shape)
    found = np.where(is_kept, labels, -1)
    while (found < 0).any():
        for shifted in _neighbours(found, -1):
            found = np.where((found < 0) & (shifted >= 0), shifted, found)
    dense: Labels = np.unique(found, return_inverse=True)[1].reshape(labels.shape)
    return dense


def _pieces(labels: Labels) -> Labels:
    """Returns for each pixel the first one that it hangs together with."""
    pieces = np.arange(labels.size).reshape(labels.shape)
    alike = [shifted == labels for shifted in _neighbours(labels, -1)]
    while True:
        least = pieces
        for same, shifted in zip(alike, _neighbours(pieces, labels.size), strict=True):
            least = np.where(same, np.minimum(least, shifted), least)
        # What is pointed at may point further.
        least = least.ravel()[least]
        if np.array_equal(least, pieces):
            return pieces
        pieces = least


def _neighbours(values: npt.NDArray[Any], beyond: int) -> list[npt.NDArray[Any]]:
    """Returns for each pixel the values above, below, to the left and to the right of it."""
    padded = np.pad(values, 1, constant_values=beyond)
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def _to_lab(photo: npt.NDArray[np.uint8]) -> Floats:
    """CIELAB of sRGB under D65, in which distances are about as large as they look."""
    level = photo.astype(np.float32) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089], np.float32)
    curve = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    fx, fy, fz = np.moveaxis(curve, -1, 0)
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1).astype(np.float32)
