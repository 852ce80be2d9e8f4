"""Regions of the picture: what was attributed to each, beside what the model says when it is replaced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError, IGError
from ig_widgets.engine.model_locks import lock_of
from ig_widgets.engine.path import make_path
from ig_widgets.explorers import protocol
from ig_widgets.explorers.base import Explorer
from ig_widgets.explorers.classifier import Output
from ig_widgets.explorers.failure import sentence
from ig_widgets.explorers.gallery import Gallery
from ig_widgets.explorers.pane import Pane
from ig_widgets.explorers.picture import PreparedImage
from ig_widgets.explorers.regions import MOST_REGIONS, RegionData, check_new, from_data, mask_of, to_data
from ig_widgets.faithfulness.audit import RegionAudit, RegionAudits, make_audits
from ig_widgets.faithfulness.regions import Region


class Auditing(Explorer):
    """What an explorer of pictures has for regions. `_regions` is what the front end draws, `region` the last of it."""

    region = traitlets.Any(None, allow_none=True)
    _regions: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _audits: traitlets.List[Any] = traitlets.List().tag(sync=True)

    _image: PreparedImage
    _gallery: Gallery
    # Known to hold pixels: a front end that adds a region sends all of them.
    _checked_regions: tuple[RegionData, ...]

    def __init__(self, **traits: Any) -> None:
        self._checked_regions = ()
        super().__init__(**traits)

    def audit(self, pane: int = 0) -> RegionAudit:
        """`region`: what was attributed to it, beside what happens to F when it is replaced by the baseline.

        Waits; the model is asked. Of several regions, the last. `pane`: 0 is the explorer's own, others are those of
        `compare`. Raises ValueError where there is no region, ArgumentValueError where there is no such pane.
        """
        return self.audits(pane)[-1]

    def audits(self, pane: int = 0) -> RegionAudits:
        """All regions, as `audit`; it prints as a table."""
        if not 0 <= pane < len(self._asked):
            raise ArgumentValueError(f"pane must be from 0 to {len(self._asked) - 1}, got {pane}.")
        self.wait()
        if not self._regions:
            raise ValueError("There is no region; set explorer.region = (left, top, right, bottom), or draw one.")
        return self._audit(list(self._regions), self._asked[pane])

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions, as `region` has the last of them; can be set to any number of such."""
        return tuple(from_data(data, *self._size) for data in self._regions)

    @regions.setter
    def regions(self, regions: Sequence[Region]) -> None:
        try:
            data = [to_data(region, *self._size) for region in regions]
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        self._checked_regions = tuple(data)
        self._regions = data

    def _function(self, settings: protocol.Settings) -> Output:
        raise NotImplementedError

    # ------------------------------------------------------------

    def _audit(self, regions: list[Any], pane: Pane) -> RegionAudits:
        result, settings = pane.result, pane.answered
        if result is None or settings is None:
            raise RuntimeError("There is nothing to audit yet: the first run was cancelled before its first sample.")
        masks = [mask_of(region, *self._size) for region in regions]
        function = self._function(settings)
        return make_audits(
            function,
            make_path(self._image.inputs, self._gallery.inputs(settings.baseline)),
            [f"region {i + 1}" for i in range(len(masks))],
            masks,
            target=settings.target,
            attributions=result,
            guard=lock_of(function.model),
        )

    def _tell_audits(self) -> None:
        """To the front end; an audit that fails is no reason to fail anything else."""
        if not self._asked:  # regions that the constructor is given; the first answer will be audited
            return
        regions, pane = list(self._regions), self._asked[0]
        if not regions or pane.answered != pane.wish:
            # The next answer will be audited.
            self._audits = []
            return
        try:
            audits = self._audit(regions, pane)
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            self._audits = [{"error": sentence(error)}]
            return
        self._audits = [_row(region, audit) for region, audit in zip(regions, audits, strict=True)]

    def _last_region(self) -> Region | None:
        return from_data(self._regions[-1], *self._size) if self._regions else None

    @property
    def _size(self) -> tuple[int, int]:
        inputs: Tensor = self._image.inputs
        height, width = inputs.shape[-2:]
        return height, width

    @traitlets.observe("_regions")
    def _regions_changed(self, _change: Any) -> None:
        region = self._last_region()
        if not _same(region, self.region):
            self.region = region
        self._chores.ask("audit", self._tell_audits)

    @traitlets.observe("baseline", "target", "output")
    def _outdated(self, _change: Any) -> None:
        if self._audits:
            self._audits = []

    @traitlets.observe("region")
    def _region_changed(self, change: Any) -> None:
        if not _same(change.new, self._last_region()):
            data = [] if change.new is None else [to_data(change.new, *self._size)]
            self._checked_regions = tuple(data)
            self._regions = data

    @traitlets.validate("region")
    def _check_region(self, proposal: Any) -> Region | None:
        if proposal.value is None:
            return None
        # A polygon or mask that a front end has drawn was looked at already.
        if isinstance(proposal.value, np.ndarray) and _same(proposal.value, last := self._last_region()):
            return last
        try:
            return from_data(to_data(proposal.value, *self._size), *self._size)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("_regions")
    def _check_regions(self, proposal: Any) -> list[Any]:
        if len(proposal.value) > MOST_REGIONS:
            raise traitlets.TraitError(f"up to {MOST_REGIONS} regions can be kept, got {len(proposal.value)}.")
        try:
            check_new([region for region in proposal.value if region not in self._checked_regions], *self._size)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        self._checked_regions = tuple(proposal.value)
        return list(proposal.value)


def _row(region: Any, audit: RegionAudit) -> dict[str, Any]:
    return {
        "region": region,
        "sum": audit.attribution_sum,
        "share": audit.share if math.isfinite(audit.share) else None,
        "output": audit.output,
        "without": audit.output_without_region,
        "only": audit.output_with_region_only,
        "baseline": audit.baseline_output,
    }


def _same(one: Region | None, other: Region | None) -> bool:
    return one is other is None or (
        one is not None and other is not None and np.array_equal(np.asarray(one), np.asarray(other))
    )
