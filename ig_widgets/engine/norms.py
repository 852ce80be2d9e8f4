"""Lengths of maps whose squares would overflow, or vanish: gradients may be 1e300 or 1e-300."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import NonFiniteError

# Lengths up to this, and down to one over it, are of numbers whose squares are told.
_FAR = 1e140


def norm(values: Tensor, dim: int = -1) -> Tensor:
    """The L2 norm along `dim`, float64 on the CPU."""
    most = widest(values.device)
    if most == torch.float64:
        length = torch.linalg.vector_norm(values.detach(), dim=dim, dtype=most).cpu()
        # Of narrower numbers no square vanishes in float64.
        sure = (length > 1 / _FAR) & (length < _FAR) | ((length == 0) & (values.dtype != torch.float64))
        if bool(sure.all()):
            return cast(Tensor, length)
    wide = values.detach().cpu().double()
    units = unit_of(wide.abs().amax(dim, keepdim=True))
    return (wide / units).square().sum(dim).sqrt() * units.squeeze(dim)


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """The L2 norm of each example (batch,) over all of several tensors (batch, ...), float64 on the CPU."""
    return norm(torch.stack([norm(t.reshape(len(t), -1)) for t in tensors]), 0)


def unit_of(largest: Tensor) -> Tensor:
    """A power of two near each of `largest`, by which to divide loses no digit; 1 for zero and what is not finite."""
    able = (largest > 0) & torch.isfinite(largest)
    _, exponents = torch.frexp(torch.where(able, largest, 1.0))
    return torch.ldexp(torch.full_like(largest, 0.5), exponents)


def refuse_overflow(what: str, *tensors: Tensor) -> None:
    """Raise NonFiniteError where a result, made of finite numbers, is none itself."""
    for tensor in tensors:
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                f"{what} cannot be told in {str(tensor.dtype).removeprefix('torch.')}: numbers are too large for it. "
                f"Divide what forward_func returns by a constant, or use a wider dtype.",
                math.nan,
            )
