"""One question of an explorer and its answer: asked, computed beside the session, streamed to the views, kept."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol

import numpy as np

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_attribution
from ig_widgets.engine.chunks import ChunkSize, is_out_of_memory
from ig_widgets.engine.errors import Cancelled, IGError, NonFiniteError, OutOfMemoryError
from ig_widgets.engine.refinement import Stage, refined
from ig_widgets.engine.trace import Samples
from ig_widgets.explorers import protocol
from ig_widgets.explorers.pulse import pulse
from ig_widgets.explorers.relative import RELATIVES, is_complete, kind_of, nodes_of, result_of, rule_of
from ig_widgets.explorers.size import most_steps
from ig_widgets.explorers.stream import Pieces, Record, Send, Stream
from ig_widgets.explorers.worker import Worker
from ig_widgets.texts import plain, words_of

# So many samples of a new path are drawn first, if they come at once; else the one in the middle.
_FIRST_SAMPLES = 3
_AT_ONCE_SECONDS = 0.12
# Paths whose samples are kept, for a person who goes back and forth between baselines.
_PATHS_KEPT = 4
# What the gradients of all of them take at most; those of the newest are kept whatever they take.
_BYTES_KEPT = 256_000_000
# Rules that convergence is shown of, and that an exported file can choose among.
_RULES_KEPT = 16
# Where sampling to a tolerance ends at the latest.
MOST_EVALUATIONS = 1024
# What a model raises may be of any length; a status line is not.
_LONGEST_SENTENCE = 1000

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


@dataclass
class _Sampled:
    """A path, what has been sampled on it, and what is streamed of that."""

    samples: Samples
    # By channel.
    records: dict[str, Record] = field(default_factory=dict)
    # Of a run to a tolerance: how it went, and where it is now.
    stages: list[Stage] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """What all gradients take, in bytes; stages share them."""
        every = {id(samples): samples for samples in (self.samples, *(stage.samples for stage in self.stages))}
        return sum(samples.nbytes for samples in every.values())


@dataclass(frozen=True)
class Known:
    """What a rule gives of the samples at hand, after so many `evaluations`; `error`, as it was estimated.

    `is_last`: False for a stage of a run to a tolerance that another follows, and for what a cancelled run has left.
    """

    settings: protocol.Settings
    record: Record
    pieces: Pieces
    evaluations: int
    error: float | None = None
    is_last: bool = True


@dataclass(frozen=True)
class Answer:
    """A result, and what it is made of, as it is drawn."""

    result: Attribution
    known: Known


class Pane:
    """The newest wish wins. An older run stops at the next layer; what it had sampled is kept."""

    def __init__(self, subject: Subject, send: Send, numbers: Numbers) -> None:
        self.stream = Stream(send)
        self.request = 0
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.wish: protocol.Settings | None = None
        self._is_abandoned = False
        self._subject = subject
        self._numbers = numbers
        self._worker = Worker()
        self._sampled: OrderedDict[tuple[object, ...], _Sampled] = OrderedDict()
        self._chunks: ChunkSize | None = None
        # Rules that were asked for, the newest last.
        self._asked: dict[tuple[str, int, float], None] = {}
        # What came from a file, with no samples that more could be added to.
        self._restored: Known | None = None

    @property
    def result(self) -> Attribution | None:
        """The newest attribution; of a run in hand or a failed one, the last good."""
        return None if self.answer is None else self.answer.result

    @property
    def answered(self) -> protocol.Settings | None:
        """The wish that `result` answers."""
        return None if self.answer is None else self.answer.known.settings

    def restore(self, answer: Answer) -> None:
        """Show what was computed elsewhere, as if it had been here; for a pane that was asked nothing yet."""
        known = answer.known
        settings = known.settings
        self.request = next(self._numbers.requests)
        self.wish, self.answer, self._restored = settings, answer, known
        self._asked[settings.method, settings.n_steps, settings.tol] = None
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
        rule = settings.method, settings.n_steps, settings.tol
        self._asked.pop(rule, None)
        self._asked[rule] = None
        while len(self._asked) > _RULES_KEPT:
            del self._asked[next(iter(self._asked))]
        request = self.request
        self._worker.submit(lambda cancel: self._answer(request, settings, cancel))

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
        self._sampled.clear()
        self._restored = None

    def record(self, settings: protocol.Settings) -> Record | None:
        """What was sampled for a wish, if it is kept."""
        if self._restored is not None and self._restored.settings == settings:
            return self._restored.record
        kept = self._sampled.get(_key(settings))
        return None if kept is None else kept.records.get(settings.channel)

    def known(self) -> list[Known]:
        """Each rule that was asked for and is sampled whole on the path of the last answer."""
        found: list[Known] = []
        answered = self.answered
        if answered is None:
            return found
        for method, n_steps, tol in list(self._asked):
            settings = replace(answered, method=method, n_steps=n_steps, tol=tol)
            kept = self._sampled.get(_key(settings))
            record = None if kept is None else kept.records.get(settings.channel)
            if self._restored is not None and self._restored.settings == settings and record is None:
                found += [self._restored] * self._restored.is_last
            if kept is None or record is None:
                continue
            if method == rules.AUTO:
                for stage in kept.stages:
                    pieces = _pieces(stage.samples, _only(stage.nodes))
                    if record.holds(pieces):
                        found.append(Known(settings, record, pieces, stage.evaluations, _error(stage), stage.is_last))
                continue
            try:
                nodes = nodes_of(method, n_steps)
            except IGError:
                continue  # it was asked for, and refused
            if not len(kept.samples.missing(nodes.alphas)):
                pieces = _pieces(kept.samples, nodes)
                if record.holds(pieces):
                    found.append(Known(settings, record, pieces, len(nodes.alphas)))
        return found

    # ------------------------------------------------------------ computing

    def _answer(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> None:
        begin = time.perf_counter()
        try:
            with pulse(self.stream.beat):
                evaluations = self._compute(request, settings, cancel)
        except Cancelled:
            evaluations = None
        except Exception as error:  # noqa: BLE001  (an error is a reply)
            if is_out_of_memory(error) and not isinstance(error, IGError):
                error = _beside_the_model(error)
            if isinstance(error, NonFiniteError):
                # What made it may pass; asked again, the model is asked anew.
                self._sampled.pop(_key(settings), None)
            if request == self.request:
                self.error = error
                self.stream.end(request, _failure(error))
                _log.warning("%s: %s", type(self._subject).__name__, sentence(error))
            return
        if request == self.request:
            self._subject._answered(self)
        if evaluations is not None:
            self.stream.end(request, protocol.done(evaluations, time.perf_counter() - begin))
        elif request == self.request:
            self.stream.end(request, _CANCELLED)

    def _compute(self, request: int, settings: protocol.Settings, cancel: threading.Event) -> int | None:
        """The gradient evaluations that it took, or None if it was cancelled."""
        self._subject._renewed()
        key = _key(settings)
        known = self._sampled.get(key)
        if known is not None:
            self._sampled.move_to_end(key)
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
            known = self._remember(key, _Sampled(samples))
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
            self._make_room()

    def _most_evaluations(self) -> int:
        """Of a run to a tolerance, as far as what it keeps has room."""
        return max(2, min(MOST_EVALUATIONS, most_steps(self._subject._shape())))

    def _total(self, settings: protocol.Settings, known: _Sampled | None = None) -> int:
        if settings.method == rules.AUTO:
            return self._most_evaluations()
        nodes = nodes_of(settings.method, settings.n_steps)
        return len(nodes.alphas) if known is None else len(known.samples.missing(nodes.alphas))

    def _by_steps(
        self, request: int, settings: protocol.Settings, known: _Sampled, cancel: threading.Event
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
            known_now = Known(settings, record, _pieces(samples, used), len(used.alphas), is_last=complete)
            self.answer = Answer(result_of(result, settings.method), known_now)
        if not complete:
            return None
        self.stream.publish(request, record, done, _pieces(samples, nodes), is_final=True)
        return done

    def _to_tolerance(
        self, request: int, settings: protocol.Settings, known: _Sampled, cancel: threading.Event
    ) -> int | None:
        begin, record = time.perf_counter(), known.records[settings.channel]
        for stage in self._stages(settings, known, cancel):
            known.stages.append(stage)
            pieces = _pieces(stage.samples, _only(stage.nodes))
            self._add(record, stage.samples, _only(stage.nodes), settings)
            self.stream.publish(request, record, stage.evaluations, pieces, is_final=False, error=_error(stage))
        last = known.stages[-1] if known.stages else None
        if last is not None and request == self.request:
            result = make_attribution(
                last.samples,
                last.nodes,
                method=last.method,
                evaluations=last.evaluations,
                errors=last.errors,
                converged=last.converged,
                reason=last.reason,
                elapsed=time.perf_counter() - begin,
                complete=last.is_last,
            )
            pieces = _pieces(last.samples, _only(last.nodes))
            self.answer = Answer(
                result, Known(settings, record, pieces, last.evaluations, _error(last), is_last=last.is_last)
            )
        if last is None or not last.is_last:
            return None
        pieces = _pieces(last.samples, _only(last.nodes))
        self.stream.publish(request, record, last.evaluations, pieces, is_final=True, error=_error(last))
        return last.evaluations

    def _stages(self, settings: protocol.Settings, known: _Sampled, cancel: threading.Event) -> Iterator[Stage]:
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

    def _recorded(self, record: Record, settings: protocol.Settings, known: _Sampled) -> Record:
        """With what was sampled while another channel was drawn."""
        for stage in known.stages:
            self._add(record, stage.samples, _only(stage.nodes), settings)
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

    def _remember(self, key: tuple[object, ...], sampled: _Sampled) -> _Sampled:
        self._sampled[key] = sampled
        self._make_room()
        return sampled

    def _make_room(self) -> None:
        while len(self._sampled) > 1:
            if len(self._sampled) <= _PATHS_KEPT and sum(one.nbytes for one in self._sampled.values()) <= _BYTES_KEPT:
                return
            self._sampled.popitem(last=False)


def sentence(error: Exception) -> str:
    """What went wrong, in words, on one line."""
    words = plain(words_of(error), _LONGEST_SENTENCE)
    return words if isinstance(error, IGError) else f"the model raised {plain(type(error).__name__)}: {words}"


def _beside_the_model(error: Exception) -> OutOfMemoryError:
    """Memory may run out where no smaller chunk would help."""
    found = OutOfMemoryError(
        f"Memory ran out beside the model, for what is kept of each sample: {plain(words_of(error), 120)}. Fewer "
        f"n_steps or a smaller picture need less; other explorers give theirs back when they are closed."
    )
    found.__cause__ = error
    return found


def _failure(error: Exception) -> protocol.Message:
    notes = getattr(error, "__notes__", ())
    return protocol.failed("error", sentence(error), plain(" ".join(map(str, notes)), _LONGEST_SENTENCE))


def _key(settings: protocol.Settings) -> tuple[object, ...]:
    """Wishes whose samples can be shared. A cell of the secant rule is of no use to another number of cells."""
    method = settings.method
    if method in RELATIVES:
        baseline = settings.baseline if RELATIVES[method].uses_baseline else ""
        count = RELATIVES[method].samples or settings.n_steps
        return baseline, settings.target, settings.output, method, count
    apart = {rules.SECANT: (method, settings.n_steps), rules.AUTO: (method, settings.tol)}.get(method, ())
    return settings.baseline, settings.target, settings.output, *apart


def _ends(samples: Samples) -> tuple[float, float]:
    return float(samples.baseline_output), float(samples.output)


def _pieces(samples: Samples, nodes: rules.Nodes) -> Pieces:
    return Pieces(samples.keys_of(nodes), nodes.edges)


def _only(nodes: rules.Nodes | Sequence[rules.Nodes]) -> rules.Nodes:
    """Those of the one example."""
    return nodes if isinstance(nodes, rules.Nodes) else nodes[0]


def _error(stage: Stage) -> float | None:
    return None if stage.errors is None else float(stage.errors[0])
