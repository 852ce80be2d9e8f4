"""The life of an explorer, whatever it shows: ask, compute beside the session, wait, close, stay in the notebook."""

from __future__ import annotations

import base64
import logging
import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from ig_widgets.compat.captum import CrossCheck
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import ArgumentTypeError, IGError
from ig_widgets.engine.model import ForwardFunc, fingerprint
from ig_widgets.engine.sampling import Block
from ig_widgets.engine.trace import Samples
from ig_widgets.explorers import protocol
from ig_widgets.explorers.stream import Record, Stream
from ig_widgets.explorers.worker import Worker

_STATIC = Path(__file__).parent.parent / "static"
MOST_STEPS = 256

# The picture that stays in a notebook should be the one that was asked for, but display must not hang on it.
_DISPLAY_SECONDS = 3.0
# So many samples of a new path are drawn first, if they come at once; else the one in the middle.
_FIRST_SAMPLES = 3
_AT_ONCE_SECONDS = 0.12
# Paths whose samples are kept, for a person who goes back and forth between baselines.
_PATHS_KEPT = 4

_log = logging.getLogger(__name__)

# Baseline, target, and the number of cells, 0 for points.
_Key = tuple[str, int, int]


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


@dataclass
class _Sampled:
    """A path, and what has been sampled on it."""

    samples: Samples
    record: Record


