"""Nearest point on the decision boundary as baseline: attributes to what decides between two classes.

The search is that of DeepFool (Moosavi-Dezfooli, Fawzi, Frossard: DeepFool: a simple and accurate method to fool deep
neural networks, 2016, section 3), and then a bisection, so that the point lies on the boundary and not beyond it.
"""

from __future__ import annotations

import math
import threading
from dataclasses import KW_ONLY, dataclass, field
from numbers import Integral, Real
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ig_widgets.baselines.base import Baseline, check_positive
from ig_widgets.baselines.deepfool import Search
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, check_chunk_size, refuse_training_mode
from ig_widgets.engine.modes import outside_inference_mode
from ig_widgets.engine.output import Output
from ig_widgets.engine.progress import Progress
from ig_widgets.engine.state_guard import StateGuard

# Rows in the model at a time unless the caller says otherwise.
_ROWS = 16


@dataclass(frozen=True, eq=False)
class BoundaryPoint:
    """Where the model's answer changes, for each example of a batch.

    `point`: like the inputs, on the far side by a hair, or where both classes are even. `distance` (batch,): its L2
    distance from the input, an upper bound of that to the boundary (of a linear classifier without low and high, and no
    more classes than candidates: exact). `outputs` (batch, classes): the scores there. `classes` (batch, 2): the class
    at the input, and that which takes over. `margin` (batch,): how far, at the point, the score of the second lies
    above the highest other; in the units of the scores, and 0 on the boundary itself. `input_margin` (batch,): at the
    input, how far the highest score lies above that of the class which takes over. `iterations` (batch,): linearised
    steps.
    """

    point: Tensor = field(repr=False)
    distance: Tensor
    outputs: Tensor = field(repr=False)
    classes: Tensor
    margin: Tensor
    input_margin: Tensor
    iterations: Tensor = field(repr=False)

    def __repr__(self) -> str:
        found = zip(self.classes.tolist(), self.distance.tolist(), self.margin.tolist(), strict=True)
        listed = "; ".join(f"{a} | {b} at {distance:.3g}, margin {margin:.2g}" for (a, b), distance, margin in found)
        return f"BoundaryPoint({listed})"


