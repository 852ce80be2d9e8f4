"""Passes in which parameters count as constants, so that nothing is kept for gradients that nobody asks for.

A convolution or a linear layer keeps its input only for the gradient of its weight. The parameters themselves are not
touched: operations are handed detached ones as they are called, in this thread alone.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Freezing(TorchFunctionMode):
    """Run a forward pass inside; `parameters` are those that count as constants."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self._constants: dict[int, Tensor] = {id(p): p.detach() for p in parameters}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frozen = [self._frozen(value) for value in args]
        return func(*frozen, **{name: self._frozen(value) for name, value in (kwargs or {}).items()})

    def _frozen(self, value: Any) -> Any:
        if isinstance(value, nn.Parameter):
            return self._constants.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)(self._frozen(member) for member in value)
        return value
