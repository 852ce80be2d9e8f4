"""The user's function: called on rows of the path, checked, and left as it was found."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError
from ig_widgets.engine.modes import outside_inference_mode
from ig_widgets.engine.target import Target

ForwardFunc = Callable[..., Any]

_DEPTH = 6


class ScalarFunction:
    """F: points (rows, ...) of the path to one scalar a row, of the output position that `target` names."""

    def __init__(self, forward_func: ForwardFunc, target: Target, additional_forward_args: object, batch: int) -> None:
        if not callable(forward_func):
            raise ArgumentTypeError(
                f"forward_func must be a module or another callable, got {type(forward_func).__name__}."
            )
        self.forward_func = forward_func
        self._eager = uncompiled(forward_func)
        self._target = target
        self._batch = batch
        if additional_forward_args is None:
            extra: tuple[object, ...] = ()
        elif isinstance(additional_forward_args, tuple):
            extra = additional_forward_args
        else:
            extra = (additional_forward_args,)
        # A tensor made in inference mode cannot be saved for a backward pass; a copy can.
        self._extra = outside_inference_mode(
            lambda: tuple(e.clone() if isinstance(e, Tensor) and e.is_inference() else e for e in extra)
        )
        self._one_by_one = False

    @property
    def is_compiled(self) -> bool:
        """Whether it is what `torch.compile` made of a module."""
        return self._eager is not self.forward_func

    def __call__(self, points: tuple[Tensor, ...], examples: Tensor, *, eager: bool = False) -> Tensor:
        """F (rows,) at `points`, tensors (rows, ...), on the paths of `examples` (rows,).

        `eager`: by the module itself, where `torch.compile` has made another of it.
        Raises OutputError, ArgumentValueError (target out of range), and whatever the model raises.
        """
        rows = len(examples)
        if self._one_by_one and rows > 1:
            single = [self(tuple(p[i : i + 1] for p in points), examples[i : i + 1], eager=eager) for i in range(rows)]
            return torch.cat(single)
        function = self._eager if eager else self.forward_func
        # A model that turns gradients off on its way does so for itself.
        with torch.set_grad_enabled(torch.is_grad_enabled()):
            output = _check_output(function(*points, *(self._repeat(extra, examples) for extra in self._extra)))
        if output.dim() == 0:
            if self._batch > 1:
                raise OutputError(
                    f"forward_func returned a single number for {rows} rows; it must return one row for each "
                    f"(a 0-D output is allowed for a batch of one)."
                )
            if rows > 1:
                self._one_by_one = True
                return self(points, examples, eager=eager)
            output = output.reshape(1)
        if output.shape[0] != rows:
            raise OutputError(
                f"forward_func returned shape {tuple(output.shape)} for {rows} rows; the first dimension must be one "
                f"row for each row of the inputs. (A function that takes one row at a time works with chunk_size=1.)"
            )
        return self._target.select(output, examples)

    def _repeat(self, extra: object, examples: Tensor) -> object:
        if isinstance(extra, Tensor) and extra.dim() > 0 and extra.shape[0] == self._batch:
            return extra.index_select(0, examples.to(extra.device))
        return extra


def _check_output(output: object) -> Tensor:
    if not isinstance(output, Tensor):
        if isinstance(output, dict):
            seen = f"a {type(output).__name__} with the keys {', '.join(map(str, output))}"
            remedy = f"lambda x: model(x)[{next(iter(output), 'logits')!r}]"
        elif isinstance(output, tuple | list):
            seen, remedy = f"a {type(output).__name__} of {len(output)}", "lambda x: model(x)[0]"
        else:
            seen, remedy = f"a {type(output).__name__}", "lambda x: model(x).logits"
        raise OutputError(f"forward_func must return a tensor, it returned {seen}; choose one, e.g. {remedy}.")
    if not output.is_floating_point():
        raise OutputError(
            f"forward_func returned {output.dtype}, which has no gradient; return scores, not decisions or classes."
        )
    return output


def uncompiled(forward_func: ForwardFunc) -> ForwardFunc:
    """The module of which `torch.compile` has made `forward_func`, if it has.

    A function mode would be compiled along with the model, anew for each chunk, and hooks inside it are not called.
    """
    original: ForwardFunc = getattr(forward_func, "_orig_mod", forward_func)
    return original


def modules_of(forward_func: ForwardFunc) -> list[nn.Module]:
    """The modules that `forward_func` is, is bound to, wraps, closes over, or holds; each once."""
    found: list[nn.Module] = []
    seen: set[int] = set()
    # Level by level, and no deeper than people nest functions in objects: a guard, not an inventory.
    level: list[object] = [forward_func]
    for _ in range(_DEPTH):
        level = [held for holder in level if id(holder) not in seen for held in _held(holder, seen, found)]
    return found


def _held(holder: object, seen: set[int], found: list[nn.Module]) -> list[object]:
    if id(holder) in seen:
        return []
    seen.add(id(holder))
    if isinstance(holder, nn.Module):
        found.append(holder)
        return []
    if isinstance(holder, functools.partial):
        return [holder.func, *holder.args, *holder.keywords.values()]
    if isinstance(holder, FunctionType):
        held = [holder.__globals__.get(name) for name in holder.__code__.co_names]
        held += [*(holder.__defaults__ or ()), *(holder.__kwdefaults__ or {}).values()]
        return held + [cell.cell_contents for cell in holder.__closure__ or () if _is_filled(cell)]
    if isinstance(holder, MethodType):
        return [holder.__self__, holder.__func__]
    if isinstance(holder, list | tuple | set | frozenset):
        return list(holder)
    if isinstance(holder, dict):
        return list(holder.values())
    if isinstance(holder, Tensor | type | ModuleType | str | bytes | int | float):
        return []
    held = list(getattr(holder, "__dict__", {}).values())
    call = vars(type(holder)).get("__call__")
    return [*held, call] if isinstance(call, FunctionType) else held


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def refuse_training_mode(forward_func: ForwardFunc) -> None:
    """Raise TrainingModeError where a point's output would depend on its neighbours in the chunk, or on chance."""
    for root in modules_of(forward_func):
        for name, module in root.named_modules():
            label = f"{type(module).__name__} '{name}'" if name else type(module).__name__
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                if module.training:
                    raise TrainingModeError(
                        f"forward_func holds {label} in training mode, which mixes the points of the path "
                        f"with each other and changes running statistics; call model.eval() first."
                    )
                if module.running_mean is None:
                    raise TrainingModeError(
                        f"forward_func holds {label} without running statistics, which mixes the points of the "
                        f"path with each other; build it with track_running_stats=True."
                    )
            if isinstance(module, nn.modules.dropout._DropoutNd) and module.training and module.p > 0:
                raise TrainingModeError(
                    f"forward_func holds {label} in training mode, so that F changes from call to call; "
                    f"call model.eval() first."
                )


def fingerprint(forward_func: ForwardFunc) -> tuple[tuple[int, int], ...]:
    """Changes when a parameter of the model is replaced or written to."""
    return tuple((id(p), p._version) for root in modules_of(forward_func) for p in root.parameters())


def check_chunk_size(chunk_size: object) -> int | None:
    """`chunk_size` as None or an int of at least 1. Raises ArgumentTypeError, ArgumentValueError."""
    if chunk_size is None:
        return None
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int):
        raise ArgumentTypeError(f"chunk_size must be None or an integer >= 1, got {chunk_size!r}.")
    if chunk_size < 1:
        raise ArgumentValueError(f"chunk_size is rows per forward pass and must be at least 1, got {chunk_size}.")
    return chunk_size
