"""XRAI: regions of a picture, ranked by their mean attribution."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute, samples_along
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, make_path
from ig_widgets.engine.progress import Progress, ProgressLike, progress_of, with_progress
from ig_widgets.engine.target import TargetLike
from ig_widgets.relatives.caveats import caveats_of
from ig_widgets.relatives.draws import check_count, draw
from ig_widgets.relatives.layer import refuse_layer

Labels: TypeAlias = npt.NDArray[Any] | Tensor
Segments: TypeAlias = Labels | Sequence[Labels]
# The scales and the widening of the paper's code, for pictures about 224 pixels wide.
_SCALES = (50, 100, 150, 250, 500, 1200)
_SMOOTHING, _LEAST_SEGMENT, _WIDENING = 0.8, 150, 5


@dataclass(frozen=True, eq=False, repr=False)
class RegionAttribution(Attribution):
    """An attribution to regions. `ranks` (batch, height, width): 0 for the region taken first, -1 for what is left."""

    ranks: Tensor = field(default_factory=lambda: torch.zeros(0, device="cpu"), repr=False)


@with_progress
def xrai(
    forward_func: ForwardFunc,
    inputs: Tensors,
    *,
    target: TargetLike = None,
    baselines: Baselines = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    attributions: Attribution | Tensor | None = None,
    segments: Segments | None = None,
    min_pixels: int = 50,
    chunk_size: int | None = None,
    seed: int = 0,  # noqa: ARG001  (one signature for all)
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> RegionAttribution:
    """The picture cut into regions, of which each has the mean attribution of its pixels; the highest are taken first.

    `inputs`: pictures (batch, channels, height, width). `attributions`: the map that is gathered, an Attribution of any
    kind or a tensor, summed over channels; None is the mean of IG from the `baselines` or, without these, from the
    smallest and from the largest value of each picture (in the paper: black and white). `segments`: label maps,
    integers (height, width), or a list of them, for all pictures; None cuts each picture by felzenszwalb of
    scikit-image (the extra `xrai`) at six scales, and widens each region by 5 pixels. Of the regions that overlap the
    one with the highest mean over what is not yet taken goes first; one that would add less than `min_pixels` is left
    out.

    Returns RegionAttribution: `attributions` has the region's mean at each pixel, spread evenly over the channels, so
    that its sum is that of the map; `ranks` says which region was taken when. Kapishnikov, Bolukbasi, Viegas, Terry:
    XRAI: Better Attributions Through Regions (2019), section 3. Raises as `attribute`, and ImportError,
    ArgumentTypeError, ArgumentValueError.
    """
    refuse_layer(layer, "regions are cut from a picture")
    begin = time.perf_counter()
    path, least = make_path(inputs, None), check_count("min_pixels", min_pixels)
    if len(path.inputs) > 1 or path.inputs[0].dim() != 4:
        seen = ", ".join(str(tuple(x.shape)) for x in path.inputs)
        raise ArgumentValueError(f"inputs must be pictures (batch, channels, height, width), got {seen}.")
    x = path.inputs[0]
    given = None if segments is None else _masks_of(segments, x)
    options: dict[str, Any] = {
        "target": target,
        "additional_forward_args": additional_forward_args,
        "forward_kwargs": forward_kwargs,
        "output": output,
        "chunk_size": chunk_size,
    }
    runs = [attributions] if isinstance(attributions, Attribution) else []
    if attributions is None:
        runs = _runs(forward_func, x, baselines, progress_of(on_progress), options | {"cancel": cancel})
    # A bare tensor tells nothing of F: one forward pass does.
    if isinstance(attributions, Tensor):
        sampled = samples_along(draw(x, count=1), forward_func, **options, cancel=cancel)
        maps, at_input = _summed(attributions, x), sampled.output
    else:
        maps, at_input = torch.stack([_summed(run.attributions, x) for run in runs]).mean(0), runs[0].output
    found = [
        gather(values, given if given is not None else cut(picture), least)
        for picture, values in zip(x, maps.cpu().double().numpy(), strict=True)
    ]
    levels, ranks = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
    # Evenly over channels, so that the sum over them is the level of the region.
    spread = (levels.unsqueeze(1) / x.shape[1]).expand(x.shape).to(device=x.device, dtype=x.dtype, copy=True)
    return RegionAttribution(
        attributions=(spread,) if isinstance(inputs, tuple | list) else spread,
        convergence_delta=_mean([run.convergence_delta for run in runs]),
        output=at_input.to(device=x.device, dtype=torch.promote_types(x.dtype, torch.float32)),
        baseline_output=_mean([run.baseline_output for run in runs]),
        method=f"xrai of {runs[0].method}" if runs else "xrai",
        n_steps=runs[0].n_steps if runs else 0,
        evaluations=sum(run.evaluations for run in runs),
        elapsed=time.perf_counter() - begin,
        caveats=caveats_of(runs),
        ranks=ranks,
    )


def _runs(
    forward_func: ForwardFunc, x: Tensor, baselines: Baselines, on_progress: Progress | None, options: dict[str, Any]
) -> list[Attribution]:
    """IG from the baselines, or from both ends of each picture's range."""
    # From black nothing is attributed to black, from white nothing to white: the mean of both covers the picture.
    ends = [getattr(x, which)(dim=(1, 2, 3), keepdim=True) for which in ("amin", "amax")]
    starts: list[Baselines] = [*ends] if baselines is None else [baselines]
    runs: list[Attribution] = []
    for k, start in enumerate(starts):
        before = sum(run.evaluations for run in runs) * len(x)

        def progress(done: int, total: int, k: int = k, before: int = before) -> None:
            # What the runs to come will need is taken to be what this one needs.
            if on_progress is not None:
                on_progress(before + done, before + total * (len(starts) - k))

        runs.append(attribute(forward_func, x, baselines=start, on_progress=progress, **options))
    return runs


