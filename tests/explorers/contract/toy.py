"""An explorer of a function of two numbers: all that an explorer needs, and no image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.explorers.core.baseline_catalog import BaselineCatalog, GivenBaseline
from ig_widgets.explorers.core.classification import Classifier
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.core.settings import SUM, Settings
from ig_widgets.explorers.core.subject import Shown, Subject
from ig_widgets.explorers.export.exports import ExportPanel, ExportTraits
from ig_widgets.explorers.panels.baselines import BaselinePanel, BaselineTraits
from ig_widgets.explorers.panels.convergence import ConvergencePanel, ConvergenceTraits
from ig_widgets.explorers.panels.dependence import DependencePanel, DependenceTraits
from ig_widgets.files import Array
from tests.explorers.subjects import Watching, draw

METHODS = Methods()
CHANNELS = ("first", "second")


def point(seed: int = 0) -> Tensor:
    """Two numbers in [0, 1], in float64."""
    return torch.rand(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Function(nn.Module):
    """Scores of two numbers, (rows, 2) to (rows, classes): linear in pieces, with many kinks."""

    def __init__(self, *, classes: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.first = nn.Linear(2, 32)
        self.last = nn.Linear(32, classes)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(seed + i, *parameter.shape)
        self.first.bias.data /= 3
        self.to(dtype).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)))


class WatchedFunction(Watching, Function):
    """The same, watched."""


class Steep(nn.Module):
    """A smooth function: from zeros, nearly all of it changes beside the baseline."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 5, dtype=torch.float64)
        for i, parameter in enumerate(self.last.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(x / (x.square().sum(1, keepdim=True) + 1e-5).sqrt()))


class Jumping(Steep):
    """Of inputs that are large enough another expert answers: F jumps by `jump` on the way from zeros."""

    jump = 30.0

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.jump * (x.mean(1, keepdim=True) > 0.2)


class ToySubject(Subject):
    """A point as a function sees it: inputs (1, 2), maps (2,)."""

    kind: ClassVar[str] = "toy"
    usual_baselines: ClassVar[Sequence[str]] = ("zeros", "ones", "halves")

    def __init__(self, model: nn.Module, at: Tensor, labels: Sequence[str] | None = None) -> None:
        parameter = next(model.parameters(), at) if isinstance(model, nn.Module) else at
        inputs = at[None].to(parameter)
        levels = {"zeros": 0.0, "ones": 1.0, "halves": 0.5, "minus ones": -1.0}
        offers: dict[str, Any] = {
            name: GivenBaseline(lambda x, level=level: torch.full_like(x, level), f"both {level:g}")  # type: ignore[misc]
            for name, level in levels.items()
        }
        catalog = BaselineCatalog(inputs, offers | {"noise": igw.baselines.uniform()})
        super().__init__(model, inputs, Classifier(model, inputs, labels), catalog, METHODS, CHANNELS)

    @property
    def map_shape(self) -> tuple[int]:
        return (2,)

    def reduce(self, maps: Tensor, settings: Settings) -> Tensor:
        if settings.channel == SUM:
            return maps
        return maps * torch.eye(2).to(maps)[CHANNELS.index(settings.channel)]

    def display(self, settings: Settings) -> Display:
        return Display(self.kind, self.map_shape, {"point": _values(self.inputs)}, {"names": ["x", "y"]})

    def drawing(self, shown: Shown) -> ToyDrawing:
        return ToyDrawing(shown.values, shown.collected, str(shown.look), shown.caption)

    def state(self) -> dict[str, Array]:
        return {"point": _values(self.inputs)}

    def mismatch(self, state: Mapping[str, Array]) -> str:
        was = state.get("point")
        if was is None or was.shape != (2,):
            return "the file has no such point"
        return "" if np.allclose(was, _values(self.inputs)) else f"the point was {was} and is {_values(self.inputs)}"


@dataclass(frozen=True)
class ToyDrawing:
    """A picture that costs nothing: what it would show, as bytes."""

    values: Array
    collected: Array
    look: str
    caption: str

    def png(self) -> bytes:
        return b"\x89PNG" + repr(vars(self)).encode() + bytes(1000)

    def svg(self) -> bytes:
        return b"<?xml " + repr(vars(self)).encode() + bytes(1000)

    def figure(self) -> Figure:
        figure = Figure()
        figure.subplots().bar(["x", "y"], self.collected)
        return figure


class ToyExplorer(DependenceTraits, ConvergenceTraits, BaselineTraits, ExportTraits):
    """The explorer of that, with every panel but that of selections."""

    panel_types = (ConvergencePanel, BaselinePanel, DependencePanel, ExportPanel)
    _file_kind, _file_methods = ToySubject.kind, METHODS
    _css = "/* nothing */"

    def __init__(
        self,
        model: nn.Module,
        at: Tensor,
        *,
        labels: Sequence[str] | None = None,
        target: int | str | None = None,
        baseline: object = "zeros",
        **traits: Any,
    ) -> None:
        subject = ToySubject(model, at, labels)
        super().__init__(subject, baseline=baseline, **traits | ({} if target is None else {"target": target}))

    @classmethod
    def from_npz(
        cls, path: str | Path, model: nn.Module, at: Tensor, *, labels: Sequence[str] | None = None
    ) -> ToyExplorer:
        return cls._from_npz(path, model, at, labels=labels)


def _values(inputs: Tensor) -> Array:
    return np.asarray(inputs[0].detach().cpu().float(), np.float32)
