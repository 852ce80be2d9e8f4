"""Subject of ImageExplorer: one picture of a classifier, and the overlay that is drawn over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor, nn

from ig_widgets import figures
from ig_widgets.engine import rules
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from ig_widgets.engine.path import Path
from ig_widgets.explorers.core.cells import Cells
from ig_widgets.explorers.core.classification import Classifier
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.labels import LabelsLike
from ig_widgets.explorers.core.methods import RELATIVES, Methods, Question, Relative
from ig_widgets.explorers.core.settings import SUM, Settings
from ig_widgets.explorers.core.subject import CoarseMaps, Shown, Subject
from ig_widgets.explorers.image.baselines import USUAL, ImageBaselines
from ig_widgets.explorers.image.grains import PIXELS, SIDES, SUPERPIXELS, patches, superpixel_cells
from ig_widgets.explorers.image.picture import PreparedImage, prepared
from ig_widgets.explorers.image.preprocessing import Preprocess, channels_of
from ig_widgets.explorers.image.regions import PictureRegions
from ig_widgets.explorers.image.superpixels import superpixels
from ig_widgets.figures.image import overlay_figure, overlay_svg
from ig_widgets.figures.inputs import Bytes
from ig_widgets.figures.pixels import Picture
from ig_widgets.files import Array
from ig_widgets.relatives.blur import blur_path
from ig_widgets.texts import plain, whole, words_of

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


class ShownChannels:
    """Which channels of the input are drawn as the photo: one in grey, three as colours; none: the usual ones."""

    def __init__(self) -> None:
        self.channels: tuple[int, ...] = ()


class ImageSubject(Subject):
    """One picture as a classifier sees it: inputs (1, channels, height, width), maps (height, width)."""

    kind: ClassVar[str] = "image"
    usual_baselines: ClassVar[Sequence[str]] = USUAL

    def __init__(
        self,
        model: nn.Module,
        picture: Picture,
        preprocess: Preprocess | None = None,
        labels: LabelsLike = None,
        output: object = None,
        scores: str | None = None,
        *,
        channels: Sequence[str] | None = None,
        shown: ShownChannels | None = None,
        like: ImageSubject | None = None,
    ) -> None:
        """As `ImageExplorer` takes them. Raises as it does.

        `shown`: which channels are drawn, for all pictures. `like`: another picture of the same model, from which is
        known what its answers mean, and which baselines are on offer.
        """

        def ask(image: PreparedImage) -> Classifier:
            if like is not None:
                return like.classifier.of(image.inputs)
            return Classifier(model, image.inputs, labels, output, scores)

        parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        wanted = channels_of(model)
        self.image, classifier = _accepted(prepared(picture, preprocess, parameter, wanted), ask, wanted)
        self.baselines: ImageBaselines
        inputs = self.image.inputs
        super().__init__(
            model,
            inputs,
            classifier,
            ImageBaselines(self.image),
            METHODS,
            _channel_names(self.image, channels),
        )
        if like is not None:
            self.baselines.share(like.baselines)
        self._shown = ShownChannels() if shown is None else shown
        self._photos: dict[tuple[int, ...], Bytes] = {}
        # Regions are drawn in pixels of the model's input.
        self.selections = PictureRegions(*self.map_shape)

    @property
    def photo(self) -> Bytes:
        """The picture as it is drawn, RGB."""
        shown = self._shown_here
        if shown not in self._photos:
            self._photos[shown] = self.image.photo(shown)
        return self._photos[shown]

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
        """Returns the photo and the baseline, RGB, and the superpixel of each pixel."""
        baseline = self.image.space.to_bytes(self.baseline(settings), self._shown_here)
        arrays = {"photo": self.photo, "baseline": baseline, "superpixels": self.superpixels}
        return Display(self.kind, self.map_shape, arrays)

    @cached_property
    def superpixels(self) -> npt.NDArray[np.uint8]:
        """The superpixel (height, width) of each pixel; the front end has no others, so that both sides cut alike."""
        return superpixels(self.photo)

    def cells(self, look: Mapping[str, Any]) -> Cells | None:
        """Returns the cells of the look's grain."""
        grain = look["grain"]
        if grain == SUPERPIXELS:
            return superpixel_cells(self.superpixels)
        return None if grain == PIXELS else patches(*self.map_shape, SIDES[grain])

    def drawing(self, shown: Shown) -> Overlay:
        """Returns the photo beside the overlay."""
        look = shown.look
        table = figures.color_table(look["colormap"])
        overlay = figures.compose(
            self.photo, shown.collected, shown.scale, table, look["opacity"], look["sign"], look["ground"]
        )
        unit = f"{shown.settings.output} per {shown.element}" if shown.element else shown.settings.output
        return Overlay(self.photo, overlay, table, shown.scale, unit, shown.caption)

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

    @property
    def _shown_here(self) -> tuple[int, ...]:
        """Another picture may have more channels."""
        shown = self._shown.channels
        return shown if max(shown, default=0) < self.inputs.shape[1] else ()


def _accepted(
    images: Iterator[PreparedImage], ask: Callable[[PreparedImage], Classifier], wanted: int | None
) -> tuple[PreparedImage, Classifier]:
    """Returns the first form of a picture that the model takes, and its answer.

    Raises what the model raises for the first form, with a note of all shapes; ArgumentValueError where the picture
    cannot have the channels `wanted` by the model.
    """
    first = next(images)
    try:
        return first, ask(first)
    except IGError:
        # It has answered; by another form it would answer the same.
        raise
    except Exception as error:
        others = [first]
        for image in images:
            others.append(image)
            try:
                return image, ask(image)
            except Exception:  # noqa: BLE001
                continue
        seen = " and as ".join(str(tuple(image.inputs.shape)) for image in others)
        if wanted is not None and wanted != first.inputs.shape[1]:
            raise ArgumentValueError(
                f"image was given to the model as {seen}, and its first convolution takes {wanted} channels: "
                f"{plain(words_of(error), 300)} (Channels are the first dimension of a tensor, the last of an array.)"
            ) from error
        error.add_note(f"The image was given to the model as {seen}.")
        raise


def _channel_names(image: PreparedImage, given: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of the input's channels; none where there is one alone.

    Raises ArgumentTypeError, ArgumentValueError for names that do not fit.
    """
    count = image.inputs.shape[1]
    if given is not None:
        if isinstance(given, str) or not all(isinstance(name, str) and name for name in given):
            raise ArgumentTypeError("channels must be a list of texts, the name of each channel of the model's input.")
        if len(given) != count or len({*given, SUM}) <= count:
            raise ArgumentValueError(
                f"channels must be {count} different names, one for each channel of the model's input, none of them "
                f"{SUM!r}; got {', '.join(given)[:200]}."
            )
        return tuple(map(whole, given))
    if count == 1:
        return ()
    colours = image.space.colours if count == len(_COLOURS) else None
    # Of a model that wants blue first, the first channel is blue.
    return tuple(str(i) for i in range(count)) if colours is None else tuple(_COLOURS[i] for i in colours)


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
