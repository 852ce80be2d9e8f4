"""LRU cache of samples by path, and the rules that were asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import IGError
from ig_widgets.engine.refinement import Stage
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog
from ig_widgets.explorers.core.settings import Settings

# Paths whose samples are kept.
_PATHS_KEPT = 4
# What the gradients of all of them take at most; those of the newest are kept whatever they take.
_BYTES_KEPT = 256_000_000
# Rules that convergence is shown of, and that an exported file can choose among.
_RULES_KEPT = 16


@dataclass
class SampledPath:
    """A path, what has been sampled on it, and the logs that are streamed of that."""

    samples: Samples
    # By channel.
    logs: dict[str, SampleLog] = field(default_factory=dict)
    # Of a run to a tolerance: how it went, and where it is now.
    stages: list[Stage] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """What all gradients take, in bytes; stages share them."""
        every = {id(samples): samples for samples in (self.samples, *(stage.samples for stage in self.stages))}
        return sum(samples.nbytes for samples in every.values())


@dataclass(frozen=True)
class EvaluatedRule:
    """A rule whose samples are all there: its `pieces`, how many `evaluations` it took, and the estimated `error`.

    `is_last`: False for a stage of a run to a tolerance that another follows, and for what a cancelled run has left.
    """

    settings: Settings
    log: SampleLog
    pieces: Pieces
    evaluations: int
    error: float | None = None
    is_last: bool = True


@dataclass(frozen=True)
class PaneResult:
    """A result, and the evaluated rule that is drawn of it."""

    result: Attribution
    rule: EvaluatedRule


class SampleCache:
    """The paths that were sampled last, as many as there is room for, and the rules that were asked for last."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        # The newest last, as everything that is kept here.
        self._sampled: OrderedDict[tuple[object, ...], SampledPath] = OrderedDict()
        self._requested: dict[tuple[str, int, float], None] = {}
        # What came from a file, with no samples that more could be added to.
        self._restored: EvaluatedRule | None = None

    def request(self, settings: Settings) -> None:
        """Notes the rule of these settings as the newest that was asked for."""
        rule = settings.method, settings.n_steps, settings.tol
        self._requested.pop(rule, None)
        self._requested[rule] = None
        while len(self._requested) > _RULES_KEPT:
            del self._requested[next(iter(self._requested))]

    def restore(self, rule: EvaluatedRule) -> None:
        """Adds what a file holds; no sample can be added to it."""
        self.request(rule.settings)
        self._restored = rule

    def find(self, settings: Settings) -> SampledPath | None:
        """Returns the samples of the path of these settings, if they are kept; it is the newest path from then on."""
        key = self._methods.path_key(settings)
        if key in self._sampled:
            self._sampled.move_to_end(key)
        return self._sampled.get(key)

    def keep(self, settings: Settings, samples: Samples) -> SampledPath:
        """Keeps the samples of a new path."""
        sampled = self._sampled[self._methods.path_key(settings)] = SampledPath(samples)
        self.make_room()
        return sampled

    def make_room(self) -> None:
        """Drops the oldest paths where samples have been added and not all fit."""
        while len(self._sampled) > 1:
            if len(self._sampled) <= _PATHS_KEPT and sum(one.nbytes for one in self._sampled.values()) <= _BYTES_KEPT:
                return
            self._sampled.popitem(last=False)

    def drop(self, settings: Settings) -> None:
        """Drops the samples of these settings."""
        self._sampled.pop(self._methods.path_key(settings), None)

    def clear(self) -> None:
        """Drops all samples."""
        self._sampled.clear()
        self._restored = None

    def log(self, settings: Settings) -> SampleLog | None:
        """Returns the samples of these settings, if they are kept."""
        if self._restored is not None and self._restored.settings == settings:
            return self._restored.log
        kept = self._sampled.get(self._methods.path_key(settings))
        return None if kept is None else kept.logs.get(settings.channel)

    def evaluated(self, answered: Settings) -> list[EvaluatedRule]:
        """Returns each rule that was asked for and is sampled whole on the path of `answered`."""
        found: list[EvaluatedRule] = []
        for method, n_steps, tol in list(self._requested):
            settings = replace(answered, method=method, n_steps=n_steps, tol=tol)
            kept = self._sampled.get(self._methods.path_key(settings))
            log = None if kept is None else kept.logs.get(settings.channel)
            if self._restored is not None and self._restored.settings == settings and log is None:
                found += [self._restored] * self._restored.is_last
            if kept is None or log is None:
                continue
            if method == rules.AUTO:
                for stage in kept.stages:
                    pieces = pieces_of(stage.samples, only(stage.nodes))
                    if log.holds(pieces):
                        found.append(
                            EvaluatedRule(settings, log, pieces, stage.evaluations, error_of(stage), stage.is_last)
                        )
                continue
            try:
                nodes = self._methods.nodes(method, n_steps)
            except IGError:
                continue  # it was asked for, and refused
            if not len(kept.samples.missing(nodes.alphas)):
                pieces = pieces_of(kept.samples, nodes)
                if log.holds(pieces):
                    found.append(EvaluatedRule(settings, log, pieces, len(nodes.alphas)))
        return found


def pieces_of(samples: Samples, nodes: rules.Nodes) -> Pieces:
    """Returns the samples at `nodes`, by their keys."""
    return Pieces(samples.keys_of(nodes), nodes.edges)


def only(nodes: rules.Nodes | Sequence[rules.Nodes]) -> rules.Nodes:
    """Returns those of the one example."""
    return nodes if isinstance(nodes, rules.Nodes) else nodes[0]


def error_of(stage: Stage) -> float | None:
    """Returns the estimated error of the one example."""
    return None if stage.errors is None else float(stage.errors[0])
