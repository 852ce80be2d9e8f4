"""Caveats and jumps of an attribution that several runs, or draws, are combined into."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.samples import Samples


def caveats_of(runs: Sequence[Attribution]) -> tuple[str, ...]:
    """The caveats of one run; of several, each sentence of the first that has any, and how many have."""
    if len(runs) == 1:
        return runs[0].caveats
    told = [run.caveats for run in runs if run.caveats]
    return tuple(f"Of {len(told)} of {len(runs)} runs, of the first: {text}" for text in told[0]) if told else ()


def unattributed_of(runs: Sequence[Attribution]) -> Tensor | None:
    """The mean of what F jumps by, (batch,); None where jumps were not looked for in every run."""
    jumps = [run.unattributed for run in runs if run.unattributed is not None]
    return torch.stack(jumps).mean(0) if jumps and len(jumps) == len(runs) else None


def doubts_of(samples: Samples) -> tuple[str, ...]:
    """The caveat that the model is nondeterministic, if it is."""
    return (samples.sampler.nondeterminism,) if samples.sampler.nondeterminism else ()
