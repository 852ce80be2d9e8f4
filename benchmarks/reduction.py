"""Memory of samples that are kept whole, and of those that `reduce` makes smaller: 512 tokens x 4,096 dimensions.

64 Gauss-Legendre points at the embedding of a small model, in float32, in a process of its own for each: bytes that
the samples keep, the largest resident set while they are taken and added up, beyond what was resident after the model
had made a forward pass, and the time. The maps are compared: that of the reduced samples is the sum over dimensions.

    python benchmarks/reduction.py [--tokens 512] [--width 4096] [--n-steps 64] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import torch
from _report import Row, ratio, seconds, table
from torch import Tensor, nn

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import make_attribution, make_samples

METHOD = "gausslegendre"


class Gated(nn.Module):
    """Tokens that are gated by their neighbours, and a score of their mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.inner, self.score = nn.Embedding(100, width), nn.Linear(width, 16), nn.Linear(16, 1)
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        inner = self.inner(self.embedding(ids))
        return self.score((torch.tanh(inner) * torch.sigmoid(inner.roll(1, 1))).mean(1))[:, 0]


def over_width(t: Tensor) -> Tensor:
    return t.sum(-1)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """One run, in this process."""
    model, nodes = Gated(asked.width), rules.nodes(METHOD, asked.n_steps)
    ids = torch.arange(asked.tokens)[None] % 99 + 1
    with torch.no_grad():
        model(ids)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    samples = make_samples(
        model,
        ids,
        baselines=torch.zeros_like(ids),
        layer="embedding",
        reduce=over_width if asked.one == "reduced" else None,
        chunk_size=4,
    )
    for _ in samples.extend(nodes.alphas):
        pass
    result = make_attribution(samples, nodes, method=METHOD, elapsed=0.0)
    found = {
        "seconds": time.perf_counter() - begin,
        "peak": 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before),
        "kept": samples.nbytes,
    }
    attributions = result.attributions if asked.one == "reduced" else over_width(result.attributions)
    return found | {"delta": float(result.convergence_delta), "map": attributions[0].tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--n-steps", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=("whole", "reduced"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked)))
        return
    found: dict[str, list[dict[str, Any]]] = {"whole": [], "reduced": []}
    for _ in range(asked.rounds):
        for name, runs in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    maps = [torch.tensor(runs[0]["map"], dtype=torch.float64) for runs in found.values()]
    off = float((maps[0] - maps[1]).norm() / maps[0].norm())
    rows = [Row("the map of reduced samples, off the reduced map by", f"{off:.1e}", off, 1e-5)]
    for name, runs in found.items():
        rows.append(Row(f"samples keep, {name}", f"{runs[0]['kept'] / 2**20:.2f} MiB"))
        rows.append(Row(f"peak memory, {name}", f"{median(run['peak'] for run in runs) / 2**20:.0f} MiB"))
        rows.append(seconds(f"time, {name}", [run["seconds"] for run in runs]))
    for what, goal in (("peak", 0.35), ("seconds", None)):
        values = [[run[what] for run in found[name]] for name in ("reduced", "whole")]
        rows.append(ratio(f"{'peak memory' if what == 'peak' else 'time'}, reduced / whole", *values, goal))
    table(f"{asked.tokens} tokens x {asked.width} dimensions x {asked.n_steps} samples", rows)


if __name__ == "__main__":
    main()
