"""Exact Integrated Gradients of networks that are piecewise linear along the path: one gradient a piece.

A network of linear layers, ReLUs, max pooling and the like is linear in alpha between the points where a unit passes
its kink. Those are found here by watching the kinks themselves. What comes out owes nothing to any quadrature rule, so
that rules can be measured against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ig_widgets.engine.errors import ArgumentTypeError, IGError, OutputError
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs, ScalarFunction, refuse_training_mode
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, Tensors, make_path
from ig_widgets.engine.sampler import Sampler
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.target import TargetLike, make_target

# A value is zero below so many roundings of the largest one in its tensor, and a piece is not cut closer to its ends.
_ROUNDING = 64 * torch.finfo(torch.float64).eps
_NARROWEST = 4 * torch.finfo(torch.float64).eps
# Two gradients of each piece, at points that no symmetry of the path makes equal.
_INSIDE = (0.3, 0.6)
# How far those may be apart, and completeness off, relative to what is collected. Rounding stays far below,
# curvature far above.
_LIMIT = 1e-8
_ROWS = 64


class NotPiecewiseLinearError(IGError, ValueError):
    """The function is not piecewise linear along the path, has kinks of an unknown kind, or too many of them."""


@dataclass(frozen=True, eq=False)
class ExactAttribution:
    """Integrated Gradients to rounding.

    `attributions`: like the inputs. `breakpoints`: for each example the alphas, ascending and inside (0, 1), between
    which the function is linear (a unit that changes nothing in the end counts too). `residual` (batch,): how far the
    attributions are from adding up to F(x) - F(x'), relative to the largest of |F(x)|, |F(x')| and the sum of
    |attributions|.
    """

    attributions: Tensors
    breakpoints: tuple[Tensor, ...]
    residual: Tensor

    def __repr__(self) -> str:
        counts = ", ".join(str(len(alphas)) for alphas in self.breakpoints)
        return f"ExactAttribution({counts} breakpoints, residual {float(self.residual.max()):.1e})"


def piecewise_linear(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    multiply_by_inputs: bool = True,
    max_pieces: int = 20_000,
) -> ExactAttribution:
    """Integrated Gradients of a network that is piecewise linear from `baselines` to `inputs`, to rounding.

    Kinks are known of ReLU, ReLU6, leaky and parametric ReLU, thresholds, clamps, hardtanh, softshrink, absolute
    values, maxima and minima, max pooling, and comparisons. Costs one forward pass a breakpoint and two
    gradients a piece.

    Args:
        forward_func, inputs, baselines, target, additional_forward_args, forward_kwargs, output, multiply_by_inputs: as
            for `attribute`. The inputs must be float64, and so must be what forward_func returns:
            `copy.deepcopy(model).double()`.
        max_pieces: when to give up, for each example.

    Raises:
        NotPiecewiseLinearError: something else than linear and the above is on the way, or `max_pieces` is exceeded.
        ArgumentTypeError, OutputError: not float64.
        Whatever else `attribute` raises.
    """
    path = make_path(inputs, baselines)
    for x in path.inputs:
        if x.dtype != torch.float64:
            raise ArgumentTypeError(
                f"inputs holds {x.dtype}, and kinks are told apart in float64 only; give inputs.double() and "
                f"copy.deepcopy(model).double()."
            )
    function = ScalarFunction(
        forward_func,
        make_target(target, path.batch),
        additional_forward_args,
        path.batch,
        forward_kwargs=forward_kwargs,
        output=output,
    )
    refuse_training_mode(forward_func)
    sampler = Sampler(function, path, chunk_size=_ROWS)
    baseline_output, at_input = sampler.ends()
    watch = _Watch(function, path)

    sums, breakpoints, residuals = [], [], []
    for example in range(path.batch):
        edges = _edges(watch, example, max_pieces)
        total, curvature = _add_up(sampler, path, example, edges)
        contributions = total * _flat([d[0] for d in path.differences(torch.tensor([example], device="cpu"))])
        ends = float(baseline_output[example]), float(at_input[example])
        scale = max(float(contributions.abs().sum()), *map(abs, ends))
        delta = abs(float(contributions.sum()) - (ends[1] - ends[0]))
        residual = delta / scale if delta else 0.0
        if not max(residual, curvature) <= _LIMIT:
            raise NotPiecewiseLinearError(
                f"forward_func is not piecewise linear on the path of example {example}: in its {len(edges) - 1} "
                f"pieces gradients change by {curvature:.1e}, and completeness is missed by {residual:.1e}. Products "
                f"of activations, softmax, layer norm, GELU, sigmoid and the like are not, nor are kinks of sorting; "
                f"use attribute()."
            )
        sums.append(contributions if multiply_by_inputs else total)
        breakpoints.append(torch.tensor(edges[1:-1], dtype=torch.float64, device="cpu"))
        residuals.append(residual)
    parts = torch.stack(sums).split([x[0].numel() for x in path.inputs], dim=1)
    attributions = tuple(part.reshape(x.shape) for part, x in zip(parts, path.inputs, strict=True))
    return ExactAttribution(
        attributions=attributions if isinstance(inputs, tuple | list) else attributions[0],
        breakpoints=tuple(breakpoints),
        residual=torch.tensor(residuals, dtype=torch.float64, device=path.device),
    )


def _flat(members: Sequence[Tensor]) -> Tensor:
    return torch.cat([member.reshape(-1) for member in members])


def _add_up(sampler: Sampler, path: Path, example: int, edges: Sequence[float]) -> tuple[Tensor, float]:
    """The mean gradient (features,) of an example's path, and how far gradients inside a piece differ, relative."""
    alphas = [low + share * (high - low) for low, high in pairwise(edges) for share in _INSIDE]
    at = torch.tensor(alphas, dtype=torch.float64, device="cpu")
    rows: Iterator[Tensor] = (
        _flat(row)
        for block in sampler.sample(torch.full((len(at),), example, device="cpu"), at)
        for row in zip(*block.gradients, strict=True)
    )
    factor = _flat([d[0] for d in path.differences(torch.tensor([example], device="cpu"))])
    total, spread, size = torch.zeros_like(factor), 0.0, 0.0
    for (low, high), one, other in zip(pairwise(edges), rows, rows, strict=False):
        mean = (one + other) / 2
        total += (high - low) * mean
        spread += (high - low) * float(torch.linalg.vector_norm((one - other) * factor))
        size += (high - low) * float(torch.linalg.vector_norm(mean * factor))
    return total, spread / size if spread else 0.0


