"""ImageExplorer: what an image classifier's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import traitlets
from torch import nn

from ig_widgets.explorers.core.limits import check_size
from ig_widgets.explorers.export.exports import ExportPanel, ExportTraits
from ig_widgets.explorers.image.picture import Picture, Preprocess
from ig_widgets.explorers.image.subject import METHODS, ImageSubject
from ig_widgets.explorers.panels.baselines import BaselinePanel, BaselineTraits
from ig_widgets.explorers.panels.convergence import ConvergencePanel, ConvergenceTraits
from ig_widgets.explorers.panels.dependence import DependencePanel, DependenceTraits
from ig_widgets.explorers.panels.selection import SelectionPanel, SelectionTraits
from ig_widgets.explorers.widget.frontend import front_end, hash_of
from ig_widgets.explorers.widget.schema import NUMBER, TEXT
from ig_widgets.files import PathLike


class ImageExplorer(SelectionTraits, DependenceTraits, ConvergenceTraits, BaselineTraits, ExportTraits):
    """Integrated Gradients over a photo, live.

    Args:
        model: a module in eval mode (or a callable), (1, 3, height, width) to one row of class scores.
        image: a PIL image, an array (height, width, 3), or a tensor (3, height, width) in [0, 1].
        preprocess: makes the model's input of `image`; None if the model takes (1, 3, height, width) in [0, 1].
        labels: the names of the classes, in their order.
        target: the class to explain, by position or name; None for the model's first choice.
        baseline: black, white, mean grey, blur, noise, gaussian noise, max distance, shuffled or colour, with
            parameters in brackets ("blur(sigma=8)", "colour(#ff8800)"); or one of `igw.baselines`, a PIL image or
            array, a tensor of the model's input, or a function of that. What is given so is offered by name from then
            on.
        traits: any other trait: method, n_steps, tol, output, alpha, opacity, colormap, clip, sign, region.

    Traits can be set and observed from Python, and follow the front end: `alpha` (0 to 1), `method` (a rule; auto,
    which samples until the estimated error of the map is at most `tol`; or one of `igw.relatives`: gradient,
    input_x_gradient, smoothgrad, expected_gradients, over the usual baselines, blur_integrated_gradients and
    guided_integrated_gradients, both by the secant rule), `n_steps` (1 to 256; draws, or steps of the path),
    `baseline`, `target`, `output` (what of the model is explained: logit, probability, log-probability, margin, that is
    the lead over the best other class), `channel` (what is drawn: the sum over channels, or red, green, blue),
    `colormap` (matplotlib's names), `opacity` (0 to 1), `clip` (percentile of |attribution| that gets the strongest
    colour, 50 to 100), `sign` (all, positive, negative), `ground` (grey or colour: the photo under the map), `region`
    (left, top, right, bottom) in pixels of the model's input, a polygon (points, 2), a boolean mask (height, width), or
    None, `show_dependence` (whether it is worked out and shown how much the map depends on the baseline, as
    `dependence` does).

    A pane keeps a value of each channel of each pixel for each step, half a billion at most: `n_steps` that would be
    more are refused, and so is `show_dependence`.

    Raises ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError, and traitlets' TraitError.
    """

    panel_types = (ConvergencePanel, SelectionPanel, BaselinePanel, DependencePanel, ExportPanel)
    _file_kind, _file_methods = ImageSubject.kind, METHODS

    _front = traitlets.Unicode(front_end("image.js")).tag(sync=True, recorded=False)
    _front_hash = traitlets.Unicode(hash_of(front_end("image.js"))).tag(sync=True, recorded=False)
    _css = front_end("image.css")

    ground = traitlets.Enum(["grey", "colour"], "grey").tag(sync=True, write=TEXT, look=True)
    opacity = traitlets.Float(0.9, min=0.0, max=1.0).tag(sync=True, write=NUMBER, look=True)

    def __init__(
        self,
        model: nn.Module,
        image: Picture,
        *,
        preprocess: Preprocess | None = None,
        labels: Sequence[str] | None = None,
        target: int | str | None = None,
        baseline: object = "black",
        **traits: Any,
    ) -> None:
        n_steps = traits.get("n_steps", type(self).n_steps.default_value)
        # Before anything that large is made.
        if preprocess is None:
            _check_room(n_steps, _shape_of(image))
        subject = ImageSubject(model, image, preprocess, labels)
        _check_room(n_steps, subject.shape)
        if target is not None:
            traits["target"] = target
        super().__init__(subject, baseline=baseline, **traits)

    @classmethod
    def from_npz(
        cls,
        path: PathLike,
        model: nn.Module,
        image: Picture,
        *,
        preprocess: Preprocess | None = None,
        labels: Sequence[str] | None = None,
    ) -> ImageExplorer:
        """Returns the explorer that `to_npz` wrote to `path`: settings and picture, without a gradient evaluation.

        `model`, `image`, `preprocess` and `labels` are those that it was made with, which no file holds. Whether they
        are is told by F at both ends of the path and by the photo; if not, there is a warning, and the picture is
        computed anew by the settings of the file. What a cancelled run had sampled is shown as far as it went, and the
        dependence on the baseline is worked out anew. Between both ends `result.path` has no attributions: of each
        sample the file holds what is drawn.

        Raises FileError where there is no such file, or its settings cannot be for this model, and as the constructor.
        """
        return cls._from_npz(path, model, image, preprocess=preprocess, labels=labels)


def _check_room(n_steps: object, shape: tuple[int, ...]) -> None:
    # Non-integers are rejected by the trait.
    if isinstance(n_steps, Integral):
        check_size(int(n_steps), shape)


def _shape_of(image: object) -> tuple[int, ...]:
    """Returns the shape of a picture, without reading a value; () for any other object."""
    width, height = getattr(image, "width", 0), getattr(image, "height", 0)
    return (3, height, width) if width and height else tuple(getattr(image, "shape", ()))
