"""Figure of deletion and insertion: F as features are exchanged, in the order of the map and in random orders."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.faithfulness import Curves
from ig_widgets.figures.export import settled
from ig_widgets.figures.inputs import AS_TEXT, wrapped
from ig_widgets.texts import plain

# Told apart in grey, and by those who do not see red or green.
_MAP, _RANDOM = "#b35806", "#998ec3"
_ACROSS, _DOWN, _LINE, _SIGNS_PER_INCH = 3.7, 2.9, 0.15, 16.5


def curves(
    results: Curves | Sequence[Curves],
    *,
    example: int = 0,
    title: str | None = None,
    caption: str | None = None,
    unit: str = "logit",
) -> Figure:
    """F against the share of features exchanged: in the order of the map, and in random orders.

    Several results, a deletion and an insertion say, are drawn side by side with one scale. Random orders are drawn as
    their mean, and as a band from the smallest to the largest where there are several. The legend has the areas.
    `example` is that of the batch. `title` above; `caption` below: None says what was replaced by what, "" nothing.
    `unit`: that of F. Raises ArgumentTypeError, ArgumentValueError.
    """
    shown = [results] if isinstance(results, Curves) else list(results)
    for result in shown:
        if not isinstance(result, Curves):
            raise ArgumentTypeError(
                f"results must be what deletion or insertion returned, got {type(result).__name__}."
            )
        if not -len(result.outputs) <= example < len(result.outputs):
            raise ArgumentValueError(f"example is {example}, and the result has {len(result.outputs)}.")
    if not shown:
        raise ArgumentValueError("results is empty; there is nothing to draw.")
    inches = _ACROSS * len(shown) + 0.3
    lines = wrapped(_caption(shown) if caption is None else caption, int(inches * _SIGNS_PER_INCH))
    below = _LINE * (lines.count("\n") + 1) if lines else 0.0
    figure = Figure(figsize=(inches, _DOWN + 0.3 + below + (0 if title is None else 0.3)), dpi=90, layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, shown, strict=True):
        _panel(axes, result, example)
    panels[0].set_ylabel(f"F, {plain(unit, 60)}" if unit else "F", fontsize=8, **AS_TEXT)
    if lines:
        figure.supxlabel(lines, fontsize=8, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=10, **AS_TEXT)
    return settled(figure)


def _panel(axes: Axes, result: Curves, example: int) -> None:
    shares, outputs, chance = (
        t.numpy() for t in (result.shares, result.outputs[example], result.random_outputs[example])
    )
    area, random_area = float(result.area[example]), float(result.random_area[example].mean())
    if len(chance) > 1:
        axes.fill_between(shares, chance.min(0), chance.max(0), color=_RANDOM, alpha=0.3, linewidth=0)
    axes.plot(shares, chance.mean(0), "--", color=_RANDOM, linewidth=1.4, label=f"random, area {random_area:.3g}")
    axes.plot(shares, outputs, color=_MAP, linewidth=1.8, label=f"map, area {area:.3g}")
    axes.set_title(result.kind, fontsize=9)
    verb = "replaced" if result.kind == "deletion" else "inserted"
    axes.set_xlabel(f"share of features {verb}", fontsize=8)
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)


def _caption(shown: Sequence[Curves]) -> str:
    fills = dict.fromkeys(plain(result.fill) for result in shown)
    orders = dict.fromkeys(result.random_outputs.shape[1] for result in shown)
    count = " and ".join(map(str, orders))
    band = "" if max(orders) == 1 else ", their mean and the range between them"
    return (
        f"Features by falling attribution (solid), and in {count} random order{'s' * (max(orders) > 1)} "
        f"(dashed{band}). Fill: {'; '.join(fills)}. The areas are under F."
    )
