"""Notebook widgets: one explorer for each kind of data."""

from ig_widgets.explorers.explore import explore
from ig_widgets.explorers.image.explorer import ImageExplorer
from ig_widgets.explorers.table.explorer import TableExplorer

__all__ = ["ImageExplorer", "TableExplorer", "explore"]
