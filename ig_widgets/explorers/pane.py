"""One question of an explorer and its answer: asked, computed beside the session, streamed to the views."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, Protocol

import numpy as np

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import Cancelled, IGError, NonFiniteError
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.engine.refinement import Stage, refined
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers import protocol
from ig_widgets.explorers.failure import beside_the_model, failed, left_by, sentence
from ig_widgets.explorers.memory import Answer, Known, Memory, Sampled, error_of, only, pieces_of
from ig_widgets.explorers.pulse import pulse
from ig_widgets.explorers.relative import is_complete, kind_of, nodes_of, result_of, rule_of
from ig_widgets.explorers.size import most_steps
from ig_widgets.explorers.stream import Record, Send, Stream
from ig_widgets.explorers.worker import ThreadError, Worker

# So many samples of a new path are drawn first, if they come at once; else the one in the middle.
_FIRST_SAMPLES = 3
_AT_ONCE_SECONDS = 0.12
# Where sampling to a tolerance ends at the latest.
MOST_EVALUATIONS = 1024

_CANCELLED = protocol.failed("cancelled", "cancelled; what was sampled until then is drawn")

_log = logging.getLogger(__name__)


class Subject(Protocol):
    """What is explained, and how it is drawn: an explorer."""

    def _samples(
        self, settings: protocol.Settings, chunks: ChunkSize | None, cancel: threading.Event | None = None
    ) -> Samples:
        """An empty collection of samples for a wish, both ends evaluated. Raises Cancelled."""

    def _begin(self, trace: int, settings: protocol.Settings, total: int) -> protocol.Message:
        """The `begin` of a request."""

    def _shape(self) -> tuple[int, ...]:
        """Of the model's input: channels, height, width."""

    def _maps(self, samples: Samples, keys: list[Any], settings: protocol.Settings) -> np.ndarray[Any, Any]:
        """What is drawn of samples: (samples, height, width)."""

    def _answered(self, pane: Pane) -> None:
        """The pane has a new result."""

    def _renewed(self) -> bool:
        """Whether the model was written to since it was last asked; all panes have then forgotten what was sampled."""


class Numbers:
    """Requests and traces are numbered throughout an explorer, so that a number alone says which is meant."""

    def __init__(self) -> None:
        self.requests, self.traces = count(1), count(1)