def gather(
    values: npt.NDArray[np.float64], regions: Sequence[npt.NDArray[np.int64]], min_pixels: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The level of each pixel of a map (height, width), and the rank of its region.

    `regions`: the flat indices of the pixels of each, which may overlap.
    """
    flat = values.reshape(-1)
    owners = np.repeat(np.arange(len(regions)), [len(pixels) for pixels in regions])
    pixels = np.concatenate(regions)
    sums, counts = np.bincount(owners, flat[pixels]), np.bincount(owners).astype(np.float64)
    # The regions that hold a pixel lie between two of `starts`.
    order = np.argsort(pixels, kind="stable")
    owners_by_pixel = owners[order]
    starts = np.searchsorted(pixels[order], np.arange(len(flat) + 1))
    levels, ranks = np.zeros_like(flat), np.full(len(flat), -1)
    left = np.ones(len(flat), dtype=np.bool_)
    for rank in range(len(regions)):
        means = np.where(counts >= min_pixels, sums / np.maximum(counts, 1), -np.inf)
        best = int(means.argmax())
        if means[best] == -np.inf:
            break
        new = regions[best][left[regions[best]]]
        # Its own sum has been reduced piece by piece; anew it is exact.
        levels[new], ranks[new], left[new] = flat[new].mean(), rank, False
        held = np.concatenate([np.arange(starts[p], starts[p + 1]) for p in new])
        touched = owners_by_pixel[held]
        from_pixels = np.repeat(flat[new], starts[new + 1] - starts[new])
        sums -= np.bincount(touched, from_pixels, minlength=len(sums))
        counts -= np.bincount(touched, minlength=len(counts))
    if left.any():
        levels[left] = flat[left].mean()
    return levels.reshape(values.shape), ranks.reshape(values.shape)


def cut(picture: Tensor) -> list[npt.NDArray[np.int64]]:
    """The regions of one picture (channels, height, width) by Felzenszwalb and Huttenlocher (2004), widened.

    Raises ImportError that names the extra.
    """
    try:
        from skimage import morphology, segmentation
    except ImportError as error:
        raise ImportError("xrai without segments needs scikit-image: pip install 'ig_widgets[xrai]'.") from error
    low, high = float(picture.min()), float(picture.max())
    image = ((picture.float() - low) / max(high - low, 1e-12)).permute(1, 2, 0).cpu().numpy()
    # At most the size that the paper's pictures have; a small picture is cut into as many regions.
    share = min(1.0, image.shape[0] * image.shape[1] / 224**2)
    disk: Any = morphology.disk(round(_WIDENING * share**0.5))  # type: ignore[no-untyped-call]
    regions = []
    for scale in _SCALES:
        labels = segmentation.felzenszwalb(
            image, scale=scale, sigma=_SMOOTHING, min_size=max(1, round(_LEAST_SEGMENT * share)), channel_axis=-1
        )
        each = (labels == label for label in range(int(labels.max()) + 1))
        regions += [np.flatnonzero(morphology.dilation(mask, disk)) for mask in each]
    return regions


def _masks_of(segments: Segments, x: Tensor) -> list[npt.NDArray[np.int64]]:
    maps = list(segments) if isinstance(segments, list | tuple) else [segments]
    regions = []
    for labels in maps:
        array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        if array.shape != tuple(x.shape[2:]) or array.dtype.kind not in "biu":
            raise ArgumentValueError(
                f"segments must be label maps, integers of shape {tuple(x.shape[2:])}, got {array.shape} of "
                f"{array.dtype}."
            )
        regions += [np.flatnonzero(array == label) for label in np.unique(array)]
    if not regions:
        raise ArgumentValueError("segments is empty; give a label map, or None.")
    return regions


def _summed(attributions: Tensors, x: Tensor) -> Tensor:
    """The map summed over channels: (batch, height, width)."""
    values = attributions[0] if isinstance(attributions, tuple) else attributions
    if values.shape == x.shape:
        values = values.sum(1)
    if values.shape != (len(x), *x.shape[2:]):
        raise ArgumentValueError(
            f"attributions has shape {tuple(values.shape)}, inputs {tuple(x.shape)}; it must be like inputs, or maps "
            f"{(len(x), *x.shape[2:])}."
        )
    return values


def _mean(parts: Sequence[Tensor | None]) -> Tensor | None:
    found = [part for part in parts if part is not None]
    return torch.stack(found).mean(0) if found and len(found) == len(parts) else None
