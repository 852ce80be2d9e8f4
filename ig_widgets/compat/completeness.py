"""Captum's convergence delta, and the wrapper by which its classes call methods of each other."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from captum.attr import GradientAttribution
from torch import Tensor

from ig_widgets.compat.errors import CaptumOutputError
from ig_widgets.engine.model import ForwardFunc


def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """Give `method` the `__wrapped__` by which Captum's classes call it on each other."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return call


class Completeness(GradientAttribution):  # type: ignore[misc]  # Captum has no types
    """Captum's delta, of whatever the model returns."""

    @functools.wraps(GradientAttribution.compute_convergence_delta, assigned=())
    def compute_convergence_delta(self, *args: Any, **kwargs: Any) -> Tensor:
        """The sum of attributions - (F(x) - F(x')) for each example (batch,), arguments as Captum's.

        Raises CaptumOutputError where the model, which is asked anew, returns no tensor.
        """
        asked = copy.copy(self)
        asked.forward_func = _returning_tensors(self.forward_func)
        delta: Tensor = super(Completeness, asked).compute_convergence_delta(*args, **kwargs)
        return delta


def _returning_tensors(forward_func: ForwardFunc) -> ForwardFunc:
    """`forward_func`, which raises CaptumOutputError when it returns no tensor."""

    # Captum looks at the signature.
    @functools.wraps(forward_func, assigned=(), updated=())
    def call(*args: Any) -> Any:
        output = forward_func(*args)
        if not isinstance(output, Tensor):
            raise CaptumOutputError(
                f"forward_func must return a tensor each time it is called, for the convergence delta it returned a "
                f"{type(output).__name__}; choose one, e.g. lambda x: model(x)[0]."
            )
        return output

    return call
