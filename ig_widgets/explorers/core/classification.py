"""Classification: what a model answers for an input, the readings of that, and the class and place that are explained.

`scores.py` says what the numbers mean, `labels.py` what classes are called, `output_rows.py` where they lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ig_widgets.engine import output as engine_output
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError
from ig_widgets.engine.model import refuse_training_mode
from ig_widgets.engine.model_locks import in_turn, lock_of
from ig_widgets.engine.reachable_modules import modules_of
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.explorers.core.labels import Labels, are_two_of_one, count_of, labels_of
from ig_widgets.explorers.core.model_config import configs_of
from ig_widgets.explorers.core.output_rows import Place, Position, Rows, first_place, parsed, rows_of
from ig_widgets.explorers.core.scores import (
    MARGIN,
    PROBABILITY,
    RAW,
    READINGS,
    SIGMOID,
    Scores,
    check_kind,
    scores_of,
    step_of,
)
from ig_widgets.explorers.core.settings import SUM, Settings, Target

_TOP = 5
# Of so many places that were explained the function is kept.
_MOST_FUNCTIONS = 256


@dataclass(frozen=True, eq=False)
class Output:
    """The function that is explained: inputs to one reading of the scores at one place, (rows, classes).

    `select`: which tensor of what the model returns (as `output` of `igw.attribute`). `reading`: logit, probability,
    log-probability, value, or margin, that is what a class has more than class `second`.
    """

    model: Callable[[Tensor], Any]
    select: engine_output.Output
    rows: Rows
    place: Place
    scores: Scores
    reading: str
    second: int = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns the reading, of every class."""
        return self.read(self.rows.at(tensor_of(self.model, self.select, inputs), self.place))

    def read(self, scores: Tensor) -> Tensor:
        """Returns the same reading of scores (rows, classes) that the model has given at the place."""
        return self.scores.read(scores, self.reading, self.second)


@dataclass(frozen=True, eq=False)
class Meaning:
    """What holds of a model's answers to all inputs: which tensor they are, where its classes lie, what its numbers
    mean, and what classes are called.
    """

    select: engine_output.Output
    rows: Rows
    scores: Scores
    labels: Labels


