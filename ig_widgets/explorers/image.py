"""ImageExplorer: what an image classifier's answer comes from."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import matplotlib
import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from ig_widgets import figures
from ig_widgets.compat.captum import CrossCheck, compare
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_samples
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import IGError
from ig_widgets.engine.trace import Samples
from ig_widgets.engine.turns import lock_of
from ig_widgets.engine.wording import counted
from ig_widgets.explorers import protocol, restoring
from ig_widgets.explorers.auditing import Auditing
from ig_widgets.explorers.base import front_end, hash_of
from ig_widgets.explorers.classifier import MARGIN, Output, classify
from ig_widgets.explorers.convergence import curves, to_data
from ig_widgets.explorers.depending import Depending
from ig_widgets.explorers.exporting import Exporting
from ig_widgets.explorers.failure import cause, sentence
from ig_widgets.explorers.gallery import Gallery
from ig_widgets.explorers.pane import Pane
from ig_widgets.explorers.picture import Picture, Preprocess, prepare
from ig_widgets.explorers.relative import DISTRIBUTION, RELATIVES, Asked, kind_of, samples_of
from ig_widgets.explorers.restoring import Saved
from ig_widgets.explorers.size import check_size
from ig_widgets.figures.inputs import Bytes
from ig_widgets.files import FileError, PathLike
from ig_widgets.texts import plain, shorten

_COLOURS = ("red", "green", "blue")
# More than a person has open; others may ask again.
_MOST_WANTING = 16


class ImageExplorer(Auditing, Exporting, Depending):
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

    _front = traitlets.Unicode(front_end("image.js")).tag(sync=True)
    _front_hash = traitlets.Unicode(hash_of(front_end("image.js"))).tag(sync=True)
    _css = front_end("image.css")

    colormap = traitlets.Unicode("RdBu_r").tag(sync=True)
    ground = traitlets.Enum(["grey", "colour"], "grey").tag(sync=True)
    opacity = traitlets.Float(0.9, min=0.0, max=1.0).tag(sync=True)
    clip = traitlets.Float(99.0, min=50.0, max=100.0).tag(sync=True)
    sign = traitlets.Enum(["all", "positive", "negative"], "all").tag(sync=True)

    _outputs = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _channels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _curves: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _colormaps = traitlets.List(traitlets.Unicode(), sorted(matplotlib.colormaps, key=str.lower)).tag(sync=True)
    _lut = traitlets.Bytes().tag(sync=True)
    _labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _top: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _n_classes = traitlets.Int().tag(sync=True)

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
        # Before there is anything that large.
        if preprocess is None:
            _check_room(n_steps, _shape_of(image))
        parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        self._model = model
        self._image = prepare(image, preprocess, parameter)
        _check_room(n_steps, self._shape())
        self._classes = classify(model, self._image.inputs, labels)
        self._photo = self._image.space.to_bytes(self._image.inputs)
        self._gallery = Gallery(self._image, parameter, preprocess)
        self._usual = frozenset(self._gallery.names)
        self._functions: dict[tuple[str, int], Output] = {}
        # Views that wait for the maps of how much depends on the baseline.
        self._wanting: dict[str, None] = {}
        saved: Saved | None = traits.pop("_saved", None)
        if saved is not None:
            self._saved, traits = saved.fit(self._gallery, self._image.inputs)
            baseline, target = traits.pop("baseline"), traits.pop("target")
        super().__init__(
            baseline=baseline,
            _baselines=self._gallery.names,
            _outputs=self._classes.outputs,
            _channels=[protocol.SUM, *(_COLOURS if self._image.inputs.shape[1] == len(_COLOURS) else ())],
            output=traits.pop("output", self._classes.output_name),
            target=self._classes.top[0][0] if target is None else target,
            _labels=list(self._classes.labels),
            _top=[list(entry) for entry in self._classes.top],
            _n_classes=self._classes.count,
            _lut=figures.color_table("RdBu_r").tobytes(),
            **traits,
        )

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
        """The explorer that `to_npz` wrote to `path`: its settings, and its picture without a gradient evaluation.

        `model`, `image`, `preprocess` and `labels` are those that it was made with, which no file holds. Whether they
        are is told by F at both ends of the path and by the photo; if not, there is a warning, and the picture is
        computed anew by the settings of the file. What a cancelled run had sampled is shown as far as it went, and the
        dependence on the baseline is worked out anew. Between both ends `result.path` has no attributions: of each
        sample the file holds what is drawn.

        Raises FileError where there is no such file, or its settings cannot be for this model, and as the constructor.
        """
        saved = restoring.read(path)
        try:
            explorer = cls(model, image, preprocess=preprocess, labels=labels, _saved=saved)
        except traitlets.TraitError as error:
            raise FileError(
                f"path {str(path)!r} holds settings that cannot be for this model: {str(error)[:300]}"
            ) from error
        if explorer._unlike:
            warnings.warn(
                f"path {str(path)!r} was saved of another model or picture: {explorer._unlike}. The settings are kept, "
                f"and the picture is computed anew.",
                UserWarning,
                stacklevel=2,
            )
        elif explorer.result is not None:
            explorer._answered(explorer._asked[0])
        explorer._saved = None
        return explorer

    def __repr__(self) -> str:
        name, baseline = shorten(self._classes.name(self.target), 60), plain(self.baseline)
        rule = f"{self.method}, {counted(self.n_steps, 'step')}"
        rule = f"to an error of {self.tol:.3g}" if self.method == rules.AUTO else rule
        panes = f", {len(self._panes)} panes" if len(self._panes) > 1 else ""
        return f"ImageExplorer({name!r}, baseline {baseline}, {rule}{panes})"

    # ------------------------------------------------------------ what is sampled

    def _function(self, settings: protocol.Settings) -> Output:
        """One object for each reading of the scores, by which its chunk size is remembered."""
        second = self._classes.second(settings.target) if settings.output == MARGIN else 0
        key = settings.output, second
        if key not in self._functions:
            is_probability = self._classes.output_name == "probability"
            self._functions[key] = Output(self._model, settings.output, is_probability, second)
        return self._functions[key]

    def _samples(
        self, settings: protocol.Settings, chunks: ChunkSize | None, cancel: threading.Event | None = None
    ) -> Samples:
        # A trait is refused before; what is asked beside the panes is not.
        check_size(settings.n_steps, self._shape())
        if settings.method in RELATIVES:
            return samples_of(settings.method, self._question_of(settings, chunks, cancel))
        own = settings.output == self._classes.output_name and not self._model_changed
        return make_samples(
            self._function(settings),
            self._image.inputs,
            baselines=self._gallery.inputs(settings.baseline),
            target=settings.target,
            # The random state belongs to the thread of the session, which may be drawing from it.
            guard=lock_of(self._model),
            chunks=chunks,
            cells=rules.nodes(settings.method, settings.n_steps) if settings.method == rules.SECANT else None,
            known_output=self._classes.scores[settings.target].reshape(1) if own else None,
            cancel=cancel,
        )

    def _question_of(
        self, settings: protocol.Settings, chunks: ChunkSize | None, cancel: threading.Event | None
    ) -> Asked:
        return Asked(
            self._function(settings),
            settings.target,
            self._image.inputs,
            self._gallery.inputs(settings.baseline),
            lambda: torch.cat([self._gallery.inputs(name) for name in DISTRIBUTION]),
            settings.n_steps,
            lock_of(self._model),
            chunks,
            cancel,
        )

    def _shape(self) -> tuple[int, ...]:
        return tuple(self._image.inputs.shape[1:])

    def _begin(self, trace: int, settings: protocol.Settings, total: int) -> protocol.Message:
        baseline = self._baseline_picture(settings)
        name = self._classes.name(settings.target)
        unit, kind = self._unit(settings), kind_of(settings.method)
        return protocol.begin(trace, settings, total, unit, name, self._photo, baseline, kind)

    def _maps(self, samples: Samples, keys: list[Any], settings: protocol.Settings) -> np.ndarray[Any, Any]:
        flat = torch.cat(list(samples.maps(0, keys, multiply_by_inputs=True)), dim=1)
        return np.asarray(self._shown(flat.view(len(keys), *self._image.inputs.shape[1:]), settings).float().cpu())

    def _shown(self, maps: Tensor, settings: protocol.Settings) -> Tensor:
        """Of maps (..., channels, height, width) what is drawn: their sum, which keeps completeness, or one channel."""
        if settings.channel == protocol.SUM:
            return maps.sum(-3)
        return maps.select(-3, self._channels.index(settings.channel) - 1)

    def _baseline_picture(self, settings: protocol.Settings) -> Bytes:
        return self._image.space.to_bytes(self._gallery.inputs(settings.baseline))

    def _unit(self, settings: protocol.Settings) -> str:
        """What is explained, in words."""
        unit = settings.output
        if settings.output == MARGIN:
            unit = f"margin over {self._classes.name(self._classes.second(settings.target))}"
        return unit if settings.channel == protocol.SUM else f"{unit}, {settings.channel} alone"

    # ------------------------------------------------------------ verbs

    def crosscheck(self) -> CrossCheck:
        """The current attribution beside Captum's, at the same rule, points, baseline and target.

        Waits. Raises ImportError without the extra `captum`, RuntimeError where the last run was cancelled, and
        ValueError for a rule that Captum does not have, as those are that sample to a tolerance.
        """
        self.wait()
        pane = self._asked[0]
        result, settings = pane.result, pane.answered
        if result is None or settings is None or not result.complete or settings != pane.wish:
            raise RuntimeError("crosscheck needs a finished run; the last one was cancelled. Ask again and wait().")
        return compare(
            result,
            self._function(settings),
            self._image.inputs,
            baselines=self._gallery.inputs(settings.baseline),
            target=settings.target,
        )

    # ------------------------------------------------------------ beside the sampling

    def _answered(self, pane: Pane) -> None:
        super()._answered(pane)
        if self._asked and pane is self._asked[0]:
            self._chores.ask("curves", self._tell_curves)
            if self._regions:
                self._chores.ask("audit", self._tell_audits)

    def _tell_curves(self) -> None:
        self._curves = to_data(curves(self._asked[0].known()))

    def _send_file(self, view: str, kind: str) -> None:
        try:
            data = self._export(kind)
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            # It waits for a run, which may have failed; else the model is not to blame.
            words = sentence(error) if error is self._asked[0].error else cause(error)
            self._say(f"{kind.upper()} was not made: {words}")
            return
        content, buffers = protocol.file(f"attribution.{kind}", data)
        self.send({**content, "view": view, "request": 0}, buffers)

    def _send_dependences(self) -> None:
        """To each view once, however often it has asked."""
        with self._dependence_guard:
            views, self._wanting = self._wanting, {}
        for view in views:
            self._send_dependence(view)

    def _heard(self, message: protocol.Beside) -> None:
        match message:
            case protocol.Gallery():
                self._chores.ask("cards", self._tell_cards)
            case protocol.Dependence(view):
                with self._dependence_guard:
                    self._wanting = (
                        {**self._wanting, view: None} if len(self._wanting) < _MOST_WANTING else {view: None}
                    )
                self._chores.ask("dependence", self._send_dependences)
            case protocol.Upload(_, name, data):
                self._chores.ask("upload", lambda: self._take(name, data))
            case protocol.Export(view, kind):
                self._chores.ask(f"export {kind}", lambda: self._send_file(view, kind))

    # ------------------------------------------------------------ what may be asked for

    @traitlets.validate("show_dependence")
    def _check_dependence(self, proposal: Any) -> bool:
        try:
            check_size(self._chosen[1] if proposal.value else 0, self._shape())
        except IGError as error:
            raise traitlets.TraitError(f"show_dependence is not available: {error}") from None
        return bool(proposal.value)

    @traitlets.validate("channel")
    def _check_channel(self, proposal: Any) -> str:
        if proposal.value not in self._channels:
            raise traitlets.TraitError(f"channel must be one of {', '.join(self._channels)}, got {proposal.value!r}.")
        return str(proposal.value)

    @traitlets.validate("output")
    def _check_output(self, proposal: Any) -> str:
        if proposal.value not in self._classes.outputs:
            raise traitlets.TraitError(
                f"output must be one of {', '.join(self._classes.outputs)}, got {proposal.value!r}."
            )
        return str(proposal.value)

    @traitlets.validate("target")
    def _check_target(self, proposal: Any) -> int:
        return self._classes.index(proposal.value)

    @traitlets.validate("colormap")
    def _check_colormap(self, proposal: Any) -> str:
        try:
            figures.color_table(proposal.value)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return str(proposal.value)

    @traitlets.observe("colormap")
    def _send_colors(self, change: Any) -> None:
        self._lut = figures.color_table(change.new).tobytes()


def _check_room(n_steps: object, shape: tuple[int, ...]) -> None:
    # What is no number of steps at all is for its trait to say.
    if isinstance(n_steps, Integral):
        check_size(int(n_steps), shape)


def _shape_of(image: object) -> tuple[int, ...]:
    """What a picture has without a single value read; () of what is none."""
    width, height = getattr(image, "width", 0), getattr(image, "height", 0)
    return (3, height, width) if width and height else tuple(getattr(image, "shape", ()))
