"""Scores: what the numbers of an output row mean, and which readings of them that allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.texts import plain

# What scores can be said to be: of classes of which one is right, of labels of which any may be, or mere numbers.
SOFTMAX, SIGMOID, RAW = "softmax", "sigmoid", "raw"
KINDS = (SOFTMAX, SIGMOID, RAW)
LOGIT, PROBABILITY, LOG_PROBABILITY, MARGIN, VALUE = "logit", "probability", "log-probability", "margin", "value"
READINGS = (LOGIT, PROBABILITY, LOG_PROBABILITY, MARGIN, VALUE)
# By how much probabilities may miss a sum of 1; half precision rounds more.
_OFF, _OFF_IN_HALF = 1e-3, 2e-2
# Steps of an autograd graph that move numbers and leave their range as it is.
_MOVES = (
    "Alias", "AsStrided", "Cat", "Clone", "Contiguous", "Expand", "Flatten", "Flip", "Index", "Permute", "Reshape",
    "Select", "Slice", "Split", "Squeeze", "Stack", "ToCopy", "Transpose", "TBackward", "Unbind", "Unsafe",
    "Unsqueeze", "Upsample", "View",
)  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """What the scores of a model mean.

    `kind`: softmax, sigmoid or raw. `unit`: what the model returns, logit, probability, log-probability or value.
    `is_assumed`: nothing tells, so that what is usual was taken. `reason`: how it is known, in words.
    """

    kind: str
    unit: str
    reason: str
    is_assumed: bool = False

    def readings(self, count: int) -> list[str]:
        """Returns the readings on offer of `count` scores, the model's own first. Logits cannot be told from
        probabilities.
        """
        if self.kind == RAW:
            return [self.unit]
        if self.kind == SIGMOID:
            return [self.unit, PROBABILITY] if self.unit == LOGIT else [self.unit]
        # A class leads only where there is another.
        others = (PROBABILITY, LOG_PROBABILITY, MARGIN) if count > 1 else (PROBABILITY, LOG_PROBABILITY)
        return [self.unit, *(reading for reading in others if reading != self.unit)]

    def read(self, scores: Tensor, reading: str, second: int = 0) -> Tensor:
        """Returns a reading of scores (rows, classes), of the same shape; a margin is that over class `second`."""
        if reading == PROBABILITY:
            return self.shares(scores)
        if reading == LOG_PROBABILITY and self.unit != LOG_PROBABILITY:
            return scores.log() if self.unit == PROBABILITY else scores.log_softmax(-1)
        if reading == MARGIN:
            return scores - scores[..., second : second + 1]
        return scores

    def shares(self, scores: Tensor) -> Tensor:
        """Returns the probabilities of scores (..., classes); raw scores have none and are returned as they are."""
        if self.kind == RAW or self.unit == PROBABILITY:
            return scores
        if self.unit == LOG_PROBABILITY:
            return scores.exp()
        return scores.sigmoid() if self.kind == SIGMOID else scores.softmax(-1)

    def described(self) -> str:
        """Returns a sentence: what was taken, why, and what changes it."""
        remedy = " If they are something else, give scores= 'softmax', 'sigmoid' or 'raw'." if self.is_assumed else ""
        return f"{_WORDS[self.kind]}: {self.reason}.{remedy}"


_WORDS = {
    SOFTMAX: "Percentages are of classes of which one is right (soft-max)",
    SIGMOID: "Percentages are of each label by itself (sigmoid)",
    RAW: "Scores are numbers, of which there is no percentage",
}


def check_kind(scores: object) -> str | None:
    """Returns `scores` as a user gives them, None where they are to be found out. Raises ArgumentTypeError,
    ArgumentValueError.
    """
    if scores is None:
        return None
    listed = "'softmax' (one class is right), 'sigmoid' (each label by itself) or 'raw' (numbers), or None"
    if not isinstance(scores, str):
        raise ArgumentTypeError(f"scores must be {listed}, got {type(scores).__name__}.")
    if scores not in KINDS:
        raise ArgumentValueError(f"scores must be {listed}, got {plain(scores, 40)!r}.")
    return scores


def scores_of(scores: Tensor, asked: str | None, said: tuple[str, str] | None, last_step: Callable[[], str]) -> Scores:
    """Returns what scores (..., classes) mean.

    `asked`: by the user, a kind or None. `said`: a kind that the model's configuration or its labels tell, with how.
    `last_step`: returns what made the scores, Softmax, LogSoftmax, Sigmoid or ""; called where values leave a choice.
    Raises ArgumentValueError for a kind that cannot be.
    """
    count = scores.shape[-1]
    if asked == SOFTMAX and count == 1:
        raise ArgumentValueError(
            "scores='softmax' is for two classes or more, and the model has one output, of which the soft-max is "
            "always 1; give 'sigmoid' if it is a logit, 'raw' if it is a number."
        )
    values = scores.detach().double()
    made = last_step() if bool(((values >= 0) & (values <= 1)).all()) else ""
    if asked is not None:
        return Scores(asked, _unit(asked, values, scores.dtype, made), f"scores={asked!r} was given")
    if said is not None and said[0] in KINDS:
        return Scores(said[0], _unit(said[0], values, scores.dtype, made), said[1])
    if made == "Sigmoid":
        return Scores(SIGMOID, PROBABILITY, "the model ends with a sigmoid")
    if count > 1 and (made == "Softmax" or is_simplex(values, scores.dtype)):
        return Scores(SOFTMAX, PROBABILITY, "the model's scores are at least 0 and sum to 1")
    if count > 1 and is_simplex(values.exp(), scores.dtype):
        return Scores(SOFTMAX, LOG_PROBABILITY, "the exponentials of the model's scores sum to 1")
    if count == 1:
        reason = "nothing tells what the one output means; scores='sigmoid' reads it as a logit"
        return Scores(RAW, VALUE, reason, is_assumed=True)
    return Scores(SOFTMAX, LOGIT, "nothing tells what the scores are, and most classifiers are so", is_assumed=True)


def is_simplex(values: Tensor, dtype: torch.dtype) -> bool:
    """Whether values (..., classes) are at least 0 and sum to 1, as far as `dtype` tells."""
    off = _OFF_IN_HALF if torch.finfo(dtype).bits == 16 else _OFF
    return bool((values >= 0).all()) and bool(((values.sum(-1) - 1).abs() < off).all())


def _unit(kind: str, values: Tensor, dtype: torch.dtype, made: str) -> str:
    if kind == RAW:
        return VALUE
    if kind == SIGMOID:
        # A number between 0 and 1 may be a logit as well.
        return PROBABILITY if made in ("Sigmoid", "Softmax") else LOGIT
    if is_simplex(values, dtype):
        return PROBABILITY
    return LOG_PROBABILITY if is_simplex(values.exp(), dtype) else LOGIT


def step_of(scores: Tensor) -> str:
    """Returns the step of the autograd graph that made scores, Softmax, LogSoftmax or Sigmoid; "" for any other."""
    return _step(scores.grad_fn, 64)


def _step(node: Any, most: int) -> str:
    if node is None or most == 0:
        return ""
    name = str(node.name())
    for step in ("LogSoftmax", "Softmax", "Sigmoid"):
        if name.startswith((step, f"Safe{step}")):
            return step
    if not name.startswith(_MOVES):
        return ""
    found = {_step(before, most - 1) for before, _ in node.next_functions if before is not None}
    return found.pop() if len(found) == 1 else ""
