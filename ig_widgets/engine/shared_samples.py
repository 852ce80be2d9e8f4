"""State of the examples of a batch that have the same samples, as arrays; in a large smooth batch most are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ig_widgets.engine.rules import Floats, Integers


@dataclass
class SharedSamples:
    """`members` (m,), ascending, with samples at ascending `alphas` (n,); in use are those of a rule of `rule` points.

    `following`: of the rule being sampled; `pending`: the alphas of this round; `checks`: samples at random places.
    By example: F at both ends (m, 2), `outputs` and `density` (m, n) in `scales` (m,); the inner `products` (m, n, n)
    of maps in `units` (m,); `errors`, NaN as long as they are unknown, and `surprises` (m,).
    """

    members: Integers
    alphas: Floats
    pending: Floats
    rule: int
    following: int
    checks: int
    ends: Floats
    outputs: Floats
    density: Floats
    products: Floats
    units: Floats
    scales: Floats
    errors: Floats
    surprises: Floats

    @staticmethod
    def begin(ends: Floats) -> SharedSamples:
        """All of a batch, of which nothing is known but F at both `ends` (batch, 2)."""
        batch = len(ends)
        none, ones = np.zeros((batch, 0)), np.ones(batch)
        return SharedSamples(
            members=np.arange(batch),
            alphas=none[0],
            pending=none[0],
            rule=0,
            following=0,
            checks=0,
            ends=ends,
            outputs=none,
            density=none,
            products=none[:, :, None],
            units=ones,
            scales=ones,
            errors=np.full(batch, np.nan),
            surprises=np.zeros(batch),
        )

    def __len__(self) -> int:
        return len(self.members)

    def is_settled(self, tol: float) -> Any:
        """Whose error is within `tol`, and of which nothing unforeseen was seen that is not: (m,) of booleans."""
        return (self.errors <= tol) & (self.surprises <= tol)

    def keep(self, chosen: Any) -> None:
        """Keep those that are `chosen` (m,) alone."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name not in ("alphas", "pending", "rule", "following", "checks"):
                setattr(self, each.name, value[chosen])
