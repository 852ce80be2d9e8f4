"""Dependence panel: how much a map depends on its baseline, computed with several of them in the background."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import traitlets

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_attribution
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.errors import ArgumentTypeError, Cancelled, IGError
from ig_widgets.engine.refinement import suits
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.error_text import describe_model_error
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.limits import check_size
from ig_widgets.explorers.core.maps import encode
from ig_widgets.explorers.core.panel import Host, Panel
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.panels.dependence_result import BaselineDependence, BaselineMap, check_count, make_dependence
from ig_widgets.explorers.widget.schema import FLAG
from ig_widgets.explorers.widget.worker import Worker
from ig_widgets.texts import plain

NAME = "dependence"
# On EfficientNet-Lite0 the number is settled with 8; single values of the mean are then still a third off.
STEPS = 16
# Baselines whose attributions are kept, for a person who goes back and forth.
_KEPT = 16
# How often it is checked whether the panes, for which a person waits, are done.
_TURN_SECONDS = 0.05
# More views than a person has open; others may ask again.
_MOST_REQUESTING = 16

_log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Question:
    """The settings that are explained with each of the baselines `names`; by which method, each path decides."""

    names: tuple[str, ...]
    settings: Settings

    def at(self, baseline: str) -> Settings:
        """Returns the settings with one of the baselines."""
        return replace(self.settings, baseline=baseline)


class DependencePanel(Panel):
    """Works out how much the map depends on the baseline, anew whenever settings, baselines or model change."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._worker = Worker()
        # What is shown changes under it alone, so that no result is replaced by an older one.
        self._lock = threading.RLock()
        # What is shown, or being worked out.
        self._question: _Question | None = None
        self._maps: protocol.Message | None = None
        self._number = 0
        # What `compute` was last asked for: baselines (None: the usual ones) and steps.
        self._chosen: tuple[tuple[str, ...] | None, int] = None, STEPS
        self._attributed: OrderedDict[tuple[object, ...], BaselineMap] = OrderedDict()
        # Views that wait for the maps.
        self._requesting: dict[str, None] = {}

    def compute(self, baselines: Sequence[object] | None, n_steps: int) -> BaselineDependence:
        """Works it out in this thread; what is asked for here is shown from then on."""
        names = None if baselines is None else self._named(baselines)
        chosen = names, rules.check_n_steps(n_steps)
        check_size(n_steps, self.host.subject.shape)
        self.host.wait()
        self.host.check_model()
        self._chosen = chosen
        # The worker would compute the same once more.
        self._worker.cancel()
        try:
            return self._compute(self._newest_question(), threading.Event(), lambda _done, _total: None)
        finally:
            self._question = None
            self.update()

    def check(self, is_shown: bool) -> bool:
        """Returns `is_shown`. Raises TraitError where there is no room for the samples."""
        try:
            check_size(self._chosen[1] if is_shown else 0, self.host.subject.shape)
        except IGError as error:
            raise traitlets.TraitError(f"show_dependence is not available: {error}") from None
        return is_shown

    def update(self) -> None:
        """Works it out in the background, unless it is shown already, being worked out, or switched off."""
        if not len(self.host.panes):  # the constructor sets show_dependence; its first settings come later
            return
        with self._lock:
            if not self.host.get("show_dependence"):
                self._worker.cancel()
                self._question = self._maps = None
                self.host.set(_dependence={})
                return
            question = self._newest_question()
            if question == self._question:
                return
            self._question = question
            self.host.set(_dependence={"kind": "computing", "done": 0, "total": 0})
            self._worker.submit(lambda cancel: self._run(question, cancel))

    # ------------------------------------------------------------ what happens to the explorer

    def on_settings(self) -> None:
        """Settings may be others."""
        self.update()

    def on_message(self, message: protocol.PanelMessage) -> None:
        """A view asks for the maps."""
        match message:
            case protocol.Request(view, panel) if panel == NAME:
                with self._lock:
                    others = self._requesting if len(self._requesting) < _MOST_REQUESTING else {}
                    self._requesting = {**others, view: None}
                self.host.tasks.submit(NAME, self._send_maps)

    def on_model_changed(self) -> None:
        """Forgets what was computed."""
        with self._lock:
            self._attributed.clear()
            self._question = None
            self.update()

    def on_pause(self) -> None:
        """Stops computing."""
        with self._lock:
            if self.host.get("_dependence").get("kind") == "computing":
                self._worker.cancel()
                self._question = None

    def on_resume(self) -> None:
        """Goes on."""
        self.update()

    def close(self) -> None:
        """Stops for good."""
        self._worker.close()

    # ------------------------------------------------------------ the question

    def _newest_question(self) -> _Question:
        names, n_steps = self._chosen
        own = self.host.settings
        if names is None:
            names = tuple(dict.fromkeys([*self.host.subject.usual_baselines, own.baseline]))
        # The method is each path's own, and the baseline each of `names`.
        return _Question(names, replace(own, baseline="", method="riemann_middle", n_steps=n_steps, tol=0.0))

    def _named(self, baselines: object) -> tuple[str, ...]:
        """Returns the texts that ask for these baselines, each once."""
        if isinstance(baselines, str) or not isinstance(baselines, Sequence):
            raise ArgumentTypeError(
                f"baselines must be a list of at least two, such as ['black', 'blur'], got {type(baselines).__name__}."
            )
        catalog = self.host.subject.baselines
        try:
            names = tuple(dict.fromkeys(catalog.name_of(one) for one in baselines))
        finally:
            # New ones are on offer even where a later one is not valid.
            self.host.set(_baselines=catalog.names)
        check_count(names)
        return names

    # ------------------------------------------------------------ computing

    def _run(self, question: _Question, cancel: threading.Event) -> None:
        percent = 0

        def on_progress(done: int, total: int) -> None:
            nonlocal percent
            if (now := 100 * done // total) > percent:
                percent = now
                self._show({"kind": "computing", "done": done, "total": total}, cancel)

        try:
            self._let_panes_go_first(cancel)
            self.host.check_model()
            found = self._compute(question, cancel, on_progress)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            if not cancel.is_set():
                text = describe_model_error(error)
                _log.warning("%s: %s", type(self.host.subject).__name__, text)
                self._show({"kind": "failed", "message": text}, cancel)
                self.host.notify(f"The dependence on the baseline was not worked out: {text}")
            return
        with self._lock:
            if not cancel.is_set():
                self._number += 1
                named = {"mean": encode(found.mean), "standard_deviation": encode(found.standard_deviation)}
                self._maps = protocol.maps(NAME, self._number, found.mean.shape, named)
                self.host.set(_dependence=_as_data(self._number, question, found))

    def _show(self, state: dict[str, Any], cancel: threading.Event) -> None:
        with self._lock:
            if not cancel.is_set():
                self.host.set(_dependence=state)

    def _send_maps(self) -> None:
        """Sends the maps to each view that asked, once; a view that is told of newer ones will ask again."""
        with self._lock:
            views, self._requesting = self._requesting, {}
            message = self._maps
        if message is not None:
            for view in views:
                self.host.send(view, message)

    def _let_panes_go_first(self, cancel: threading.Event) -> None:
        """The panes are what a person waits for, and need the model too."""
        for pane in list(self.host.panes):
            while not (cancel.is_set() or pane.wait(_TURN_SECONDS)):
                pass
        if cancel.is_set():
            raise Cancelled("Cancelled before all baselines were asked.", None)

    def _compute(self, question: _Question, cancel: threading.Event, on_progress: OnProgress) -> BaselineDependence:
        """Raises Cancelled, and what the model raises."""
        with self._lock:
            known = {name: self._attributed.get(_key(question, name)) for name in question.names}
        total = question.settings.n_steps * sum(one is None for one in known.values())
        done = 0

        def on_samples(count: int) -> None:
            nonlocal done
            done += count
            on_progress(done, total)
            self._let_panes_go_first(cancel)

        found = {
            name: self._attribute(question, name, cancel, on_samples) if one is None else one
            for name, one in known.items()
        }
        subject, settings = self.host.subject, question.at(question.names[0])
        drawn = [
            replace(one, values=subject.reduce(torch.from_numpy(one.values)[None], settings)[0].numpy())
            for one in found.values()
        ]
        classifier = subject.classifier
        words = f"{plain(classifier.target_name(settings), 60)}, {plain(classifier.output_name(settings), 60)}"
        return make_dependence(drawn, n_steps=settings.n_steps, question=words, coarsen=subject.coarsen)

    def _attribute(
        self, question: _Question, name: str, cancel: threading.Event, on_samples: Callable[[int], None]
    ) -> BaselineMap:
        """Returns the attributions of all features, from one baseline, by the rule that suits its path; keeps them."""
        settings = question.at(name)
        samples = self.host.subject.samples(settings, None)
        method, _ = suits(samples, settings.n_steps, cancel)
        nodes = rules.nodes(method, settings.n_steps)
        if method == rules.SECANT:
            samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
        for block in samples.extend(nodes.alphas, cancel=cancel):
            on_samples(len(block.alphas))
        self._let_panes_go_first(cancel)
        result = make_attribution(samples, nodes, method=method, elapsed=0.0)
        values = torch.as_tensor(result.attributions)[0].double().cpu().numpy()
        made = BaselineMap(name, float(samples.output), float(samples.baseline_output), method, values)
        with self._lock:
            # A cancelled run may be of an older model.
            if not cancel.is_set():
                self._attributed[_key(question, name)] = made
            while len(self._attributed) > _KEPT:
                self._attributed.popitem(last=False)
        return made


def _key(question: _Question, name: str) -> tuple[object, ...]:
    """Returns what an attribution depends on; each channel is a part of it."""
    settings = question.settings
    return name, settings.n_steps, settings.target, settings.output, settings.input


def _as_data(number: int, question: _Question, found: BaselineDependence) -> dict[str, Any]:
    rows = zip(found.names, found.baseline_outputs, found.sums, found.shares, strict=True)
    settings = question.settings
    return {
        "kind": "ready",
        "number": number,
        "asked": {"target": settings.target, "output": settings.output, "channel": settings.channel},
        "dependence": found.dependence,
        "coarse": found.coarse_dependence,
        "patch": found.patch,
        "output": found.output,
        "rules": [f"{method}, {found.n_steps}" for method in dict.fromkeys(found.methods)],
        "rows": [{"name": name, "output": at, "sum": total, "share": share} for name, at, total, share in rows],
    }


class DependenceTraits(Explorer):
    """The traits and methods of the dependence panel.

    `show_dependence`: whether it is worked out and shown. `_dependence`: what the front end shows.
    """

    show_dependence = traitlets.Bool(False).tag(sync=True, write=FLAG, look=True, recorded=False)
    _dependence: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True, recorded=False)

    def dependence(self, baselines: Sequence[object] | None = None, *, n_steps: int = STEPS) -> BaselineDependence:
        """Returns how much the attribution of the current target, output and channel depends on the baseline.

        Waits; the model is asked, by the rule that suits it for so many `n_steps` a baseline. `baselines`: at least two
        of what `baseline` can be set to; None takes the usual ones (of a picture black, white, mean grey, blur, three
        draws of noise) and the current one. What is asked for here is also what the front end shows from then on, while
        `show_dependence`.

        Raises ArgumentTypeError, ArgumentValueError, and what the model or the run of the first pane fails with.
        """
        return self._panel(DependencePanel).compute(baselines, n_steps)

    @traitlets.observe("show_dependence")
    def _switch_dependence(self, _change: Any) -> None:
        self._panel(DependencePanel).update()

    @traitlets.validate("show_dependence")
    def _check_dependence(self, proposal: Any) -> bool:
        return self._panel(DependencePanel).check(bool(proposal.value))
