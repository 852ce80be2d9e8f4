"""From the baseline to the input: the straight line, other paths, and what may be given as either end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.transfers import sent

Tensors: TypeAlias = Tensor | tuple[Tensor, ...]
Baseline: TypeAlias = None | int | float | Tensor
Baselines: TypeAlias = Baseline | tuple[Baseline, ...] | Callable[..., Tensors]

# Where one input is given several baselines.
_SEVERAL = (
    " From several baselines for each input igw.relatives.over_baselines makes a map of each, and "
    "igw.relatives.expected_gradients one of all."
)


@dataclass(frozen=True, eq=False)
class Path:
    """x' + alpha (x - x') for a batch of examples, each input tensor with a baseline of its own shape.

    `inputs` and `baselines` are tuples of tensors (batch, ...), equal in shape, dtype and device.
    """

    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]

    # Whether dF/dalpha is the gradient times one and the same x - x' everywhere.
    is_straight: ClassVar[bool] = True

    @property
    def batch(self) -> int:
        """The number of examples."""
        return self.inputs[0].shape[0]

    @property
    def device(self) -> torch.device:
        """Where the inputs lie."""
        return self.inputs[0].device

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The points at `alphas` (rows,) of the paths of `examples` (rows,): tensors (rows, ...).

        Half precision is interpolated in float32 and rounded once.
        """
        return tuple(
            _interpolate(_take(b, examples), _take(x, examples), alphas)
            for x, b in zip(self.inputs, self.baselines, strict=True)
        )

    def ends(self, rows: slice) -> tuple[Tensor, ...]:
        """The baselines and then the inputs themselves, (2 * batch, ...), of these the `rows`."""
        first, last = (slice(max(rows.start - k, 0), max(rows.stop - k, 0)) for k in (0, self.batch))
        return tuple(torch.cat([b[first], x[last]]) for x, b in zip(self.inputs, self.baselines, strict=True))

    def differences(self, examples: Tensor) -> tuple[Tensor, ...]:
        """x - x' for each of `examples` (rows,), in at least float32."""
        return tuple(_take(wide(x) - wide(b), examples) for x, b in zip(self.inputs, self.baselines, strict=True))

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002  (straight)
        """d point / d alpha at `alphas` (rows,) of the paths of `examples` (rows,), in at least float32."""
        return self.differences(examples)

    def chords(self, examples: Tensor, lows: Tensor, highs: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002  (straight)
        """The mean of the tangent between `lows` and `highs` (rows,), in at least float32."""
        return self.differences(examples)

    def place(self, low: float, high: float) -> str:
        """Where the rows between these alphas lie, for a message."""
        return f"at alpha = {low:.4g}" if low == high else f"at alpha between {low:.4g} and {high:.4g}"


@dataclass(frozen=True, eq=False)
class CurvedPath(Path):
    """Any other path: what is attributed is the integral of gradient times tangent, feature by feature.

    Of its samples that product is kept in place of the gradient, which alone would have no meaning later. A subclass
    gives `points` and `tangents`; `points` at 0 and 1 are `baselines` and `inputs`.
    """

    is_straight: ClassVar[bool] = False

    @abstractmethod
    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The points at `alphas` (rows,) of the paths of `examples` (rows,): tensors (rows, ...)."""

    @abstractmethod
    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """d point / d alpha there, in at least float32."""

    def chords(self, examples: Tensor, lows: Tensor, highs: Tensor) -> tuple[Tensor, ...]:
        """The mean of the tangent between `lows` and `highs` (rows,), in at least float32."""
        length = highs - lows
        starts, ends = self.points(examples, lows), self.points(examples, highs)
        return tuple((wide(end) - wide(start)) / along(length, end) for start, end in zip(starts, ends, strict=True))


def along(values: Tensor, like: Tensor) -> Tensor:
    """`values` (rows,) as a factor of `like` (rows, ...), on its device, in its dtype or float32 if that is less."""
    dtype = torch.float32 if like.element_size() < 4 else like.dtype
    return sent(values, like.device, dtype).view(-1, *[1] * (like.dim() - 1))


def wide(tensor: Tensor) -> Tensor:
    """In at least float32."""
    return tensor.float() if tensor.element_size() < 4 else tensor


def _take(tensor: Tensor, examples: Tensor) -> Tensor:
    # One example is repeated without a copy.
    if tensor.shape[0] == 1:
        return tensor.expand(len(examples), *tensor.shape[1:])
    return tensor.index_select(0, sent(examples, tensor.device))


def _interpolate(start: Tensor, end: Tensor, alphas: Tensor) -> Tensor:
    # Written as Captum writes it: one rounding more or less flips ReLUs that sit at their kink, and with them
    # gradients by whole weights (1% of the largest value on EfficientNet-Lite0), so that maps could not be compared.
    low, high = wide(start), wide(end)
    return (low + along(alphas, low) * (high - low)).to(start.dtype)


def make_path(inputs: Tensors, baselines: Baselines) -> Path:
    """Check and bring `inputs` and `baselines` into one form.

    Raises ArgumentTypeError, ArgumentValueError: each names the argument, what was seen and what would work.
    """
    return Path(*make_ends(inputs, baselines))


def make_ends(
    inputs: object, baselines: Any, *, integers: bool = False
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The inputs and the baseline of each, copies, equal in shape; `integers`: token ids may be among them.

    Raises as `make_path`.
    """
    xs = _check_inputs(inputs, integers)
    if callable(baselines) and not isinstance(baselines, Tensor):
        baselines = baselines(inputs)
    given = tuple(baselines) if isinstance(baselines, tuple | list) else (baselines,) * len(xs)
    if isinstance(baselines, Tensor) and len(xs) > 1:
        raise ArgumentTypeError(
            f"baselines is one tensor for {len(xs)} inputs; give a tuple of {len(xs)} baselines, a number or None."
        )
    if len(given) != len(xs):
        raise ArgumentValueError(
            f"baselines has {len(given)} members, inputs has {len(xs)}; give one for each."
            f"{_SEVERAL if len(xs) == 1 or any(isinstance(b, tuple | list) for b in given) else ''}"
        )
    checked = [
        _check_baseline(baseline, x, _name("baselines", i, xs))
        for i, (baseline, x) in enumerate(zip(given, xs, strict=True))
    ]
    return xs, tuple(checked)


def _name(argument: str, index: int, members: tuple[object, ...]) -> str:
    return argument if len(members) == 1 else f"{argument}[{index}]"


def _check_inputs(inputs: object, integers: bool) -> tuple[Tensor, ...]:
    members = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not members:
        raise ArgumentValueError("inputs is an empty tuple; give a tensor or a tuple of tensors, batch first.")
    for i, x in enumerate(members):
        name = _name("inputs", i, members)
        if isinstance(x, Mapping):
            raise ArgumentTypeError(
                f"{name} is a {type(x).__name__}; pass what is explained as inputs, a tensor, and the rest as "
                f"forward_kwargs."
            )
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(
                f"{name} must be a tensor, batch first, got {type(x).__name__}; torch.as_tensor(...) makes one."
            )
        _refuse_unsupported(name, x)
        if not x.is_floating_point() and (x.is_complex() or not integers):
            raise ArgumentTypeError(
                f"{name} holds {x.dtype}, along which there is no path and no gradient. For token ids attribute the "
                f"embeddings instead: pass the embedding layer's output as inputs, and a forward_func that takes it."
            )
        if x.dim() == 0:
            raise ArgumentValueError(f"{name} is a scalar; the first dimension must be the batch: use x.reshape(1, 1).")
        if x.numel() == 0:
            raise ArgumentValueError(f"{name} of shape {tuple(x.shape)} is empty; give at least one example.")
        if x.shape[0] != members[0].shape[0]:
            raise ArgumentValueError(
                f"{name} has {x.shape[0]} rows, inputs[0] has {members[0].shape[0]}; the first dimension of each input "
                f"must be the same batch."
            )
        if not torch.isfinite(x).all():
            raise ArgumentValueError(f"{name} holds NaN or infinite values; a path to them has no integral.")
    # Copies: what is changed in place afterwards does not change the path.
    return tuple(x.detach().clone() for x in members)


def _refuse_unsupported(name: str, x: Tensor) -> None:
    """Raise ArgumentTypeError for tensors of which there are no rows, or no values."""
    if x.is_nested:
        raise ArgumentTypeError(
            f"{name} is a nested tensor, whose rows are of different size; pad it, torch.nested.to_padded_tensor(x, "
            f"0.0), and pass a mask by forward_kwargs."
        )
    if x.layout != torch.strided:
        raise ArgumentTypeError(f"{name} is sparse ({x.layout}); give {name}.to_dense().")
    if x.is_quantized:
        raise ArgumentTypeError(f"{name} is quantised ({x.dtype}); give {name}.dequantize().")
    if x.is_meta:
        raise ArgumentTypeError(f"{name} is on the meta device, where tensors have a shape and no values.")


def _check_baseline(baseline: object, x: Tensor, name: str) -> Tensor:
    if baseline is None:
        baseline = 0.0
    if isinstance(baseline, int | float) and not isinstance(baseline, bool):
        if not x.is_floating_point() and baseline != int(baseline):
            raise ArgumentValueError(f"{name} is {baseline}, and its input holds {x.dtype}; give an integer.")
        value = torch.full((), baseline, dtype=x.dtype, device=x.device)
    elif isinstance(baseline, Tensor):
        if baseline.is_complex() or (baseline.is_floating_point() and not x.is_floating_point()):
            raise ArgumentTypeError(f"{name} holds {baseline.dtype}, its input {x.dtype}; give values of its kind.")
        value = baseline.detach().to(device=x.device, dtype=x.dtype, copy=True)
    else:
        raise ArgumentTypeError(
            f"{name} must be None, a number, a tensor or a callable that is given the inputs, "
            f"got {type(baseline).__name__}.{_SEVERAL if isinstance(baseline, tuple | list) else ''}"
        )
    try:
        value = value.expand(x.shape)
    except RuntimeError:
        several = _SEVERAL if value.dim() == x.dim() and value.shape[1:] == x.shape[1:] else ""
        raise ArgumentValueError(
            f"{name} has shape {tuple(value.shape)}, its input {tuple(x.shape)}; a baseline must broadcast to its "
            f"input: give {tuple(x.shape)}, or {(1, *x.shape[1:])} for all examples.{several}"
        ) from None
    if not torch.isfinite(value).all():
        raise ArgumentValueError(f"{name} holds NaN or infinite values; a path from them has no integral.")
    return value
