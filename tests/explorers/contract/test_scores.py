"""What a model's scores mean, and that all that is said of them agrees; oracles are computed by hand."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
import traitlets
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, OutputError
from ig_widgets.explorers.core.classification import Classifier
from ig_widgets.explorers.core.scores import step_of
from tests.explorers.contract.toy import Function, point
from tests.explorers.subjects import SECONDS, ready, subject_of

AT = point()[None]
LOGITS = Function()(AT)[0].detach()


class Ending(nn.Module):
    """`Function`, and what comes after it."""

    def __init__(self, end: Any, **options: Any) -> None:
        super().__init__()
        self.inner, self.end = Function(**options), end
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.end(self.inner(x))


def meaning(explorer: Any) -> tuple[str, str, bool]:
    scores = explorer._scores
    return scores["kind"], explorer._outputs[0], scores["assumed"]


KNOWN = {
    "soft-max module": (nn.Softmax(1), ("softmax", "probability", False)),
    "soft-max function": (lambda y: y.softmax(-1), ("softmax", "probability", False)),
    "log-soft-max module": (nn.LogSoftmax(1), ("softmax", "log-probability", False)),
    "sigmoid module": (nn.Sigmoid(), ("sigmoid", "probability", False)),
    "sigmoid function": (lambda y: torch.sigmoid(y), ("sigmoid", "probability", False)),
    "sigmoid, then moved": (lambda y: y.sigmoid().flip(1)[:, :, None].squeeze(2), ("sigmoid", "probability", False)),
    "two heads": (lambda y: torch.cat([y[:, :2].sigmoid(), y[:, 2:].sigmoid()], 1), ("sigmoid", "probability", False)),
    "logits": (nn.Identity(), ("softmax", "logit", True)),
    "numbers between 0 and 1": (lambda y: y / 1e3 + 0.5, ("softmax", "logit", True)),
    "one logit": (lambda y: y[:, :1], ("raw", "value", True)),
    "one number between 0 and 1": (lambda y: y[:, :1] / 1e3 + 0.5, ("raw", "value", True)),
    "one sigmoid": (lambda y: y[:, :1].sigmoid(), ("sigmoid", "probability", False)),
    "a number each": (lambda y: y[:, 0], ("raw", "value", True)),
    "a probability each": (lambda y: y[:, 0].sigmoid(), ("sigmoid", "probability", False)),
    "one number in all": (lambda y: y[:, 0].squeeze(), ("raw", "value", True)),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_what_scores_mean_is_taken_from_what_made_them_and_what_is_assumed_is_said(explore: Any, name: str) -> None:
    end, expected = KNOWN[name]
    explorer = explore(Ending(end), n_steps=4)
    assert meaning(explorer) == expected
    assert ("give scores=" in explorer._scores["said"]) == expected[2]
    result = ready(explorer)
    returned = Ending(end)(AT).detach().reshape(-1)
    assert float(result.output) == pytest.approx(float(returned.max()), rel=1e-6)


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.Softmax(1), nn.LogSoftmax(1)], ids=lambda end: type(end).__name__)
def test_a_script_says_it_too(explore: Any, end: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.script(nn.Sequential(nn.Linear(2, 5).double(), end).eval())
    wanted = {"Sigmoid": "sigmoid"}.get(type(end).__name__, "softmax")
    for _ in range(3):
        assert explore(model, n_steps=2)._scores["kind"] == wanted


def test_the_step_that_made_numbers_is_found_behind_what_only_moves_them() -> None:
    x = torch.rand(2, 3, requires_grad=True)
    assert step_of(x.sigmoid().view(3, 2).T[None].expand(2, 2, 3)) == "Sigmoid"
    assert step_of(x.softmax(1)) == "Softmax"
    assert step_of(x.log_softmax(1)) == "LogSoftmax"
    for other in (x.sigmoid() * 2, nn.functional.logsigmoid(x), x, x.detach(), torch.cat([x.sigmoid(), x.exp()])):
        assert step_of(other) == ""


# ---------------------------------------------------------------- scores that are said


GIVEN = {
    ("softmax", "logits"): (lambda y: y, LOGITS.softmax(0), ["logit", "probability", "log-probability", "margin"]),
    ("softmax", "probabilities"): (
        lambda y: y.softmax(1), LOGITS.softmax(0), ["probability", "log-probability", "margin"]),
    ("softmax", "log-probabilities"): (
        lambda y: y.log_softmax(1), LOGITS.softmax(0), ["log-probability", "probability", "margin"]),
    ("sigmoid", "logits"): (lambda y: y, LOGITS.sigmoid(), ["logit", "probability"]),
    ("sigmoid", "probabilities"): (lambda y: y.sigmoid(), LOGITS.sigmoid(), ["probability"]),
    ("sigmoid", "a logit between 0 and 1"): (
        lambda y: y / 1e3 + 0.5, (LOGITS / 1e3 + 0.5).sigmoid(), ["logit", "probability"]),
    ("raw", "numbers"): (lambda y: y, LOGITS, ["value"]),
    ("raw", "probabilities"): (lambda y: y.softmax(1), LOGITS.softmax(0), ["value"]),
}  # fmt: skip


@pytest.mark.parametrize(("scores", "of"), GIVEN, ids=str)
def test_scores_that_are_given_make_percentages_and_readings(explore: Any, scores: str, of: str) -> None:
    end, shares, readings = GIVEN[scores, of]
    explorer = explore(Ending(end), scores=scores, n_steps=4, target=2)
    assert explorer._outputs == readings
    assert explorer.output == readings[0]
    assert not explorer._scores["assumed"]
    order = shares.argsort(descending=True)[:5].tolist()
    assert [index for index, _ in explorer._top] == order
    assert [share for _, share in explorer._top] == pytest.approx(shares[order].tolist(), rel=1e-6)
    for reading in readings:
        explorer.output = reading
        result = ready(explorer)
        expected = {
            "logit": end(LOGITS[None])[0],
            "value": end(LOGITS[None])[0],
            "probability": shares,
            "log-probability": shares.log(),
            "margin": end(LOGITS[None])[0] - max(v for i, v in enumerate(end(LOGITS[None])[0]) if i != 2),
        }[reading]
        assert float(result.output) == pytest.approx(float(expected[2]), rel=1e-6, abs=1e-9)
        assert result.complete
    with pytest.raises(traitlets.TraitError, match="output must be one of"):
        explorer.output = "value" if scores != "raw" else "probability"


def test_a_single_logit_is_a_sigmoid_where_that_is_said(explore: Any) -> None:
    """54%, say, and not 100%."""
    model = Ending(lambda y: y[:, :1] / LOGITS[0] * 0.16)
    logit = float(model(AT).detach())
    assert round(1 / (1 + math.exp(-logit)), 2) == 0.54
    explorer = explore(model, scores="sigmoid", n_steps=4)
    assert explorer._outputs == ["logit", "probability"]
    assert explorer._top == [[0, pytest.approx(1 / (1 + math.exp(-logit)))]]
    for card in explorer.gallery():
        at = {"zeros": 0.0, "ones": 1.0, "halves": 0.5, "minus ones": -1.0}.get(card.name)
        if at is not None:
            wanted = 1 / (1 + math.exp(-float(model(torch.full_like(AT, at)).detach())))
            assert card.top == (("output", pytest.approx(wanted)),)
        assert card.most_entropy == 0
        assert "entropy" not in repr(card)
    explorer.output = "probability"
    assert float(ready(explorer).output) == pytest.approx(1 / (1 + math.exp(-logit)))


def test_two_labels_of_one_output_are_no_and_yes(explore: Any) -> None:
    for labels in (["benign", "malignant"], {0: "benign", 1: "malignant"}, {"benign": 0, "malignant": 1}):
        explorer = explore(Ending(lambda y: y[:, :1]), labels=labels)
        assert meaning(explorer) == ("sigmoid", "logit", False)
        assert repr(explorer).startswith("ToyExplorer('malignant'")
        explorer.wait(SECONDS)


def test_raw_scores_have_no_percentages_anywhere(explore: Any) -> None:
    for end in (lambda y: y[:, 0], lambda y: y[:, :3]):
        explorer = explore(Ending(end), scores="raw", n_steps=4)
        view = explorer.comm.open_view()
        result = ready(explorer)
        explorer.comm.settle()
        values = end(LOGITS[None]).reshape(-1)
        assert [value for _, value in explorer._top] == pytest.approx(sorted(values.tolist(), reverse=True))
        assert view.begin["output_name"] == "value"
        assert view.begin["target_name"].startswith("output")
        assert all(not card.top and card.is_neutral and not card.most_entropy for card in explorer.gallery())
        assert "%" not in repr(explorer) + repr(explorer.gallery()) + explorer._scores["said"]
        assert float(result.output) == pytest.approx(float(values.max()))


def test_cards_and_lists_say_the_same_of_several_sigmoids(explore: Any) -> None:
    explorer = explore(scores="sigmoid", labels=list("abcde"), baseline="ones")
    at_ones = Function()(torch.ones_like(AT))[0].detach()
    card = next(card for card in explorer.gallery() if card.name == "ones")
    order = at_ones.argsort(descending=True)[:3].tolist()
    assert card.top == tuple(("abcde"[i], pytest.approx(float(at_ones[i].sigmoid()))) for i in order)
    assert card.is_neutral == (float(at_ones.max().sigmoid()) <= 0.5)
    assert sum(share for _, share in explorer._top) != pytest.approx(1)
    explorer.wait(SECONDS)


@pytest.mark.parametrize(
    ("scores", "error", "says"),
    [
        ("odds", ArgumentValueError, r"^scores must be 'softmax' .*got 'odds'"),
        (3, ArgumentTypeError, r"^scores must be .*got int"),
    ],
    ids=str,
)
def test_scores_that_are_none(explore: Any, scores: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        explore(scores=scores)


def test_the_soft_max_of_one_output_is_refused(explore: Any) -> None:
    with pytest.raises(ArgumentValueError, match=r"^scores='softmax' is for two classes or more.*give 'sigmoid'"):
        explore(Ending(lambda y: y[:, :1]), scores="softmax")


def test_a_model_that_takes_one_row_at_a_time_has_cards(explore: Any) -> None:
    explorer = explore(Ending(lambda y: y[:1]), scores="raw")
    assert len(explorer.gallery()) == 5
    explorer.wait(SECONDS)


# ---------------------------------------------------------------- which tensor


class Several(nn.Module):
    """Returns what it is told to, of scores and twice these."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.inner, self.form = Function(), form
        self.eval()

    def forward(self, x: Tensor) -> Any:
        y = self.inner(x)
        return self.form(y, 2 * y)


