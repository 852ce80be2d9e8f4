"""All that a GPU should show, in one command of at most eight minutes: nothing is downloaded, nothing built.

tests: those marked `cuda`. parity: maps of small networks there beside those of the CPU, by every rule. recurrent: in
evaluation mode, where cuDNN has no backward pass. resnet, vit: a whole map of 64 samples for networks of the size of
ResNet-50 and ViT-B (random weights): time and peak memory, what `chunk_size=None` chooses, and Captum at its best
`internal_batch_size`. explorer: from the construction of an ImageExplorer to its first overlay, without a browser.

Each part has a share of the time, and leaves out what does not fit (and says so). A part that fails prints its error,
the others go on, and the exit code is 1.

    python benchmarks/cuda.py [--device cuda|cpu] [--quick] [--part tests parity ...] [--seconds 470]
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import platform
import re
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from _front_end import FrontEnd, Probe
from _networks import ResNet, Transformer, VisionTransformer, ready
from _report import Row, ratio, seconds, short, table, take_turns
from PIL import Image
from torch import Tensor, nn

import ig_widgets as igw

ROOT = Path(__file__).parents[1]
N_STEPS = 64
# Of a map's largest value: how far it may be from the CPU's.
WIDE_GOAL, NARROW_GOAL = 1e-9, 1e-4
CHUNK_GOAL, FIRST_GOAL_MS = 1.05, 300.0
POINT_RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid", "fejer")


@dataclass(frozen=True)
class Asked:
    """The device, and until when a part may go on."""

    device: str
    quick: bool
    until: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()


# ---------------------------------------------------------------- the machine


def about(device: str) -> str:
    """The device, and what drives it."""
    parts = [f"torch {torch.__version__}", f"Python {platform.python_version()}"]
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        parts = [f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB", f"driver {_driver()}", *parts]
        parts += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]
    return "; ".join([*parts, f"{os.cpu_count()} cores", f"{torch.get_num_threads()} torch threads"])


def _driver() -> str:
    try:
        told = Path("/proc/driver/nvidia/version").read_text()
        return found[0] if (found := re.search(r"\d+\.\d+(\.\d+)?", told)) else "?"
    except OSError:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.split()[0]
        except (OSError, subprocess.SubprocessError, IndexError):
            return "?"


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


# ---------------------------------------------------------------- the tests


def tests(asked: Asked) -> list[Row]:
    """Those marked `cuda`; a part of them where others fail to load is still run."""
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text()]
    if asked.quick:
        files = files[:1]
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-q", "-rfE", "-p", "no:cacheprovider", *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    limit = max(5.0, asked.left)
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=limit)
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (passed|failed|skipped|errors?)", run.stdout)}
    if run.returncode or not (counts.get("passed") or asked.device == "cpu"):
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")
    told = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    return [Row(f"tests marked cuda, {len(files)} files", told, counts.get("failed", 0), 0, " failed")]


# ---------------------------------------------------------------- parity


def _mlp() -> nn.Module:
    return nn.Sequential(*(m for a, b in pairwise((64, 128, 64, 10)) for m in (nn.Linear(a, b), nn.ReLU())))[:-1]


def _cnn() -> nn.Module:
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3)]
    return nn.Sequential(*layers, nn.GELU(), nn.Flatten(), nn.Linear(64, 10))


class Recurrent(nn.Module):
    """The last state of a recurrent network, and a linear layer."""

    def __init__(self, kind: type[nn.RNNBase], *, both_ways: bool = False) -> None:
        super().__init__()
        self.cells = kind(6, 16, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(16 * (1 + both_ways), 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


@dataclass(frozen=True)
class Subject:
    """A network, and of what shape its inputs are."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    # Where it has kinks, one rounding more or less may put a sample on their other side.
    is_smooth: bool