class Explorer(anywidget.AnyWidget):
    """Base of the explorers. A change of `baseline`, `target`, `method` or `n_steps` is a wish; the newest one wins.

    Subclasses say what to sample (`_make_samples`), what to draw of it (`_maps`), and how a request begins (`_begin`).
    """

    alpha = traitlets.Float(1.0, min=0.0, max=1.0).tag(sync=True)
    n_steps = traitlets.Int(64).tag(sync=True)
    method = traitlets.Unicode("riemann_middle").tag(sync=True)
    baseline = traitlets.Unicode("black").tag(sync=True)
    target = traitlets.Union([traitlets.Int(), traitlets.Unicode()]).tag(sync=True)
    _model: ForwardFunc
    _methods = traitlets.List(traitlets.Unicode(), list(rules.METHODS)).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._worker = Worker()
        self._stream = Stream(self.send)
        self._request = 0
        self._numbered = 0
        self._sampled: OrderedDict[_Key, _Sampled] = OrderedDict()
        self._result: Attribution | None = None
        self._answered: protocol.Settings | None = None
        self._error: Exception | None = None
        self._chunks: ChunkSize | None = None
        self._fingerprint: object = fingerprint(self._model)
        self._model_changed = False
        if unknown := traits.keys() - self.traits().keys():
            raise ArgumentTypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}.")
        super().__init__(**traits)
        self.on_msg(self._on_message)
        self.observe(self._ask, ["baseline", "target", "method", "n_steps"])
        self._ask()

    # ------------------------------------------------------------ what a subclass says

    def _make_samples(self, settings: protocol.Settings) -> Samples:
        raise NotImplementedError

    def _begin(self, trace: int, settings: protocol.Settings, total: int) -> protocol.Message:
        raise NotImplementedError

    def _maps(self, samples: Samples, block: Block) -> np.ndarray[Any, Any]:
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
        return self._result

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was asked last is computed and handed to the front end, or was cancelled.

        Raises what the run failed with, and TimeoutError after `timeout` seconds.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"Still computing after {timeout} seconds; wait longer, or ask for fewer n_steps.")
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Stop computing; what is drawn stays."""
        self._worker.cancel()

    def close(self) -> None:
        """Stop computing and close the widget and its views."""
        if "_worker" in vars(self):  # not where the constructor has refused its arguments; __del__ comes here too
            self._worker.close()
        super().close()

    # ------------------------------------------------------------ computing

    def _ask(self, _change: object = None) -> None:
        self._request += 1
        self._error = None
        request, settings = self._request, self._wish()
        self._worker.submit(lambda cancel: self._answer(request, settings, cancel))

    def _wish(self) -> protocol.Settings:
        return protocol.Settings(self.baseline, self.target, self.method, self.n_steps)

    def _answer(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> None:
        begin = time.perf_counter()
        try:
            evaluations = self._compute(request, settings, cancel)
        except Exception as error:  # noqa: BLE001  (an error is a reply)
            if request == self._request:
                self._error = error
                self._stream.end(request, _failure(error))
                _log.warning("%s: %s", type(self).__name__, _sentence(error))
            return
        if evaluations is not None:
            self._stream.end(request, protocol.done(evaluations, time.perf_counter() - begin))
        elif request == self._request:
            self._stream.end(request, protocol.failed("cancelled", "cancelled; what was sampled until then is drawn"))

    def _compute(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> int | None:
        """The gradient evaluations that it took, or None if it was cancelled."""
        begin = time.perf_counter()
        self._forget_if_model_changed()
        # A cell of the secant rule is of no use to another number of cells.
        cells = settings.n_steps if settings.method == rules.SECANT else 0
        key = (settings.baseline, settings.target, cells)
        known = self._sampled.get(key)
        if known is None:
            self._numbered += 1
        else:
            self._sampled.move_to_end(key)
        number = self._numbered if known is None else known.record.number
        try:
            nodes = rules.nodes(settings.method, settings.n_steps)
        except IGError:
            # A failure is told of a request that has begun.
            self._stream.begin(request, self._begin(number, settings, 0))
            raise
        total = len(nodes.alphas) if known is None else len(known.samples.missing(nodes.alphas))
        self._stream.begin(request, self._begin(number, settings, total))
        if cancel.is_set():
            return None
        if known is None:
            samples = self._make_samples(settings)
            record = Record(number, float(samples.baseline_output), float(samples.output))
            known = self._remember(key, _Sampled(samples, record))
        samples, record, done = known.samples, known.record, 0
        self._stream.publish(request, record, done)
        order = nodes.alphas[np.concatenate(rules.visits(settings.method, len(nodes.alphas), progressive=True))]
        for block in samples.extend(order, first=None if record.maps else self._first(samples), cancel=cancel):
            record.extend(block, [protocol.encode(values) for values in self._maps(samples, block)])
            done += len(block.alphas)
            self._stream.publish(request, record, done)
        complete = not len(samples.missing(nodes.alphas))
        if len(samples.alphas) and request == self._request:
            self._answered = settings
            self._result = make_attribution(
                samples,
                nodes if complete else samples.so_far(),
                method=settings.method,
                n_steps=settings.n_steps,
                elapsed=time.perf_counter() - begin,
                complete=complete,
            )
        if not complete:
            return None
        self._stream.publish(request, record, done, nodes)
        return done

    def _forget_if_model_changed(self) -> None:
        now = fingerprint(self._model)
        if now != self._fingerprint:
            self._sampled.clear()
            self._model_changed = True
        self._fingerprint = now

    def _first(self, samples: Samples) -> int:
        self._chunks = samples.sampler.chunks
        return _FIRST_SAMPLES if self._chunks.row_seconds * _FIRST_SAMPLES <= _AT_ONCE_SECONDS else 1

    def _remember(self, key: _Key, sampled: _Sampled) -> _Sampled:
        self._sampled[key] = sampled
        while len(self._sampled) > _PATHS_KEPT:
            self._sampled.popitem(last=False)
        return sampled

    # ------------------------------------------------------------ the front end

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        try:
            message = protocol.parse(content)
        except protocol.ProtocolError as error:
            _log.warning("%s: a message was ignored: %s", type(self).__name__, error)
            return
        match message:
            case protocol.Want(view):
                self._stream.want(view)
            case protocol.Ack(view, count):
                self._stream.ack(view, count)
            case protocol.Cancel(_, request) if request == self._request:
                self.cancel()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live widget, and beside it the current picture, for a reader without a kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        self._worker.wait(_DISPLAY_SECONDS)
        data = {**data, "text/plain": repr(self)}
        if self._result is not None:
            data["image/png"] = base64.b64encode(self.snapshot()).decode("ascii")
        return data, metadata

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
        return int(proposal.value)

    @traitlets.validate("method")
    def _check_method(self, proposal: Any) -> str:
        try:
            return rules.check_method(proposal.value)
        except IGError as error:
            raise traitlets.TraitError(str(error)) from None


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, IGError) else f"the model raised {type(error).__name__}: {error}"


def _failure(error: Exception) -> protocol.Message:
    return protocol.failed("error", _sentence(error), " ".join(getattr(error, "__notes__", ())))
