"""Time of a cell of the secant rule over that of a plain gradient, on networks of several kinds, all in turns.

Processor time of this process, so that others on the machine count for less; by one thread, unless `--threads` says so.

Both sides are asked for as many evaluations of one path in chunks of each size, and with `chunk_size=None`; counted are
the ratio with `chunk_size=None` on both sides, and that of the best fixed size of each. `--profile NAME` prints where
the time of a secant run goes instead.

    python benchmarks/secant.py [--subject NAME ...] [--rounds 5] [--threads 1]
        [--profile NAME]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median

import torch
from _report import Row, ratio, short, table, take_turns
from torch import Tensor, nn

import ig_widgets as igw

RULES = ("gausslegendre", "secant")


@dataclass(frozen=True)
class Subject:
    """A network, an input (its baseline is zeros unless given), and how many evaluations are timed in which chunks."""

    title: str
    model: nn.Module
    inputs: Tensor
    baselines: Tensor | None
    target: int
    n_steps: int
    chunks: tuple[int, ...]
    goals: tuple[float, float] = (1.3, 1.2)

    def seconds(self, method: str, chunk: int | None) -> float:
        """Of one run."""
        begin = time.process_time()
        igw.attribute(
            self.model,
            self.inputs,
            baselines=self.baselines,
            target=self.target,
            method=method,
            n_steps=self.n_steps,
            chunk_size=chunk,
        )
        return time.process_time() - begin


def efficientnet() -> Subject:
    classifier = igw.demo.image_classifier("cpu")
    photo = classifier.preprocess(igw.demo.image("cat"))
    black = classifier.preprocess(torch.zeros(224, 224, 3, dtype=torch.uint8).numpy())
    return Subject("EfficientNet-Lite0, 224 x 224", classifier.model, photo, black, 285, 32, (2, 4, 8, 16))


class Attention(nn.Module):
    """A block of a transformer, norms first."""

    def __init__(self, width: int, heads: int, activation: nn.Module) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow, self.bend = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), activation

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.mix(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.narrow(self.bend(self.wide(self.between(x))))


class ViT(nn.Module):
    """Pictures (rows, 3, 64, 64) in patches of 8 x 8; six blocks."""

    def __init__(self, activation: nn.Module, width: int = 192, depth: int = 6) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 8, 8)
        self.places = nn.Parameter(0.1 * torch.randn(64, width))
        self.blocks = nn.Sequential(*(Attention(width, 3, activation) for _ in range(depth)), nn.LayerNorm(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x).flatten(2).mT + self.places).mean(1))


def vit(activation: str) -> Subject:
    torch.manual_seed(0)
    model = ViT(nn.GELU() if activation == "gelu" else nn.ReLU()).eval()
    title = f"ViT, 6 blocks of 192, 64 tokens ({activation})"
    return Subject(title, model, torch.rand(1, 3, 64, 64), None, 3, 32, (2, 4, 8, 16, 33))


def bert() -> Subject:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(128, 4, 512, activation="gelu", batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = encoder, nn.Linear(128, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.encoder(x).mean(1))

    words = torch.randn(1, 32, 128)
    start = torch.randn(1, 32, 128)
    title = "nn.TransformerEncoder, 4 x 128, 32 tokens"
    return Subject(title, Classifier().eval(), words, start, 1, 64, (8, 16, 33, 65))


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
        self.relu = nn.ReLU(inplace=True)
        plain = into == out and stride == 1
        self.beside = None if plain else nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[1](self.second(self.relu(self.norms[0](self.first(x)))))
        return self.relu(y + (x if self.beside is None else self.beside(x)))


def resnet() -> Subject:
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 32, 7, 2, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks = [Residual(a, b, s) for a, b, s in ((32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 2))]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)).eval()
    return Subject("ResNet (ReLU), 112 x 112", model, torch.rand(1, 3, 112, 112), None, 3, 32, (2, 4, 8, 16))


def mlp() -> Subject:
    torch.manual_seed(0)
    sizes = (64, 256, 128, 64, 10)
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())][:-1]
    title = "MLP 64-256-128-64-10 (ReLU)"
    return Subject(title, nn.Sequential(*layers).eval(), torch.randn(1, 64), None, 3, 512, (64, 256, 513))


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "efficientnet": efficientnet,
    "vit-gelu": partial(vit, "gelu"),
    "vit-relu": partial(vit, "relu"),
    "bert": bert,
    "resnet": resnet,
    "mlp": mlp,
}


def race(subject: Subject, rounds: int) -> list[Row]:
    sizes = (None, *subject.chunks)
    runs = {(m, c): partial(subject.seconds, m, c) for m in RULES for c in sizes}
    first = {m: runs[m, None]() for m in RULES}
    times = take_turns(runs, rounds)
    best = {m: min(subject.chunks, key=lambda c: median(times[m, c])) for m in RULES}
    rows = [
        ratio("chunk_size=None", times["secant", None], times["gausslegendre", None], subject.goals[0]),
        ratio(
            f"best chunks, {best['secant']} and {best['gausslegendre']}",
            times["secant", best["secant"]],
            times["gausslegendre", best["gausslegendre"]],
            subject.goals[1],
        ),
    ]
    for m in RULES:
        rows.append(ratio(f"{m}: None over its best chunk", times[m, None], times[m, best[m]], 1.05))
        told = ", ".join(f"{c}: {short(median(times[m, c]))}" for c in sizes)
        rows.append(Row(f"{m}, by chunk", f"{told}; first run with None {short(first[m])}"))
    return rows


def profile(subject: Subject) -> None:
    for method in RULES:
        run = partial(subject.seconds, method, subject.chunks[-2])
        run()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            run()
        print(method, found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", choices=list(SUBJECTS), nargs="*", default=list(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", choices=list(SUBJECTS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.profile:
        profile(SUBJECTS[options.profile]())
        return
    for name in options.subject:
        subject = SUBJECTS[name]()
        table(f"A secant cell over a gradient: {subject.title}, {subject.n_steps}", race(subject, options.rounds))


if __name__ == "__main__":
    main()
