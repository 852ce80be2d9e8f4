"""The life of an explorer, whatever it shows: ask, compute beside the session, wait, close."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from ig_widgets.compat.captum import CrossCheck
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from ig_widgets.engine.model import ForwardFunc, fingerprint
from ig_widgets.engine.refinement import check_tol
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers import hearing, protocol
from ig_widgets.explorers.chores import Chores
from ig_widgets.explorers.displayed import Displayed
from ig_widgets.explorers.pane import Numbers, Pane
from ig_widgets.explorers.relative import RELATIVES
from ig_widgets.explorers.size import check_size

_STATIC = Path(__file__).parent.parent / "static"
MOST_STEPS = 256
# What a pane may differ in.
_WISHES = tuple(hearing.WISHES)
MOST_PANES = protocol.MOST_PANES


def front_end(name: str) -> str:
    """A file of the built front end. Its text and not its path: anywidget ties each widget to a path it watches.

    Raises ImportError, with the command that builds it, where there is none.
    """
    try:
        return (_STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ImportError(
            f"The front end is not built ({name} is missing): run `make front`, or pip install."
        ) from None


def hash_of(text: str) -> str:
    """By which a page knows a front end that it has already."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Explorer(Displayed):
    """Base of the explorers. A change of what is asked is a wish; the newest one wins.

    The first pane answers the traits; further ones differ from it in some of them (`compare`). Subclasses say what to
    sample (`_samples`), what to draw of it (`_maps`), and how a request begins (`_begin`).
    """

    # The front end itself is in the trait `_front`, of which a page imports one for all explorers (js/src/loader.ts).
    _esm = front_end("loader.js")

    alpha = traitlets.Float(1.0, min=0.0, max=1.0).tag(sync=True)
    n_steps = traitlets.Int(64).tag(sync=True)
    method = traitlets.Unicode("riemann_middle").tag(sync=True)
    tol = traitlets.Float(0.05).tag(sync=True)
    baseline: traitlets.TraitType[Any, Any] = traitlets.TraitType("black").tag(sync=True)
    target = traitlets.Union([traitlets.Int(), traitlets.Unicode()]).tag(sync=True)
    output = traitlets.Unicode("logit").tag(sync=True)
    channel = traitlets.Unicode(protocol.SUM).tag(sync=True)
    _model: ForwardFunc
    _methods = traitlets.List(traitlets.Unicode(), [rules.AUTO, *rules.METHODS, *RELATIVES]).tag(sync=True)
    _panes: traitlets.List[Any] = traitlets.List([{}]).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._numbers = Numbers()
        self._chores = Chores()
        self._fingerprint: object = fingerprint(self._model)
        self._model_changed = False
        if unknown := traits.keys() - self.traits().keys():
            raise ArgumentTypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}.")
        super().__init__(**traits)
        # ipywidgets makes one for each widget, and does not close it with the widget; one that was given is another's.
        self._own_layout = None if "layout" in traits else self.layout
        self._asked.append(self._new_pane())
        self.on_msg(self._on_message)
        self.observe(self._ask, [*_WISHES, "_panes"])
        self._ask()

    # ------------------------------------------------------------ what a subclass says

    def _samples(
        self, settings: protocol.Settings, chunks: ChunkSize | None, cancel: threading.Event | None = None
    ) -> Samples:
        raise NotImplementedError

    def _begin(self, trace: int, settings: protocol.Settings, total: int) -> protocol.Message:
        raise NotImplementedError

    def _maps(self, samples: Samples, keys: list[Any], settings: protocol.Settings) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def _shape(self) -> tuple[int, ...]:
        """Of the model's input, as which each sample is kept."""
        raise NotImplementedError

    def crosscheck(self) -> CrossCheck:
        """The current attribution beside Captum's, at the same rule, points, baseline and target."""
        raise NotImplementedError

    # ------------------------------------------------------------ verbs

    @property
    def result(self) -> Attribution | None:
        """The newest attribution; of a run in hand or a failed one, the last good. None before the first."""
        return self._asked[0].result

    @property
    def results(self) -> tuple[Attribution | None, ...]:
        """The newest attribution of each pane, the first of which is `result`."""
        return tuple(pane.result for pane in self._asked)

    def compare(self, *differences: Mapping[str, Any]) -> None:
        """Show panes beside the explorer's own, one for each of up to three mappings; none: the own alone.

        Each names the settings in which its pane differs, of baseline, target, output, method, n_steps, tol and
        channel; the others follow the explorer. Raises ArgumentTypeError, ArgumentValueError, and TraitError for a
        value that cannot be.
        """
        if len(differences) >= MOST_PANES:
            raise ArgumentValueError(
                f"compare takes up to {MOST_PANES - 1} mappings, a pane for each; got {len(differences)}."
            )
        panes: list[dict[str, Any]] = [{}]
        for difference in differences:
            if not isinstance(difference, Mapping):
                raise ArgumentTypeError(
                    f"compare takes mappings such as dict(baseline='blur'), got {type(difference).__name__}."
                )
            if unknown := difference.keys() - set(_WISHES):
                raise ArgumentValueError(
                    f"compare was given {', '.join(sorted(map(str, unknown)))}; a pane may differ in "
                    f"{', '.join(_WISHES)}."
                )
            panes.append({name: self._checked(name, value) for name, value in difference.items()})
        self._panes = panes

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was asked last is computed and handed to the front end, or was cancelled.

        An interrupt (Ctrl-C, the stop button of a notebook) cancels what is waited for. Raises what the run failed
        with, and TimeoutError after `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._waited_for():
            for pane in self._asked:
                left = None if end is None else max(0.0, end - time.monotonic())
                if not pane.wait(left):
                    raise TimeoutError(
                        f"Still computing after {timeout} seconds; wait longer, or ask for fewer n_steps."
                    )
        for pane in self._asked:
            if pane.error is not None:
                raise pane.error

    def close(self) -> None:
        """Stop computing and close the widget and its views."""
        # __del__ comes here where the constructor has refused its arguments.
        for one in (*vars(self).get("_asked", ()), *filter(None, [vars(self).get("_chores")])):
            one.close()
        if (layout := vars(self).get("_own_layout")) is not None:
            layout.close()
        if vars(self).get("_asked") and self.comm is not None:
            # Hosts keep the state of models that are closed.
            self._front = self._css = ""
        super().close()

    # ------------------------------------------------------------ computing

    def _new_pane(self) -> Pane:
        return Pane(self, self.send, self._numbers)

    def _ask(self, _change: object = None) -> None:
        """Of each pane what it lacks; a pane whose wish is as before is left at it, unless it failed."""
        with self._asking:
            while len(self._asked) < len(self._panes):
                self._asked.append(self._new_pane())
            self._welcome()
            while len(self._asked) > len(self._panes):
                self._asked.pop().close()
            own = self._own_wishes()
            for pane, difference in zip(self._asked, self._panes, strict=True):
                wish = protocol.Settings.of({**own, **difference})
                if wish != pane.wish or pane.error is not None:
                    pane.ask(wish)

    def _own_wishes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _WISHES}

    def _answer(self) -> tuple[Attribution, protocol.Settings] | None:
        """The newest result of the first pane, and what it answers."""
        pane = self._asked[0]
        return None if pane.result is None or pane.answered is None else (pane.result, pane.answered)

    def _answered(self, pane: Pane) -> None:
        """A pane has a new result, or was cancelled; called in its thread."""
        told = " ".join(dict.fromkeys(text for one in list(self._asked) for text in one.caveats))
        text, lasts = self._notice.get("text", ""), self._notice.get("lasts", False)
        # What else was said is not for a run to take back.
        if pane.caveats or (told != text and (lasts or not text)):
            self._say(told, lasts=bool(told))

    @traitlets.validate("_panes")
    def _check_panes(self, proposal: Any) -> list[dict[str, Any]]:
        panes = proposal.value
        known = all(isinstance(pane, dict) and pane.keys() <= set(_WISHES) for pane in panes)
        if not 1 <= len(panes) <= MOST_PANES or not known or panes[0]:
            raise traitlets.TraitError(f"there are 1 to {MOST_PANES} panes, the first of which differs in nothing.")
        return [{name: self._checked(name, value) for name, value in pane.items()} for pane in panes]

    def _renewed(self) -> bool:
        now = fingerprint(self._model)
        if now == self._fingerprint:
            return False
        self._fingerprint, self._model_changed = now, True
        for pane in self._asked:
            pane.forget()
        return True

    # ------------------------------------------------------------ what may be asked for

    @traitlets.validate("alpha", "opacity", "clip")
    def _check_finite(self, proposal: Any) -> float:
        # The bounds of a trait let NaN pass.
        if not math.isfinite(proposal.value):
            raise traitlets.TraitError(f"{proposal.trait.name} must be a finite number, got {proposal.value}.")
        return float(proposal.value)

    @traitlets.validate("n_steps")
    def _check_n_steps(self, proposal: Any) -> int:
        if not 1 <= proposal.value <= MOST_STEPS:
            raise traitlets.TraitError(f"n_steps must be from 1 to {MOST_STEPS}, got {proposal.value}.")
        try:
            check_size(proposal.value, self._shape())
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
        return int(proposal.value)

    @traitlets.validate("tol")
    def _check_tol(self, proposal: Any) -> float:
        try:
            return check_tol(proposal.value)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("method")
    def _check_method(self, proposal: Any) -> str:
        try:
            known = proposal.value == rules.AUTO or proposal.value in RELATIVES
            return proposal.value if known else rules.check_method(proposal.value)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None
