"""Pane: one request stream of an explorer. Its newest settings are computed in a worker and streamed to its views."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_attribution
from ig_widgets.engine.chunks import ChunkSize, is_out_of_memory
from ig_widgets.engine.errors import Cancelled, IGError, NonFiniteError
from ig_widgets.engine.refinement import Stage, refined
from ig_widgets.engine.trace import Samples
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.error_text import describe_model_error, exit_error, failed_message, out_of_memory_error
from ig_widgets.explorers.core.limits import most_steps
from ig_widgets.explorers.core.maps import EncodedMap, encode
from ig_widgets.explorers.core.sample_cache import (
    EvaluatedRule,
    PaneResult,
    SampleCache,
    SampledPath,
    error_of,
    only,
    pieces_of,
)
from ig_widgets.explorers.core.sample_log import SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.stream import Send, Stream
from ig_widgets.explorers.core.subject import Subject
from ig_widgets.explorers.widget.heartbeat import heartbeat
from ig_widgets.explorers.widget.worker import ThreadError, Worker

# So many samples of a new path are drawn first, if they come at once; else the one in the middle.
_FIRST_SAMPLES = 3
_AT_ONCE_SECONDS = 0.12
# Where sampling to a tolerance ends at the latest.
MOST_EVALUATIONS = 1024

_CANCELLED = protocol.failed("cancelled", "cancelled; what was sampled until then is drawn")

_log = logging.getLogger(__name__)


class Numbers:
    """Counters of requests and traces, shared by the panes of an explorer so that each number is used once."""

    def __init__(self) -> None:
        self.requests, self.traces = count(1), count(1)


class Pane:
    """Computes the newest settings. An older run stops at the next layer; what it had sampled is kept.

    `settings`: the newest that were asked for. `answer`: the newest result, `error`: what the newest run failed with.
    """

    def __init__(
        self,
        subject: Subject,
        send: Send,
        numbers: Numbers,
        *,
        on_result: Callable[[Pane], None],
        check_model: Callable[[], object],
    ) -> None:
        """`on_result` is called in the pane's thread for a new result, `check_model` before a run."""
        self.stream = Stream(send)
        self.request = 0
        self.answer: PaneResult | None = None
        self.error: Exception | None = None
        self.settings: Settings | None = None
        # That the model answers the same question differently in the newest run, or "".
        self.nondeterminism = ""
        self._is_paused = False
        self._subject = subject
        self._methods = subject.methods
        self._on_result = on_result
        self._check_model = check_model
        self._numbers = numbers
        self._worker = Worker()
        self._cache = SampleCache(subject.methods)
        self._chunks: ChunkSize | None = None

    @property
    def result(self) -> Attribution | None:
        """The newest attribution; of a run in hand or a failed one, the last good."""
        return None if self.answer is None else self.answer.result

    @property
    def answered(self) -> Settings | None:
        """The settings that `result` answers."""
        return None if self.answer is None else self.answer.rule.settings

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a person should know of the newest run: that the model is in doubt, and how one to a tolerance ended.

        By how much a fixed number of steps is not complete is shown beside each map.
        """
        told = (self.nondeterminism,) if self.nondeterminism else ()
        answer = self.answer
        if answer is None or self.settings != answer.rule.settings or self.settings.method != rules.AUTO:
            return told
        return tuple(dict.fromkeys((*told, *(answer.result.caveats if answer.result.complete else ()))))

    def restore(self, answer: PaneResult) -> None:
        """Shows a result from a file as if it had been computed here; for a pane that was asked for nothing yet."""
        known = replace(answer.rule, log=replace(answer.rule.log, number=next(self._numbers.traces)))
        answer = replace(answer, rule=known)
        settings = known.settings
        self.request = next(self._numbers.requests)
        self.settings, self.answer = settings, answer
        self._cache.restore(known)
        begin = self.begin(known.log.number, settings, self._total(settings))
        self.stream.begin(self.request, begin)
        pieces = known.pieces if known.is_last or settings.method == rules.AUTO else None
        self.stream.publish(
            self.request, known.log, known.evaluations, pieces, is_final=known.is_last, error=known.error
        )
        done = protocol.done(known.evaluations, answer.result.elapsed)
        self.stream.end(self.request, done if known.is_last else _CANCELLED)

    def begin(self, trace: int, settings: Settings, total: int) -> protocol.Message:
        """Returns the `begin` of a request for these settings."""
        subject = self._subject
        return protocol.begin(
            trace,
            settings,
            total,
            subject.classifier.output_name(settings),
            subject.classifier.target_name(settings),
            subject.display(settings),
            self._methods.kind(settings.method),
        )

    def submit(self, settings: Settings) -> None:
        """Computes this as soon as the current run has stopped."""
        self.request = next(self._numbers.requests)
        self.error, self.settings, self._is_paused = None, settings, False
        self._cache.request(settings)
        request = self.request
        try:
            self._worker.submit(lambda cancel: self._run(request, settings, cancel))
        except ThreadError as error:
            self.stream.begin(request, self.begin(next(self._numbers.traces), settings, 0))
            self._fail(request, error)

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the run is over; returns False if `timeout` seconds pass before."""
        return self._worker.wait(timeout)

    def cancel(self) -> None:
        """Stops computing; what is drawn stays."""
        self._worker.cancel()

    def pause(self) -> None:
        """Stops computing until `resume`."""
        if not self.wait(0):
            self._is_paused = True
            self.cancel()

    def resume(self) -> None:
        """Goes on with what was paused."""
        if self._is_paused and self.settings is not None:
            self.submit(self.settings)

    def close(self) -> None:
        """Stops for good."""
        self._worker.close()

    def forget(self) -> None:
        """Drops all samples."""
        self._cache.clear()

    def log(self, settings: Settings) -> SampleLog | None:
        """Returns the samples of these settings, if they are kept."""
        return self._cache.log(settings)

    def evaluated(self) -> list[EvaluatedRule]:
        """Returns each rule that was asked for and is sampled whole on the path of the newest result."""
        answered = self.answered
        return [] if answered is None else self._cache.evaluated(answered)

    # ------------------------------------------------------------ computing

    def _run(self, request: int, settings: Settings, cancel: threading.Event) -> None:
        begin = time.perf_counter()
        try:
            with heartbeat(self.stream.beat):
                evaluations = self._compute(request, settings, cancel)
        except Cancelled:
            evaluations = None
        except (Exception, SystemExit, KeyboardInterrupt) as raised:  # noqa: BLE001  (an error is a reply)
            error = raised if isinstance(raised, Exception) else exit_error(raised)
            if is_out_of_memory(error) and not isinstance(error, IGError):
                error = out_of_memory_error(error)
            if isinstance(error, NonFiniteError):
                # What made it may pass; asked again, the model is asked anew.
                self._cache.drop(settings)
            self._fail(request, error)
            return
        if request == self.request:
            self._on_result(self)
        if evaluations is not None:
            self.stream.end(request, protocol.done(evaluations, time.perf_counter() - begin))
        elif request == self.request:
            self.stream.end(request, _CANCELLED)

    def _fail(self, request: int, error: Exception) -> None:
        if request == self.request:
            self.error = error
            self.stream.end(request, failed_message(error))
            _log.warning("%s: %s", type(self._subject).__name__, describe_model_error(error))

    def _compute(self, request: int, settings: Settings, cancel: threading.Event) -> int | None:
        """The gradient evaluations that it took, or None if it was cancelled."""
        self._check_model()
        known = self._cache.find(settings)
        log = None if known is None else known.logs.get(settings.channel)
        number = next(self._numbers.traces) if log is None else log.number
        try:
            total = self._total(settings, known)
        except IGError:
            # A failure is told of a request that has begun.
            self.stream.begin(request, self.begin(number, settings, 0))
            raise
        self.stream.begin(request, self.begin(number, settings, total))
        if cancel.is_set():
            return None
        if known is None:
            samples = self._subject.samples(settings, self._chunks, cancel)
            self._chunks = samples.sampler.chunks
            known = self._cache.keep(settings, samples)
        if log is None:
            empty = SampleLog(
                number,
                *_ends(known.samples),
                is_complete=self._methods.is_complete(settings.method),
                is_path=self._methods.kind(settings.method) != "draws",
            )
            log = self._logged(empty, settings, known)
            known.logs[settings.channel] = log
        elif len(known.logs) > 1:
            self._logged(log, settings, known)
        self.stream.publish(request, log, 0)
        try:
            if settings.method == rules.AUTO:
                return self._to_tolerance(request, settings, known, cancel)
            return self._by_steps(request, settings, known, cancel)
        finally:
            self.nondeterminism = known.samples.sampler.doubt
            self._cache.make_room()

    def _most_evaluations(self) -> int:
        """Of a run to a tolerance, as far as what it keeps has room."""
        return max(2, min(MOST_EVALUATIONS, most_steps(self._subject.shape)))

    def _total(self, settings: Settings, known: SampledPath | None = None) -> int:
        if settings.method == rules.AUTO:
            return self._most_evaluations()
        nodes = self._methods.nodes(settings.method, settings.n_steps)
        return len(nodes.alphas) if known is None else len(known.samples.missing(nodes.alphas))

    def _by_steps(self, request: int, settings: Settings, known: SampledPath, cancel: threading.Event) -> int | None:
        begin, done = time.perf_counter(), 0
        samples, log = known.samples, known.logs[settings.channel]
        nodes = self._methods.nodes(settings.method, settings.n_steps)
        levels = rules.visits(self._methods.rule(settings.method), len(nodes.alphas), progressive=True)
        order = nodes.alphas[np.concatenate(levels)]
        for block in samples.extend(order, first=None if log.maps else self._first(), cancel=cancel):
            keys = samples.keys(block)
            log.extend(keys, block.outputs.tolist(), block.density.tolist(), self._encoded(samples, keys, settings))
            done += len(keys)
            self.stream.publish(request, log, done)
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
            known_now = EvaluatedRule(settings, log, pieces_of(samples, used), len(used.alphas), is_last=complete)
            self.answer = PaneResult(self._methods.result(result, settings.method, samples.sampler.doubt), known_now)
        if not complete:
            return None
        self.stream.publish(request, log, done, pieces_of(samples, nodes), is_final=True)
        return done

    def _to_tolerance(
        self, request: int, settings: Settings, known: SampledPath, cancel: threading.Event
    ) -> int | None:
        begin, log = time.perf_counter(), known.logs[settings.channel]
        for stage in self._stages(settings, known, cancel):
            known.stages.append(stage)
            pieces = pieces_of(stage.samples, only(stage.nodes))
            self._add(log, stage.samples, only(stage.nodes), settings)
            self.stream.publish(request, log, stage.evaluations, pieces, is_final=False, error=error_of(stage))
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
            self.answer = PaneResult(
                result, EvaluatedRule(settings, log, pieces, last.evaluations, error_of(last), is_last=last.is_last)
            )
        if last is None or not last.is_last:
            return None
        pieces = pieces_of(last.samples, only(last.nodes))
        self.stream.publish(request, log, last.evaluations, pieces, is_final=True, error=error_of(last))
        return last.evaluations

    def _stages(self, settings: Settings, known: SampledPath, cancel: threading.Event) -> Iterator[Stage]:
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

    def _logged(self, log: SampleLog, settings: Settings, known: SampledPath) -> SampleLog:
        """With what was sampled while another channel was drawn."""
        for stage in known.stages:
            self._add(log, stage.samples, only(stage.nodes), settings)
        for other in [] if known.stages else list(known.logs.values()):
            new = {key: at for key, at in other.ids.items() if key not in log.ids}
            keys, at = list(new), list(new.values())
            maps = self._encoded(known.samples, keys, settings)
            log.extend(keys, [other.outputs[i] for i in at], [other.density[i] for i in at], maps)
        return log

    def _add(self, log: SampleLog, samples: Samples, nodes: rules.Nodes, settings: Settings) -> None:
        """What of `nodes` the log lacks."""
        trace = samples.trace(nodes)
        outputs = dict(zip(trace.output_alphas[0].tolist(), trace.outputs[0].tolist(), strict=True))
        found = zip(samples.keys_of(nodes), trace.density[0].tolist(), strict=True)
        new = [(key, density) for key, density in found if key not in log.ids]
        keys = [key for key, _ in new]
        at = [outputs[key[0] if isinstance(key, tuple) else key] for key in keys]
        log.extend(keys, at, [density for _, density in new], self._encoded(samples, keys, settings))

    def _encoded(self, samples: Samples, keys: list[Any], settings: Settings) -> list[EncodedMap]:
        return [encode(values) for values in self._subject.maps(samples, keys, settings)] if keys else []

    def _first(self) -> int:
        if self._chunks is None:
            return 1
        return _FIRST_SAMPLES if self._chunks.row_seconds * _FIRST_SAMPLES <= _AT_ONCE_SECONDS else 1


def _ends(samples: Samples) -> tuple[float, float]:
    return float(samples.baseline_output), float(samples.output)
