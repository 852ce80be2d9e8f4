"""Deletion and insertion: F as features are replaced in the order of the map, beside random orders."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors
from ig_widgets.engine.progress import Progress, ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.asking import Asker
from ig_widgets.faithfulness.fills import Fill, make_fill
from ig_widgets.faithfulness.maps import (
    by_feature,
    check_count,
    numbers,
    order_of,
    ranks_of,
)
from ig_widgets.faithfulness.subject import Subject, make_subject
from ig_widgets.tables import html_table, text_table

DELETION, INSERTION = "deletion", "insertion"


@dataclass(frozen=True, eq=False)
class Curves:
    """F as ever more features are replaced, by falling attribution and in random orders. All in the units of F.

    `kind`: deletion (from the input to the fill) or insertion (from the fill to the input). `fill`: what replaces.
    `shares` (steps + 1,): of the features that have been exchanged, from 0 to 1. `outputs` (batch, steps + 1): F in the
    order of the map. `random_outputs` (batch, n_random, steps + 1): F in random orders, of `seed`. `evaluations`:
    forward passes per example, of which the order of the map alone would take steps + 1. Tensors are float64, on the
    CPU. Prints as a table.
    """

    kind: str
    fill: str
    shares: Tensor
    outputs: Tensor
    random_outputs: Tensor
    seed: int
    evaluations: int

    @property
    def area(self) -> Tensor:
        """The area under F (batch,), by the trapezoid rule: for deletion the smaller the better."""
        return torch.trapezoid(self.outputs, self.shares)

    @property
    def random_area(self) -> Tensor:
        """The areas of the random orders (batch, n_random)."""
        return torch.trapezoid(self.random_outputs, self.shares)

    @property
    def advantage(self) -> Tensor:
        """By how much the map does better than random orders on average (batch,); 0 is chance."""
        ahead = self.area - self.random_area.mean(1)
        return ahead if self.kind == INSERTION else -ahead

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        orders = self.random_outputs.shape[1]
        chance = "random area" if orders == 1 else f"random area (mean of {orders})"
        return f"{self.kind}, fill: {self.fill}", "F at start", "F at end", "area", chance, "advantage"

    def _rows(self) -> list[tuple[str, ...]]:
        columns = torch.stack(
            [self.outputs[:, 0], self.outputs[:, -1], self.area, self.random_area.mean(1), self.advantage], dim=1
        )
        rows = [(f"example {i}", *map(numbers, values)) for i, values in enumerate(columns.tolist())]
        return rows if len(rows) == 1 else [*rows, ("mean", *map(numbers, columns.mean(0).tolist()))]


@with_progress
def deletion(
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    n_steps: int = 100,
    n_random: int = 1,
    by_pixel: bool = True,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Curves:
    """F as the features of the input are replaced, those of the largest attribution first, beside random orders.

    Petsiuk, Das, Saenko: RISE (2018), section 4.1; the random control: Samek et al.: Evaluating the Visualization of
    What a Deep Neural Network Has Learned (2017). A map that names what the model needs makes F fall
    early: the area is small. What is half replaced may be unlike anything that the model knows, and F may fall for that
    alone; so the area says little without that of a random order, and depends on the fill.

    Args:
        forward_func: as in `attribute`; what is measured is what it returns, so softmax is its own affair.
        inputs: a tensor (batch, ...) or a tuple of such, whose features are replaced in one order of all.
        attributions: an Attribution of these inputs, or tensors like them; for pictures also (batch, height, width).
        fill: what replaces: baseline (the `baselines`), blur, mean (of each channel), noise (with each channel's mean
            and deviation), one of `ig_widgets.baselines`, a tensor, a number, or a callable that is given the inputs.
            None: the baselines where they are given, else blur, for pictures. Of several inputs a tuple has one each.
        baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        layer: as in `attribute`, for the map of what a layer gives: that is then what is replaced, by what the layer
            gives at the baselines. Without it, features are those of the inputs, for token ids the tokens.
        n_steps: equal parts in which features are replaced, at most as many as there are.
        n_random: random orders, each of which takes as many forward passes as the order of the map. They are the same
            for each example.
        by_pixel: of pictures (batch, channels, height, width) a feature is a pixel, all its channels at once, ranked by
            their sum. False, and in other shapes: each value for itself.
        seed: of the random orders, of the order among equal attributions, and of the fill "noise".
        chunk_size: rows in the model at a time; None finds it by trying, and fits memory.
        on_progress: called with (done, total) forward passes, over all examples and orders.
        cancel: when set, the run stops after the chunk in hand.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument cannot work.
        OutputError, TrainingModeError, NonFiniteError, OutOfMemoryError, and what the model raises: as `attribute`.
        Cancelled: `cancel` was set.
    """
    return _curves(
        DELETION,
        forward_func,
        inputs,
        attributions,
        fill=fill,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        n_steps=n_steps,
        n_random=n_random,
        by_pixel=by_pixel,
        seed=seed,
        chunk_size=chunk_size,
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


@with_progress
def insertion(
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    n_steps: int = 100,
    n_random: int = 1,
    by_pixel: bool = True,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Curves:
    """F as the features of the input are put into the fill, those of the largest attribution first; as `deletion`.

    A map that names what is enough for the model makes F rise early: the area is large.
    """
    return _curves(
        INSERTION,
        forward_func,
        inputs,
        attributions,
        fill=fill,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        n_steps=n_steps,
        n_random=n_random,
        by_pixel=by_pixel,
        seed=seed,
        chunk_size=chunk_size,
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )


def _curves(
    kind: str,
    forward_func: ForwardFunc,
    inputs: Tensors,
    attributions: Attribution | Tensors,
    *,
    fill: Fill,
    baselines: Baselines,
    target: TargetLike,
    additional_forward_args: object,
    forward_kwargs: ForwardKwargs,
    output: Output,
    layer: Layer | None,
    n_steps: int,
    n_random: int,
    by_pixel: bool,
    seed: int,
    chunk_size: int | None,
    on_progress: Progress | None,
    cancel: threading.Event | None,
) -> Curves:
    n_steps = check_count("n_steps", n_steps, 1, "the number of parts in which features are replaced")
    n_random = check_count("n_random", n_random, 1, "the number of random orders")
    check_seed(seed)
    subject = make_subject(
        forward_func,
        inputs,
        baselines,
        layer=layer,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        integers=True,
        cancel=cancel,
    )
    maps = subject.maps(attributions)
    values = []
    for given, own in zip(maps, subject.parts, strict=True):
        x = subject.inputs[own[0]]
        pixels = by_pixel and x.dim() == 4
        values.append(by_feature(given if pixels else given.expand_as(x), by_pixel=pixels))
    filled, name = make_fill(fill, subject, baselines, seed)
    ask = Asker(subject, target=target, chunk_size=chunk_size)
    rows = _Rows(
        kind, subject, filled, _all_ranks(torch.cat(values, dim=1), n_random, seed), n_steps, n_random, by_pixel
    )
    found = ask(rows.examples, rows.points, rows.where, on_progress=on_progress, cancel=cancel)
    return rows.curves(found, name, seed)


def _all_ranks(values: Tensor, n_random: int, seed: int) -> Tensor:
    """When each feature's turn is (batch + n_random, features): in the order of each map, and in random orders."""
    generator = torch.Generator().manual_seed(seed)
    features = values.shape[1]
    ties, *orders = (torch.randperm(features, generator=generator, device="cpu") for _ in range(1 + n_random))
    return ranks_of(torch.cat([order_of(values, ties), torch.stack(orders)])).to(torch.int32)


