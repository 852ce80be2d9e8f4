"""Baselines of pictures: colours, blurs, noise, files, and pictures that a user gives."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ig_widgets import baselines
from ig_widgets.baselines import Parameter
from ig_widgets.explorers.core.baseline_catalog import NAME_LENGTH, BaselineCatalog, GivenBaseline, printable_name
from ig_widgets.explorers.image.picture import PreparedImage, Preprocess, prepare_like
from ig_widgets.explorers.image.upload import opened
from ig_widgets.texts import plain

# No colour, no brightness, no detail, nothing but chance; of that three draws, so that none of them counts alone.
USUAL = ("black", "white", "mean grey", "blur", "noise", "noise(seed=1)", "noise(seed=2)")

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_THUMBNAIL = 112
# So many files are offered; one more takes the place of the oldest that is not in use.
_UPLOADS_KEPT = 16


class ImageBaselines(BaselineCatalog):
    """The baselines on offer for one picture. A colour is asked for by "colour(#ff8800)"."""

    def __init__(self, image: PreparedImage, like: Tensor | None, preprocess: Preprocess | None) -> None:
        """`like`: a parameter of the model, or None, whose dtype and device its input has."""
        super().__init__(
            image.inputs,
            {
                "black": baselines.black(),
                "white": baselines.white(),
                "mean grey": baselines.mean_grey(),
                "blur": baselines.blur(),
                "noise": baselines.uniform(),
                "gaussian noise": baselines.gaussian(),
                "max distance": baselines.max_distance(),
                "shuffled": baselines.permuted(),
                "colour": baselines.constant(0.5),
            },
        )
        self._image = image
        self._like = like
        self._preprocess = preprocess
        # By name, the oldest first; and how many there have been.
        self._uploads: list[str] = []
        self._uploaded = 0

    def name_of(self, value: object) -> str:
        """As of any input; also a PIL image or an array, a picture to be preprocessed as the explained one is.

        Warns where a tensor of zeros is likely meant to be black.
        """
        name = super().name_of(value)
        if isinstance(value, Tensor) and not value.any() and self.inputs("black").abs().max() > 1e-3:
            warnings.warn(
                "baseline is a tensor of zeros, which preprocessing makes of the mean colour, not of black: what is "
                'usually meant is baseline="black". To mean zeros, give igw.baselines.zeros().',
                UserWarning,
                stacklevel=2,
            )
        return name

    def thumbnail(self, name: str) -> bytes:
        """Returns a small picture of a baseline as a PNG."""
        small = Image.fromarray(self._image.space.to_bytes(self.inputs(name)))
        small.thumbnail((_THUMBNAIL, _THUMBNAIL))
        out = io.BytesIO()
        small.save(out, "PNG", optimize=True)
        return out.getvalue()

    def upload(self, name: str, data: bytes, in_use: Collection[str] = ()) -> str:
        """Offers the picture in a file of a kind and size that `upload.opened` takes.

        Of more than 16 the oldest goes that is not among the names `in_use`. Raises ArgumentValueError where it is no
        picture, or too large, and what preprocessing raises.
        """
        picture = self._picture(opened(plain(name, NAME_LENGTH) or "a file", data))
        self._uploaded += 1
        # A name stands for what was sampled under it: once some files are gone, none of their names may come back.
        number = f" #{self._uploaded}" if self._uploaded > _UPLOADS_KEPT else ""
        chosen = self.add(printable_name(name) + number, picture)
        self._uploads.append(chosen)
        gone = [one for one in self._uploads[:-1] if one not in in_use]
        for one in gone[: max(len(self._uploads) - _UPLOADS_KEPT, 0)]:
            self._uploads.remove(one)
            self.remove(one)
        return chosen

    # ------------------------------------------------------------

    def _given(self, value: object) -> tuple[str, Any] | None:
        if isinstance(value, Image.Image | np.ndarray):
            return "given picture", self._picture(value)
        return None

    def _evaluate(self, text: str, offer: Any) -> object:
        image = self._image
        if text == "black":
            return image.black
        if offer.space == "inputs":
            return offer(image.inputs)
        return image.space.to_inputs(offer(image.space.to_pictures(image.inputs).clamp(0, 1)))

    def _limits(self, parameter: Parameter) -> tuple[float, float, float]:
        is_blur = parameter.name == "sigma" and parameter.unit == "px"
        usual = min(self._image.inputs.shape[-2:]) / 20 if is_blur else parameter.default
        return min(parameter.low, usual), max(parameter.high, usual), usual

    def _control(self, baseline: Any, parameter: Parameter) -> dict[str, object]:
        if not parameter.per_channel:
            return super()._control(baseline, parameter)
        value = getattr(baseline, parameter.name)
        return {"name": parameter.name, "colour": _hex(value if isinstance(value, tuple) else (value,) * 3)}

    def _parsed(self, offer: Any, inside: str) -> dict[str, Any] | None:
        if not _COLOUR.fullmatch(inside) or not any(p.per_channel for p in offer.parameters):
            return None
        return {"value": tuple(int(inside[i : i + 2], 16) / 255 for i in (1, 3, 5))}

    def _values_text(self, values: Mapping[str, Any]) -> str | None:
        colour = next((v for v in values.values() if isinstance(v, tuple)), None)
        if colour is None:
            return super()._values_text(values)
        return _hex(colour) if len(colour) == 3 else None

    def _picture(self, picture: Any) -> GivenBaseline:
        made = prepare_like(picture, self._image, self._like, self._preprocess)
        return GivenBaseline(lambda _inputs: made, "a given picture")


def _hex(levels: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * level):02x}" for level in levels)
