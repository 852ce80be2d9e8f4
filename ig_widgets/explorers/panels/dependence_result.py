"""Result of the dependence panel: what the maps of several baselines have in common, and how far apart they are."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.subject import CoarseMaps
from ig_widgets.tables import AS_TEXT, html_table, text_table

Map = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BaselineMap:
    """The attributions from one baseline.

    Its `name`, F(x) and F(x') as `output` and `baseline_output`, the `method` by which it was sampled, and `values`.
    """

    name: str
    output: float
    baseline_output: float
    method: str
    values: Map = field(repr=False)


@dataclass(frozen=True, eq=False)
class BaselineDependence:
    """One question asked with several baselines; prints as a table, in a notebook too. All in the units of F.

    `mean`, `standard_deviation` (unbiased): over the maps of the baselines, of their shape. `dependence`, as in
    `igw.relatives.over_baselines`: the root of the sum of variances over the mean square size (L2) of the maps; 0 where
    all maps are the same, 1 where two of them have nothing in common, and more where they contradict.

    `coarse_dependence`: the same of sums over neighbours (`coarse_name`, of `patch` values along a side), in which
    opposite signs side by side cancel; None where values have no neighbours. For each baseline, in the order of
    `names`: `baseline_outputs` F(x'), `sums` of the map, `shares` of the squared distances that are its own (they sum
    to 1, or are 0), and `methods`, the rules, each with `n_steps`.
    `output`: F(x). `question`: the class and the reading of the model, in words.

    That a baseline is an assumption to be varied: Sturmfels, Lundberg, Lee, Visualizing the Impact of Feature
    Attribution Baselines (2020). The mean over baselines drawn from data is expected gradients: Erion et al. (2021).
    """

    question: str
    names: tuple[str, ...]
    dependence: float
    coarse_dependence: float | None
    coarse_name: str
    patch: int
    output: float
    baseline_outputs: tuple[float, ...]
    sums: tuple[float, ...]
    shares: tuple[float, ...]
    methods: tuple[str, ...]
    n_steps: int
    mean: Map = field(repr=False)
    standard_deviation: Map = field(repr=False)

    def __repr__(self) -> str:
        return f"{self._in_words()}\n{text_table(_HEAD, self._rows(), right=True)}"

    def _repr_html_(self) -> str:
        return f"<p {AS_TEXT}>{html.escape(self._in_words())}</p>{html_table(_HEAD, self._rows())}"

    def _in_words(self) -> str:
        coarse = ""
        if self.coarse_dependence is not None:
            coarse = f", and {min(self.coarse_dependence, 1):.0%} of its sums over {self.coarse_name}"
        return (
            f"{min(self.dependence, 1):.0%} of this map depends on the baseline{coarse} ({self.question}, F(x) "
            f"{self.output:.3g})"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        columns = zip(self.names, self.baseline_outputs, self.sums, self.shares, self.methods, strict=True)
        return [
            (" ".join(name.split()), f"{output:.3g}", f"{total:.3g}", f"{share:.0%}", f"{method}, {self.n_steps}")
            for name, output, total, share, method in columns
        ]


_HEAD = ("baseline", "F(x')", "sum", "of the variance", "rule")


def make_dependence(
    maps: Sequence[BaselineMap], *, n_steps: int, question: str, coarsen: Callable[[Map], CoarseMaps | None]
) -> BaselineDependence:
    """Compares `maps` of one shape, each of another baseline. `coarsen`: as in `Subject`.

    Raises ArgumentValueError where there are fewer than two.
    """
    check_count(maps)
    values = np.stack([one.values for one in maps]).astype(np.float64)
    mean = values.mean(0)
    squares = (values - mean) ** 2
    deviation = np.sqrt(squares.sum(0) / (len(maps) - 1))
    apart = _sums(squares)
    whole = float(apart.sum())
    coarse = coarsen(values)
    for array in (mean, deviation):
        array.setflags(write=False)
    return BaselineDependence(
        question=question,
        names=tuple(one.name for one in maps),
        dependence=_apart(values),
        coarse_dependence=None if coarse is None else _apart(coarse.values),
        coarse_name="" if coarse is None else coarse.name,
        patch=0 if coarse is None else coarse.patch,
        output=maps[0].output,
        baseline_outputs=tuple(one.baseline_output for one in maps),
        sums=tuple(float(total) for total in _sums(values)),
        shares=tuple(float(part) / whole if whole else 0.0 for part in apart),
        methods=tuple(one.method for one in maps),
        n_steps=n_steps,
        mean=mean,
        standard_deviation=deviation,
    )


def _sums(values: Map) -> Map:
    """Returns the sum of each map (maps,)."""
    found: Map = values.reshape(len(values), -1).sum(1)
    return found


def _apart(values: Map) -> float:
    """Returns the root of the sum of variances over maps (maps, ...), over their mean square size."""
    variance, size = values.var(0, ddof=1).sum(), _sums(np.square(values)).mean()
    return float(np.sqrt(variance / size)) if size else 0.0


def check_count(baselines: Sequence[object]) -> None:
    """Raises ArgumentValueError where there are fewer than two."""
    if len(baselines) < 2:
        raise ArgumentValueError(
            f"baselines must be at least two different ones, got {len(baselines)}; one has no spread."
        )
