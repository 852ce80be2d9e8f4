"""What the benchmarks share: rounds that take turns, medians, ratios, and a table with the machine under it."""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch


@dataclass(frozen=True)
class Row:
    """One line: what was measured, the figure, and the goal it is held to (at most; None: it is only reported)."""

    what: str
    figure: str
    value: float | None = None
    goal: float | None = None
    unit: str = ""

    def cells(self) -> list[str]:
        if self.value is None or self.goal is None:
            return [self.what, self.figure, "", ""]
        verdict = "reached" if self.value <= self.goal else "**missed**"
        return [self.what, self.figure, f"at most {self.goal:g}{self.unit}", verdict]


def table(title: str, rows: Sequence[Row], also: str = "") -> None:
    """Print as markdown, with the machine, and what `also` says of it."""
    print(f"\n### {title}\n\n| what | figure | goal | |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    print(f"\n{machine()}{also and f' {also}'}\n", flush=True)


def take_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each returns, `rounds` times, in turns. What the machine does meanwhile hits all alike.

    The order is another one in each round: whoever comes after one that took gigabytes finds memory in disorder.
    """
    results: dict[str, list[float]] = {name: [] for name in contestants}
    shuffle = random.Random(0).sample
    for _ in range(rounds):
        for name in shuffle(list(contestants), len(contestants)):
            results[name].append(contestants[name]())
    return results


def ratio(what: str, ours: Sequence[float], theirs: Sequence[float], goal: float | None = None) -> Row:
    """The ratio of the medians, held to the goal; the ratios within each round; and that of the smallest of each.

    Where the last is far from the first, something else was running.
    """
    of_medians = median(ours) / median(theirs)
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    within = f"in pairs {median(pairs):.2f}x, {min(pairs):.2f} to {max(pairs):.2f}"
    text = f"{of_medians:.2f}x ({within}; of the smallest {min(ours) / min(theirs):.2f}x)"
    return Row(what, text, of_medians, goal, "x")


def seconds(what: str, values: Sequence[float], goal: float | None = None) -> Row:
    """Median, smallest and largest of some times; the goal, in milliseconds, is for the median."""
    text = f"{short(median(values))} ({short(min(values))} to {short(max(values))}, {len(values)} times)"
    return Row(what, text, 1000 * median(values), goal, " ms")


def short(value: float) -> str:
    """Seconds, in the unit that suits."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{1000 * value:.0f} ms" if value >= 0.1 else f"{1000 * value:.1f} ms"


def machine() -> str:
    """The line that says what a figure was measured on."""
    parts = [_processor(), f"{len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} torch threads"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    parts += [f"{name} {metadata.version(name)}" for name in ("torch", "captum") if find_spec(name)]
    return f"Machine: {'; '.join(parts)}; Python {platform.python_version()}; others kept {_others():.1f} cores busy."


def _busy() -> tuple[float, float, float]:
    """Seconds on the clock, of processor time by all, and by this process and its children that have ended."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    everyone = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), everyone, sum(os.times()[:4])


def _others() -> float:
    """Cores that others used on average since the start. Figures taken while this is much over 0 say little."""
    clock, everyone, own = (now - then for now, then in zip(_busy(), _AT_START, strict=True))
    return max(0.0, (everyone - own) / clock)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_AT_START = _busy()
