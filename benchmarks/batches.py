"""Large batches: the time of a run to a tolerance over that of Gauss-Legendre with as many evaluations, in turns;
and of `chunk_size=None` over the best fixed size.

    python benchmarks/batches.py [--rows 10000] [--rounds 5] [--part tolerance|chunks]
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch
from _report import Row, ratio, seconds, table, take_turns
from torch import Tensor, nn

import ig_widgets as igw

SIZES = (1024, 2048, 4096, 8192, 16384)


def network(activation: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    hidden = [nn.Linear(20, 64), activation(), nn.Linear(64, 64), activation()]
    return nn.Sequential(*hidden, nn.Linear(64, 1)).eval()


def timed(model: nn.Module, x: Tensor, **options: object) -> float:
    begin = time.perf_counter()
    igw.attribute(model, x, target=0, **options)  # type: ignore[arg-type]
    return time.perf_counter() - begin


def to_tolerance(name: str, activation: type[nn.Module], x: Tensor, rounds: int) -> list[Row]:
    model = network(activation)
    result = igw.attribute(model, x, target=0, tol=0.05)
    times = take_turns(
        {
            "ours": partial(timed, model, x, tol=0.05),
            "gauss": partial(timed, model, x, method="gausslegendre", n_steps=result.evaluations),
        },
        rounds,
    )
    what = f"{len(x):,} rows, {name}, tol=0.05 ({result.method}, {result.evaluations} evaluations at most)"
    return [
        ratio(f"{what}, over Gauss-Legendre", times["ours"], times["gauss"], 2.0),
        seconds(f"{name}: ours", times["ours"]),
        seconds(f"{name}: Gauss-Legendre", times["gauss"]),
    ]


def chunks(method: str, x: Tensor, rounds: int) -> list[Row]:
    model = network(nn.ReLU)
    run = partial(timed, model, x, method=method, n_steps=16)
    # What is found by trying is known from the first run on; that is a run of its own.
    first = run(chunk_size=None)
    times = take_turns({str(size): partial(run, chunk_size=size) for size in (None, *SIZES)}, rounds)
    best = min((name for name in times if name != "None"), key=lambda name: sorted(times[name])[rounds // 2])
    return [
        ratio(f"{method}: chunk_size=None over the best fixed ({best})", times["None"], times[best], 1.05),
        seconds(f"{method}: the first run with chunk_size=None", [first]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", choices=("tolerance", "chunks"))
    options = parser.parse_args()
    x = torch.randn(options.rows, 20, generator=torch.Generator().manual_seed(1))
    if options.part != "chunks":
        networks: tuple[tuple[str, type[nn.Module]], ...] = (("ReLU MLP", nn.ReLU), ("tanh MLP", nn.Tanh))
        found = [row for name, kind in networks for row in to_tolerance(name, kind, x, options.rounds)]
        table("Large batches to a tolerance", found)
    if options.part != "tolerance":
        found = [row for method in ("gausslegendre", "secant") for row in chunks(method, x, options.rounds)]
        table("Chunks", found)


if __name__ == "__main__":
    main()
