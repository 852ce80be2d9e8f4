"""The mode that runs operations as they are, and counts the kinks that they pass."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.kinks import KINKED, Kinks
from ig_widgets.engine.secant.operations import GRADIENTS, LINEAR, PRODUCTS, python_body
from ig_widgets.engine.secant.path_mode import PathMode
from ig_widgets.engine.secant.table import HANDLERS


class KinkMode(PathMode):
    """Runs operations as they are, and lets `kinks` look at each of them."""

    def __init__(self, inputs: Iterable[Tensor], kinks: Kinks) -> None:
        super().__init__(inputs)
        self._kinks = kinks

    def unseen(self, name: str) -> None:
        """There may be kinks inside."""
        self._kinks.hidden.add(name)

    def transformed(self) -> None:
        """There may be kinks inside."""
        self._kinks.hidden.add("torch.func")

    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """The operation itself; what is built of others is looked into."""
        kinks = self._kinks
        if name in GRADIENTS:
            kinks.hidden.add("a gradient that forward_func takes")
            return func(*args, **kwargs)
        if torch.is_grad_enabled() and any(t.requires_grad for t in on_path):
            kinks.look(name, func, args, kwargs, on_path)
            moving = sum(self.depends(value) for value in args) > 1 or (name == "div" and not self.depends(args[0]))
            if name in HANDLERS and (moving if name in PRODUCTS else name not in KINKED):
                kinks.curved.add(name)
        if name not in HANDLERS and name not in LINEAR and (body := python_body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return func(*args, **kwargs)