class Classes:
    """The answer to one input: `scores` (*places, classes), and the classes by name and number."""

    def __init__(self, meaning: Meaning, scores: Tensor) -> None:
        self.meaning = meaning
        self.scores = scores
        self.rows = meaning.rows

    @property
    def labels(self) -> tuple[str, ...]:
        """None, or one each."""
        return self.meaning.labels.names

    @property
    def count(self) -> int:
        """How many classes there are."""
        return self.rows.count

    @property
    def output_name(self) -> str:
        """What the model's scores are: logit, probability, log-probability or value."""
        return self.meaning.scores.unit

    @property
    def outputs(self) -> list[str]:
        """The readings on offer, the model's own first."""
        return self.meaning.scores.readings(self.count)

    @cached_property
    def first(self) -> Position:
        """The target that is explained unless told: the class with the highest score, at `first_place`."""
        place = first_place(self.rows, self.meaning.scores.shares(self.scores.float()))
        return self.rows.position(self._highest(place), place)

    @property
    def top(self) -> tuple[tuple[int, float], ...]:
        """The first five classes at the first place, as `top_at` has them."""
        return self.top_at(self.first)

    def top_at(self, target: Target | Position) -> tuple[tuple[int, float], ...]:
        """Returns the five classes with the highest scores where `target` is, each with its probability, or its value
        where scores are raw.
        """
        _, place = self.rows.split(target)
        shares = self.meaning.scores.shares(self.scores[place].double())
        values, indices = shares.nan_to_num(-torch.inf).topk(min(_TOP, self.count))
        pairs = zip(indices.tolist(), values.tolist(), strict=True)
        return tuple((index, value) for index, value in pairs if abs(value) < torch.inf)

    def second(self, target: Target | Position) -> int:
        """Returns the class with the highest score besides `target`, at the same place."""
        index, place = self.rows.split(target)
        if self.count == 1:
            return index
        others = self.scores[place].clone()
        others[index] = -torch.inf
        return int(others.argmax())

    def name(self, index: int) -> str:
        """Returns the label of a class, or its number where it has none."""
        return self.meaning.labels.name(index)

    def index(self, target: object, place: Place | None = None) -> Position:
        """Returns the target that is meant: a class, or of a dense output a position as the engine takes it.

        `target`: a class by number or name; of a dense output a tuple in which the class may be a name, or a class
        alone, which is explained at `place`, or where nothing is said at the first. Raises ArgumentValueError.
        """
        if not self.rows.places:
            # A front end says what it has been told.
            return self._class(target[0] if isinstance(target, tuple | list) and len(target) == 1 else target)
        if isinstance(target, str) and (numbers := parsed(target)) is not None:
            target = numbers
        axis = self.rows.axis
        if isinstance(target, tuple | list):
            named = [
                self._class(one) if dim == axis and isinstance(one, str) else one for dim, one in enumerate(target)
            ]
            return self.rows.check(named)
        if axis is None:
            return self.rows.check((target,))
        where = self.rows.split(self.first)[1] if place is None else place
        return self.rows.position(self._class(target), where)

    def _class(self, target: object) -> int:
        if isinstance(target, str):
            return self.meaning.labels.index(target)
        try:
            index = target.__index__()  # type: ignore[attr-defined]
        except (AttributeError, TypeError, ValueError):
            index = self.count
        if isinstance(target, bool) or not -self.count <= index < self.count:
            raise ArgumentValueError(f"target must be a class from 0 to {self.count - 1} or a label, got {target!r}.")
        return int(index) % self.count

    def _highest(self, place: Place) -> int:
        return int(self.scores[place].nan_to_num(-torch.inf).argmax())


