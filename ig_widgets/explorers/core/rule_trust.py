"""How far maps can be trusted that are added up from a log, without making each of them."""

from __future__ import annotations

import torch

from ig_widgets.engine import rules
from ig_widgets.engine.refinement import Stage
from ig_widgets.engine.samples import Samples
from ig_widgets.engine.trust import Evidence, Trust, judge
from ig_widgets.engine.verdict import caveats
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog


def trust_of_rule(log: SampleLog, pieces: Pieces, doubts: tuple[str, ...] = ()) -> Trust:
    """Returns that of a rule by steps, of which `doubts` are known."""
    return judge(
        Evidence(
            log.output,
            log.baseline_output if log.is_complete else None,
            log.delta(pieces) if log.is_complete else None,
            None,
            caveats=doubts,
        )
    )


def trust_of_stage(stage: Stage, log: SampleLog, pieces: Pieces) -> Trust:
    """Returns that of the last stage of a run to a tolerance."""
    delta = log.delta(pieces)
    told = caveats(
        stage.verdict,
        nondeterminism=stage.samples.sampler.nondeterminism,
        scales=frozenset(),
        complete=stage.is_last,
        errors=stage.errors,
        evaluations=stage.evaluations,
        delta=torch.tensor([delta]),
        variation=torch.zeros(1),
    )
    error = None if stage.errors is None else float(stage.errors[0])
    return judge(
        Evidence(
            log.output,
            log.baseline_output,
            delta,
            error,
            tol=stage.verdict.tol,
            converged=stage.converged,
            complete=stage.is_last,
            caveats=told,
        )
    )


def doubts_of(samples: Samples, rule: str) -> tuple[str, ...]:
    """Returns what was seen while a rule by steps was sampled, as an Attribution has it among its caveats."""
    return caveats(
        None,
        nondeterminism=samples.sampler.nondeterminism,
        scales=samples.sampler.scales if rule == rules.SECANT else frozenset(),
        complete=True,
        errors=None,
        evaluations=0,
        delta=torch.zeros(0),
        variation=torch.zeros(0),
    )
