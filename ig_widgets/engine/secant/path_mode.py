"""A torch function mode that knows which tensors lie on the path, and where their points lie in them."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as functorch
from torch.overrides import TorchFunctionMode

from ig_widgets.engine import rows
from ig_widgets.engine.frozen_parameters import FrozenParameters, Hooks
from ig_widgets.engine.kinks import JUMP, jump_in
from ig_widgets.engine.place import LEAF, Place, is_known, note, whereabouts
from ig_widgets.engine.secant.operations import CONSTANTS, is_metadata_query, is_number, name_of, tensors_in

ON_PATH = "_ig_widgets_on_path"
# Made on the path, but without gradients: if it has one later, a custom function has given it.
_WITHOUT_GRADIENT = "still"


class SecantRuleError(Exception):
    """The secant rule does not hold for a model; the text says why. Other methods may."""


class LeaveError(BaseException):
    """Leaves a pass in the middle for the reason of a SecantRuleError. No Exception: a model may catch those."""


class PathMode(TorchFunctionMode, ABC):
    """Knows which tensors were computed from the leaves (`inputs`), and where their points lie. Run a pass inside.

    `freezing` is asked here rather than as a mode of its own, which would see each step of ours.
    """

    def __init__(self, inputs: Iterable[Tensor], freezing: FrozenParameters | None = None) -> None:
        super().__init__()
        self._freezing = freezing
        self.dtypes: set[torch.dtype] = set()  # of what was computed on the path
        self._hooks = Hooks()
        for leaf in inputs:
            setattr(leaf, ON_PATH, True)
            note(leaf, LEAF)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if is_metadata_query(func):
            return func(*args, **kwargs)
        if self._freezing is not None:
            args, kwargs = self._freezing.frozen(args, kwargs)
        if self._hooks.are_others():
            with self._hooks.put_back():
                return self._answer(func, args, kwargs)
        return self._answer(func, args, kwargs)

    @abstractmethod
    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """Calls what takes the place of `func`, and returns its result."""

    @abstractmethod
    def unseen(self, name: str) -> None:
        """Notes that something was computed where no mode sees it."""

    @abstractmethod
    def transformed(self) -> None:
        """Notes that torch.func works on what lies on the path."""

    def depends(self, value: object) -> bool:
        """Whether `value` was computed from the leaves."""
        if not isinstance(value, Tensor):
            return False
        mark = getattr(value, ON_PATH, None)
        if mark in (None, _WITHOUT_GRADIENT) and value.requires_grad and not value.is_leaf:
            # Not seen as it was made: a custom autograd function, or what C++ code makes of one.
            mark = _reaches_leaf(value)
            setattr(value, ON_PATH, mark)
            if mark:
                node = value.grad_fn
                custom = isinstance(node, torch.autograd.function.BackwardCFunction)
                name = type(node).__name__.removesuffix("Backward")
                name = name if custom else "TorchScript or other compiled code"
                if not is_known(value):
                    note(value, name)
                self.unseen(name)
        return bool(mark)

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        given = tensors_in(args) + tensors_in(kwargs) if kwargs else tensors_in(args)
        if functorch.peek_interpreter_stack() is not None and any(self.depends(unwrapped(t)) for t in given):
            self.transformed()
            return func(*args, **kwargs)
        on_path = [t for t in given if self.depends(t)]
        if not on_path:
            result = func(*args, **kwargs)
            mark_all(tensors_in(result), False)
            return result
        name = name_of(func)
        if name in CONSTANTS:
            return func(*args, **kwargs)
        if name == "get" and not isinstance(result := func(*args, **kwargs), Tensor):
            return result  # a shape, a dtype
        # The whereabouts before an operation that works in place.
        before = [(t, whereabouts(t)) for t in on_path]
        result = self.run(name, func, args, kwargs, on_path)
        still = True if torch.is_grad_enabled() else _WITHOUT_GRADIENT
        if name == "setitem":
            self._note_written(args, still)
            return result
        results = tensors_in(result)
        mark_all(results, still)
        # An operation that was taken apart has told by its parts where points lie.
        self._note_jumps(name, on_path, results)
        self.dtypes.update(t.dtype for t in results if t.requires_grad)
        if results and not all(is_known(t) and not any(t is g for g in given) for t in results):
            for tensor, where in zip(results, rows.follow(name, func, args, kwargs, before, results), strict=True):
                note(tensor, where)
        return result

    def _note_jumps(self, name: str, on_path: list[Tensor], results: list[Tensor]) -> None:
        """Conditions and positions that move with the points jump, and so does what is made of them alone."""
        known = next((jump for t in on_path if (jump := jump_in(t)) is not None), None)
        for t in results:
            if not t.requires_grad and (known is not None or not is_number(t)):
                setattr(t, JUMP, known or name)

    def _note_written(self, args: Any, mark: bool | str) -> None:
        buffer, index, value = args
        moves = self.depends(value) and not any(self.depends(t) for t in tensors_in(index))
        where = rows.written(buffer, index, value) if moves else "setitem"
        if getattr(buffer, ON_PATH, False) and is_known(buffer) and (moves or not self.depends(value)):
            where = whereabouts(buffer) if where == whereabouts(buffer) or not moves else "setitem"
        setattr(buffer, ON_PATH, mark)
        note(buffer, where)


def unwrapped(tensor: Tensor) -> Tensor:
    """What a transform of torch.func has wrapped."""
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _reaches_leaf(tensor: Tensor) -> bool:
    seen, stack = set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(getattr(node, "variable", None), ON_PATH, False):
            return True
        stack += [parent for parent, _ in node.next_functions]
    return False


def mark_all(tensors: list[Tensor], on_path: bool | str) -> None:
    """Marks tensors as computed from the leaves, or as not."""
    for tensor in tensors:
        # Parameters and buffers are the model's own: nothing is written on them.
        if on_path or (tensor.requires_grad and not tensor.is_leaf):
            setattr(tensor, ON_PATH, on_path)


def mark_computed(result: Tensor, place: Place) -> Tensor:
    """Note of what a handler has made by itself that it lies on the path, for what it does next."""
    mark_all([result], True)
    note(result, place)
    return result