SUBJECTS = {
    "MLP (ReLU)": Subject(_mlp, (64,), False),
    "CNN (batch norm, ReLU, max pooling)": Subject(_cnn, (1, 8, 8), False),
    "transformer (GELU, attention)": Subject(Transformer, (1, 8, 8), True),
}
RECURRENT = {
    "LSTM": Subject(lambda: Recurrent(nn.LSTM), (12, 6), True),
    "GRU, both ways": Subject(lambda: Recurrent(nn.GRU, both_ways=True), (12, 6), True),
    "RNN (tanh)": Subject(lambda: Recurrent(nn.RNN), (12, 6), True),
}
RULES: dict[str, list[dict[str, object]]] = {
    "points": [{"method": method, "n_steps": 32} for method in POINT_RULES],
    "cells": [{"method": "secant", "n_steps": 32}],
    "to a tolerance": [{"tol": 0.02}],
}


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 are taken in float32, not in TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference of two maps, over the largest value of the second."""
    ours, theirs = ours.detach().cpu().double(), theirs.detach().cpu().double()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def apart(subject: Subject, device: str, dtype: torch.dtype, rules: Sequence[dict[str, object]]) -> tuple[float, str]:
    """How far the map on the device is from the CPU's at the most, and by which rule."""
    torch.manual_seed(0)
    model, x = subject.build().eval().to(dtype), torch.randn(3, *subject.shape, dtype=torch.float64).to(dtype)
    here = [igw.attribute(model, x, target=[0, 2, 1], **rule) for rule in rules]  # type: ignore[arg-type]
    model, there = model.to(device), x.to(device)
    worst = 0.0, ""
    for rule, expected in zip(rules, here, strict=True):
        found = igw.attribute(model, there, target=[0, 2, 1], **rule)  # type: ignore[arg-type]
        if found.attributions.device.type != device:  # type: ignore[union-attr]
            raise RuntimeError(f"the map is on {found.attributions.device}")  # type: ignore[union-attr]
        off = difference(found.attributions, expected.attributions)  # type: ignore[arg-type]
        told = f"{found.method}{f', {found.evaluations} evaluations' if 'tol' in rule else ''}"
        worst = max(worst, (off, told))
    return worst


def compared(subjects: dict[str, Subject], asked: Asked) -> list[Row]:
    rows = []
    kinds = ("points", "cells") if asked.quick else tuple(RULES)
    for name, subject in subjects.items():
        for dtype in (torch.float64, torch.float32):
            for kind in kinds:
                if asked.left < 0:
                    return [*rows, Row("further networks and rules", "left out: no time")]
                with full_float32():
                    off, rule = apart(subject, asked.device, dtype, RULES[kind][:2] if asked.quick else RULES[kind])
                goal = WIDE_GOAL if dtype == torch.float64 else NARROW_GOAL if subject.is_smooth else None
                if kind == "to a tolerance":
                    goal = None  # rounding may decide where else to look
                what = f"{name}, {str(dtype).removeprefix('torch.')}, {kind}"
                rows.append(Row(what, f"{off:.1e} ({rule})", off, goal))
    return rows


def parity(asked: Asked) -> list[Row]:
    """Small networks on the device and on the CPU."""
    return compared(SUBJECTS, asked)


def recurrent(asked: Asked) -> list[Row]:
    """The same of recurrent networks in evaluation mode; the session's cuDNN stays as it was set."""
    before = torch.backends.cudnn.enabled
    rows = compared(RECURRENT, asked)
    if torch.backends.cudnn.enabled != before:
        raise RuntimeError("cuDNN is not as the session has set it")
    return rows


# ---------------------------------------------------------------- whole maps


@dataclass(frozen=True)
class Large:
    """A network as large as those that people have, a picture, and the chunks that are tried."""

    title: str
    model: nn.Module
    inputs: Tensor
    n_steps: int
    chunks: tuple[int, ...]

    @property
    def device(self) -> str:
        return self.inputs.device.type

    def ours(
        self,
        chunk_size: int | None,
        method: str = "gausslegendre",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        result = igw.attribute(
            self.model,
            self.inputs,
            target=1,
            method=method,
            n_steps=self.n_steps,
            chunk_size=chunk_size,
            on_progress=on_progress,
        )
        assert isinstance(result.attributions, Tensor)
        return result.attributions

    def captums(self, chunk: int) -> Tensor:
        from captum.attr import IntegratedGradients

        found: Tensor = IntegratedGradients(self.model).attribute(
            self.inputs, target=1, n_steps=self.n_steps, method="gausslegendre", internal_batch_size=chunk
        )
        return found

    def chosen(self, method: str) -> str:
        """The sizes of the chunks that `chunk_size=None` takes now."""
        done = [0]
        self.ours(None, method, on_progress=lambda rows, total: done.append(rows))
        return ", ".join(str(after - before) for before, after in pairwise(done))

    def timed(self, run: Callable[[], object]) -> float:
        synchronise(self.device)
        begin = time.perf_counter()
        run()
        synchronise(self.device)
        return time.perf_counter() - begin

    def peak(self, run: Callable[[], object]) -> float | None:
        """Bytes beyond what there was before; None where torch does not count them."""
        if self.device != "cuda":
            return None
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before)


