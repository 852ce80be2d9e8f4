"""What the map says of a region, beside what happens to the output when the region is replaced by the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.model import ForwardFunc, ForwardKwargs
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Path, make_path
from ig_widgets.engine.target import TargetLike
from ig_widgets.engine.wording import counted
from ig_widgets.faithfulness.asking import Asker
from ig_widgets.faithfulness.regions import Mask, Region, region_mask
from ig_widgets.tables import html_table, text_table
from ig_widgets.texts import plain

# Rows in the model at a time unless the caller says otherwise: forward passes keep little. A size that was found by
# trying would give numbers that agree to rounding only, from one audit to the next.
_ROWS = 32
# How far F at the ends may be from what an Attribution says, relative to the larger of both. Half precision and
# other chunks stay below; another target, input or baseline does not.
_SAME = 0.05


@dataclass(frozen=True, eq=False)
class RegionAudit:
    """One region: what was attributed to it, and what replacing it by the baseline x' does. All in the units of F.

    `attribution_sum`: the sum of the attributions inside. `share`: that of the sum over the whole picture (NaN where
    that is 0); it may exceed 1 or be negative. `output`, `baseline_output`: F(x), F(x'). `output_without_region`: F
    where the region is taken from x' and all else from x. `output_with_region_only`: F where the region is taken from
    x and all else from x'. `pixels`: how many the region holds. `mask` (height, width): which. `name`: what it is
    called in a table.
    """

    attribution_sum: float
    share: float
    output: float
    baseline_output: float
    output_without_region: float
    output_with_region_only: float
    pixels: int
    mask: Mask = field(repr=False)
    name: str = "region"

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
            f"RegionAudit({plain(self.name, 60)}, {counted(self.pixels, 'pixel')}, "
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
        return text_table(_HEAD, [_row(audit) for audit in self.audits], right=True)

    def _repr_html_(self) -> str:
        return html_table(_HEAD, [_row(audit) for audit in self.audits])


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
    inputs: Tensor,
    region: Region,
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    attributions: Attribution | Tensor | None = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
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
        chunk_size=chunk_size,
    )
    return audit


def audit_regions(
    forward_func: ForwardFunc,
    inputs: Tensor,
    regions: Sequence[Region] | Mapping[str, Region],
    *,
    baselines: Baselines = None,
    target: TargetLike = None,
    attributions: Attribution | Tensor | None = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
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
        inputs: one picture (1, channels, height, width).
        regions: what `region_mask` takes, several of them, or a mapping from names to them.
        baselines, target, additional_forward_args, forward_kwargs, output: as in `attribute`.
        attributions: an Attribution of these arguments, or a map: (height, width), (channels, height, width) or like
            inputs. None runs `attribute` with its defaults.
        chunk_size: rows in the model at a time. There are two rows for each region and two for F(x) and F(x'), which
            go through the model together where they are few.

    Raises:
        ArgumentTypeError, ArgumentValueError: an argument cannot work; also an Attribution of another input, baseline
            or target, as is seen by F at its ends, and one with multiply_by_inputs=False, which has no sum to audit.
        OutputError, TrainingModeError, NonFiniteError, OutOfMemoryError, and what the model raises: as `attribute`.
    """
    path = _check_inputs(inputs, baselines)
    names, masks = _check_regions(regions, path)
    if attributions is None:
        attributions = attribute(
            forward_func,
            inputs,
            baselines=path.baselines[0],
            target=target,
            additional_forward_args=additional_forward_args,
            forward_kwargs=forward_kwargs,
            output=output,
            chunk_size=chunk_size,
        )
    return make_audits(
        forward_func,
        path,
        names,
        masks,
        target=target,
        attributions=attributions,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=chunk_size,
    )


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
    values = _map_of(attributions, path)
    ask = Asker(
        forward_func,
        path.inputs[0],
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        chunk_size=_ROWS if chunk_size is None else chunk_size,
        guard=guard,
    )
    outputs = _outputs(ask, path, masks)
    at_input, at_baseline = outputs[:2]
    if isinstance(attributions, Attribution):
        _check_ends(attributions, at_input, at_baseline)
    total = float(values.sum())
    audits = []
    for i, (name, mask) in enumerate(zip(names, masks, strict=True)):
        inside = float(values[mask].sum())
        kept = mask.copy()
        kept.setflags(write=False)
        audits.append(
            RegionAudit(
                attribution_sum=inside,
                share=inside / total if total else math.nan,
                output=at_input,
                baseline_output=at_baseline,
                output_without_region=outputs[2 + 2 * i],
                output_with_region_only=outputs[3 + 2 * i],
                pixels=int(mask.sum()),
                mask=kept,
                name=name,
            )
        )
    return RegionAudits(tuple(audits))


def _outputs(ask: Asker, path: Path, masks: Sequence[Mask]) -> list[float]:
    """F(x), F(x'), and for each mask F without and F with only the region."""
    (x,), (b,) = path.inputs, path.baselines
    # F(x) is without a region of no pixel, F(x') with that only.
    regions = [np.zeros(x.shape[-2:], dtype=np.bool_), *masks]

    def points(part: slice) -> Tensor:
        from_x = [regions[row // 2] ^ (row % 2 == 0) for row in range(part.start, part.stop)]
        return torch.where(torch.from_numpy(np.stack(from_x)).to(x.device).unsqueeze(1), x, b)

    def where(row: int) -> str:
        if row < 2:
            return ("at the input", "at the baseline")[row]
        return f"{('without the region', 'with the region only')[row % 2]} (region {row // 2})"

    rows = torch.zeros(2 * len(regions), dtype=torch.int64, device="cpu")
    found: list[float] = ask(rows, points, where, alphas=(1.0, 0.0)).tolist()
    return found


def _check_inputs(inputs: object, baselines: Baselines) -> Path:
    if not isinstance(inputs, Tensor):
        raise ArgumentTypeError(f"inputs must be one tensor (1, channels, height, width), got {type(inputs).__name__}.")
    if inputs.dim() != 4 or inputs.shape[0] != 1:
        raise ArgumentValueError(
            f"inputs must be one picture, (1, channels, height, width), got {tuple(inputs.shape)}; audit pictures "
            f"one by one."
        )
    return make_path(inputs, baselines)


def _check_regions(regions: object, path: Path) -> tuple[list[str], list[Mask]]:
    height, width = path.inputs[0].shape[-2:]
    if isinstance(regions, Mapping):
        named = [(str(name), region) for name, region in regions.items()]
    elif isinstance(regions, list | tuple | np.ndarray | Tensor):
        named = [(str(i), region) for i, region in enumerate(regions, 1)]
    else:
        raise ArgumentTypeError(f"regions must be a list of regions or a mapping, got {type(regions).__name__}.")
    if not named:
        raise ArgumentValueError("regions is empty; give at least one.")
    if all(isinstance(region, int | float) for _, region in named):
        raise ArgumentTypeError("regions is a single region; put it into a list, or use audit_region.")
    masks = []
    for name, region in named:
        try:
            masks.append(region_mask(region, height, width))
        except (ArgumentTypeError, ArgumentValueError) as error:
            if len(named) > 1:
                error.add_note(f"This is region {name!r}.")
            raise
    return [name for name, _ in named], masks


def _map_of(attributions: object, path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What was attributed to each pixel (height, width): summed over channels, which keeps completeness."""
    shape = tuple(path.inputs[0].shape)
    if isinstance(attributions, Attribution):
        if attributions.path is not None and not attributions.path.multiply_by_inputs:
            raise ArgumentValueError(
                "attributions is a mean gradient (multiply_by_inputs=False), whose sum over a region means nothing; "
                "leave multiply_by_inputs at True."
            )
        attributions = attributions.attributions
    if not isinstance(attributions, Tensor):
        raise ArgumentTypeError(
            f"attributions must be an Attribution, a tensor or None, got {type(attributions).__name__}."
        )
    seen = tuple(attributions.shape)
    if seen not in (shape, shape[1:], shape[2:], (1, *shape[2:]), (1, 1, *shape[2:])):
        raise ArgumentValueError(
            f"attributions has shape {seen}, inputs {shape}; it must be like inputs, or a map {shape[2:]}."
        )
    values = attributions.detach().cpu().double().reshape(-1, *shape[2:]).sum(0).numpy()
    if not np.isfinite(values).all():
        raise ArgumentValueError("attributions holds NaN or infinite values; there is nothing to audit.")
    return values


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
