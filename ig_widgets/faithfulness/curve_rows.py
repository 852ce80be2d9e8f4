"""Points between an input and its fill, of which ever more features are exchanged, and the curves of F there."""

from __future__ import annotations

import torch
from torch import Tensor

from ig_widgets.faithfulness.curve import DELETION, Curves
from ig_widgets.faithfulness.maps import order_of, ranks_of
from ig_widgets.faithfulness.subject import Subject


def all_ranks(values: Tensor, n_random: int, seed: int) -> Tensor:
    """When each feature's turn is (batch + n_random, features): in the order of each map, and in random orders."""
    generator = torch.Generator().manual_seed(seed)
    features = values.shape[1]
    # Equal attributions are ordered by chance: their order in memory would favour one corner of a picture.
    ties, *orders = (torch.randperm(features, generator=generator, device="cpu") for _ in range(1 + n_random))
    return ranks_of(torch.cat([order_of(values, ties), torch.stack(orders)])).to(torch.int32)


class CurveRows:
    """The rows that go through the model for all curves, and the curves that their outputs make.

    Example by example: in the order of the map each step from the first to the last, then in each random order the
    steps between, since both ends are the same for all orders.
    """

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
        """A description of a row, for an error."""
        order = int(self._orders[row])
        of = "the order of the map" if order == 0 else f"random order {order}"
        share = int(self._counts[self._steps[row]]) / self._features
        word = "replaced" if self._kind == DELETION else "inserted"
        return f"with {share:.1%} of the features {word} in {of} (example {int(self.examples[row])})"

    def curves(self, found: Tensor, fill: str, seed: int) -> Curves:
        """The curves of the outputs `found` (rows,)."""
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
