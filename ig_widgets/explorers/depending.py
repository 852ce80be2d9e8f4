"""How much the map of an explorer of pictures depends on the baseline: asked with several, beside the session."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import traitlets
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_attribution
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.errors import ArgumentTypeError, Cancelled
from ig_widgets.engine.refinement import suits
from ig_widgets.explorers import protocol
from ig_widgets.explorers.dependence import BaselineDependence, BaselineMap, check_count, make_dependence
from ig_widgets.explorers.failure import sentence
from ig_widgets.explorers.offering import Offering
from ig_widgets.explorers.relative import DISTRIBUTION
from ig_widgets.explorers.size import check_size
from ig_widgets.explorers.worker import Worker
from ig_widgets.texts import plain

# No colour, no brightness, no detail, nothing but chance; of that three draws, so that none of them counts alone.
USUAL = DISTRIBUTION
# On EfficientNet-Lite0 the number is settled with 8; pixels of the mean are then still a third off.
STEPS = 16
# Baselines whose attributions are kept, for a person who goes back and forth.
_KEPT = 16
# How often it is looked whether the panes, for which a person waits, are done.
_TURN_SECONDS = 0.05

_log = logging.getLogger(__name__)

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class _Question:
    names: tuple[str, ...]
    n_steps: int
    target: int
    output: str
    channel: str

    def settings(self, baseline: str) -> protocol.Settings:
        """As a wish; by which rule is seen on the path."""
        return protocol.Settings(
            baseline, self.target, self.output, "riemann_middle", self.n_steps, 0.0, channel=self.channel
        )


class Depending(Offering):
    """What an explorer of pictures can say of its baseline. `_dependence` is what the front end shows.

    `show_dependence`: whether that is worked out, anew whenever target, output, channel, baselines or model change.
    """

    show_dependence = traitlets.Bool(False).tag(sync=True)
    _dependence: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._dependence_worker = Worker()
        # Whatever is shown is shown under it, so that what is overtaken is not shown later.
        self._dependence_guard = threading.RLock()
        self._dependence_of: _Question | None = None
        self._dependence_maps: protocol.Message | None = None
        self._dependence_number = 0
        self._chosen: tuple[tuple[str, ...] | None, int] = None, STEPS
        self._attributed: OrderedDict[tuple[object, ...], BaselineMap] = OrderedDict()
        super().__init__(**traits)

    def dependence(self, baselines: Sequence[object] | None = None, *, n_steps: int = STEPS) -> BaselineDependence:
        """How much the attribution of the current target, output and channel depends on the baseline.

        Waits; the model is asked, by the rule that suits it for so many `n_steps` a baseline. `baselines`: at least two
        of what `baseline` can be set to; None takes black, white, mean grey, blur, three draws of noise, and the
        current one. What is asked for here is also what the front end shows from then on, while `show_dependence`.

        Raises ArgumentTypeError, ArgumentValueError, and what the model or the run of the first pane fails with.
        """
        names = None if baselines is None else self._named(baselines)
        chosen = names, rules.check_n_steps(n_steps)
        check_size(n_steps, self._shape())
        self.wait()
        self._renewed()
        self._chosen = chosen
        # It would work out the same once more.
        self._dependence_worker.cancel()
        try:
            return self._depend(self._question(), threading.Event(), lambda _done, _total: None)
        finally:
            self._dependence_of = None
            self._depend_anew()

    def close(self) -> None:
        """Stop computing and close the widget and its views."""
        # __del__ comes here where the constructor has refused its arguments.
        if worker := vars(self).get("_dependence_worker"):
            worker.close()
        super().close()

    def _abandon(self) -> None:
        super()._abandon()
        with self._dependence_guard:
            if self._dependence.get("kind") == "computing":
                self._dependence_worker.cancel()
                self._dependence_of = None

    def _resume(self) -> None:
        super()._resume()
        self._depend_anew()

    # ------------------------------------------------------------ what the explorer has

    def _shown(self, maps: Tensor, settings: protocol.Settings) -> Tensor:
        raise NotImplementedError

    def _unit(self, settings: protocol.Settings) -> str:
        raise NotImplementedError

    # ------------------------------------------------------------ when it is worked out

    def _ask(self, change: object = None) -> None:
        super()._ask(change)
        self._depend_anew()

    def _renewed(self) -> bool:
        renewed = super()._renewed()
        if renewed:
            with self._dependence_guard:
                self._attributed.clear()
                self._dependence_of = None
                self._depend_anew()
        return renewed

    @traitlets.observe("show_dependence")
    def _switched(self, _change: Any) -> None:
        self._depend_anew()

    def _depend_anew(self) -> None:
        """Unless what is asked is what is shown already, or in hand."""
        if not self._asked:  # switched on by the constructor, which asks in the end
            return
        with self._dependence_guard:
            if not self.show_dependence:
                self._dependence_worker.cancel()
                self._dependence_of = self._dependence_maps = None
                self._dependence = {}
                return
            question = self._question()
            if question == self._dependence_of:
                return
            self._dependence_of = question
            self._dependence = {"kind": "computing", "done": 0, "total": 0}
            self._dependence_worker.submit(lambda cancel: self._work_out(question, cancel))

    def _question(self) -> _Question:
        names, n_steps = self._chosen
        own = self._own_wishes()
        if names is None:
            names = tuple(dict.fromkeys([*USUAL, own["baseline"]]))
        return _Question(names, n_steps, own["target"], own["output"], own["channel"])

    def _named(self, baselines: object) -> tuple[str, ...]:
        """Their texts, each once."""
        if isinstance(baselines, str) or not isinstance(baselines, Sequence):
            raise ArgumentTypeError(
                f"baselines must be a list of at least two, such as ['black', 'blur'], got {type(baselines).__name__}."
            )
        try:
            names = tuple(dict.fromkeys(self._gallery.name_of(one) for one in baselines))
        finally:
            # What is new is on offer, also where another cannot be.
            self._baselines = self._gallery.names
        check_count(names)
        return names

    # ------------------------------------------------------------ working it out

    def _work_out(self, question: _Question, cancel: threading.Event) -> None:
        percent = 0

        def tell(done: int, total: int) -> None:
            nonlocal percent
            if (now := 100 * done // total) > percent:
                percent = now
                self._tell_dependence({"kind": "computing", "done": done, "total": total}, cancel)

        try:
            self._make_way(cancel)
            self._renewed()
            found = self._depend(question, cancel, tell)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            if not cancel.is_set():
                _log.warning("%s: %s", type(self).__name__, sentence(error))
                self._tell_dependence({"kind": "failed", "message": sentence(error)}, cancel)
                self._say(f"The dependence on the baseline was not worked out: {sentence(error)}")
            return
        with self._dependence_guard:
            if not cancel.is_set():
                self._dependence_number += 1
                number = self._dependence_number
                self._dependence_maps = protocol.dependence(number, found.mean, found.standard_deviation)
                self._dependence = _as_data(number, question, found)

    def _tell_dependence(self, state: dict[str, Any], cancel: threading.Event) -> None:
        with self._dependence_guard:
            if not cancel.is_set():
                self._dependence = state

    def _send_dependence(self, view: str) -> None:
        """The maps, where they are there; a front end that is told of new ones will ask again."""
        with self._dependence_guard:
            if self._dependence_maps is not None:
                content, buffers = self._dependence_maps
                self.send({**content, "view": view, "request": 0}, buffers)

    def _make_way(self, cancel: threading.Event) -> None:
        """This and the panes take turns with the model, and the panes are what a person waits for."""
        for pane in list(self._asked):
            while not (cancel.is_set() or pane.wait(_TURN_SECONDS)):
                pass
        if cancel.is_set():
            raise Cancelled("Cancelled before all baselines were asked.", None)

    def _depend(self, question: _Question, cancel: threading.Event, tell: Tell) -> BaselineDependence:
        """Raises Cancelled, and what the model does."""
        with self._dependence_guard:
            known = {name: self._attributed.get(_key(question, name)) for name in question.names}
        total = question.n_steps * sum(one is None for one in known.values())
        done = 0

        def sampled(count: int) -> None:
            nonlocal done
            done += count
            tell(done, total)
            self._make_way(cancel)

        found = {
            name: self._attribute(question, name, cancel, sampled) if one is None else one
            for name, one in known.items()
        }
        settings = question.settings(question.names[0])
        drawn = [
            replace(one, values=self._shown(torch.from_numpy(one.values), settings).numpy()) for one in found.values()
        ]
        asked = f"{plain(self._classes.name(question.target), 60)}, {plain(self._unit(settings), 60)}"
        return make_dependence(drawn, n_steps=question.n_steps, question=asked)

    def _attribute(
        self, question: _Question, name: str, cancel: threading.Event, sampled: Callable[[int], None]
    ) -> BaselineMap:
        """All channels, for one baseline, by the rule that suits its path; they are kept."""
        samples = self._samples(question.settings(name), None)
        method, _ = suits(samples, question.n_steps, cancel)
        nodes = rules.nodes(method, question.n_steps)
        if method == rules.SECANT:
            samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
        for block in samples.extend(nodes.alphas, cancel=cancel):
            sampled(len(block.alphas))
        self._make_way(cancel)
        result = make_attribution(samples, nodes, method=method, elapsed=0.0)
        values = torch.as_tensor(result.attributions)[0].double().cpu().numpy()
        made = BaselineMap(name, float(samples.output), float(samples.baseline_output), method, values)
        with self._dependence_guard:
            # A run that was cancelled may have been overtaken by a change of the model.
            if not cancel.is_set():
                self._attributed[_key(question, name)] = made
            while len(self._attributed) > _KEPT:
                self._attributed.popitem(last=False)
        return made


def _key(question: _Question, name: str) -> tuple[object, ...]:
    """A channel is a part of what is attributed anyway."""
    return name, question.n_steps, question.target, question.output


def _as_data(number: int, question: _Question, found: BaselineDependence) -> dict[str, Any]:
    rows = zip(found.names, found.baseline_outputs, found.sums, found.shares, strict=True)
    return {
        "kind": "ready",
        "number": number,
        "asked": {"target": question.target, "output": question.output, "channel": question.channel},
        "dependence": found.dependence,
        "coarse": found.coarse_dependence,
        "patch": found.patch,
        "output": found.output,
        "rules": [f"{method}, {found.n_steps}" for method in dict.fromkeys(found.methods)],
        "rows": [{"name": name, "output": at, "sum": total, "share": share} for name, at, total, share in rows],
    }
