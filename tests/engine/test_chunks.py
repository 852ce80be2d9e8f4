"""The search for a chunk size, with timings and memory told instead of measured."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ig_widgets.engine import chunks
from ig_widgets.engine.attribution import attribute, make_samples
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.errors import OutOfMemoryError
from tests.engine.subjects import Scores, draw, few

CPU = torch.device("cpu")
CUDA = torch.device("cuda")
GIB = 2**30
Seconds = Callable[[int], float]


@pytest.fixture(autouse=True)
def _plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "free_memory", lambda device: 64 * GIB)


def settle(chunk: ChunkSize, seconds: Seconds, *, row_bytes: int = 1000, chunks_run: int = 40) -> list[int]:
    """The sizes chosen while a model takes `seconds(rows)` and saves `row_bytes` a row."""
    sizes = []
    for _ in range(chunks_run):
        rows = chunk.rows
        sizes.append(rows)
        chunk.record(rows, seconds(rows), rows * row_bytes if chunk.wants_memory else None)
    return sizes


def started(seconds: Seconds) -> ChunkSize:
    chunk = ChunkSize(None, CPU, 1000)
    chunk.start(seconds(1) / 3)
    return chunk


def test_it_grows_while_it_pays() -> None:
    """A large fixed cost a call: 10 ms, and a row is nearly free."""
    seconds: Seconds = lambda rows: 0.010 + 1e-5 * rows  # noqa: E731
    sizes = settle(started(seconds), seconds)
    assert seconds(sizes[-1]) / sizes[-1] <= 1.1 * 1e-5


def test_it_falls_back_when_the_caches_are_left() -> None:
    """Beyond 16 rows a row becomes twice as dear."""
    seconds: Seconds = lambda rows: 0.002 * rows * (2 if rows > 16 else 1) + 0.0005  # noqa: E731
    sizes = settle(started(seconds), seconds)
    assert max(sizes) > 16
    assert sizes[-1] <= 16
    assert seconds(sizes[-1]) / sizes[-1] == min(seconds(rows) / rows for rows in sizes)


def test_a_first_guess_beyond_the_caches_is_taken_back() -> None:
    """Not slower than the best fixed size by more than a fifth, also where the first guess is too large already."""
    seconds: Seconds = lambda rows: 0.002 * rows * (2 if rows > 16 else 1) + 0.0005  # noqa: E731
    chunk, other = ChunkSize(None, CPU, 1000), ChunkSize(None, CPU, 8000)
    settle(other, lambda rows: 0.0005 + 0.0005 * rows)
    other.lend(chunk)
    assert chunk.rows > 16
    last = settle(chunk, seconds)[-1]
    assert seconds(last) / last <= 1.2 * min(seconds(rows) / rows for rows in range(1, 257))


@few
@given(
    st.floats(1e-5, 0.05),
    st.floats(1e-6, 0.05),
    st.one_of(st.none(), st.integers(4, 4096)),
    st.floats(1.3, 4),
)
def test_a_settled_size_is_within_a_fifth_of_the_best_tried(
    fixed: float, row: float, cache: int | None, dearer: float
) -> None:
    def seconds(rows: int) -> float:
        return fixed + row * rows * (dearer if cache is not None and rows > cache else 1)

    sizes = settle(started(seconds), seconds)
    assert len(set(sizes[-10:])) == 1
    assert seconds(sizes[-1]) / sizes[-1] <= 1.2 * min(seconds(rows) / rows for rows in sizes)


@few
@given(st.floats(1e-5, 0.05), st.floats(1e-6, 0.05))
def test_a_chunk_stays_short_enough_to_answer_cancel(fixed: float, row: float) -> None:
    """At most about two seconds a chunk, where one row takes less."""

    def seconds(rows: int) -> float:
        return fixed + row * rows

    assert max(seconds(rows) for rows in settle(started(seconds), seconds)) <= 2.0


def test_chunks_that_are_not_quite_full_teach() -> None:
    """Cells that share no ends leave the last row of a chunk empty, each time."""
    chunk = started(lambda rows: 0.001 + 1e-5 * rows)
    for _ in range(40):
        rows = max(1, chunk.rows - 1)
        chunk.record(rows, 0.001 + 1e-5 * rows, None)
    assert chunk.rows >= 512


def test_a_large_batch_of_a_small_model_finds_its_size_in_a_first_run() -> None:
    """Rows that cost a microsecond, twice that beyond 4096: the search costs a fifth of 100,000 of them at most."""

    def seconds(rows: int) -> float:
        return 0.0005 + 1e-6 * rows * (2 if rows > 4096 else 1)

    chunk, left, spent = started(seconds), 100_000, 0.0
    while left > 0:
        rows = min(chunk.rows, left)
        spent += seconds(rows)
        chunk.record(rows, seconds(rows), None)
        left -= rows
    assert spent <= 1.2 * 100_000 * seconds(4096) / 4096


def test_one_hiccup_of_the_clock_does_not_freeze_a_chunk_that_is_too_small() -> None:
    """On a busy machine a single chunk may take twice its time; at most 20% slower than the best size is promised."""

    def true(rows: int) -> float:
        return 0.010 + 1e-4 * rows

    for hiccup in range(4):
        chunk = started(true)
        for k in range(40):
            rows = chunk.rows
            chunk.record(rows, true(rows) * (10 if k == hiccup else 1), rows * 1000 if chunk.wants_memory else None)
        best = 1e-4
        assert true(chunk.rows) / chunk.rows <= 1.2 * best, f"hiccup in chunk {hiccup}"


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_fixed_stays_fixed(device: torch.device) -> None:
    chunk = ChunkSize(7, device, 1000)
    assert not chunk.wants_memory
    chunk.start(1e-6)
    assert settle(chunk, lambda rows: 1e-6 * rows) == [7] * 40
    assert settle(chunk, lambda rows: 10.0 * rows) == [7] * 40


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("row_bytes", [10**6, 10**8, 10**9])
def test_it_stays_within_memory(device: torch.device, row_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 4 * GIB
    monkeypatch.setattr(chunks, "free_memory", lambda device: free)
    chunk = ChunkSize(None, device, 1000)
    chunk.start(1e-6)
    sizes = settle(chunk, lambda rows: 1e-6 * rows, row_bytes=row_bytes)
    assert all(rows * row_bytes <= free for rows in sizes[1:])  # the first measures
    assert sizes[-1] >= 1
    assert not chunk.wants_memory


def test_a_row_that_fills_the_memory_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "free_memory", lambda device: GIB)
    chunk = ChunkSize(None, CPU, 10 * GIB)
    assert chunk.rows == 1
    assert settle(chunk, lambda rows: 1e-6, row_bytes=10 * GIB)[-1] == 1


def test_memory_that_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "free_memory", lambda device: None)
    chunk = ChunkSize(None, CPU, 1000)
    chunk.start(1e-6)
    assert 1 <= settle(chunk, lambda rows: 1e-6 * rows)[-1] <= 100_000


def test_an_accelerator_is_filled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = ChunkSize(None, CUDA, 1000)
    sizes = settle(chunk, lambda rows: 0.001, row_bytes=2 * 10**6)
    assert sizes[1] > 1000
    assert len(set(sizes[1:])) == 1


@pytest.mark.parametrize(
    ("input_bytes", "row_bytes", "free", "guess", "rows"),
    [
        pytest.param(602_112, 110 * 10**6, 139 * GIB, 64, 64, id="ResNet-50 on 139 GiB"),
        pytest.param(602_112, 600 * 10**6, 99 * GIB, 64, 64, id="ViT-B without fused attention on 99 GiB"),
        pytest.param(602_112, 110 * 10**6, 24 * GIB, 32, 64, id="ResNet-50 on 24 GiB"),
        pytest.param(256, 4096, 8 * GIB, 10_000, 65_535, id="a small MLP"),
    ],
)
def test_an_accelerator_takes_the_whole_path_at_once_where_it_fits(
    input_bytes: int, row_bytes: int, free: int, guess: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first chunk the memory is guessed, later it is known; a pass takes about twice what it saves."""
    monkeypatch.setattr(chunks, "free_memory", lambda device: free)
    assert 2 * rows * row_bytes < free
    chunk = ChunkSize(None, CUDA, input_bytes)
    assert chunk.rows >= guess
    chunk.record(guess, 0.1, guess * row_bytes)
    assert chunk.rows >= rows