def resnet(asked: Asked) -> list[Row]:
    """ResNet-50."""
    torch.manual_seed(0)
    network, size = (ResNet((1, 1), 16), 64) if asked.quick else (ResNet(), 224)
    return whole_map("ResNet-50", ready(network, asked.device, size), size, asked)


def vit(asked: Asked) -> list[Row]:
    """ViT-B/16."""
    torch.manual_seed(0)
    network, size = (
        VisionTransformer(64, 16, 64, 4, 2) if asked.quick else VisionTransformer(),
        64 if asked.quick else 224,
    )
    return whole_map("ViT-B/16", ready(network, asked.device, size), size, asked)


def best(chunks: Sequence[int], run: Callable[[int], object], large: Large, asked: Asked) -> tuple[int, Row]:
    """The chunk that took least: of each the shorter of two times, after the first, which warms up."""
    times: dict[int, float] = {}
    for chunk in chunks:
        if times and asked.left < 3 * max(times.values()):
            break
        try:
            run(chunk)
            times[chunk] = min(large.timed(lambda chunk=chunk: run(chunk)) for _ in range(1 if asked.quick else 2))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    if not times:
        raise RuntimeError(f"no chunk of {list(chunks)} fits")
    told = ", ".join(f"{chunk}: {short(value)}" for chunk, value in times.items())
    return min(times, key=times.__getitem__), Row("", told)


def whole_map(name: str, model: nn.Module, size: int, asked: Asked) -> list[Row]:
    n_steps = 8 if asked.quick else N_STEPS
    chunks = (4, 8) if asked.quick else (8, 16, 32, 64)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1)).to(asked.device)
    large = Large(name, model, x, n_steps, chunks)
    sizes: list[str] = []
    first = large.timed(lambda: sizes.append(large.chosen("gausslegendre")))
    sizes += [large.chosen("gausslegendre"), large.chosen("secant"), large.chosen("secant")]
    fixed, tried = best(chunks, large.ours, large, asked)
    runs: dict[str, Callable[[], object]] = {
        "attribute": lambda: large.ours(None),
        f"attribute, chunk_size={fixed}": lambda: large.ours(fixed),
        "secant": lambda: large.ours(None, "secant"),
    }
    rows = [
        Row(f"chunks of chunk_size=None, of {n_steps} rows: the first run; the next", "; ".join(sizes[:2])),
        Row("the same, cells", "; ".join(sizes[2:])),
        Row("time, attribute, the first of all", short(first)),
        Row("chunks tried, attribute", tried.figure),
    ]
    try:
        captums, captum_tried = best(chunks, large.captums, large, asked)
    except ImportError:
        captums = None
        rows.append(Row("Captum", "left out: not installed"))
    else:
        runs[f"Captum, internal_batch_size={captums}"] = lambda: large.captums(captums)
        rows.append(Row("chunks tried, Captum", captum_tried.figure))
        off = difference(large.ours(captums), large.captums(captums))
        rows.append(Row("largest difference to Captum's map, over its largest value", f"{off:.1e}"))
    longest = max(large.timed(run) for run in runs.values())
    rounds = max(1, min(2 if asked.quick else 9, int(asked.left / (2 * longest * len(runs)))))
    times = take_turns({at: lambda run=run: large.timed(run) for at, run in runs.items()}, rounds)
    rows += [seconds(f"time, {at}", values) for at, values in times.items()]
    names = list(times)
    rows.append(ratio(f"time, attribute / {names[1]}", times["attribute"], times[names[1]], CHUNK_GOAL))
    if captums is not None:
        rows.append(ratio(f"time, attribute / {names[-1]}", times["attribute"], times[names[-1]], 1.0))
    gigabytes = {at: large.peak(run) for at, run in runs.items()}
    rows += [
        Row(f"peak memory, {at}", f"{value / 2**30:.2f} GiB") for at, value in gigabytes.items() if value is not None
    ]
    return rows


