"""Sensitivity: how far the map moves when the input moves a little."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import norm, refuse_overflow
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.explainer import Explain, Explainer, flat
from ig_widgets.faithfulness.maps import check_count, numbers
from ig_widgets.faithfulness.perturbations import Draws, Perturb, describe, noise
from ig_widgets.faithfulness.subject import make_subject
from ig_widgets.tables import html_table, text_table


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The largest change of the map over the perturbations, relative to the map (L2), a pure number.

    `values` (batch,): that of each example. `changes` (batch, n_perturb_samples): of each perturbation. Both float64,
    on the CPU. `perturbation`, `n_perturb_samples`, `seed`: what was asked. Prints as a table.
    """

    values: Tensor
    changes: Tensor
    perturbation: str
    n_perturb_samples: int
    seed: int

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        return f"{self.n_perturb_samples} times {self.perturbation}", "largest change", "mean change"

    def _rows(self) -> list[tuple[str, ...]]:
        columns = zip(self.values.tolist(), self.changes.mean(1).tolist(), strict=True)
        return [(f"example {i}", *map(numbers, row)) for i, row in enumerate(columns)]


@with_progress
def sensitivity_max(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    explain: Explain | None = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    perturb: Perturb | None = None,
    n_perturb_samples: int = 10,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Sensitivity:
    """The largest relative change of the map over small changes of the input.

    Yeh, Hsieh, Suggala, Inouye, Ravikumar: On the (In)fidelity and Sensitivity of Explanations (2019), section 3, with
    Captum's conventions: |map(x + d) - map(x)| / |map(x)|, or the change itself where the map of x is all zeros. It
    says how steady a method is, not that it is right: a map that never looks at the input has 0.

    Args:
        forward_func: as in `attribute`.
        inputs: a tensor (batch, ...) or a tuple of such.
        explain: the method, (forward_func, inputs) -> Attribution or tensors, of all examples at once. None is
            `attribute` with `baselines`, `target`, `additional_forward_args`, `forward_kwargs`, `output`, `layer` and
            `chunk_size`, and its other defaults, of which the tolerance is part of what is measured.
        layer: as in `attribute`; what the layer gives is then what is perturbed.
        perturb: as in `infidelity`; None is noise within 0.02, in the units of the inputs. Inputs take the place of
            the baseline that it is given.
        n_perturb_samples: perturbations of each example, the same draws for each.
        seed: of the draws.
        on_progress: called with (done, total) maps. cancel: when set, the run stops with the map in hand.

    Raises ArgumentTypeError, ArgumentValueError, Cancelled, and what `explain` raises.
    """
    tell = progress_of(on_progress)
    n = check_count("n_perturb_samples", n_perturb_samples, 1, "the number of perturbations")
    check_seed(seed)
    perturb = noise(radius=0.02) if perturb is None else perturb
    further: dict[str, Any] = {
        "additional_forward_args": additional_forward_args,
        "forward_kwargs": forward_kwargs,
        "output": output,
    }
    # A method of the caller may know no layers: it is called with the inputs, and these are perturbed.
    inside = None if explain is not None else layer
    subject = make_subject(
        forward_func, inputs, None if inside is None else baselines, layer=inside, target=target, cancel=cancel,
        **(further if explain is None else {}),
    )  # fmt: skip
    draws = Draws(perturb, subject.inputs, subject.inputs, n, seed, subject.is_tuple)
    explainer = Explainer(
        explain,
        baselines=baselines if inside is None else subject.baselines,
        target=target,
        layer=None if explain is None else layer,
        chunk_size=chunk_size,
        cancel=cancel,
        **(subject.further if explain is None else further),
    )
    maps, changes = None, []
    for number in range(n + 1):
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"Cancelled after {number} of {n + 1} maps.", None)
        points = subject.inputs if maps is None else _perturbed(draws, number - 1, subject.batch)
        made = explainer(subject.forward_func, points if subject.is_tuple else points[0])
        found = flat(made if inside is None else subject.added_up(made))
        # The first map is that of the inputs themselves.
        if maps is None:
            maps = found
        else:
            changes.append(norm(found - maps))
        if tell is not None:
            tell(number + 1, n + 1)
    assert maps is not None
    scale = norm(maps)
    relative = torch.stack(changes, dim=1) / torch.where(scale == 0, 1.0, scale)[:, None]
    refuse_overflow("A relative change", relative)
    return Sensitivity(
        values=relative.amax(1),
        changes=relative,
        perturbation=describe(perturb),
        n_perturb_samples=n,
        seed=seed,
    )


def _perturbed(draws: Draws, number: int, batch: int) -> tuple[Tensor, ...]:
    """The perturbation `number` of each example, as one batch."""
    every = [draws(example, number) for example in range(batch)]
    return tuple(map(torch.cat, zip(*every, strict=True)))
