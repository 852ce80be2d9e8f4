"""Explorers of models that fail, are used by a cell meanwhile, or answer what cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.errors import ArgumentValueError, IGError
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.explorers.image.subject import METHODS as IMAGE_METHODS
from tests.engine.subjects import Meeting
from tests.explorers.subjects import SECONDS, Classifier, draw, panel, panes_of, photo, tasks_of

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")


# ---------------------------------------------------------------- a cell that uses the same model


class Changeable(Classifier):
    """With what a pass could change: statistics and a dropout, or hooks."""

    def __init__(self, kind: str) -> None:
        super().__init__(classes=9)
        norm = nn.BatchNorm2d(6).double()
        norm.running_mean = draw(40, 6)
        norm.running_var = draw(41, 6).abs() + 0.5
        self.between = nn.Sequential(norm, nn.Dropout(0.5)) if kind != "hooks" else nn.Identity()
        if kind == "hooks":
            self.second.register_forward_hook(lambda *_: None)
            self.last.register_forward_pre_hook(lambda _, args: (args[0] * 2,))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.between(self.first(x))))).mean((2, 3)))


def look(model: nn.Module) -> dict[str, Any]:
    """What of a model must stay."""
    found: dict[str, Any] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        found[f"{name} grad"] = parameter.grad
        found[f"{name} requires grad"] = parameter.requires_grad
    for name, module in model.named_modules():
        found[f"{name} training"] = module.training
        found[f"{name} hooks"] = [dict(module._forward_hooks), dict(module._forward_pre_hooks)]
    return found


def same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return one is other or one == other


def cell(model: nn.Module, x: Tensor) -> list[Tensor]:
    """A person's own use of the model: scores, gradients of its parameters, another explanation."""
    model.eval()
    scores = model(x)
    gradients = torch.autograd.grad(scores.square().sum(), [p for p in model.parameters() if p.requires_grad])
    explained = attribute(model, x, target=1, method="riemann_middle", n_steps=4, chunk_size=2).attributions
    return [scores.detach(), *gradients, explained]


@pytest.mark.robustness
def test_a_cell_and_an_explorer_of_the_same_model(
    explore: Callable[..., Any], chunks_of_two: None, figure: Callable[..., None]
) -> None:
    """Bit for bit, as the rows of a chunk are the same; the first pass of each is in the model with the other's."""
    x, runs, differing, changed = photo(3, height=8, width=8)[None], 0, 0, 0
    ways = ("riemann_middle", "secant", "gausslegendre", "riemann_right")
    for kind in ("batch norm and dropout", "hooks"):
        model = Meeting(Changeable(kind)).eval()
        for way in ways:
            explorer = explore(model, photo(height=8, width=8), method=way, n_steps=4)
            explorer.wait(SECONDS)
            alone, by_cell = {}, cell(model, x)
            # More paths than are kept, so that each is sampled anew.
            for target in range(9):
                explorer.target = target
                explorer.wait(SECONDS)
                alone[target] = explorer.result.attributions
            before = look(model)
            for run in range(25):
                target = 2 * run % 9
                with model.meets():
                    explorer.target = target
                    theirs = cell(model, x)
                    explorer.wait(SECONDS)
                runs += 1
                equal = torch.equal(explorer.result.attributions, alone[target])
                differing += not (equal and all(map(torch.equal, theirs, by_cell)))
                after = look(model)
                changed += sorted(before) != sorted(after) or not all(same(before[k], after[k]) for k in before)
            explorer.close()
    what = f"attributions that differ, of {runs} runs of a cell beside an explorer of the same model"
    figure(what, differing, at_most=0)
    figure(f"runs after which the model was not as found, of {runs}", changed, at_most=0)
    assert runs == 200
    assert differing == changed == 0


# ---------------------------------------------------------------- models that fail, by every method

METHODS = (*rules.METHODS, "auto", *IMAGE_METHODS.relatives)


class Moody(Classifier):
    """As it is told: well, or ill in some way from a brightness on."""

    mood = "well"

    def turn(self, mood: str) -> None:
        """Writing to a parameter tells explorers that what they have sampled is of another model."""
        self.mood = mood
        with torch.no_grad():
            self.last.bias.add_(0)

    def forward(self, x: Tensor) -> Tensor:
        scores = super().forward(x)
        ill = (x.detach().mean((1, 2, 3)) > 0.37 * photo(height=8, width=8).mean())[:, None]
        if self.mood == "well" or not bool(ill.any()):
            return scores
        if self.mood in TROUBLE:
            raise TROUBLE[self.mood]
        if self.mood == "constant":
            return scores * 0 + 1
        if self.mood == "no dependence":
            return scores.detach()
        if self.mood == "another shape":
            return scores[:, None]
        if self.mood == "slope":
            return scores + torch.where(ill, (x.sum((1, 2, 3)) * 0).sqrt()[:, None], 0.0)
        return torch.where(ill, float(self.mood), scores)


TROUBLE = {
    "ValueError": ValueError("mine"),
    "StopIteration": StopIteration("mine"),
    "MemoryError": MemoryError(),
}
MOODS = ("nan", "inf", "-inf", "slope", *TROUBLE, "no dependence", "another shape", "constant")


