"""Explorer: the widget of every kind of explorer. Its traits are the settings; its panes compute and stream."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

import anywidget
import matplotlib
import traitlets

from ig_widgets.compat.captum import CrossCheck, compare
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError
from ig_widgets.engine.model import fingerprint
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.refinement import check_tol
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.limits import check_size
from ig_widgets.explorers.core.pane import Numbers, Pane
from ig_widgets.explorers.core.panel import Panel
from ig_widgets.explorers.core.panes import Panes
from ig_widgets.explorers.core.sample_cache import PaneResult
from ig_widgets.explorers.core.settings import FORMS, SUM, Settings
from ig_widgets.explorers.core.subject import Subject
from ig_widgets.explorers.widget.display import DisplayedWidget
from ig_widgets.explorers.widget.frontend import front_end
from ig_widgets.explorers.widget.schema import NUMBER, TEXT, Form, ProtocolError
from ig_widgets.explorers.widget.tasks import Tasks
from ig_widgets.figures import color_table
from ig_widgets.texts import plain, shorten

MOST_STEPS = 256
MOST_PANES = protocol.MOST_PANES

AnyPanel = TypeVar("AnyPanel", bound=Panel)


class Restored(Protocol):
    """A file of an explorer, while the explorer is made of it (export/npz_file.py)."""

    def traits(self, subject: Subject) -> dict[str, Any]:
        """Returns the traits to make the explorer with; baselines of the file are on offer from then on."""

    def answer(self, subject: Subject, index: int, settings: Settings) -> PaneResult | None:
        """Returns the result that a pane shows at once, where the file's is of this model and input."""


def _check_panes_form(name: str, value: object) -> None:
    if not isinstance(value, list) or len(value) > MOST_PANES:
        raise ProtocolError(f"{name} must be a list of at most {MOST_PANES}.")
    for pane in value:
        if not isinstance(pane, dict) or not pane.keys() <= FORMS.keys():
            raise ProtocolError(f"{name} may differ in {', '.join(FORMS)}.")
        for setting, wanted in pane.items():
            FORMS[setting].check(setting, wanted)


PANES = Form("panes", _check_panes_form)


