"""How many gradient evaluations, and how long, each method needs for an attribution of a given accuracy.

Error is the relative L2 error of the attribution, against the exact one where the network is linear in pieces and small
(`ig_widgets.exact`), else against a dense midpoint sum, which is kept in benchmarks/.cache. What counts is the smallest
number of points from which on all larger ones that were tried are within the error; they grow by a half and by a third
in turn, and end with the third in a row within 1%. Captum's points and weights are written out here, and compared with
what Captum returns before anything is counted; its Riemann sums begin at two points. A secant cell counts as one
evaluation, though it takes a forward pass more.

Time is that of the first input at the number of points that the median input needs: the median of three, in turns; what
takes over five seconds is timed once. Captum has its best internal_batch_size, and one time for all Riemann sums.

    python benchmarks/accuracy.py [--quick] [--networks NAME ...] [--part accuracy|calibration] [--device cpu|cuda]
        [--inputs 1|2|3]
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import captum.attr
import numpy as np
import torch
from _networks import NETWORKS, SMALL, Case, Network
from _report import machine, short, take_turns
from torch import Tensor

import ig_widgets as igw
from ig_widgets.exact import piecewise_linear

# Twice as many points are in it for each: `Sums` counts on that.
GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
LEVELS = (0.1, 0.05, 0.02, 0.01)
CAPTUM = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
DEFAULT, SECANT, AUTO = "Captum, gausslegendre (its default)", "ours, secant", "ours, auto"
CACHE = Path(__file__).parent / ".cache"


# ---------------------------------------------------------------- sums of gradients, by nothing but autograd


def weighted_sums(case: Case, alphas: np.ndarray, weights: np.ndarray) -> Tensor:
    """(x - x') times the sums of gradients at `alphas` (n,), by `weights` (k, n): (k, ...) in float64."""
    difference = case.inputs - case.baselines
    total = torch.zeros(len(weights), *case.inputs.shape[1:], dtype=torch.float64, device=case.inputs.device)
    rows = 8 if case.inputs.numel() > 10_000 and case.inputs.device.type == "cpu" else 64
    at = torch.from_numpy(alphas).to(case.inputs).view(-1, *[1] * (case.inputs.dim() - 1))
    by = torch.from_numpy(weights).to(total)
    for part, weight in zip(at.split(rows), by.split(rows, dim=1), strict=True):
        points = (case.baselines + part * difference).requires_grad_()
        output = case.forward(points)
        chosen = output if case.target is None else output[:, case.target]
        (gradients,) = torch.autograd.grad(chosen.sum(), points)
        total += torch.tensordot(weight, gradients.double(), dims=1)
    return total * difference.double()


def gauss(case: Case, n: int) -> Tensor:
    x, w = np.polynomial.legendre.leggauss(n)
    return weighted_sums(case, (1 + x) / 2, w[None] / 2)[0]


class Sums:
    """The attributions by Captum's rules. Riemann sums share points, and none is evaluated twice."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._known: dict[tuple[str, int], Tensor] = {}
        at_baseline, at_input = weighted_sums(case, np.array([0.0, 1.0]), np.eye(2))
        self._change = at_input - at_baseline

    def by(self, rule: str, n: int) -> Tensor:
        """As Captum's, also where its weights add up to (n - 1) / n, those of the trapezoid."""
        if rule == "gausslegendre":
            return gauss(self.case, n)
        if rule == "riemann_right":
            return self.by("riemann_left", n) + self._change / n
        if rule == "riemann_trapezoid":
            return (self.by("riemann_left", n - 1) + self._change / (2 * (n - 1))) * ((n - 1) / n)
        if (rule, n) not in self._known:
            self._known[rule, n] = self._middle(n) if rule == "riemann_middle" else self._left(n)
        return self._known[rule, n]

    def _left(self, n: int) -> Tensor:
        if n % 2 == 0:
            return (self.by("riemann_left", n // 2) + self.by("riemann_middle", n // 2)) / 2
        return weighted_sums(self.case, np.arange(n) / n, np.full((1, n), 1 / n))[0]

    def _middle(self, n: int) -> Tensor:
        index = np.arange(n)
        known = 0.0
        if n % 3 == 0:  # every third point is one of those of a third as many
            index, known = index[index % 3 != 1], self.by("riemann_middle", n // 3) / 3
        return known + weighted_sums(self.case, (index + 0.5) / n, np.full((1, len(index)), 1 / n))[0]


# ---------------------------------------------------------------- what is true


def reference(network: Network, case: Case) -> tuple[Tensor, float]:
    """The attribution (...) that others are measured by, and its own relative error (estimated where it is dense)."""
    if network.exact:
        exact = piecewise_linear(case.forward, case.inputs, baselines=case.baselines, target=case.target)
        assert isinstance(exact.attributions, Tensor)
        return exact.attributions[0], float(exact.residual)
    file = CACHE / f"{fingerprint(case, network.dense)}.pt"
    if not file.exists():
        known = dense(network, case)
        CACHE.mkdir(exist_ok=True)
        torch.save(known, file)
    attributions, error = torch.load(file, map_location=case.inputs.device, weights_only=True)
    return attributions, error


def dense(network: Network, case: Case) -> tuple[Tensor, float]:
    """The midpoint sum, and its error: estimated from its quarters where gradients jump, else by Gauss-Legendre."""
    n = network.dense
    every_fourth = np.tile(np.eye(4) * 4 / n, n // 4)
    quarters = weighted_sums(case, (np.arange(n) + 0.5) / n, every_fourth)
    sums = quarters.mean(0)
    if not network.kinked:
        return sums, distance(gauss(case, 256), sums)
    # What changes steadily along the path cancels here, as it does in the sum itself. A jump in a cell of four points
    # is left, every other time, as 4/n of its height; the sum itself is off by 1/sqrt(12) of height/n.
    left = quarters[0] - quarters[1] - quarters[2] + quarters[3]
    return sums, float(left.norm() / sums.norm()) / 96**0.5


def fingerprint(case: Case, n: int) -> str:
    digest = hashlib.sha256(f"{n} {case.target}".encode())
    for tensor in (*case.forward.state_dict().values(), case.inputs, case.baselines):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def distance(ours: Tensor, true: Tensor) -> float:
    """The relative L2 error."""
    return float(torch.linalg.vector_norm(ours.double() - true) / torch.linalg.vector_norm(true))


# ---------------------------------------------------------------- errors by number of points


Curve = dict[int, float]


def curves(network: Network, case: Case, true: Tensor) -> dict[str, Curve]:
    """For each method the error at each number of points that was tried."""
    sums = Sums(case)

    def follow(points: Sequence[int], at: Callable[[int], Tensor]) -> Curve:
        curve: Curve = {}
        for n in points:
            curve[n] = distance(at(n), true)
            if settled(curve):
                break
        return curve

    grid = [n for n in GRID if n <= network.most]
    found = {titled(rule): follow(points(rule, grid), partial(sums.by, rule)) for rule in CAPTUM}
    found[SECANT] = follow(grid, lambda n: mapped(ours(case, method="secant", n_steps=n)))
    return found


def points(rule: str, grid: Sequence[int]) -> Sequence[int]:
    """The grid, as far as Captum takes it; for the trapezoid as many intervals."""
    if rule == "gausslegendre":
        return grid
    return [n + (rule == "riemann_trapezoid") for n in grid if n > 1]


def titled(rule: str) -> str:
    return DEFAULT if rule == "gausslegendre" else f"Captum, {rule.removeprefix('riemann_')}"


def settled(curve: Curve) -> bool:
    """Nothing is to be learnt from more points."""
    last = list(curve.values())[-3:]
    return len(last) == 3 and max(last) <= LEVELS[-1] / 1.05


def needed(curve: Curve, level: float) -> int | None:
    """The smallest number of points from which on all that were tried are within `level`."""
    best = None
    for n in sorted(curve, reverse=True):
        if curve[n] > level:
            break
        best = n
    return best


def middle_of(counts: Sequence[int | None]) -> int | None:
    """The median, None being more than any."""
    ordered = sorted(counts, key=lambda n: float("inf") if n is None else n)
    return ordered[len(ordered) // 2]


# ---------------------------------------------------------------- the two sides


def ours(case: Case, **options: object) -> igw.Attribution:
    return igw.attribute(case.forward, case.inputs, baselines=case.baselines, target=case.target, **options)


def mapped(result: igw.Attribution) -> Tensor:
    assert isinstance(result.attributions, Tensor)
    return result.attributions[0]


def captums(case: Case, rule: str, n: int, chunk: int | None) -> Tensor:
    explainer = captum.attr.IntegratedGradients(case.forward)
    attributions: Tensor = explainer.attribute(
        case.inputs, case.baselines, case.target, n_steps=n, method=rule, internal_batch_size=chunk
    )
    return attributions[0]


def check(case: Case, chunk: int | None) -> None:
    """What is written out here is what Captum computes; rounding may flip a ReLU at its kink."""
    sums = Sums(case)
    for rule in CAPTUM:
        error = distance(captums(case, rule, 12, chunk), sums.by(rule, 12))
        if error > (1e-5 if case.inputs.dtype == torch.float64 else 5e-3):
            raise SystemExit(f"{case.name}, {rule}, 12 points: Captum's attribution differs by {error:.1e}.")


@dataclass(frozen=True)
class Stop:
    """Where "auto" stopped by itself."""

    case: str
    tol: float
    evaluations: int
    error: float
    estimate: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.estimate is None or not self.error else self.estimate / self.error


def stops(network: Network, truths: Sequence[Tensor]) -> list[Stop]:
    found = []
    for tol in LEVELS:
        for case, true in zip(network.cases, truths, strict=True):
            result = ours(case, method="auto", n_steps=None, tol=tol)
            estimate = None if result.error_estimate is None else float(result.error_estimate[0])
            found.append(Stop(case.name, tol, result.evaluations, distance(mapped(result), true), estimate))
    return found


# ---------------------------------------------------------------- time


def clock(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call; of several in a row where one is too short to time."""
    calls, begin = 0, time.perf_counter()
    while not calls or time.perf_counter() - begin < 0.05:
        run()
        calls += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - begin) / calls


def timer(run: Callable[[], object], device: torch.device) -> Callable[[], float]:
    """Measures anew at each call, but once only what takes over 5 seconds."""
    known: list[float] = []

    def measure() -> float:
        if not known or known[-1] < 5:
            known.append(clock(run, device))
        return known[-1]

    return measure


def best_chunk(network: Network) -> int | None:
    case = network.cases[0]
    runs = {
        chunk: clock(lambda chunk=chunk: captums(case, "riemann_middle", 32, chunk), case.inputs.device)
        for chunk in network.chunks
        for _ in range(2)  # the second counts
    }
    return min(runs, key=runs.__getitem__)


def times(
    network: Network,
    counts: dict[tuple[str, float], int | None],
    chunk: int | None,
    rounds: int,
) -> dict[tuple[str, float], float]:
    """Seconds for each method and level, all in turns."""
    case = network.cases[0]

    def run_of(method: str, level: float, n: int) -> tuple[str, Callable[[], object]]:
        if method == SECANT:
            return f"{method} {n}", lambda: ours(case, method="secant", n_steps=n)
        if method == AUTO:
            return f"{method} {level}", lambda: ours(case, method="auto", n_steps=None, tol=level)
        rule = "gausslegendre" if method == DEFAULT else "riemann_middle"
        return f"captum, {rule}, {n}", lambda: captums(case, rule, n, chunk)

    keys, runs = {}, {}
    asked = {key: n for key, n in counts.items() if n is not None}
    asked |= {(AUTO, level): 0 for level in LEVELS}
    for (method, level), n in asked.items():
        name, run = run_of(method, level, n)
        keys[method, level] = name
        runs[name] = timer(run, case.inputs.device)
    if case.inputs.numel() < 10_000:  # where calls are short, the first takes longer
        for run in runs.values():
            run()
    measured = take_turns(runs, rounds)
    return {key: statistics.median(measured[name]) for key, name in keys.items()}


# ---------------------------------------------------------------- tables


def matrix(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> None:
    """Print as markdown, with the machine."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print("\n" + "\n\n".join([*notes, machine()]) + "\n", flush=True)


def percent(value: float) -> str:
    return f"{100 * value:.2g} %"


def spread(counts: Sequence[int | None]) -> str:
    """The median and the range of some numbers of points."""
    told = ["more" if n is None else str(n) for n in sorted(counts, key=lambda n: float("inf") if n is None else n)]
    middling = told[len(told) // 2]
    return middling if told[0] == told[-1] else f"{middling} ({told[0]} to {told[-1]})"


def accuracy(network: Network, truths: Sequence[Tensor], found: Sequence[Stop], rounds: int) -> None:
    case = network.cases[0]
    chunk = best_chunk(network)
    check(case, chunk)
    by_case = [curves(network, c, true) for c, true in zip(network.cases, truths, strict=True)]
    order = [titled(rule) for rule in CAPTUM] + [SECANT]
    counts = {(m, level): [needed(c[m], level) for c in by_case] for m in order for level in LEVELS}
    medians = {key: middle_of(values) for key, values in counts.items()}
    taken = times(network, medians, chunk, rounds)

    def cell(method: str, level: float) -> str:
        time_of = taken.get((method, level))
        return spread(counts[method, level]) + ("" if time_of is None else f", {short(time_of)}")

    rows = [[method, *(cell(method, level) for level in LEVELS)] for method in order]
    notes = [
        f"Gradient evaluations (median and range of {len(by_case)} inputs), and time of one attribution. "
        f'"more": not within {network.most}. Captum at internal_batch_size={chunk}.'
    ]
    cells = []
    for level in LEVELS:
        here = [stop for stop in found if stop.tol == level]
        errors = percent(max(stop.error for stop in here))
        cells.append(f"{spread([s.evaluations for s in here])}, {short(taken[AUTO, level])}; error {errors}")
    rows.append([AUTO, *cells])
    notes.append(f"{AUTO}: with tol at the head of the column, and the largest true error of all inputs.")
    for method in (SECANT, AUTO):
        gains = [
            ""
            if None in (base := taken.get((DEFAULT, level)), own := taken.get((method, level)))
            else f"{base / own:.1f}x"
            for level in LEVELS
        ]
        rows.append([f"time, Captum's default / {method}", *gains])
    matrix(f"Accuracy: {network.title}", ["relative L2 error", *map(percent, LEVELS)], rows, *notes)


def calibration(network: Network, found: Sequence[Stop]) -> None:
    rows = [
        [
            stop.case,
            percent(stop.tol),
            str(stop.evaluations),
            percent(stop.error),
            "none" if stop.estimate is None else percent(stop.estimate),
            "" if stop.ratio is None else f"{stop.ratio:.2g}",
        ]
        for stop in found
    ]
    head = ["input", "tol", "evaluations", "true error", "estimate", "estimate / true"]
    matrix(f"Calibration: {network.title}", head, rows)


def summary(kinked: Sequence[Stop], smooth: Sequence[Stop]) -> None:
    rows = []
    for what, found in (("kinked", kinked), ("smooth", smooth)):
        ratios = [stop.ratio for stop in found if stop.ratio is not None]
        if not ratios:
            continue
        within = sum(0.5 <= ratio <= 2 for ratio in ratios)
        kept = sum(stop.error <= stop.tol for stop in found)
        ranges = f"{min(ratios):.2g}, {statistics.median(ratios):.2g}, {max(ratios):.2g}"
        rows.append(
            [what, f"{kept} of {len(found)}", f"{within} of {len(ratios)} ({within / len(ratios):.0%})", ranges]
        )
    head = [
        "networks",
        "true error within tol",
        "within a factor of 2 of the estimate",
        "estimate / true: least, median, most",
    ]
    matrix("Calibration of method='auto', all inputs and tolerances", head, rows)


# ---------------------------------------------------------------- command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one input, few points, one round: does it run at all?")
    parser.add_argument("--inputs", type=int, default=3, choices=[1, 2, 3], help="how many of each network")
    parser.add_argument("--networks", choices=list(NETWORKS), nargs="*", default=list(NETWORKS))
    parser.add_argument("--part", choices=["accuracy", "calibration"], help="default: both")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", message="Internal batch size")

    threads = torch.get_num_threads()
    kinked: list[Stop] = []
    smooth: list[Stop] = []
    for name in asked.networks:
        torch.set_num_threads(1 if name in SMALL else threads)
        count = 1 if asked.quick else asked.inputs
        # Estimates scatter, so that they are compared with the truth on more inputs where that takes no time.
        network = NETWORKS[name](asked.device, 10 if name in SMALL and not asked.quick else count)
        if asked.quick:
            network = replace(network, most=32, dense=128)
        known = [reference(network, case) for case in network.cases]
        truths, worst = [true for true, _ in known], max(error for _, error in known)
        how = "exact, completeness" if network.exact else f"midpoint, {network.dense} points, off by an estimated"
        what = f"{how} {worst:.1e}" + (" off" if network.exact else "")
        network = replace(network, title=f"{network.title}; reference: {what}")
        found = stops(network, truths)
        (kinked if network.kinked else smooth).extend(found)
        if asked.part != "calibration":
            few = replace(network, cases=network.cases[:count])
            names = {case.name for case in few.cases}
            accuracy(few, truths[:count], [stop for stop in found if stop.case in names], 1 if asked.quick else 3)
        if asked.part != "accuracy":
            calibration(network, found)
    if asked.part != "accuracy" and (kinked or smooth):
        summary(kinked, smooth)


if __name__ == "__main__":
    main()
