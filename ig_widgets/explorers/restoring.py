"""An explorer's file: all that is shown and set, and the explorer that shows it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from ig_widgets.engine.model_locks import in_turn, lock_of
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.explorers import protocol, saving
from ig_widgets.explorers.base import Explorer
from ig_widgets.explorers.classifier import Classes, Output
from ig_widgets.explorers.gallery import Gallery
from ig_widgets.explorers.memory import Answer
from ig_widgets.explorers.pane import Pane
from ig_widgets.explorers.picture import PreparedImage
from ig_widgets.explorers.relative import RELATIVES
from ig_widgets.figures.inputs import Bytes
from ig_widgets.files import Array, FileError, PathLike, npz_bytes, read_npz
from ig_widgets.files.formats import check_format, fitting

_KIND, _FORMAT = "ig_widgets.ImageExplorer", 1
_WISHES = ("baseline", "target", "output", "method", "n_steps", "tol", "channel")
_LOOKS = ("alpha", "opacity", "clip", "colormap", "sign", "ground", "show_dependence")
_MOST_GIVEN = 100
# By how much F may differ where the model is the same, as a share of its largest score.
_TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
# GPUs may round the inputs of convolutions to 10 bits.
_TOLERANCE_ON_GPUS = 5e-3
# Of 255. A picture may be decoded or scaled by another version of a library.
_LEVELS = 8


@dataclass(frozen=True)
class _Given:
    """A baseline that was given to the explorer that was saved, as the model's input."""

    inputs: Tensor

    space = "inputs"
    parameters = ()

    def __call__(self, _inputs: Tensor) -> Tensor:
        return self.inputs

    def describe(self) -> str:
        return "given, from a file"


@dataclass(frozen=True)
class Saved:
    """What a file holds. `traits`: settings and looks; `given`: baselines, as the model's input, by name.

    `answers`: of each pane, or None where there was none. `about`: of each answer its "dtype" and "device".
    """

    path: str
    traits: dict[str, Any]
    regions: list[Any]
    panes: list[dict[str, Any]]
    given: dict[str, Array]
    answers: list[Answer | None]
    about: list[Mapping[str, Any]]
    photo: Array

    def fit(self, gallery: Gallery, inputs: Tensor) -> tuple[Saved, dict[str, Any]]:
        """What of it suits an explorer of `inputs` (1, channels, height, width), and the traits to make it with.

        Baselines that were given are offered again. To a picture of another size they are of no use, and regions
        neither.
        """
        fits = self.photo.shape[:2] == tuple(inputs.shape[-2:])
        names = {}
        for name, array in self.given.items():
            alike = array.shape == tuple(inputs.shape[1:])
            names[name] = gallery.add(name, _Given(torch.from_numpy(array)[None])) if alike else "black"

        def named(wishes: Mapping[str, Any]) -> dict[str, Any]:
            known = wishes.get("baseline")
            return {**wishes, "baseline": names.get(known, known)} if isinstance(known, str) else dict(wishes)

        answers = [None if one is None else _renamed(one, names) for one in self.answers]
        traits = named(self.traits) | {"_panes": [named(pane) for pane in self.panes]}
        return replace(self, answers=answers), traits | {"_regions": self.regions if fits else []}


