"""Puts hooks on modules while a function runs, and removes them whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import nn

_T = TypeVar("_T")
_REGISTRIES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def hooked(
    modules: Sequence[nn.Module], hooks: Sequence[Callable[..., Any]], act: Callable[[], _T], *, before: bool = False
) -> _T:
    """Returns act(), called while each module has its hook; `before`: a pre-hook, called with the arguments.

    Hooks are found by identity afterwards: an interrupt may come before torch has returned a handle.
    """
    try:
        try:
            for module, hook in zip(modules, hooks, strict=True):
                if before:
                    module.register_forward_pre_hook(hook, with_kwargs=True)
                else:
                    module.register_forward_hook(hook)
            return act()
        finally:
            _remove(modules, hooks)
    # Once more: an interrupt may have come inside of `finally`, and to remove what is gone does no harm.
    except BaseException:
        _remove(modules, hooks)
        raise


def _remove(modules: Sequence[nn.Module], hooks: Sequence[Callable[..., Any]]) -> None:
    for module, hook in zip(modules, hooks, strict=True):
        own = {
            key
            for name in ("_forward_hooks", "_forward_pre_hooks")
            for key, other in list(getattr(module, name).items())
            if other is hook
        }
        # The hook itself comes last: as long as it is there, the rest of it is found.
        for name in reversed(_REGISTRIES):
            for key in own:
                getattr(module, name).pop(key, None)
