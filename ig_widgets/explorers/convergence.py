"""How a map settles as evaluations are spent, by each rule, of the samples that are at hand already."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ig_widgets.engine import rules
from ig_widgets.engine.errors import IGError
from ig_widgets.explorers.pane import Known
from ig_widgets.explorers.stream import Pieces, Record

# Rules whose fewer points are found among more of theirs. To make Gauss-Legendre's takes long, and none are.
_NESTED = tuple(method for method in (*rules.RULES, rules.FEJER) if method != "gausslegendre")

# So many samples are spread evenly over the path.
_POWERS = 2 ** np.arange(1, 9) - 1

_WORTH = {rules.SECANT: 3}

Map = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CurvePoint:
    """After so many `evaluations`: `error`, the relative L2 distance to the finest map at hand, None for that itself.

    `estimate`: what the run itself took for its error, where it sampled to a tolerance. `delta`: the convergence delta.
    """

    evaluations: int
    error: float | None
    estimate: float | None
    delta: float


def curves(known: Sequence[Known]) -> dict[str, list[CurvePoint]]:
    """For each rule its points, fewer evaluations first.

    The finest map is that of a run to a tolerance, else of the most evaluations, of which a cell of the secant rule is
    worth several: maps of points fall behind it where there are kinks, and are as good as exact where there are none.
    """
    found: dict[tuple[str, int], tuple[Map, float, float | None]] = {}
    for one in known:
        method = one.settings.method
        if one.stage is not None:
            estimate = None if one.stage.errors is None else float(one.stage.errors[0])
            found[method, one.stage.evaluations] = (*_sum(one.record, one.pieces), estimate)
            continue
        for n, pieces in _within(one):
            found[method, n] = (*_sum(one.record, pieces), None)
    if not found:
        return {}
    finest = max(found, key=lambda key: (key[0] == rules.AUTO, _WORTH.get(key[0], 1) * key[1]))
    reference = found[finest][0]
    size = float(np.linalg.norm(reference))
    made: dict[str, list[CurvePoint]] = {}
    for key in sorted(found, key=lambda key: key[1]):
        values, delta, estimate = found[key]
        distance = float(np.linalg.norm(values - reference))
        error = None if key == finest else distance / size if size else 0.0
        made.setdefault(key[0], []).append(CurvePoint(key[1], error, estimate, delta))
    return made


def to_data(made: dict[str, list[CurvePoint]]) -> list[dict[str, Any]]:
    """Plain data for the front end; what is not finite becomes None."""

    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return [
        {
            "method": method,
            "points": [[p.evaluations, finite(p.error), finite(p.estimate), finite(p.delta)] for p in points],
        }
        for method, points in made.items()
    ]


def _within(one: Known) -> list[tuple[int, Pieces]]:
    """The rule itself, and the same rule with fewer points, all of which are sampled."""
    method, n_steps = one.settings.method, one.settings.n_steps
    if method == rules.SECANT:
        return [(n_steps, one.pieces)]
    # On the way there each sample was weighed by the piece of the path nearest to it.
    order = np.concatenate(rules.visits(method, n_steps, progressive=True))
    alphas = np.array(one.pieces.keys)
    found = {}
    for count in _POWERS[n_steps > _POWERS]:
        early = np.sort(alphas[order[:count]])
        found[int(count)] = Pieces(early.tolist(), rules.nearest_edges(early))
    found[n_steps] = one.pieces
    if method not in _NESTED:
        return list(found.items())
    for n in range(1, n_steps):
        try:
            nodes = rules.nodes(method, n)
        except IGError:  # a trapezoid of one point
            continue
        keys: list[Any] = nodes.alphas.tolist()
        if all(key in one.record.ids for key in keys):
            found[n] = Pieces(keys, nodes.edges)
    return list(found.items())


def _sum(record: Record, pieces: Pieces) -> tuple[Map, float]:
    """The map, flat, and its convergence delta."""
    total: Map | None = None
    collected = 0.0
    for key, weight in zip(pieces.keys, np.diff(pieces.edges).tolist(), strict=True):
        at = record.ids[key]
        sample = record.maps[at]
        part = np.frombuffer(sample.values, "<i2").astype(np.float32) * np.float32(sample.scale * weight)
        total = part.astype(np.float64) if total is None else total + part
        collected += weight * record.density[at]
    assert total is not None
    return total, collected - (record.output - record.baseline_output)
