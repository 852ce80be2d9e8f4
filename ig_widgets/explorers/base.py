"""The life of an explorer, whatever it shows: ask, compute beside the session, wait, close, stay in the notebook."""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from IPython import get_ipython
from IPython.display import display

from ig_widgets.compat.captum import CrossCheck
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from ig_widgets.engine.model import ForwardFunc, fingerprint
from ig_widgets.engine.refinement import check_tol
from ig_widgets.engine.trace import Samples
from ig_widgets.explorers import hearing, protocol
from ig_widgets.explorers.chores import Chores
from ig_widgets.explorers.pane import Numbers, Pane
from ig_widgets.explorers.relative import RELATIVES
from ig_widgets.explorers.size import check_size
from ig_widgets.explorers.stream import MOST_VIEWS
from ig_widgets.texts import shorten, whole

_STATIC = Path(__file__).parent.parent / "static"
MOST_STEPS = 256
# What a pane may differ in.
_WISHES = tuple(hearing.WISHES)

# The picture that stays in a notebook should be the one that was asked for, but display must not hang on it.
_DISPLAY_SECONDS = 3.0
MOST_PANES = protocol.MOST_PANES
# A sentence that repeats what it was sent may be as long as that.
_REFUSAL_LENGTH = 400

_log = logging.getLogger(__name__)


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


def _shows_outputs_apart() -> bool:
    """Whether a second output can be hidden, as in JupyterLab and Notebook; other hosts would show both."""
    shell = get_ipython()
    known = "google.colab" in sys.modules or "__vsc_ipynb_file__" in getattr(shell, "user_ns", {})
    return not known


