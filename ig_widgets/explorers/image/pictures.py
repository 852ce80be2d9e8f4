"""The pictures that an ImageExplorer can be asked about, each a subject that is made when it is first asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.image.sources import Source, Sources, sources_of, unused
from ig_widgets.explorers.image.subject import METHODS, ImageSubject, ShownChannels
from ig_widgets.texts import shorten

# Pictures that are kept decoded, with what the model says of them. Their files are read anew where more are visited.
_KEPT = 8


class Pictures:
    """The pictures of an explorer, by name. Safe to call from any thread.

    `make(picture, shown, like)` makes the subject of a picture, like another. `shown`: which channels of all are drawn.
    """

    methods: Methods = METHODS

    def __init__(
        self, model: nn.Module, image: object, make: Callable[[Any, ShownChannels, ImageSubject | None], ImageSubject]
    ) -> None:
        """Raises as `sources_of`, and as `ImageSubject` where not one of the pictures can be read."""
        self.model = model
        self.shown = ShownChannels()
        self.remarks: Sequence[str] = ()
        self._make = make
        self._sources: dict[str, Source] = {}
        self._loaded: OrderedDict[str, ImageSubject] = OrderedDict()
        # Of all pictures that there have been: under a name samples are kept.
        self._names: set[str] = set()
        # Also held while a picture is read, so that none is read twice.
        self._lock = threading.RLock()
        self.replace(image)

    @property
    def input_names(self) -> Sequence[str]:
        """The names of the pictures, in order."""
        return list(self._sources)

    def at(self, name: str) -> ImageSubject:
        """Returns the subject of a picture. Raises ArgumentValueError where there is none, and as `ImageSubject`."""
        with self._lock:
            if name not in self._loaded:
                if name not in self._sources:
                    raise ArgumentValueError(
                        f"input must be one of the pictures, {shorten(', '.join(self._sources), 200)!r}, got "
                        f"{name[:80]!r}."
                    )
                self._load(name, self._sources[name])
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def has(self, name: str) -> bool:
        """Whether there is a picture of this name now."""
        return name in self._sources

    def source(self, name: str) -> Source:
        """Returns the picture itself."""
        return self._sources[name]

    def replace(self, image: object) -> str:
        """Has these pictures from now on; returns the name of the first. Where it fails all stays as it was."""
        found = sources_of(image)
        with self._lock:
            before = self._sources
            self._sources = self._renamed(found)
            first = next(iter(self._sources))
            try:
                self.at(first)
            except Exception:
                self._sources = before
                raise
            self._names |= self._sources.keys()
            self.remarks = found.remarks
            return first

    def on_model_changed(self) -> None:
        """Forgets what the model has answered."""
        with self._lock:
            for subject in self._loaded.values():
                subject.on_model_changed()

    # ------------------------------------------------------------

    def _renamed(self, found: Sources) -> dict[str, Source]:
        """Returns the pictures under names that no earlier one had."""
        renamed: dict[str, Source] = {}
        for one in found.pictures:
            wanted = one.name if one.name or not self._names else "picture"
            name = unused(wanted, {*self._names, *renamed}) if wanted else ""
            renamed[name] = one
        return renamed

    def _load(self, name: str, source: Source) -> None:
        # What is known from the newest holds for all: what scores mean, and the baselines that a user gave.
        newest = next(reversed(self._loaded.values()), None)
        self._loaded[name] = self._make(source.picture, self.shown, newest)
        while len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)
