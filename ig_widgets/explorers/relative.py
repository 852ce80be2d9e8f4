"""The relatives of IG as methods of a pane: each a path or draws to be sampled, and a rule that adds the samples up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, samples_along
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.model import ForwardFunc
from ig_widgets.engine.path import Path, make_path
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers import protocol
from ig_widgets.relatives.blur import blur_path
from ig_widgets.relatives.drawn import mean_at_baselines
from ig_widgets.relatives.draws import Draws
from ig_widgets.relatives.expected import about
from ig_widgets.relatives.gradients import at_the_input, noisy
from ig_widgets.relatives.guided import guided_path

# A blur of which nothing of a picture of 224 pixels is left, and the noise that SmoothGrad's paper advises.
_BLUR_SHARE, _NOISE = 50 / 224, 0.15
# Over these expected gradients are taken: no colour, no brightness, no detail, nothing but chance.
DISTRIBUTION = ("black", "white", "mean grey", "blur", "noise", "noise(seed=1)", "noise(seed=2)")


@dataclass(frozen=True)
class Asked:
    """What a pane asks of a model: one picture, its baseline, and what `distribution` gives when it is called."""

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
    """`make`: the path or the draws. `rule`: what adds them up. `kind`: what lies between baseline and input.

    `samples`: how many there are, None: n_steps. `searches`: a gradient evaluation for each step goes before.
    """

    make: Callable[[Asked], Path]
    rule: str
    kind: protocol.Kind
    is_complete: bool = True
    uses_baseline: bool = False
    samples: int | None = None
    searches: bool = False


def _blurred(asked: Asked) -> Path:
    return blur_path(asked.inputs, _BLUR_SHARE * min(asked.inputs.shape[-2:]))


def _guided(asked: Asked) -> Path:
    return guided_path(
        make_path(asked.inputs, asked.baseline),
        asked.function,
        target=asked.target,
        n_knots=asked.n_steps,
        guard=asked.guard,
        chunks=asked.chunks,
        cancel=asked.cancel,
    )


RELATIVES = {
    "gradient": Relative(
        lambda asked: noisy(asked.inputs, 0.0, 1, 0), "riemann_middle", "draws", is_complete=False, samples=1
    ),
    "input_x_gradient": Relative(
        lambda asked: at_the_input(asked.inputs, asked.baseline),
        "riemann_middle",
        "draws",
        uses_baseline=True,
        samples=1,
    ),
    "smoothgrad": Relative(
        lambda asked: noisy(asked.inputs, _NOISE, asked.n_steps, 0), "riemann_middle", "draws", is_complete=False
    ),
    "expected_gradients": Relative(
        lambda asked: about(asked.inputs, asked.distribution(), 0.0, asked.n_steps, 0), "riemann_middle", "draws"
    ),
    "blur_integrated_gradients": Relative(_blurred, rules.SECANT, "curved"),
    "guided_integrated_gradients": Relative(_guided, rules.SECANT, "curved", uses_baseline=True, searches=True),
}


def nodes_of(method: str, n_steps: int) -> rules.Nodes:
    """Where a rule, or a relative, is sampled."""
    relative = RELATIVES.get(method)
    if relative is None:
        return rules.nodes(method, n_steps)
    return rules.nodes(relative.rule, relative.samples or n_steps)


def rule_of(method: str) -> str:
    """The rule that adds the samples of a method up."""
    return method if method not in RELATIVES else RELATIVES[method].rule


def kind_of(method: str) -> protocol.Kind:
    """What lies between baseline and input."""
    return "straight" if method not in RELATIVES else RELATIVES[method].kind


def is_complete(method: str) -> bool:
    """Whether its sum is claimed to be F(x) - F(x')."""
    return method not in RELATIVES or RELATIVES[method].is_complete


def samples_of(method: str, asked: Asked) -> Samples:
    """An empty collection of the samples of a relative. Raises Cancelled while a path is searched."""
    relative = RELATIVES[method]
    path = relative.make(asked)
    samples = samples_along(
        path,
        asked.function,
        target=asked.target,
        guard=asked.guard,
        chunks=asked.chunks,
        cells=nodes_of(method, asked.n_steps) if relative.rule == rules.SECANT else None,
        cancel=asked.cancel,
    )
    if isinstance(path, Draws) and path.origins is not None:
        samples.baseline_output = mean_at_baselines(path, samples, asked.cancel)
    return samples


def result_of(result: Attribution, method: str, doubt: str = "") -> Attribution:
    """The attribution by a method, without what it does not claim; `doubt`: of the model, what was warned of."""
    relative = RELATIVES.get(method)
    if relative is None:
        return result
    if relative.searches:
        result = replace(result, evaluations=2 * result.evaluations)
    if relative.is_complete and relative.kind != "draws":
        return result
    # What is said of the delta of a path is not meant for draws, whose sum is off by chance.
    result = replace(result, caveats=(doubt,) if doubt else ())
    return result if relative.is_complete else replace(result, convergence_delta=None, baseline_output=None)
