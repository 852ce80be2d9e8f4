"""Time and peak memory of `igw.attribute` beside Captum's IntegratedGradients, at equal points.

Three subjects: EfficientNet-Lite0 (224 x 224, 50 Gauss-Legendre points, black picture as baseline), the same network
with a batch of 8 photos at 16 points, and a small MLP at 50 points. The best chunk of each side is found first (the
smallest of `--search` runs each); then, after a warm-up, all take turns in this process, `--rounds` times.
The attributions are compared before anything is timed.

Peak memory is measured in a process of its own for each contestant: the largest resident set during the call, less
what was resident after the model was loaded and had made one forward pass. On CUDA it is what torch had allocated.

    python benchmarks/attribute.py [--quick] [--rounds 7] [--device cpu|cuda] [--subject NAME ...]
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import captum.attr
import numpy as np
import torch
from _report import Row, ratio, seconds, short, table, take_turns
from torch import Tensor, nn

import ig_widgets as igw

METHOD = "gausslegendre"
OURS, CAPTUM = "ours", "captum"


@dataclass(frozen=True)
class Subject:
    """What is explained, and the chunks (rows at a time) that are tried."""

    name: str
    title: str
    model: nn.Module
    inputs: Tensor
    baselines: Tensor
    targets: list[int]
    n_steps: int
    chunks: tuple[int, ...]
    # Captum with everything at once takes gigabytes and many seconds where the batch is large.
    beside_captum: bool = True


@dataclass(frozen=True)
class Contestant:
    """One way to compute it; `chunk` None is the default of that side."""

    side: str
    chunk: int | None

    @property
    def name(self) -> str:
        if self.side == OURS:
            return "attribute" if self.chunk is None else f"attribute, chunk_size={self.chunk}"
        return "Captum's default" if self.chunk is None else f"Captum, internal_batch_size={self.chunk}"

    def run(self, subject: Subject) -> Tensor:
        s = subject
        if self.side == OURS:
            result = igw.attribute(
                s.model,
                s.inputs,
                baselines=s.baselines,
                target=s.targets,
                method=METHOD,
                n_steps=s.n_steps,
                chunk_size=self.chunk,
            )
            assert isinstance(result.attributions, Tensor)
            return result.attributions
        explainer = captum.attr.IntegratedGradients(s.model)
        attributions: Tensor = explainer.attribute(
            s.inputs, s.baselines, s.targets, n_steps=s.n_steps, method=METHOD, internal_batch_size=self.chunk
        )
        return attributions


# ---------------------------------------------------------------- subjects


def image_subject(device: str) -> Subject:
    classifier = igw.demo.image_classifier(device)
    photo = igw.demo.image("cat")
    inputs = classifier.preprocess(photo).to(device)
    black = classifier.preprocess(np.zeros((224, 224, 3), np.uint8)).to(device)
    chunks = (1, 2, 4, 8, 16, 25) if device == "cpu" else (4, 8, 16, 25, 50)
    title = "EfficientNet-Lite0, 224 x 224, 50 points"
    return Subject("image", title, classifier.model, inputs, black, [285], 50, chunks)


def batch_subject(device: str) -> Subject:
    one = image_subject(device)
    names = ("cat", "coffee", "rocket", "astronaut") * 2
    classifier = igw.demo.image_classifier(device)
    inputs = torch.cat([classifier.preprocess(igw.demo.image(name)) for name in names]).to(device)
    with torch.no_grad():
        targets = one.model(inputs).argmax(1).tolist()
    return replace(
        one,
        name="batch",
        title="EfficientNet-Lite0, 8 photos, 16 points",
        inputs=inputs,
        baselines=one.baselines.expand_as(inputs),
        targets=targets,
        n_steps=16,
        chunks=(1, 4, 8, 16, 32) if device == "cpu" else (8, 16, 32, 64, 128),
        beside_captum=device != "cpu",
    )


def mlp_subject(device: str) -> Subject:
    torch.manual_seed(0)
    sizes = (64, 256, 128, 64, 10)
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())][:-1]
    model = nn.Sequential(*layers).eval().to(device)
    inputs = torch.randn(1, 64, device=device)
    title = "MLP 64-256-128-64-10, 50 points"
    return Subject("mlp", title, model, inputs, torch.zeros_like(inputs), [3], 50, (1, 4, 16, 25, 50))


SUBJECTS: dict[str, Callable[[str], Subject]] = {
    "image": image_subject,
    "batch": batch_subject,
    "mlp": mlp_subject,
}


# ---------------------------------------------------------------- time


def synchronise(subject: Subject) -> None:
    if subject.inputs.is_cuda:
        torch.cuda.synchronize()


def timer(
    contestant: Contestant, subject: Subject, *, least: float = 0.1, first_counts: bool = False
) -> Callable[[], float]:
    """A function that returns the seconds of one call; of many calls in a row where one is too short to time.

    A first call, made here, says how many make up `least` seconds, and is a warm-up unless it `first_counts`.
    """
    once = _time(contestant, subject, 1)
    calls = max(1, round(least / once))
    known = [once] if first_counts and calls == 1 else []

    def run() -> float:
        return known.pop() if known else _time(contestant, subject, calls)

    return run


def _time(contestant: Contestant, subject: Subject, calls: int) -> float:
    gc.collect()
    synchronise(subject)
    begin = time.perf_counter()
    for _ in range(calls):
        contestant.run(subject)
    synchronise(subject)
    return (time.perf_counter() - begin) / calls


def check(subject: Subject) -> None:
    """Timing two different things would say nothing."""
    chunk = max(subject.chunks[len(subject.chunks) // 2], len(subject.inputs))
    ours, captums = (Contestant(side, chunk).run(subject) for side in (OURS, CAPTUM))
    difference = float((ours - captums).abs().max() / captums.abs().max())
    if difference > 0.05:  # CUDA rounds convolutions to TF32
        raise SystemExit(f"{subject.title}: the two attributions differ by {difference:.1e} of the largest value.")


def best_chunk(side: str, subject: Subject, rounds: int) -> tuple[Contestant, Row]:
    contestants = {str(chunk): Contestant(side, chunk) for chunk in subject.chunks}
    times = take_turns({at: timer(c, subject, first_counts=True) for at, c in contestants.items()}, rounds)
    smallest = {at: min(values) for at, values in times.items()}
    best = contestants[min(smallest, key=smallest.__getitem__)]
    told = ", ".join(f"{at}: {short(value)}" for at, value in smallest.items())
    return best, Row(f"chunks tried, {'attribute' if side == OURS else 'Captum'}", told)


def race(subject: Subject, rounds: int, search: int) -> list[Row]:
    ours = Contestant(OURS, None)
    fixed, fixed_row = best_chunk(OURS, subject, search)
    rows, contestants = [fixed_row], [ours, fixed]
    if subject.beside_captum:
        best, best_row = best_chunk(CAPTUM, subject, search)
        default = Contestant(CAPTUM, None)
        rows.append(best_row)
        contestants += [best, default]
    runs = {c.name: timer(c, subject) for c in contestants}
    times = take_turns(runs, rounds)
    rows += [seconds(f"time, {name}", values) for name, values in times.items()]
    rows.append(ratio(f"time, {ours.name} / {fixed.name}", times[ours.name], times[fixed.name], 1.2))
    if subject.beside_captum:
        goals = {best.name: 1.0, default.name: 0.35} if subject.name == "image" else {}
        for name in (best.name, default.name):
            rows.append(ratio(f"time, {ours.name} / {name}", times[ours.name], times[name], goals.get(name)))
    return rows


# ---------------------------------------------------------------- memory


def resident(field: str) -> int:
    """A figure of /proc/self/status in bytes: VmRSS is what is resident, VmHWM the most that ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"No {field} in /proc/self/status: memory on the CPU is measured on Linux only.")


