"""Sample log: the samples of one path in the order of evaluation, and the plans that add them up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.rules import Floats, nearest_edges
from ig_widgets.engine.samples import Key
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.maps import EncodedMap

# WebGL2 guarantees so many layers of an array texture.
_MOST_PIECES = 256


@dataclass(frozen=True)
class Pieces:
    """The samples of a rule, by their keys, and the `edges` (n + 1,) of the pieces of the path that they stand for."""

    keys: list[Key]
    edges: Floats

    def weights(self) -> Floats:
        """The length (n,) of each piece, by which its sample is weighed."""
        return np.diff(self.edges)


@dataclass
class SampleLog:
    """The samples of one path, in the order of evaluation; the position in the lists is the sample's id.

    `alphas` are those of points, or the middles of cells; `output_alphas` where `outputs` were taken. `is_complete`:
    the sum is claimed to be F(x) - F(x'). `is_path`: samples lie one after the other from baseline to input.
    """

    number: int
    baseline_output: float
    output: float
    alphas: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    output_alphas: list[float] = field(default_factory=list)
    density: list[float] = field(default_factory=list)
    maps: list[EncodedMap] = field(default_factory=list)
    ids: dict[Key, int] = field(default_factory=dict)
    is_complete: bool = True
    is_path: bool = True

    def extend(self, keys: list[Key], outputs: list[float], density: list[float], maps: list[EncodedMap]) -> None:
        """Adds samples, a map for each. The maps come last, since other threads look at their number."""
        self.ids.update(zip(keys, range(len(self.maps), len(self.maps) + len(keys)), strict=True))
        self.alphas += [sum(key) / 2 if isinstance(key, tuple) else key for key in keys]
        self.output_alphas += [key[0] if isinstance(key, tuple) else key for key in keys]
        self.outputs += outputs
        self.density += density
        self.maps += maps

    def holds(self, pieces: Pieces) -> bool:
        """Whether all samples of `pieces` are there; another thread may be adding some."""
        count = len(self.maps)
        return all(self.ids.get(key, count) < count for key in pieces.keys)

    def plan(
        self,
        count: int,
        pieces: Pieces | None,
        evaluations: int,
        *,
        final: bool,
        error: float | None = None,
    ) -> protocol.Message:
        """Returns a plan over the first `count` samples: by `pieces`, where all of them are there, else by nearness."""
        if pieces is None:
            order = _thinned(_newest(np.array(self.alphas[:count])))
            edges = nearest_edges(np.array(self.alphas)[order])
        else:
            order = np.array([self.ids[key] for key in pieces.keys])
            edges = pieces.edges
        ids = [int(i) for i in order]
        weights = np.diff(edges)
        total = float(sum(w * self.density[i] for i, w in zip(ids, weights, strict=True)))
        path = {1.0: self.output} | ({0.0: self.baseline_output} if self.is_complete else {})
        if self.is_path:
            path |= {self.output_alphas[i]: self.outputs[i] for i in ids}
        return protocol.plan(
            self.number,
            [(i, float(edges[k + 1] - edges[k]), float(edges[k]), float(edges[k + 1])) for k, i in enumerate(ids)],
            sorted(path.items()),
            [(self.alphas[i], self.density[i]) for i in ids] if self.is_path else [],
            total,
            total - (self.output - self.baseline_output) if self.is_complete else None,
            evaluations,
            final,
            error,
        )

    def collected(self, pieces: Pieces, alpha: float) -> Floats:
        """Returns the flat map collected up to `alpha`, as the front end adds it up."""
        total: Floats = np.zeros(len(self.maps[0]))
        for key, start, stop in zip(pieces.keys, pieces.edges[:-1], pieces.edges[1:], strict=True):
            if alpha > start:
                encoded = self.maps[self.ids[key]]
                total += (min(alpha, float(stop)) - float(start)) * encoded.scale * encoded.numbers
        return total


def _newest(alphas: Floats) -> npt.NDArray[np.intp]:
    """Returns positions by ascending alpha; of equal ones the newest: a split cell has a part with the same middle."""
    _, first = np.unique(alphas[::-1], return_index=True)
    return len(alphas) - 1 - first


def _thinned(order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Returns evenly chosen samples, as many as a front end can hold; a path may have been sampled by many rules."""
    if len(order) <= _MOST_PIECES:
        return order
    return order[np.linspace(0, len(order) - 1, _MOST_PIECES).round().astype(np.intp)]
