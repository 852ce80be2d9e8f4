"""Hooks on modules while something runs, of which none is left."""

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
    """What `act` gives, called while each module has its hook; `before`: one that is called with its arguments.

    They are found by themselves afterwards: an interrupt may come before there is a handle of one.
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
