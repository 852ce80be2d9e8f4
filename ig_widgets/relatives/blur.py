"""Blur IG: the path along which the input comes into focus."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute_along
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, CurvedPath, Tensors, along, make_path
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.engine.transfers import sent
from ig_widgets.relatives.layer import refuse_layer

# Below so many pixels the blur falls evenly: there it has next to no effect.
_FINE = 0.5


@with_progress
def blur_integrated_gradients(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,  # noqa: ARG001  (one signature for all)
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    sigma: float = 50.0,
    method: str = "auto",
    n_steps: int | None = None,
    tol: float = 0.05,
    max_evaluations: int = 1024,
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Attribution:
    """IG along the path on which the input comes into focus, from a blur of `sigma` pixels to none.

    The baseline is the input blurred by `sigma` (`baselines` has no part in it), and no pixel is darker or brighter on
    the path than in the input: no colour is left out of the question, and nothing is there that the input has not.
    `inputs`: pictures (batch, channels, height, width), or sequences (batch, channels, time). Edges are repeated
    outwards. The tangent is the exact derivative of the Gaussian kernel, for each row its own. In alpha the blur falls
    by about the same factor everywhere, until it is below a pixel: pictures change about as much from octave to octave,
    and to the integral it makes no difference how fast the path is gone. `method`,
    `n_steps`, `tol`, `max_evaluations`: as for `attribute`. Xu, Venugopalan, Sundararajan: Attribution in Scale and
    Space (2020), section 3. Raises as `attribute`, and ArgumentTypeError, ArgumentValueError for `sigma`.
    """
    refuse_layer(layer, "the path is one of pictures or sequences that come into focus")
    result = attribute_along(
        blur_path(inputs, sigma),
        forward_func,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        method=method,
        n_steps=n_steps,
        tol=tol,
        max_evaluations=max_evaluations,
        chunk_size=chunk_size,
        is_tuple=isinstance(inputs, tuple | list),
        on_progress=progress_of(on_progress),
        cancel=cancel,
    )
    return replace(result, method=f"blur path, {result.method}")


@dataclass(frozen=True, eq=False)
class BlurPath(CurvedPath):
    """The inputs, (batch, channels, height, width) or (batch, channels, time), blurred less and less from `sigma`."""

    sigma: float

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The blurred inputs at `alphas`."""
        return tuple(self._blurred(x, examples, alphas)[0].to(x.dtype) for x in self.inputs)

    def tangents(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """The derivative of the points with respect to alpha."""
        return tuple(self._blurred(x, examples, alphas)[1] for x in self.inputs)

    def _blurred(self, x: Tensor, examples: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        rows = x.index_select(0, examples.to(x.device)).to(dtype)
        octaves = math.log1p(self.sigma / _FINE)
        sigmas = _FINE * torch.expm1(octaves * (1 - alphas))
        across, across_slope = (sent(m, x.device, dtype) for m in mixing(x.shape[-1], sigmas, self.sigma))
        blurred, slope = _apply(rows, across), _apply(rows, across_slope)
        if x.dim() == 4:
            down, down_slope = (sent(m, x.device, dtype) for m in mixing(x.shape[-2], sigmas, self.sigma))
            upright, slope = blurred.transpose(-1, -2), slope.transpose(-1, -2)
            slope = (_apply(upright, down_slope) + _apply(slope, down)).transpose(-1, -2)
            blurred = _apply(upright, down).transpose(-1, -2)
        return blurred, along(-octaves * (sigmas + _FINE), blurred) * slope


def blur_path(inputs: Tensors, sigma: float) -> BlurPath:
    """The path of `blur_integrated_gradients`. Raises ArgumentTypeError, ArgumentValueError."""
    if isinstance(sigma, bool) or not isinstance(sigma, int | float):
        raise ArgumentTypeError(f"sigma must be a number of pixels, got {sigma!r}.")
    if not 0 < sigma < float("inf"):
        raise ArgumentValueError(f"sigma must be a positive number of pixels, got {sigma}.")
    xs = make_path(inputs, None).inputs
    for x in xs:
        if x.dim() not in (3, 4):
            raise ArgumentValueError(
                f"inputs has shape {tuple(x.shape)}; what can be blurred is (batch, channels, height, width) or "
                f"(batch, channels, time)."
            )
    everyone, zeros = torch.arange(len(xs[0]), device="cpu"), torch.zeros(len(xs[0]), dtype=torch.float64, device="cpu")
    return BlurPath(xs, BlurPath(xs, xs, float(sigma)).points(everyone, zeros), float(sigma))


def _apply(rows: Tensor, matrices: Tensor) -> Tensor:
    """Each of `rows` (rows, channels, ..., size) mixed by its own of `matrices` (rows, size, size)."""
    flat = rows.reshape(len(rows), -1, rows.shape[-1])
    return (flat @ matrices.transpose(1, 2)).reshape(rows.shape)


def mixing(size: int, sigmas: Tensor, most: float) -> tuple[Tensor, Tensor]:
    """How much each pixel of a line is given of each when blurred by `sigmas` (rows,), and the slope of that by sigma.

    Both (rows, size, size), float64, on the CPU. The kernel has the length that `most` needs, whatever sigma is: one
    that grew with sigma would jump.
    """
    radius = min(math.ceil(4 * most), 4 * size)
    squares = (torch.arange(-radius, radius + 1, device="cpu").double() ** 2)[None]
    sigma = sigmas.double()[:, None]
    # At 0 the kernel is 1 in the middle and has no slope.
    wide = sigma.clamp(min=1e-3)
    kernel = torch.softmax(-squares / (2 * wide**2), dim=1)
    slope = torch.where(sigma > 1e-3, kernel * (squares - (kernel * squares).sum(1, keepdim=True)) / wide**3, 0.0)
    source = (torch.arange(size, device="cpu")[:, None] + torch.arange(-radius, radius + 1, device="cpu")).clamp(
        0, size - 1
    )
    places = source.expand(len(sigmas), -1, -1)
    made = []
    for values in (kernel, slope):
        matrix = torch.zeros(len(sigmas), size, size, dtype=torch.float64, device="cpu")
        made.append(matrix.scatter_add_(2, places, values[:, None, :].expand_as(places)))
    return made[0], made[1]
