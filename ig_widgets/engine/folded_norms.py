"""Batch norm in eval mode folded into the convolution before it, while a pass runs.

Both are linear, so one convolution with scaled weights does the work of the two, and a third of the time of a
network of such pairs is saved. The pairs are learnt as the first pass runs; the model itself is not touched. Results
change by rounding alone, which moves the kinks that lie within rounding of a sample.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.overrides import TorchFunctionMode

from ig_widgets.engine.model import ForwardFunc, modules_of

_CONVOLUTIONS = frozenset(("conv1d", "conv2d", "conv3d"))
# They look at the form of a tensor, not at its values.
_HARMLESS = frozenset(
    """__get__ __set__ __len__ __hash__ dim ndimension size stride numel nelement get_device is_contiguous
    is_floating_point is_complex element_size register_hook""".split()
)
_MARK = "_ig_widgets_folded"


class UnfoldError(Exception):
    """What was folded is used by more than the batch norm after it."""


def _members(value: object) -> list[Tensor]:
    """The tensors that an operation is given, also in lists: `torch.cat` takes one."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for member in value for t in _members(member)] if isinstance(value, list | tuple) else []


class Folds:
    """The pairs of a model that were seen: which weights are followed by which statistics."""

    def __init__(self, forward_func: ForwardFunc) -> None:
        modules = [m for root in modules_of(forward_func) for m in root.modules()]
        # A hook may look at what a convolution gives, and should see what the model computes.
        hooked = any(m._forward_hooks or m._forward_pre_hooks for m in modules)
        buffers = (named for m in modules for named in m.named_buffers(recurse=False))
        norms = any(name == "running_mean" for name, _ in buffers)
        self.allowed = norms and not (hooked or _global_forward_hooks or _global_forward_pre_hooks)
        self.pairs: dict[int, tuple[Any, ...]] = {}


class FoldedNorms(TorchFunctionMode):
    """Run a forward pass inside. Raises UnfoldError where a pair turns out to be none: forget it and run again."""

    def __init__(self, folds: Folds) -> None:
        super().__init__()
        self._folds = folds

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if not self._folds.allowed or name in _HARMLESS:
            return func(*args, **kwargs)
        if name == "batch_norm":
            return self._batch_norm(func, args, kwargs)
        for value in _members((args, kwargs)):
            if (made := getattr(value, _MARK, None)) is not None:
                self._folds.pairs.pop(made[0], None)
                if made[1]:
                    self._folds.allowed = False
                    raise UnfoldError
                delattr(value, _MARK)
        if name in _CONVOLUTIONS:
            return self._convolution(func, args, kwargs)
        return func(*args, **kwargs)

    def _convolution(self, func: Any, args: Any, kwargs: Any) -> Any:
        if len(args) < 2 or "bias" in kwargs:
            return func(*args, **kwargs)
        x, weight, bias, *rest = (*args, None) if len(args) == 2 else args
        norm = self._folds.pairs.get(id(weight))
        if norm is None:
            result = func(*args, **kwargs)
        else:
            mean, variance, scale, shift, eps, _ = norm
            with torch.no_grad():
                factor = (variance + eps).rsqrt()
                factor = factor if scale is None else factor * scale
                offset = -mean if bias is None else bias - mean
                offset = offset * factor if shift is None else torch.addcmul(shift, offset, factor)
                weight_ = weight * factor.view(-1, *[1] * (weight.dim() - 1))
            result = func(x, weight_, offset, *rest, **kwargs)
        setattr(result, _MARK, (id(weight), norm is not None, weight))
        return result

    def _batch_norm(self, func: Any, args: Any, kwargs: Any) -> Any:
        names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
        x = args[0] if args else given["input"]
        made = getattr(x, _MARK, None)
        mean = given.get("running_mean")
        if made is None or mean is None or given.get("training", False):
            return func(*args, **kwargs)
        key, folded, weight = made
        if folded:
            delattr(x, _MARK)
            return x
        eps = given.get("eps", 1e-5)
        # The weight itself is kept, so that its id is not given to another.
        self._folds.pairs[key] = (mean, given["running_var"], given.get("weight"), given.get("bias"), eps, weight)
        setattr(x, _MARK, (key, False, weight))
        return func(*args, **kwargs)
