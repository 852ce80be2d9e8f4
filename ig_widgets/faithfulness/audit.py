"""Audits regions: their attribution against the change of the output when they are replaced by the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, Tensors
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.evaluator import Evaluator
from ig_widgets.faithfulness.region_audit import RegionAudit, RegionAudits
from ig_widgets.faithfulness.region_masks import check_regions
from ig_widgets.faithfulness.regions import Mask, Region
from ig_widgets.faithfulness.subject import Subject, make_subject

# What is meant of one input.
Part: TypeAlias = Region | bool | None
Values: TypeAlias = npt.NDArray[np.float64]

# Rows in the model at a time unless the caller says otherwise: forward passes keep little. A size that was found by
# trying would give numbers that agree to rounding only, from one audit to the next.
_ROWS = 32
# How far F at the ends may be from what an Attribution says, relative to the larger of both. Half precision and
# other chunks stay below; another target, input or baseline does not.
_SAME = 0.05


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
    names, masks = check_regions(regions, subject)
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
    """The audits of `masks`. `maps`: the attributions, one for each part of the subject, if they are known already."""
    values = _sums(_maps_of(attributions, subject) if maps is None else maps, subject)
    ask = Evaluator(subject, target=target, chunk_size=_ROWS if chunk_size is None else chunk_size, guard=guard)
    outputs = _outputs(ask, subject, masks)
    at_input, at_baseline = outputs[:2]
    if isinstance(attributions, Attribution):
        _check_ends(attributions, at_input, at_baseline)
    total = float(sum(v.sum() for v in values))
    audits = []
    for i, (name, parts) in enumerate(zip(names, masks, strict=True)):
        inside = float(sum(v[mask].sum() for v, mask in zip(values, parts, strict=True)))
        # Results are frozen, and the caller may go on to change a mask.
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


def _outputs(ask: Evaluator, subject: Subject, masks: Sequence[tuple[Mask, ...]]) -> list[float]:
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


def _maps_of(attributions: Attribution | Tensors, subject: Subject) -> tuple[Tensor, ...]:
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
    # The ends tell which question an Attribution answers, and cost no pass of their own.
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
