"""Subject of ImageExplorer: one picture of a classifier, and the overlay that is drawn over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor, nn

from ig_widgets import figures
from ig_widgets.engine import rules
from ig_widgets.engine.path import Path
from ig_widgets.explorers.core.classification import Classifier
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.methods import RELATIVES, Methods, Question, Relative
from ig_widgets.explorers.core.settings import SUM, Settings
from ig_widgets.explorers.core.subject import CoarseMaps, Shown, Subject
from ig_widgets.explorers.image.baselines import USUAL, ImageBaselines
from ig_widgets.explorers.image.picture import Picture, Preprocess, prepare
from ig_widgets.explorers.image.regions import PictureRegions
from ig_widgets.figures.image import overlay_figure, overlay_svg
from ig_widgets.figures.inputs import Bytes
from ig_widgets.files import Array
from ig_widgets.relatives.blur import blur_path

_COLOURS = ("red", "green", "blue")
# Of the shorter side: of a picture of 224 pixels a blur of 50 leaves nothing.
_BLUR_SHARE = 50 / 224
# So many patches along the shorter side: of 16 pixels in a picture of 224.
_PATCHES = 14
# Of 255. A picture may be decoded or scaled by another version of a library.
_LEVELS = 8


def _blurred(question: Question) -> Path:
    return blur_path(question.inputs, _BLUR_SHARE * min(question.inputs.shape[-2:]))


_GUIDED = "guided_integrated_gradients"
METHODS = Methods(
    {name: relative for name, relative in RELATIVES.items() if name != _GUIDED}
    | {
        "blur_integrated_gradients": Relative(_blurred, rules.SECANT, "curved"),
        _GUIDED: RELATIVES[_GUIDED],
    }
)


class ImageSubject(Subject):
    """One picture as a classifier sees it: inputs (1, channels, height, width), maps (height, width)."""

    kind: ClassVar[str] = "image"
    usual_baselines: ClassVar[Sequence[str]] = USUAL

    def __init__(
        self,
        model: nn.Module,
        picture: Picture,
        preprocess: Preprocess | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """As `ImageExplorer` takes them. Raises as it does."""
        parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        self.image = prepare(picture, preprocess, parameter)
        inputs = self.image.inputs
        super().__init__(
            model,
            inputs,
            Classifier(model, inputs, labels),
            ImageBaselines(self.image, parameter, preprocess),
            METHODS,
            _COLOURS if inputs.shape[1] == len(_COLOURS) else (),
        )
        self.photo = self.image.space.to_bytes(inputs)
        # Regions are drawn in pixels of the model's input.
        self.selections = PictureRegions(*self.map_shape)

    @property
    def map_shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.inputs.shape[-2:]
        return height, width

    def reduce(self, maps: Tensor, settings: Settings) -> Tensor:
        """Returns the sum over channels, which keeps completeness, or one channel."""
        if settings.channel == SUM:
            return maps.sum(-3)
        return maps.select(-3, self.channels.index(settings.channel) - 1)

    def display(self, settings: Settings) -> Display:
        """Returns the photo and the baseline, RGB."""
        baseline = self.image.space.to_bytes(self.baseline(settings))
        return Display(self.kind, self.map_shape, {"photo": self.photo, "baseline": baseline})

    def drawing(self, shown: Shown) -> Overlay:
        """Returns the photo beside the overlay."""
        look = shown.look
        table = figures.color_table(look["colormap"])
        scale = figures.scale_of(shown.values, look["clip"])
        overlay = figures.compose(
            self.photo, shown.collected, scale, table, look["opacity"], look["sign"], look["ground"]
        )
        return Overlay(self.photo, overlay, table, scale, shown.settings.output, shown.caption)

    def coarsen(self, maps: npt.NDArray[np.float64]) -> CoarseMaps:
        """Returns sums over patches; those at the right and lower edge may be smaller."""
        # At least one pixel: of pictures smaller than the number of patches each pixel is one.
        side = max(1, round(min(maps.shape[1:]) / _PATCHES))
        rows, columns = (np.arange(0, size, side) for size in maps.shape[1:])
        summed = np.add.reduceat(np.add.reduceat(maps, rows, axis=1), columns, axis=2)
        return CoarseMaps(summed, f"patches of {side} x {side} pixels", side)

    def state(self) -> dict[str, Array]:
        """Returns the photo."""
        return {"photo": self.photo}

    def mismatch(self, state: Mapping[str, Array]) -> str:
        """Compares the photo."""
        was = state.get("photo")
        if was is None or was.dtype != np.uint8 or was.shape != self.photo.shape:
            return "the file has no such photo"
        differences = np.abs(was.astype(int) - self.photo)
        if differences.max() <= _LEVELS:
            return ""
        where = np.unravel_index(differences.argmax(), was.shape)
        return f"the photo was {was[where]} of 255 at its pixel {where[:2]!r} and is {self.photo[where]}"


@dataclass(frozen=True)
class Overlay:
    """The photo beside the overlay, with a colour bar and a caption."""

    photo: Bytes
    overlay: Bytes
    table: Bytes
    scale: float
    unit: str
    caption: str

    def png(self) -> bytes:
        """Returns it as a PNG of at most 256 colours."""
        return figures.overlay_png(self.photo, self.overlay, self.table, self.scale, self.unit, self.caption)

    def svg(self) -> bytes:
        """Returns it as an SVG, in which text is text."""
        return overlay_svg(self.photo, self.overlay, self.table, self.scale, self.unit, self.caption)

    def figure(self) -> Figure:
        """Returns it as a figure of matplotlib's."""
        return overlay_figure(self.photo, self.overlay, self.table, self.scale, self.unit, self.caption)
