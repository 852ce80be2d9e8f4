"""The search for a decision boundary: linearised steps to the nearest other class, then a bisection."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentValueError, Cancelled, NonFiniteError, NotDifferentiableError, OutputError
from ig_widgets.engine.model import Forward
from ig_widgets.engine.state_guard import StateGuard

if TYPE_CHECKING:
    from ig_widgets.baselines.boundary import boundary

# Halvings of a line: as many as its positions have digits in float64.
_HALVINGS = 60
# Shares of the way by which a point lies before the boundary, the farthest first.
_NEARER = (1e-2, 1e-4, 1e-6, 0.0)
Limits = tuple[Tensor | None, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """Searches the decision boundary by the settings of `asked`, from some rows of a batch.

    `batch`: how many examples there are in all, by which further arguments are known to follow them.
    """

    asked: boundary
    keeper: StateGuard
    batch: int
    cancel: threading.Event | None

    def __call__(self, part: slice, batch: Tensor, limits: Limits) -> tuple[Tensor, ...]:
        """The fields of a `BoundaryPoint` for those examples of the `batch`; `limits` are like it."""
        inputs, examples = batch[part].detach().clone(), torch.arange(len(batch))[part]
        limits = tuple(None if limit is None else limit[part].clone() for limit in limits)
        start = self._scores(inputs, examples)
        self._check_classes(start, examples)
        own = start.argmax(1)
        beyond, iterations = self._cross(inputs, examples, own, limits)
        point, outputs = self._bisect(inputs, beyond, examples, own, self._margin(start, own))
        other = self._rival_class(outputs, own)
        dims = tuple(range(1, inputs.dim()))
        wide = torch.promote_types(inputs.dtype, torch.float32)
        distance = (point.to(wide) - inputs.to(wide)).square().sum(dims).sqrt()
        lead = _at(start, own) - _at(start, other)
        return point, distance, outputs, torch.stack([own, other], 1), self._margin(outputs, own), lead, iterations

    # ------------------------------------------------------------ sides

    def _rival_class(self, scores: Tensor, own: Tensor) -> Tensor:
        """The class (rows,) that takes over: the target, or the highest but for that of the input."""
        if self.asked.target_class is not None:
            return torch.full_like(own, self.asked.target_class)
        return _without(scores, own).argmax(1)

    def _margin(self, scores: Tensor, own: Tensor) -> Tensor:
        """The lead of the class that takes over (rows,); negative on the side of the input."""
        other = self._rival_class(scores, own)
        rest = own if self.asked.target_class is None else _without(scores, other).argmax(1)
        return _at(scores, other) - _at(scores, rest)

    # ------------------------------------------------------------ to the other side

    def _cross(self, inputs: Tensor, examples: Tensor, own: Tensor, limits: Limits) -> tuple[Tensor, Tensor]:
        """A point (rows, ...) on the other side, within the limits, and how many steps (rows,) led there."""
        reached, iterations = inputs.clone(), torch.zeros_like(own)
        left = torch.arange(len(inputs), device=inputs.device)
        for _ in range(self.asked.max_iterations):
            ends = tuple(None if limit is None else limit[left] for limit in limits)
            step = self._step(reached[left], examples[left.cpu()], own[left], ends)
            iterations[left] += 1
            # From the input, as in the paper: the overshoot is not part of the next step.
            moved = reached[left] + step
            ahead = _within(inputs[left] + (1 + self.asked.overshoot) * (moved - inputs[left]), ends)
            scores = self._scores(ahead, examples[left.cpu()])
            over = self._margin(scores, own[left]) >= 0
            reached[left] = torch.where(_rows(over, moved), ahead, _within(moved, ends))
            if not over.all() and not step[~over].any():
                over = self._is_turned_back(inputs, reached, examples, own, left, over)
            left = left[~over]
            if not len(left):
                return reached, iterations
        towards = "" if self.asked.target_class is None else f" to class {self.asked.target_class}"
        raise ArgumentValueError(
            f"No decision boundary{towards} was found from example {int(examples[left[0].cpu()])} within "
            f"max_iterations={self.asked.max_iterations} (between low and high, if given); "
            f"allow more, or take another baseline."
        )

    def _is_turned_back(
        self, inputs: Tensor, reached: Tensor, examples: Tensor, own: Tensor, left: Tensor, over: Tensor
    ) -> Tensor:
        """Which of the rows `left` are over: steps of no length lead from the boundary, beyond which it turns back.

        Then a point on it, or a little before it, will do.
        """
        for nearer in _NEARER:
            point = inputs[left] + (1 - nearer) * (reached[left] - inputs[left])
            there = ~over & (self._margin(self._scores(point, examples[left.cpu()]), own[left]) >= 0)
            reached[left] = torch.where(_rows(there, point), point, reached[left])
            over = over | there
        return over

    def _step(self, points: Tensor, examples: Tensor, own: Tensor, limits: Limits) -> Tensor:
        """The shortest step (rows, ...) to where the linearised scores are even."""
        dims = tuple(range(1, points.dim()))

        def run() -> Tensor:
            points.requires_grad_()
            # A copy, for a model that writes into what it is given.
            scores = self._forward(points.clone(), examples)
            rivals = self._rivals(scores.detach(), own)
            wide = torch.promote_types(points.dtype, torch.float32)
            best = torch.full((len(points),), math.inf, device=points.device, dtype=wide)
            step = torch.zeros_like(points, requires_grad=False)
            for i, (behind, ahead) in enumerate(rivals):
                gap = _at(scores, behind) - _at(scores, ahead)
                gradient = _gradient(gap, points, retain=i < len(rivals) - 1)
                # Along what the limits leave free: a step against them would lead nowhere.
                free = _movable(points.detach(), -gradient, limits)
                slope = -gradient * free
                # Forward, as in the paper, also from a point that lies beyond where its overshoot does not.
                square, gap = slope.to(wide).square().sum(dims), gap.detach().to(wide).abs()
                distance = torch.where(square > 0, gap / square.sqrt(), math.inf)
                length = torch.where(square > 0, gap / square, 0.0)
                nearer = _rows(distance < best, step)
                step = torch.where(nearer, (slope.to(wide) * _rows(length, slope)).to(step.dtype), step)
                best = torch.minimum(distance, best)
            return step.detach()

        return self.keeper.run(run, gradients=True)

    def _rivals(self, scores: Tensor, own: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Pairs of classes (rows,): the one to leave and the one to come to."""
        if self.asked.target_class is not None:
            target = torch.full_like(own, self.asked.target_class)
            return [(_without(scores, target).argmax(1), target)]
        others = _without(scores, own).topk(min(self.asked.candidates, scores.shape[1] - 1), 1).indices
        return [(own, rival) for rival in others.unbind(1)]

    # ------------------------------------------------------------ back to the boundary

    def _bisect(
        self, inputs: Tensor, beyond: Tensor, examples: Tensor, own: Tensor, margin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The point (rows, ...) on the line from `inputs` to `beyond` at which the other class takes over, and F."""
        shape = [-1] + [1] * (inputs.dim() - 1)
        wide = torch.promote_types(inputs.dtype, torch.float32)
        difference = beyond.to(wide) - inputs.to(wide)
        low = torch.zeros(len(inputs), dtype=wide, device=inputs.device)
        high, point, outputs = torch.ones_like(low), beyond, self._scores(beyond, examples)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            wanted = self._margin(outputs, own) > self.asked.tol * margin.abs()
            wanted &= (middle > low) & (middle < high)
            if not wanted.any():
                break
            # All rows together: those that are done are asked once more and not moved.
            tried = (inputs.to(wide) + middle.view(shape) * difference).to(inputs.dtype)
            scores = self._scores(tried, examples)
            over = self._margin(scores, own) >= 0
            high, low = torch.where(wanted & over, middle, high), torch.where(wanted & ~over, middle, low)
            point = torch.where(_rows(wanted & over, point), tried, point)
            outputs = torch.where(_rows(wanted & over, outputs), scores, outputs)
        return point, outputs

    # ------------------------------------------------------------ the model

    @cached_property
    def _function(self) -> Forward:
        asked = self.asked
        return Forward(
            asked.forward_func,
            asked.additional_forward_args,
            self.batch,
            forward_kwargs=asked.forward_kwargs,
            output=asked.output,
        )

    def _scores(self, points: Tensor, examples: Tensor) -> Tensor:
        return self.keeper.run(lambda: self._forward(points.clone(), examples), gradients=False)

    def _forward(self, points: Tensor, examples: Tensor) -> Tensor:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("Cancelled while a decision boundary was searched for.", None)
        scores = self._function.tensor((points,), examples)
        if scores.dim() != 2 or scores.shape[0] != len(points) or scores.shape[1] < 2:
            raise OutputError(
                f"forward_func must return a row of at least two class scores for each input, it returned shape "
                f"{tuple(scores.shape)} for "
                f"{len(points)}; of a single score s make two, torch.stack([-s, s], 1)."
            )
        if not torch.isfinite(scores).all():
            raise NonFiniteError("forward_func's output is NaN or infinite on the way to the boundary.", math.nan)
        return scores

    def _check_classes(self, scores: Tensor, examples: Tensor) -> None:
        if self.asked.target_class is None:
            return
        if self.asked.target_class >= scores.shape[1]:
            raise ArgumentValueError(
                f"target_class must lie from 0 to {scores.shape[1] - 1}, the classes of forward_func, got "
                f"{self.asked.target_class}."
            )
        same = scores.argmax(1) == self.asked.target_class
        if same.any():
            raise ArgumentValueError(
                f"target_class is {self.asked.target_class}, and example {int(examples[int(same.nonzero()[0])])} is "
                f"taken for that already; give another class, or None for the nearest."
            )


def _gradient(gap: Tensor, points: Tensor, *, retain: bool) -> Tensor:
    if not gap.requires_grad:
        raise NotDifferentiableError(
            "forward_func's output does not depend on the inputs by operations with gradients."
        )
    (gradient,) = torch.autograd.grad(gap.sum(), points, retain_graph=retain, allow_unused=True)
    if gradient is None:
        raise NotDifferentiableError("forward_func's output does not depend on the inputs.")
    if not torch.isfinite(gradient).all():
        raise NonFiniteError("forward_func's gradient is NaN or infinite on the way to the boundary.", math.nan)
    return gradient


def _at(scores: Tensor, classes: Tensor) -> Tensor:
    return scores.gather(1, classes[:, None])[:, 0]


def _without(scores: Tensor, classes: Tensor) -> Tensor:
    return scores.scatter(1, classes[:, None], -math.inf)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    """(rows,) as (rows, 1, ...), to go with `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))


def _within(points: Tensor, limits: Limits) -> Tensor:
    low, high = limits
    points = points if low is None else torch.maximum(points, low)
    return points if high is None else torch.minimum(points, high)


def _movable(points: Tensor, direction: Tensor, limits: Limits) -> Tensor:
    """A mask of the values that can move in `direction` without leaving the limits."""
    low, high = limits
    free = torch.ones_like(points, dtype=torch.bool)
    if low is not None:
        free &= (points > low) | (direction > 0)
    if high is not None:
        free &= (points < high) | (direction < 0)
    return free