# ---------------------------------------------------------------- the explorer


def explorer(asked: Asked) -> list[Row]:
    """From the construction to the first overlay: of a model that was never called, and of one that was."""
    torch.manual_seed(0)
    size = 64 if asked.quick else 224
    model = ready(ResNet((1, 1), 16) if asked.quick else ResNet(), asked.device, size)
    photo = Image.effect_mandelbrot((size, size), (-2.0, -1.0, 0.5, 1.0), 60).convert("RGB")
    found: list[tuple[float, float]] = []
    while len(found) < (3 if asked.quick else 8) and (asked.left > 0 or not found):
        front_end = FrontEnd()
        begin = time.perf_counter()
        explored = Probe(front_end, model, photo, n_steps=8 if asked.quick else N_STEPS)
        try:
            overlay, _ = front_end.when("plan", "black", timeout=60)
            final, _ = front_end.when("done", "black", timeout=60)
            found.append((overlay - begin, final - begin))
        finally:
            explored.close()
            front_end.stop()
        synchronise(asked.device)
    (first, last), *later = found
    rows = [Row("the first explorer: to the first overlay, and to the last", f"{short(first)}, {short(last)}")]
    if later:
        rows.append(seconds("further ones: to the first overlay", [one for one, _ in later], FIRST_GOAL_MS))
        rows.append(seconds("further ones: to the final overlay", [one for _, one in later]))
    return rows


# ---------------------------------------------------------------- command line

# A title, what does it, and its share of the time.
PARTS: dict[str, tuple[str, Callable[[Asked], list[Row]], float]] = {
    "tests": ("Tests", tests, 0.3),
    "parity": ("Maps on the device beside those of the CPU", parity, 0.15),
    "recurrent": ("Recurrent networks in evaluation mode", recurrent, 0.1),
    "resnet": (f"A whole map of {N_STEPS} samples: ResNet-50, 224 x 224", resnet, 0.18),
    "vit": (f"A whole map of {N_STEPS} samples: ViT-B/16, 224 x 224", vit, 0.18),
    "explorer": ("The image explorer on ResNet-50", explorer, 0.09),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks, few rounds: does it run at all?")
    parser.add_argument("--part", choices=list(PARTS), nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, help="for all of it: 470, or 110 where --quick")
    given = parser.parse_args(arguments)
    whole_time = given.seconds or (110.0 if given.quick else 470.0)
    if given.device == "cpu" and given.quick:
        torch.set_num_threads(1)  # for small tensors a second one only waits
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device is found; --device cpu tries the script itself")
    warnings.filterwarnings("ignore", message="Internal batch size")
    begin = time.monotonic()
    # Whatever hangs: the lines where it does, and an end.
    faulthandler.dump_traceback_later(whole_time + 5, exit=True, file=sys.__stderr__)
    print(f"# {about(given.device)}\n", flush=True)
    failed, whole = [], sum(PARTS[part][2] for part in given.part)
    left = whole_time
    for part in given.part:
        title, run, share = PARTS[part]
        # What earlier parts left over is for those to come.
        start, mine = time.monotonic(), share / whole * left
        whole -= share
        try:
            rows = run(Asked(given.device, given.quick, time.monotonic() + mine))
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the other parts go on)
            failed.append(part)
            print(f"\n### {title}\n\n**failed**: {type(error).__name__}: {error}\n", flush=True)
            traceback.print_exc()
        else:
            table(
                f"{title}, {given.device}{', small' if given.quick else ''}", rows, f"{time.monotonic() - start:.0f} s."
            )
            missed = [
                row for row in rows if row.goal is not None and row.value is not None and not row.value <= row.goal
            ]
            failed += [part] if part in ("parity", "recurrent") and missed else []
        left = whole_time - (time.monotonic() - begin)
    faulthandler.cancel_dump_traceback_later()
    told = f"Failed: {', '.join(failed)}." if failed else "All parts ran."
    print(f"{time.monotonic() - begin:.0f} s in all. {told}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
