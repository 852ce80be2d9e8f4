"""Texts of strangers in an explorer: whatever it is given by that name, it sends, writes, logs and goes on."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.classification import classify
from ig_widgets.explorers.core.error_text import describe_model_error as sentence
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.explorers.panels.baselines import BaselinePanel
from ig_widgets.files import read_npz
from ig_widgets.texts import plain, traceback_of, whole
from tests.explorers.contract.cases import IMAGE, TOY, Case
from tests.explorers.contract.test_export import Page
from tests.explorers.contract.toy import Function, point
from tests.explorers.subjects import Classifier, FakeComm, panel, panes_of, subject_of, tasks_of
from tests.hostile import CORPUS, HARMLESS, TEXTS
from tests.test_texts import UNSAFE, no_glyphs, texts_of

pytestmark = pytest.mark.robustness

Explore = Callable[..., Any]


class Naming(nn.Module):
    """Before a model's class: as many classes as there are texts; raises what it is told to for a gradient."""

    def __init__(self) -> None:
        super().__init__(classes=len(TEXTS))
        self.raises: Exception | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.raises is not None and x.requires_grad:
            raise self.raises
        return super().forward(x)


class Names(Naming, Function):
    """Of the toy."""


class NamesOfPictures(Naming, Classifier):
    """Of images."""


IMAGES = pytest.mark.parametrize("case", [IMAGE], indirect=True, ids=str)


@pytest.fixture
def explorer(explore: Explore, case: Case) -> Iterator[Any]:
    """Its labels are the texts. All that it has sent can be sent: Jupyter writes JSON in UTF-8."""
    model = NamesOfPictures() if case is IMAGE else Names()
    made = explore(model, labels=list(TEXTS), n_steps=2, method="riemann_middle", target=0)
    made.comm.open_view()
    made.wait()
    yield made
    made.wait()
    comm = made.comm
    assert isinstance(comm, FakeComm)
    comm.settle()
    for content in (*comm.custom, made.get_state()):
        json.dumps(content, ensure_ascii=False, default=repr).encode()


def each(explorer: Any) -> Iterator[str]:
    """One class after the other; baselines are named as they are."""
    for index, text in enumerate(TEXTS):
        explorer.target = index
        explorer.wait()
        yield text


def test_labels_are_shown_and_found(explorer: Any) -> None:
    assert list(explorer._labels) == [whole(text) for text in TEXTS]
    for index, text in enumerate(each(explorer)):
        assert subject_of(explorer).classifier.classes.index(text) == TEXTS.index(text)
        made = repr(explorer)
        assert not UNSAFE.search(made)
        assert len(made) < 600
        name = subject_of(explorer).classifier.classes.name(index)
        assert name == (whole(text) if text.strip() else f"class {index}")
        assert json.loads(json.dumps(explorer.comm.custom[-1])) == explorer.comm.custom[-1]


def test_html_holds_them_as_data(explorer: Any, explore: Explore) -> None:
    harmless = explore(Names(), labels=list(HARMLESS), n_steps=2, method="riemann_middle", target=0)
    usual = Page(str(harmless.to_html()))
    for index, _ in enumerate(each(explorer)):
        text = str(explorer.to_html())
        page = Page(text)
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in usual.tags]
        assert [set(attributes) for _, attributes in page.tags] == [set(attributes) for _, attributes in usual.tags]
        recording = json.loads(page.texts["recording"])
        assert recording["traits"]["_labels"] == list(explorer._labels)
        assert recording["paths"][0]["begin"]["target_name"] == subject_of(explorer).classifier.classes.name(index)
        assert not re.search("[<>&\u2028\u2029]", page.texts["recording"])
        heading = html.unescape(re.findall("<h1><bdi>(.*)</bdi></h1>", text)[0])
        assert heading == f"{plain(subject_of(explorer).classifier.classes.name(index), 60)} · Integrated Gradients"
        assert not UNSAFE.search(text.replace(page.texts["script"], "").replace("\n", ""))
        text.encode()


@no_glyphs
@IMAGES
def test_svg_holds_them_as_text(explorer: Any) -> None:
    # Three at once: the class, the class that a margin is over, and a baseline.
    explorer.output = "margin"
    for at in range(0, len(TEXTS), 8):

        def make(x: Tensor) -> Tensor:
            return x * 0

        make.__name__ = TEXTS[(at + 2) % len(TEXTS)]
        classes = subject_of(explorer).classifier.classes
        object.__setattr__(classes, "scores", torch.eye(len(TEXTS), dtype=torch.float64)[(at + 1) % len(TEXTS)])
        explorer.target, explorer.baseline = at, make
        explorer.wait()
        said = " ".join(texts_of(panel(explorer, ExportPanel).drawing().svg().decode()))
        assert plain(classes.name(at), 60)[:12].strip() in said
        # Brackets part the lines of a caption.
        over = plain(f"margin over {classes.name((at + 1) % len(TEXTS))}", 60)
        assert all(word in said for word in over.split()[:-1])
        assert not UNSAFE.search(said)


@no_glyphs
@IMAGES
@pytest.mark.parametrize(
    "name",
    ["svg script", "NUL", "ANSI", "all isolates", "right-to-left words", "halves in the wrong order", "no characters",
     "10 kB of marks", "10 kB of lines", "broken mathtext", "emoji", "blanks"],
)  # fmt: skip
def test_snapshots_show_them(explorer: Any, name: str) -> None:
    index = list(CORPUS).index(name)
    explorer.target = index
    data, _ = explorer._repr_mimebundle_()
    assert "image/png" in data
    json.dumps(data, ensure_ascii=False).encode()


