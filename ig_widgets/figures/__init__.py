"""Static pictures of a result."""

from ig_widgets.figures.overlay import color_table, compose, overlay_png, scale_of

__all__ = ["color_table", "compose", "overlay_png", "scale_of"]
