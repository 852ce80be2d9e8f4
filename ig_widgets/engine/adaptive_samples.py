"""What the samples of an adaptive run tell: weights, errors, and what was not foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.adaptive_example import NOWHERE, AdaptiveExample
from ig_widgets.engine.batch_nodes import BatchNodes
from ig_widgets.engine.devices import widest
from ig_widgets.engine.intervals import beyond, lengths
from ig_widgets.engine.norms import unit_of
from ig_widgets.engine.patterson import SIZES, patterson
from ig_widgets.engine.profile import Assessment, Profile
from ig_widgets.engine.rule_errors import hidden, rule_errors, spread
from ig_widgets.engine.rules import ADAPTIVE, Floats, Integers, Nodes
from ig_widgets.engine.sample_index import Wanted
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.shared_samples import SharedSamples

# The first rule that tells its own error, by the one before it.
FIRST = 7

# Samples at random places: so many, or one for so many others.
CHECKS, CHECKS_OF = 2, 16

# In units of rounding: how far F may be off, the shortest stretch in which points of the path differ, and how far a
# map is off.
_OF_OUTPUT, _OF_PATH, _OF_MAP = 8, 32, 3

_SEED = 20170304

# As good as no length of the path.
_NO_LENGTH = 1e-30


def _sizes(tensors: Sequence[Tensor]) -> Floats:
    """The sum of the sizes of each example's values: (batch,)."""
    each = [t.detach().abs().reshape(len(t), -1).sum(1, dtype=widest(t.device)) for t in tensors]
    return torch.stack([t.cpu().double() for t in each]).sum(0).numpy()


