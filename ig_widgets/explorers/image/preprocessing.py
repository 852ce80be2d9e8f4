"""Finds in which form a `preprocess` takes a picture: as it was given, as PIL, as an array, as a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from ig_widgets.explorers.image.space import Read
from ig_widgets.figures.pixels import Pixels, over_white, to_bytes, to_pil, variants
from ig_widgets.texts import plain, words_of

# To a tensor (1, channels, height, width), or a mapping that has it as "pixel_values".
Preprocess: TypeAlias = Callable[[Any], Any]

# By how much a photo may be brighter than the picture on the average, where its values are more than 8 bits.
_BRIGHTER = 0.1


@dataclass(frozen=True, eq=False)
class Candidate:
    """A way to make the model's input: of `values` (channels, height, width) `read` makes `inputs`."""

    values: Tensor
    read: Read
    inputs: Tensor


def candidates(
    pixels: Pixels, preprocess: Preprocess | None, like: Tensor | None, channels: int | None
) -> Iterator[Candidate]:
    """Yields ways to make an input of a picture, the likeliest first, each of another shape.

    `like`: a parameter of the model, whose dtype and device it gets, or None. `channels`: how many the model takes,
    None where that is not known; candidates that have so many come first.

    Raises ArgumentTypeError, ArgumentValueError where `preprocess` takes no form, or returns none that is usable.
    """
    seen: list[Candidate] = []
    refusals: list[tuple[str, Exception]] = []
    for candidate in _tried(pixels, preprocess, like, refusals):
        if channels in (None, candidate.inputs.shape[1]) and _is_new(candidate, seen):
            seen.append(candidate)
            yield candidate
    for candidate in [] if channels is None else _tried(pixels, preprocess, like, []):
        if _is_new(candidate, seen):
            seen.append(candidate)
            yield candidate
    if not seen:
        raise _refused(refusals)


def channels_of(model: object) -> int | None:
    """Returns how many channels the first convolution of a model takes; None where there is none."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    first = next((module for module in modules if isinstance(module, nn.Conv2d)), None)
    # One that is lazy has none yet.
    return None if first is None or not first.in_channels else int(first.in_channels)


def as_inputs(value: object, like: Tensor | None) -> Tensor:
    """Returns what a `preprocess` has returned as inputs (1, channels, height, width)."""
    value = _pixel_values(value)
    if not isinstance(value, Tensor):
        raise ArgumentTypeError(f"preprocess must return a tensor (1, 3, height, width), got {type(value).__name__}.")
    inputs = value.detach().unsqueeze(0) if value.dim() == 3 else value.detach()
    if inputs.dim() != 4 or inputs.shape[0] != 1 or 0 in inputs.shape:
        raise ArgumentValueError(f"preprocess must return (1, 3, height, width), got {tuple(value.shape)}.")
    if not inputs.is_floating_point():
        raise ArgumentTypeError(f"preprocess must return floating values, got {inputs.dtype}; divide by 255 first.")
    return inputs if like is None else inputs.to(device=like.device, dtype=like.dtype)


def _pixel_values(value: object) -> object:
    """Returns the picture in what an image processor of Hugging Face returns, as it is any other value."""
    if not isinstance(value, Mapping) or "pixel_values" not in value:
        return value
    found = value["pixel_values"]
    # Without `return_tensors` these are lists.
    if isinstance(found, list | tuple) and found:
        return torch.stack([torch.as_tensor(one if isinstance(one, Tensor) else np.asarray(one)) for one in found])
    return torch.as_tensor(found) if isinstance(found, np.ndarray) else found


# ---------------------------------------------------------------- trying


def _tried(
    pixels: Pixels, preprocess: Preprocess | None, like: Tensor | None, refusals: list[tuple[str, Exception]]
) -> Iterator[Candidate]:
    for values in variants(pixels.values, None):
        for name, form in _forms(pixels, values, preprocess).items():
            read = _reader(form, preprocess, like)
            try:
                inputs = read(values)
            except Exception as error:  # noqa: BLE001  (the user's own code, which raises anything)
                refusals.append((name, error))
                continue
            if name == "as stored" and not _is_as_bright(read, values, inputs):
                continue
            yield Candidate(values, read, inputs)
            break


def _reader(form: Callable[[Tensor], Any], preprocess: Preprocess | None, like: Tensor | None) -> Read:
    if preprocess is None:
        return lambda values: as_inputs(values[None], like)
    return lambda values: as_inputs(preprocess(form(values)), like)


def _forms(pixels: Pixels, values: Tensor, preprocess: Preprocess | None) -> dict[str, Callable[[Tensor], Any]]:
    """Returns the forms in which `preprocess` may take a picture, by name, the likeliest first."""
    if preprocess is None:
        return {"given": pixels.like}
    others: dict[str, Callable[[Tensor], Any]] = {
        "a PIL image": to_pil,
        "an array (height, width, channels)": to_bytes,
        "a tensor (channels, height, width)": lambda values: values.float(),
    }
    if len(values) not in (1, 3, 4):
        del others["a PIL image"]
    if pixels.like is to_pil:
        return others
    given = {("as stored" if pixels.is_pil else "the picture as given"): pixels.like}
    # These rescale whatever they get, also what lies in [0, 1] already.
    return others | given if hasattr(preprocess, "do_rescale") else given | others


def _is_as_bright(read: Read, values: Tensor, inputs: Tensor) -> bool:
    """Whether a picture of 16 bits is not cut off at 255, as Pillow does where it converts one."""
    try:
        black, white = (read(torch.full_like(values, level)).float().median() for level in (0.0, 1.0))
    except Exception:  # noqa: BLE001
        return False
    shown = (inputs.float() - black) / (white - black)
    return abs(float(shown.clamp(0, 1).mean() - values.mean())) < _BRIGHTER


def _is_new(candidate: Candidate, seen: list[Candidate]) -> bool:
    return all(candidate.inputs.shape != other.inputs.shape for other in seen)


def _refused(refusals: list[tuple[str, Exception]]) -> Exception:
    """Returns the error to raise where no form was taken: ours where it was one, else what the first two said."""
    own = next((error for _, error in refusals if isinstance(error, IGError)), None)
    if own is not None:
        return own
    told = {name: f"{type(error).__name__}: {plain(words_of(error), 200)}" for name, error in reversed(refusals)}
    words = "; ".join(f"given {name}, {text}" for name, text in list(reversed(told.items()))[:3])
    return ArgumentValueError(f"preprocess takes this picture in no form: {words}.")


def with_channels(pixels: Pixels, channels: int) -> Tensor:
    """Returns the values of a picture with so many channels. Raises ArgumentValueError where it cannot have them."""
    found = variants(pixels.values, channels)
    if not found and pixels.channels == 4 and channels == 1:
        found = variants(over_white(pixels.values), 1)
    if not found:
        raise ArgumentValueError(f"a picture of {pixels.channels} channels cannot stand for one of {channels}.")
    return found[0]
