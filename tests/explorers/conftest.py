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
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.core import subject as subject_module
from tests.explorers.subjects import LABELS, SECONDS, Classifier, FakeComm, Watched, photo, ready

Explore = Callable[..., ImageExplorer]


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ig_widgets")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in workers():
        thread.join(SECONDS)
    assert workers() == []


@pytest.fixture
def explore(monkeypatch: pytest.MonkeyPatch) -> Iterator[Explore]:
    """Makes explorers of a small model and picture; 8 steps unless told."""
    made: list[ImageExplorer] = []
    comms: list[FakeComm] = []

    def connect(**options: Any) -> FakeComm:
        comms.append(FakeComm(**options))
        return comms[-1]

    monkeypatch.setattr(comm, "create_comm", connect)

    def make(model: Any = None, image: Any = None, **options: Any) -> ImageExplorer:
        model = Classifier() if model is None else model
        explorer = ImageExplorer(model, photo() if image is None else image, **{"n_steps": 8} | options)
        made.append(explorer)
        return explorer

    yield make
    for explorer in made:
        if isinstance(explorer._subject.model, Watched):
            explorer._subject.model.release()
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
def restore(explore: Explore, tmp_path: Path) -> Iterator[Explore]:
    """What `from_npz` makes of an explorer's file, or of a path, with a model of its own that counts."""
    made: list[ImageExplorer] = []

    def again(source: ImageExplorer | Path, model: Any = None, image: Any = None, **options: Any) -> ImageExplorer:
        path = source if isinstance(source, Path) else tmp_path / "saved.npz"
        if isinstance(source, ImageExplorer):
            source.to_npz(path)
        model = Watched() if model is None else model
        image = photo() if image is None else image
        made.append(ImageExplorer.from_npz(path, model, image, **{"labels": LABELS} | options))
        return made[-1]

    yield again
    for explorer in made:
        explorer.close()


@pytest.fixture
def saved(explore: Explore, tmp_path: Path) -> Path:
    explorer = explore(target=1, labels=LABELS, region=(2, 3, 9, 10))
    ready(explorer)
    explorer.to_npz(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"
