"""The keywords of `attribute` and `refine`: their types, defaults and signature."""

from __future__ import annotations

import difflib
import inspect
import threading
from collections.abc import Callable
from typing import ParamSpec, TypedDict, TypeVar

from ig_widgets.engine.errors import ArgumentTypeError
from ig_widgets.engine.groups import FeatureMask
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines
from ig_widgets.engine.progress import ProgressLike
from ig_widgets.engine.target import TargetLike

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Options(TypedDict, total=False):
    """As `attribute` documents them."""

    baselines: Baselines
    target: TargetLike
    additional_forward_args: object
    forward_kwargs: ForwardKwargs
    output: Output
    method: str
    n_steps: int | None
    tol: float
    max_evaluations: int
    chunk_size: int | None
    precision: str
    multiply_by_inputs: bool
    layer: Layer | None
    feature_mask: FeatureMask
    on_progress: ProgressLike
    cancel: threading.Event | None


DEFAULTS: Options = {
    "baselines": None,
    "target": None,
    "additional_forward_args": None,
    "forward_kwargs": None,
    "output": None,
    "method": "auto",
    "n_steps": None,
    "tol": 0.05,
    "max_evaluations": 1024,
    "chunk_size": None,
    "precision": "full",
    "multiply_by_inputs": True,
    "layer": None,
    "feature_mask": None,
    "on_progress": None,
    "cancel": None,
}


def completed(options: Options) -> Options:
    """The options with the defaults of those that were not given. Raises ArgumentTypeError for unknown ones."""
    for name in options:
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(DEFAULTS)}."
            raise ArgumentTypeError(f"{name} is no keyword of attribute and refine; {remedy}")
    return {**DEFAULTS, **options}


def check_flag(name: str, value: object) -> None:
    """Raise ArgumentTypeError unless it is a bool."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be True or False, got {value!r} ({type(value).__name__}).")


def with_options(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let `function` show its options one by one where it is asked for its signature, as help() and notebooks do."""
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    types = Options.__annotations__
    further = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=getattr(types[name], "__forward_arg__", types[name]),
        )
        for name, default in DEFAULTS.items()
    ]
    function.__signature__ = signature.replace(parameters=[*given, *further])  # type: ignore[attr-defined]
    return function
