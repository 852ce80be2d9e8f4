"""Finds the modules that a function is, wraps, closes over, or reaches by the names in its code."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn

_DEPTH = 6
# Of Python's byte code.
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_CELL = ("LOAD_DEREF", "LOAD_CLASSDEREF")
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")
_MISSING = object()
# Of these a model uses hundreds of functions, each of which uses others.
_LIBRARIES = frozenset((__name__.partition(".")[0], "numpy", "torch"))


def modules_of(forward_func: object) -> list[nn.Module]:
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
        return [*(holder.__defaults__ or ()), *(holder.__kwdefaults__ or {}).values(), *_named(holder)]
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


def _named(function: FunctionType) -> list[object]:
    """What the names in the code of `function` stand for: globals, closed-over variables, and attributes of them.

    `holder.model` is the model that `holder` has, not a global of that name, nor what else `holder` has.
    """
    cells: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    # What a library knows by name is no model of the user's, who may yet have handed it one.
    package = str(function.__globals__.get("__name__", "")).partition(".")[0]
    names = {} if package in _LIBRARIES else function.__globals__
    if not (names or cells):
        return []
    return [value for code in _codes(function.__code__) for value in _values(code, names, cells)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _values(code: CodeType, names: dict[str, Any], cells: dict[str, object]) -> list[object]:
    made: list[object] = []
    current: object = _MISSING
    for instruction in dis.get_instructions(code):
        if instruction.opname in _ATTRIBUTE and current is not _MISSING:
            inside = _attribute(current, str(instruction.argval))
            if inside is _MISSING:
                made.append(current)
            current = inside
            continue
        if current is not _MISSING:
            made.append(current)
        current = _MISSING
        if instruction.opname in _GLOBAL:
            current = names.get(str(instruction.argval), _MISSING)
        elif instruction.opname in _CELL:
            current = cells.get(str(instruction.argval), _MISSING)
    return made if current is _MISSING else [*made, current]


def _attribute(value: object, name: str) -> object:
    """An attribute that is simply there; no property or method is asked."""
    if isinstance(value, nn.Module):
        return value._modules.get(name, _MISSING)
    return getattr(value, "__dict__", {}).get(name, _MISSING)