class AdaptiveSamples:
    """Points of each example of a batch, added in rounds; at most `most` for each.

    `is_smooth`: no kinks lie on the path. Where they do, no rule of the whole path is better than its points.
    """

    def __init__(self, samples: Samples, *, multiply_by_inputs: bool, most: int, is_smooth: bool) -> None:
        self.method = ADAPTIVE
        self._is_smooth = is_smooth
        self.samples = samples
        self._multiply = multiply_by_inputs
        self.most = most
        self._chance = np.random.default_rng(_SEED)
        self._eps = torch.finfo(samples.path.inputs[0].dtype).eps
        # How far from zero each path begins, in its own length: near zero floating point numbers lie close together.
        path = samples.path
        begins, spans = (_sizes(t) for t in (path.baselines, path.differences(torch.arange(path.batch, device="cpu"))))
        self._far: Floats = np.minimum(begins / np.maximum(spans, 1e-300), 1.0)
        self._shared = SharedSamples.begin(torch.stack([samples.baseline_output, samples.output], 1).numpy())
        # Those of which more is known, or other things, and the alphas of this round.
        self._examples: dict[int, AdaptiveExample] = {}
        self._pending: dict[int, Floats] = {}
        self._misled = False

    @property
    def evaluations(self) -> int:
        """The most points that an example has so far."""
        return max(len(self._shared.alphas), *(len(own.alphas) for own in self._examples.values()), 0)

    @property
    def nodes(self) -> Nodes | BatchNodes:
        """The points in use, for all examples or each."""
        shared, apart = self._shared, self._examples
        rules = {own.rule if own.assessment is None else 0 for own in apart.values()}
        rules |= {shared.rule} if len(shared) else set()
        if len(rules) == 1 and (rule := rules.pop()):
            return patterson(rule)
        most = max([shared.rule, *(len(own.nodes.alphas) for own in apart.values())])
        batch = len(shared) + len(apart)
        alphas, edges, counts = np.empty((batch, most)), np.ones((batch, most + 1)), np.empty(batch, dtype=np.int64)
        each: list[tuple[Any, Nodes]] = [(shared.members, patterson(shared.rule))] if len(shared) else []
        for chosen, own in [*each, *((e, one.nodes) for e, one in apart.items())]:
            count = len(own.alphas)
            alphas[chosen, :count], alphas[chosen, count:] = own.alphas, own.alphas[-1]
            edges[chosen, : count + 1], counts[chosen] = own.edges, count
        return BatchNodes(alphas, edges, counts)

    @property
    def errors(self) -> Tensor | None:
        """The estimated relative L2 error of each example's map, (batch,) in float64; None as long as it is unknown."""
        # Of what cannot be put to the test nothing is known.
        if self.most < FIRST + CHECKS or any(own.error is None for own in self._examples.values()):
            return None
        errors = np.empty(len(self._shared) + len(self._examples))
        errors[self._shared.members] = self._shared.errors
        for e, own in self._examples.items():
            errors[e] = own.error
        return None if np.isnan(errors).any() else torch.from_numpy(errors)

    @property
    def unattributed(self) -> Tensor:
        """By how much F jumps on the path, (batch,) in float64."""
        sums = torch.zeros(len(self._shared) + len(self._examples), dtype=torch.float64, device="cpu")
        for e, own in self._examples.items():
            sums[e] = own.scale * sum(cut.size for cut in own.cuts if cut.is_jump)
        return sums

    def accept(self, rows: Wanted) -> None:  # noqa: ARG002  (what it is for is known)
        """All of `rows` has been sampled."""
        self._accept_shared()
        same: dict[tuple[int, int], list[int]] = {}
        for e, new in self._pending.items():
            own = self._examples[e]
            own.rule = own.following
            if len(new):
                same.setdefault((len(own.alphas), len(new)), []).append(e)
        for members in same.values():
            self._extend(members)
        by_rule: dict[tuple[int, bytes], list[AdaptiveExample]] = {}
        for e, new in self._pending.items():
            own = self._examples[e]
            if len(new) and own.rule >= FIRST and self._is_smooth:
                by_rule.setdefault((own.rule, own.alphas.tobytes()), []).append(own)
            elif len(new) and (not own.rule or own.rule >= FIRST):
                own.error = self._with_rounding(self._assess(own).relative)
        for group in by_rule.values():
            self._judge(group)

    def _accept_shared(self) -> None:
        """Take up the new samples of all that are shared, and judge them."""
        shared = self._shared
        if not len(shared) or not len(shared.pending):
            return
        shared.rule = shared.following
        new = shared.pending[None]
        if not len(shared.alphas):
            shared.units, shared.scales = self._units(shared.members, new, shared.ends)
            shared.ends = shared.ends / shared.scales[:, None]
        known = shared.members, shared.alphas[None], new, shared.products, shared.units, shared.scales
        every, shared.products, shared.outputs, shared.density = self._extended(*known)
        shared.alphas, shared.pending = every[0], NOWHERE
        if shared.rule < FIRST:
            return
        if self._is_smooth:
            judged = shared.rule, shared.alphas, shared.products, shared.outputs, shared.density, shared.ends
            shared.errors, shared.surprises = self._judged(*judged)
            return
        # Where kinks are no two paths are shared.
        for own in self._part(shared.members):
            own.error = self._with_rounding(self._assess(own).relative)

    def _part(self, members: Integers | Sequence[int]) -> list[AdaptiveExample]:
        """Know each of `members` by itself from now on."""
        shared = self._shared
        leave = np.isin(shared.members, members)
        for k in np.flatnonzero(leave).tolist():
            e, error = int(shared.members[k]), float(shared.errors[k])
            low, high = shared.ends[k].tolist()
            self._examples[e] = AdaptiveExample(
                low,
                high,
                alphas=shared.alphas,
                outputs=shared.outputs[k].copy(),
                density=shared.density[k].copy(),
                products=shared.products[k].copy(),
                unit=float(shared.units[k]),
                scale=float(shared.scales[k]),
                rule=shared.rule,
                following=shared.following,
                checks=shared.checks,
                surprise=float(shared.surprises[k]),
                error=None if np.isnan(error) else error,
            )
            self._pending[e] = shared.pending
        if leave.any():
            shared.keep(~leave)
        return [self._examples[int(e)] for e in members]

    def _extend(self, members: Sequence[int]) -> None:
        """Take up new samples of examples that have as many, and as many new ones."""
        own, chosen = [self._examples[e] for e in members], np.array(members)
        alphas, products = np.stack([one.alphas for one in own]), np.stack([one.products for one in own])
        units, scales = (np.array([getattr(one, name) for one in own]) for name in ("unit", "scale"))
        new = np.stack([self._pending[e] for e in members])
        found = self._extended(chosen, alphas, new, products, units, scales)
        for one, *each in zip(own, *found, strict=True):
            one.alphas, one.products, one.outputs, one.density = each

    def _extended(
        self, members: Integers, alphas: Floats, new: Floats, products: Floats, units: Floats, scales: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """With samples at `new` (members, k) beside those at `alphas` (members, n), or (1, ...) if all have the same.

        All alphas, ascending, the inner products of the maps in `units`, and F and its slope in `scales`.
        """
        every, count = np.concatenate([alphas, new], 1), alphas.shape[1]
        fresh = self.samples.products(members, new, every, multiply_by_inputs=self._multiply, units=units)
        outputs, density = (v / scales[:, None] for v in self.samples.scalars(members, every))
        whole = np.empty((len(members), every.shape[1], every.shape[1]))
        whole[:, :count, :count] = products
        whole[:, count:], whole[:, :, count:] = fresh, fresh.transpose(0, 2, 1)
        order = np.argsort(every, 1)
        every = np.take_along_axis(every, order, 1)
        if len(order) == 1:
            at = order[0]
            return every, whole[:, at[:, None], at], outputs[:, at], density[:, at]
        outputs, density = (np.take_along_axis(v, order, 1) for v in (outputs, density))
        return (
            every,
            np.take_along_axis(np.take_along_axis(whole, order[:, :, None], 1), order[:, None], 2),
            outputs,
            density,
        )

    def _units(self, members: Integers, alphas: Floats, ends: Floats) -> tuple[Floats, Floats]:
        """Powers of two near the largest values of maps and of F, by which squares neither overflow nor vanish."""
        units = self.samples.units(members, alphas, self._multiply)
        outputs, density = self.samples.scalars(members, alphas)
        largest = np.abs(np.concatenate([outputs, density, ends], 1)).max(1)
        return units, unit_of(torch.from_numpy(largest)).numpy()

    def _judge(self, members: Sequence[AdaptiveExample]) -> None:
        """The errors of the rule of the whole path, of examples that all have the same samples."""
        products, outputs, density = (
            np.stack([getattr(one, name) for one in members]) for name in ("products", "outputs", "density")
        )
        ends = np.array([[one.low, one.high] for one in members])
        errors, surprises = self._judged(members[0].rule, members[0].alphas, products, outputs, density, ends)
        for one, error, surprise in zip(members, errors.tolist(), surprises.tolist(), strict=True):
            one.error, one.surprise, one.assessment = error, surprise, None

    def _judged(
        self, size: int, alphas: Floats, products: Floats, outputs: Floats, density: Floats, ends: Floats
    ) -> tuple[Floats, Floats]:
        """The errors of the rule of `size` points, and what samples beside it show to be unforeseen: (members,)."""
        at = SIZES.index(size)
        own, before, first = (spread(n, alphas) for n in (size, SIZES[at - 1], SIZES[at - 2]))
        rises = np.diff(np.concatenate([ends[:, :1], outputs, ends[:, 1:]], 1))
        rounding = self._rounding(outputs)
        whole = lengths(own, products)
        errors = rule_errors(
            whole,
            lengths(own - before, products),
            lengths(before - first, products),
            beyond(rises.sum(1) - density @ own, rounding),
            beyond(rises.sum(1) - density @ before, rounding),
            np.abs(rises).sum(1),
        )
        surprises = hidden(size, alphas, products) / np.where(whole > 0, whole, 1)
        return np.where(errors > 0, np.hypot(errors, _OF_MAP * self._eps), errors), surprises

    def _assess(self, own: AdaptiveExample) -> Assessment:
        """The error of all samples of an example."""
        rounding = float(self._rounding(own.outputs[None])[0])
        ends = own.low, own.high
        cuts = tuple(own.cuts)
        nearest = float(self._eps)
        known = (own.alphas, own.outputs, own.density, own.products, ends, rounding, cuts, self._is_smooth, nearest)
        profile = Profile(*known)
        own.assessment = profile.assess()
        # What no sample can reach may be anything.
        unreached = sum(abs(cut.size) for cut in own.cuts if not cut.is_jump)
        own.surprise = unreached / max(float(np.abs(own.assessment.rises).sum()), unreached) if unreached else 0.0
        return own.assessment

    def _rounding(self, outputs: Floats) -> Floats:
        """How far F (members, samples) may be off."""
        far: Floats = _OF_OUTPUT * self._eps * np.abs(outputs).max(1)
        return far

    def _with_rounding(self, error: float) -> float:
        return float(np.hypot(error, _OF_MAP * self._eps)) if error else 0.0

    def _shortest(self, examples: Integers | int, alphas: Floats) -> Floats:
        """The shortest stretches of the paths of `examples` before `alphas` in which points differ."""
        shortest: Floats = np.maximum(_OF_PATH * self._eps * (alphas + self._far[examples]), _NO_LENGTH)
        return shortest
