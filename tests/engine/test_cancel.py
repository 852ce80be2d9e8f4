"""A run that is cancelled stops: not one pass more goes through the model, whatever asked for it, and soon."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets import faithfulness, relatives
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute, make_attribution, make_samples, refine
from ig_widgets.engine.errors import Cancelled
from tests.engine.subjects import Scores, draw, reference, relative

pytestmark = pytest.mark.robustness

MANY = 10_000
SECONDS = 60.0  # nothing takes so long; what does, hangs


class Elsewhere:
    """Another thread, which sets `cancel` as soon as it is called, and writes down when."""

    def __init__(self) -> None:
        self.cancel, self._called, self._done = threading.Event(), threading.Event(), threading.Event()
        self.at = math.inf
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._called.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        assert self._called.wait(SECONDS)
        self.at = time.perf_counter()
        self.cancel.set()
        self._done.set()

    def call(self, *, wait: bool = True) -> None:
        self._called.set()
        assert not wait or self._done.wait(SECONDS)


class Watched(nn.Module):
    """Calls elsewhere in the midst of pass number `stop`, and writes down when each pass begins, and its rows."""

    def __init__(self, inner: Callable[..., Tensor], elsewhere: Elsewhere, stop: int, *, wait: bool = True) -> None:
        super().__init__()
        self.inner, self.elsewhere, self.stop, self.wait = inner, elsewhere, stop, wait
        self.begun: list[tuple[float, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.begun.append((time.perf_counter(), len(x)))
        if len(self.begun) == self.stop:
            self.elsewhere.call(wait=self.wait)
        return self.inner(x)

    def after(self) -> list[int]:
        """The rows of each pass that began after the wish to stop."""
        return [rows for at, rows in self.begun if at > self.elsewhere.at]


# ------------------------------------------------------------------ whatever takes `cancel`

NETWORK = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).double()
for _i, _parameter in enumerate(NETWORK.parameters()):
    _parameter.data = draw(_i, *_parameter.shape) / 2
X, B = draw(10, 2, 1, 4, 4), draw(11, 2, 1, 4, 4)
MAP = draw(12, 2, 1, 4, 4)
SEGMENTS = torch.arange(16).view(4, 4) // 4
Way = Callable[..., Any]


def _by(method: str, **options: Any) -> Way:
    return lambda f, **given: attribute(f, X, baselines=B, target=1, method=method, **options, **given)


WAYS: dict[str, Way] = {
    **{f"attribute, {method}": _by(method, n_steps=9) for method in (*rules.METHODS, rules.AUTO)},
    **{f"attribute to a tolerance, {method}": _by(method, tol=0.01) for method in ("secant", "fejer", "auto")},
    "attribute, preview": lambda f, **given: attribute(
        lambda at: f(at.double()), X.float(), target=1, n_steps=9, method="riemann_middle", precision="preview", **given
    ),
    "attribute to a layer": lambda f, **given: attribute(f, X, target=1, n_steps=9, layer=NETWORK[0], **given),
    "refine": lambda f, **given: list(refine(f, X, target=1, n_steps=9, **given)),
    "refine to a tolerance": lambda f, **given: list(refine(f, X, target=1, **given)),
    "over_baselines": lambda f, **given: relatives.over_baselines(
        f, X, baselines=[0.0, 1.0, B], target=1, n_steps=5, **given
    ),
    **{
        name: lambda f, name=name, options=options, **given: getattr(relatives, name)(
            f, X, target=1, **options, **given
        )
        for name, options in {
            "gradient": {},
            "input_x_gradient": {"baselines": B},
            "smoothgrad": {"n_samples": 5},
            "smoothgrad_squared": {"n_samples": 5},
            "vargrad": {"n_samples": 5},
            "expected_gradients": {"n_samples": 5, "baselines": draw(13, 4, 1, 4, 4)},
            "gradient_shap": {"n_samples": 5, "baselines": draw(13, 4, 1, 4, 4)},
            "smooth_integrated_gradients": {"n_samples": 3, "n_steps": 5, "baselines": B},
            "blur_integrated_gradients": {"sigma": 2.0, "n_steps": 9},
            "guided_integrated_gradients": {"n_knots": 5, "n_steps": 5, "baselines": B},
            "idgi": {"n_steps": 9, "baselines": B},
            "deeplift": {"baselines": B},
            "xrai": {"segments": SEGMENTS, "min_pixels": 1},
        }.items()
    },
    "deletion": lambda f, **given: faithfulness.deletion(f, X, MAP, baselines=B, target=1, n_steps=4, **given),
    "insertion": lambda f, **given: faithfulness.insertion(f, X, MAP, baselines=B, target=1, n_steps=4, **given),
    "infidelity": lambda f, **given: faithfulness.infidelity(f, X, MAP, baselines=B, target=1, **given),
    "sensitivity_max": lambda f, **given: faithfulness.sensitivity_max(
        f, X, baselines=B, target=1, n_perturb_samples=2, **given
    ),
    "input_shift": lambda f, **given: faithfulness.input_shift(f, X, 1.0, baselines=B, target=1, **given),
}
CHUNKS = {"chunk_size": 2}
# Before its first chunk, whether one row will do before the layer: two passes of two rows, not looked into.
SPARED = {"attribute to a layer": 2}


def _finite(value: object) -> bool:
    members = value if isinstance(value, tuple) else (value,)
    return all(bool(torch.isfinite(t).all()) for t in members if isinstance(t, Tensor))


@pytest.mark.parametrize("way", WAYS)
def test_not_one_pass_more_whenever_it_was_cancelled(way: str) -> None:
    with Elsewhere() as never:
        model = Watched(NETWORK, never, 0)
        whole = WAYS[way](model, **CHUNKS)
        passes = len(model.begun)
    for stop in sorted({*range(1, min(passes, 8)), passes // 2, 2 * passes // 3, passes - 1, passes}):
        with Elsewhere() as elsewhere:
            model = Watched(NETWORK, elsewhere, stop)
            try:
                WAYS[way](model, **CHUNKS, cancel=elsewhere.cancel)
            except Cancelled as cancelled:
                partial = cancelled.partial
                assert partial is None or not partial.complete
                assert partial is None or all(_finite(value) for value in vars(partial).values())
            else:
                assert stop == passes, "all there was to do was done"
        assert stop <= len(model.begun) <= stop + SPARED.get(way, 0)
    # And then it does what it did at first.
    again = WAYS[way](Watched(NETWORK, elsewhere, 0), **CHUNKS)
    for one, other in ((whole, again), *zip(_listed(whole), _listed(again), strict=True)):
        for name in ("attributions", "outputs", "values"):
            if isinstance(tensor := getattr(one, name, None), Tensor):
                assert torch.equal(tensor, getattr(other, name)), name


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def test_randomize_model_stops_with_the_map_in_hand() -> None:
    with Elsewhere() as elsewhere:
        calls: list[int] = []

        def explain(model: nn.Module, x: Tensor) -> Tensor:
            calls.append(len(calls))
            if len(calls) == 2:
                elsewhere.call()
            return x * next(model.parameters()).sum().detach()

        with pytest.raises(Cancelled, match="after 2 of"):
            faithfulness.randomize_model(NETWORK, X, explain, cancel=elsewhere.cancel)
    assert calls == [0, 1]


# ------------------------------------------------------------------ of ten thousand steps


class Stages(nn.Module):
    """`stages` operations that take `seconds` in all, forward; the way back is quick."""

    def __init__(self, stages: int, seconds: float) -> None:
        super().__init__()
        self.stages, self.seconds, self.work = stages, seconds / stages, torch.ones(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.stages):
            until = time.perf_counter() + self.seconds
            while time.perf_counter() < until:
                torch.mm(self.work, self.work)
            x = torch.tanh(x)
        return x.sum(1)


def _slow() -> tuple[nn.Module, Tensor, dict[str, Any]]:
    return Stages(8, 0.2), draw(1, 1, 4), {"chunk_size": 4}


def _opaque() -> tuple[nn.Module, Tensor, dict[str, Any]]:
    return Stages(1, 0.2), draw(1, 1, 4), {"chunk_size": 4}


def _demo() -> tuple[nn.Module, Tensor, dict[str, Any]]:
    subject = igw.demo.image_classifier()
    return subject.model, subject.preprocess(igw.demo.image("cat")), {"target": 285}


def _tiny() -> tuple[nn.Module, Tensor, dict[str, Any]]:
    return Scores([(4,)]), draw(1, 1, 4), {"chunk_size": 3000}


SUBJECTS = {"200 ms a pass": _slow, "one operation of 200 ms": _opaque, "EfficientNet-Lite0": _demo, "3000 rows": _tiny}


@pytest.mark.parametrize("method", ["riemann_middle", "gausslegendre", "secant"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_ten_thousand_steps(name: str, method: str, figure: Callable[..., None]) -> None:
    inner, x, options = SUBJECTS[name]()
    rules.nodes(method, MANY)
    with Elsewhere() as elsewhere:
        # Four passes of a tiny model may be over before another thread has said a word.
        model = Watched(inner, elsewhere, 3, wait=name == "3000 rows").eval()
        with pytest.raises(Cancelled, match=f"of {MANY} gradient evaluations") as raised:
            attribute(model, x, method=method, n_steps=MANY, cancel=elsewhere.cancel, **options)
        elapsed = time.perf_counter() - elsewhere.at
    figure(f"from cancel to the end, of {MANY} steps, {name}, {method}", 1000 * elapsed, " ms", at_most=300)
    # A pass that was begun at that very moment is the last.
    assert len(model.after()) <= 1
    partial = raised.value.partial
    done = int(str(raised.value).split(" of ")[0].split()[-1])
    if partial is None:
        assert done == 0
        return
    assert done == partial.evaluations
    assert not partial.complete
    assert _finite(partial.attributions)
    if method != "secant":
        # What the engine says of these points when it is asked for them alone, in chunks of the same size.
        fixed = {**options, "chunk_size": options.get("chunk_size", 1)}
        samples = make_samples(inner, x, **fixed)
        order = np.concatenate(rules.visits(method, MANY, progressive=False))[:done]
        list(samples.extend(rules.nodes(method, MANY).alphas[order]))
        alone = make_attribution(samples, samples.so_far(), method=method, elapsed=0.0)
        assert relative(partial.attributions, alone.attributions) <= (0.02 if name.startswith("Eff") else 1e-12)


def test_a_partial_of_thousands_is_the_weighted_sum_of_its_points() -> None:
    inner, x, _ = _tiny()
    with Elsewhere() as elsewhere:
        model = Watched(inner, elsewhere, 4)
        with pytest.raises(Cancelled) as raised:
            attribute(model, x, method="riemann_middle", n_steps=MANY, chunk_size=MANY // 5, cancel=elsewhere.cancel)
    partial = raised.value.partial
    assert partial is not None
    assert partial.evaluations in (2 * MANY // 5, 3 * MANY // 5)
    alphas, weights = partial.path.alphas[0], partial.path.edges[0].diff()
    at = (alphas[:, None] * x).requires_grad_()
    (gradients,) = torch.autograd.grad(inner(at).sum(), at)
    assert relative(partial.attributions, x * (weights[:, None] * gradients).sum(0)) <= 1e-12
    # Thousands of points spread evenly are a fine rule of their own.
    (exact,) = reference(inner, (x,), (torch.zeros_like(x),), lambda out: out.reshape(-1), "gausslegendre", 40)
    assert relative(partial.attributions, exact) <= 1e-3


FRESH = """
import torch
from ig_widgets import attribute
from tests.engine.subjects import Scores, draw
torch.set_num_threads(1)
result = attribute(Scores([(4,)]), draw(1, 1, 4), method="{method}", n_steps=50, chunk_size=7)
print(result.attributions.numpy().tobytes().hex(), result.convergence_delta.numpy().tobytes().hex())
"""


def test_the_next_result_is_that_of_a_fresh_process() -> None:
    """Bit for bit, as the rows of a chunk are the same."""
    inner, x, _ = _tiny()
    untouched = copy.deepcopy(inner.state_dict())
    for method in ("riemann_middle", "secant"):
        with Elsewhere() as elsewhere:
            model = Watched(inner, elsewhere, 4)
            with pytest.raises(Cancelled):
                attribute(model, x, method=method, n_steps=MANY, chunk_size=100, cancel=elsewhere.cancel)
        assert all(torch.equal(untouched[key], value) for key, value in inner.state_dict().items())
    done = attribute(inner, x, method="secant", n_steps=50, chunk_size=7)
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH.format(method="secant")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert fresh == [t.numpy().tobytes().hex() for t in (done.attributions, done.convergence_delta)]


def test_thirty_thousand_gauss_legendre_points_hear_it(figure: Callable[..., None]) -> None:
    """Also while they are worked out."""
    cancel, at = threading.Event(), [0.0]

    def stop() -> None:
        at[0] = time.perf_counter()
        cancel.set()

    timer = threading.Timer(0.005, stop)
    timer.start()
    with pytest.raises(Cancelled):
        attribute(
            lambda x: x.tanh().sum(1),
            draw(1, 1, 4),
            method="gausslegendre",
            n_steps=30_000,
            chunk_size=1,
            cancel=cancel,
        )
    figure("from cancel to the end of a run of 30,000 Gauss-Legendre points", time.perf_counter() - at[0], " s", 0.3)
