"""Infidelity: what the map promises of a change of the input, against what the model does."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.devices import widest
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import refuse_overflow
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, make_path
from ig_widgets.engine.progress import Progress, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.asking import Asker
from ig_widgets.faithfulness.maps import check_attributions, check_count, check_inputs, numbers
from ig_widgets.faithfulness.perturbations import Draws, Perturb, describe, subset
from ig_widgets.tables import html_table, text_table


@dataclass(frozen=True, eq=False)
class Infidelity:
    """How far the map's promise lies from what the model does, in the units of F squared.

    `values` (batch,): the mean square of (promised change - change of F) over the perturbations; 0 is perfect.
    `of_zeros` (batch,): that of a map of zeros, the mean square of the change, to be compared with. Both float64, on
    the CPU. `perturbation`, `n_perturb_samples`, `normalize`, `seed`: what was asked. Prints as a table.
    """

    values: Tensor
    of_zeros: Tensor
    perturbation: str
    n_perturb_samples: int
    normalize: bool
    seed: int

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        scaled = ", map scaled" if self.normalize else ""
        what = f"{self.n_perturb_samples} times {self.perturbation}{scaled}"
        return what, "infidelity", "of a map of zeros", "ratio"

    def _rows(self) -> list[tuple[str, ...]]:
        ratios = torch.where(self.of_zeros > 0, self.values / self.of_zeros, torch.nan)
        pairs = zip(self.values.tolist(), self.of_zeros.tolist(), ratios.tolist(), strict=True)
        return [(f"example {i}", *map(numbers, row)) for i, row in enumerate(pairs)]


@with_progress
def infidelity(
    forward_func: ForwardFunc,
    inputs: Tensor,
    attributions: Attribution | Tensor,
    *,
    baselines: Baselines = None,
    perturb: Perturb | None = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    multiply_by_inputs: bool | None = None,
    n_perturb_samples: int = 10,
    normalize: bool = False,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Infidelity:
    """The mean square of what the map promises of perturbations, less what they do to F.

    Yeh, Hsieh, Suggala, Inouye, Ravikumar: On the (In)fidelity and Sensitivity of Explanations (2019), definition 2.1,
    with Captum's conventions. For x changed to x - I the map promises sum_i I_i a_i, where a is the attribution to each
    unit of input; for attributions that hold the factor (x - x'), that is sum_i I_i / (x_i - x'_i) times the
    attribution, I_i itself where x_i = x'_i. Replacing a set of features by the baseline promises their sum.

    Args:
        forward_func, baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        inputs: one tensor (batch, ...).
        attributions: an Attribution of these inputs, or a tensor like them.
        perturb: what is done to x: `perturbations.subset()`, the default, `square` or `noise`, or a callable that is
            given an example (1, ...), its baseline and a torch.Generator, and returns the changed example.
        multiply_by_inputs: whether the attributions hold the factor (x - x'); None takes it from an Attribution, and
            True for a tensor. A gradient does not.
        n_perturb_samples: perturbations of each example, the same draws for each.
        normalize: scale the map by the number that makes the infidelity smallest, so that its scale does not count.
        seed: of the draws.
        chunk_size, on_progress, cancel: as in `deletion`.

    Raises as `deletion`.
    """
    x = check_inputs(inputs)
    values = check_attributions(attributions, x)
    if values.shape != x.shape:
        raise ArgumentValueError(
            f"attributions has shape {tuple(values.shape)}, inputs {tuple(x.shape)}; it must be like inputs, channels "
            f"too."
        )
    n = check_count("n_perturb_samples", n_perturb_samples, 1, "the number of perturbations")
    check_seed(seed)
    if multiply_by_inputs is None:
        trace = attributions.path if isinstance(attributions, Attribution) else None
        multiply_by_inputs = True if trace is None else trace.multiply_by_inputs
    perturb = subset() if perturb is None else perturb
    x0 = make_path(inputs, baselines).baselines[0]
    draws = Draws(perturb, x, x0, n, seed)
    most = widest(x.device)
    values = values.to(x.device, most)
    ask = Asker(
        forward_func,
        x,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
    )
    # Of each example F itself, and then its perturbations; what they promise is noted as they are made.
    batch, promised = len(x), torch.zeros(len(x), n + 1, dtype=torch.float64, device="cpu")
    examples = torch.arange(batch, device="cpu").repeat_interleave(n + 1)

    def points(part: slice) -> Tensor:
        rows = []
        for row in range(part.start, part.stop):
            example, number = divmod(row, n + 1)
            one = slice(example, example + 1)
            rows.append(x[one] if number == 0 else draws(example, number - 1))
            change = x[one].to(most) - rows[-1].to(most)
            if multiply_by_inputs:
                span = x[one].to(most) - x0[one].to(most)
                change = torch.where(span == 0, change, change / span.where(span != 0, torch.ones_like(span)))
            promised[example, number] = (change * values[one]).sum()
        return torch.cat(rows)

    def where(row: int) -> str:
        example, number = divmod(row, n + 1)
        return f"at the input (example {example})" if number == 0 else f"in perturbation {number} of example {example}"

    outputs = ask(examples, points, where, on_progress=on_progress, cancel=cancel).reshape(batch, n + 1)
    a, b = promised[:, 1:], outputs[:, :1] - outputs[:, 1:]
    if normalize:
        scale = (a * b).sum(1) / a.square().sum(1).clamp_min(torch.finfo(torch.float64).tiny)
        a = scale[:, None] * a
    values, of_zeros = (a - b).square().mean(1), b.square().mean(1)
    refuse_overflow("The infidelity, a mean of squares,", values, of_zeros)
    return Infidelity(
        values=values,
        of_zeros=of_zeros,
        perturbation=describe(perturb),
        n_perturb_samples=n,
        normalize=normalize,
        seed=seed,
    )
