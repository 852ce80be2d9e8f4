"""Figure of the model randomisation check: similarity of the map as weights are drawn anew."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ig_widgets.engine.errors import ArgumentTypeError
from ig_widgets.faithfulness import Randomization
from ig_widgets.figures.export import settled
from ig_widgets.figures.inputs import AS_TEXT, wrapped
from ig_widgets.texts import plain

# Told apart in grey, and by those who do not see red or green.
_VALUES, _SIZES = "#b35806", "#998ec3"
_LINE, _SIGNS_PER_INCH = 0.15, 16.5
# More names than these would run into each other; layers are then numbered.
_NAMES = 24


def randomization(result: Randomization, *, title: str | None = None, caption: str | None = None) -> Figure:
    """Rank correlation with the model's own map, against the layers that were drawn anew, from the output downwards.

    Means over the examples; where there are several, each is a thin line of its own. A map that heeds what the model
    has learnt falls to 0. `title` above; `caption` below: None says what is drawn, "" nothing. Raises
    ArgumentTypeError.
    """
    if not isinstance(result, Randomization):
        raise ArgumentTypeError(f"result must be what randomize_model returned, got {type(result).__name__}.")
    count, batch = len(result.layers), len(result.correlations)
    inches = float(np.clip(0.3 * count + 2.0, 5.0, 10.0))
    lines = wrapped(_caption(result) if caption is None else caption, int(inches * _SIGNS_PER_INCH))
    below = _LINE * (lines.count("\n") + 1) if lines else 0.0
    named = count <= _NAMES
    labels = ["as trained", *(plain(layer, 24) or "the model" for layer in result.layers)] if named else [""]
    longest = max(map(len, labels))
    # Upright where they would run into each other.
    turned = longest * len(labels) > 10 * inches
    figure = Figure(
        figsize=(inches, 2.9 + 0.05 * longest * turned + below + (0 if title is None else 0.3)),
        dpi=90,
        layout="constrained",
    )
    axes = figure.subplots()
    places = np.arange(count + 1)
    axes.axhline(0, color="0.3", linewidth=0.8)
    for values, color, style, label in (
        (result.absolute_correlations, _SIZES, "s--", "absolute values"),
        (result.correlations, _VALUES, "o-", "values"),
    ):
        # The map is like itself before anything is drawn.
        drawn = np.concatenate([np.ones((batch, 1)), values.numpy()], axis=1)
        if batch > 1:
            axes.plot(places, drawn.T, color=color, linewidth=0.5, alpha=0.4)
        axes.plot(
            places, np.append(1.0, values.nanmean(0)), style, color=color, markersize=4, linewidth=1.8, label=label
        )
    axes.set_ylabel("rank correlation", fontsize=8)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1.05)
    axes.tick_params(labelsize=8)
    if named:
        axes.set_xticks(places, labels, rotation=90 if turned else 0, fontsize=8, **AS_TEXT)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    what = "layers drawn anew, down to" if result.order == "cascading" else "the layer drawn anew"
    axes.set_xlabel(what, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    if lines:
        figure.supxlabel(lines, fontsize=8, **AS_TEXT)
    if title is not None:
        figure.suptitle(plain(title), fontsize=10, **AS_TEXT)
    return settled(figure)


def _caption(result: Randomization) -> str:
    batch = len(result.correlations)
    of = "" if batch == 1 else f", means of {batch} examples"
    anew = "each with one more layer" if result.order == "cascading" else "each with one layer"
    return (
        f"Spearman's rank correlation of the model's map with those of copies, {anew} drawn anew, seed "
        f"{result.seed}{of}. 1: the map does not heed these weights."
    )
