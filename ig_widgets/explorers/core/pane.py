"""Pane: one request stream of an explorer. Its newest settings are computed in a worker and streamed to its views."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import Cancelled, IGError, NonFiniteError
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.error_text import describe_model_error, exit_error, failed_message, out_of_memory_error
from ig_widgets.explorers.core.run import Run, begin_message, total_evaluations
from ig_widgets.explorers.core.sample_cache import EvaluatedRule, PaneResult, SampleCache
from ig_widgets.explorers.core.sample_log import SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.stream import Send, Stream
from ig_widgets.explorers.core.subject import Subject
from ig_widgets.explorers.widget.heartbeat import heartbeat
from ig_widgets.explorers.widget.worker import ThreadError, Worker

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
        """What a person should know of the newest run: nondeterminism, and how a run to a tolerance ended.

        By how much a fixed number of steps is not complete is shown beside each map.
        """
        told = (self.nondeterminism,) if self.nondeterminism else ()
        answer = self.answer
        if answer is None or self.settings != answer.rule.settings or self.settings.method != rules.AUTO:
            return told
        return tuple(dict.fromkeys((*told, *(answer.result.caveats if answer.result.complete else ()))))

    def restore(self, answer: PaneResult) -> None:
        """Shows a result from a file as if it had been computed here; for a pane that was asked for nothing yet."""
        # Numbers of paths count up within an explorer, and the file is from another.
        known = replace(answer.rule, log=replace(answer.rule.log, number=next(self._numbers.traces)))
        answer = replace(answer, rule=known)
        settings = known.settings
        self.request = next(self._numbers.requests)
        self.settings, self.answer = settings, answer
        self._cache.restore(known)
        begin = begin_message(self._subject, known.log.number, settings, total_evaluations(self._subject, settings))
        self.stream.begin(self.request, begin)
        pieces = known.pieces if known.is_last or settings.method == rules.AUTO else None
        self.stream.publish(
            self.request, known.log, known.evaluations, pieces, is_final=known.is_last, error=known.error
        )
        done = protocol.done(known.evaluations, answer.result.elapsed)
        self.stream.end(self.request, done if known.is_last else _CANCELLED)

    def submit(self, settings: Settings) -> None:
        """Computes this as soon as the current run has stopped."""
        self.request = next(self._numbers.requests)
        self.error, self.settings, self._is_paused = None, settings, False
        self._cache.request(settings)
        # The job must not take a later request's number.
        request = self.request
        try:
            self._worker.submit(lambda cancel: self._run(request, settings, cancel))
        except ThreadError as error:
            self.stream.begin(request, begin_message(self._subject, next(self._numbers.traces), settings, 0))
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
                self._check_model()
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
        """Returns the gradient evaluations that it took, or None where it was cancelled."""
        run = Run(
            self._subject,
            self.stream,
            self._cache,
            request=request,
            settings=settings,
            chunks=self._chunks,
            cancel=cancel,
            next_trace=lambda: next(self._numbers.traces),
            on_answer=lambda answer: self._take(request, answer),
        )
        try:
            return run.compute()
        finally:
            self.nondeterminism, self._chunks = run.nondeterminism, run.chunks

    def _take(self, request: int, answer: PaneResult) -> None:
        if request == self.request:
            self.answer = answer