# ---------------------------------------------------------------- where the pieces end


def _edges(watch: _Watch, example: int, max_pieces: int) -> list[float]:
    """Alphas from 0 to 1 between which no unit passes its kink.

    The operation that is the first to change between two points has an input that is linear between them, so where it
    passes its kinks is known exactly. Cut there, and look at each part again: the later operations come in turn.
    """
    edges, here = [0.0], watch.look(example, 0.0)
    # Where to look next comes last; None: not looked yet, so that few points are kept in memory.
    ahead: list[tuple[float, _Seen | None]] = [(1.0, None)]
    while ahead:
        alpha, seen = ahead.pop()
        there = watch.look(example, alpha) if seen is None else seen
        cuts = _first_crossings(here, there, edges[-1], alpha)
        if len(edges) + len(ahead) + len(cuts) > max_pieces:
            raise NotPiecewiseLinearError(
                f"the path of example {example} has more than max_pieces={max_pieces} pieces; use attribute(), or "
                f"raise max_pieces."
            )
        if cuts:
            ahead += [(alpha, there), *((cut, None) for cut in reversed(cuts))]
        else:
            edges.append(alpha)
            here = there
    return edges


def _first_crossings(here: _Seen, there: _Seen, low: float, high: float) -> list[float]:
    """Where between `low` and `high` the first of the operations that change passes its kinks, ascending."""
    if [kink.shape for kink in here] != [kink.shape for kink in there]:
        raise NotPiecewiseLinearError(
            f"forward_func takes other operations at alpha = {high:.4g} than at {low:.4g}; where such a decision falls "
            f"is not known."
        )
    for one, other in zip(here, there, strict=True):
        before, after = one.gaps(other)
        zero = _ROUNDING * max(one.size, other.size)
        crossing = (before * after < 0) & (before.abs() > zero) & (after.abs() > zero)
        before, after = before[crossing], after[crossing]
        at = (low + (high - low) * (before / (before - after))).unique()
        cuts: list[float] = at[(at > low + _NARROWEST) & (at < high - _NARROWEST)].tolist()
        if cuts:
            return cuts
    return []


@dataclass(frozen=True, eq=False)
class _Sign:
    """A kink where `values` are zero. `size`: the largest of what they are the difference of."""

    values: Tensor
    size: float

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    def gaps(self, later: Any) -> tuple[Tensor, Tensor]:
        """Values here and at a later point; one whose sign changes has passed its kink."""
        return self.values, later.values


