"""Refuses modules in training mode, in which a row depends on its neighbours or on chance."""

from __future__ import annotations

from torch import nn

from ig_widgets.engine.errors import TrainingModeError
from ig_widgets.engine.reachable_modules import modules_of


def refuse_training_mode(forward_func: object) -> None:
    """Raise TrainingModeError where a point's output would depend on its neighbours in the chunk, or on chance."""
    for root in modules_of(forward_func):
        for name, module in root.named_modules():
            label = _label(name, module)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                if _trains(module):
                    raise TrainingModeError(
                        f"forward_func holds {label} in training mode, which mixes the points of the path "
                        f"with each other and changes running statistics; call model.eval() first."
                    )
                if module.running_mean is None:
                    raise TrainingModeError(
                        f"forward_func holds {label} without running statistics, which mixes the points of the "
                        f"path with each other; build it with track_running_stats=True."
                    )
            if _trains(module) and _draws(module):
                raise TrainingModeError(
                    f"forward_func holds {label} in training mode, so that F changes from call to call; "
                    f"call model.eval() first."
                )


def refuse_chance(forward_func: object) -> None:
    """Of a model that drew random numbers and answered differently: raise TrainingModeError if a module is training.

    Many models drop units in functions that ask for the mode of the module.
    """
    for root in modules_of(forward_func):
        for name, module in root.named_modules():
            if _trains(module):
                raise TrainingModeError(
                    f"forward_func draws random numbers, so that F changes from call to call, and "
                    f"{_label(name, module)} is in training mode; call model.eval() first."
                )


def _trains(module: nn.Module) -> bool:
    # A frozen ScriptModule has no mode.
    return bool(getattr(module, "training", False))


def _draws(module: nn.Module) -> bool:
    """Whether it draws random numbers in training mode."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase):
        # Between layers only.
        return module.dropout > 0 and module.num_layers > 1
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout > 0)
    return isinstance(module, nn.RReLU) and bool(module.lower != module.upper)


def _label(name: str, module: nn.Module) -> str:
    return f"{type(module).__name__} '{name}'" if name else type(module).__name__
