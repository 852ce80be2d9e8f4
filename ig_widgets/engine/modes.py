"""Reads the modes of torch in this thread before a pass of a model, and restores them after it.

An interrupt may come between a context and its leaving, where no `with` helps (https://bugs.python.org/issue29988). So
what contexts switch is read beforehand, and put back by its value.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import _C

from ig_widgets.engine.devices import CUDNN

_T = TypeVar("_T")
_CASTS = ("cpu", "cuda")
_Nothing = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
_NOTHING: _Nothing = (None, None, None)


class Modes:
    """The modes of torch in this thread, as they are when this is made."""

    def __init__(self) -> None:
        self._grad = torch.is_grad_enabled()
        self._functions = [_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack())]
        self._dispatches = _C._len_torch_dispatch_stack()
        self._transforms = _C._functorch.get_dynamic_layer_stack_depth()
        self._hooks = _C._autograd._top_saved_tensors_default_hooks(True)
        self._asks_modes = _C._is_torch_function_enabled()
        self._cudnn = CUDNN.outside()
        self._casts = _casts()

    def put_back(self) -> None:
        """As they were, whatever was left in the middle. What is as it was is not touched."""
        if _C._functorch.get_dynamic_layer_stack_depth() > self._transforms:
            _C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(self._transforms)
        while _C._len_torch_dispatch_stack() > self._dispatches:
            _C._pop_torch_dispatch_stack(None)
        self._put_back_functions()
        while (top := _C._autograd._top_saved_tensors_default_hooks(True)) is not None and not self._is_own(top):
            _C._autograd._pop_saved_tensors_default_hooks()
        if self._asks_modes and not _C._is_torch_function_enabled():
            # One that was never entered leaves for where all are asked.
            _C.DisableTorchFunction().__exit__(*_NOTHING)
        if not CUDNN.is_on and torch.backends.cudnn.enabled != self._cudnn:
            torch.backends.cudnn.enabled = self._cudnn
        if _casts() != self._casts:
            for device, enabled, dtype in self._casts[0]:
                torch.set_autocast_enabled(device, enabled)
                torch.set_autocast_dtype(device, dtype)
            torch.set_autocast_cache_enabled(self._casts[1])
            torch.autocast_decrement_nesting()
            torch.clear_autocast_cache()
        if torch.is_grad_enabled() != self._grad:
            _C._set_grad_enabled(self._grad)

    def _put_back_functions(self) -> None:
        before = self._functions
        now = [_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack())]
        same = 0
        while same < min(len(now), len(before)) and now[same] is before[same]:
            same += 1
        while _C._len_torch_function_stack() > same:
            _C._pop_torch_function_stack()
        for mode in before[same:]:
            _C._push_on_torch_function_stack(mode)

    def _is_own(self, hooks: tuple[Any, Any]) -> bool:
        return self._hooks is not None and hooks[0] is self._hooks[0] and hooks[1] is self._hooks[1]


def _casts() -> tuple[list[tuple[str, bool, torch.dtype]], bool]:
    each = [(device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in _CASTS]
    return each, torch.is_autocast_cache_enabled()


def with_modes_restored(act: Callable[[], _T]) -> _T:
    """What `act` gives; where it ends in an error or an interrupt, the modes are put back."""
    modes = Modes()
    try:
        return act()
    except BaseException:
        modes.put_back()
        raise


def without_gradients(act: Callable[[], _T]) -> _T:
    """What `act` gives, called with gradients switched off."""

    def switched_off() -> _T:
        with torch.no_grad():
            return act()

    return with_modes_restored(switched_off)


def outside_inference_mode(act: Callable[[], _T]) -> _T:
    """What `act` gives, called outside of inference mode, in which nothing can be differentiated."""
    if not torch.is_inference_mode_enabled():
        return act()
    # Not `torch.inference_mode`, whose object would leave it once more when it is collected.
    guard = _C._InferenceMode(False)
    try:
        try:
            guard.__enter__()
            return act()
        finally:
            guard.__exit__(*_NOTHING)
    except BaseException:
        guard.__exit__(*_NOTHING)
        raise
