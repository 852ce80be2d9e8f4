"""What deletion and insertion cost beside as many plain forward passes of the model.

EfficientNet-Lite0, 224 x 224, a map of the cat, 100 steps each, blurred fill. Each call asks the model for the curve of
the map (101 pictures) and for that of one random order (99 more, as both ends are shared): both calls together make
400 forward passes, of which the maps' own curves are 202. They are held to 400 plain passes, without a gradient, in
the batch size that was found best for those; both sides take turns in this process, `--rounds` times.

    python benchmarks/faithfulness.py [--quick] [--rounds 5] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from statistics import median

import torch
from _report import Row, ratio, seconds, short, table, take_turns
from torch import Tensor, nn

import ig_widgets as igw

TARGET = 285
OURS = "deletion and insertion, with a random order each"
GOAL = 1.1


def plain(model: nn.Module, inputs: Tensor, passes: int, batch: int) -> Callable[[], None]:
    """So many passes, `batch` at a time, their outputs brought to the CPU."""
    sizes = [batch] * (passes // batch) + ([passes % batch] if passes % batch else [])

    def run() -> None:
        with torch.no_grad():
            for size in sizes:
                model(inputs.expand(size, -1, -1, -1).contiguous())[:, TARGET].cpu()

    return run


def timed(run: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        gc.collect()
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--quick", action="store_true", help="two rounds of 10 steps: does it run at all?")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    rounds, n_steps = (2, 10) if asked.quick else (asked.rounds, 100)

    classifier = igw.demo.image_classifier(asked.device)
    model, inputs = classifier.model, classifier.preprocess(igw.demo.image("cat")).to(asked.device)
    values = igw.attribute(model, inputs, target=TARGET, method="secant", n_steps=8)

    def ours() -> list[igw.faithfulness.Curves]:
        check = igw.faithfulness
        return [
            kind(model, inputs, values, target=TARGET, n_steps=n_steps) for kind in (check.deletion, check.insertion)
        ]

    found = ours()  # a warm-up too: what is learnt of the chunk size is known at the next call
    passes = sum(result.evaluations for result in found)
    of_maps = sum(len(result.shares) for result in found)

    some = 32 if asked.device == "cpu" else 400
    batches = (1, 2, 4, 8, 16, 32) if asked.device == "cpu" else (16, 32, 64, 128, 200, 400)
    tries = take_turns({str(b): timed(plain(model, inputs, some, b)) for b in batches}, 3)
    smallest = {b: min(tries[str(b)]) / some for b in batches}
    best = min(smallest, key=smallest.__getitem__)

    name = f"{passes} plain passes, {best} at a time"
    times = take_turns({OURS: timed(ours), name: timed(plain(model, inputs, passes, best))}, rounds)
    share = of_maps / passes * median(times[OURS])
    rows = [
        Row("a plain pass, by batch size", ", ".join(f"{b}: {short(value)}" for b, value in smallest.items())),
        seconds(f"time, {OURS}: {passes} passes", times[OURS]),
        seconds(f"time, {name}", times[name]),
        ratio("time, ours / plain, at equal passes", times[OURS], times[name], GOAL),
        Row(f"of that the maps' own curves: {of_maps} of {passes} passes", short(share)),
    ]
    table(f"Deletion and insertion, {n_steps} steps: EfficientNet-Lite0, 224 x 224, {asked.device}", rows)
    for result in found:
        print(result, end="\n\n")


if __name__ == "__main__":
    main()
