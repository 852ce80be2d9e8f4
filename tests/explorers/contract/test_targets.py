"""Which class is explained, by number or name, and where: of dense outputs a position."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.core.classification import classify
from ig_widgets.explorers.core.labels import count_of, labels_of
from ig_widgets.explorers.core.output_rows import Rows, as_position, as_text, parsed
from tests.explorers.contract.toy import Function, point
from tests.explorers.subjects import SECONDS, ready, subject_of

AT = point()[None]
NAMES = ["tench", "Egyptian cat", "Espresso", "tabby, tabby cat", "great white shark, white shark"]


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        dict(enumerate(NAMES)),
        {str(i): name for i, name in enumerate(NAMES)},
        {np.int64(i): name for i, name in enumerate(NAMES)},
        {name: i for i, name in enumerate(NAMES)},
    ],
    ids=["list", "tuple", "array", "numbers", "digits", "numpy", "names"],
)
def test_labels_in_every_form_are_the_same(explore: Any, labels: Any) -> None:
    explorer = explore(labels=labels)
    assert list(explorer._labels) == NAMES
    explorer.wait(SECONDS)


def test_classes_that_a_mapping_leaves_out_go_by_their_number(explore: Any) -> None:
    explorer = explore(labels={3: "cat", "0": "dog"}, target=1)
    assert [subject_of(explorer).classifier.classes.name(i) for i in range(5)] == [
        "dog", "class 1", "class 2", "cat", "class 4",
    ]  # fmt: skip
    explorer.target = "cat"
    assert explorer.target == 3
    explorer.target = "class 4"
    assert explorer.target == 4
    explorer.wait(SECONDS)


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ({0: "a", 7: "b"}, ArgumentValueError, r"^labels names 'b' as number 7, and the model's classes are 0 to 4"),
        ({"a": 0, "b": 0}, ArgumentValueError, r"^labels gives number 0 two names, 'a' and 'b'"),
        ({"a": "b"}, ArgumentTypeError, r"^labels must be .*got a name for 'a', which is no number"),
        ({0: 1}, ArgumentTypeError, r"^labels must be .*got a mapping that is neither"),
        ({"a": True}, ArgumentTypeError, r"^labels must be .*got a mapping that is neither"),
        ([0, 1, 2, 3, 4], ArgumentTypeError, r"^labels must be a list of texts, got a int in it; \[str\(one\)"),
        ({"a", "b", "c", "d", "e"}, ArgumentTypeError, r"^labels must be .*got set"),
        (7, ArgumentTypeError, r"^labels must be .*got int"),
        (["a", "b"], ArgumentValueError, r"^labels has 2 names, the model 5 classes; .*or a mapping"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be(labels: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        labels_of(labels, 5)


class Config:
    def __init__(self, labels: Any, problem: str | None = None) -> None:
        self.id2label, self.problem_type = labels, problem


def test_labels_and_scores_of_a_configuration_are_taken_where_they_fit(explore: Any) -> None:
    def made(config: Any) -> Any:
        model = Function()
        model.config = config
        explorer = explore(nn.Sequential(model))
        explorer.wait(SECONDS)
        return explorer

    named = dict(enumerate(NAMES))
    assert list(made(Config(named))._labels) == NAMES
    assert made(Config(named))._scores["assumed"]
    assert (
        made(Config({str(i): n for i, n in named.items()}, "multi_label_classification"))._scores["kind"] == "sigmoid"
    )
    assert made(Config(named, "regression"))._scores["kind"] == "raw"
    sure = made(Config(named, "single_label_classification"))
    assert (sure._scores["kind"], sure._scores["assumed"]) == ("softmax", False)
    # Not real names, of another number of classes, or no mapping at all.
    for config in (
        Config({i: f"LABEL_{i}" for i in range(5)}),
        Config({0: "a", 1: "b"}),
        Config([1]),
        Config({"a": 1}),
        3,
    ):
        assert list(made(config)._labels) == []


def test_labels_that_are_given_count_more_than_those_of_a_configuration(explore: Any) -> None:
    model = Function()
    model.config = Config(dict(enumerate(NAMES)))
    assert list(explore(model, labels=list("abcde"))._labels) == list("abcde")


# ---------------------------------------------------------------- targets by name


@pytest.mark.parametrize(
    ("target", "index"),
    [
        ("tench", 0), ("Egyptian cat", 1), ("EGYPTIAN CAT", 1), (" espresso ", 2), ("tabby", 3), ("tabby cat", 3),
        ("White Shark", 4), (np.int64(2), 2), (torch.tensor(3), 3), (-1, 4), ((2,), 2),
    ],
)  # fmt: skip
def test_a_target_is_a_number_or_a_name_in_any_case(explore: Any, target: Any, index: int) -> None:
    explorer = explore(labels=NAMES, target=target)
    assert explorer.target == index
    assert isinstance(explorer.target, int)
    explorer.target = (index + 1) % 5
    explorer.target = target
    assert explorer.target == index
    explorer.compare({"target": target})
    assert explorer._panes[1] == {"target": index}
    explorer.wait(SECONDS)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("Egyptian dog", "is none of the 5 labels. Did you mean 'Egyptian cat'?"),
        ("expreso", "Did you mean 'Espresso'?"),
        ("shark", "Did you mean 'great white shark, white shark'?"),
        ("zebra crossing", "is none of the 5 labels."),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_may_be_meant(explore: Any, target: str, says: str) -> None:
    explorer = explore(labels=NAMES)
    for act in (
        lambda: setattr(explorer, "target", target),
        lambda: explorer.compare({"target": target}),
        lambda: explore(labels=NAMES, target=target),
    ):
        with pytest.raises(traitlets.TraitError) as caught:
            act()
        assert says in str(caught.value)
    explorer.set_state({"target": target})
    assert says in explorer._notice["text"]
    explorer.wait(SECONDS)


def test_a_name_of_several_classes_is_refused_with_their_numbers() -> None:
    labels = labels_of(["crane", "Crane", "cat", "crane", "a crane"], 5)
    with pytest.raises(ArgumentValueError, match=r"'crane' is the name of 2 classes; give a number: 0, 3\."):
        labels.index("crane")
    with pytest.raises(ArgumentValueError, match=r"'CRANE' is the name of 3 classes; give a number: 0, 1, 3\."):
        labels.index("CRANE")
    assert labels.index("Crane") == 1
    with pytest.raises(ArgumentValueError, match=r"'' is the name of 4 classes"):
        labels_of({1: "a"}, 5).index("")


# ---------------------------------------------------------------- dense outputs


class Dense(nn.Module):
    """Returns scores of other functions at each of some places, in a shape."""

    def __init__(self, *shape: int, end: Any = None) -> None:
        super().__init__()
        self.shape, self.end = shape, end
        self.inner = Function(classes=int(np.prod(shape)))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x).reshape(len(x), *self.shape)
        return y if self.end is None else self.end(y)


# The shape of a row, the dimension of its classes, and the place that is explained unless told.
SHAPES = {
    "segmentation": ((3, 4, 6), 0, (2, 3)),
    "one class in a grid": ((1, 4, 6), 0, (2, 3)),
    "tokens": ((4, 5), 1, None),
    "volume": ((3, 2, 4, 2), 0, (1, 2, 1)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_dense_output_is_explained_where_the_target_is(explore: Any, name: str) -> None:
    shape, axis, place = SHAPES[name]
    model = Dense(*shape)
    explorer = explore(model, n_steps=4)
    row = model(AT)[0].detach()
    assert isinstance(explorer.target, tuple)
    if place is None:
        place = (int(row.max(1).values.argmax()),)
        shares = row.softmax(1)
        place = (int(shares.max(1).values.argmax()),)
    at = row.movedim(axis, -1)[place]
    assert explorer.target == (*place[:axis], int(at.argmax()), *place[axis:])
    assert explorer._scores["places"] == [size for dim, size in enumerate(shape) if dim != axis]
    last = tuple(size - 1 for size in shape)
    for target in (explorer.target, last, (0,) * len(shape)):
        explorer.target = target
        assert explorer.target == target
        result = ready(explorer)
        exact = igw.attribute(model, AT, baselines=0.0, target=target, method="riemann_middle", n_steps=4)
        torch.testing.assert_close(result.attributions, exact.attributions, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(result.output, exact.output)
        where = (*target[:axis], *target[axis + 1 :])
        scores = row.movedim(axis, -1)[where]
        if scores.numel() > 1:
            assert explorer._top[0] == [int(scores.argmax()), pytest.approx(float(scores.softmax(0).max()))]
        card = next(card for card in explorer.gallery() if card.name == "zeros")
        assert card.output == pytest.approx(float(model(0 * AT)[0].detach()[target]))
    explorer.target = tuple(-1 for _ in shape)
    assert explorer.target == last
    explorer.wait(SECONDS)


def test_a_dense_target_travels_as_a_text(explore: Any) -> None:
    explorer = explore(Dense(3, 4, 6), target=(2, 1, 5), n_steps=4)
    view = explorer.comm.open_view()
    ready(explorer)
    explorer.comm.settle()
    assert explorer.get_state("target")["target"] == "2, 1, 5"
    assert view.begin["settings"]["target"] == "2, 1, 5"
    assert "at (1, 5)" in view.begin["target_name"]
    explorer.comm.set_traits(target="0, 3, 2")
    assert explorer.target == (0, 3, 2)
    assert "at (3, 2)" in repr(explorer)
    before = explorer._notice.get("number", 0)
    explorer.set_state({"target": "0, 4, 2"})
    assert (explorer.target, explorer._notice["number"]) == ((0, 3, 2), before + 1)
    assert "number 2 must be from 0 to 3" in explorer._notice["text"]
    explorer.compare({"target": (1, 0, 0)}, {"target": "2, 0, 0"})
    assert explorer._panes == [{}, {"target": "1, 0, 0"}, {"target": "2, 0, 0"}]
    ready(explorer)
    exact = igw.attribute(
        explorer._subject.model, AT, baselines=0.0, target=(2, 0, 0), method="riemann_middle", n_steps=4
    )
    torch.testing.assert_close(explorer.results[2].attributions, exact.attributions, rtol=1e-9, atol=1e-12)
    json.dumps(explorer._panes)


def test_a_class_alone_is_explained_at_the_same_place_and_named_in_a_tuple(explore: Any) -> None:
    explorer = explore(Dense(3, 4, 6), labels=["road", "sky", "tree"], target="sky", n_steps=4)
    assert explorer.target == (1, 2, 3)
    explorer.target = (0, 1, 5)
    explorer.target = "Tree"
    assert explorer.target == (2, 1, 5)
    explorer.target = ("road", 0, 0)
    assert explorer.target == (0, 0, 0)
    explorer.target = 1
    assert explorer.target == (1, 0, 0)
    explorer.wait(SECONDS)


@pytest.mark.parametrize(
    "target", [(1, 2), (1, 2, 3, 0), (3, 0, 0), (0, 0, 6), (0, True, 1), (0, 1.5, 1), "0, 0, 9", ()]
)
def test_a_position_that_is_none_is_refused_in_words(explore: Any, target: Any) -> None:
    explorer = explore(Dense(3, 4, 6), n_steps=4)
    with pytest.raises(traitlets.TraitError, match=r"target .*\(3, 4, 6\), classes along dimension 0"):
        explorer.target = target
    explorer.wait(SECONDS)


@pytest.mark.parametrize("reading", ["logit", "probability", "log-probability", "margin"])
@pytest.mark.parametrize("method", ["riemann_middle", "secant", "auto", "smoothgrad", "guided_integrated_gradients"])
def test_readings_of_a_dense_output_are_those_of_its_classes(explore: Any, reading: str, method: str) -> None:
    model = Dense(3, 4, 6)
    explorer = explore(model, target=(1, 2, 2), output=reading, method=method, n_steps=4)
    result = ready(explorer)
    row = model(AT)[0, :, 2, 2].detach()
    expected = {
        "logit": row[1],
        "probability": row.softmax(0)[1],
        "log-probability": row.log_softmax(0)[1],
        "margin": row[1] - max(row[0], row[2]),
    }[reading]
    assert float(result.output) == pytest.approx(float(expected))


def test_where_classes_lie_is_told_by_labels_and_by_what_sums_to_one(explore: Any) -> None:
    assert explore(Dense(4, 5))._scores["axis"] == 1
    assert explore(Dense(4, 5), labels=list("abcd"))._scores["axis"] == 0
    assert explore(Dense(4, 5, end=lambda y: y.softmax(1)))._scores["axis"] == 0
    probable = explore(Dense(2, 4, 3, end=lambda y: y.softmax(3)))
    assert (probable._scores["axis"], probable._outputs[0]) == (2, "probability")
    sigmoids = explore(Dense(2, 4, 3, end=lambda y: y.sigmoid()))
    assert (sigmoids._scores["kind"], sigmoids._scores["axis"]) == ("sigmoid", 0)


def test_dense_explorers_are_written_and_read(explore: Any, restore: Any) -> None:
    model = Dense(3, 4, 6)
    one = explore(model, target=(2, 1, 5), n_steps=4, output="probability")
    result = ready(one)
    one.compare({"target": (0, 0, 0)})
    one.wait(SECONDS)
    again = restore(one, model, labels=None)
    assert again.target == (2, 1, 5)
    assert again.output == "probability"
    assert again._panes == [{}, {"target": "0, 0, 0"}]
    torch.testing.assert_close(again.result.attributions, result.attributions, rtol=1e-3, atol=1e-5)
    page = one.to_html()
    recording = json.loads(page.split('id="recording">')[1].split("</script>")[0])
    assert recording["traits"]["target"] == "2, 1, 5"
    assert one.snapshot()
    assert one.crosscheck().relative_difference < 1e-5
    again.wait(SECONDS)


@pytest.mark.parametrize("shape", [(4,), (3, 4, 6), (4, 5), (1, 2, 2), ()], ids=str)
def test_positions_are_put_together_and_taken_apart(shape: tuple[int, ...]) -> None:
    for axis in (*range(len(shape)), *([None] if len(shape) != 1 else [])):
        rows = Rows(shape, axis)
        output = torch.arange(float(np.prod(shape))).reshape(1, *shape)
        for place in np.ndindex(*rows.places):
            for index in range(rows.count):
                position = rows.position(index, place)
                assert rows.split(position) == (index, place)
                assert rows.split(as_text(position)) == (index, place)
                assert as_position(as_text(position)) == position
                value = rows.at(output, place)[0, index]
                assert value == rows.by_place(output)[0][place][index]
                if shape:
                    at = position if isinstance(position, tuple) else (position,)
                    assert value == output[0][at]


@pytest.mark.parametrize("text", ["", "a, 1", "1.5", "1,,2", "\uff11\uff12", "--1", "1, " * 100])
def test_texts_that_are_no_positions(text: str) -> None:
    found = parsed(text)
    assert found is None or all(isinstance(one, int) for one in found)


def test_a_number_at_each_place_of_a_picture_needs_no_class() -> None:
    classes = classify(lambda x: x.mean(1), torch.rand(1, 3, 4, 6, dtype=torch.float64))
    assert (classes.rows, classes.first) == (Rows((4, 6), None), (2, 3))
    assert classes.index((1, 5)) == (1, 5)
    assert classes.index("1, 5") == (1, 5)
    with pytest.raises(ArgumentValueError, match="target must have 2 numbers"):
        classes.index(3)


def test_a_mapping_that_leaves_classes_out_does_not_tell_how_many_there_are() -> None:
    assert [count_of(labels) for labels in (["a", "b"], {0: "a", 1: "b"}, {"a": 0, "b": 1}, {"1": "a", "0": "b"})] == [
        2
    ] * 4
    assert [count_of(labels) for labels in (None, "ab", 3, {1: "a"}, {"a": 3}, {0: "a", 2: "b"})] == [0] * 6