def test_npz_holds_them_as_data(explorer: Any, tmp_path: Path) -> None:
    for index, _ in enumerate(each(explorer)):
        explorer.to_npz(tmp_path / "a.npz")
        _, settings = read_npz(tmp_path / "a.npz")
        assert settings["target_name"] == subject_of(explorer).classifier.classes.name(index)


# ---------------------------------------------------------------- baselines


def test_functions_of_any_name_are_baselines(explorer: Any) -> None:
    names = []
    for i, text in enumerate(TEXTS):

        def make(x: Tensor, level: float = i / 99) -> Tensor:
            return torch.full_like(x, level)

        make.__name__ = text
        explorer.baseline = make
        names.append(explorer.baseline)
        assert explorer.baseline in explorer._baselines
        explorer.wait()
    assert len(set(names)) == len(TEXTS)
    for name in names:
        assert 0 < len(name) < 90
        assert not UNSAFE.search(name)
        # What is shown can be asked for.
        explorer.baseline = name
        assert explorer.baseline == name
    cards = explorer.gallery()
    assert not UNSAFE.search(repr(cards).replace("\n", ""))
    panel(explorer, BaselinePanel)._show_cards()
    assert len(explorer._cards) == len(names) + len(TOY.baselines)


@IMAGES
def test_files_of_any_name_are_baselines_or_refused_in_words(explorer: Any) -> None:
    picture = subject_of(explorer).baselines.card("white", torch.ones(5), 0.0, str).thumbnail
    for text in TEXTS:
        name = text[:1000]
        explorer.comm.hear({"type": "upload", "view": "a view", "name": name}, [picture])
        assert tasks_of(explorer).wait(30)
        if not protocol.is_text(name):  # halves of surrogate pairs, which no name of a file can hold
            assert explorer.baseline == "black"
            continue
        assert explorer.baseline not in ("black", "white")
        assert not UNSAFE.search(explorer.baseline)
        explorer.baseline = "black"
        before = explorer._notice.get("number", 0)
        explorer.comm.hear({"type": "upload", "view": "a view", "name": name}, [b"no picture"])
        assert tasks_of(explorer).wait(30)
        said = explorer._notice["text"]
        assert explorer._notice["number"] == before + 1
        assert re.search(r"\S is no picture that can be read", said)
        assert not UNSAFE.search(said)
        assert len(said) < 400


# ---------------------------------------------------------------- errors and logs


def test_errors_of_any_text_are_told_and_logged_on_one_line(explorer: Any, caplog: pytest.LogCaptureFixture) -> None:
    model: Any = subject_of(explorer).model
    for i, text in enumerate(TEXTS):
        model.raises = RuntimeError(text)
        model.raises.add_note(text)
        caplog.clear()
        explorer.n_steps = 3 + i
        with pytest.raises(RuntimeError) as raised:
            explorer.wait()
        # The session gets the model's own; what is told is made fit.
        assert raised.value is model.raises
        explorer.comm.settle()
        told = explorer.comm.custom[-1]
        assert (told["type"], told["kind"]) == ("failed", "error")
        assert told["message"].startswith("the model raised RuntimeError: ")
        (line,) = caplog.messages
        for said in (told["message"], told["hint"], line):
            assert not UNSAFE.search(said)
            assert "\n" not in said
            assert len(said) < 1100
    model.raises = None
    explorer.n_steps = 2
    explorer.wait()
    assert explorer.comm.custom[-1]["type"] == "done"


def test_a_traceback_keeps_its_lines_and_gives_a_terminal_no_orders(
    explorer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        for text in TEXTS:

            def fail(text: str = text) -> None:
                raise RuntimeError(text)

            tasks_of(explorer).submit("fail", fail)
            assert tasks_of(explorer).wait(30)
            panes_of(explorer)[0]._worker.submit(lambda _cancel, fail=fail: fail())
            assert panes_of(explorer)[0].wait(30)
    assert len(caplog.messages) == 2 * len(TEXTS)
    for said in caplog.messages:
        assert "in fail\n" in said
        assert not UNSAFE.search(said.replace("\n", ""))
    assert all(record.exc_info is None for record in caplog.records)


def test_an_error_that_has_no_text_is_told_too(explorer: Any) -> None:
    class MuteError(ValueError):
        def __str__(self) -> str:
            raise KeyError

    MuteError.__name__ = CORPUS["ANSI"]
    error = MuteError()
    error.__notes__ = [1, None]  # type: ignore[list-item]
    assert sentence(error) == f"the model raised {plain(CORPUS['ANSI'])}: an error whose text raises KeyError"
    assert traceback_of(error)
    model: Any = subject_of(explorer).model
    model.raises = error
    explorer.n_steps = 5
    with pytest.raises(MuteError):
        explorer.wait()
    explorer.comm.settle()
    assert explorer.comm.custom[-1]["hint"].startswith("1 None The model raised this ")
    model.raises = None
    explorer.n_steps = 2


def test_a_label_that_is_none_is_named_shortly() -> None:
    with pytest.raises(Exception, match=f"is none of the {len(TEXTS)} labels") as raised:
        classify(Names(), point()[None], TEXTS).index("x" * 10_000 + "y")
    assert len(str(raised.value)) < 200
