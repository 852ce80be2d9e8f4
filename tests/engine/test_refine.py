"""refine(): ever finer, nothing wasted, the last item is the rule's own. Progress and cancelling."""

from __future__ import annotations

import itertools
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ig_widgets.engine.attribution import Attribution, attribute, refine
from ig_widgets.engine.errors import Cancelled
from tests.engine.subjects import METHODS, Counting, Scores, draw, few, methods, relu_network, seeds, smallest, waves

batches = st.integers(1, 3)
steps = st.integers(1, 40)
chunks = st.sampled_from([1, 2, 7, None])


@few
@given(seeds, batches, methods, steps, chunks)
def test_items_get_finer_and_end_in_attribute(seed: int, batch: int, method: str, n: int, chunk: int | None) -> None:
    n = max(n, smallest(method))
    wave = waves(seed, batch, 4)
    model = Counting(wave)
    items = list(refine(model, wave.x, baselines=wave.b, method=method, n_steps=n, chunk_size=chunk))
    last = attribute(wave, wave.x, baselines=wave.b, method=method, n_steps=n, chunk_size=chunk)
    assert all(a.evaluations < b.evaluations for a, b in itertools.pairwise(items))
    assert items[-1].evaluations == n
    assert {item.n_steps for item in items} == {n}
    torch.testing.assert_close(items[-1].attributions, last.attributions, rtol=0, atol=1e-12)
    torch.testing.assert_close(items[-1].convergence_delta, last.convergence_delta, rtol=0, atol=1e-12)
    assert torch.equal(items[-1].path.edges, last.path.edges)
    # Nothing wasted, no alpha twice: what went through the model with a gradient is the rule's points, each once.
    assert sum(model.with_gradient) == n * batch
    assert sum(model.without_gradient) <= 2 * batch


@few
@given(seeds, batches, methods, steps)
def test_no_point_is_evaluated_twice(seed: int, batch: int, method: str, n: int) -> None:
    n = max(n, smallest(method))
    wave = waves(seed, batch, 4)
    evaluated = []

    def model(points: torch.Tensor) -> torch.Tensor:
        if points.requires_grad:
            evaluated.extend(map(tuple, points.tolist()))
        return wave(points)

    list(refine(model, wave.x, baselines=wave.b, method=method, n_steps=n, chunk_size=2))
    assert len(evaluated) == len(set(evaluated)) == n * batch


