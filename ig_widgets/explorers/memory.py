"""What a pane has sampled and been asked for: kept by path, for a person who goes back and forth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.errors import IGError
from ig_widgets.engine.refinement import Stage
from ig_widgets.engine.samples import Samples
from ig_widgets.explorers import protocol
from ig_widgets.explorers.relative import RELATIVES, nodes_of
from ig_widgets.explorers.stream import Pieces, Record

# Paths whose samples are kept.
_PATHS_KEPT = 4
# What the gradients of all of them take at most; those of the newest are kept whatever they take.
_BYTES_KEPT = 256_000_000
# Rules that convergence is shown of, and that an exported file can choose among.
_RULES_KEPT = 16


@dataclass
class Sampled:
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


class Memory:
    """The paths that were sampled last, as many as there is room for, and the rules that were asked for last."""

    def __init__(self) -> None:
        # The newest last, as everything that is kept here.
        self._sampled: OrderedDict[tuple[object, ...], Sampled] = OrderedDict()
        self._asked: dict[tuple[str, int, float], None] = {}
        # What came from a file, with no samples that more could be added to.
        self._restored: Known | None = None

    def ask(self, settings: protocol.Settings) -> None:
        """The rule of a wish is the newest that was asked for."""
        rule = settings.method, settings.n_steps, settings.tol
        self._asked.pop(rule, None)
        self._asked[rule] = None
        while len(self._asked) > _RULES_KEPT:
            del self._asked[next(iter(self._asked))]

    def restore(self, known: Known) -> None:
        """What a file holds was asked for, and is known."""
        self.ask(known.settings)
        self._restored = known

    def find(self, settings: protocol.Settings) -> Sampled | None:
        """What a wish can use of the samples; its path is the newest from then on."""
        key = _key(settings)
        if key in self._sampled:
            self._sampled.move_to_end(key)
        return self._sampled.get(key)

    def keep(self, settings: protocol.Settings, samples: Samples) -> Sampled:
        """The samples of a new path, for this wish and those that can share them."""
        sampled = self._sampled[_key(settings)] = Sampled(samples)
        self.make_room()
        return sampled

    def make_room(self) -> None:
        """Let the oldest go that do not fit: samples have been added."""
        while len(self._sampled) > 1:
            if len(self._sampled) <= _PATHS_KEPT and sum(one.nbytes for one in self._sampled.values()) <= _BYTES_KEPT:
                return
            self._sampled.popitem(last=False)

    def drop(self, settings: protocol.Settings) -> None:
        """The samples of this wish are of no use."""
        self._sampled.pop(_key(settings), None)

    def clear(self) -> None:
        """None of the samples is of use any more."""
        self._sampled.clear()
        self._restored = None

    def record(self, settings: protocol.Settings) -> Record | None:
        """What was sampled for a wish, if it is kept."""
        if self._restored is not None and self._restored.settings == settings:
            return self._restored.record
        kept = self._sampled.get(_key(settings))
        return None if kept is None else kept.records.get(settings.channel)

    def known(self, answered: protocol.Settings) -> list[Known]:
        """Each rule that was asked for and is sampled whole on the path of `answered`."""
        found: list[Known] = []
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
                    pieces = pieces_of(stage.samples, only(stage.nodes))
                    if record.holds(pieces):
                        found.append(Known(settings, record, pieces, stage.evaluations, error_of(stage), stage.is_last))
                continue
            try:
                nodes = nodes_of(method, n_steps)
            except IGError:
                continue  # it was asked for, and refused
            if not len(kept.samples.missing(nodes.alphas)):
                pieces = pieces_of(kept.samples, nodes)
                if record.holds(pieces):
                    found.append(Known(settings, record, pieces, len(nodes.alphas)))
        return found


def _key(settings: protocol.Settings) -> tuple[object, ...]:
    """Wishes whose samples can be shared. A cell of the secant rule is of no use to another number of cells."""
    method = settings.method
    if method in RELATIVES:
        baseline = settings.baseline if RELATIVES[method].uses_baseline else ""
        count = RELATIVES[method].samples or settings.n_steps
        return baseline, settings.target, settings.output, method, count
    apart = {rules.SECANT: (method, settings.n_steps), rules.AUTO: (method, settings.tol)}.get(method, ())
    return settings.baseline, settings.target, settings.output, *apart


def pieces_of(samples: Samples, nodes: rules.Nodes) -> Pieces:
    """The samples at `nodes`, by what they are known by."""
    return Pieces(samples.keys_of(nodes), nodes.edges)


def only(nodes: rules.Nodes | Sequence[rules.Nodes]) -> rules.Nodes:
    """Those of the one example."""
    return nodes if isinstance(nodes, rules.Nodes) else nodes[0]


def error_of(stage: Stage) -> float | None:
    """As it was estimated, of the one example."""
    return None if stage.errors is None else float(stage.errors[0])
