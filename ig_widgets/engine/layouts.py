"""Where the examples of a batch lie in what a layer gives: a dimension, and how many rows of it each has."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Examples follow each other along `dim`, `count` rows each: sentences of documents, steps that come first.

    `is_whole`: all that is held is of the only example, which the model takes alone: a graph.
    """

    dim: int = 0
    count: int = 1
    is_whole: bool = False

    def by_example(self, held: Tensor) -> Tensor:
        """(batch, ...), of what the layer gives."""
        if self.is_whole:
            return held[None]
        if self.count > 1:
            held = held.unflatten(self.dim, (-1, self.count))
        return held.movedim(self.dim, 0) if self.dim else held

    def as_held(self, values: Tensor) -> Tensor:
        """What the layer gives, of (batch, ...)."""
        if self.is_whole:
            if len(values) > 1:
                raise ValueError(f"a layer that holds one example cannot hold {len(values)} rows; give chunk_size=1")
            return values[0]
        if self.dim:
            values = values.movedim(0, self.dim)
        return values.flatten(self.dim, self.dim + 1) if self.count > 1 else values
