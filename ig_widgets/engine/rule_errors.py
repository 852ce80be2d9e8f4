"""Estimates the error of a rule of the whole path: by the rules before it, by F, and by samples beside it."""

from __future__ import annotations

import numpy as np

from ig_widgets.engine.intervals import lengths
from ig_widgets.engine.patterson import patterson, values_at
from ig_widgets.engine.rules import Floats

# Fitted to smooth models (benchmarks/zoo.py), a little on the safe side: logarithms of a constant, both changes of the
# map, and both defects.
_FIT = (-0.10, 1.28, -0.44, 0.53, -0.33)
_FLOOR = 0.1
_UNUSUAL = 5.0
_CAUTION = 0.5
# What of the room between two points of a rule a sample there shows to hide: as of a bump of about that width.
_HIDDEN = 0.3


def rule_errors(
    size: Floats, change: Floats, change_before: Floats, defect: Floats, defect_before: Floats, variation: Floats
) -> Floats:
    """Estimates of the relative L2 errors of a rule whose map is `size` long, by `change` from that of the one before.

    `change_before`: how much that one changed. `defect`: what F changes beyond what the rule collects, and beyond the
    rule before; `variation`: by how much F goes up and down. All are (examples,). By as much as F shows that a rule is
    better than another, the map is better too.
    """
    settled = (change == 0) & (defect == 0)
    tiny = np.finfo(np.float64).tiny
    v = change / np.maximum(size, tiny)
    s = np.maximum(defect, _FLOOR * v * defect_before) / np.maximum(variation, tiny)
    before = np.maximum(defect_before / np.maximum(variation, tiny), s)
    v_before = np.maximum(change_before / np.maximum(size, tiny), v)
    logs = np.log10(np.maximum([v, v_before, s, before], 1e-300))
    estimate = 10 ** np.clip(_FIT[0] + np.dot(_FIT[1:], logs), -300, 300)
    # Where the map changes and F hardly does, F tells nothing of the map.
    tells = np.clip(_UNUSUAL * np.abs(before) / np.maximum(v, tiny), 0, 1)
    estimate = estimate**tells * np.maximum(v, estimate) ** (1 - tells)
    # It is no better than how the map settles from rule to rule.
    settling = np.clip(change / np.maximum(change_before, tiny), 0, 1)
    estimate = np.maximum(estimate, _CAUTION * v * settling**1.5)
    # What the samples do not show at all is no smaller than what F says is missing.
    estimate = np.maximum(estimate, defect / np.maximum(2 * variation, tiny))
    estimate = np.where(size > 0, estimate, 1.0)
    return np.where(settled, 0.0, estimate)


def hidden(size: int, alphas: Floats, products: Floats) -> Floats:
    """How much of each map (members,) samples beside those of the rule show to be unforeseen."""
    at = patterson(size).alphas
    checks = np.setdiff1d(alphas, at)
    if not len(checks):
        return np.zeros(len(products))
    weights = np.zeros((len(checks), len(alphas)))
    weights[:, np.searchsorted(alphas, at)] = -values_at(size, tuple(checks.tolist()))
    weights[np.arange(len(checks)), np.searchsorted(alphas, checks)] = 1
    edges = np.concatenate([[0.0], at, [1.0]])
    place = np.searchsorted(edges, checks)
    room = edges[place] - edges[place - 1]
    each = np.stack([_HIDDEN * r * lengths(w, products) for r, w in zip(room, weights, strict=True)])
    hidden: Floats = each.max(0)
    return hidden


def spread(size: int, alphas: Floats) -> Floats:
    """The weights of a rule of the whole path, among all `alphas`."""
    weights = np.zeros(len(alphas))
    rule = patterson(size)
    weights[np.searchsorted(alphas, rule.alphas)] = rule.weights
    return weights
