"""Baselines panel: what the model answers for each baseline on offer, and files that are dropped on it."""

from __future__ import annotations

from typing import Any

import torch
import traitlets
from torch import Tensor

from ig_widgets.engine.errors import IGError
from ig_widgets.engine.model_locks import in_turn, lock_of
from ig_widgets.engine.output import logits_of
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.baseline_catalog import Cards
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.panel import Host, Panel
from ig_widgets.explorers.core.settings import Settings

NAME = "baselines"


class BaselinePanel(Panel):
    """Makes the cards of all baselines on offer."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        # The model's scores at baselines, by text: while a slider is dragged, one alone is new.
        self._scores: dict[str, Tensor] = {}

    def cards(self) -> Cards:
        """Returns a card for each baseline; the model is asked in one batch about those that are new."""
        self.host.check_model()
        subject, settings, catalog = self.host.subject, self.host.settings, self.host.subject.baselines
        names = list(dict.fromkeys([*catalog.names, settings.baseline]))
        known = dict(self._scores)
        if new := [name for name in names if name not in known]:
            inputs = torch.cat([catalog.inputs(name) for name in new])
            known.update(zip(new, self._ask(inputs), strict=True))
        # Those of baselines that are not on offer any more are dropped.
        self._scores = {name: known[name] for name in names}
        scores = torch.stack([known[name] for name in names])
        outputs = subject.function(settings).read(scores)[:, subject.target(settings)]
        probabilities = subject.classifier.probabilities(scores)
        label = subject.classifier.classes.name
        rows = zip(names, probabilities, outputs.tolist(), strict=True)
        return Cards(catalog.card(name, p, value, label) for name, p, value in rows)

    def on_message(self, message: protocol.PanelMessage) -> None:
        """Makes the cards, or takes a file."""
        match message:
            case protocol.Request(_, panel) if panel == NAME:
                self.host.tasks.submit("cards", self._show_cards)
            case protocol.Upload(_, name, data):
                self.host.tasks.submit("upload", lambda: self._take(name, data))

    def on_model_changed(self) -> None:
        """Forgets what the model has answered."""
        self._scores = {}

    def _ask(self, inputs: Tensor) -> Tensor:
        model = self.host.subject.model
        guard = StateGuard(model, inputs.device)
        scores: Tensor = in_turn(
            [lock_of(model)], lambda: guard.run(lambda: logits_of(model(inputs)).cpu(), gradients=False)
        )
        return scores

    def _show_cards(self) -> None:
        self.host.set(
            _cards=[
                {
                    "name": card.name,
                    "description": card.description,
                    "output": card.output,
                    "top": [list(entry) for entry in card.top],
                    "entropy": [card.entropy, card.most_entropy],
                    "neutral": card.is_neutral,
                    "parameters": self.host.subject.baselines.parameters(card.name),
                    "thumbnail": card.thumbnail,
                }
                for card in self.cards()
            ]
        )

    def _take(self, name: str, data: bytes) -> None:
        """Makes the baseline of a file that a person has dropped."""
        asked: list[Settings] = [pane.settings for pane in self.host.panes if pane.settings is not None]
        in_use = {self.host.get("baseline"), *(settings.baseline for settings in asked)}
        try:
            self.host.set(baseline=self.host.subject.baselines.upload(name, data, in_use))
        except Exception as error:  # noqa: BLE001  (preprocessing is the user's, and raises anything)
            known = isinstance(error, IGError | traitlets.TraitError)
            text = str(error) if known else f"{name[:80]} was not taken: {type(error).__name__}: {error}"[:400]
            self.host.notify(text)


class BaselineTraits(Explorer):
    """The traits and methods of the baselines panel."""

    _cards: traitlets.List[Any] = traitlets.List().tag(sync=True, recorded=False)

    def gallery(self) -> Cards:
        """Returns a line for each baseline on offer, with what the model answers for it; it is asked in one batch."""
        return self._panel(BaselinePanel).cards()
