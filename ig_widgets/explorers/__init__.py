"""Notebook widgets: one explorer for each kind of data."""

from ig_widgets.explorers.image.explorer import ImageExplorer

__all__ = ["ImageExplorer"]
