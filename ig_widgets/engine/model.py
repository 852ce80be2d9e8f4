"""The user's function: called on rows of the path, checked, and left as it was found."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError
from ig_widgets.engine.modes import outside_inference_mode
from ig_widgets.engine.output import Output, check_output, chosen, wrong_rows
from ig_widgets.engine.reachable_modules import modules_of as modules_of
from ig_widgets.engine.switches import Switch
from ig_widgets.engine.target import Target
from ig_widgets.engine.training_mode import refuse_training_mode as refuse_training_mode
from ig_widgets.engine.transfers import sent

_T = TypeVar("_T")
ForwardFunc = Callable[..., Any]
ForwardKwargs: TypeAlias = Mapping[str, object] | None


class Forward:
    """The user's function of rows of the path: the tensor that `output` names of what it returns (`output.chosen`).

    Of `batch` examples; tensors with as many rows among the further arguments follow their example.
    """

    def __init__(
        self,
        forward_func: ForwardFunc,
        additional_forward_args: object,
        batch: int,
        *,
        forward_kwargs: ForwardKwargs = None,
        output: Output = None,
    ) -> None:
        check_callable(forward_func)
        self.forward_func = forward_func
        self.batch = batch
        self._eager = uncompiled(forward_func)
        self._compiled = self._eager is not forward_func or _holds_compiled(forward_func)
        self._output = check_output(output)
        # A tensor made in inference mode cannot be saved for a backward pass; a copy can.
        extra, named = as_args(additional_forward_args), as_kwargs(forward_kwargs)
        self._extra, self._named = outside_inference_mode(
            lambda: (tensors_changed(extra, _ordinary), tensors_changed(named, _ordinary))
        )

    @property
    def is_compiled(self) -> bool:
        """Whether it is what `torch.compile` made, or holds such."""
        return self._compiled

    def tensor(self, points: tuple[Tensor, ...], examples: Tensor, *, eager: bool = False) -> Tensor:
        """The tensor at `points`, tensors (rows, ...), on the paths of `examples` (rows,).

        `eager`: by the module itself, where `torch.compile` has made another of it.
        Raises OutputError, and whatever the model raises.
        """

        def rows(extra: Tensor) -> Tensor:
            if extra.dim() > 0 and extra.shape[0] == self.batch:
                return extra.index_select(0, sent(examples, extra.device))
            return extra

        function = self._eager if eager else self.forward_func
        # A model that turns gradients off on its way does so for itself.
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            returned = function(*points, *tensors_changed(self._extra, rows), **tensors_changed(self._named, rows))
        return chosen(returned, self._output)

    def alone(self, points: tuple[Tensor, ...]) -> Tensor:
        """The tensor at `points`, further arguments as they were given."""
        return chosen(self.forward_func(*points, *self._extra, **self._named), self._output)


class ScalarFunction(Forward):
    """F: points (rows, ...) of the path to one scalar a row, of the output position that `target` names."""

    def __init__(
        self,
        forward_func: ForwardFunc,
        target: Target,
        additional_forward_args: object,
        batch: int,
        *,
        forward_kwargs: ForwardKwargs = None,
        output: Output = None,
    ) -> None:
        super().__init__(forward_func, additional_forward_args, batch, forward_kwargs=forward_kwargs, output=output)
        self._target = target
        # Whether it takes one row at a time: a graph, a wrapper of a single example.
        self.takes_single_rows = False

    def __call__(self, points: tuple[Tensor, ...], examples: Tensor, *, eager: bool = False) -> Tensor:
        """F (rows,) of rows as `tensor` takes them. Raises as that, and ArgumentValueError (target out of range)."""
        rows = len(examples)
        if self.takes_single_rows and rows > 1:
            single = [self(tuple(p[i : i + 1] for p in points), examples[i : i + 1], eager=eager) for i in range(rows)]
            return torch.cat(single)
        output = self.tensor(points, examples, eager=eager)
        if output.dim() == 0:
            if self.batch > 1:
                raise OutputError(
                    f"forward_func returned a single number for {rows} rows; it must return one row for each "
                    f"(a 0-D output is allowed for a batch of one)."
                )
            if rows > 1:
                self.takes_single_rows = True
                return self(points, examples, eager=eager)
            output = output.reshape(1)
        if output.shape[0] != rows:
            if self.batch == 1 and output.shape[0] == 1:
                self.takes_single_rows = True
                return self(points, examples, eager=eager)
            raise wrong_rows(output, points)
        return self._target.select(output, examples)


def check_callable(forward_func: object) -> None:
    """Raise ArgumentTypeError unless it can be called."""
    if not callable(forward_func):
        raise ArgumentTypeError(
            f"forward_func must be a module or another callable, got {type(forward_func).__name__}."
        )


def as_args(additional_forward_args: object) -> tuple[Any, ...]:
    """Further arguments by position, as a tuple. Raises ArgumentTypeError."""
    if additional_forward_args is None:
        return ()
    if isinstance(additional_forward_args, Mapping):
        names = ", ".join(map(repr, additional_forward_args))
        raise ArgumentTypeError(
            f"additional_forward_args is a {type(additional_forward_args).__name__} with {names}, and they are passed "
            f"by position; pass arguments by keyword as forward_kwargs=, or a mapping as a tuple of one."
        )
    return additional_forward_args if isinstance(additional_forward_args, tuple) else (additional_forward_args,)


def as_kwargs(forward_kwargs: object) -> dict[str, Any]:
    """Further arguments by keyword, as a dict. Raises ArgumentTypeError."""
    if forward_kwargs is None:
        return {}
    if not isinstance(forward_kwargs, Mapping):
        raise ArgumentTypeError(
            f"forward_kwargs must be a mapping from keywords to values, got {type(forward_kwargs).__name__}."
        )
    for name in forward_kwargs:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"forward_kwargs must have texts for keys, got {name!r}.")
    return dict(forward_kwargs)


def tensors_changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`value` with its tensors changed, also those in tuples, lists and dicts; what holds none stays itself."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) is dict:
        changed = {key: tensors_changed(member, change) for key, member in value.items()}
        return changed if any(changed[key] is not value[key] for key in value) else value
    if type(value) in (list, tuple):
        members = [tensors_changed(member, change) for member in value]
        return type(value)(members) if any(m is not v for m, v in zip(members, value, strict=True)) else value
    return value


def _ordinary(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_inference() else tensor


def uncompiled(forward_func: ForwardFunc) -> ForwardFunc:
    """The module or function of which `torch.compile` has made `forward_func`, if it has.

    A function mode would be compiled along with the model, anew for each chunk, and hooks inside it are not called.
    """
    if isinstance(forward_func, nn.Module) and getattr(forward_func, "_compiled_call_impl", None) is not None:
        eager: ForwardFunc = forward_func._call_impl
        return eager
    for name in ("_orig_mod", "_torchdynamo_orig_callable"):
        original: ForwardFunc | None = getattr(forward_func, name, None)
        if callable(original):
            return original
    return forward_func


def uncompiling(act: Callable[[], _T]) -> _T:
    """What `act` gives, called while what was compiled, wherever it is inside the model, runs as it was written."""
    # Where nothing was compiled, the compiler is not even loaded.
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        return act()
    return _stances().during(act)


@functools.cache
def _stances() -> Switch[Any]:
    # `torch.compiler.set_stance` is such for one thread at a time, and has no way to ask what is set.
    from torch._dynamo import eval_frame

    def write(stance: Any) -> None:
        eval_frame._set_stance(stance)

    return Switch(lambda: eval_frame._stance, write, eval_frame.DynamoStance("force_eager"))


def _holds_compiled(forward_func: object) -> bool:
    for root in modules_of(forward_func):
        for module in root.modules():
            if getattr(module, "_compiled_call_impl", None) is not None or hasattr(module, "_orig_mod"):
                return True
    return False


def fingerprint(forward_func: ForwardFunc) -> tuple[tuple[int, int], ...]:
    """Changes when a parameter of the model is replaced or written to."""
    return tuple((id(p), p._version) for root in modules_of(forward_func) for p in root.parameters())


def check_chunk_size(chunk_size: object) -> int | None:
    """`chunk_size` as None or an int of at least 1. Raises ArgumentTypeError, ArgumentValueError."""
    if chunk_size is None:
        return None
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int | np.integer):
        raise ArgumentTypeError(f"chunk_size must be None or an integer >= 1, got {chunk_size!r}.")
    chunk_size = int(chunk_size)
    if chunk_size < 1:
        raise ArgumentValueError(f"chunk_size is rows per forward pass and must be at least 1, got {chunk_size}.")
    return chunk_size
