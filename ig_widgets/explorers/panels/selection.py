"""Selection panel: what was attributed to selected features, beside what the model answers when they are replaced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from ig_widgets.engine.errors import ArgumentValueError, IGError
from ig_widgets.engine.model_locks import lock_of
from ig_widgets.engine.path import make_path
from ig_widgets.explorers.core.error_text import describe_model_error
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.pane import Pane
from ig_widgets.explorers.core.panel import Host, Panel
from ig_widgets.explorers.core.subject import Selections
from ig_widgets.explorers.widget.schema import Form, ProtocolError
from ig_widgets.faithfulness.audit import make_audits
from ig_widgets.faithfulness.region_audit import RegionAudit, RegionAudits
from ig_widgets.faithfulness.regions import Region

MOST_REGIONS = 32


def _check_regions_form(name: str, value: object) -> None:
    # What each is, its features tell.
    if not isinstance(value, list) or len(value) > MOST_REGIONS or not all(isinstance(one, dict) for one in value):
        raise ProtocolError(f"{name} must be a list of at most {MOST_REGIONS} regions.")


REGIONS = Form("regions", _check_regions_form)


class SelectionPanel(Panel):
    """Audits the regions that are selected after each result, and whenever they change."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        # Known to hold features: a front end that adds a region sends all of them.
        self._checked: tuple[Any, ...] = ()

    def audits(self, pane: int) -> RegionAudits:
        """Audits all regions for the result of a pane. Waits."""
        panes = self.host.panes
        if not 0 <= pane < len(panes):
            raise ArgumentValueError(f"pane must be from 0 to {len(panes) - 1}, got {pane}.")
        self.host.wait()
        regions = self.host.get("_regions")
        if not regions:
            raise ValueError("There is no region; set explorer.region = (left, top, right, bottom), or draw one.")
        return self._audit(list(regions), panes[pane])

    def regions(self) -> tuple[Region, ...]:
        """Returns all regions, as Python has them."""
        return tuple(self._selections.from_data(data) for data in self.host.get("_regions"))

    def last(self) -> Region | None:
        """Returns the last region, None where there is none."""
        data = self.host.get("_regions")
        return self._selections.from_data(data[-1]) if data else None

    def select(self, regions: Sequence[Region]) -> None:
        """Selects these regions alone. Raises TraitError."""
        try:
            data = [self._selections.to_data(region) for region in regions]
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        self._checked = tuple(data)
        self.host.set(_regions=data)

    def check_last(self, region: Any) -> Region | None:
        """Returns a region in the form in which it is kept. Raises TraitError."""
        if region is None:
            return None
        # A polygon or mask that a front end has drawn was checked already.
        if isinstance(region, np.ndarray) and same(region, last := self.last()):
            return last
        try:
            found: Region = self._selections.from_data(self._selections.to_data(region))
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        return found

    def check_data(self, data: list[Any]) -> list[Any]:
        """Returns the regions that a front end has sent. Raises TraitError."""
        if len(data) > MOST_REGIONS:
            raise traitlets.TraitError(f"up to {MOST_REGIONS} regions can be kept, got {len(data)}.")
        try:
            self._selections.check_new([region for region in data if region not in self._checked])
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        self._checked = tuple(data)
        return list(data)

    def update(self) -> None:
        """Audits the regions in the background."""
        self.host.tasks.submit("audit", self._show)

    def outdate(self) -> None:
        """Removes audits of another question."""
        if self.host.get("_audits"):
            self.host.set(_audits=[])

    def on_result(self, pane: Pane) -> None:
        """The first pane has a new result."""
        if len(self.host.panes) and pane is self.host.panes[0] and self.host.get("_regions"):
            self.update()

    @property
    def _selections(self) -> Selections:
        selections = self.host.subject.selections
        assert selections is not None, "an explorer with this panel has a subject with selections"
        return selections

    def _audit(self, regions: list[Any], pane: Pane) -> RegionAudits:
        result, settings = pane.result, pane.answered
        if result is None or settings is None:
            raise RuntimeError("There is nothing to audit yet: the first run was cancelled before its first sample.")
        subject = self.host.subject
        masks = [self._selections.mask(region) for region in regions]
        return make_audits(
            subject.function(settings),
            make_path(subject.inputs, subject.baseline(settings)),
            [f"region {i + 1}" for i in range(len(masks))],
            masks,
            target=subject.target(settings),
            attributions=result,
            guard=lock_of(subject.model),
        )

    def _show(self) -> None:
        """Shows the audits; one that fails is shown as its error."""
        if not len(self.host.panes):  # regions that the constructor was given; the first result will be audited
            return
        regions, pane = list(self.host.get("_regions")), self.host.panes[0]
        if not regions or pane.answered != pane.settings:
            # The next result will be audited.
            self.host.set(_audits=[])
            return
        try:
            audits = self._audit(regions, pane)
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            self.host.set(_audits=[{"error": describe_model_error(error)}])
            return
        self.host.set(_audits=[_row(region, audit) for region, audit in zip(regions, audits, strict=True)])


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


def same(one: Region | None, other: Region | None) -> bool:
    """Whether two regions, or none, are equal."""
    return one is other is None or (
        one is not None and other is not None and np.array_equal(np.asarray(one), np.asarray(other))
    )


class SelectionTraits(Explorer):
    """The traits and methods of the selection panel. The front end draws `_regions`; `region` is the last of them."""

    region = traitlets.Any(None, allow_none=True)
    _regions: traitlets.List[Any] = traitlets.List().tag(sync=True, write=REGIONS)
    _audits: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def audit(self, pane: int = 0) -> RegionAudit:
        """Returns what was attributed to `region`, beside what happens to F when it is replaced by the baseline.

        Waits; the model is asked. Of several regions, the last. `pane`: 0 is the explorer's own, others are those of
        `compare`. Raises ValueError where there is no region, ArgumentValueError where there is no such pane.
        """
        return self.audits(pane)[-1]

    def audits(self, pane: int = 0) -> RegionAudits:
        """Returns the same of all regions; prints as a table."""
        return self._panel(SelectionPanel).audits(pane)

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions, as `region` has the last of them; can be set to any number of such."""
        return self._panel(SelectionPanel).regions()

    @regions.setter
    def regions(self, regions: Sequence[Region]) -> None:
        self._panel(SelectionPanel).select(regions)

    @traitlets.observe("_regions")
    def _update_region(self, _change: Any) -> None:
        panel = self._panel(SelectionPanel)
        if not same(last := panel.last(), self.region):
            self.region = last
        panel.update()

    @traitlets.observe("region")
    def _update_regions(self, change: Any) -> None:
        panel = self._panel(SelectionPanel)
        if not same(change.new, panel.last()):
            panel.select([] if change.new is None else [change.new])

    @traitlets.observe("baseline", "target", "output")
    def _outdate_audits(self, _change: Any) -> None:
        self._panel(SelectionPanel).outdate()

    @traitlets.validate("region")
    def _check_region(self, proposal: Any) -> Region | None:
        return self._panel(SelectionPanel).check_last(proposal.value)

    @traitlets.validate("_regions")
    def _check_regions(self, proposal: Any) -> list[Any]:
        return self._panel(SelectionPanel).check_data(proposal.value)