class Record:
    def __init__(self, y: Tensor, aux: Tensor) -> None:
        self.y, self.aux = y, aux


TENSORS = {
    "key": (lambda y, aux: {"y": y, "aux": aux}, "aux"),
    "attribute": (Record, "aux"),
    "position": (lambda y, aux: (y, aux), 1),
    "last position": (lambda y, aux: [y, aux], 1),
    "path": (lambda y, aux: {"heads": [y, aux]}, ("heads", 1)),
    "callable": (lambda y, aux: (y, aux), lambda returned: returned[1]),
    "logits": (lambda y, aux: {"loss": y, "logits": aux}, None),
    "a key that is called as a reading": (lambda y, aux: {"margin": aux, "y": y}, ("margin",)),
}


@pytest.mark.parametrize("name", TENSORS)
def test_output_picks_a_tensor_as_the_engine_does(explore: Any, restore: Any, name: str) -> None:
    form, output = TENSORS[name]
    model = Several(form)
    explorer = explore(model, output=output, target=3, baseline="ones")
    result = ready(explorer)
    exact = igw.attribute(
        model, AT, baselines=1.0, target=3, output=output, method="riemann_middle", n_steps=8
    ).attributions
    torch.testing.assert_close(result.attributions, exact, rtol=1e-9, atol=1e-12)
    assert explorer.output == "logit"
    assert next(card for card in explorer.gallery() if card.name == "zeros").output == pytest.approx(
        float(2 * Function()(0 * AT)[0, 3].detach())
    )
    again = restore(explorer, Several(form), output=output, labels=None)
    assert again.result is not None
    torch.testing.assert_close(again.result.attributions, result.attributions, rtol=1e-3, atol=1e-5)
    assert subject_of(again).classifier.meaning.select == output


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("odds", r"^output='odds' asks for 'odds' of a tensor \(1, 5\).*Readings .* are logit, probability"),
        (4, r"^output=4 asks for 4 of a tensor"),
        (lambda returned: 3, r"^output must pick a tensor"),
    ],
    ids=["text", "position", "callable"],
)  # fmt: skip
def test_output_that_is_neither_tensor_nor_reading(explore: Any, output: Any, says: str) -> None:
    with pytest.raises(OutputError, match=says):
        explore(output=output)
    with pytest.raises(ArgumentTypeError, match=r"^output must be None, a key or attribute"):
        explore(output=1.5)


def test_what_scores_mean_is_not_guessed_anew_for_another_input() -> None:
    classifier = Classifier(Function(), AT, list("abcde"), scores="sigmoid")
    other = classifier.of(torch.full_like(AT, 0.25))
    assert other.meaning.scores is classifier.meaning.scores
    assert other.meaning.labels is classifier.meaning.labels
    at = Function()(torch.full_like(AT, 0.25))[0].detach()
    assert other.classes.top[0] == (int(at.argmax()), pytest.approx(float(at.max().sigmoid())))
    # Values that could be probabilities elsewhere are logits here too.
    model = Ending(lambda y: y * 1e-3 + 0.5)
    assert Classifier(model, AT, scores="sigmoid").of(AT / 2).classes.output_name == "logit"
    with pytest.raises(OutputError, match=r"rows \(5,\) for one input and \(4,\) for another"):
        Classifier(lambda x: Function()(x)[:, : 5 - int(x.mean() > 10)], AT).of(AT + 100)
