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
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.norms import refuse_overflow
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.evaluator import Evaluator
from ig_widgets.faithfulness.maps import check_count, numbers
from ig_widgets.faithfulness.perturbations import Draws, Perturb, describe, subset
from ig_widgets.faithfulness.subject import make_subject
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
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    baselines: Baselines = None,
    perturb: Perturb | None = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    multiply_by_inputs: bool | None = None,
    n_perturb_samples: int = 10,
    normalize: bool = False,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Infidelity:
    """The mean square of what the map promises of perturbations, less what they do to F.

    Yeh, Hsieh, Suggala, Inouye, Ravikumar: On the (In)fidelity and Sensitivity of Explanations (2019), definition 2.1,
    with Captum's conventions. For x changed to x - I the map promises sum_i I_i a_i, where a is the attribution to each
    unit of input; for attributions that hold the factor (x - x'), that is sum_i I_i / (x_i - x'_i) times the
    attribution, I_i itself where x_i = x'_i. Replacing a set of features by the baseline promises their sum. Of several
    inputs the sums are over all.

    Args:
        forward_func, baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        inputs: a tensor (batch, ...) or a tuple of such.
        attributions: an Attribution of these inputs, or tensors like them.
        perturb: what is done to x: `perturbations.subset()`, the default, `square` or `noise`, or a callable that is
            given an example (1, ...), its baseline and a torch.Generator, and returns the changed example; of several
            inputs it is given tuples, and returns one.
        layer: as in `attribute`, for the map of what a layer gives: that is then what is perturbed.
        multiply_by_inputs: whether the attributions hold the factor (x - x'); None takes it from an Attribution, and
            True for a tensor. A gradient does not.
        n_perturb_samples: perturbations of each example, the same draws for each.
        normalize: scale the map by the number that makes the infidelity smallest, so that its scale does not count.
        seed: of the draws.
        chunk_size, on_progress, cancel: as in `deletion`.

    Raises as `deletion`.
    """
    subject = make_subject(
        forward_func,
        inputs,
        baselines,
        layer=layer,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        cancel=cancel,
    )
    maps = subject.maps(attributions)
    subject.refuse_shared("the promise")
    # A map summed over channels does not say what each channel promises.
    for values, x in zip(maps, subject.inputs, strict=True):
        if values.shape != x.shape:
            raise ArgumentValueError(
                f"attributions has shape {tuple(values.shape)}, inputs {tuple(x.shape)}; it must be like inputs, "
                f"channels too."
            )
    n = check_count("n_perturb_samples", n_perturb_samples, 1, "the number of perturbations")
    check_seed(seed)
    if multiply_by_inputs is None:
        trace = attributions.path if isinstance(attributions, Attribution) else None
        multiply_by_inputs = True if trace is None else trace.multiply_by_inputs
    perturb = subset() if perturb is None else perturb
    draws = Draws(perturb, subject.inputs, subject.baselines, n, seed, subject.is_tuple)
    ask = Evaluator(subject, target=target, chunk_size=chunk_size)
    # Of each example F itself, and then its perturbations; what they promise is noted as they are made.
    batch = subject.batch
    promised = torch.zeros(batch, n + 1, dtype=torch.float64, device="cpu")
    examples = torch.arange(batch, device="cpu").repeat_interleave(n + 1)

    def points(part: slice) -> tuple[Tensor, ...]:
        rows = []
        for row in range(part.start, part.stop):
            example, number = divmod(row, n + 1)
            one = slice(example, example + 1)
            rows.append(tuple(x[one] for x in subject.inputs) if number == 0 else draws(example, number - 1))
            for values, x, x0, point in zip(maps, subject.inputs, subject.baselines, rows[-1], strict=True):
                promise = _promise(values[one], x[one], x0[one], point, multiply_by_inputs)
                promised[example, number] += promise.to("cpu", torch.float64)
        return tuple(map(torch.cat, zip(*rows, strict=True)))

    def where(row: int) -> str:
        example, number = divmod(row, n + 1)
        return f"at the input (example {example})" if number == 0 else f"in perturbation {number} of example {example}"

    outputs = ask(examples, points, where, on_progress=progress_of(on_progress), cancel=cancel).reshape(batch, n + 1)
    a, b = promised[:, 1:], outputs[:, :1] - outputs[:, 1:]
    if normalize:
        # Least squares over the perturbations; a map that promises nothing keeps a scale of 0.
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


def _promise(values: Tensor, x: Tensor, x0: Tensor, point: Tensor, multiply_by_inputs: bool) -> Tensor:
    """What the map of one input promises of the change from `x` to `point`, in the widest dtype of the device."""
    most = widest(x.device)
    change = x.to(most) - point.to(most)
    if multiply_by_inputs:
        # Where x equals the baseline the attribution is 0, and any finite factor will do.
        span = x.to(most) - x0.to(most)
        change = torch.where(span == 0, change, change / span.where(span != 0, torch.ones_like(span)))
    return (change * values.to(x.device, most)).sum()