class Explorer(DisplayedWidget):
    """Base of the explorers: settings as traits, up to four panes that answer them, and panels.

    The first pane answers the traits; further ones differ from it in some of them (`compare`). The newest settings win.
    A trait with the tag `write` can be set by the front end; one with the tag `look` is how maps are drawn, and is kept
    in files; one with `recorded=False` is left out of an exported HTML page.
    """

    # The front end itself is in the trait `_front`, of which a page imports one for all explorers (js/src/loader.ts).
    _esm = front_end("loader.js")
    # Their mixins declare the traits and methods that go with them.
    panel_types: ClassVar[Sequence[type[Panel]]] = ()

    input = traitlets.Unicode("").tag(sync=True, write=FORMS["input"])
    baseline: traitlets.TraitType[Any, Any] = traitlets.TraitType("").tag(sync=True, write=FORMS["baseline"])
    target = traitlets.Union([traitlets.Int(), traitlets.Unicode()]).tag(sync=True, write=FORMS["target"])
    output = traitlets.Unicode("logit").tag(sync=True, write=FORMS["output"])
    method = traitlets.Unicode("riemann_middle").tag(sync=True, write=FORMS["method"])
    n_steps = traitlets.Int(64).tag(sync=True, write=FORMS["n_steps"])
    tol = traitlets.Float(0.05).tag(sync=True, write=FORMS["tol"])
    channel = traitlets.Unicode(SUM).tag(sync=True, write=FORMS["channel"])

    alpha = traitlets.Float(1.0, min=0.0, max=1.0).tag(sync=True, write=NUMBER, look=True)
    clip = traitlets.Float(99.0, min=50.0, max=100.0).tag(sync=True, write=NUMBER, look=True)
    sign = traitlets.Enum(["all", "positive", "negative"], "all").tag(sync=True, write=TEXT, look=True)
    colormap = traitlets.Unicode("RdBu_r").tag(sync=True, write=TEXT, look=True)
    # The colours of `colormap` (256, 3), and the names of all maps.
    _lut = traitlets.Bytes(color_table("RdBu_r").tobytes()).tag(sync=True, recorded=False)
    _colormaps = traitlets.List(traitlets.Unicode(), sorted(matplotlib.colormaps, key=str.lower)).tag(sync=True)

    _front = traitlets.Unicode().tag(sync=True, recorded=False)
    _front_hash = traitlets.Unicode().tag(sync=True, recorded=False)
    _panes: traitlets.List[Any] = traitlets.List([{}]).tag(sync=True, write=PANES)
    # What can be chosen.
    _methods = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _baselines = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _outputs = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _channels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _n_classes = traitlets.Int().tag(sync=True)
    # The likeliest classes, each with its probability.
    _top: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, subject: Subject, *, _restored: Restored | None = None, **traits: Any) -> None:
        """`traits`: values of any traits. Raises ArgumentTypeError for a name that is none, and TraitError."""
        if unknown := traits.keys() - self.traits().keys():
            raise ArgumentTypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}.")
        self._subject = subject
        self._restored = _restored
        self._tasks = Tasks()
        self._numbers = Numbers()
        self._fingerprint: object = fingerprint(subject.model)
        self._pane_list = Panes(self._make_pane, on_pause=self._on_pause, on_resume=self._on_resume)
        self._host = _ExplorerHost(self)
        self._panels = [panel(self._host) for panel in self.panel_types]
        # First, as the file's baselines have to be on offer before the traits that name them are validated.
        if _restored is not None:
            traits |= _restored.traits(subject)
        classes = subject.classifier.classes
        super().__init__(
            **{
                "target": classes.top[0][0],
                "output": classes.output_name,
                "_methods": subject.methods.names,
                "_baselines": subject.baselines.names,
                "_outputs": classes.outputs,
                "_channels": list(subject.channels),
                "_labels": list(classes.labels),
                "_top": [list(entry) for entry in classes.top],
                "_n_classes": classes.count,
            }
            | traits
        )
        # ipywidgets makes a layout for each widget, and does not close it; one that was given belongs to the user.
        self._own_layout = None if "layout" in traits else self.layout
        self.on_msg(self._on_message)
        self.observe(self._submit, [*FORMS, "_panes"])
        self._submit()
        # A pane that is added later computes.
        self._restored = None

    def __repr__(self) -> str:
        name = shorten(self._subject.classifier.target_name(self._settings()), 60)
        rule = f"{self.method}, {counted(self.n_steps, 'step')}"
        rule = f"to an error of {self.tol:.3g}" if self.method == rules.AUTO else rule
        panes = f", {len(self._panes)} panes" if len(self._panes) > 1 else ""
        return f"{type(self).__name__}({name!r}, baseline {plain(self.baseline)}, {rule}{panes})"

    # ------------------------------------------------------------ verbs

    @property
    def result(self) -> Attribution | None:
        """The newest attribution; while a run is under way or after a failed one, the last good. None at first."""
        return self._pane_list[0].result

    @property
    def results(self) -> tuple[Attribution | None, ...]:
        """The newest attribution of each pane, the first of which is `result`."""
        return tuple(pane.result for pane in self._pane_list)

    def compare(self, *differences: Mapping[str, Any]) -> None:
        """Shows panes beside the explorer's own, one for each of up to three mappings; none: the own alone.

        Each names the settings in which its pane differs, of baseline, target, output, method, n_steps, tol, channel
        and input; the others follow the explorer. Raises ArgumentTypeError, ArgumentValueError, and TraitError for a
        value that is not valid.
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
            if unknown := difference.keys() - FORMS.keys():
                raise ArgumentValueError(
                    f"compare was given {', '.join(sorted(map(str, unknown)))}; a pane may differ in "
                    f"{', '.join(FORMS)}."
                )
            panes.append({name: self._validated(name, value) for name, value in difference.items()})
        self._panes = panes

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the newest settings are answered, or were cancelled.

        An interrupt (Ctrl-C, the stop button of a notebook) cancels what is waited for. Raises what the run failed
        with, and TimeoutError after `timeout` seconds.
        """
        self._pane_list.wait(timeout)

    def cancel(self) -> None:
        """Stops computing; what is drawn stays."""
        self._pane_list.cancel()

    def crosscheck(self) -> CrossCheck:
        """Compares the current attribution with Captum's, at the same rule, points, baseline and target.

        Waits. Raises ImportError without the extra `captum`, RuntimeError where the last run was cancelled, and
        ValueError for a rule that Captum does not have, as those are that sample to a tolerance.
        """
        self.wait()
        pane = self._pane_list[0]
        result, settings = pane.result, pane.answered
        if result is None or settings is None or not result.complete or settings != pane.settings:
            raise RuntimeError("crosscheck needs a finished run; the last one was cancelled. Ask again and wait().")
        return compare(
            result,
            self._subject.function(settings),
            self._subject.inputs,
            baselines=self._subject.baseline(settings),
            target=self._subject.target(settings),
        )

    def close(self) -> None:
        """Stops computing and closes the widget and its views."""
        # __del__ calls this too where the constructor has rejected its arguments.
        own = vars(self)
        if (panes := own.get("_pane_list")) is not None:
            panes.close()
            self._tasks.close()
        for panel in own.get("_panels", ()):
            panel.close()
        if (layout := own.get("_own_layout")) is not None:
            layout.close()
            if self.comm is not None:
                # Hosts keep the state of closed models.
                self._front = self._css = ""
        super().close()

    # ------------------------------------------------------------ computing

    def _make_pane(self, index: int, settings: Settings) -> Pane:
        pane = Pane(self._subject, self.send, self._numbers, on_result=self._on_result, check_model=self._check_model)
        answer = None if self._restored is None else self._restored.answer(self._subject, index, settings)
        if answer is not None:
            pane.restore(answer)
        return pane

    def _submit(self, _change: object = None) -> None:
        # All panes: each follows the traits in what it does not differ in, and one whose settings stay goes on.
        own = {name: getattr(self, name) for name in FORMS}
        self._pane_list.submit([Settings.of({**own, **difference}) for difference in self._panes])
        for panel in self._panels:
            panel.on_settings()

    def _settings(self) -> Settings:
        return Settings.of({name: getattr(self, name) for name in FORMS})

    def _on_message(self, _widget: object, content: object, buffers: Sequence[bytes | memoryview]) -> None:
        try:
            message = protocol.parse(content, buffers)
        except ProtocolError as error:
            self._queue_reply(line=f"a message was ignored: {error}")
            return
        match message:
            case protocol.Want(view, index):
                self._pane_list.connect(view, index)
            case protocol.Leave(view):
                self._pane_list.disconnect(view)
            case protocol.Ack(view, count):
                self._pane_list.acknowledge(view, count)
            case protocol.Cancel(_, request):
                self._pane_list.cancel(request)
            case protocol.Request() | protocol.Upload() | protocol.Export():
                for panel in self._panels:
                    panel.on_message(message)

    def _on_result(self, pane: Pane) -> None:
        """A pane has a new result, or was cancelled; called in its thread."""
        told = " ".join(dict.fromkeys(text for one in list(self._pane_list) for text in one.caveats))
        text, lasts = self._notice.get("text", ""), self._notice.get("lasts", False)
        # A run takes back caveats, but no other notice.
        if pane.caveats or (told != text and (lasts or not text)):
            self._notify(told, lasts=bool(told))
        for panel in self._panels:
            panel.on_result(pane)

    def _check_model(self) -> bool:
        now = fingerprint(self._subject.model)
        if now == self._fingerprint:
            return False
        self._fingerprint = now
        # Everything that was computed is of the model as it was.
        self._subject.classifier.on_model_changed()
        self._pane_list.forget()
        for panel in self._panels:
            panel.on_model_changed()
        return True

    def _on_pause(self) -> None:
        for panel in self._panels:
            panel.on_pause()

    def _on_resume(self) -> None:
        for panel in self._panels:
            panel.on_resume()

    def _panel(self, kind: type[AnyPanel]) -> AnyPanel:
        return next(panel for panel in self._panels if isinstance(panel, kind))

    # ------------------------------------------------------------ validators

    @traitlets.validate("_panes")
    def _check_panes(self, proposal: Any) -> list[dict[str, Any]]:
        panes = proposal.value
        known = all(isinstance(pane, dict) and pane.keys() <= FORMS.keys() for pane in panes)
        if not 1 <= len(panes) <= MOST_PANES or not known or panes[0]:
            raise traitlets.TraitError(f"there must be 1 to {MOST_PANES} panes, the first of which must be empty.")
        return [{name: self._validated(name, value) for name, value in pane.items()} for pane in panes]

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
        _as_trait_error(check_size, proposal.value, self._subject.shape)
        return int(proposal.value)

    @traitlets.validate("tol")
    def _check_tol(self, proposal: Any) -> float:
        return float(_as_trait_error(check_tol, proposal.value))

    @traitlets.validate("method")
    def _check_method(self, proposal: Any) -> str:
        return str(_as_trait_error(self._subject.methods.check, proposal.value))

    @traitlets.validate("baseline")
    def _check_baseline(self, proposal: Any) -> str:
        name = str(_as_trait_error(self._subject.baselines.name_of, proposal.value))
        # A value that is new is on offer from now on.
        self._baselines = self._subject.baselines.names
        return name

    @traitlets.validate("target")
    def _check_target(self, proposal: Any) -> int:
        return int(_as_trait_error(self._subject.classifier.classes.index, proposal.value))

    @traitlets.validate("colormap")
    def _check_colormap(self, proposal: Any) -> str:
        _as_trait_error(color_table, proposal.value)
        return str(proposal.value)

    @traitlets.observe("colormap")
    def _send_colors(self, change: Any) -> None:
        self._lut = color_table(change.new).tobytes()

    @traitlets.validate("input")
    def _check_input(self, proposal: Any) -> str:
        return str(_as_trait_error(self._subject.check_input, proposal.value))

    @traitlets.validate("output")
    def _check_output(self, proposal: Any) -> str:
        return _check_choice("output", proposal.value, self._subject.classifier.classes.outputs)

    @traitlets.validate("channel")
    def _check_channel(self, proposal: Any) -> str:
        return _check_choice("channel", proposal.value, self._subject.channels)


