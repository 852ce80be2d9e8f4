"""The relatives of IG where the reason is known; expected gradients beside those of shap and Captum.

truth: for methods and baselines, the mean share of absolute attribution (summed over channels) inside of the box that
is the reason, and how often the largest attribution lies there (the pointing game), over 50 pictures of two networks of
which one has its weights set by hand. Expected gradients and GradientSHAP draw from 20 more pictures, made alike.

speed: expected gradients with 200 samples on EfficientNet-Lite0, the cat, from 20 pieces of other photos, beside shap's
GradientExplainer (given one logit, so that it ranks nothing) and Captum's GradientShap (called for a chunk at a time:
all 200 rows at once, its default, take gigabytes), each at the best of the chunks tried, and beside nothing but the
same number of forward and backward passes. All take turns.
Where others keep the machine busy, --clock processor on one thread (OMP_NUM_THREADS=1) tells more than the wall clock.

accuracy: relative L2 error at 200 samples, by seeds, against the mean of IG by 64 cells of the secant rule from each of
the 20 baselines, on the trained small network, whose reference takes seconds; with --reference also on the
EfficientNet, against 256 midpoints from each baseline, 5120 gradients, kept in benchmarks/.cache.

Predicted before anything was measured. By hand: IG, DeepLIFT, guided IG and IDGI from black over 95% and always a hit,
the gradient and input x gradient under 10% (F is flat there), SmoothGrad too; from white next to nothing for all, since
F is flat there as well. Trained: IG from black 70% and 90% hits, the gradient 50% and 60%, guided IG above IG, others'
pictures and noise below black. Speed: 0.95 of the quicker one's time at its best chunk, since all three wait for the
same passes and ours takes 21 forward passes more. Accuracy: 0.7 of their error, by drawing baselines in turn and alphas
in equal parts.

What came. By hand: IG, DeepLIFT, guided IG from black 99%, IDGI 97%, always a hit; gradients 5%, but input x gradient
19%; from white 2%, and from noise and others' pictures, which have a patch of their own or are bright enough for F to
be flat, 5% and 40%: the baseline decides more than the method does. Trained (12 pictures): all were better than thought
and nearer to each other, IG from black 94%, the gradient 83%, nearly always a hit, so that hits tell nothing apart;
guided IG was not above IG; squares of gradients, which make peaks higher, were (94%, IDGI 97%). Accuracy: 0.68 of
shap's error, 0.70 of Captum's, that is about half of the samples for the same error. Speed, on two quiet cores with 64
samples: 1.14 of Captum's, 0.86 of shap's, 1.11 of the passes alone, of which most are the forward passes at the
baselines, as many as there are at 200.

    python benchmarks/relatives.py [--quick] [--part truth|speed|accuracy] [--networks NAME ...] [--rounds 5]
        [--search 2] [--samples 200] [--clock wall|processor] [--device cpu|cuda] [--reference]
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import captum.attr
import numpy as np
import torch
from _networks import KNOWN, Known, needs
from _report import Row, machine, ratio, seconds, short, table, take_turns
from torch import Tensor, nn

import ig_widgets as igw

CACHE = Path(__file__).parent / ".cache"
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}

# ---------------------------------------------------------------- truth

BASELINES: dict[str, Callable[[], igw.baselines.Baseline]] = {
    "black": igw.baselines.black,
    "white": igw.baselines.white,
    "mean grey": igw.baselines.mean_grey,
    "blur 4 px": partial(igw.baselines.blur, 4.0),
    "noise": igw.baselines.uniform,
    "farthest": igw.baselines.max_distance,
}
OTHERS, NONE = "20 others", "no baseline"
Method = Callable[..., igw.Attribution]
FROM_ONE: dict[str, Method] = {
    "IG (auto)": igw.attribute,
    "DeepLIFT": igw.relatives.deeplift,
    "guided IG": partial(igw.relatives.guided_integrated_gradients, n_knots=50, n_steps=50),
    "IDGI": partial(igw.relatives.idgi, n_steps=64),
    "SmoothGrad of IG": partial(igw.relatives.smooth_integrated_gradients, n_samples=5, n_steps=16),
    "input x gradient": igw.relatives.input_x_gradient,
}
FROM_MANY: dict[str, Method] = {
    "expected gradients": igw.relatives.expected_gradients,
    "GradientSHAP, sigma 0.1": partial(igw.relatives.gradient_shap, sigma=0.1),
}
FROM_NONE: dict[str, Method] = {
    "gradient": igw.relatives.gradient,
    "SmoothGrad": igw.relatives.smoothgrad,
    "SmoothGrad squared": igw.relatives.smoothgrad_squared,
    "VarGrad": igw.relatives.vargrad,
    "blur IG, sigma 8": partial(igw.relatives.blur_integrated_gradients, sigma=8.0, n_steps=50),
}


def truth(known: Known) -> None:
    """Print shares and hits for each method and baseline."""
    columns = [*BASELINES, OTHERS, NONE]
    rows = []
    for group, allowed in ((FROM_ONE, list(BASELINES)), (FROM_MANY, [OTHERS]), (FROM_NONE, [NONE])):
        for name, method in group.items():
            cells = {column: _told(known, method, _baselines(known, column)) for column in allowed}
            rows.append([name, *(cells.get(column, "") for column in columns)])
    uniform = igw.faithfulness.pointing(torch.ones_like(known.pictures), list(known.boxes))
    print(f"\n### {known.title}: share inside of the box, hits in {len(known.pictures)} pictures\n")
    print(f"| {' | '.join(['method', *columns])} |\n|{'---|' * (len(columns) + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"\nA map without order has {_percent(uniform.absolute_share.mean())} inside. {machine()}\n", flush=True)


def _baselines(known: Known, column: str) -> object:
    return {OTHERS: known.others, NONE: None}[column] if column in (OTHERS, NONE) else BASELINES[column]()


def _told(known: Known, method: Method, baselines: object) -> str:
    result = method(known.forward, known.pictures, target=known.targets, baselines=baselines)
    found = igw.faithfulness.pointing(result, list(known.boxes))
    blank = int(found.absolute_share.isnan().sum())
    told = f"{_percent(found.absolute_share.nanmean())}, {_percent(found.hit.mean())} hits"
    return f"{told} ({blank} blank)" if blank else told


def _percent(share: Tensor) -> str:
    return f"{100 * float(share):.0f}%"


# ---------------------------------------------------------------- expected gradients, three times


class One(nn.Module):
    """A model's output at one position, (rows, 1): what shap then explains is that alone."""

    def __init__(self, model: nn.Module, target: int) -> None:
        super().__init__()
        self.model, self.target = model, target

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, self.target : self.target + 1]


