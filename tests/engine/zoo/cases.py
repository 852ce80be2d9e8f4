"""What the zoo is made of: a case is a function, where its path begins and ends, and what is known of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Case:
    """A function to be explained.

    `module`: the function; a copy of it in float64 is the same function but for rounding. `inputs`, `baselines`: a
    tensor or several, with `extra` as further arguments. `kinked`: whether gradients jump along the path. `singular`:
    "0" or "1" where they grow without bound, or nearly so, at that end. `jumps`: whether F itself does.
    `places`: alphas near which a reference has to look closely. `exact`: the true map where it is known, (batch,
    features) of all inputs side by side. `asked`: what `attribute` is given in place of `module` and its inputs, where
    these are what lies behind a layer and what the layer gives.
    """

    name: str
    family: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    target: int | tuple[int, ...] | None = None
    extra: tuple[Any, ...] = ()
    kinked: bool = False
    singular: str = ""
    jumps: bool = False
    places: tuple[float, ...] = ()
    exact: Callable[[], Tensor] | None = field(default=None, repr=False)
    asked: dict[str, Any] = field(default_factory=dict, repr=False)

    def arguments(self) -> dict[str, Any]:
        """What `attribute` is given, besides `tol`."""
        single = len(self.inputs) == 1
        return {
            "forward_func": self.module,
            "inputs": self.inputs[0] if single else self.inputs,
            "baselines": self.baselines[0] if single else self.baselines,
            "target": self.target,
            "additional_forward_args": self.extra or None,
            **self.asked,
        }


@dataclass(frozen=True)
class Subject:
    """A case by name, made when it is asked for: always the same one."""

    name: str
    family: str
    make: Callable[[], Case] = field(repr=False)


@dataclass(frozen=True)
class Made:
    """What a maker of a case gives: a module and its input; zeros are the baseline where none is given."""

    module: nn.Module
    inputs: Tensor | tuple[Tensor, ...]
    baselines: Tensor | tuple[Tensor, ...] | float = 0.0
    target: int | tuple[int, ...] | None = None
    extra: tuple[Any, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


class Register:
    """Subjects, in the order in which they were written down."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []

    def __call__(self, family: str, name: str | None = None, **known: Any) -> Callable[[Any], Any]:
        """Registers a maker; `known` are fields of its case."""

        def register(maker: Callable[[], Made]) -> Callable[[], Made]:
            called = name or maker.__name__
            if any(one.name == called for one in self.subjects):
                raise ValueError(f"two cases are called {called}")
            self.subjects.append(Subject(called, family, lambda: build(called, family, maker, known)))
            return maker

        return register


def build(name: str, family: str, maker: Callable[[], Made], known: dict[str, Any]) -> Case:
    """The case, of a seed that is its name's; the session's random state stays as it was."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(zlib.crc32(name.encode()))
        made = maker()
    inputs = made.inputs if isinstance(made.inputs, tuple) else (made.inputs,)
    given = made.baselines if isinstance(made.baselines, tuple) else (made.baselines,) * len(inputs)
    baselines = tuple(torch.as_tensor(b).to(x).expand_as(x).clone() for b, x in zip(given, inputs, strict=True))
    for parameter in made.module.parameters():
        parameter.requires_grad_(made.more.get("thaw", True))
    case = Case(name, family, made.module.eval(), inputs, baselines, made.target, made.extra, **known)
    further = {key: value for key, value in made.more.items() if key != "thaw"}
    return replace(case, **further) if further else case


class Function(nn.Module):
    """A function of tensors as a module, with the modules and tensors that it uses as parts."""

    def __init__(self, function: Callable[..., Tensor], *modules: nn.Module, **tensors: Tensor) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, *arguments: Any) -> Tensor:
        return self.function(self, *arguments)
