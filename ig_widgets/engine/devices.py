"""What devices cannot do: float64 on Apple's, a backward pass of recurrent networks in cuDNN outside of training."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

# Of these no tensor of float64 can be made.
_NARROW = frozenset(("mps",))


def widest(device: torch.device) -> torch.dtype:
    """The widest dtype in which a tensor on `device` can be added up."""
    return torch.float32 if device.type in _NARROW else torch.float64


def without_cudnn(modules: Iterable[nn.Module], device: torch.device) -> AbstractContextManager[object]:
    """A context for passes of `modules`: cuDNN is off where a recurrent network would have no backward pass."""
    if not _has_cudnn(device):
        return nullcontext()
    inner = (module for root in modules for module in root.modules())
    if any(isinstance(module, nn.RNNBase) and not module.training for module in inner):
        return switched_off()
    return nullcontext()


def switched_off() -> AbstractContextManager[object]:
    """cuDNN off, all else as it is set."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=False, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=cudnn.allow_tf32
    )


def _has_cudnn(device: torch.device) -> bool:
    return device.type == "cuda"
