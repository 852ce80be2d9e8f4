"""Explorers that are closed when a test ends, and whose messages it can read."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comm
import pytest

from ig_widgets.engine.attribution import make_samples
from ig_widgets.explorers.core import subject as subject_module
from tests.explorers.contract.cases import IMAGE, Case
from tests.explorers.subjects import LABELS, SECONDS, FakeComm, Watching, ready, subject_of

Explore = Callable[..., Any]


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ig_widgets")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in workers():
        thread.join(SECONDS)
    assert workers() == []


@pytest.fixture
def case() -> Case:
    """Which explorer the fixtures make."""
    return IMAGE


@pytest.fixture
def explore(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[Explore]:
    """Makes explorers of a small model and input; 8 steps unless told."""
    made: list[Any] = []
    comms: list[FakeComm] = []

    def connect(**options: Any) -> FakeComm:
        comms.append(FakeComm(**options))
        return comms[-1]

    monkeypatch.setattr(comm, "create_comm", connect)

    def make(model: Any = None, inputs: Any = None, **options: Any) -> Any:
        model = case.model() if model is None else model
        explorer = case.explorer(model, case.inputs() if inputs is None else inputs, **{"n_steps": 8} | options)
        made.append(explorer)
        return explorer

    yield make
    for explorer in made:
        if isinstance(subject_of(explorer).model, Watching):
            subject_of(explorer).model.release()
        explorer.close()
    for thread in workers():
        thread.join(SECONDS)
    for wire in comms:
        wire.shut()
    for trouble in (error for wire in comms for error in wire.trouble):
        raise trouble


@pytest.fixture
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of each path first, and then two at a time, however fast the machine is."""

    def fixed(*args: Any, **options: Any) -> Any:
        return make_samples(*args, **options | {"chunks": None, "chunk_size": 2})

    monkeypatch.setattr(subject_module, "make_samples", functools.wraps(make_samples)(fixed))


@pytest.fixture
def restore(case: Case, explore: Explore, tmp_path: Path) -> Iterator[Explore]:
    """What `from_npz` makes of an explorer's file, or of a path, with a model of its own that counts."""
    made: list[Any] = []

    def again(source: Any, model: Any = None, inputs: Any = None, **options: Any) -> Any:
        path = source if isinstance(source, Path) else tmp_path / "saved.npz"
        if not isinstance(source, Path):
            source.to_npz(path)
        model = case.watched() if model is None else model
        inputs = case.inputs() if inputs is None else inputs
        made.append(case.explorer.from_npz(path, model, inputs, **{"labels": LABELS} | options))
        return made[-1]

    yield again
    for explorer in made:
        explorer.close()


@pytest.fixture
def saved(explore: Explore, tmp_path: Path) -> Path:
    """The file of an explorer."""
    explorer = explore(target=1, labels=LABELS)
    ready(explorer)
    explorer.to_npz(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"
