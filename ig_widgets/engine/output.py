"""Which tensor of what the model returns is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias

from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, OutputError

Output: TypeAlias = None | str | int | tuple[str | int, ...] | Callable[[Any], Tensor]

LOGITS = "logits"
# How many of the members of what a model returned are listed.
_MOST = 12


def check_output(output: object) -> Output:
    """`output` as it is. Raises ArgumentTypeError."""
    members = output if isinstance(output, tuple) and output else (output,)
    named = all(isinstance(m, str | int) and not isinstance(m, bool) for m in members)
    if output is None or named or (callable(output) and not isinstance(output, type)):
        return output  # type: ignore[return-value]
    raise ArgumentTypeError(
        f"output must be None, a key or attribute (a text), a position (an int), a tuple of such that leads inside, or "
        f"a callable that picks a tensor, got {output!r} ({type(output).__name__})."
    )


def chosen(returned: object, output: Output) -> Tensor:
    """The tensor that `output` names of what the model `returned`; None: it, or its logits. Raises OutputError."""
    if callable(output):
        picked = output(returned)
        if not isinstance(picked, Tensor):
            raise OutputError(f"output must pick a tensor, it picked a {type(picked).__name__}.")
        return floating(picked)
    if output is None:
        found = logits_of(returned)
        if isinstance(found, Tensor):
            return floating(found)
        raise OutputError(f"forward_func must return a tensor, it returned {_told(returned)}; {_remedy(returned)}")
    steps = output if isinstance(output, tuple) else (output,)
    value = returned
    for step in steps:
        if isinstance(value, Tensor):
            raise OutputError(
                f"output={output!r} asks for {step!r} of a tensor {tuple(value.shape)}; leave it out: "
                f"output picks one of several tensors, target a position in it."
            )
        members = _members(value)
        if step not in members:
            raise OutputError(f"output={output!r}: forward_func returned {_told(value)}; {_remedy(value)}")
        value = members[step]
    if not isinstance(value, Tensor):
        raise OutputError(f"output={output!r} is no tensor but {_told(value)}; {_remedy(value, steps)}")
    return floating(value)


def logits_of(returned: object) -> Any:
    """What the model `returned`, or its logits where it has such."""
    return returned if isinstance(returned, Tensor) else _members(returned).get(LOGITS, returned)


def floating(tensor: Tensor) -> Tensor:
    """`tensor`, if its values have a gradient. Raises OutputError."""
    if tensor.is_complex():
        raise OutputError(
            f"forward_func returned {tensor.dtype}, and F is a real number; explain its real part or its modulus, e.g. "
            f"output=lambda out: out.abs()."
        )
    if not tensor.is_floating_point():
        raise OutputError(
            f"forward_func returned {tensor.dtype}, which has no gradient; return scores, not decisions or classes."
        )
    return tensor


def wrong_rows(output: Tensor, points: tuple[Tensor, ...]) -> OutputError:
    """That the model returned another number of rows than it was given, and what that may come from."""
    rows, found = len(points[0]), output.shape[0]
    seen = (
        f"forward_func returned shape {tuple(output.shape)} for {rows} rows; the first dimension must be one row for "
        f"each row of the inputs."
    )
    for i, point in enumerate(points):
        name = "inputs" if len(points) == 1 else f"inputs[{i}]"
        for dim in range(1, point.dim()):
            if point.shape[dim] == found:
                return OutputError(
                    f"{seen} It returned as many as dimension {dim} of {name} has: if examples lie along that, as "
                    f"where steps come first, put them first, {name}.transpose(0, {dim}), and let forward_func put "
                    f"them back, lambda x: model(x.transpose(0, {dim}))."
                )
    return OutputError(
        f"{seen} (Where that dimension is the batch, a function that takes one row at a time works with chunk_size=1.)"
    )


def _members(value: object) -> dict[str | int, Any]:
    """What is inside, by key, attribute and position; a key is found before a position of the same number."""
    if isinstance(value, Tensor | str | bytes) or value is None:
        return {}
    found: dict[str | int, Any] = {}
    if isinstance(value, Sequence):
        found.update(enumerate(value))
        found.update({name: getattr(value, name) for name in getattr(value, "_fields", ())})
    elif isinstance(value, Mapping):
        # Hugging Face's ModelOutput leaves out what is None, and has positions too.
        if hasattr(value, "to_tuple"):
            found.update(enumerate(value.values()))
        found.update({key: member for key, member in value.items() if isinstance(key, str | int)})
    elif is_dataclass(value):
        found.update({f.name: getattr(value, f.name, None) for f in fields(value)})
    else:
        found.update({k: v for k, v in getattr(value, "__dict__", {}).items() if not k.startswith("_")})
        for name in getattr(type(value), "__slots__", ()):
            if not name.startswith("_") and hasattr(value, name):
                found[name] = getattr(value, name)
        if LOGITS not in found and hasattr(value, LOGITS):
            found[LOGITS] = getattr(value, LOGITS)
    return found


def _named(value: object) -> dict[str | int, Any]:
    """The members by one name each."""
    members = _members(value)
    texts: dict[str | int, Any] = {name: member for name, member in members.items() if isinstance(name, str)}
    return texts or members


def _told(value: object) -> str:
    kind = type(value).__name__
    members = _named(value)
    if not members:
        return f"a {kind}"
    listed = ", ".join(f"{name}: {_form(member)}" for name, member in list(members.items())[:_MOST])
    more = ", ..." if len(members) > _MOST else ""
    if all(isinstance(name, int) for name in members):
        return f"a {kind} of {len(members)} ({listed}{more})"
    return f"a {kind} with {listed}{more}"


def _form(member: object) -> str:
    if isinstance(member, Tensor):
        return f"{str(member.dtype).removeprefix('torch.')} {tuple(member.shape)}"
    return type(member).__name__


def _remedy(value: object, before: tuple[str | int, ...] = ()) -> str:
    members = _named(value)
    floats = [name for name, m in members.items() if isinstance(m, Tensor) and m.is_floating_point()]
    nested = [name for name, m in members.items() if _members(m)]
    if not floats and not nested:
        return "return scores, a floating tensor with a row for each row of the inputs."
    best = (*before, (floats or nested)[0])
    said = best[0] if len(best) == 1 else best
    path = "".join(f"[{step!r}]" for step in best)
    if isinstance(best[-1], str) and not isinstance(value, Mapping):
        path = "".join(f"[{step!r}]" for step in before) + f".{best[-1]}"
    return f"choose one, e.g. output={said!r}, or explain lambda x: model(x){path}."