class Pane:
    """The newest wish wins. An older run stops at the next layer; what it had sampled is kept."""

    def __init__(self, subject: Subject, send: Send, numbers: Numbers) -> None:
        self.stream = Stream(send)
        self.request = 0
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.wish: protocol.Settings | None = None
        # Of the newest run: that the model answers differently when it is asked the same, or nothing.
        self.doubt = ""
        self._is_abandoned = False
        self._subject = subject
        self._numbers = numbers
        self._worker = Worker()
        self._memory = Memory()
        self._chunks: ChunkSize | None = None

    @property
    def result(self) -> Attribution | None:
        """The newest attribution; of a run in hand or a failed one, the last good."""
        return None if self.answer is None else self.answer.result

    @property
    def answered(self) -> protocol.Settings | None:
        """The wish that `result` answers."""
        return None if self.answer is None else self.answer.known.settings

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a person should know of the newest run: that the model is in doubt, and how one to a tolerance ended.

        By how much a fixed number of steps is not complete is shown beside each map.
        """
        told = (self.doubt,) if self.doubt else ()
        answer = self.answer
        if answer is None or self.wish != answer.known.settings or self.wish.method != rules.AUTO:
            return told
        return tuple(dict.fromkeys((*told, *(answer.result.caveats if answer.result.complete else ()))))

    def restore(self, answer: Answer) -> None:
        """Show what was computed elsewhere, as if it had been here; for a pane that was asked nothing yet."""
        known = answer.known
        settings = known.settings
        self.request = next(self._numbers.requests)
        self.wish, self.answer = settings, answer
        self._memory.restore(known)
        begin = self._subject._begin(known.record.number, settings, self._total(settings))
        self.stream.begin(self.request, begin)
        pieces = known.pieces if known.is_last or settings.method == rules.AUTO else None
        self.stream.publish(
            self.request, known.record, known.evaluations, pieces, is_final=known.is_last, error=known.error
        )
        done = protocol.done(known.evaluations, answer.result.elapsed)
        self.stream.end(self.request, done if known.is_last else _CANCELLED)

    def next_trace(self) -> int:
        """A number for a path."""
        return next(self._numbers.traces)

    def ask(self, settings: protocol.Settings) -> None:
        """Compute this as soon as the run in hand has stopped."""
        self.request = next(self._numbers.requests)
        self.error, self.wish, self._is_abandoned = None, settings, False
        self._memory.ask(settings)
        request = self.request
        try:
            self._worker.submit(lambda cancel: self._answer(request, settings, cancel))
        except ThreadError as error:
            self.stream.begin(request, self._subject._begin(next(self._numbers.traces), settings, 0))
            self._fail(request, error)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is nothing left to do; False if `timeout` seconds pass before."""
        return self._worker.wait(timeout)

    def cancel(self) -> None:
        """Stop computing; what is drawn stays."""
        self._worker.cancel()

    def abandon(self) -> None:
        """Stop computing, as nobody looks; `resume` goes on."""
        if not self.wait(0):
            self._is_abandoned = True
            self.cancel()

    def resume(self) -> None:
        """Go on with what was abandoned."""
        if self._is_abandoned and self.wish is not None:
            self.ask(self.wish)

    def close(self) -> None:
        """Stop for good."""
        self._worker.close()

    def forget(self) -> None:
        """What was sampled is of no use any more."""
        self._memory.clear()

    def record(self, settings: protocol.Settings) -> Record | None:
        """What was sampled for a wish, if it is kept."""
        return self._memory.record(settings)

    def known(self) -> list[Known]:
        """Each rule that was asked for and is sampled whole on the path of the last answer."""
        answered = self.answered
        return [] if answered is None else self._memory.known(answered)

    # ------------------------------------------------------------ computing

    def _answer(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> None:
        begin = time.perf_counter()
        try:
            with pulse(self.stream.beat):
                evaluations = self._compute(request, settings, cancel)
        except Cancelled:
            evaluations = None
        except (Exception, SystemExit, KeyboardInterrupt) as raised:  # noqa: BLE001  (an error is a reply)
            error = raised if isinstance(raised, Exception) else left_by(raised)
            if is_out_of_memory(error) and not isinstance(error, IGError):
                error = beside_the_model(error)
            if isinstance(error, NonFiniteError):
                # What made it may pass; asked again, the model is asked anew.
                self._memory.drop(settings)
            self._fail(request, error)
            return
        if request == self.request:
            self._subject._answered(self)
        if evaluations is not None:
            self.stream.end(request, protocol.done(evaluations, time.perf_counter() - begin))
        elif request == self.request:
            self.stream.end(request, _CANCELLED)

    def _fail(self, request: int, error: Exception) -> None:
        if request == self.request:
            self.error = error
            self.stream.end(request, failed(error))
            _log.warning("%s: %s", type(self._subject).__name__, sentence(error))

    def _compute(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> int | None:
        """The gradient evaluations that it took, or None if it was cancelled."""
        self._subject._renewed()
        known = self._memory.find(settings)
        record = None if known is None else known.records.get(settings.channel)
        number = next(self._numbers.traces) if record is None else record.number
        try:
            total = self._total(settings, known)
        except IGError:
            # A failure is told of a request that has begun.
            self.stream.begin(request, self._subject._begin(number, settings, 0))
            raise
        self.stream.begin(request, self._subject._begin(number, settings, total))
        if cancel.is_set():
            return None
        if known is None:
            samples = self._subject._samples(settings, self._chunks, cancel)
            self._chunks = samples.sampler.chunks
            known = self._memory.keep(settings, samples)
        if record is None:
            empty = Record(
                number,
                *_ends(known.samples),
                is_complete=is_complete(settings.method),
                is_path=kind_of(settings.method) != "draws",
            )
            record = self._recorded(empty, settings, known)
            known.records[settings.channel] = record
        elif len(known.records) > 1:
            self._recorded(record, settings, known)
        self.stream.publish(request, record, 0)
        try:
            if settings.method == rules.AUTO:
                return self._to_tolerance(request, settings, known, cancel)
            return self._by_steps(request, settings, known, cancel)
        finally:
            self.doubt = known.samples.sampler.nondeterminism
            self._memory.make_room()

    def _most_evaluations(self) -> int:
        """Of a run to a tolerance, as far as what it keeps has room."""
        return max(2, min(MOST_EVALUATIONS, most_steps(self._subject._shape())))

    def _total(self, settings: protocol.Settings, known: Sampled | None = None) -> int:
        if settings.method == rules.AUTO:
            return self._most_evaluations()
        nodes = nodes_of(settings.method, settings.n_steps)
        return len(nodes.alphas) if known is None else len(known.samples.missing(nodes.alphas))

    def _by_steps(
        self, request: int, settings: protocol.Settings, known: Sampled, cancel: threading.Event
    ) -> int | None:
        begin, done = time.perf_counter(), 0
        samples, record = known.samples, known.records[settings.channel]
        nodes = nodes_of(settings.method, settings.n_steps)
        levels = rules.visits(rule_of(settings.method), len(nodes.alphas), progressive=True)
        order = nodes.alphas[np.concatenate(levels)]
        for block in samples.extend(order, first=None if record.maps else self._first(), cancel=cancel):
            keys = samples.keys(block)
            record.extend(keys, block.outputs.tolist(), block.density.tolist(), self._encoded(samples, keys, settings))
            done += len(keys)
            self.stream.publish(request, record, done)
        complete = not len(samples.missing(nodes.alphas))
        if len(samples.alphas) and request == self.request:
            used = nodes if complete else samples.so_far()
            result = make_attribution(
                samples,
                used,
                method=settings.method,
                n_steps=len(nodes.alphas),
                elapsed=time.perf_counter() - begin,
                complete=complete,
            )
            known_now = Known(settings, record, pieces_of(samples, used), len(used.alphas), is_last=complete)
            self.answer = Answer(result_of(result, settings.method, samples.sampler.nondeterminism), known_now)
        if not complete:
            return None
        self.stream.publish(request, record, done, pieces_of(samples, nodes), is_final=True)
        return done

    def _to_tolerance(
        self, request: int, settings: protocol.Settings, known: Sampled, cancel: threading.Event
    ) -> int | None:
        begin, record = time.perf_counter(), known.records[settings.channel]
        for stage in self._stages(settings, known, cancel):
            known.stages.append(stage)
            pieces = pieces_of(stage.samples, only(stage.nodes))
            self._add(record, stage.samples, only(stage.nodes), settings)
            self.stream.publish(request, record, stage.evaluations, pieces, is_final=False, error=error_of(stage))
        last = known.stages[-1] if known.stages else None
        if last is not None and request == self.request:
            result = make_attribution(
                last.samples,
                last.nodes,
                method=last.method,
                evaluations=last.evaluations,
                errors=last.errors,
                verdict=last.verdict,
                reason=last.reason,
                elapsed=time.perf_counter() - begin,
                complete=last.is_last,
            )
            pieces = pieces_of(last.samples, only(last.nodes))
            self.answer = Answer(
                result, Known(settings, record, pieces, last.evaluations, error_of(last), is_last=last.is_last)
            )
        if last is None or not last.is_last:
            return None
        pieces = pieces_of(last.samples, only(last.nodes))
        self.stream.publish(request, record, last.evaluations, pieces, is_final=True, error=error_of(last))
        return last.evaluations

    def _stages(self, settings: protocol.Settings, known: Sampled, cancel: threading.Event) -> Iterator[Stage]:
        if known.stages and known.stages[-1].is_last:
            return
        known.stages.clear()
        yield from refined(
            known.samples,
            method=rules.AUTO,
            tol=settings.tol,
            most=self._most_evaluations(),
            multiply_by_inputs=True,
            cancel=cancel,
        )

    def _recorded(self, record: Record, settings: protocol.Settings, known: Sampled) -> Record:
        """With what was sampled while another channel was drawn."""
        for stage in known.stages:
            self._add(record, stage.samples, only(stage.nodes), settings)
        for other in [] if known.stages else list(known.records.values()):
            new = {key: at for key, at in other.ids.items() if key not in record.ids}
            keys, at = list(new), list(new.values())
            maps = self._encoded(known.samples, keys, settings)
            record.extend(keys, [other.outputs[i] for i in at], [other.density[i] for i in at], maps)
        return record

    def _add(self, record: Record, samples: Samples, nodes: rules.Nodes, settings: protocol.Settings) -> None:
        """What of `nodes` the record lacks."""
        trace = samples.trace(nodes)
        outputs = dict(zip(trace.output_alphas[0].tolist(), trace.outputs[0].tolist(), strict=True))
        found = zip(samples.keys_of(nodes), trace.density[0].tolist(), strict=True)
        new = [(key, density) for key, density in found if key not in record.ids]
        keys = [key for key, _ in new]
        at = [outputs[key[0] if isinstance(key, tuple) else key] for key in keys]
        record.extend(keys, at, [density for _, density in new], self._encoded(samples, keys, settings))

    def _encoded(self, samples: Samples, keys: list[Any], settings: protocol.Settings) -> list[protocol.EncodedMap]:
        return [protocol.encode(values) for values in self._subject._maps(samples, keys, settings)] if keys else []

    def _first(self) -> int:
        if self._chunks is None:
            return 1
        return _FIRST_SAMPLES if self._chunks.row_seconds * _FIRST_SAMPLES <= _AT_ONCE_SECONDS else 1


def _ends(samples: Samples) -> tuple[float, float]:
    return float(samples.baseline_output), float(samples.output)