def peak_memory(contestant: Contestant, subject: Subject) -> int:
    """Bytes beyond the model's own, in this process, which should have done nothing else before."""
    with torch.no_grad():
        subject.model(subject.inputs[:1])
    gc.collect()
    if subject.inputs.is_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        contestant.run(subject)
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # the most that ever was = what is resident now
    before = resident("VmRSS")
    contestant.run(subject)
    return resident("VmHWM") - before


def in_own_process(contestant: Contestant, subject: Subject) -> float:
    command = [sys.executable, __file__, "--device", subject.inputs.device.type, "--subject", subject.name]
    command += ["--memory-of", contestant.side, "--chunk", str(contestant.chunk or 0)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def weigh(subject: Subject, rounds: int) -> list[Row]:
    ours, default = Contestant(OURS, None), Contestant(CAPTUM, None)
    sizes = take_turns({c.name: lambda c=c: in_own_process(c, subject) for c in (ours, default)}, rounds)
    rows = [Row(f"peak memory, {name}", f"{median(values) / 2**20:.0f} MiB") for name, values in sizes.items()]
    rows.append(ratio(f"peak memory, {ours.name} / {default.name}", sizes[ours.name], sizes[default.name], 0.35))
    return rows


# ---------------------------------------------------------------- command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    parser.add_argument("--search", type=int, default=2, help="turns of each fixed chunk, to find the best")
    parser.add_argument("--quick", action="store_true", help="two rounds: does it run at all?")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--subject", choices=list(SUBJECTS), nargs="*", default=list(SUBJECTS))
    parser.add_argument("--memory-of", choices=[OURS, CAPTUM], help=argparse.SUPPRESS)
    parser.add_argument("--chunk", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    rounds, search = (2, 1) if asked.quick else (asked.rounds, asked.search)
    warnings.filterwarnings("ignore", message="Internal batch size")

    if asked.memory_of:
        subject = SUBJECTS[asked.subject[0]](asked.device)
        print(peak_memory(Contestant(asked.memory_of, asked.chunk or None), subject))
        return
    for name in asked.subject:
        subject = SUBJECTS[name](asked.device)
        check(subject)
        table(f"Time: {subject.title}, {asked.device}", race(subject, rounds, search))
        if name == "image":
            table(f"Memory: {subject.title}, {asked.device}", weigh(subject, 1 if asked.quick else 3))


if __name__ == "__main__":
    main()
