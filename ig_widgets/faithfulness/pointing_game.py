"""Does the map point at what is known to be the reason?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness.maps import numbers
from ig_widgets.faithfulness.regions import Region, region_mask
from ig_widgets.tables import html_table, text_table

Truth: TypeAlias = Region | Sequence[Region]


@dataclass(frozen=True, eq=False)
class Pointing:
    """How the maps (batch) lie to what is known to be the reason; all float64, on the CPU, each from 0 to 1.

    `hit`: whether the largest attribution is inside, or within `tolerance` pixels; where several are largest, the share
    of them that is. `positive_share`, `absolute_share`: of the sum of positive, and of absolute, attributions, what
    lies inside (NaN for a map without). `chance`: `hit` of a map without order. `area`: the share of the picture that
    is inside, to which both shares come on a uniform map. Prints as a table.
    """

    hit: Tensor
    positive_share: Tensor
    absolute_share: Tensor
    chance: Tensor
    area: Tensor
    tolerance: float

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        within = f" within {self.tolerance:g} px" if self.tolerance else ""
        return "", f"hit{within}", "by chance", "of positive", "of absolute", "area"

    def _rows(self) -> list[tuple[str, ...]]:
        columns = torch.stack([self.hit, self.chance, self.positive_share, self.absolute_share, self.area], dim=1)
        rows = [(f"example {i}", *map(numbers, values)) for i, values in enumerate(columns.tolist())]
        return rows if len(rows) == 1 else [*rows, ("mean", *map(numbers, columns.nanmean(0).tolist()))]


def pointing(attributions: Attribution | Tensor, truth: Truth, *, tolerance: float = 0) -> Pointing:
    """Whether maps point at regions that are known to be the reason, and how much of them lies there.

    The pointing game: Zhang, Lin, Brandt, Shen, Sclaroff: Top-down Neural Attention by Excitation Backprop (2016),
    section 4.2, who allow 15 pixels. Where the reason is known, a planted one say, this is the one check that does not
    ask the model about pictures that it has never seen.

    Args:
        attributions: an Attribution of pictures, or a tensor (batch, channels, height, width), (batch, height, width)
            or (height, width); channels are summed.
        truth: what `region_mask` takes, for all; or a list of such, or boolean masks (batch, height, width), one each.
        tolerance: how many pixels, from centre to centre, the largest attribution may lie outside.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    maps = _as_maps(attributions)
    batch, height, width = maps.shape
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real):
        raise ArgumentTypeError(f"tolerance must be a number of pixels, got {tolerance!r}.")
    if not 0 <= tolerance < float("inf"):
        raise ArgumentValueError(f"tolerance is a number of pixels from 0, got {tolerance}.")
    inside = _as_masks(truth, batch, height, width)
    near = _widened(inside, float(tolerance))
    flat, within, close = (t.reshape(batch, -1) for t in (maps, inside, near))
    # Of several largest values each counts for its share: a constant map points everywhere.
    largest = flat == flat.amax(1, keepdim=True)

    def share(values: Tensor) -> Tensor:
        total = values.sum(1)
        return torch.where(total > 0, (values * within).sum(1) / total, torch.nan)

    return Pointing(
        hit=(largest & close).sum(1).double() / largest.sum(1),
        positive_share=share(flat.clamp_min(0)),
        absolute_share=share(flat.abs()),
        chance=close.double().mean(1),
        area=within.double().mean(1),
        tolerance=float(tolerance),
    )


def _as_maps(attributions: object) -> Tensor:
    values = attributions.attributions if isinstance(attributions, Attribution) else attributions
    if isinstance(values, tuple | list) and len(values) == 1:
        values = values[0]
    if isinstance(values, tuple | list):
        raise ArgumentTypeError(
            f"attributions is a tuple of {len(values)}; give the map of the picture in which truth lies, e.g. "
            f"result.attributions[0]."
        )
    if not isinstance(values, Tensor):
        raise ArgumentTypeError(f"attributions must be an Attribution or a tensor, got {type(values).__name__}.")
    if values.dim() not in (2, 3, 4) or values.numel() == 0:
        raise ArgumentValueError(
            f"attributions must be maps (batch, channels, height, width), (batch, height, width) or (height, width), "
            f"got {tuple(values.shape)}."
        )
    if values.is_complex() or not torch.isfinite(values).all():
        raise ArgumentValueError("attributions holds values that are NaN, infinite or complex, which point nowhere.")
    wide = values.detach().cpu().double()
    return wide.sum(1) if wide.dim() == 4 else wide.reshape(-1, *wide.shape[-2:])


def _as_masks(truth: object, batch: int, height: int, width: int) -> Tensor:
    """True inside, (batch, height, width)."""
    several = isinstance(truth, list) or (isinstance(truth, Tensor | np.ndarray) and truth.ndim == 3)
    regions = list(truth) if several else [truth]  # type: ignore[call-overload]
    if several and len(regions) != batch:
        raise ArgumentValueError(
            f"truth has {len(regions)} regions for {batch} maps; give one for each, or a single one, no list, for all."
        )
    masks: list[npt.NDArray[np.bool_]] = []
    for i, region in enumerate(regions):
        try:
            masks.append(region_mask(region, height, width))
        except (ArgumentTypeError, ArgumentValueError) as error:
            error.add_note(f"This is truth{f'[{i}]' if several else ''}.")
            raise
    return torch.from_numpy(np.stack(masks)).expand(batch, -1, -1)


def _widened(inside: Tensor, tolerance: float) -> Tensor:
    """What is inside or at most `tolerance` pixels away, (batch, height, width)."""
    if tolerance < 1:
        return inside
    # A convolution with a disc, cut to the picture's size, beyond which nothing changes.
    radius = min(int(tolerance), max(inside.shape[1:]))
    steps = torch.arange(-radius, radius + 1, device="cpu")
    disc = (steps[:, None] ** 2 + steps**2 <= tolerance**2).float()
    return F.conv2d(inside.float()[:, None], disc[None, None], padding=radius)[:, 0] > 0.5
