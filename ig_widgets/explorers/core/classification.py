"""Classification: what a classifier answers for an input, its readings, and the names of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError
from ig_widgets.engine.model import refuse_training_mode
from ig_widgets.engine.model_locks import in_turn, lock_of
from ig_widgets.engine.output import logits_of
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.explorers.core.settings import SUM, Settings, Target
from ig_widgets.texts import whole

_TOP = 5

LOGIT, PROBABILITY, LOG_PROBABILITY, MARGIN = "logit", "probability", "log-probability", "margin"


@dataclass(frozen=True, eq=False)
class Output:
    """The model with another reading of its scores: (rows, classes) to (rows, classes).

    `kind`: logit, probability, log-probability, or margin, that is what a class has more than class `second`.
    """

    model: Callable[[Tensor], Any]
    kind: str
    is_probability: bool
    second: int = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns the scores, as `kind` says."""
        return self.read(logits_of(self.model(inputs)))

    def read(self, scores: Tensor) -> Tensor:
        """Returns the same reading of scores (rows, classes) that the model has given."""
        match self.kind:
            case "probability":
                return scores if self.is_probability else scores.softmax(1)
            case "log-probability":
                return scores.log() if self.is_probability else scores.log_softmax(1)
            case "margin":
                return scores - scores[:, self.second : self.second + 1]
        return scores


@dataclass(frozen=True)
class Classes:
    """The `scores` of all classes, their `labels` (none, or one each), the `top` five as (class, probability), and
    `output_name`: whether the scores are logits or probabilities.
    """

    scores: Tensor
    labels: tuple[str, ...]
    top: tuple[tuple[int, float], ...]
    output_name: str

    @property
    def outputs(self) -> list[str]:
        """The readings on offer, the model's own first. Logits cannot be told from probabilities."""
        return [PROBABILITY if self.output_name == PROBABILITY else LOGIT] + [
            kind for kind in (PROBABILITY, LOG_PROBABILITY, MARGIN) if kind != self.output_name
        ]

    @property
    def count(self) -> int:
        """How many classes there are."""
        return len(self.scores)

    def second(self, target: int) -> int:
        """Returns the class with the highest score besides `target`."""
        others = self.scores.clone()
        others[target] = -torch.inf
        return int(others.argmax()) if self.count > 1 else target

    def name(self, index: int) -> str:
        """Returns the label of a class, or its number where it has none."""
        label = self.labels[index] if self.labels else ""
        return label if label.strip() else f"class {index}"

    def index(self, target: object) -> int:
        """Returns the class that `target`, a position or a label, names. Raises ArgumentValueError."""
        if isinstance(target, str):
            if (label := whole(target)) not in self.labels:
                raise ArgumentValueError(f"target {target[:80]!r} is none of the {len(self.labels)} labels.")
            return self.labels.index(label)
        if isinstance(target, bool) or not isinstance(target, int) or not -self.count <= target < self.count:
            raise ArgumentValueError(f"target must be a class from 0 to {self.count - 1} or a label, got {target!r}.")
        return target % self.count


class Classifier:
    """A classifier asked about one input: its classes, and the function that a request explains."""

    def __init__(self, model: Callable[[Tensor], Any], inputs: Tensor, labels: Sequence[str] | None) -> None:
        self.model = model
        self.classes = classify(model, inputs, labels)
        self._functions: dict[tuple[str, int], Output] = {}
        self._is_outdated = False

    def function(self, settings: Settings) -> Output:
        """Returns one object for each reading of the scores, since the engine keeps the chunk size of each object."""
        second = self.classes.second(_index(settings.target)) if settings.output == MARGIN else 0
        key = settings.output, second
        if key not in self._functions:
            is_probability = self.classes.output_name == PROBABILITY
            self._functions[key] = Output(self.model, settings.output, is_probability, second)
        return self._functions[key]

    def known_output(self, settings: Settings) -> Tensor | None:
        """Returns F(x) (1,), where the model has given it already."""
        if settings.output != self.classes.output_name or self._is_outdated:
            return None
        return self.classes.scores[_index(settings.target)].reshape(1)

    def scores(self, settings: Settings, inputs: Tensor | None = None) -> Tensor:
        """Returns F of every class (1, classes), at `inputs` or, None, as it was at the explained input."""
        function = self.function(settings)
        if inputs is None:
            return function.read(self.classes.scores[None])
        guard = StateGuard(self.model, inputs.device)
        return in_turn([lock_of(self.model)], lambda: guard.run(lambda: function(inputs), gradients=False))

    def probabilities(self, scores: Tensor) -> Tensor:
        """Returns the probabilities (rows, classes) of scores that the model has given."""
        return scores if self.classes.output_name == PROBABILITY else scores.softmax(1)

    def target_name(self, settings: Settings) -> str:
        """Returns the name of the class that is explained."""
        return self.classes.name(_index(settings.target))

    def output_name(self, settings: Settings) -> str:
        """Returns what is explained, in words."""
        unit = settings.output
        if settings.output == MARGIN:
            unit = f"margin over {self.classes.name(self.classes.second(_index(settings.target)))}"
        return unit if settings.channel == SUM else f"{unit}, {settings.channel} alone"

    def on_model_changed(self) -> None:
        """Forgets what the model has answered."""
        self._is_outdated = True


def _index(target: Target) -> int:
    return int(target)


def classify(model: Callable[[Tensor], object], inputs: Tensor, labels: Sequence[str] | None) -> Classes:
    """Asks the model once. Raises OutputError unless it returns one row of class scores, TrainingModeError, and
    ArgumentTypeError or ArgumentValueError for labels that do not fit.
    """
    if not callable(model):
        raise ArgumentTypeError(f"model must be a module or another callable, got {type(model).__name__}.")
    refuse_training_mode(model)
    guard = StateGuard(model, inputs.device)
    output = in_turn([lock_of(model)], lambda: guard.run(lambda: logits_of(model(inputs)), gradients=False))
    if not isinstance(output, Tensor) or output.dim() != 2 or output.shape[0] != 1 or not output.is_floating_point():
        seen = f"{tuple(output.shape)} {output.dtype}" if isinstance(output, Tensor) else type(output).__name__
        raise OutputError(
            f"model must return one row of class scores, (1, classes), for an input {tuple(inputs.shape)}; "
            f"it returned {seen}."
        )
    scores = output[0].float()
    is_probability = bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < 1e-3
    probabilities = scores if is_probability else scores.softmax(0)
    values, indices = probabilities.topk(min(_TOP, len(scores)))
    names = _check_labels(labels, len(scores))
    top = tuple(zip(indices.tolist(), values.tolist(), strict=True))
    return Classes(output[0], names, top, PROBABILITY if is_probability else LOGIT)


def _check_labels(labels: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if labels is None:
        return ()
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise ArgumentTypeError("labels must be a list of texts, one for each class.")
    if len(labels) != count:
        raise ArgumentValueError(f"labels has {len(labels)} names, the model {count} classes; give one for each.")
    return tuple(map(whole, labels))  # what cannot be sent cannot be shown
