"""The neighbours of Integrated Gradients: other answers to the same question, and the same answer asked otherwise."""

from ig_widgets.relatives.over_baselines import OverBaselines, over_baselines

__all__ = ["OverBaselines", "over_baselines"]