@dataclass(frozen=True, eq=False)
class boundary(Baseline):  # noqa: N801
    """The nearest point, in L2, at which `forward_func` gives another answer, as far as a search by gradients finds it.

    Each step goes to where the classes, linearised at the point reached, would be even: to the nearest other class.
    Once the answer has changed, the line from the input to there is bisected. Of what both ends of that line share
    nothing is asked: the map tells what decides for the class of the input rather than the next.

    Args:
        forward_func: a module or callable, (rows, ...) to one row of class scores (logits serve better than
            probabilities, whose gradients vanish). It is left as it was found.
        target_class: the class that is to take over; None: whichever is nearest.
        low, high: the range that an input may have, a number or one for each channel (dimension 1), in the units of the
            model's input; None: any. The point is kept in it by projection.
        max_iterations: linearised steps. max_distance: how far the point may be. candidates: to how many of the
            likeliest other classes the distance is compared in each step, one backward pass each.
        overshoot: the share by which a step goes too far, to arrive on the other side.
        tol: the margin at the point, as a share of that at the input, at which the bisection ends.
        additional_forward_args, forward_kwargs, output: as in `attribute`. chunk_size: rows in the model at a time.

    Raises ArgumentTypeError, ArgumentValueError for arguments that cannot work.
    """

    forward_func: ForwardFunc
    _: KW_ONLY
    target_class: int | None = None
    low: float | tuple[float, ...] | None = None
    high: float | tuple[float, ...] | None = None
    max_iterations: int = 50
    max_distance: float = math.inf
    candidates: int = 10
    overshoot: float = 0.02
    tol: float = 1e-5
    additional_forward_args: object = None
    forward_kwargs: ForwardKwargs = None
    output: Output = None
    chunk_size: int | None = None

    space: ClassVar[Literal["pictures", "inputs", "any"]] = "inputs"

    def __post_init__(self) -> None:
        if not callable(self.forward_func):
            raise ArgumentTypeError(
                f"forward_func must be a module or another callable, got {type(self.forward_func).__name__}."
            )
        for name in ("max_iterations", "candidates"):
            _check_count(name, getattr(self, name), 1)
        if self.target_class is not None:
            _check_count("target_class", self.target_class, 0)
        for name in ("overshoot", "tol"):
            check_positive(name, getattr(self, name), "")
        if self.max_distance != math.inf:
            check_positive("max_distance", self.max_distance, "")
        for name in ("low", "high"):
            _check_ends(name, getattr(self, name))
        check_chunk_size(self.chunk_size)

    def __repr__(self) -> str:
        towards = "" if self.target_class is None else f", towards class {self.target_class}"
        return f"boundary({type(self.forward_func).__name__}{towards})"

    def __call__(self, inputs: Tensor) -> Tensor:
        """The point for each of `inputs` (batch, ...); as `find`."""
        return self.find(inputs).point

    def describe(self) -> str:
        """The boundary, and towards which class."""
        return "nearest boundary" if self.target_class is None else f"nearest boundary to class {self.target_class}"

    def find(
        self, inputs: Tensor, *, on_progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> BoundaryPoint:
        """Search from each of `inputs` (batch, ...), of a floating dtype, on any device.

        `on_progress` is called with (done, total) examples; when `cancel` is set the search stops within an iteration.

        Raises:
            ArgumentTypeError, ArgumentValueError: inputs that cannot be, that lie outside of low and high or are of the
                target class already; no boundary within max_iterations or max_distance.
            OutputError, NonFiniteError, TrainingModeError, OutOfMemoryError, and what the model raises: as `attribute`.
            Cancelled: `cancel` was set.
        """
        _check_inputs(inputs)
        refuse_training_mode(self.forward_func)
        limits = tuple(_limits(name, getattr(self, name), inputs) for name in ("low", "high"))
        count = len(inputs)
        rows = ChunkSize(check_chunk_size(self.chunk_size) or _ROWS, inputs.device, inputs[0].nbytes)
        parts = []

        def run() -> None:
            search = Search(self, StateGuard(self.forward_func, inputs.device), count, cancel)
            for part, found, _ in rows.run(count, lambda part: search(part, inputs, limits)):
                parts.append(found)
                if on_progress is not None:
                    on_progress(part.stop, count)

        outside_inference_mode(run)
        result = BoundaryPoint(*(torch.cat(column) for column in zip(*parts, strict=True)))
        self._check_distance(result)
        return result

    def _check_distance(self, found: BoundaryPoint) -> None:
        for example, distance in enumerate(found.distance.tolist()):
            if distance > self.max_distance:
                raise ArgumentValueError(
                    f"The boundary was found at a distance of {distance:.4g} from example {example}, beyond "
                    f"max_distance={self.max_distance:g}; allow more, or take another baseline."
                )


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{name} must be an integer, got {value!r}.")
    if value < least:
        raise ArgumentValueError(f"{name} must be at least {least}, got {value}.")


def _check_ends(name: str, value: object) -> None:
    levels = value if isinstance(value, tuple) else (value,)
    if value is None:
        return
    if not levels or any(isinstance(level, bool) or not isinstance(level, Real) for level in levels):
        raise ArgumentTypeError(f"{name} must be None, a number, or a tuple of one for each channel, got {value!r}.")


def _check_inputs(inputs: object) -> None:
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        seen = str(inputs.dtype) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise ArgumentTypeError(f"inputs must be one floating tensor (batch, ...), got {seen}.")
    if inputs.dim() < 2 or not inputs.numel():
        raise ArgumentValueError(f"inputs must be (batch, ...), at least one example, got {tuple(inputs.shape)}.")
    if not torch.isfinite(inputs).all():
        raise ArgumentValueError("inputs holds NaN or infinite values; nothing is near to them.")


def _limits(name: str, ends: float | tuple[float, ...] | None, inputs: Tensor) -> Tensor | None:
    """Like the inputs. Raises ArgumentValueError where it does not fit, or the inputs lie beyond it."""
    if ends is None:
        return None
    levels = torch.as_tensor(ends, dtype=inputs.dtype, device=inputs.device).view(-1, *[1] * (inputs.dim() - 2))
    if len(levels) not in (1, inputs.shape[1]):
        raise ArgumentValueError(
            f"{name} has {len(levels)} levels, the inputs {inputs.shape[1]} channels; give one, or one for each."
        )
    beyond = float(((levels - inputs) if name == "low" else (inputs - levels)).max())
    if not beyond <= 1e-3 * max(1.0, float(inputs.abs().max())):
        raise ArgumentValueError(
            f"inputs lie beyond {name}={ends} by {beyond:.3g}; give the range of the model's input, as preprocessed."
        )
    return levels.expand(inputs.shape)
