"""What is to be said of an attribution that is made of several runs, or of samples whose sum claims nothing."""

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
    """That the model answers differently when it is asked the same, if it does."""
    return (samples.sampler.nondeterminism,) if samples.sampler.nondeterminism else ()