@dataclass(frozen=True, eq=False)
class _Choice:
    """A maximum over some of `values` (groups, length), which chose `index` (groups, choices).

    Which is the largest at both ends of a piece is so in between, as values are linear there.
    """

    values: Tensor
    index: Tensor
    size: float

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.values.shape, *self.index.shape)

    def gaps(self, later: Any) -> tuple[Tensor, Tensor]:
        """By how much the choice made here leads the one made later, here and later."""
        here, there = (v.gather(1, self.index) - v.gather(1, later.index) for v in (self.values, later.values))
        return here, there


_Seen: TypeAlias = list[_Sign | _Choice]


class _Watch:
    """Calls the function at single points of the path, so that its rows may be laid out in any way, and watches."""

    def __init__(self, function: ScalarFunction, path: Path) -> None:
        self._function = function
        self._path = path
        self._state_guard = StateGuard(function.forward_func, path.device)

    def look(self, example: int, alpha: float) -> _Seen:
        """Every kink of the function at this point, in the order of execution."""
        examples = torch.tensor([example], device="cpu")
        alphas = torch.tensor([alpha], dtype=torch.float64, device="cpu")
        recorder = _Recorder()

        def run() -> Tensor:
            points = self._path.points(examples, alphas)
            with recorder:
                return self._function(points, examples)

        output = self._state_guard.run(run, gradients=False)
        if output.dtype != torch.float64:
            raise OutputError(
                f"forward_func returned {output.dtype}, and kinks are told apart in float64 only; give "
                f"copy.deepcopy(model).double()."
            )
        return recorder.seen


# ---------------------------------------------------------------- operations with kinks


class _Recorder(TorchDispatchMode):
    """Notes what each operation with a kink is given. Below autograd, where its many Python names are one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: _Seen = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look before the operation runs, as it may work in place; at a maximum also at what it chose."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__.removesuffix("_")
        signs = _SIGNS.get(name)
        if signs is not None:
            given = _arguments(func, args, kwargs)
            if _is_float(given[0]):
                self.seen += [_sign(given[0], against) for against in signs(given)]
        result = func(*args, **kwargs)
        if name in _POOLS:
            plane = _POOLS[name]
            self.seen.append(_choice(args[0].flatten(-plane), result[1].flatten(-plane)))
        elif name in _EXTREMES and _is_float(args[0]):
            self.seen += _extreme(_EXTREMES[name], _arguments(func, args, kwargs))
        return result


def _arguments(func: Any, args: Any, kwargs: Any) -> list[Any]:
    """All arguments by position, with their defaults."""
    rest = func._schema.arguments[len(args) :]
    return [*args, *(kwargs.get(a.name, a.default_value if a.has_default_value() else None) for a in rest)]


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _sign(values: Tensor, against: Any) -> _Sign:
    return _Sign((values - against).flatten(), max(_size(values), _size(against)))


def _choice(values: Tensor, index: Tensor) -> _Choice:
    values = values.reshape(-1, values.shape[-1]).clone()
    return _Choice(values, index.reshape(len(values), -1), _size(values))


def _size(values: Tensor | float) -> float:
    """The largest absolute value; what is masked with infinity aside."""
    at = torch.as_tensor(values)
    return float(torch.where(at.isfinite(), at, 0).abs().amax()) if at.numel() else 0.0


def _extreme(sign: int, given: list[Any]) -> _Seen:
    values, over = given[0], given[1] if len(given) > 1 else None
    if isinstance(over, Tensor) or not values.dim():
        return []
    dims = [over] if isinstance(over, int) else list(over or range(values.dim()))
    last = sign * values.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims))
    return [_choice(last, last.argmax(-1))]


def _bounds(given: list[Any]) -> list[Any]:
    return [bound for bound in given[1:3] if bound is not None]


# Names of ATen without the underscore of the form that works in place. For each what the first argument is compared
# with: it has a kink where both are equal.
_SIGNS: dict[str, Callable[[list[Any]], list[Any]]] = {
    **dict.fromkeys(("relu", "leaky_relu", "_prelu_kernel", "rrelu_with_noise", "abs", "sgn", "sign"), lambda _: [0.0]),
    **dict.fromkeys(("clamp", "hardtanh"), _bounds),
    **dict.fromkeys(
        ("clamp_min", "clamp_max", "threshold", "maximum", "minimum", "gt", "ge", "lt", "le"), lambda given: [given[1]]
    ),
    "softshrink": lambda given: [-given[1], given[1]],
}
# How many dimensions the indices run over.
_POOLS = {
    "max_pool2d_with_indices": 2,
    "max_pool3d_with_indices": 3,
    "adaptive_max_pool2d": 2,
    "adaptive_max_pool3d": 3,
}
_EXTREMES = {"max": 1, "amax": 1, "min": -1, "amin": -1}