def test_an_accelerator_is_filled_anew_in_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other models come and go there; where memory ran out it is believed no more."""
    free = [8 * GIB]
    monkeypatch.setattr(chunks, "free_memory", lambda device: free[0])
    chunk = ChunkSize(None, CUDA, 1000)
    chunk.record(10, 0.1, 10 * 10**8)
    sizes = []
    for free[0] in (GIB, 64 * GIB, 8 * GIB):
        chunk.resume()
        sizes.append(chunk.rows)
        assert 2 * chunk.rows * 10**8 < free[0]
    assert sizes[1] > 4 * sizes[2] > 4 * sizes[0]
    with pytest.warns(RuntimeWarning):
        chunk.halve(8)
    free[0] = 64 * GIB
    chunk.resume()
    assert chunk.rows == 4


def test_chunks_of_other_sizes_teach_nothing() -> None:
    """The last rows of a run, or the first few for someone who waits, say little of the fixed cost."""
    chunk = ChunkSize(None, CPU, 1000)
    chunk.start(0.0001)
    rows = chunk.rows
    assert rows > 6
    chunk.record(3, 5.0, 3000)
    assert chunk.rows == rows


@pytest.mark.parametrize("fixed", [None, 64])
def test_halving_warns_and_holds(fixed: int | None) -> None:
    chunk = ChunkSize(fixed, CPU, 1000)
    with pytest.warns(Warning, match=r"Memory ran out with 64 rows in the model at once; going on with 32"):
        chunk.halve(64)
    assert chunk.rows == 32
    assert not chunk.wants_memory
    assert set(settle(chunk, lambda rows: 1e-6 * rows)) == {32}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunk.halve(3)
    assert chunk.rows == 1
    with pytest.raises(OutOfMemoryError, match="single row"):
        chunk.halve(1)


# ------------------------------------------------------------------ remembered


def test_what_was_learnt_of_a_model_is_known_at_the_next_call() -> None:
    model, other, x = Scores([(4,)]), Scores([(4,)]), draw(1, 2, 4)

    def of(function: object, inputs: Tensor, **options: object) -> ChunkSize:
        return make_samples(function, inputs, **options).sampler.chunks  # type: ignore[arg-type]

    first = of(model, x)
    assert of(model, draw(2, 3, 4)) is first  # a batch of another size, rows of the same shape
    assert of(model, x.view(2, 2, 2)) is not first
    assert of(other, x) is not first
    assert of(model, x, chunk_size=3) is not first
    assert of(model.forward, x).rows >= 1  # a bound method is another object each time
    watched = weakref.ref(first)
    del first, model
    gc.collect()
    assert watched() is None


def test_a_slow_start_is_not_remembered_for_good() -> None:
    chunk = ChunkSize(None, CPU, 100)
    chunk.start(1.0)
    settle(chunk, lambda rows: 0.9 * rows)
    assert chunk.rows == 1
    chunk.resume()
    settle(chunk, lambda rows: 0.05 + 0.01 * rows)
    assert chunk.rows >= 8


def test_what_was_learnt_serves_other_shapes() -> None:
    """A model of texts is asked at many lengths: rows of half the size come twice as many at a time."""

    def model(at: Tensor) -> Tensor:
        return at.square().sum(1)

    known = make_samples(model, draw(1, 2, 4)).sampler.chunks
    settle(known, lambda rows: 0.01 + 1e-5 * rows)
    assert make_samples(model, draw(1, 2, 2)).sampler.chunks.rows == 2 * known.rows


def test_cells_and_points_are_learnt_apart() -> None:
    model, x = Scores([(4,)]), draw(1, 2, 4)
    attribute(model, x, method="riemann_middle", n_steps=200)
    points = make_samples(model, x).sampler.chunks.row_seconds
    assert points < float("inf")
    attribute(model, x, method="secant", n_steps=200)
    assert make_samples(model, x).sampler.chunks.row_seconds == points


def test_a_model_that_cannot_be_remembered() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, at: Tensor) -> Tensor:
            return at.sum(1)

    assert attribute(Unhashable(), draw(1, 2, 4)).converged
