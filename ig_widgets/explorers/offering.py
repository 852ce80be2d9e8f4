"""The baselines of an explorer of pictures: which are on offer, what the model says of each, and files dropped."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import traitlets
from torch import Tensor

from ig_widgets.engine.errors import IGError
from ig_widgets.engine.model_locks import in_turn, lock_of
from ig_widgets.engine.output import logits_of
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.explorers import protocol
from ig_widgets.explorers.base import Explorer
from ig_widgets.explorers.classifier import PROBABILITY, Classes, Output
from ig_widgets.explorers.gallery import Cards, Gallery


class Offering(Explorer):
    """What an explorer of pictures has for baselines."""

    _baselines = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _cards: traitlets.List[Any] = traitlets.List().tag(sync=True)

    _model: Callable[[Tensor], Tensor]
    _classes: Classes
    _gallery: Gallery
    # What the model has said of a baseline it says again: while a slider is dragged, one is new.
    _said: dict[str, Tensor]

    def __init__(self, **traits: Any) -> None:
        self._said = {}
        super().__init__(**traits)

    def gallery(self) -> Cards:
        """The baselines on offer, a line for each, with what the model says of it; it is asked in one batch."""
        self._renewed()
        settings = protocol.Settings.of(self._own_wishes())
        names = list(dict.fromkeys([*self._gallery.names, settings.baseline]))
        said = dict(self._said)
        if new := [name for name in names if name not in said]:
            inputs = torch.cat([self._gallery.inputs(name) for name in new])
            keeper = StateGuard(self._model, inputs.device)
            scores = in_turn(
                [lock_of(self._model)],
                lambda: keeper.run(lambda: logits_of(self._model(inputs)).cpu(), gradients=False),
            )
            said.update(zip(new, scores, strict=True))
        self._said = {name: said[name] for name in names}
        scores = torch.stack([said[name] for name in names])
        outputs = self._function(settings).read(scores)[:, settings.target]
        probabilities = scores if self._classes.output_name == PROBABILITY else scores.softmax(1)
        rows = zip(names, probabilities, outputs.tolist(), strict=True)
        return Cards(self._gallery.card(name, p, value, self._classes.name) for name, p, value in rows)

    # ------------------------------------------------------------ what the explorer has

    def _function(self, settings: protocol.Settings) -> Output:
        raise NotImplementedError

    # ------------------------------------------------------------

    def _renewed(self) -> bool:
        renewed = super()._renewed()
        if renewed:
            self._said = {}
        return renewed

    def _tell_cards(self) -> None:
        self._cards = [
            {
                "name": card.name,
                "description": card.description,
                "output": card.output,
                "top": [list(entry) for entry in card.top],
                "entropy": [card.entropy, card.most_entropy],
                "neutral": card.is_neutral,
                "parameters": self._gallery.parameters(card.name),
                "thumbnail": card.thumbnail,
            }
            for card in self.gallery()
        ]

    def _take(self, name: str, data: bytes) -> None:
        """A file that a person has dropped becomes the baseline."""
        in_use = {self.baseline, *(wish.baseline for pane in self._asked if (wish := pane.wish) is not None)}
        try:
            self.baseline = self._gallery.upload(name, data, in_use)
        except Exception as error:  # noqa: BLE001  (preprocessing is a person's own)
            known = isinstance(error, IGError | traitlets.TraitError)
            self._say(str(error) if known else f"{name[:80]} was not taken: {type(error).__name__}: {error}"[:400])

    @traitlets.validate("baseline")
    def _check_baseline(self, proposal: Any) -> str:
        try:
            name = self._gallery.name_of(proposal.value)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        self._baselines = self._gallery.names
        self._warn_of_zeros(proposal.value)
        return name

    def _warn_of_zeros(self, given: object) -> None:
        if isinstance(given, Tensor) and not given.any() and self._gallery.inputs("black").abs().max() > 1e-3:
            warnings.warn(
                "baseline is a tensor of zeros, which preprocessing makes of the mean colour, not of black: what is "
                'usually meant is baseline="black". To mean zeros, give igw.baselines.zeros().',
                UserWarning,
                stacklevel=2,
            )