def _as_trait_error(check: Any, *values: Any) -> Any:
    """Returns what the check returns; its error of ours becomes a TraitError."""
    try:
        return check(*values)
    except IGError as error:
        raise traitlets.TraitError(str(error)) from None


def _check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise traitlets.TraitError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return value


class _ExplorerHost:
    """The `Host` of an explorer's panels."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self.subject = explorer._subject
        self.panes = explorer._pane_list
        self.tasks = explorer._tasks

    @property
    def settings(self) -> Settings:
        return self._explorer._settings()

    @property
    def look(self) -> dict[str, Any]:
        return {name: getattr(self._explorer, name) for name in self._explorer.traits(look=True)}

    def get(self, trait: str) -> Any:
        return getattr(self._explorer, trait)

    def set(self, **traits: Any) -> None:
        for name, value in traits.items():
            setattr(self._explorer, name, value)

    def synced(self) -> dict[str, Any]:
        own = self._explorer.traits(sync=True, recorded=lambda recorded: recorded is not False)
        names = own.keys() - anywidget.AnyWidget.class_trait_names() - {"_esm", "_css", "_anywidget_id"}
        return {name: getattr(self._explorer, name) for name in names}

    def notify(self, text: str) -> None:
        self._explorer._notify(text)

    def send(self, view: str, message: protocol.Message) -> None:
        content, buffers = message
        self._explorer.send({**content, "view": view, "request": 0}, buffers)

    def wait(self) -> None:
        self._explorer.wait()

    def check_model(self) -> bool:
        return self._explorer._check_model()
