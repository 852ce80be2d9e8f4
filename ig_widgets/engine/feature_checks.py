"""Whether groups of features add up to what they do to F, of examples that seem settled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.adaptive_samples import AdaptiveSamples
from ig_widgets.engine.corners import MOST_FEATURES, corner_points, doubted_places
from ig_widgets.engine.feature_groups import Numbering, Walk
from ig_widgets.engine.rules import Floats, Integers
from ig_widgets.engine.sample_search import FIRST_LOOKED_AT, LOOKS


class FeatureChecks(AdaptiveSamples):
    """Looks beside the path by forward passes, for groups of the values that maps have."""

    def _doubted_places(
        self, members: Sequence[int], tol: float, cancel: threading.Event | None
    ) -> dict[int, list[float]]:
        """Where groups of features do not add up to what they do to F, of examples that seem settled."""
        differ = self._differing
        if not 1 < len(differ) <= MOST_FEATURES:
            return {}
        able = [e for e in members if e not in self._examples or self._examples[e].looks < LOOKS]
        parts = [able] if self._misled else [able[:FIRST_LOOKED_AT], able[FIRST_LOOKED_AT:]]
        found: dict[int, list[float]] = {}
        for part in parts:
            if part and (part is parts[0] or self._misled):
                self._part(part)
                found |= self._look_beside(part, tol, cancel)
                self._misled |= bool(found)
        return found

    def _look_beside(
        self, members: Sequence[int], tol: float, cancel: threading.Event | None
    ) -> dict[int, list[float]]:
        path = self.samples.path

        def ask(examples: Integers, own: Floats, others: Floats, chosen: Tensor) -> Floats:
            of, at, beside = (torch.from_numpy(values) for values in (examples, own, others))

            def points(part: slice) -> tuple[Tensor, ...]:
                return corner_points(path, of[part], at[part], beside[part], self._features(chosen[part]))

            values = self.samples.sampler.outputs(points, of, at, cancel, first=None)
            scaled: Floats = values.numpy() / np.array([self._examples[e].scale for e in examples.tolist()])
            return scaled

        walks = [self._walk(e) for e in members]
        for e in members:
            self._examples[e].looks += 1
        return doubted_places(walks, self._numbering, tol, ask)

    def _walk(self, example: int) -> Walk:
        own = self._examples[example]
        parts = list(self.samples.maps(example, own.alphas.tolist(), multiply_by_inputs=True))
        maps = torch.cat(parts, 1).cpu().double().numpy()[:, self._differing] / own.scale
        nodes = own.nodes
        weights = np.zeros(len(own.alphas))
        weights[np.searchsorted(own.alphas, nodes.alphas)] = nodes.weights
        return Walk(
            example,
            own.alphas,
            own.outputs,
            (own.low, own.high),
            maps,
            float(np.linalg.norm(weights @ maps)),
            own.rule if own.assessment is None else 0,
            float(self._rounding(own.outputs[None])[0]),
            8 * float(self._shortest(example, np.ones(1))[0]),
            tuple((cut.low, cut.high) for cut in own.cuts),
        )

    @cached_property
    def _numbering(self) -> Numbering:
        return Numbering(self._differing, self.samples.values, self._chance)

    def _features(self, chosen: Tensor) -> Tensor:
        """Which features (rows, features) belong to `chosen` values of maps (rows, values): with a reduction more."""
        reduction = self.samples.sampler.reduction
        if reduction is None or reduction.members is None:
            return chosen
        return chosen[:, reduction.members.clamp(min=0)] & (reduction.members >= 0)

    @cached_property
    def _differing(self) -> Integers:
        """Which values of maps are of features that differ between any baseline and its input.

        None where these are more than can be looked at, or a reduction is no sum of features.
        """
        path, reduction = self.samples.path, self.samples.sampler.reduction
        each = path.differences(torch.arange(path.batch, device="cpu"))
        differ: Integers = np.flatnonzero(torch.cat([(t != 0).reshape(len(t), -1).any(0) for t in each]).cpu().numpy())
        if reduction is None:
            return differ
        if len(differ) > MOST_FEATURES or reduction.members is None:
            return differ[:0]
        members: Integers = np.unique(reduction.members.numpy()[differ])
        return members[members >= 0]