@dataclass(frozen=True)
class Subject:
    """One input (1, ...), seen from a distribution of `baselines` (K, ...); `chunks` are rows at a time to be tried."""

    title: str
    model: nn.Module
    inputs: Tensor
    baselines: Tensor
    target: int
    chunks: tuple[int, ...]
    samples: int


def photo(device: str, samples: int) -> Subject:
    """The cat, from pieces of other photos, on EfficientNet-Lite0."""
    classifier = igw.demo.image_classifier(device)
    cat = classifier.preprocess(igw.demo.image("cat")).to(device)
    pieces = []
    chance = np.random.default_rng(0)
    for name in ("coffee", "rocket", "astronaut", "retina"):
        whole = igw.demo.image(name)
        side = min(whole.size) // 2
        for _ in range(5):
            left, top = (int(chance.integers(size - side)) for size in whole.size)
            pieces.append(classifier.preprocess(whole.crop((left, top, left + side, top + side))))
    chunks = (2, 4, 8, 16) if device == "cpu" else (25, 50, 100, 200)
    return Subject("EfficientNet-Lite0", classifier.model, cat, torch.cat(pieces).to(device), 285, chunks, samples)


def by_ours(subject: Subject, chunk: int | None, seed: int) -> Tensor:
    s = subject
    result = igw.relatives.expected_gradients(
        s.model, s.inputs, baselines=s.baselines, target=s.target, n_samples=s.samples, chunk_size=chunk, seed=seed
    )
    assert isinstance(result.attributions, Tensor)
    return result.attributions


