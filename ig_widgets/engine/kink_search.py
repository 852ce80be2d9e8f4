"""Which kinks lie between both ends of the paths of a batch."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.end_outputs import EndOutputs
from ig_widgets.engine.errors import Cancelled
from ig_widgets.engine.kinks import Kinks, KinksByOne
from ig_widgets.engine.memory import is_out_of_memory
from ig_widgets.engine.model import uncompiling
from ig_widgets.engine.model_passes import ModelPasses
from ig_widgets.engine.saved_tensors import PassStopped
from ig_widgets.engine.secant import KinkMode

# By how much more examples than before are looked at for kinks.
_MORE = 8


def find_kinks(
    passes: ModelPasses, chunks: ChunkSize, ends: EndOutputs, *, by_single_rows: bool, cancel: threading.Event | None
) -> Kinks:
    """Returns what kinks lie between both ends of the paths, by forward passes of ever more examples until one shows.

    Of each example the input and the baseline are in one pass, unless `by_single_rows`. Stops early where these do not
    fit into memory. Raises Cancelled.
    """
    found = KinksByOne() if by_single_rows else Kinks()
    start, count, batch = 0, 1, passes.path.batch
    most = batch
    # Of a model that is given single rows F depends on its company.
    compared = None if chunks.is_fixed and chunks.rows == 1 else ends
    while start < batch:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Cancelled after 0 gradient evaluations.", None)
        # Most models show their kinks at the first example; what is counted should not depend on timing.
        count = max(1, min(count, most, chunks.rows // 2, batch - start))
        examples = torch.arange(start, start + count, device="cpu").repeat_interleave(2)
        # From inputs to baselines, the other way round than `ends`: what is drawn for each row is then another's.
        alphas = torch.tensor([1.0, 0.0], dtype=torch.float64, device="cpu").repeat(count)
        parts = (slice(0, 1), slice(1, 2)) if isinstance(found, KinksByOne) else (slice(0, None),)
        try:
            for part in parts:
                _look(passes, compared, examples[part], alphas[part], found, cancel)
        except PassStopped:
            continue
        except (RuntimeError, MemoryError) as error:
            if passes.adapts(error):
                continue
            if not is_out_of_memory(error):
                raise
            if count == 1:
                break
            count = most = count // 2
            continue
        if found.crossed.total():
            break
        start, count = start + count, _MORE * count
    return found


def _look(
    passes: ModelPasses,
    ends: EndOutputs | None,
    examples: Tensor,
    alphas: Tensor,
    found: Kinks,
    cancel: threading.Event | None,
) -> None:
    """Lets `found` look at a pass of these rows; F in it is compared with `ends`."""
    saved = passes.saved(None, cancel)

    def ask() -> Tensor:
        leaves = passes.leaves(examples, alphas)
        with saved.look_at(), KinkMode(leaves, found):
            return passes.function(tuple(leaf.clone() for leaf in leaves), examples, eager=True)

    outputs = passes.run(alphas, lambda: uncompiling(ask), gradients=True)
    if isinstance(found, KinksByOne):
        found.compare()
    if ends is not None:
        ends.compare(examples, alphas, outputs.detach().cpu().double())
