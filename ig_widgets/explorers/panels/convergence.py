"""Convergence panel: how a map settles as evaluations are spent, by each rule, from the samples at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets

from ig_widgets.engine import rules
from ig_widgets.engine.errors import IGError
from ig_widgets.explorers.core import maps
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.pane import Pane
from ig_widgets.explorers.core.panel import Panel
from ig_widgets.explorers.core.sample_cache import EvaluatedRule
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog

# Rules whose fewer points are found among more of theirs. To make Gauss-Legendre's takes long, and none are.
_NESTED = tuple(method for method in (*rules.RULES, rules.FEJER) if method != "gausslegendre")

# So many samples are spread evenly over the path.
_POWERS = 2 ** np.arange(1, 9) - 1

_WORTH = {rules.SECANT: 3}

# Of so many elements at a time a copy is made.
_ELEMENTS = 1 << 21

_Key = tuple[str, int]


@dataclass(frozen=True)
class CurvePoint:
    """After so many `evaluations`: `error`, the relative L2 distance to the finest map at hand, None for that itself.

    `estimate`: what the run itself took for its error, where it sampled to a tolerance. `delta`: the convergence delta.
    """

    evaluations: int
    error: float | None
    estimate: float | None
    delta: float


def curves(
    evaluated: Sequence[EvaluatedRule], is_relative: Callable[[str], bool] = lambda _method: False
) -> dict[str, list[CurvePoint]]:
    """Returns for each rule its points, fewer evaluations first; relatives of IG have none.

    The finest map is that of a run to a tolerance, else of the most evaluations, of which a cell of the secant rule is
    worth several: maps of points fall behind it where there are kinks, and are as good as exact where there are none.
    """
    wanted: dict[tuple[str, int], tuple[SampleLog, Pieces, float | None]] = {}
    for one in evaluated:
        method = one.settings.method
        if is_relative(method):  # IG's map is not what it converges to
            continue
        if method == rules.AUTO:
            wanted[method, one.evaluations] = one.log, one.pieces, one.error
            continue
        for n, pieces in _within(one):
            wanted[method, n] = one.log, pieces, None
    if not wanted:
        return {}
    finest = max(wanted, key=lambda key: (key[0] == rules.AUTO, _WORTH.get(key[0], 1) * key[1]))
    errors = _errors({key: (log, pieces) for key, (log, pieces, _) in wanted.items()}, finest)
    made: dict[str, list[CurvePoint]] = {}
    for key in sorted(wanted, key=lambda key: key[1]):
        method, n = key
        log, pieces, estimate = wanted[key]
        error = None if key == finest else errors[key]
        made.setdefault(method, []).append(CurvePoint(n, error, estimate, _delta(log, pieces)))
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


def _within(one: EvaluatedRule) -> list[tuple[int, Pieces]]:
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
        if all(key in one.log.ids for key in keys):
            found[n] = Pieces(keys, nodes.edges)
    return list(found.items())


def _errors(wanted: Mapping[_Key, tuple[SampleLog, Pieces]], finest: _Key) -> dict[_Key, float]:
    """The relative L2 distance of each map to that of `finest`.

    All maps of a path are one product of matrices, some values at a time, so that little memory is taken.
    """
    logs = {log.number: log for log, _ in wanted.values()}
    keys = {number: [key for key in wanted if wanted[key][0].number == number] for number in logs}
    weights = {number: _weights(log, [wanted[key][1] for key in keys[number]]) for number, log in logs.items()}
    squares = dict.fromkeys(wanted, 0.0)
    size = 0.0
    own = wanted[finest][0].number
    values = len(logs[own].maps[0])
    step = max(1, _ELEMENTS // max(len(w[0]) for w in weights.values()))
    for start in range(0, values, step):
        part = slice(start, start + step)
        sums = {number: weights[number] @ _samples(logs[number], len(weights[number][0]), part) for number in logs}
        reference = sums[own][keys[own].index(finest)]
        size += float(np.square(reference, dtype=np.float64).sum())
        for number, rows in sums.items():
            distances = np.square(rows - reference, dtype=np.float64).sum(1).tolist()
            for key, square in zip(keys[number], distances, strict=True):
                squares[key] += square
    return {key: math.sqrt(square / size) if size else 0.0 for key, square in squares.items()}


def _weights(log: SampleLog, wanted: Sequence[Pieces]) -> npt.NDArray[np.float32]:
    """How much each sample counts for each of `wanted`: (wanted, samples)."""
    count = 1 + max(log.ids[key] for pieces in wanted for key in pieces.keys)
    rows = np.zeros((len(wanted), count), np.float32)
    for row, pieces in zip(rows, wanted, strict=True):
        row[[log.ids[key] for key in pieces.keys]] = np.diff(pieces.edges)
    return rows * np.array([sample.scale for sample in log.maps[:count]], np.float32)


def _samples(log: SampleLog, count: int, part: slice) -> npt.NDArray[np.float32]:
    """Returns some numbers of the first `count` samples, without scales: (samples, values)."""
    return maps.stack(log.maps[:count], part).astype(np.float32)


def _delta(log: SampleLog, pieces: Pieces) -> float:
    collected = math.fsum(
        weight * log.density[log.ids[key]]
        for key, weight in zip(pieces.keys, np.diff(pieces.edges).tolist(), strict=True)
    )
    return collected - (log.output - log.baseline_output)


class ConvergencePanel(Panel):
    """Works the curves out anew after each result of the first pane."""

    def on_result(self, pane: Pane) -> None:
        """The first pane has a new result."""
        if len(self.host.panes) and pane is self.host.panes[0]:
            self.host.tasks.submit("curves", self._show)

    def _show(self) -> None:
        is_relative = self.host.subject.methods.is_relative
        self.host.set(_curves=to_data(curves(self.host.panes[0].evaluated(), is_relative)))


class ConvergenceTraits(Explorer):
    """The traits of the convergence panel."""

    _curves: traitlets.List[Any] = traitlets.List().tag(sync=True)
