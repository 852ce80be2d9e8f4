"""Subject of TableExplorer: one row of a table, and the bars that are drawn of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from ig_widgets import baselines, figures
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.baseline_catalog import BaselineCatalog, GivenBaseline
from ig_widgets.explorers.core.classification import Classifier
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.methods import RELATIVES, Methods
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.subject import Shown, Subject
from ig_widgets.explorers.table.row import Row, as_inputs, names_of
from ig_widgets.figures.inputs import AS_TEXT, wrapped
from ig_widgets.files import Array
from ig_widgets.texts import plain

# Expected gradients draw from rows of a data set, which a row alone has not.
METHODS = Methods({name: relative for name, relative in RELATIVES.items() if name != "expected_gradients"})
# More bars than that are not read.
_MOST_BARS = 40
# In inches.
_WIDTH, _BAR, _MARGIN = 6.0, 0.22, 1.3


class TableSubject(Subject):
    """One row as a model sees it: inputs (1, features), maps (features,)."""

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        model: nn.Module,
        row: Row,
        data: Any = None,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """As `TableExplorer` takes them. Raises as it does."""
        parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        inputs = as_inputs(row, parameter)
        self.names = names_of(row, names, inputs.shape[1])
        offers: dict[str, Any] = {"zeros": baselines.zeros()}
        if data is not None:
            mean = _mean_of(data, inputs)
            offers = {"mean": GivenBaseline(lambda _inputs: mean, "the mean of the data")} | offers
        catalog = BaselineCatalog(inputs, offers)
        super().__init__(model, inputs, Classifier(model, inputs, labels), catalog, METHODS)

    @property
    def map_shape(self) -> tuple[int]:
        """The number of features."""
        return (self.inputs.shape[1],)

    def reduce(self, maps: Tensor, settings: Settings) -> Tensor:
        """Returns the attributions as they are."""
        return maps

    def display(self, settings: Settings) -> Display:
        """Returns the features' values at the row and at the baseline, and their names."""
        arrays = {"values": _values(self.inputs), "baseline": _values(self.baseline(settings))}
        return Display(self.kind, self.map_shape, arrays, {"names": list(self.names)})

    def drawing(self, shown: Shown) -> Bars:
        """Returns bars of what was collected."""
        return Bars(self.names, _values(self.inputs), shown)

    def state(self) -> dict[str, Array]:
        """Returns the row."""
        return {"values": _values(self.inputs)}

    def mismatch(self, state: Mapping[str, Array]) -> str:
        """Compares the row."""
        was, now = state.get("values"), _values(self.inputs)
        if was is None or was.shape != now.shape:
            return "the file has no such row"
        differs = np.flatnonzero(~np.isclose(was, now, rtol=1e-5, atol=1e-12))
        if not len(differs):
            return ""
        at = int(differs[0])
        return f"{self.names[at][:60]} was {was[at]:.6g} and is {now[at]:.6g}"


@dataclass(frozen=True, eq=False)
class Bars:
    """A bar for each feature, the largest attributions first."""

    names: tuple[str, ...]
    values: Array
    shown: Shown

    def figure(self) -> Figure:
        """Returns it as a figure of matplotlib's."""
        collected, look = np.asarray(self.shown.collected, np.float64), self.shown.look
        kept = {"positive": np.maximum(collected, 0), "negative": np.minimum(collected, 0)}.get(look["sign"], collected)
        # By the whole attribution, so that bars keep their places while alpha moves.
        order = np.argsort(-np.abs(self.shown.values), kind="stable")[:_MOST_BARS]
        scale = figures.scale_of(self.shown.values, look["clip"])
        share = np.clip(kept[order] / scale, -1, 1)
        colours = figures.color_table(look["colormap"])[np.rint((share / 2 + 0.5) * 255).astype(int)] / 255
        figure = Figure(figsize=(_WIDTH, _MARGIN + _BAR * len(order)), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.barh(np.arange(len(order)), kept[order], color=colours, edgecolor="0.4", linewidth=0.5)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.invert_yaxis()
        texts = [f"{plain(self.names[i], 40)} = {self.values[i]:.4g}" for i in order]
        axes.set_yticks(np.arange(len(order)), texts, fontsize=9, **AS_TEXT)
        axes.set_xlabel(plain(self.shown.settings.output, 60), fontsize=9, **AS_TEXT)
        hidden = len(self.names) - len(order)
        more = f"; {hidden} features with smaller attributions are not shown" if hidden else ""
        figure.supxlabel(wrapped(self.shown.caption + more, 90), fontsize=8, **AS_TEXT)
        return figure

    def png(self) -> bytes:
        """Returns it as a PNG."""
        return figures.to_png(self.figure(), dpi=100)

    def svg(self) -> bytes:
        """Returns it as an SVG."""
        return figures.to_svg(self.figure())


def _values(inputs: Tensor) -> Array:
    return np.asarray(inputs[0].detach().cpu().float(), np.float32)


def _mean_of(data: Any, inputs: Tensor) -> Tensor:
    rows = np.asarray(data.detach().cpu() if isinstance(data, Tensor) else data)
    if rows.ndim != 2 or rows.shape[1] != inputs.shape[1] or not len(rows) or rows.dtype.kind not in "iufb":
        raise ArgumentValueError(
            f"data must be numbers (rows, {inputs.shape[1]}), as many features as the row, got {rows.shape} of "
            f"{rows.dtype}."
        )
    mean = rows.astype(np.float64).mean(0)
    if not np.isfinite(mean).all():
        raise ArgumentValueError("data holds NaN or infinity, so that it has no mean; fill missing values first.")
    mean_inputs: Tensor = inputs.new_tensor(mean)[None]
    return mean_inputs
