"""Subject: what an explorer explains, and how its maps are drawn. There is no widget in it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_samples
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.model import ForwardFunc
from ig_widgets.engine.model_locks import lock_of
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers.core.baseline_catalog import BaselineCatalog
from ig_widgets.explorers.core.classification import Classifier, Output
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.limits import check_size
from ig_widgets.explorers.core.methods import Methods, Question
from ig_widgets.explorers.core.settings import SUM, Settings
from ig_widgets.files import Array


class Selections(Protocol):
    """The forms in which features can be selected: of a picture rectangles, polygons and masks."""

    def to_data(self, selection: Any) -> dict[str, Any]:
        """Returns plain data for what Python gives. Raises IGError where it selects nothing."""

    def from_data(self, data: object) -> Any:
        """Returns what Python has, for data of a front end. Raises IGError."""

    def mask(self, data: object) -> npt.NDArray[np.bool_]:
        """Returns which values of a map are selected. Raises IGError."""

    def check_new(self, data: Sequence[object]) -> None:
        """Raises IGError where these cannot all be, or where checking them would take long."""


class Drawing(Protocol):
    """A static picture of what an explorer shows."""

    def png(self) -> bytes:
        """Returns it as a PNG."""

    def svg(self) -> bytes:
        """Returns it as an SVG."""

    def figure(self) -> Figure:
        """Returns it as a figure of matplotlib's."""


@dataclass(frozen=True)
class Shown:
    """What a static picture shows: the map `values` at alpha = 1, and what is `collected` up to the look's alpha.

    `look`: the values of the traits with the tag `look` (alpha, colormap, clip and the like). `caption`: a sentence.
    """

    settings: Settings
    values: npt.NDArray[np.floating[Any]]
    collected: npt.NDArray[np.floating[Any]]
    look: Mapping[str, Any]
    caption: str


@dataclass(frozen=True)
class CoarseMaps:
    """Sums of maps over groups of neighbouring values, in which opposite signs side by side cancel.

    `values` (n, ...). `name`: of the groups, in words. `patch`: how many values they have along a side.
    """

    values: npt.NDArray[np.float64]
    name: str
    patch: int


class Subject(ABC):
    """One input of a model that an explorer explains.

    Subclasses say how an attribution becomes a map (`reduce`), what maps are drawn over (`display`), how a static
    picture of one looks (`drawing`), and what a file keeps of the input (`state`, `mismatch`).
    """

    # As the front end knows it: its bundle is <kind>.js.
    kind: ClassVar[str]
    # The names of the baselines that expected gradients are drawn from, and that the dependence panel compares.
    usual_baselines: ClassVar[Sequence[str]] = ()
    # None where no features can be selected.
    selections: Selections | None = None

    def __init__(
        self,
        model: ForwardFunc,
        inputs: Tensor,
        classifier: Classifier,
        baselines: BaselineCatalog,
        methods: Methods,
        channels: Sequence[str] = (),
    ) -> None:
        """`inputs` (1, ...): what the model is given. `channels`: the parts of a map that can be drawn alone."""
        self.model = model
        self.inputs = inputs
        self.classifier = classifier
        self.baselines = baselines
        self.methods = methods
        self.channels = (SUM, *channels)

    # ------------------------------------------------------------ what a kind of input has to say

    @property
    @abstractmethod
    def map_shape(self) -> tuple[int, ...]:
        """The shape of a map, as it is drawn."""

    @abstractmethod
    def reduce(self, maps: Tensor, settings: Settings) -> Tensor:
        """Returns what is drawn (n, *map_shape) of attributions (n, *input). It must be linear."""

    @abstractmethod
    def display(self, settings: Settings) -> Display:
        """Returns what a map is drawn over."""

    @abstractmethod
    def drawing(self, shown: Shown) -> Drawing:
        """Returns a static picture."""

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Returns the arrays by which a file tells that it is of this input."""

    @abstractmethod
    def mismatch(self, state: Mapping[str, Array]) -> str:
        """Returns how the input of a file differs from this one, "" where it does not."""

    def coarsen(self, maps: npt.NDArray[np.float64]) -> CoarseMaps | None:
        """Returns maps (n, *map_shape) summed over neighbours; None where values have no neighbours."""
        return None

    def check_input(self, name: str) -> str:
        """Returns the `input` setting. Raises ArgumentValueError where there is no such input."""
        if name:
            raise ArgumentValueError(f"input must be '': there is one input alone, got {name[:80]!r}.")
        return name

    # ------------------------------------------------------------ what follows from that

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the model's input without its batch dimension; each sample keeps so many values."""
        return tuple(self.inputs.shape[1:])

    def target(self, settings: Settings) -> int:
        """Returns the position in an output row that is explained."""
        return int(settings.target)

    def function(self, settings: Settings) -> Output:
        """Returns the function that is explained: the model with the reading of its scores that is asked for."""
        return self.classifier.function(settings)

    def baseline(self, settings: Settings) -> Tensor:
        """Returns where the path starts (1, ...)."""
        return self.baselines.inputs(settings.baseline)

    def samples(self, settings: Settings, chunks: ChunkSize | None, cancel: threading.Event | None = None) -> Samples:
        """Returns an empty collection of samples, both ends evaluated. Raises Cancelled, and what the model raises."""
        # The trait's validator checks panes; other callers come here unchecked.
        check_size(settings.n_steps, self.shape)
        if self.methods.is_relative(settings.method):
            return self.methods.samples(settings.method, self._question(settings, chunks, cancel))
        return make_samples(
            self.function(settings),
            self.inputs,
            baselines=self.baseline(settings),
            target=self.target(settings),
            # The random state belongs to the session's thread, which may be drawing from it.
            guard=lock_of(self.model),
            chunks=chunks,
            cells=rules.nodes(settings.method, settings.n_steps) if settings.method == rules.SECANT else None,
            known_output=self.classifier.known_output(settings),
            cancel=cancel,
        )

    def maps(self, samples: Samples, keys: list[Any], settings: Settings) -> npt.NDArray[np.floating[Any]]:
        """Returns the map of each sample (samples, *map_shape)."""
        # Sampled as rows of all features; reduced at once, as one pass over memory.
        flat = torch.cat(list(samples.maps(0, keys, multiply_by_inputs=True)), dim=1)
        return np.asarray(self.reduce(flat.view(len(keys), *self.shape), settings).float().cpu())

    def _question(self, settings: Settings, chunks: ChunkSize | None, cancel: threading.Event | None) -> Question:
        return Question(
            self.function(settings),
            self.target(settings),
            self.inputs,
            self.baseline(settings),
            lambda: torch.cat([self.baselines.inputs(name) for name in self.usual_baselines]),
            settings.n_steps,
            lock_of(self.model),
            chunks,
            cancel,
        )