class Classifier:
    """A model asked about one input: its classes, and the functions that requests explain.

    `reading`: the reading that the user has asked for as `output`, None where that is left to the model's own.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        inputs: Tensor,
        labels: object = None,
        output: object = None,
        scores: str | None = None,
        *,
        meaning: Meaning | None = None,
    ) -> None:
        """`output` and `scores`: as explorers take them. `meaning`: of the same model, where it is known.

        Raises as `classify`.
        """
        self.model = model
        select, self.reading = split_output(output)
        self.classes = classify(model, inputs, labels, select, scores, meaning)
        self.meaning = self.classes.meaning
        self._functions: dict[tuple[str, int, Place], Output] = {}
        self._is_outdated = False

    def of(self, inputs: Tensor) -> Classifier:
        """Returns the same model asked about another input; what its scores mean is not guessed anew."""
        other = Classifier(self.model, inputs, meaning=self.meaning)
        other.reading = self.reading
        return other

    def function(self, settings: Settings) -> Output:
        """Returns one object for each reading of the scores, since the engine keeps the chunk size of each object."""
        classes, reading = self.classes, settings.output
        second = classes.second(settings.target) if reading == MARGIN else 0
        place = classes.rows.split(settings.target)[1]
        key = reading, second, place
        if key not in self._functions:
            while len(self._functions) >= _MOST_FUNCTIONS:
                del self._functions[next(iter(self._functions))]
            self._functions[key] = Output(
                self.model, self.meaning.select, classes.rows, place, self.meaning.scores, reading, second
            )
        return self._functions[key]

    def target(self, settings: Settings) -> int:
        """Returns the class that is explained, a position in the rows of `function`."""
        return self.classes.rows.split(settings.target)[0]

    def known_output(self, settings: Settings) -> Tensor | None:
        """Returns F(x) (1,), where the model has given it already."""
        if settings.output != self.classes.output_name or self._is_outdated:
            return None
        index, place = self.classes.rows.split(settings.target)
        return self.classes.scores[place][index].reshape(1)

    def scores(self, settings: Settings, inputs: Tensor | None = None) -> Tensor:
        """Returns F of every class (1, classes), at `inputs` or, None, as it was at the explained input."""
        function = self.function(settings)
        if inputs is None:
            return function.read(self.classes.scores[function.place][None])
        guard = StateGuard(self.model, inputs.device)
        return in_turn([lock_of(self.model)], lambda: guard.run(lambda: function(inputs), gradients=False))

    def ask(self, settings: Settings, inputs: Tensor) -> Tensor:
        """Returns the model's scores (rows, classes) for any inputs, where the target is, on the CPU."""
        rows, place = self.classes.rows, self.classes.rows.split(settings.target)[1]

        def scores(some: Tensor) -> Tensor:
            return rows.at(tensor_of(self.model, self.meaning.select, some), place).detach().cpu()

        def act() -> Tensor:
            found = scores(inputs)
            # A model may take one row at a time.
            return found if len(found) == len(inputs) else torch.cat([scores(one[None]) for one in inputs])

        guard = StateGuard(self.model, inputs.device)
        return in_turn([lock_of(self.model)], lambda: guard.run(act, gradients=False))

    def probabilities(self, scores: Tensor) -> Tensor | None:
        """Returns the probabilities (rows, classes) of scores that the model has given; None of mere numbers."""
        return None if self.meaning.scores.kind == RAW else self.meaning.scores.shares(scores)

    def target_name(self, settings: Settings) -> str:
        """Returns the name of the class that is explained, and its place where the model answers at several."""
        index, place = self.classes.rows.split(settings.target)
        name = self.classes.name(index)
        return f"{name} at ({', '.join(map(str, place))})" if place else name

    def output_name(self, settings: Settings) -> str:
        """Returns what is explained, in words."""
        unit = settings.output
        if settings.output == MARGIN:
            unit = f"margin over {self.classes.name(self.classes.second(settings.target))}"
        return unit if settings.channel == SUM else f"{unit}, {settings.channel} alone"

    def described(self) -> dict[str, Any]:
        """Returns what the front end shows of the meaning of scores and targets, as plain data."""
        scores, rows = self.meaning.scores, self.classes.rows
        return {
            "kind": scores.kind,
            "assumed": scores.is_assumed,
            "said": scores.described(),
            "word": self.meaning.labels.word,
            "places": list(rows.places),
            "axis": rows.axis,
        }

    def on_model_changed(self) -> None:
        """Forgets what the model has answered."""
        self._is_outdated = True


def split_output(output: object) -> tuple[engine_output.Output, str | None]:
    """Returns which tensor is explained and which reading of it, of which `output` is one. Raises ArgumentTypeError."""
    if isinstance(output, str) and output in READINGS:
        return None, output
    return engine_output.check_output(output), None


def tensor_of(model: Callable[[Tensor], Any], select: engine_output.Output, inputs: Tensor) -> Tensor:
    """Returns the tensor (rows, ...) that is explained. Raises OutputError, and what the model raises."""
    try:
        tensor = engine_output.chosen(model(inputs), select)
    except OutputError as error:
        raise OutputError(_of_explorers(str(error), select)) from None
    # A number for a row alone, as `squeeze` leaves it.
    return tensor.reshape(1) if tensor.dim() == 0 else tensor


def _of_explorers(sentence: str, select: engine_output.Output) -> str:
    """Returns a sentence of the engine's about `output`, by the names that explorers have."""
    sentence = sentence.replace("forward_func", "model")
    # A reading that is none is taken for the name of a tensor.
    readings = f" Readings of its scores, which output may be too, are {', '.join(READINGS)}."
    return f"{sentence}{readings}" if isinstance(select, str) else sentence


