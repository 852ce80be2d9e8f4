"""Integrated Gradients that you can put your hands on: an engine for PyTorch, and live notebook widgets."""

from importlib.metadata import version

from ig_widgets import baselines, demo, exact, faithfulness, figures, files, relatives
from ig_widgets.compat import captum as _captum  # noqa: F401  (igw.compat.captum)
from ig_widgets.engine import errors
from ig_widgets.engine.attribution import Attribution, attribute, refine
from ig_widgets.engine.errors import Cancelled, ConvergenceWarning, IGError
from ig_widgets.engine.trace import PathTrace
from ig_widgets.explorers import ImageExplorer, TableExplorer, explore
from ig_widgets.files import load_attribution, save_attribution

__version__ = version("ig_widgets")

__all__ = [
    "Attribution",
    "Cancelled",
    "ConvergenceWarning",
    "IGError",
    "ImageExplorer",
    "PathTrace",
    "TableExplorer",
    "__version__",
    "attribute",
    "baselines",
    "demo",
    "errors",
    "exact",
    "explore",
    "faithfulness",
    "figures",
    "files",
    "load_attribution",
    "refine",
    "relatives",
    "save_attribution",
]
