"""Passes in which parameters count as constants, so that nothing is kept for gradients that nobody asks for.

A convolution or a linear layer keeps its input only for the gradient of its weight. The parameters themselves are not
touched: operations are handed detached ones as they are called, in this thread alone.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

# Types of which no value holds a tensor.
PLAIN = frozenset((int, float, bool, str, type(None), torch.dtype, torch.device, slice, type(...)))
PLAIN_OR_TENSOR = PLAIN | {Tensor}


class Hooks:
    """The hooks on saved tensors with which a pass began.

    `torch.utils.checkpoint` puts its own in their place, to keep nothing and compute it anew in the backward pass,
    where no mode sees it. Its hooks are passed over: memory is counted, and chunks are as small as it asks for.
    """

    def __init__(self) -> None:
        self._own = _hooks_in_force()

    def are_others(self) -> bool:
        """Whether others are in force now."""
        now = _hooks_in_force()
        return now is not None and (self._own is None or now[0] is not self._own[0])

    def put_back(self) -> AbstractContextManager[object]:
        """A context in which they are in force again."""
        return saved_tensors_hooks(*(self._own or (_as_it_is, _as_it_is)))


def _hooks_in_force() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    return torch._C._autograd._top_saved_tensors_default_hooks(True)


def _as_it_is(value: Any) -> Any:
    return value


class FrozenParameters(TorchFunctionMode):
    """Run a forward pass inside; `parameters` are those that count as constants."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self._hooks = Hooks()
        self._constants: dict[int, Tensor] = {id(p): p.detach() for p in parameters}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = self.frozen(args, kwargs or {})
        if self._hooks.are_others():
            with self._hooks.put_back():
                return func(*args, **kwargs)
        return func(*args, **kwargs)

    def frozen(self, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The arguments of an operation, with constants in the place of parameters."""
        # Most operations are given none, and each is asked.
        if not PLAIN_OR_TENSOR.issuperset(map(type, args)):
            args = tuple(self._frozen(value) for value in args)
        if kwargs and not PLAIN_OR_TENSOR.issuperset(map(type, kwargs.values())):
            kwargs = {name: self._frozen(value) for name, value in kwargs.items()}
        return args, kwargs

    def _frozen(self, value: Any) -> Any:
        kind = type(value)
        if kind is Tensor:
            return value
        if isinstance(value, nn.Parameter):
            return self._constants.get(id(value), value)
        if kind in (list, tuple):
            return kind(self._frozen(member) for member in value)
        return value
