"""The explorers that the contract is tested with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.core.methods import Methods
from tests.explorers.contract.toy import Function, ToyExplorer, WatchedFunction, point
from tests.explorers.subjects import Classifier, Watched, Watching, photo, subject_of


@dataclass(frozen=True)
class Case:
    """An explorer, and what the tests explain with it.

    `model` and `watched`: make a model of five classes; `inputs(seed)`: an input without its batch dimension, in
    [0, 1]. `baselines`: names, of which the first is 0 everywhere, the second 1 and the third 0.5.
    """

    name: str
    explorer: Any
    model: Callable[..., nn.Module]
    watched: Callable[..., Watching]
    inputs: Callable[..., Tensor]
    baselines: tuple[str, ...]
    channels: tuple[str, ...]

    @property
    def methods(self) -> Methods:
        """What the explorer offers."""
        methods: Methods = self.explorer._file_methods
        return methods

    def __str__(self) -> str:
        return self.name

    def reference(self, model: nn.Module, inputs: Tensor, explorer: Any) -> Tensor:
        """What the engine alone attributes for the explorer's settings, from one of the first three baselines."""
        level = dict(zip(self.baselines, (0.0, 1.0, 0.5), strict=False))[explorer.baseline]
        unwatched = self.model.forward.__get__(model) if isinstance(model, Watching) else model  # type: ignore[attr-defined]
        return igw.attribute(
            unwatched,
            inputs[None],
            baselines=torch.full_like(inputs[None], level),
            target=explorer.target,
            method=explorer.method,
            n_steps=explorer.n_steps,
        ).attributions


TOY = Case(
    "toy",
    ToyExplorer,
    Function,
    WatchedFunction,
    point,
    ("zeros", "ones", "halves", "minus ones", "noise"),
    ("first", "second"),
)
IMAGE = Case(
    "image",
    ImageExplorer,
    Classifier,
    Watched,
    photo,
    ("black", "white", "colour", "blur", "noise"),
    ("red", "green", "blue"),
)

# For what an image may do otherwise: maps of two dimensions, regions, large models. All else runs with the toy alone.
BOTH = pytest.mark.parametrize("case", [TOY, IMAGE], indirect=True, ids=str)


def drawn(explorer: Any, values: Any = None, channel: str | None = None) -> np.ndarray[Any, Any]:
    """What a view draws of attributions; None: of the explorer's result."""
    values = explorer.result.attributions if values is None else values
    settings = explorer._settings()
    if channel is not None:
        settings = type(settings)(**vars(settings) | {"channel": channel})
    return np.asarray(subject_of(explorer).reduce(values, settings)[0])
