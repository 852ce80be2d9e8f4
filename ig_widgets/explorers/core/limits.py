"""Limits of what a pane may keep: of each sample a value for each feature of the input."""

from __future__ import annotations

import math

from ig_widgets.engine.errors import ArgumentValueError

# Steps x features, of one pane on one path: 2 GB in float32.
MOST_VALUES = 500_000_000


def most_steps(shape: tuple[int, ...]) -> int:
    """Returns how many samples of an input of that shape fit."""
    return MOST_VALUES // max(math.prod(shape), 1)


def check_size(n_steps: int, shape: tuple[int, ...]) -> None:
    """Raises ArgumentValueError where so many samples of an input of `shape` are more than MOST_VALUES values."""
    most = most_steps(shape)
    if n_steps > most:
        size = " x ".join(map(str, shape))
        fit = f"n_steps of at most {most}" if most else "no number of steps"
        raise ArgumentValueError(
            f"n_steps = {n_steps} of an input of {size} are {n_steps * math.prod(shape):,} values to keep, "
            f"{MOST_VALUES:,} are the most; {fit} would fit, or a smaller input."
        )
