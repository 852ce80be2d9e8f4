"""The points of a rule whose number grows until the map settles."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.norms import norms
from ig_widgets.engine.rules import Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.spectrum import tail

# How a rule grows: its first number of points; the next one, by a factor and a term, so that the points before it are
# among its own; and which part of the change is left as an error if that falls as 1/n, as it does where kinks are.
_GROWTH: dict[str, tuple[int, int, int, float]] = {
    "riemann_left": (8, 2, 0, 1.0),
    "riemann_right": (8, 2, 0, 1.0),
    "riemann_middle": (9, 3, 0, 0.5),
    "riemann_trapezoid": (9, 2, -1, 1.0),
    "gausslegendre": (8, 2, 0, 0.5),
    rules.FEJER: (7, 2, 1, 1.0),
}
# The share of what F says is missing by which a map is off at the least.
_MISSING = 0.5


class Points:
    """The points of a rule, whose number grows in rounds; at most `most` for each example.

    For Fejér's rule errors are estimated from the spectrum of the gradient along the path, for others from the last
    change.
    """

    def __init__(self, samples: Samples, method: str, *, multiply_by_inputs: bool, most: int) -> None:
        self.method = method
        self.samples = samples
        self._multiply = multiply_by_inputs
        self.most = most
        self._n = self._next = 0
        self._errors: Tensor | None = None
        self._expected: float | None = None
        self._sums: list[Tensor] = []

    @property
    def evaluations(self) -> int:
        """Points of each example so far."""
        return len(self.samples.alphas)

    @property
    def nodes(self) -> Nodes:
        """The points in use."""
        return rules.nodes(self.method, self._n)

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        return self._errors

    @property
    def unattributed(self) -> None:
        """Jumps are not looked for."""

    def where(self) -> None:
        """Not known."""

    def done(self, tol: float) -> bool:
        """Whether all is within `tol`."""
        return self._errors is not None and bool((self._errors <= tol).all())

    def rows(self, tol: float, cancel: threading.Event | None = None) -> Wanted:  # noqa: ARG002  (asks no model)
        """What to sample in the next round; nothing if no more can be afforded."""
        first, factor, term, _ = _GROWTH[self.method]
        if not self._n:
            # The trapezoid needs both ends.
            self._next = max(min(first, self.most), 2 if self.method == "riemann_trapezoid" else 1)
        else:
            self._next = factor * self._n + term
            if self.method == rules.FEJER and self._expected is not None and self._expected > tol:
                self._next = 3 * self._n + 2
                if self._missing() > self.most - self.evaluations:
                    self._next = 2 * self._n + 1
            if self._missing() > self.most - self.evaluations:
                return Wanted.nothing()
        missing, batch = self.samples.missing(rules.nodes(self.method, self._next).alphas), self.samples.path.batch
        return Wanted(np.tile(np.arange(batch), len(missing)), np.repeat(missing, batch))

    def look_at(self, block: Block) -> None:
        """Does nothing: errors are estimated at the end of a round."""

    def accept(self, rows: Wanted) -> None:  # noqa: ARG002  (what it is for is known)
        """All of `rows` has been sampled."""
        self._n = self._next
        trace = self.samples.trace(self.nodes, multiply_by_inputs=self._multiply)
        # What the rule collects beside what F changes, of how far F goes up and down.
        collected = (trace.density * trace.edges.diff(dim=1)).sum(1)
        defect = (collected - (self.samples.output - self.samples.baseline_output)).abs()
        variation = trace.outputs.diff(dim=1).abs().sum(1)
        missing = torch.where(variation > 0, _MISSING * defect / variation, (defect > 0).double())
        if self.method == rules.FEJER:
            if self._n >= _GROWTH[rules.FEJER][0]:
                alphas = self.nodes.alphas.tolist()
                every = range(self.samples.path.batch)
                parts = (self.samples.maps(example, alphas, multiply_by_inputs=self._multiply) for example in every)
                found = [tail(one, self._n) for one in parts]
                self._errors = torch.tensor([now for now, _ in found], dtype=torch.float64, device="cpu")
                self._expected = max(then for _, then in found)
        else:
            sums = list(trace._sum())
            if self._sums:
                change, size = norms([a - b for a, b in zip(sums, self._sums, strict=True)]), norms(sums)
                # Of a map of zeros that was another before nothing is settled: 1 stands for all of it.
                relative = torch.where(size > 0, change / size, (change > 0).double())
                self._errors = _GROWTH[self.method][3] * relative
            self._sums = sums
        if self._errors is not None:
            self._errors = torch.maximum(self._errors, missing)

    def _missing(self) -> int:
        return len(self.samples.missing(rules.nodes(self.method, self._next).alphas))
