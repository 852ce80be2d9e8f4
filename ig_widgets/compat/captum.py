"""Captum's names on this engine, and the same numbers from Captum (the extra `captum`).

`IntegratedGradients` and `LayerIntegratedGradients` take the place of those of `captum.attr`. They are subclasses of
Captum's base classes, so Captum is imported on first access to one of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ig_widgets.compat.crosscheck import CrossCheck as CrossCheck
from ig_widgets.compat.crosscheck import CrossCheckReport as CrossCheckReport
from ig_widgets.compat.crosscheck import compare as compare
from ig_widgets.compat.crosscheck import crosscheck as crosscheck

if TYPE_CHECKING:
    from ig_widgets.compat.integrated_gradients import IntegratedGradients as IntegratedGradients
    from ig_widgets.compat.layer_integrated_gradients import LayerIntegratedGradients as LayerIntegratedGradients

# Each in a module of its own, which imports Captum.
_DROP_IN = {
    "IntegratedGradients": "integrated_gradients",
    "LayerIntegratedGradients": "layer_integrated_gradients",
}


def __getattr__(name: str) -> Any:
    if name not in _DROP_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"ig_widgets.compat.{_DROP_IN[name]}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "captum":
            raise
        raise ImportError(f"{name} needs Captum: pip install 'ig_widgets[captum]'.") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_DROP_IN])