def hash_of(text: str) -> str:
    """By which a page knows a front end that it has already."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Explorer(anywidget.AnyWidget):
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
    _notice: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._numbers = Numbers()
        self._chores = Chores()
        self._asked: list[Pane] = []
        # A front end that adds a pane asks for it before it says so.
        self._early: dict[str, int] = {}
        # Comms may be heard in another thread than that of the session, beside it.
        self._asking = threading.RLock()
        # How many threads of Python wait for a result, whoever looks.
        self._waiting = 0
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

    def snapshot(self) -> bytes:
        """What is shown now, as a PNG."""
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

    def cancel(self) -> None:
        """Stop computing; what is drawn stays."""
        for pane in self._asked:
            pane.cancel()

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
            for view, index in list(self._early.items()):
                if index < len(self._asked):
                    self._asked[index].stream.want(view)
                    del self._early[view]
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

    @traitlets.validate("_panes")
    def _check_panes(self, proposal: Any) -> list[dict[str, Any]]:
        panes = proposal.value
        known = all(isinstance(pane, dict) and pane.keys() <= set(_WISHES) for pane in panes)
        if not 1 <= len(panes) <= MOST_PANES or not known or panes[0]:
            raise traitlets.TraitError(f"there are 1 to {MOST_PANES} panes, the first of which differs in nothing.")
        return [{name: self._checked(name, value) for name, value in pane.items()} for pane in panes]

    def _checked(self, name: str, value: Any) -> Any:
        """A setting as the trait of that name would hold it. Raises TraitError."""
        trait = self.traits()[name]
        value = trait._validate(self, value)
        # While a browser's state is taken in, that has looked at the type alone.
        return trait._cross_validate(self, value) if self._cross_validation_lock else value

    def _renewed(self) -> bool:
        now = fingerprint(self._model)
        if now == self._fingerprint:
            return False
        self._fingerprint, self._model_changed = now, True
        for pane in self._asked:
            pane.forget()
        return True

    # ------------------------------------------------------------ the front end

    def _on_message(self, _widget: object, content: object, buffers: Sequence[bytes | memoryview]) -> None:
        try:
            message = protocol.parse(content, buffers)
        except protocol.ProtocolError as error:
            _log.warning("%s: a message was ignored: %s", type(self).__name__, error)
            return
        match message:
            case protocol.Want(view, index):
                self._wanted(view, index)
            case protocol.Leave(view):
                self._left(view)
            case protocol.Ack(view, count):
                for pane in self._asked:
                    pane.stream.ack(view, count)
            case protocol.Cancel(_, request):
                for pane in self._asked:
                    if pane.request == request:
                        pane.cancel()
            case protocol.Gallery() | protocol.Dependence() | protocol.Upload() | protocol.Export():
                self._heard(message)

    def _wanted(self, view: str, index: int) -> None:
        with self._asking:
            if index < len(self._asked):
                self._asked[index].stream.want(view)
                self._resume()
            elif index < MOST_PANES:
                self._early.pop(view, None)
                self._early[view] = index
                while len(self._early) > MOST_VIEWS:
                    del self._early[next(iter(self._early))]

    def _left(self, view: str) -> None:
        """A view is shown nowhere any more. With the last of them goes the work, unless Python waits for it."""
        with self._asking:
            self._early.pop(view, None)
            was_last = [pane.stream.leave(view) for pane in self._asked]
            watched = any(pane.stream.is_watched for pane in self._asked)
            if any(was_last) and not watched and self._waiting == 0:
                self._abandon()

    def _abandon(self) -> None:
        """Nobody looks any more."""
        for pane in self._asked:
            pane.abandon()

    def _resume(self) -> None:
        """Somebody looks again."""
        for pane in self._asked:
            pane.resume()

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        """Python waits for what is computed: it goes on without a view, and ends with an interrupt."""
        with self._asking:
            self._waiting += 1
            self._resume()
        try:
            yield
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            with self._asking:
                self._waiting -= 1

    def _heard(self, message: protocol.Beside) -> None:
        """What a front end asks for beside samples."""

    def _say(self, text: str) -> None:
        """A sentence for the status line of every view."""
        self._notice = {"text": shorten(whole(text), 2000), "number": self._notice.get("number", 0) + 1}

    def _handle_msg(self, msg: object) -> None:
        """A message of a front end. One of another form than ipywidgets' is left alone, with a line in the log."""
        try:
            message = hearing.clean(msg)
        except protocol.ProtocolError as error:
            _log.warning("%s: a message was ignored: %s", type(self).__name__, error)
            return
        super()._handle_msg(message)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What a front end has set: all of it, or nothing where one value cannot be.

        What cannot be is answered in words, and by the values that stay; nothing of it is repeated to other views.
        """
        if foreign := [name for name in sync_data if name not in hearing.CHOSEN or name not in self.keys]:
            names = ", ".join(repr(name[:40]) for name in foreign[:4])
            _log.warning("%s: a front end cannot set %s.", type(self).__name__, names)
            self._send_back(sync_data)
            return
        try:
            for name, value in sync_data.items():
                hearing.CHOSEN[name](name, value)
                # By all that it has to pass: later on a first value would be set already where a second fails.
                self._checked(name, value)
        except Exception as error:  # noqa: BLE001  (a baseline may be a person's function, which raises what it likes)
            self._refuse(sync_data, error)
            return
        try:
            super().set_state(sync_data)
        except traitlets.TraitError as error:
            self._refuse(sync_data, error)

    def _refuse(self, state: Mapping[str, Any], error: Exception) -> None:
        known = isinstance(error, traitlets.TraitError | protocol.ProtocolError | IGError)
        text = str(error) if known else f"{', '.join(state)} cannot be set: {type(error).__name__}: {error}"
        text = text if len(text) <= _REFUSAL_LENGTH else f"{text[:_REFUSAL_LENGTH]}..."
        _log.warning("%s: %s", type(self).__name__, text)
        self._say(text)
        self._send_back(state)

    def _send_back(self, state: Mapping[str, Any]) -> None:
        self.send_state([name for name in state if name in self.keys])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live widget, and beside it the current picture, for a reader without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        with self._waited_for():
            self._asked[0].wait(_DISPLAY_SECONDS)
        data = {**data, "text/plain": repr(self)}
        if self.result is not None:
            try:
                data["image/png"] = base64.b64encode(self.snapshot()).decode("ascii")
            except Exception:  # noqa: BLE001  (the widget is there without its picture)
                _log.warning("%s: its picture could not be drawn.", type(self).__name__, exc_info=True)
        return data, metadata

    def _ipython_display_(self) -> None:
        """The widget and, in an output of its own, its picture.

        JupyterLab shows one form of an output, and of a widget without its kernel a line that it was not found. While
        the widget is there, the picture after it is hidden (image.css); what sets it apart is the light background
        that it asks for.
        """
        bundle = self._repr_mimebundle_()
        if bundle is None:
            return
        data, metadata = bundle
        picture = data.pop("image/png", None) if _shows_outputs_apart() else None
        display(data, metadata=metadata, raw=True)
        if picture is not None:
            display({"image/png": picture}, metadata={"needs_background": "light"}, raw=True)

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