def by_captum(subject: Subject, chunk: int | None, seed: int) -> Tensor:
    """GradientShap, a chunk a call: it takes all rows at once.

    A NoiseTunnel, which takes chunks, draws baselines for the first and has the same in all others.
    """
    s, at_once = subject, chunk or subject.samples
    explainer, total = captum.attr.GradientShap(s.model), torch.zeros_like(s.inputs)
    np.random.seed(seed)  # noqa: NPY002  (Captum draws by it)
    for start in range(0, s.samples, at_once):
        rows = min(at_once, s.samples - start)
        part = explainer.attribute(s.inputs, s.baselines, n_samples=rows, stdevs=0.0, target=s.target)
        total += part.detach() * (rows / s.samples)
    return total


def by_shap(subject: Subject, chunk: int | None, seed: int) -> Tensor:
    s = subject
    explainer = _explainer(s, chunk or 50)
    return torch.as_tensor(explainer.shap_values(s.inputs, nsamples=s.samples, rseed=seed)).reshape(s.inputs.shape)


_EXPLAINERS: dict[tuple[int, int], Any] = {}


def _explainer(subject: Subject, chunk: int) -> Any:
    """Made once: it asks the model about all baselines, which is not timed."""
    try:
        import shap
    except ImportError:
        raise needs("shap", "shap") from None
    key = (id(subject), chunk)
    if key not in _EXPLAINERS:
        _EXPLAINERS[key] = shap.GradientExplainer(One(subject.model, subject.target), subject.baselines, chunk)
    return _EXPLAINERS[key]


def by_passes(subject: Subject, chunk: int | None, seed: int) -> Tensor:
    """As many gradients, of the input itself, and nothing else."""
    s, total = subject, torch.zeros_like(subject.inputs)
    at_once = chunk or s.samples
    for start in range(0, s.samples, at_once):
        rows = s.inputs.repeat(min(at_once, s.samples - start), 1, 1, 1).requires_grad_()
        (gradients,) = torch.autograd.grad(s.model(rows)[:, s.target].sum(), rows)
        total += gradients.sum(0, keepdim=True)
    return total


Contestant = Callable[[Subject, int | None, int], Tensor]
OURS, SHAP, CAPTUM, PASSES = "ours", "shap", "Captum", "passes alone"
CONTESTANTS: dict[str, Contestant] = {OURS: by_ours, SHAP: by_shap, CAPTUM: by_captum, PASSES: by_passes}


# ---------------------------------------------------------------- speed


def _timed(run: Contestant, subject: Subject, chunk: int | None, clock: Callable[[], float]) -> float:
    gc.collect()
    begin = clock()
    run(subject, chunk, 0)
    if subject.inputs.is_cuda:
        torch.cuda.synchronize()
    return clock() - begin


def speed(subject: Subject, rounds: int, search: int, clock: str) -> None:
    """Find the best chunk of each side, then let them take turns."""
    few = replace(subject, samples=2 * subject.chunks[0])
    for run in CONTESTANTS.values():  # the first call of each is slow
        run(few, few.chunks[0], 0)
    tried = {
        (side, chunk): partial(_timed, run, subject, chunk, CLOCKS[clock])
        for side, run in CONTESTANTS.items()
        for chunk in subject.chunks
    }
    times = take_turns({f"{side} {chunk}": run for (side, chunk), run in tried.items()}, search)
    smallest = {key: min(times[f"{key[0]} {key[1]}"]) for key in tried}
    rows, best = [], dict[str, int]()
    for side in CONTESTANTS:
        each = {chunk: smallest[side, chunk] for chunk in subject.chunks}
        best[side] = min(each, key=each.__getitem__)
        rows.append(Row(f"chunks tried, {side}", ", ".join(f"{at}: {short(value)}" for at, value in each.items())))
    names = {side: f"{side}, chunk {best[side]}" for side in CONTESTANTS}
    runs = {names[side]: tried[side, best[side]] for side in CONTESTANTS}
    default = f"{OURS}, chunk found by trying"
    runs[default] = partial(_timed, by_ours, subject, None, CLOCKS[clock])
    runs[default]()
    measured = take_turns(runs, rounds)
    rows += [seconds(f"time, {name}", values) for name, values in measured.items()]
    quicker = min((names[SHAP], names[CAPTUM]), key=lambda name: median(measured[name]))
    for mine in (names[OURS], default):
        rows.append(ratio(f"time, {mine} / {quicker}", measured[mine], measured[quicker], 0.8))
    for other in (SHAP, CAPTUM, PASSES):
        if names[other] != quicker:
            rows.append(ratio(f"time, {names[OURS]} / {names[other]}", measured[names[OURS]], measured[names[other]]))
    title = (
        f"Expected gradients, {subject.samples} samples, {subject.title}, {subject.inputs.device.type}, {clock} time"
    )
    table(title, rows)


