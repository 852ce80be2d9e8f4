"""What the map says of a region, beside what happens to the output when the region is replaced by the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, Tensors
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.asking import Asker
from ig_widgets.faithfulness.regions import Mask, Region, part_mask
from ig_widgets.faithfulness.subject import Subject, make_subject
from ig_widgets.tables import html_table, text_table
from ig_widgets.texts import plain

# What is meant of one input.
Part: TypeAlias = Region | bool | None
Values: TypeAlias = npt.NDArray[np.float64]

# Rows in the model at a time unless the caller says otherwise: forward passes keep little. A size that was found by
# trying would give numbers that agree to rounding only, from one audit to the next.
_ROWS = 32
# How far F at the ends may be from what an Attribution says, relative to the larger of both. Half precision and
# other chunks stay below; another target, input or baseline does not.
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class RegionAudit:
    """One region: what was attributed to it, and what replacing it by the baseline x' does. All in the units of F.

    `attribution_sum`: the sum of the attributions inside. `share`: that of the sum over all (NaN where that is 0); it
    may exceed 1 or be negative. `output`, `baseline_output`: F(x), F(x'). `output_without_region`: F where the region
    is taken from x' and all else from x. `output_with_region_only`: F where the region is taken from x and all else
    from x'. `pixels`: how many the region holds (of what is no picture, values). `masks`: which, of each input, of
    pictures (height, width). `name`, `unit`: what it, and what it holds, are called in a table.
    """

    attribution_sum: float
    share: float
    output: float
    baseline_output: float
    output_without_region: float
    output_with_region_only: float
    pixels: int
    masks: tuple[Mask, ...] = field(repr=False)
    name: str = "region"
    unit: str = "pixel"

    @property
    def mask(self) -> Mask:
        """Which pixels or values of the only input. Raises AttributeError where there are several inputs."""
        if len(self.masks) > 1:
            raise AttributeError(f"the region is one of {len(self.masks)} inputs; each has its own in masks")
        return self.masks[0]

    @property
    def drop(self) -> float:
        """By how much F falls when the region is replaced by the baseline."""
        return self.output - self.output_without_region

    @property
    def rise(self) -> float:
        """By how much F rises when only the region is put into the baseline."""
        return self.output_with_region_only - self.baseline_output

    def __repr__(self) -> str:
        return (
            f"RegionAudit({plain(self.name, 60)}, {counted(self.pixels, self.unit)}, "
            f"attribution {self.attribution_sum:.3g} ({_percent(self.share)}), drop {self.drop:.3g}, "
            f"rise {self.rise:.3g})"
        )


@dataclass(frozen=True, eq=False)
class RegionAudits(Sequence[RegionAudit]):
    """Several regions of one picture; prints as a table, in a notebook too."""

    audits: tuple[RegionAudit, ...]

    @overload
    def __getitem__(self, index: int) -> RegionAudit: ...
    @overload
    def __getitem__(self, index: slice) -> RegionAudits: ...
    def __getitem__(self, index: int | slice) -> RegionAudit | RegionAudits:
        """One, or some of them."""
        return RegionAudits(self.audits[index]) if isinstance(index, slice) else self.audits[index]

    def __len__(self) -> int:
        return len(self.audits)

    def __iter__(self) -> Iterator[RegionAudit]:
        return iter(self.audits)

    def __repr__(self) -> str:
        return text_table(self._head, [_row(audit) for audit in self.audits], right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head, [_row(audit) for audit in self.audits])

    @property
    def _head(self) -> tuple[str, ...]:
        units = {f"{audit.unit}s" for audit in self.audits} or {"pixels"}
        return _HEAD[0], "pixels" if units == {"pixels"} else "values", *_HEAD[2:]


_HEAD = ("region", "pixels", "attribution", "share", "F(x)", "without it", "drop", "F(x')", "with it only", "rise")


def _row(audit: RegionAudit) -> tuple[str, ...]:
    return (
        " ".join(audit.name.split()),
        str(audit.pixels),
        f"{audit.attribution_sum:.3g}",
        _percent(audit.share),
        f"{audit.output:.3g}",
        f"{audit.output_without_region:.3g}",
        f"{audit.drop:.3g}",
        f"{audit.baseline_output:.3g}",
        f"{audit.output_with_region_only:.3g}",
        f"{audit.rise:.3g}",
    )


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.0f}%"


def audit_region(
    forward_func: ForwardFunc,
    inputs: Tensors,
    region: Part | Sequence[Part],
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    attributions: Attribution | Tensors | None = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    chunk_size: int | None = None,
) -> RegionAudit:
    """The attribution of one region against what happens when the region is replaced; as `audit_regions`."""
    (audit,) = audit_regions(
        forward_func,
        inputs,
        [region],
        baselines=baselines,
        target=target,
        attributions=attributions,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=layer,
        chunk_size=chunk_size,
    )
    return audit


def audit_regions(
    forward_func: ForwardFunc,
    inputs: Tensors,
    regions: Sequence[Part | Sequence[Part]] | Mapping[str, Part | Sequence[Part]],
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    attributions: Attribution | Tensors | None = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    chunk_size: int | None = None,
) -> RegionAudits:
    """The attribution of regions against what happens to the output when each is replaced by the baseline.

    Where F is a sum of a function of the region and one of the rest, the region's attributions sum to `drop` and to
    `rise`. Where they do not, region and rest act together (or the map is wrong): the attribution is a mean over the
    path, `drop` what the region is worth beside all else, `rise` what it is worth alone. Ancona, Ceolini, Öztireli,
    Gross: Towards better understanding of gradient-based attribution methods for Deep Neural Networks (2018), who call
    a method for which sum and drop agree for all sets of n features sensitive of order n. A picture that is part
    photo, part baseline may be unlike any that the model was trained on; so is each point of the path.

    Args:
        forward_func: as in `attribute`.
        inputs: one example: a picture (1, channels, height, width), any tensor (1, ...), or a tuple of such.
        regions: several of them, or a mapping from names to them. Of a picture what `region_mask` takes, of another
            tensor a boolean mask (...), or of its first dimensions. Of several inputs a tuple of these, one for each,
            None for nothing of an input and True for all of it.
        baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        layer: as in `attribute`, for regions of what a layer gives: these are then replaced.
        attributions: an Attribution of these arguments, or a map: (height, width), (channels, height, width) or like
            inputs, for several a tuple. None runs `attribute` with its defaults.
        chunk_size: rows in the model at a time. There are two rows for each region and two for F(x) and F(x'), which
            go through the model together where they are few.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument cannot work; also an Attribution of another input, baseline
            or target, as is seen by F at its ends, and one with multiply_by_inputs=False, which has no sum to audit.
        OutputError, TrainingModeError, NonFiniteError, OutOfMemoryError, and what the model raises: as `attribute`.
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
    )
    if subject.batch != 1:
        raise ArgumentValueError(
            f"inputs must be one example, a picture (1, channels, height, width), say, got "
            f"{', '.join(str(tuple(x.shape)) for x in subject.inputs)}; audit examples one by one."
        )
    names, masks = _check_regions(regions, subject)
    if attributions is not None:
        return _audits(subject, names, masks, target=target, attributions=attributions, chunk_size=chunk_size)
    made = attribute(
        subject.forward_func,
        subject.inputs,
        baselines=subject.baselines,
        target=target,
        chunk_size=chunk_size,
        **subject.further,
    )
    maps = subject.added_up(made.attributions)
    return _audits(subject, names, masks, target=target, attributions=made, maps=maps, chunk_size=chunk_size)


def make_audits(
    forward_func: ForwardFunc,
    path: Path,
    names: Sequence[str],
    masks: Sequence[Mask],
    *,
    target: TargetLike,
    attributions: Attribution | Tensor,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    chunk_size: int | None = None,
    guard: AbstractContextManager[object] | None = None,
) -> RegionAudits:
    """The audits of `masks`, each (height, width), on the path of one picture; for callers who hold these already.

    `guard` is entered around each pass of the model (a lock, say), which must allow that again and again.
    Raises as `audit_regions`.
    """
    x, b = path.inputs, path.baselines
    subject = Subject(forward_func, x, b, False, additional_forward_args, forward_kwargs, output)
    given = [(mask,) for mask in masks]
    return _audits(subject, names, given, target=target, attributions=attributions, chunk_size=chunk_size, guard=guard)


def _audits(
    subject: Subject,
    names: Sequence[str],
    masks: Sequence[tuple[Mask, ...]],
    *,
    target: TargetLike,
    attributions: Attribution | Tensors,
    maps: tuple[Tensor, ...] | None = None,
    chunk_size: int | None,
    guard: AbstractContextManager[object] | None = None,
) -> RegionAudits:
    """`maps`: the attributions, one for each part of the subject, where they are at hand so."""
    values = _sums(_checked(attributions, subject) if maps is None else maps, subject)
    ask = Asker(subject, target=target, chunk_size=_ROWS if chunk_size is None else chunk_size, guard=guard)
    outputs = _outputs(ask, subject, masks)
    at_input, at_baseline = outputs[:2]
    if isinstance(attributions, Attribution):
        _check_ends(attributions, at_input, at_baseline)
    total = float(sum(v.sum() for v in values))
    audits = []
    for i, (name, parts) in enumerate(zip(names, masks, strict=True)):
        inside = float(sum(v[mask].sum() for v, mask in zip(values, parts, strict=True)))
        kept = tuple(mask.copy() for mask in parts)
        for mask in kept:
            mask.setflags(write=False)
        audits.append(
            RegionAudit(
                attribution_sum=inside,
                share=inside / total if total else math.nan,
                output=at_input,
                baseline_output=at_baseline,
                output_without_region=outputs[2 + 2 * i],
                output_with_region_only=outputs[3 + 2 * i],
                pixels=sum(int(mask.sum()) for mask in parts),
                masks=kept,
                name=name,
                unit="pixel" if all(x.dim() == 4 for x in subject.inputs) else "value",
            )
        )
    return RegionAudits(tuple(audits))


def _outputs(ask: Asker, subject: Subject, masks: Sequence[tuple[Mask, ...]]) -> list[float]:
    """F(x), F(x'), and for each region F without and F with only it."""
    # F(x) is without a region of nothing, F(x') with that only.
    regions = [tuple(np.zeros_like(mask) for mask in masks[0]), *masks]

    def points(part: slice) -> tuple[Tensor, ...]:
        found: dict[int, Tensor] = {}
        for number, own in enumerate(subject.parts):
            from_x = [regions[row // 2][number] ^ (row % 2 == 0) for row in range(part.start, part.stop)]
            for i in own:
                x, b = subject.inputs[i], subject.baselines[i]
                taken = torch.from_numpy(np.stack(from_x)).to(x.device)
                found[i] = torch.where(taken.unsqueeze(1) if x.dim() == 4 else taken, x, b)
        return tuple(found[i] for i in range(len(subject.inputs)))

    def where(row: int) -> str:
        if row < 2:
            return ("at the input", "at the baseline")[row]
        return f"{('without the region', 'with the region only')[row % 2]} (region {row // 2})"

    rows = torch.zeros(2 * len(regions), dtype=torch.int64, device="cpu")
    found: list[float] = ask(rows, points, where, alphas=(1.0, 0.0)).tolist()
    return found


def _check_regions(regions: object, subject: Subject) -> tuple[list[str], list[tuple[Mask, ...]]]:
    if isinstance(regions, Mapping):
        named = [(str(name), region) for name, region in regions.items()]
    elif isinstance(regions, list | tuple | np.ndarray | Tensor):
        named = [(str(i), region) for i, region in enumerate(regions, 1)]
    else:
        raise ArgumentTypeError(f"regions must be a list of regions or a mapping, got {type(regions).__name__}.")
    if not named:
        raise ArgumentValueError("regions is empty; give at least one.")
    if all(isinstance(region, int | float) and not isinstance(region, bool) for _, region in named):
        raise ArgumentTypeError("regions is a single region; put it into a list, or use audit_region.")
    shapes = [tuple(subject.inputs[own[0]].shape[1:]) for own in subject.parts]
    masks = []
    for name, region in named:
        try:
            masks.append(_masks_of(region, shapes))
        except (ArgumentTypeError, ArgumentValueError) as error:
            if len(named) > 1:
                error.add_note(f"This is region {name!r}.")
            raise
    return [name for name, _ in named], masks


def _masks_of(region: object, shapes: list[tuple[int, ...]]) -> tuple[Mask, ...]:
    """The masks of one region, for each tensor."""
    if len(shapes) == 1:
        masks: tuple[Mask, ...] = (part_mask(region, shapes[0]),)
    elif isinstance(region, tuple | list) and len(region) == len(shapes):
        masks = tuple(
            part_mask(part, shape, f"region[{i}]") for i, (part, shape) in enumerate(zip(region, shapes, strict=True))
        )
    else:
        seen = f"{len(region)} members" if isinstance(region, tuple | list) else type(region).__name__
        raise ArgumentTypeError(
            f"region must be a tuple of {len(shapes)}, for each input a mask of it, None (nothing) or True (all), got "
            f"{seen}."
        )
    if not any(mask.any() for mask in masks):
        raise ArgumentValueError("region holds nothing; give one that holds a pixel or a value at least.")
    return masks


def _checked(attributions: Attribution | Tensors, subject: Subject) -> tuple[Tensor, ...]:
    trace = attributions.path if isinstance(attributions, Attribution) else None
    if trace is not None and not trace.multiply_by_inputs:
        raise ArgumentValueError(
            "attributions is a mean gradient (multiply_by_inputs=False), whose sum over a region means nothing; "
            "leave multiply_by_inputs at True."
        )
    return subject.maps(attributions)


def _sums(maps: tuple[Tensor, ...], subject: Subject) -> list[Values]:
    """What was attributed to each pixel or value; of pictures summed over channels, which keeps completeness."""
    found = []
    for own, values in zip(subject.parts, maps, strict=True):
        x, wide = subject.inputs[own[0]], values.detach().cpu().double()[0]
        found.append((wide.sum(0) if x.dim() == 4 else wide.expand(x.shape[1:])).numpy())
    return found


def _check_ends(given: Attribution, output: float, baseline_output: float) -> None:
    scale = max(abs(output), abs(baseline_output))
    for seen, now, which in (
        (given.output, output, "F(x)"),
        (given.baseline_output, baseline_output, "F(x')"),
    ):
        if seen is not None and abs(float(seen[0]) - now) > _SAME * scale:
            raise ArgumentValueError(
                f"attributions is of another input, baseline or target: its {which} is {float(seen[0]):.4g}, here it "
                f"is {now:.4g}; give the one of these arguments, or None."
            )
