"""The audit of one region, and of several as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from ig_widgets.engine.number_text import counted
from ig_widgets.faithfulness.regions import Mask
from ig_widgets.tables import html_table, text_table
from ig_widgets.texts import plain


@dataclass(frozen=True, eq=False)
class RegionAudit:
    """One region: what was attributed to it, and what replacing it by the baseline x' does. All in the units of F.

    `attribution_sum`: the sum of the attributions inside. `share`: that of the sum over all (NaN where that is 0); it
    may exceed 1 or be negative. `output`, `baseline_output`: F(x), F(x'). `output_without_region`: F where the region
    is taken from x' and all else from x. `output_with_region_only`: F where the region is taken from x and all else
    from x'. `pixels`: how many the region holds (of what is no picture, values). `masks`: which, of each input, of
    pictures (height, width). `name`, `unit`: what it, and what it holds, are called in a table.
    """

    attribution_sum: float
    share: float
    output: float
    baseline_output: float
    output_without_region: float
    output_with_region_only: float
    pixels: int
    masks: tuple[Mask, ...] = field(repr=False)
    name: str = "region"
    unit: str = "pixel"

    @property
    def mask(self) -> Mask:
        """Which pixels or values of the only input. Raises AttributeError where there are several inputs."""
        if len(self.masks) > 1:
            raise AttributeError(f"the region is one of {len(self.masks)} inputs; each has its own in masks")
        return self.masks[0]

    @property
    def drop(self) -> float:
        """By how much F falls when the region is replaced by the baseline."""
        return self.output - self.output_without_region

    @property
    def rise(self) -> float:
        """By how much F rises when only the region is put into the baseline."""
        return self.output_with_region_only - self.baseline_output

    def __repr__(self) -> str:
        return (
            f"RegionAudit({plain(self.name, 60)}, {counted(self.pixels, self.unit)}, "
            f"attribution {self.attribution_sum:.3g} ({_percent(self.share)}), drop {self.drop:.3g}, "
            f"rise {self.rise:.3g})"
        )


@dataclass(frozen=True, eq=False)
class RegionAudits(Sequence[RegionAudit]):
    """Several regions of one picture; prints as a table, in a notebook too."""

    audits: tuple[RegionAudit, ...]

    @overload
    def __getitem__(self, index: int) -> RegionAudit: ...
    @overload
    def __getitem__(self, index: slice) -> RegionAudits: ...
    def __getitem__(self, index: int | slice) -> RegionAudit | RegionAudits:
        """One, or some of them."""
        return RegionAudits(self.audits[index]) if isinstance(index, slice) else self.audits[index]

    def __len__(self) -> int:
        return len(self.audits)

    def __iter__(self) -> Iterator[RegionAudit]:
        return iter(self.audits)

    def __repr__(self) -> str:
        return text_table(self._head, [_row(audit) for audit in self.audits], right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head, [_row(audit) for audit in self.audits])

    @property
    def _head(self) -> tuple[str, ...]:
        units = {f"{audit.unit}s" for audit in self.audits} or {"pixels"}
        return _HEAD[0], "pixels" if units == {"pixels"} else "values", *_HEAD[2:]


_HEAD = ("region", "pixels", "attribution", "share", "F(x)", "without it", "drop", "F(x')", "with it only", "rise")


def _row(audit: RegionAudit) -> tuple[str, ...]:
    return (
        " ".join(audit.name.split()),
        str(audit.pixels),
        f"{audit.attribution_sum:.3g}",
        _percent(audit.share),
        f"{audit.output:.3g}",
        f"{audit.output_without_region:.3g}",
        f"{audit.drop:.3g}",
        f"{audit.baseline_output:.3g}",
        f"{audit.output_with_region_only:.3g}",
        f"{audit.rise:.3g}",
    )


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.0f}%"