# ---------------------------------------------------------------- accuracy


def accuracy(subject: Subject, true: Tensor, runs: int, how: str, chunk: int | None) -> None:
    """Relative L2 errors over seeds, each side beside the other."""
    errors: Mapping[str, list[float]] = {side: [] for side in (OURS, SHAP, CAPTUM)}
    for seed in range(runs):
        for side, values in errors.items():
            found = CONTESTANTS[side](subject, chunk, seed).to(true)
            values.append(float((found - true).norm() / true.norm()))
    rows = [Row(f"error, {side}", _spread(values)) for side, values in errors.items()]
    rows += [ratio(f"error, {OURS} / {side}", errors[OURS], errors[side]) for side in (SHAP, CAPTUM)]
    also = f"Reference: {how}."
    table(f"Accuracy at {subject.samples} samples, {runs} seeds, {subject.title}", rows, also)


def _spread(values: Sequence[float]) -> str:
    return f"{100 * median(values):.1f}% ({100 * min(values):.1f} to {100 * max(values):.1f}%)"


def small_accuracy(known: Known, runs: int, samples: int) -> None:
    assert known.targets is not None
    subject = Subject(known.title, known.forward, known.pictures[:1], known.others, known.targets[0], (), samples)
    true = _mean_ig(subject, method="secant", n_steps=64)
    accuracy(subject, true, runs, "64 cells of the secant rule from each baseline", 50)


def photo_accuracy(subject: Subject, runs: int) -> None:
    digest = hashlib.sha256(b"expected gradients 256")
    for tensor in (*subject.model.state_dict().values(), subject.inputs, subject.baselines):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    file = CACHE / f"{digest.hexdigest()[:24]}.pt"
    if not file.exists():
        CACHE.mkdir(exist_ok=True)
        torch.save(_mean_ig(subject, method="riemann_middle", n_steps=256), file)
    true = torch.load(file, map_location=subject.inputs.device, weights_only=True)
    accuracy(subject, true, runs, "256 midpoints from each baseline", 8)


def _mean_ig(subject: Subject, **options: Any) -> Tensor:
    """One baseline at a time: samples of all of them would fill memory."""
    each = [
        igw.attribute(subject.model, subject.inputs, baselines=row[None], target=subject.target, **options)
        for row in subject.baselines
    ]
    return torch.stack([one.attributions.double() for one in each]).mean(0)


# ---------------------------------------------------------------- command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--search", type=int, default=2, help="turns of each chunk, to find the best")
    parser.add_argument("--quick", action="store_true", help="few pictures, one round: does it run at all?")
    parser.add_argument("--part", choices=["truth", "speed", "accuracy"], help="default: all")
    parser.add_argument("--networks", choices=list(KNOWN), nargs="*", default=list(KNOWN), help="of the truth")
    parser.add_argument("--samples", type=int, default=200, help="of expected gradients")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="of the speed")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--reference", action="store_true", help="accuracy on the photo too: 5120 gradients first")
    asked = parser.parse_args()
    for message in ("Input Tensor", "The number of", "Setting forward"):
        warnings.filterwarnings("ignore", message=message)

    if asked.part in (None, "truth"):
        for name in asked.networks:
            truth(KNOWN[name](asked.device, 5 if asked.quick else 50))
    if asked.part in (None, "accuracy"):
        small_accuracy(KNOWN["digits"](asked.device, 1), 3 if asked.quick else 20, asked.samples)
        if asked.reference:
            photo_accuracy(photo(asked.device, asked.samples), 1 if asked.quick else 5)
    if asked.part in (None, "speed"):
        rounds, search = (1, 1) if asked.quick else (asked.rounds, asked.search)
        speed(photo(asked.device, asked.samples), rounds, search, asked.clock)


if __name__ == "__main__":
    main()
