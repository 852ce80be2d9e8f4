"""Autograd functions for products, whose backward pass takes the mean of the other factor over each cell."""

# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ig_widgets.engine.place import Place
from ig_widgets.engine.slopes import Op


class Product(Function):
    """a * b: the change of each factor counts with the mean of the other."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, place_a: Place, place_b: Place) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.places = place_a, place_b
        return a * b

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, b = ctx.saved_tensors
        place_a, place_b = ctx.places
        needs = ctx.needs_input_grad
        grad_a = _factor(grad, place_b.middle(b), a) if needs[0] else None
        grad_b = _factor(grad, place_a.middle(a), b) if needs[1] else None
        return grad_a, grad_b, None, None


def _factor(grad: Tensor, other: Tensor, like: Tensor) -> Tensor:
    return _fitted(grad * other.conj(), like)


def _fitted(gradient: Tensor, like: Tensor) -> Tensor:
    """Summed over what was broadcast, and real where `like` is."""
    result = gradient.sum_to_size(like.shape)
    return (result if like.is_complex() or not result.is_complex() else result.real).to(like.dtype)


class Bilinear(Function):
    """op(a, b), linear in each: the change of each counts with the mean of the other."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, op: Callable[[Tensor, Tensor], Tensor], place_a: Place, place_b: Place
    ) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.op, ctx.places = op, (place_a, place_b)
        return op(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, b = ctx.saved_tensors
        op, (place_a, place_b) = ctx.op, ctx.places
        needs = ctx.needs_input_grad
        middle_a, middle_b = place_a.middle(a), place_b.middle(b)
        grad_a = _pull_back(lambda v: op(v, middle_b), a, grad) if needs[0] else None
        grad_b = _pull_back(lambda v: op(middle_a, v), b, grad) if needs[1] else None
        return grad_a, grad_b, None, None, None


class MatrixProduct(Function):
    """a @ b of matrices: `Bilinear`, whose backward pass is known without computing the product anew."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, place_a: Place, place_b: Place) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.places = place_a, place_b
        return a @ b

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        a, b = ctx.saved_tensors
        place_a, place_b = ctx.places
        needs = ctx.needs_input_grad
        grad_a = _fitted(grad @ place_b.middle(b).mH, a) if needs[0] else None
        grad_b = _fitted(place_a.middle(a).mH @ grad, b) if needs[1] else None
        return grad_a, grad_b, None, None


def _pull_back(linear: Op, at: Tensor, grad: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        (result,) = torch.autograd.grad(linear(at), at, grad)
    return result