class Restoring(Explorer):
    """What an explorer of pictures has for files that it can be made of again."""

    _image: PreparedImage
    _classes: Classes
    _gallery: Gallery
    _photo: Bytes
    _regions: traitlets.List[Any]
    # The baselines that every explorer offers.
    _usual: frozenset[str]
    _saved: Saved | None = None
    # Why the picture of the file is not shown.
    _unlike: str = ""

    def _function(self, settings: protocol.Settings) -> Output:
        raise NotImplementedError

    def _baseline_picture(self, settings: protocol.Settings) -> Bytes:
        raise NotImplementedError

    def _unit(self, settings: protocol.Settings) -> str:
        raise NotImplementedError

    def _npz_of(self, first: Answer) -> bytes:
        """All panes and settings; `first` is what the first pane shows."""
        shown = [first, *(pane.answer for pane in self._asked[1:])]
        height, width = self._photo.shape[:2]
        arrays: dict[str, Any] = {}
        about: list[dict[str, Any] | None] = []
        for i, answer in enumerate(shown):
            if answer is None:
                about.append(None)
                continue
            own, known = saving.to_arrays(answer, height, width)
            own["baseline"] = self._baseline_picture(answer.known.settings)
            arrays |= {f"{_prefix(i)}{name}": array for name, array in own.items()}
            about.append(known)
        given = self._given([answer.known.settings.baseline for answer in shown if answer is not None])
        arrays |= {f"given_{i + 1}": self._gallery.inputs(name)[0] for i, name in enumerate(given)}
        settings, result = first.known.settings, first.result
        wishes = {name: value for name, value in vars(settings).items() if value != 0 or name == "target"}
        traits = {name: getattr(self, name) for name in (*_WISHES, *_LOOKS)} | wishes
        return npz_bytes(
            settings={
                "kind": _KIND,
                "format": _FORMAT,
                **vars(settings),
                "class_name": self._classes.name(settings.target),
                "output_name": self._unit(settings),
                "evaluations": result.evaluations,
                "complete": result.complete,
                "output": saving.number(result.output),
                "baseline_output": saving.number(result.baseline_output),
                "convergence_delta": saving.number(result.convergence_delta),
                "error_estimate": saving.number(result.error_estimate),
                **{name: traits[name] for name in _LOOKS},
                "traits": traits,
                "regions": list(self._regions),
                "panes": list(self._panes),
                "given": given,
                "answers": about,
            },
            photo=self._photo,
            **arrays,
        )

    def _given(self, in_use: list[str]) -> list[str]:
        """Baselines that another explorer does not offer, as they are asked for."""
        names = dict.fromkeys([*self._gallery.names, *(pane.get("baseline", "") for pane in self._panes), *in_use])
        return [name for name in names if name and name.partition("(")[0].strip() not in self._usual]

    # ------------------------------------------------------------

    def _new_pane(self) -> Pane:
        pane = super()._new_pane()
        index, saved = len(self._asked), self._saved
        if saved is None or index >= len(saved.answers) or index >= len(self._panes) or self._unlike:
            return pane
        answer = saved.answers[index]
        wish = protocol.Settings.of({**self._own_wishes(), **self._panes[index]})
        if answer is not None and answer.known.settings == wish:
            self._unlike = self._difference(saved, answer, saved.about[index])
            if not self._unlike:
                pane.restore(saving.moved(answer, self._image.inputs.device, pane.next_trace()))
        return pane

    def _difference(self, saved: Saved, answer: Answer, about: Mapping[str, Any]) -> str:
        """In which way the model or the picture is another than it was, or nothing. The baseline is asked for once."""
        was, now = torch.as_tensor(answer.result.attributions).shape[1:], self._image.inputs.shape[1:]
        if was != now:
            return f"the model's input was {tuple(was)} and is {tuple(now)}"
        levels = int(np.abs(saved.photo.astype(int) - self._photo).max())
        if levels > _LEVELS:
            where = np.unravel_index(np.abs(saved.photo.astype(int) - self._photo).argmax(), saved.photo.shape)
            return f"the photo was {saved.photo[where]} of 255 at its pixel {where[:2]!r} and is {self._photo[where]}"
        settings, record = answer.known.settings, answer.known.record
        function = self._function(settings)
        scores = {"F(x)": function.read(self._classes.scores[None]), f"F({settings.baseline})": None}
        relative = RELATIVES.get(settings.method)
        for (name, known), before in zip(scores.items(), (record.output, record.baseline_output), strict=True):
            if known is None:
                if relative is not None and not relative.uses_baseline:
                    continue
                known = self._scores(function, self._gallery.inputs(settings.baseline))
            after = float(known[0, settings.target])
            largest = max(1e-12, float(known.double().abs().nan_to_num(0, 0, 0).max()), abs(before))
            if not abs(after - before) <= self._tolerance(about) * largest:
                asked = f"the {settings.output} of {self._classes.name(settings.target)[:60]}"
                return f"{name[:90]}, {asked}, was {before:.6g} and is {after:.6g}"
        return ""

    def _scores(self, function: Output, inputs: Tensor) -> Tensor:
        keeper = StateGuard(self._model, inputs.device)
        return in_turn([lock_of(self._model)], lambda: keeper.run(lambda: function(inputs), gradients=False))

    def _tolerance(self, about: Mapping[str, Any]) -> float:
        inputs = self._image.inputs
        now = str(inputs.dtype).removeprefix("torch.")
        found = max(_TOLERANCES.get(now, 0.0), _TOLERANCES[about["dtype"]])
        return found if inputs.device.type == about["device"] == "cpu" else max(found, _TOLERANCE_ON_GPUS)


def read(path: PathLike) -> Saved:
    """What `to_npz` wrote to `path`; nothing is unpickled, and whether a model can be asked so is not looked at.

    Raises ArgumentTypeError for a path that is none, FileError for a file that is missing, none of these, not whole, of
    another version or larger than such a file can be.
    """
    arrays, settings = read_npz(path)
    if settings.get("kind") != _KIND:
        older = "weights" in arrays and "method" in settings
        reason = "was written by a version that could not restore; its arrays can be read" if older else "is no such"
        raise FileError(f"path {str(path)!r} holds no explorer that to_npz wrote: it {reason}.")
    check_format(path, settings, _FORMAT)
    with fitting(path, "an explorer"):
        return _saved(str(path), arrays, settings)


def _saved(path: str, arrays: Mapping[str, Array], settings: Mapping[str, Any]) -> Saved:
    photo = arrays["photo"]
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError("photo")
    about, names, regions, panes = (settings[name] for name in ("answers", "given", "regions", "panes"))
    if any(type(one) is not list for one in (about, names, regions, panes)):
        raise ValueError("lists")
    answers: list[Answer | None] = []
    for i, known in enumerate(about):
        prefix = _prefix(i)
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        answer = None if known is None else saving.from_arrays(own, known, 0)
        if answer is not None and torch.as_tensor(answer.result.attributions).shape[-2:] != photo.shape[:2]:
            raise ValueError("size")
        answers.append(answer)
    traits = dict(settings["traits"])
    if traits.keys() != {*_WISHES, *_LOOKS}:
        raise ValueError("names of settings")
    texts = [*names, *(value for value in traits.values() if isinstance(value, str))]
    if len(names) > _MOST_GIVEN or not all(type(one) is str and len(one) <= saving.TEXT_LENGTH for one in texts):
        raise ValueError("texts")
    given = {name: arrays[f"given_{i + 1}"] for i, name in enumerate(names)}
    if not all(one.dtype.kind == "f" and one.ndim == 3 and np.isfinite(one).all() for one in given.values()):
        raise ValueError("baselines")
    return Saved(path, traits, regions, [dict(pane) for pane in panes], given, answers, about, photo)


def _renamed(answer: Answer, names: Mapping[str, str]) -> Answer:
    settings = answer.known.settings
    renamed = replace(settings, baseline=names.get(settings.baseline, settings.baseline))
    return Answer(answer.result, replace(answer.known, settings=renamed))


def _prefix(index: int) -> str:
    return "" if index == 0 else f"pane_{index + 1}_"
