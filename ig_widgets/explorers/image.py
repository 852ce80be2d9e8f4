"""ImageExplorer: what an image classifier's answer comes from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import matplotlib
import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from ig_widgets import baselines, figures
from ig_widgets.compat.captum import CrossCheck, compare
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_samples
from ig_widgets.engine.sampling import Block
from ig_widgets.engine.trace import Samples
from ig_widgets.explorers import export, protocol
from ig_widgets.explorers.base import Explorer, front_end
from ig_widgets.explorers.classifier import classify
from ig_widgets.explorers.picture import Picture, Preprocess, prepare
from ig_widgets.explorers.worker import lock_of

# "black" is not among them: it is what preprocessing makes of a black picture.
_BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "white": baselines.white(),
    "mean grey": baselines.mean_grey(),
    "blur": baselines.blur(),
    "noise": baselines.uniform(seed=0),
}


class ImageExplorer(Explorer):
    """Integrated Gradients over a photo, live.

    Args:
        model: a module in eval mode (or a callable), (1, 3, height, width) to one row of class scores.
        image: a PIL image, an array (height, width, 3), or a tensor (3, height, width) in [0, 1].
        preprocess: makes the model's input of `image`; None if the model takes (1, 3, height, width) in [0, 1].
        labels: the names of the classes, in their order.
        target: the class to explain, by position or name; None for the model's first choice.
        baseline: black, white, mean grey, blur or noise.
        traits: any other trait: method, n_steps, alpha, opacity, colormap, clip, sign.

    Traits can be set and observed from Python, and follow the front end: `alpha` (0 to 1), `n_steps` (1 to 256),
    `method` (a rule), `baseline`, `target`, `colormap` (matplotlib's names), `opacity` (0 to 1), `clip` (percentile of
    |attribution| that gets the strongest colour, 50 to 100), `sign` (all, positive, negative).

    Raises ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError, and traitlets' TraitError.
    """

    _esm = front_end("image.js")
    _css = front_end("image.css")

    colormap = traitlets.Unicode("RdBu_r").tag(sync=True)
    opacity = traitlets.Float(0.9, min=0.0, max=1.0).tag(sync=True)
    clip = traitlets.Float(99.0, min=50.0, max=100.0).tag(sync=True)
    sign = traitlets.Enum(["all", "positive", "negative"], "all").tag(sync=True)

    _baselines = traitlets.List(traitlets.Unicode(), ["black", *_BASELINES]).tag(sync=True)
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
        baseline: str = "black",
        **traits: Any,
    ) -> None:
        parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        self._model = model
        self._image = prepare(image, preprocess, parameter)
        self._classes = classify(model, self._image.inputs, labels)
        self._photo = self._image.space.to_bytes(self._image.inputs)
        super().__init__(
            baseline=baseline,
            target=self._classes.top[0][0] if target is None else target,
            _labels=list(self._classes.labels),
            _top=[list(entry) for entry in self._classes.top],
            _n_classes=self._classes.count,
            _lut=figures.color_table("RdBu_r").tobytes(),
            **traits,
        )

    def __repr__(self) -> str:
        name = self._classes.name(self.target)
        return f"ImageExplorer({name!r}, baseline {self.baseline}, {self.method}, {self.n_steps} steps)"

    # ------------------------------------------------------------ what is sampled

    def _baseline_inputs(self, name: str) -> Tensor:
        if name == "black":
            return self._image.black
        space, inputs = self._image.space, self._image.inputs
        return space.to_inputs(_BASELINES[name](space.to_pictures(inputs).clamp(0, 1))).to(inputs.dtype)

    def _make_samples(self, settings: protocol.Settings) -> Samples:
        return make_samples(
            self._model,
            self._image.inputs,
            baselines=self._baseline_inputs(settings.baseline),
            target=settings.target,
            # The random state belongs to the thread of the session, which may be drawing from it.
            random_state=False,
            guard=lock_of(self._model),
            chunks=self._chunks,
            cells=rules.nodes(settings.method, settings.n_steps) if settings.method == rules.SECANT else None,
            output=None if self._model_changed else self._classes.scores[settings.target].reshape(1),
        )

    def _begin(self, trace: int, settings: protocol.Settings, total: int) -> protocol.Message:
        baseline = self._image.space.to_bytes(self._baseline_inputs(settings.baseline))
        classes = self._classes
        return protocol.begin(
            trace, settings, total, classes.output_name, classes.name(settings.target), self._photo, baseline
        )

    def _maps(self, samples: Samples, block: Block) -> np.ndarray[Any, Any]:
        # Summed over the channels, which keeps completeness.
        (difference,) = samples.path.differences(block.examples)
        return np.asarray((difference * block.gradients[0]).sum(1).float().cpu())

    # ------------------------------------------------------------ verbs

    def snapshot(self) -> bytes:
        """The photo and the overlay as they are set now, with colour bar and caption, as a PNG.

        Waits for the first result. Raises what the run failed with, if there is no earlier result.
        """
        if self._result is None:
            self.wait()
        result, settings = self._result, self._answered
        if result is None or settings is None:
            raise RuntimeError("There is nothing to draw yet: the first run was cancelled before its first sample.")
        full, collected = (
            np.asarray(torch.as_tensor(result.path.cumulative(alpha))[0].sum(0).float().cpu())
            for alpha in (1.0, self.alpha)
        )
        table = figures.color_table(self.colormap)
        scale = figures.scale_of(full, self.clip)
        overlay = figures.compose(self._photo, collected, scale, table, self.opacity, self.sign)
        classes = self._classes
        caption = (
            f"{classes.name(settings.target)[:60]}, {classes.output_name} {float(result.output):.3g}; "
            f"baseline {settings.baseline}; {result.method}, {result.evaluations} samples; alpha {self.alpha:.2f}; "
            f"delta {float(result.convergence_delta):+.2g}"
        )
        return figures.overlay_png(self._photo, overlay, table, scale, classes.output_name, caption)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The explorer as one HTML file that works without kernel and network, or its text where `path` is None.

        Looks (alpha, opacity, clip, sign, the usual colour maps) can be changed in it, and every rule and number of
        steps be chosen that needs no sample beyond those that this baseline and target have. Maps are in 8 bits: off
        by at most 1/254 of each one's largest value. Waits for the first result.

        Raises what the run failed with, if there is no earlier result, and OSError where it cannot be written.
        """
        picture, settings = self.snapshot(), self._answered
        assert settings is not None  # or there is no picture
        names = {*ImageExplorer.class_trait_names(sync=True)} - {*anywidget.AnyWidget.class_trait_names(), "_lut"}
        traits = {name: getattr(self, name) for name in names} | vars(settings)
        text = export.to_html(self._recorded(settings), traits=traits, picture=picture)
        if path is None:
            return text
        export.write(path, text)
        return None

    def crosscheck(self) -> CrossCheck:
        """The current attribution beside Captum's, at the same rule, points, baseline and target.

        Waits. Raises ImportError without the extra `captum`, RuntimeError where the last run was cancelled, and
        ValueError for the secant rule, which Captum does not have.
        """
        self.wait()
        result = self._result
        if result is None or not result.complete or self._answered != self._wish():
            raise RuntimeError("crosscheck needs a finished run; the last one was cancelled. Ask again and wait().")
        return compare(
            result,
            self._model,
            self._image.inputs,
            baselines=self._baseline_inputs(self.baseline),
            target=self.target,
        )

    def _recorded(self, settings: protocol.Settings) -> list[export.Recorded]:
        """What was sampled for the baseline and target of `settings`, by its method first."""
        own = settings.n_steps if settings.method == rules.SECANT else 0
        known = [
            (cells, sampled.record)
            for (baseline, target, cells), sampled in list(self._sampled.items())
            if (baseline, target) == (settings.baseline, settings.target) and sampled.record.maps
        ]
        return [
            export.Recorded(self._begin(record.number, settings, 0), record, export.rules_for(record, cells))
            for cells, record in sorted(known, key=lambda pair: pair[0] != own)
        ]

    # ------------------------------------------------------------ what may be asked for

    @traitlets.validate("baseline")
    def _check_baseline(self, proposal: Any) -> str:
        if proposal.value not in self._baselines:
            raise traitlets.TraitError(f"baseline must be one of {', '.join(self._baselines)}, got {proposal.value!r}.")
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
