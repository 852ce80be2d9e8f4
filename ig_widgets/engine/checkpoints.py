"""Passes in which reentrant checkpoints are none.

`torch.utils.checkpoint` with use_reentrant=True runs its part without a graph, takes no `torch.autograd.grad`, and
writes gradients of parameters as it runs again. Inside our passes the part is simply run; chunks find what fits memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch.utils.checkpoint import CheckpointFunction

from ig_widgets.engine.switches import Switch

_T = TypeVar("_T")


def unrolled(act: Callable[[], _T]) -> _T:
    """What `act` gives, a pass of this thread; checkpoints of other threads are as ever."""
    return _SWITCH.during(act)


def _apply(run_function: Callable[..., Any], preserve_rng_state: bool, *arguments: Any) -> Any:
    if _SWITCH.is_own:
        return run_function(*arguments)
    inherited: Any = super(CheckpointFunction, CheckpointFunction).apply
    return inherited(run_function, preserve_rng_state, *arguments)


def _read() -> Any:
    """What the class itself has for `apply`; it inherits one."""
    return vars(CheckpointFunction).get("apply")


def _write(apply: Any) -> None:
    if apply is not None:
        CheckpointFunction.apply = apply  # type: ignore[method-assign]
    elif _read() is not None:
        # What was inherited comes to light again.
        del CheckpointFunction.apply


_SWITCH: Switch[Any] = Switch(_read, _write, staticmethod(_apply))
