"""Methods of a pane: IG by a rule or to a tolerance, and the relatives of IG that suit a kind of input."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, samples_along
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.model import ForwardFunc
from ig_widgets.engine.path import Path, make_path
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.relatives.draws import Draws
from ig_widgets.relatives.expected import about
from ig_widgets.relatives.gradients import at_the_input, noisy
from ig_widgets.relatives.guided import guided_path
from ig_widgets.relatives.moments import mean_at_baselines

# The share of the input's range that SmoothGrad's paper advises.
_NOISE = 0.15


@dataclass(frozen=True)
class Question:
    """What a pane asks of a model: one input, its baseline, and baselines to draw from (`distribution` makes them)."""

    function: ForwardFunc
    target: int
    inputs: Tensor
    baseline: Tensor
    distribution: Callable[[], Tensor]
    n_steps: int
    guard: AbstractContextManager[object]
    chunks: ChunkSize | None
    cancel: threading.Event | None


@dataclass(frozen=True)
class Relative:
    """A relative of IG as a path, or draws, and the `rule` that adds their samples up.

    `make`: makes the path or the draws. `kind`: what lies between baseline and input. `is_complete`: whether its sum
    is claimed to be F(x) - F(x'). `samples`: how many there are, None: n_steps. `searches`: finding the path costs one
    more gradient evaluation for each step.
    """

    make: Callable[[Question], Path]
    rule: str
    kind: protocol.Kind
    is_complete: bool = True
    uses_baseline: bool = False
    samples: int | None = None
    searches: bool = False


def _guided(question: Question) -> Path:
    return guided_path(
        make_path(question.inputs, question.baseline),
        question.function,
        target=question.target,
        n_knots=question.n_steps,
        guard=question.guard,
        chunks=question.chunks,
        cancel=question.cancel,
    )


# What can be asked about any input.
RELATIVES: Mapping[str, Relative] = {
    "gradient": Relative(
        lambda question: noisy(question.inputs, 0.0, 1, 0), "riemann_middle", "draws", is_complete=False, samples=1
    ),
    "input_x_gradient": Relative(
        lambda question: at_the_input(question.inputs, question.baseline),
        "riemann_middle",
        "draws",
        uses_baseline=True,
        samples=1,
    ),
    "smoothgrad": Relative(
        lambda question: noisy(question.inputs, _NOISE, question.n_steps, 0),
        "riemann_middle",
        "draws",
        is_complete=False,
    ),
    "expected_gradients": Relative(
        lambda question: about(question.inputs, question.distribution(), 0.0, question.n_steps, 0),
        "riemann_middle",
        "draws",
    ),
    "guided_integrated_gradients": Relative(_guided, rules.SECANT, "curved", uses_baseline=True, searches=True),
}


class Methods:
    """The methods that an explorer offers, and where and how each is sampled."""

    def __init__(self, relatives: Mapping[str, Relative] = RELATIVES) -> None:
        self.relatives = relatives

    @property
    def names(self) -> list[str]:
        """All of them, in the order in which they are offered."""
        return [rules.AUTO, *rules.METHODS, *self.relatives]

    def check(self, method: str) -> str:
        """Returns `method`. Raises ArgumentValueError where it is not offered."""
        return method if method == rules.AUTO or method in self.relatives else rules.check_method(method)

    def is_relative(self, method: str) -> bool:
        """Whether it answers another question than IG."""
        return method in self.relatives

    def nodes(self, method: str, n_steps: int) -> rules.Nodes:
        """Returns where it is sampled. Raises ArgumentValueError for a number of steps that it does not have."""
        relative = self.relatives.get(method)
        if relative is None:
            return rules.nodes(method, n_steps)
        return rules.nodes(relative.rule, relative.samples or n_steps)

    def rule(self, method: str) -> str:
        """Returns the rule that adds its samples up."""
        return self.relatives[method].rule if method in self.relatives else method

    def kind(self, method: str) -> protocol.Kind:
        """Returns what lies between baseline and input."""
        return self.relatives[method].kind if method in self.relatives else "straight"

    def is_complete(self, method: str) -> bool:
        """Whether its sum is claimed to be F(x) - F(x')."""
        return method not in self.relatives or self.relatives[method].is_complete

    def uses_baseline(self, method: str) -> bool:
        """Whether its map depends on the baseline."""
        return method not in self.relatives or self.relatives[method].uses_baseline

    def path_key(self, settings: Settings) -> tuple[object, ...]:
        """Returns what two settings have in common whose samples can be shared.

        A cell of the secant rule cannot be used for another number of cells.
        """
        method = settings.method
        if (relative := self.relatives.get(method)) is not None:
            baseline = settings.baseline if relative.uses_baseline else ""
            apart: tuple[object, ...] = method, relative.samples or settings.n_steps
        else:
            baseline = settings.baseline
            apart = {rules.SECANT: (method, settings.n_steps), rules.AUTO: (method, settings.tol)}.get(method, ())
        return settings.input, baseline, settings.target, settings.output, *apart

    def samples(self, method: str, question: Question) -> Samples:
        """Returns an empty collection of the samples of a relative. Raises Cancelled while a path is searched."""
        relative = self.relatives[method]
        path = relative.make(question)
        samples = samples_along(
            path,
            question.function,
            target=question.target,
            guard=question.guard,
            chunks=question.chunks,
            cells=self.nodes(method, question.n_steps) if relative.rule == rules.SECANT else None,
            cancel=question.cancel,
        )
        if isinstance(path, Draws) and path.origins is not None:
            samples.baseline_output = mean_at_baselines(path, samples, question.cancel)
        return samples

    def result(self, result: Attribution, method: str, nondeterminism: str = "") -> Attribution:
        """Returns the attribution without what the method does not claim; `nondeterminism`: a caveat, or ""."""
        relative = self.relatives.get(method)
        if relative is None:
            return result
        if relative.searches:
            result = replace(result, evaluations=2 * result.evaluations)
        if relative.is_complete and relative.kind != "draws":
            return result
        # Caveats about the delta are for paths; the sum of draws is off by chance.
        result = replace(result, caveats=(nondeterminism,) if nondeterminism else ())
        return result if relative.is_complete else replace(result, convergence_delta=None, baseline_output=None)