class _Rows:
    """What goes through the model: example by example, in the order of the map each step from the first to the last,
    then in each random order those between, since both ends are the same for all."""

    def __init__(
        self,
        kind: str,
        subject: Subject,
        filled: tuple[Tensor, ...],
        ranks: Tensor,
        n_steps: int,
        n_random: int,
        by_pixel: bool,
    ) -> None:
        batch, features, xs = subject.batch, ranks.shape[1], subject.inputs
        steps = min(n_steps, features)
        self._kind, self._n_random, self._batch = kind, n_random, batch
        self._start, self._end = (xs, filled) if kind == DELETION else (filled, xs)
        # For each input the part of the ranks that is about it; several calls of a layer have one.
        shapes = [(1, *x.shape[2:]) if by_pixel and x.dim() == 4 else tuple(x.shape[1:]) for x in xs]
        sizes = [torch.Size(shapes[own[0]]).numel() for own in subject.parts]
        self._ranks = {
            i: (part.to(xs[i].device), shapes[i])
            for part, own in zip(ranks.split(sizes, dim=1), subject.parts, strict=True)
            for i in own
        }
        # To the nearest: parts differ by one feature at most.
        self._counts = (torch.arange(steps + 1, device="cpu") * features + steps // 2) // steps
        self._features = features
        first = torch.arange(steps + 1, device="cpu")
        others = torch.arange(1, n_random + 1, device="cpu")
        one = torch.cat([first, first[1:-1].repeat(n_random)])
        order = torch.cat([torch.zeros_like(first), others.repeat_interleave(steps - 1)])
        self._steps, self._orders = one.repeat(batch), order.repeat(batch)
        self.examples = torch.arange(batch, device="cpu").repeat_interleave(len(one))

    def points(self, part: slice) -> tuple[Tensor, ...]:
        """The rows (rows, ...) of the slice, of each input."""
        return tuple(self._points(i, part) for i in range(len(self._start)))

    def _points(self, number: int, part: slice) -> Tensor:
        ranks, shape = self._ranks[number]
        examples, orders, device = self.examples[part], self._orders[part], ranks.device
        places = torch.where(orders == 0, examples, self._batch - 1 + orders)
        counts = self._counts[self._steps[part]].to(device, torch.int32)
        taken = ranks[places.to(device)] < counts[:, None]
        taken = taken.reshape(len(examples), *shape)
        start, end = (t.expand(len(examples), *t.shape[1:]) if len(t) == 1 else t[examples.to(device)]
                      for t in (self._start[number], self._end[number]))  # fmt: skip
        # Exact, as each factor is 0 or 1 and both are finite; `where` takes thrice as long on the CPU.
        taken = taken.to(start.dtype)
        mixed: Tensor = (start * (1 - taken)).addcmul_(end, taken)
        return mixed

    def where(self, row: int) -> str:
        """In words."""
        order = int(self._orders[row])
        of = "the order of the map" if order == 0 else f"random order {order}"
        share = int(self._counts[self._steps[row]]) / self._features
        word = "replaced" if self._kind == DELETION else "inserted"
        return f"with {share:.1%} of the features {word} in {of} (example {int(self.examples[row])})"

    def curves(self, found: Tensor, fill: str, seed: int) -> Curves:
        """What `found` (rows,) says."""
        points = len(self._counts)
        by_example = found.reshape(self._batch, -1)
        outputs, between = by_example[:, :points], by_example[:, points:]
        between = between.reshape(len(outputs), self._n_random, points - 2)
        ends = [outputs[:, None, k].unsqueeze(-1).expand(-1, self._n_random, 1) for k in (0, -1)]
        return Curves(
            kind=self._kind,
            fill=fill,
            shares=self._counts.double() / self._features,
            outputs=outputs.clone(),
            random_outputs=torch.cat([ends[0], between, ends[1]], dim=2),
            seed=seed,
            evaluations=by_example.shape[1],
        )