@few
@given(seeds, methods, steps, chunks)
def test_each_item_is_within_the_bound_of_its_pieces(seed: int, method: str, n: int, chunk: int | None) -> None:
    """A sample is off by the Lipschitz bound times the width of its piece, and the widest piece only shrinks."""
    n = max(n, smallest(method))
    wave = waves(seed, 2, 4)
    widest = float("inf")
    for item in refine(wave, wave.x, baselines=wave.b, method=method, n_steps=n, chunk_size=chunk):
        width = float(item.path.edges.diff(dim=1).max())
        bound = wave.slope_bound(1) * width + 1e-12 * wave.slope_bound(0).sum(1, keepdim=True)
        assert ((item.attributions - wave.exact()).abs() <= bound).all()
        if item.evaluations < n:  # the last has the rule's own pieces
            assert width <= widest
            widest = width
        for trace in (item.path,):
            assert (trace.edges[:, 0] == 0).all()
            assert (trace.edges[:, -1] == 1).all()
            assert (trace.edges[:, :-1] <= trace.alphas + 1e-12).all()
            assert (trace.alphas <= trace.edges[:, 1:] + 1e-12).all()
        total = (item.path.density * item.path.edges.diff(dim=1)).sum(1)
        torch.testing.assert_close(total, item.attributions.sum(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_error_to_the_exact_map_shrinks_on_the_whole(method: str) -> None:
    network = relu_network(5, 16, 64, 64, 32)
    x, b = draw(1, 16), draw(2, 16)
    exact = network.exact(x, b)
    items = list(refine(network, x[None], baselines=b[None], method=method, n_steps=128, chunk_size=1))
    errors = [float((item.attributions[0] - exact).norm() / exact.norm()) for item in items]
    assert len(items) >= 7
    assert max(errors[-3:]) < min(errors[:2])
    assert errors[-1] < errors[0] / 8


def test_the_first_item_comes_early() -> None:
    """Someone is waiting for a picture: a few samples, however many rows would fit at once."""
    model = Counting(Scores([(4,)]))
    items = refine(model, draw(1, 1, 4), method="riemann_middle", n_steps=256)
    assert sum(model.with_gradient) == 0
    first = next(items)
    assert first.evaluations <= 3
    assert sum(model.with_gradient) <= 3


def test_arguments_are_checked_at_the_call() -> None:
    with pytest.raises(ValueError, match="n_steps"):
        refine(Scores([(4,)]), draw(1, 1, 4), n_steps=0)


def test_two_runs_side_by_side_do_not_meet() -> None:
    wave, other = waves(1, 2, 4), waves(50, 1, 4)
    pairs = itertools.zip_longest(
        refine(wave, wave.x, baselines=wave.b, n_steps=32, chunk_size=3),
        refine(other, other.x, baselines=other.b, n_steps=20, chunk_size=2),
    )
    ours, theirs = zip(*pairs, strict=True)
    for subject, items, n in ((wave, ours, 32), (other, theirs, 20)):
        last = [item for item in items if item is not None][-1]
        expected = attribute(subject, subject.x, baselines=subject.b, n_steps=n)
        torch.testing.assert_close(last.attributions, expected.attributions, rtol=0, atol=1e-12)


# ------------------------------------------------------------------ progress


@few
@given(batches, methods, steps, chunks, st.booleans())
def test_progress_counts_up_to_the_total(batch: int, method: str, n: int, chunk: int | None, progressive: bool) -> None:
    n = max(n, smallest(method))
    calls: list[tuple[int, int]] = []
    options = {"method": method, "n_steps": n, "chunk_size": chunk, "on_progress": lambda d, t: calls.append((d, t))}
    if progressive:
        list(refine(Scores([(4,)]), draw(1, batch, 4), **options))  # type: ignore[arg-type]
    else:
        attribute(Scores([(4,)]), draw(1, batch, 4), **options)  # type: ignore[arg-type]
    done = [d for d, _ in calls]
    assert {total for _, total in calls} == {n * batch}
    assert done == sorted(set(done))
    assert done[0] >= 1
    assert done[-1] == n * batch


def test_an_exception_in_on_progress_reaches_the_caller() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        attribute(Scores([(4,)]), draw(1, 1, 4), n_steps=8, on_progress=stop)


# ------------------------------------------------------------------ cancelling


def test_cancelled_before_the_first_sample() -> None:
    cancel = threading.Event()
    cancel.set()
    model = Counting(Scores([(4,)]))
    with pytest.raises(Cancelled, match="after 0 of 4 forward passes") as raised:
        attribute(model, draw(1, 2, 4), method="riemann_middle", n_steps=8, cancel=cancel)
    assert raised.value.partial is None
    assert model.rows == 0
    with pytest.raises(Cancelled):
        next(refine(model, draw(1, 2, 4), method="riemann_middle", n_steps=8, cancel=cancel))


@few
@given(seeds, batches, methods, st.integers(2, 40), chunks, st.data())
def test_cancelled_on_the_way(
    seed: int, batch: int, method: str, n: int, chunk: int | None, data: st.DataObject
) -> None:
    stop_after = data.draw(st.integers(1, n * batch))
    wave = waves(seed, batch, 4)
    model, cancel, reached = Counting(wave), threading.Event(), []

    def on_progress(done: int, total: int) -> None:
        reached.append(done)
        if done >= stop_after:
            cancel.set()

    options = {"baselines": wave.b, "method": method, "n_steps": n, "chunk_size": chunk}
    result = cancelled = None
    try:
        result = attribute(model, wave.x, **options, on_progress=on_progress, cancel=cancel)  # type: ignore[arg-type]
    except Cancelled as error:
        cancelled = error
    if cancelled is not None:
        partial = cancelled.partial
        assert f"after {reached[-1]} of {n * batch}" in str(cancelled)
        complete = reached[-1] // batch
        if complete == 0:
            assert partial is None
        else:
            assert isinstance(partial, Attribution)
            assert partial.evaluations == complete
            assert partial.n_steps == n
            width = float(partial.path.edges.diff(dim=1).max())
            assert ((partial.attributions - wave.exact()).abs() <= wave.slope_bound(1) * width + 1e-11).all()
    else:  # what was asked for was done before the wish to stop was looked at
        assert reached[-1] == n * batch
        assert result is not None
        assert result.evaluations == n
    # Looked at between chunks: not one more went through the model.
    assert sum(model.with_gradient) == reached[-1]


class Stages(torch.nn.Module):
    """A chain of stages, each notes that it was reached, forward and backward; the one at `stop` sets `cancel`."""

    def __init__(self, cancel: threading.Event, stop: tuple[str, int] | None) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.reached: list[tuple[str, int]] = []
        self._cancel, self._stop = cancel, stop

    def note(self, way: str, stage: int) -> None:
        if torch.is_grad_enabled() or way == "backward":
            self.reached.append((way, stage))
            if self.reached[-1] == self._stop:
                self._cancel.set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        try:
            for stage in range(4):
                self.note("forward", stage)
                x = x.exp()
                if x.requires_grad:
                    x.register_hook(lambda grad, stage=stage: self.note("backward", stage))
                x = x.sin()
        except Exception:  # noqa: BLE001  (a model that falls back to another way must not swallow the wish to stop)
            x = x * 2
        return x.sum(1)


@pytest.mark.parametrize(
    ("stop", "last"), [(("forward", 1), ("forward", 1)), (("backward", 2), ("backward", 2)), (None, ("backward", 0))]
)
def test_cancelled_in_the_middle_of_a_pass(stop: tuple[str, int] | None, last: tuple[str, int]) -> None:
    """A chunk may take a second: a layer is the most that a person waits for."""
    cancel = threading.Event()
    model = Stages(cancel, stop).eval()
    x = draw(1, 2, 4)
    if stop is None:
        attribute(model, x, method="riemann_middle", n_steps=2, chunk_size=4, cancel=cancel)
    else:
        with pytest.raises(Cancelled, match="after 0 of 4"):
            attribute(model, x, method="riemann_middle", n_steps=2, chunk_size=4, cancel=cancel)
    assert model.reached[-1] == last
    assert float(model.calls) == 0  # left as found


def test_a_partial_is_what_refine_would_have_shown() -> None:
    wave, cancel = waves(3, 2, 4), threading.Event()
    options = {"baselines": wave.b, "n_steps": 64, "chunk_size": 2}
    items = refine(wave, wave.x, **options, cancel=cancel)  # type: ignore[arg-type]
    shown = [next(items) for _ in range(4)]
    cancel.set()
    with pytest.raises(Cancelled) as raised:
        next(items)
    assert raised.value.partial is not None
    assert torch.equal(raised.value.partial.attributions, shown[-1].attributions)
    assert raised.value.partial.evaluations == shown[-1].evaluations
    with pytest.raises(StopIteration):
        next(items)


def test_an_event_that_is_never_set_changes_nothing() -> None:
    wave = waves(3, 2, 4)
    quiet = attribute(wave, wave.x, n_steps=9, chunk_size=4)
    event = attribute(wave, wave.x, n_steps=9, chunk_size=4, cancel=threading.Event())
    assert torch.equal(quiet.attributions, event.attributions)