def classify(
    model: Callable[[Tensor], object],
    inputs: Tensor,
    labels: object = None,
    select: engine_output.Output = None,
    scores: str | None = None,
    meaning: Meaning | None = None,
) -> Classes:
    """Asks the model about `inputs` (1, ...), once, or twice where its scores may be probabilities.

    Raises OutputError unless it returns a tensor with one row, TrainingModeError, and ArgumentTypeError or
    ArgumentValueError for labels and scores that do not fit.
    """
    if not callable(model):
        raise ArgumentTypeError(f"model must be a module or another callable, got {type(model).__name__}.")
    kind = check_kind(scores)
    refuse_training_mode((model, select))
    output = _asked(model, inputs, select)
    if output.shape[0] != 1:
        raise OutputError(
            f"model must return one row for one input, (1, ...), and for an input {tuple(inputs.shape)} it returned "
            f"{tuple(output.shape)}.{_remedy(output)}"
        )
    if meaning is None:
        meaning = _meaning(model, inputs, output, labels, select, kind)
    elif tuple(output.shape[1:]) != meaning.rows.shape:
        # The answer of a fully convolutional model follows the size of its input.
        rows = Rows(tuple(output.shape[1:]), meaning.rows.axis)
        if len(rows.shape) != len(meaning.rows.shape) or rows.count != meaning.rows.count:
            raise OutputError(
                f"model returned rows {meaning.rows.shape} for one input and {rows.shape} for another; explore inputs "
                f"of the same form."
            )
        meaning = Meaning(meaning.select, rows, meaning.scores, meaning.labels)
    return Classes(meaning, meaning.rows.by_place(output)[0])


def _remedy(output: Tensor) -> str:
    if output.dim() != 1:
        return ""
    return " If these are scores of classes, let it keep the batch dimension: lambda x: model(x).reshape(len(x), -1)."


def _meaning(
    model: Callable[[Tensor], object],
    inputs: Tensor,
    output: Tensor,
    labels: object,
    select: engine_output.Output,
    kind: str | None,
) -> Meaning:
    configs = configs_of(model)
    named = [count] if (count := count_of(labels)) > 1 else []
    rows = rows_of(output, inputs, [*named, *(config.count for config in configs)])
    config = next((one for one in configs if one.count == rows.count), None)
    said = None if config is None else config.scores
    if are_two_of_one(labels, rows.count):
        said = SIGMOID, "two labels for one output are those of a binary classifier"
    scores = scores_of(rows.by_place(output)[0], kind, said, lambda: _last_step(model, inputs, select))
    if labels is None and config is not None:
        labels = config.labels
    word = "output" if scores.kind == RAW or rows.count == 1 else "class"
    return Meaning(select, rows, scores, labels_of(labels, rows.count, word))


def _asked(model: Callable[[Tensor], object], inputs: Tensor, select: engine_output.Output) -> Tensor:
    guard = StateGuard(model, inputs.device)
    found: Tensor = in_turn(
        [lock_of(model)], lambda: guard.run(lambda: tensor_of(model, select, inputs), gradients=False)
    )
    return found


def _last_step(model: Callable[[Tensor], object], inputs: Tensor, select: engine_output.Output) -> str:
    """Returns what made the scores, by the autograd graph of one more pass; where that is of no help, by the module
    that comes last.
    """
    guard = StateGuard(model, inputs.device)

    def act() -> str:
        return step_of(tensor_of(model, select, inputs.detach().clone().requires_grad_()))

    if found := in_turn([lock_of(model)], lambda: guard.run(act, gradients=True)):
        return found
    return next((step for root in modules_of(model) if (step := _last_module(root))), "")


def _last_module(root: nn.Module) -> str:
    *_, last = root.modules()
    # A compiled module has its name alone.
    name = str(getattr(last, "original_name", type(last).__name__))
    return name if name in ("Sigmoid", "Softmax", "LogSoftmax") else ""


__all__ = ["MARGIN", "PROBABILITY", "Classes", "Classifier", "Meaning", "Output", "classify", "split_output"]
