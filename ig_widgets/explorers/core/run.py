"""Run: one request of a pane. It samples what is missing, and publishes it as it comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_attribution
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import IGError
from ig_widgets.engine.refinement import Stage, refined
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers.core import protocol
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
from ig_widgets.explorers.core.stream import Stream
from ig_widgets.explorers.core.subject import Subject

# So many samples of a new path are drawn first, if they come at once; else the one in the middle.
_FIRST_SAMPLES = 3
_AT_ONCE_SECONDS = 0.12
# Where sampling to a tolerance ends at the latest.
MOST_EVALUATIONS = 1024


def begin_message(subject: Subject, trace: int, settings: Settings, total: int) -> protocol.Message:
    """Returns the `begin` of a request for these settings."""
    return protocol.begin(
        trace,
        settings,
        total,
        subject.classifier.output_name(settings),
        subject.classifier.target_name(settings),
        subject.display(settings),
        subject.methods.kind(settings.method),
    )


def total_evaluations(subject: Subject, settings: Settings, known: SampledPath | None = None) -> int:
    """Returns how many gradient evaluations a request needs at most, beyond the samples that are known."""
    if settings.method == rules.AUTO:
        # As far as there is room for the samples.
        return max(2, min(MOST_EVALUATIONS, most_steps(subject.shape)))
    nodes = subject.methods.nodes(settings.method, settings.n_steps)
    return len(nodes.alphas) if known is None else len(known.samples.missing(nodes.alphas))


class Run:
    """Samples what the settings of a request ask for; the samples go to the cache, their maps to the stream.

    `on_answer` is called with the result before the final plan is published. After `compute`, `nondeterminism` says
    that the model answers the same question differently, or "", and `chunks` is the chunk size that was found.
    """

    def __init__(
        self,
        subject: Subject,
        stream: Stream,
        cache: SampleCache,
        *,
        request: int,
        settings: Settings,
        chunks: ChunkSize | None,
        cancel: threading.Event,
        next_trace: Callable[[], int],
        on_answer: Callable[[PaneResult], None],
    ) -> None:
        self.nondeterminism = ""
        self.chunks = chunks
        self._subject = subject
        self._methods = subject.methods
        self._stream = stream
        self._cache = cache
        self._request = request
        self._settings = settings
        self._cancel = cancel
        self._next_trace = next_trace
        self._on_answer = on_answer

    def compute(self) -> int | None:
        """Returns the gradient evaluations that it took, None where it was cancelled. Raises what the model raises."""
        settings = self._settings
        known = self._cache.find(settings)
        log = None if known is None else known.logs.get(settings.channel)
        number = self._next_trace() if log is None else log.number
        try:
            total = total_evaluations(self._subject, settings, known)
        except IGError:
            # A failure is told of a request that has begun.
            self._begin(number, 0)
            raise
        self._begin(number, total)
        # Views know now that the request has begun, and are told that it was cancelled.
        if self._cancel.is_set():
            return None
        if known is None:
            samples = self._subject.samples(settings, self.chunks, self._cancel)
            self.chunks = samples.sampler.chunks
            known = self._cache.keep(settings, samples)
        if log is None:
            empty = SampleLog(
                number,
                *_ends(known.samples),
                is_complete=self._methods.is_complete(settings.method),
                is_path=self._methods.kind(settings.method) != "draws",
            )
            log = self._completed(empty, known)
            known.logs[settings.channel] = log
        elif len(known.logs) > 1:
            # The path may have been sampled further while another channel was drawn.
            self._completed(log, known)
        self._stream.publish(self._request, log, 0)
        try:
            if settings.method == rules.AUTO:
                return self._to_tolerance(known)
            return self._by_steps(known)
        finally:
            self.nondeterminism = known.samples.sampler.nondeterminism
            self._cache.make_room()

    def _begin(self, trace: int, total: int) -> None:
        self._stream.begin(self._request, begin_message(self._subject, trace, self._settings, total))

    def _by_steps(self, known: SampledPath) -> int | None:
        begin, done, settings = time.perf_counter(), 0, self._settings
        samples, log = known.samples, known.logs[settings.channel]
        nodes = self._methods.nodes(settings.method, settings.n_steps)
        # Coarse first: a person sees the whole map early, and sees it get finer.
        levels = rules.visits(self._methods.rule(settings.method), len(nodes.alphas), progressive=True)
        order = nodes.alphas[np.concatenate(levels)]
        for block in samples.extend(order, first=None if log.maps else self._first(), cancel=self._cancel):
            keys = samples.keys(block)
            log.extend(keys, block.outputs.tolist(), block.density.tolist(), self._encoded(samples, keys))
            done += len(keys)
            self._stream.publish(self._request, log, done)
        # A cancelled run ends the loop without an error; what it has sampled is shown as far as it goes.
        complete = not len(samples.missing(nodes.alphas))
        # Without a sample the last good result stays.
        if len(samples.alphas):
            used = nodes if complete else samples.so_far()
            result = make_attribution(
                samples,
                used,
                method=settings.method,
                n_steps=len(nodes.alphas),
                elapsed=time.perf_counter() - begin,
                complete=complete,
            )
            rule = EvaluatedRule(settings, log, pieces_of(samples, used), len(used.alphas), is_last=complete)
            answered = self._methods.result(result, settings.method, samples.sampler.nondeterminism)
            self._on_answer(PaneResult(answered, rule))
        if not complete:
            return None
        self._stream.publish(self._request, log, done, pieces_of(samples, nodes), is_final=True)
        return done

    def _to_tolerance(self, known: SampledPath) -> int | None:
        begin, settings = time.perf_counter(), self._settings
        log = known.logs[settings.channel]
        for stage in self._stages(known):
            known.stages.append(stage)
            pieces = pieces_of(stage.samples, only(stage.nodes))
            self._add(log, stage.samples, only(stage.nodes))
            self._stream.publish(self._request, log, stage.evaluations, pieces, is_final=False, error=error_of(stage))
        last = known.stages[-1] if known.stages else None
        if last is not None:
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
            rule = EvaluatedRule(settings, log, pieces, last.evaluations, error_of(last), is_last=last.is_last)
            self._on_answer(PaneResult(result, rule))
        if last is None or not last.is_last:
            return None
        pieces = pieces_of(last.samples, only(last.nodes))
        self._stream.publish(self._request, log, last.evaluations, pieces, is_final=True, error=error_of(last))
        return last.evaluations

    def _stages(self, known: SampledPath) -> Iterator[Stage]:
        # A run that reached its tolerance has nothing to add; one that was cancelled starts over on the same samples.
        if known.stages and known.stages[-1].is_last:
            return
        known.stages.clear()
        yield from refined(
            known.samples,
            method=rules.AUTO,
            tol=self._settings.tol,
            most=total_evaluations(self._subject, self._settings),
            multiply_by_inputs=True,
            cancel=self._cancel,
        )

    def _completed(self, log: SampleLog, known: SampledPath) -> SampleLog:
        """Adds the samples that were taken while another channel was drawn; returns the log."""
        for stage in known.stages:
            self._add(log, stage.samples, only(stage.nodes))
        for other in [] if known.stages else list(known.logs.values()):
            new = {key: at for key, at in other.ids.items() if key not in log.ids}
            keys, at = list(new), list(new.values())
            maps = self._encoded(known.samples, keys)
            log.extend(keys, [other.outputs[i] for i in at], [other.density[i] for i in at], maps)
        return log

    def _add(self, log: SampleLog, samples: Samples, nodes: rules.Nodes) -> None:
        """Adds the samples at `nodes` that the log lacks."""
        trace = samples.trace(nodes)
        outputs = dict(zip(trace.output_alphas[0].tolist(), trace.outputs[0].tolist(), strict=True))
        found = zip(samples.keys_of(nodes), trace.density[0].tolist(), strict=True)
        new = [(key, density) for key, density in found if key not in log.ids]
        keys = [key for key, _ in new]
        at = [outputs[key[0] if isinstance(key, tuple) else key] for key in keys]
        log.extend(keys, at, [density for _, density in new], self._encoded(samples, keys))

    def _encoded(self, samples: Samples, keys: list[Any]) -> list[EncodedMap]:
        return [encode(values) for values in self._subject.maps(samples, keys, self._settings)] if keys else []

    def _first(self) -> int:
        if self.chunks is None:
            return 1
        return _FIRST_SAMPLES if self.chunks.row_seconds * _FIRST_SAMPLES <= _AT_ONCE_SECONDS else 1


def _ends(samples: Samples) -> tuple[float, float]:
    return float(samples.baseline_output), float(samples.output)
