"""Integrated Gradients that you can put your hands on: an engine for PyTorch, and live notebook widgets."""

from importlib.metadata import version

from ig_widgets import demo
from ig_widgets.engine.attribution import Attribution, attribute, refine
from ig_widgets.engine.errors import Cancelled, IGError

__version__ = version("ig_widgets")

__all__ = ["Attribution", "Cancelled", "IGError", "__version__", "attribute", "demo", "refine"]
