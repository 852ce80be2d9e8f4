"""What is known of one example whose samples are its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ig_widgets.engine.patterson import patterson
from ig_widgets.engine.profile import Assessment, Cut
from ig_widgets.engine.rules import Floats, Nodes

# Samples crowd at an end where the first is nearer to it.
CROWDED = 2e-3

NOWHERE: Floats = np.zeros(0)

_NO_PRODUCTS: Floats = np.zeros((0, 0))


@dataclass
class AdaptiveExample:
    """What is known of one example.

    `rule`: points of the rule of the whole path in use; 0: all samples are. `following`: of the rule being sampled.

    `products` are those of its maps in `unit`; `low`, `high` (F at the baseline and the input), `outputs` and `density`
    are in `scale`. `checks`: samples at
    random places since others were added; `surprise`: what share of the map these showed to be unforeseen.
    """

    low: float
    high: float
    alphas: Floats = field(default_factory=lambda: NOWHERE)
    outputs: Floats = field(default_factory=lambda: NOWHERE)
    density: Floats = field(default_factory=lambda: NOWHERE)
    products: Floats = field(default_factory=lambda: _NO_PRODUCTS)
    unit: float = 1.0
    scale: float = 1.0
    rule: int = 0
    following: int = 0
    cuts: list[Cut] = field(default_factory=list)
    searches: int = 0
    looks: int = 0
    checks: int = 0
    surprise: float = 0.0
    error: float | None = None
    assessment: Assessment | None = None

    def is_settled(self, tol: float) -> bool:
        """Whether the error is within `tol`, and nothing unforeseen was seen that is not."""
        return self.error is not None and self.error <= tol and self.surprise <= tol

    def is_hopeless(self, tol: float) -> bool:
        """Whether what is left of the error lies where no sample can reach."""
        return not self.rule and self.error is not None and self.error <= tol < self.surprise

    @property
    def is_crowded(self) -> bool:
        """Whether samples crowd at an end of the path."""
        return bool(min(self.alphas[0], 1 - self.alphas[-1]) < CROWDED)

    @property
    def nodes(self) -> Nodes:
        """The samples in use."""
        if self.assessment is None:
            return patterson(self.rule)
        edges = np.concatenate([[0.0], np.cumsum(self.assessment.weights)])
        edges[-1] = 1.0
        return Nodes(self.alphas, self.assessment.weights, edges)
