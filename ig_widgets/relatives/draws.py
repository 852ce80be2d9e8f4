"""Points drawn at random about an input, in place of a path."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.path import CurvedPath, Tensors, along, make_path, wide
from ig_widgets.engine.transfers import sent


@dataclass(frozen=True, eq=False)
class Draws(CurvedPath):
    """`count` points about each input, x' + a (x + noise - x'), in place of a path.

    The k-th lies at alpha = (k + 1/2) / count, so that the middle rule of `count` points takes each once. Its map is
    the gradient there, and where there are `origins` times x + noise - x'.
    `deviations`: standard deviations of the noise, (batch, 1, ...) for each input, or None. `seeds` (batch, count): of
    the noise. `origins`: for each input (K, ...), the baselines x' that are drawn from, or None: x' does not matter and
    a is 1. `chosen` (batch, count): which of them; `positions` (batch, count): a.
    """

    count: int
    deviations: tuple[Tensor, ...] | None
    seeds: Tensor
    origins: tuple[Tensor, ...] | None
    chosen: Tensor
    positions: Tensor
    # The rows that `points` was last asked for, and their inputs under noise: `tangents` is asked for the same next.
    _drawn: list[tuple[Tensor, Tensor, tuple[Tensor, ...]]] = field(default_factory=list, init=False, repr=False)

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The draws at `alphas` (rows,) about the inputs of `examples` (rows,)."""
        ends = self._noisy(examples, alphas)
        if self.origins is None:
            return ends
        if self.deviations is not None:
            self._drawn[:] = [(examples, alphas, ends)]
        a = self.positions[examples, self._number(alphas)]
        starts = self._starts(examples, alphas)
        # lerp is exact at both ends.
        mixed = (torch.lerp(wide(b), wide(x), along(a, x)) for b, x in zip(starts, ends, strict=True))
        return tuple(m.to(x.dtype) for m, x in zip(mixed, ends, strict=True))

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The factor of the gradient at each draw: x + noise - x', or 1."""
        if self.origins is None:
            return tuple(
                torch.ones((), dtype=wide(x).dtype, device=x.device).expand(len(examples), *x.shape[1:])
                for x in self.inputs
            )
        drawn, self._drawn[:] = list(self._drawn), []
        same = (x for e, a, x in drawn if torch.equal(e, examples) and torch.equal(a, alphas))
        ends, starts = next(same, None) or self._noisy(examples, alphas), self._starts(examples, alphas)
        return tuple(wide(x) - wide(b) for x, b in zip(ends, starts, strict=True))

    def place(self, low: float, high: float) -> str:
        """A description of where draws lie, for errors."""
        first, last = (int(self._number(torch.tensor(alpha, device="cpu"))) for alpha in (low, high))
        return f"at draw {first} of {self.count}" if first == last else f"at draws {first} to {last} of {self.count}"

    def _number(self, alphas: Tensor) -> Tensor:
        return (alphas * self.count).long().clamp(0, self.count - 1)

    def _noisy(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        rows = tuple(x.index_select(0, sent(examples, x.device)) for x in self.inputs)
        if self.deviations is None:
            return rows
        generators = [torch.Generator().manual_seed(int(seed)) for seed in self.seeds[examples, self._number(alphas)]]
        made = []
        for x, deviation in zip(rows, self.deviations, strict=True):
            values = wide(x)
            drawn = torch.stack(
                [torch.randn(x.shape[1:], generator=g, dtype=torch.float32, device="cpu") for g in generators]
            )
            scale = deviation.index_select(0, sent(examples, x.device))
            made.append((values + scale * sent(drawn, x.device, values.dtype)).to(x.dtype))
        return tuple(made)

    def _starts(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        chosen = self.chosen[examples, self._number(alphas)]
        return tuple(o.index_select(0, sent(chosen, o.device)) for o in self.origins or ())


def draw(
    inputs: Tensors,
    *,
    count: int,
    sigma: float = 0.0,
    seed: int = 0,
    origins: tuple[Tensor, ...] | None = None,
    positions: Tensor | None = None,
    chosen: Tensor | None = None,
) -> Draws:
    """Draws about `inputs`, by `seed`, the same on every device and in every dtype.

    `sigma`: of the noise, as a share of the range (largest less smallest value) of each example's inputs. With
    `origins` and nothing else, alpha and baseline are drawn together: one alpha in each of `count` equal parts of
    [0, 1], and each baseline as often as every other, both in random order.
    """
    xs = make_path(inputs, None).inputs
    batch = len(xs[0])
    check_seed(seed)
    generator = torch.Generator().manual_seed(int(seed))
    seeds = torch.randint(2**62, (batch, count), generator=generator, device="cpu")
    if positions is None:
        parts = torch.stack([torch.randperm(count, generator=generator, device="cpu") for _ in range(batch)])
        jitter = torch.rand(batch, count, generator=generator, dtype=torch.float64, device="cpu")
        positions = (parts + jitter) / count
    if chosen is None:
        chosen = torch.stack(
            [_balanced_choice(1 if origins is None else len(origins[0]), count, generator) for _ in range(batch)]
        )
    deviations = None
    if sigma:
        flat = [wide(x).reshape(batch, -1) for x in xs]
        ranges = [along(f.amax(1) - f.amin(1), x) for f, x in zip(flat, xs, strict=True)]
        deviations = tuple(sigma * r for r in ranges)
    return Draws(xs, xs, count, deviations, seeds, origins, chosen, positions)


def check_count(name: str, value: object) -> int:
    """An int of at least 1. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{name} must be an integer >= 1, got {value!r} ({type(value).__name__}).")
    if value < 1:
        raise ArgumentValueError(f"{name} must be at least 1, got {value}.")
    return value


def check_sigma(sigma: object) -> float:
    """A number from 0. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(sigma, bool) or not isinstance(sigma, int | float):
        raise ArgumentTypeError(f"sigma must be a number, got {sigma!r} ({type(sigma).__name__}).")
    if not 0 <= sigma < float("inf"):
        raise ArgumentValueError(f"sigma is a share of the range of the inputs and must be at least 0, got {sigma}.")
    return float(sigma)


def _balanced_choice(number: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` of 0 .. number - 1, each as often as every other, to one, in random order."""
    rounds = [torch.randperm(number, generator=generator, device="cpu") for _ in range(-(-count // number))]
    return torch.cat(rounds)[:count]