@pytest.mark.robustness
@pytest.mark.filterwarnings("ignore:Memory ran out", "ignore:forward_func was asked the same twice")
@pytest.mark.parametrize("method", METHODS)
def test_the_last_good_picture_stays_and_the_next_wish_is_answered(
    explore: Callable[..., Any], method: str, figure: Callable[..., None]
) -> None:
    model = Moody()
    explorer = explore(model, photo(height=8, width=8), method=method, n_steps=4)
    view = explorer.comm.open_view()
    explorer.wait(SECONDS)
    explorer.comm.settle()
    wrong = list[str]()
    for mood in MOODS:
        good = explorer.result
        model.turn(mood)
        try:
            explorer.target = (explorer.target + 1) % 5
            explorer.wait(SECONDS)
            # Not every method meets every trouble; what it then answers is finite.
            assert torch.isfinite(explorer.result.attributions).all()
        except Exception as error:  # noqa: BLE001
            explorer.comm.settle()
            assert view.ended["kind"] == "error"
            told = view.ended["message"]
            named = isinstance(error, IGError) or "the model raised" in told
            if not (named and explorer.result is good):
                wrong.append(mood)
        model.turn("well")
        explorer.target = (explorer.target + 1) % 5
        explorer.wait(SECONDS)
        explorer.comm.settle()
        assert view.ended["type"] == "done", mood
        assert torch.isfinite(explorer.result.attributions).all()
    what = f"troubles of {len(MOODS)} without a name, or without the last good result, {method}"
    figure(what, len(wrong), at_most=0)
    assert not wrong
    assert explorer.snapshot()


# ---------------------------------------------------------------- models that answer differently


class Fickle(Classifier):
    """Answers by how often it was asked, while it is fickle."""

    fickle = True
    calls = 0

    def turn(self, *, fickle: bool) -> None:
        """Writing to a parameter tells explorers that what they have sampled is of another model."""
        self.fickle = fickle
        with torch.no_grad():
            self.last.bias.add_(0)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.fickle
        return super().forward(x) * (1 + self.calls)


@pytest.mark.robustness
@pytest.mark.filterwarnings("ignore:forward_func was asked the same twice")
@pytest.mark.parametrize("method", ["riemann_trapezoid", "secant", "auto"])
def test_a_model_that_answers_differently_is_told_of_in_words_as_long_as_it_does(
    explore: Callable[..., Any], method: str
) -> None:
    model = Fickle()
    explorer = explore(model, photo(height=8, width=8), target=0, method=method, n_steps=4, tol=0.5)

    def told() -> tuple[str, int, bool]:
        explorer.wait(SECONDS)
        notice = explorer._notice
        return notice.get("text", ""), notice.get("number", 0), notice.get("lasts", False)

    text, number, lasts = told()
    assert "asked the same twice" in text
    assert (number, lasts) == (1, True)  # also to a page that opens later
    # Once for each run that has it, also where that has nothing left to sample.
    for target in (1, 2, 1):
        explorer.target = target
        number += 1
        assert "asked the same twice" in told()[0]
        assert told()[1:] == (number, True)
    model.turn(fickle=False)
    explorer.target = 3
    assert told() == ("", number + 1, False)
    explorer.target = 4
    assert told() == ("", number + 1, False)
    # What else is said is not for a run to take back.
    explorer.comm.set_traits(n_steps=0)
    explorer.target = 0
    assert "n_steps must be from 1" in told()[0]


@pytest.mark.filterwarnings("ignore:forward_func was asked the same twice")
def test_one_pane_of_two_that_doubts_is_enough(explore: Callable[..., Any]) -> None:
    """The second takes no end of its path twice."""
    explorer = explore(Fickle(), photo(height=8, width=8), method="riemann_trapezoid", n_steps=4)
    explorer.compare({"method": "riemann_middle", "baseline": "white"})
    explorer.wait(SECONDS)
    assert [bool(pane.nondeterminism) for pane in panes_of(explorer)] == [True, False]
    explorer.compare({"method": "riemann_middle", "baseline": "blur"})
    explorer.wait(SECONDS)
    assert "asked the same twice" in explorer._notice["text"]
    explorer.method = "riemann_middle"
    explorer.baseline = "mean grey"
    explorer.wait(SECONDS)
    assert explorer._notice["text"] == ""


# ---------------------------------------------------------------- exports that fail


class Refusing(Classifier):
    """Says what a picture shows, and will not be asked why."""

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            raise ValueError("mine")
        return super().forward(x)


@pytest.mark.robustness
def test_an_export_that_fails_blames_the_model_for_what_it_raised_alone(
    explore: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = explore(n_steps=4)
    explorer.wait(SECONDS)

    def said(kind: str) -> str:
        explorer.comm.hear({"type": "export", "view": "v", "kind": kind})
        assert tasks_of(explorer).wait(SECONDS)
        return str(explorer._notice["text"])

    troubles = {
        OSError(28, "No space left on device"): "OSError: [Errno 28] No space left on device",
        MemoryError(): "MemoryError: it says no more",
        ArgumentValueError("clip must be a number."): "clip must be a number.",
    }
    for error, words in troubles.items():
        for kind, name in (("png", "drawing"), ("svg", "drawing"), ("npz", "npz"), ("html", "html")):

            def fail(error: Exception = error) -> bytes:
                raise error

            with monkeypatch.context() as patch:
                patch.setattr(panel(explorer, ExportPanel), name, fail)
                assert said(kind) == f"{kind.upper()} was not made: {words}"
    # Before there is any result, an export waits for the first run.
    explorer = explore(Refusing(), n_steps=4)
    assert said("png") == "PNG was not made: the model raised ValueError: mine"
