"""Static pictures of a result."""

from ig_widgets.figures.audit import audit
from ig_widgets.figures.curves import curves
from ig_widgets.figures.export import save, to_png, to_svg
from ig_widgets.figures.image import image, overlay_png, overlay_svg
from ig_widgets.figures.over_baselines import over_baselines
from ig_widgets.figures.overlay import color_table, compose, scale_of
from ig_widgets.figures.randomization import randomization

__all__ = [
    "audit",
    "color_table",
    "compose",
    "curves",
    "image",
    "over_baselines",
    "overlay_png",
    "overlay_svg",
    "randomization",
    "save",
    "scale_of",
    "to_png",
    "to_svg",
]
