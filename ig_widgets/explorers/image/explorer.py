"""ImageExplorer: what an image classifier's answer comes from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeAlias

import traitlets
from torch import nn

from ig_widgets.explorers.core.explorer import Restored, as_trait_error
from ig_widgets.explorers.core.labels import LabelsLike
from ig_widgets.explorers.core.limits import check_size
from ig_widgets.explorers.core.settings import SUM
from ig_widgets.explorers.export.exports import ExportPanel, ExportTraits
from ig_widgets.explorers.image.grains import PIXELS, grain_of
from ig_widgets.explorers.image.pictures import Pictures
from ig_widgets.explorers.image.preprocessing import Preprocess
from ig_widgets.explorers.image.shown import parsed_channels
from ig_widgets.explorers.image.sources import is_sequence
from ig_widgets.explorers.image.strip import StripPanel, StripTraits, name_at
from ig_widgets.explorers.image.subject import METHODS, ImageSubject, ShownChannels
from ig_widgets.explorers.panels.baselines import BaselinePanel, BaselineTraits
from ig_widgets.explorers.panels.convergence import ConvergencePanel, ConvergenceTraits
from ig_widgets.explorers.panels.dependence import DependencePanel, DependenceTraits
from ig_widgets.explorers.panels.selection import SelectionPanel, SelectionTraits
from ig_widgets.explorers.widget.frontend import front_end, hash_of, packed
from ig_widgets.explorers.widget.schema import NUMBER, TEXT
from ig_widgets.figures.pixels import Picture
from ig_widgets.files import PathLike

Image: TypeAlias = "Picture | Sequence[Picture]"


class ImageExplorer(StripTraits, SelectionTraits, DependenceTraits, ConvergenceTraits, BaselineTraits, ExportTraits):
    """Integrated Gradients over a photo, live.

    Args:
        model: a module in eval mode (or a callable), (1, channels, height, width) to one row of scores, (1,
            classes) or (1,), or to scores at many places, (1, classes, rows, columns).
        image: a picture: PIL, a file (a path or its bytes), an array (height, width) or (height, width, channels), a
            tensor (channels, height, width), of uint8, uint16 or floats in [0, 1]; or several: a list of such, a batch
            (n, channels, height, width), a folder. Grey becomes RGB and RGB grey as the model takes it.
        preprocess: makes the model's input of a picture, in the form in which it takes one (as given, PIL, an array, a
            tensor): a function, transforms, an image processor of Hugging Face; None if the model takes values in
            [0, 1].
        labels: the names of the classes: a list, one each; {0: "cat"} or {"0": "cat"} (some or all); {"cat": 0}; None
            takes those of a Hugging Face model's config. Two names for one output are those of "no" and "yes".
        channels: the names of the channels of the model's input; None: red, green, blue, or numbers.
        target: the class to explain, by position or name; None for the model's first choice for each picture. Of a
            dense output, a segmentation say, a position as the engine takes it, (class, row, column), None: its centre.
        output: which tensor of what the model returns is explained, as in `igw.attribute`: a key, an attribute, a
            position, a tuple of such that leads inside, or a callable (`output="aux"`); or which reading of its scores
            is: logit, probability, log-probability, margin, value (of mere numbers). A key that is called as a reading
            is asked for in a tuple, ("logit",).
        scores: what they mean: "softmax" (one class is right), "sigmoid" (each output by itself), "raw" (numbers, no
            percentages); None finds it out where it is certain, by what made the scores or the config, else takes
            soft-max of several outputs and a mere number of one, and says so.
        baseline: black, white, mean grey, blur, noise, gaussian noise, max distance, shuffled or colour, with
            parameters in brackets ("blur(sigma=8)", "colour(#ff8800)"); or one of `igw.baselines`, a PIL image or
            array, a tensor of the model's input, or a function of that. What is given so is offered by name from then
            on.

    Every other option is a trait, which can be set and observed from Python later, and follows the front end: `method`
    (a rule; auto, which samples until the estimated error of the map is at most `tol`; or one of `igw.relatives`:
    gradient, input_x_gradient, smoothgrad, expected_gradients, over the usual baselines, blur_integrated_gradients and
    guided_integrated_gradients, both by the secant rule; None: auto, or the middle rule where `n_steps` is given),
    `n_steps` (1 to 256; draws, or steps of the path), `output` (which of its readings suit follows from `scores`),
    `channel` (what is drawn: the sum over channels, or one by name or number), `shown_channels` (what is drawn as the
    photo: "" as usual, "2" one channel, "3, 1, 0" three as colours, "mean"), `alpha`, `colormap` (matplotlib's names),
    `opacity`, `clip` (percentile of |attribution| that gets the strongest colour, 50 to 100), `scale` (fixed: colours
    mean the same at every alpha; shown: they fit what is shown), `sign` (all, positive, negative), `grain` (pixels; 2,
    4, 8, 16 or 32 for sums over patches of so many pixels each way; superpixels), `ground` (grey or colour: the photo
    under the map), `region` (left, top, right, bottom) in pixels of the model's input, a polygon (points, 2), a boolean
    mask (height, width), or None, `show_dependence` (whether it is worked out and shown how much the map depends on the
    baseline, as `dependence` does). Of several pictures `index` tells which is shown, as does `input` by its name;
    settings stay while one goes through them. `explorer.image = other` shows other pictures.

    A pane keeps a value of each channel of each pixel for each step, half a billion at most: `n_steps` that would be
    more are refused, and so is `show_dependence`.

    Raises ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError, and traitlets' TraitError.
    """

    panel_types = (ConvergencePanel, SelectionPanel, BaselinePanel, DependencePanel, StripPanel, ExportPanel)
    _file_kind, _file_methods = ImageSubject.kind, METHODS

    _front = traitlets.Bytes(packed("image.js")).tag(sync=True, recorded=False)
    _front_hash = traitlets.Unicode(hash_of(packed("image.js"))).tag(sync=True, recorded=False)
    _css = front_end("image.css")

    ground = traitlets.Enum(["grey", "colour"], "grey", help="How the photo lies under the map.")
    ground.tag(sync=True, write=TEXT, look=True)
    grain: traitlets.TraitType[Any, Any] = traitlets.TraitType(
        PIXELS, help="Over what the map is summed up: pixels, 2, 4, 8, 16 or 32 for patches, or superpixels."
    )
    grain.tag(sync=True, write=TEXT, look=True)
    opacity = traitlets.Float(0.9, min=0.0, max=1.0, help="From 0, the photo alone, to 1, the map alone.")
    opacity.tag(sync=True, write=NUMBER, look=True)
    shown_channels = traitlets.Unicode(
        "",
        help="What is drawn as the photo: '' as usual, '2' one channel in grey, '3, 1, 0' three as colours, 'mean'; by "
        "numbers or names.",
    )
    shown_channels.tag(sync=True, write=TEXT, look=True)

    def __init__(
        self,
        model: nn.Module,
        image: Image,
        *,
        preprocess: Preprocess | None = None,
        labels: LabelsLike = None,
        channels: Sequence[str] | None = None,
        index: int = 0,
        target: int | str | tuple[int | str, ...] | None = None,
        output: object = None,
        scores: str | None = None,
        baseline: object = "black",
        method: str | None = None,
        n_steps: int | None = None,
        tol: float = 0.05,
        channel: str | int = SUM,
        shown_channels: str = "",
        alpha: float = 1.0,
        opacity: float = 0.9,
        colormap: str = "RdBu_r",
        clip: float = 99.0,
        scale: str = "fixed",
        grain: str | int = PIXELS,
        sign: str = "all",
        ground: str = "grey",
        region: Any = None,
        show_dependence: bool = False,
        layout: Any = None,
        _restored: Restored | None = None,
    ) -> None:
        steps = type(self).n_steps.default_value if n_steps is None else n_steps
        # Before anything that large is made.
        if preprocess is None and not is_sequence(image):
            _check_room(steps, _shape_of(image))

        def make(picture: Picture, shown: ShownChannels, like: ImageSubject | None) -> ImageSubject:
            subject = ImageSubject(
                model, picture, preprocess, labels, output, scores, channels=channels, shown=shown, like=like
            )
            _check_room(steps, subject.shape)
            return subject

        self._image_list = Pictures(model, image, make)
        given = {"region": region, "layout": layout, "method": method, "n_steps": n_steps}
        super().__init__(
            self._image_list,
            _restored=_restored,
            input=name_at(self._image_list.input_names, index),
            target=target,
            baseline=baseline,
            tol=tol,
            channel=channel,
            shown_channels=shown_channels,
            alpha=alpha,
            opacity=opacity,
            colormap=colormap,
            clip=clip,
            scale=scale,
            grain=grain,
            sign=sign,
            ground=ground,
            show_dependence=show_dependence,
            **{name: value for name, value in given.items() if value is not None},
        )
        if remarks := " ".join(self._image_list.remarks):
            self._notify(remarks, lasts=True)

    @traitlets.validate("grain")
    def _check_grain(self, proposal: Any) -> str:
        return str(as_trait_error(grain_of, proposal.value))

    @classmethod
    def from_npz(
        cls,
        path: PathLike,
        model: nn.Module,
        image: Image,
        *,
        preprocess: Preprocess | None = None,
        labels: LabelsLike = None,
        channels: Sequence[str] | None = None,
        output: object = None,
        scores: str | None = None,
    ) -> ImageExplorer:
        """Returns the explorer that `to_npz` wrote to `path`: settings and picture, without a gradient evaluation.

        `model`, `image` and the other arguments are those that it was made with, which no file holds. Whether they are
        is told by F at both ends of the path and by the photo; if not, there is a warning, and the picture is computed
        anew by the settings of the file. What a cancelled run had sampled is shown as far as it went, and the
        dependence on the baseline is worked out anew. Between both ends `result.path` has no attributions: of each
        sample the file holds what is drawn.

        Raises FileError where there is no such file, or its settings cannot be for this model, and as the constructor.
        """
        made_with = {
            "preprocess": preprocess,
            "labels": labels,
            "channels": channels,
            "output": output,
            "scores": scores,
        }
        return cls._from_npz(path, model, image, **made_with)

    @property
    def image(self) -> Any:
        """The picture that is shown, as it was given; set it to show another, or others, with the same settings."""
        return self._image_list.source(self.input).picture

    @image.setter
    def image(self, image: Image) -> None:
        # Panes that ask about a picture that goes follow the explorer from now on.
        self._panes = [{name: value for name, value in pane.items() if name != "input"} for pane in self._panes]
        first = self._image_list.replace(image)
        self._inputs = list(self._image_list.input_names)
        self.input = first
        if remarks := " ".join(self._image_list.remarks):
            self._notify(remarks, lasts=True)

    @traitlets.observe("shown_channels")
    def _show_channels(self, change: Any) -> None:
        self._image_list.shown.channels = parsed_channels(change.new, self._subject.channels[1:])
        # The same samples, over another photo.
        for pane in list(self._pane_list):
            if pane.settings is not None:
                pane.submit(pane.settings)

    @traitlets.validate("shown_channels")
    def _check_shown_channels(self, proposal: Any) -> str:
        subject = self._subject
        as_trait_error(parsed_channels, proposal.value, subject.channels[1:] or ("0",))
        return str(proposal.value)


def _check_room(n_steps: object, shape: tuple[int, ...]) -> None:
    # Non-integers are rejected by the trait.
    if isinstance(n_steps, Integral):
        check_size(int(n_steps), shape)


def _shape_of(image: object) -> tuple[int, ...]:
    """Returns the shape of a picture, without reading a value; () for any other object."""
    if isinstance(image, str | bytes | bytearray | os.PathLike):
        return ()
    width, height = getattr(image, "width", 0), getattr(image, "height", 0)
    return (3, height, width) if width and height else tuple(getattr(image, "shape", ()))
