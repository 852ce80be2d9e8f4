"""Notebook widgets: one explorer for each kind of data."""

from ig_widgets.explorers.image import ImageExplorer

__all__ = ["ImageExplorer"]
