"""What devices cannot do: float64 on Apple's, a backward pass of recurrent networks in cuDNN outside of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn

from ig_widgets.engine.switches import Switch

_T = TypeVar("_T")
# Of these no tensor of float64 can be made.
_NARROW = frozenset(("mps",))


def widest(device: torch.device) -> torch.dtype:
    """The widest dtype in which a tensor on `device` can be added up."""
    return torch.float32 if device.type in _NARROW else torch.float64


def fails_in_cudnn(modules: Iterable[nn.Module], device: torch.device) -> bool:
    """Whether `modules` hold a recurrent network that would have no backward pass in cuDNN."""
    if not _has_cudnn(device):
        return False
    inner = (module for root in modules for module in root.modules())
    return any(isinstance(module, nn.RNNBase) and not module.training for module in inner)


def without_cudnn(act: Callable[[], _T]) -> _T:
    """What `act` gives, a pass while which cuDNN is off, all else as it is set."""
    return CUDNN.during(act)


def _set_cudnn(enabled: bool) -> None:
    if torch.backends.cudnn.enabled != enabled:
        torch.backends.cudnn.enabled = enabled


# Of the whole process: `Modes` puts back what the session has set, and not what other passes have.
CUDNN: Switch[bool] = Switch(lambda: bool(torch.backends.cudnn.enabled), _set_cudnn, False)


def _has_cudnn(device: torch.device) -> bool:
    return device.type == "cuda"
