"""NPZ file of an explorer: all that is shown and set, from which the explorer can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.explorers.core.baseline_catalog import GivenBaseline
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.core.panel import Host
from ig_widgets.explorers.core.sample_cache import PaneResult
from ig_widgets.explorers.core.settings import FORMS, Settings
from ig_widgets.explorers.core.subject import Subject
from ig_widgets.explorers.export import npz_arrays
from ig_widgets.files import Array, FileError, PathLike, npz_bytes, read_npz
from ig_widgets.files.formats import check_format, fitting

_FORMAT = 1
_MOST_GIVEN = 100
# By how much F may differ where the model is the same, as a share of its largest score.
_TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
# GPUs may round the inputs of convolutions to 10 bits.
_TOLERANCE_ON_GPUS = 5e-3


def kind_of(subject_kind: str) -> str:
    """Returns how a file calls the explorer of a kind of subject."""
    return f"ig_widgets.explorers.{subject_kind}"


@dataclass
class SavedExplorer:
    """What a file holds, while an explorer is made of it.

    `traits`: settings and looks. `given`: baselines, as the model's input, by name. `answers`: of each pane, or None
    where there was none. `about`: of each answer its "dtype" and "device". `state`: the arrays of `Subject.state`.
    `mismatch`: why the results are not shown, "" where they are.
    """

    path: str
    traits_of_file: dict[str, Any]
    regions: list[Any]
    panes: list[dict[str, Any]]
    given: dict[str, Array]
    answers: list[PaneResult | None]
    about: list[Mapping[str, Any]]
    state: dict[str, Array]
    map_shape: tuple[int, ...]
    mismatch: str = ""

    def traits(self, subject: Subject) -> dict[str, Any]:
        """Returns the traits to make an explorer of `subject` with, and offers the file's baselines to it.

        For an input of another shape these baselines are of no use, and neither are regions.
        """
        catalog = subject.baselines
        names = {}
        for name, array in self.given.items():
            fits = array.shape == subject.shape
            offer = GivenBaseline(partial(_as_inputs, array), "given, from a file")
            names[name] = catalog.add(name, offer) if fits else catalog.names[0]

        def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
            known = settings.get("baseline")
            return {**settings, "baseline": names.get(known, known)} if isinstance(known, str) else dict(settings)

        self.answers = [None if one is None else _renamed(one, names) for one in self.answers]
        traits = renamed(self.traits_of_file) | {"_panes": [renamed(pane) for pane in self.panes]}
        if subject.selections is None:
            return traits
        return traits | {"_regions": self.regions if self.map_shape == subject.map_shape else []}

    def answer(self, subject: Subject, index: int, settings: Settings) -> PaneResult | None:
        """Returns the result of a pane, where it answers these settings and is of this model and input."""
        if index >= len(self.answers) or self.mismatch:
            return None
        answer = self.answers[index]
        if answer is None or answer.rule.settings != settings:
            return None
        # One pane that differs is enough: the file is of another model or input.
        self.mismatch = _mismatch(subject, self, answer, self.about[index])
        if self.mismatch:
            return None
        return npz_arrays.to_device(answer, subject.inputs.device)


def to_npz(host: Host, shown: list[PaneResult | None]) -> bytes:
    """Returns the file of an explorer; `shown` is the result of each pane, of which the first is there."""
    first = shown[0]
    assert first is not None
    subject, catalog = host.subject, host.subject.baselines
    arrays: dict[str, Any] = {}
    state = subject.state()
    about: list[dict[str, Any] | None] = []
    for i, answer in enumerate(shown):
        if answer is None:
            about.append(None)
            continue
        settings = answer.rule.settings
        own, known = npz_arrays.to_arrays(answer, subject.map_shape)
        # What is drawn over differs by pane where the state does not have it, as a baseline does.
        display = subject.display(settings).arrays
        own = {name: array for name, array in display.items() if name not in state} | own
        arrays |= {f"{_prefix(i)}{name}": array for name, array in own.items()}
        about.append(known)
    arrays |= state
    panes = host.get("_panes")
    in_use = [answer.rule.settings.baseline for answer in shown if answer is not None]
    names = dict.fromkeys([*catalog.names, *(pane.get("baseline", "") for pane in panes), *in_use])
    given = [name for name in names if name and not catalog.is_usual(name)]
    # Baselines that the user gave exist nowhere else.
    arrays |= {f"given_{i + 1}": catalog.inputs(name)[0] for i, name in enumerate(given)}
    settings, result, look = first.rule.settings, first.result, host.look
    traits = {name: host.get(name) for name in FORMS} | settings.as_traits() | look
    return npz_bytes(
        settings={
            "kind": kind_of(subject.kind),
            "format": _FORMAT,
            **vars(settings),
            "target_name": subject.classifier.target_name(settings),
            "output_name": subject.classifier.output_name(settings),
            "evaluations": result.evaluations,
            "complete": result.complete,
            "output": npz_arrays.number(result.output),
            "baseline_output": npz_arrays.number(result.baseline_output),
            "convergence_delta": npz_arrays.number(result.convergence_delta),
            "error_estimate": npz_arrays.number(result.error_estimate),
            **look,
            "traits": traits,
            "regions": [] if subject.selections is None else list(host.get("_regions")),
            "panes": list(panes),
            "given": given,
            "state": list(subject.state()),
            "map_shape": list(subject.map_shape),
            "answers": about,
        },
        **arrays,
    )


def read(path: PathLike, kind: str, methods: Methods, look: set[str]) -> SavedExplorer:
    """Reads what `to_npz` wrote to `path` for this kind of subject; nothing is unpickled.

    `look`: the names of the explorer's traits with the tag `look`. Whether the file is of the model is not checked
    here.

    Raises ArgumentTypeError for a path that is none, FileError for a file that is missing, none of these, not whole, of
    another version or larger than such a file can be.
    """
    arrays, settings = read_npz(path)
    if settings.get("kind") != kind_of(kind):
        has_arrays = "weights" in arrays and "method" in settings
        reason = (
            "was written by a version that could not restore; its arrays can be read" if has_arrays else "is no such"
        )
        raise FileError(f"path {str(path)!r} holds no explorer that to_npz wrote: it {reason}.")
    check_format(path, settings, _FORMAT)
    with fitting(path, "an explorer"):
        return _parsed(str(path), arrays, settings, methods, look)


def _parsed(
    path: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], methods: Methods, look: set[str]
) -> SavedExplorer:
    lists = ("answers", "given", "regions", "panes", "state", "map_shape")
    about, names, regions, panes, state, map_shape = (settings[name] for name in lists)
    if any(type(settings[name]) is not list for name in lists):
        raise ValueError("lists")
    if not all(type(size) is int and 0 <= size < 2**53 for size in map_shape):
        raise ValueError("map_shape")
    answers: list[PaneResult | None] = []
    for i, known in enumerate(about):
        prefix = _prefix(i)
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        answers.append(None if known is None else npz_arrays.from_arrays(own, known, methods))
        if known is not None and own["maps"].shape[1:] != tuple(map_shape):
            raise ValueError("maps")
    traits = dict(settings["traits"])
    if traits.keys() != {*FORMS, *look}:
        raise ValueError("names of settings")
    texts = [*names, *(value for value in traits.values() if isinstance(value, str))]
    if len(names) > _MOST_GIVEN or not all(type(one) is str and len(one) <= npz_arrays.TEXT_LENGTH for one in texts):
        raise ValueError("texts")
    given = {name: arrays[f"given_{i + 1}"] for i, name in enumerate(names)}
    if not all(one.dtype.kind == "f" and np.isfinite(one).all() for one in given.values()):
        raise ValueError("baselines")
    found = {name: arrays[name] for name in state}
    return SavedExplorer(
        path, traits, regions, [dict(pane) for pane in panes], given, answers, about, found, tuple(map_shape)
    )


def _as_inputs(array: Array, _inputs: Tensor) -> Tensor:
    return torch.from_numpy(array)[None]


def _mismatch(subject: Subject, saved: SavedExplorer, answer: PaneResult, about: Mapping[str, Any]) -> str:
    """Returns in which way the model or the input differs from the file's, "" where neither does."""
    was = tuple(torch.as_tensor(answer.result.attributions).shape[1:])
    if was != subject.shape:
        return f"the model's input was {was} and is {subject.shape}"
    if saved.map_shape != subject.map_shape:
        return f"maps were {saved.map_shape} and are {subject.map_shape}"
    if difference := subject.mismatch(saved.state):
        return difference
    settings, log = answer.rule.settings, answer.rule.log
    ends: list[tuple[str, Tensor | None, float]] = [("F(x)", None, log.output)]
    # The baseline's F is asked for where it matters.
    if subject.methods.uses_baseline(settings.method):
        ends.append((f"F({settings.baseline})", subject.baseline(settings), log.baseline_output))
    for name, inputs, before in ends:
        scores = subject.classifier.scores(settings, inputs)
        after = float(scores[0, subject.target(settings)])
        largest = max(1e-12, float(scores.double().abs().nan_to_num(0, 0, 0).max()), abs(before))
        if not abs(after - before) <= _tolerance(subject.inputs, about) * largest:
            asked = f"the {settings.output} of {subject.classifier.target_name(settings)[:60]}"
            return f"{name[:90]}, {asked}, was {before:.6g} and is {after:.6g}"
    return ""


def _tolerance(inputs: Tensor, about: Mapping[str, Any]) -> float:
    now = str(inputs.dtype).removeprefix("torch.")
    found = max(_TOLERANCES.get(now, 0.0), _TOLERANCES[about["dtype"]])
    return found if inputs.device.type == about["device"] == "cpu" else max(found, _TOLERANCE_ON_GPUS)


def _renamed(answer: PaneResult, names: Mapping[str, str]) -> PaneResult:
    settings = answer.rule.settings
    renamed = replace(settings, baseline=names.get(settings.baseline, settings.baseline))
    return PaneResult(answer.result, replace(answer.rule, settings=renamed))


def _prefix(index: int) -> str:
    return "" if index == 0 else f"pane_{index + 1}_"
