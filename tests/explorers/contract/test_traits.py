"""Traits that all explorers have: what can be set, and what is said of values that cannot be."""

import math

import numpy as np
import pytest
import traitlets

from ig_widgets import figures
from tests.explorers.contract.cases import TOY
from tests.explorers.subjects import METHODS, SECONDS

LABELS = ["tench", "Egyptian cat", "espresso", "rocket", "tench again"]
GOOD = {
    "alpha": (0, 0.3, 1.0),
    "clip": (50, 99.5, 100),
    "sign": ("all", "positive", "negative"),
    "colormap": ("RdBu_r", "viridis", "gray"),
    "n_steps": (2, 256, 64),
    "method": (*METHODS, *TOY.methods.relatives),
    "baseline": TOY.baselines,
    "target": (0, 4, 2),
}
# Each with what its sentence has to say beside the name: what was seen, or what works.
BAD = [
    ("n_steps", 0, ["0", "1", "256"]),
    ("n_steps", -3, ["-3", "1", "256"]),
    ("n_steps", 257, ["257", "1", "256"]),
    ("n_steps", 6.5, ["6.5"]),
    ("n_steps", "8", ["'8'"]),
    ("method", "simpson", ["simpson", *METHODS]),
    ("method", "", METHODS),
    ("tol", 0.0, ["0.0", "0 and 1"]),
    ("tol", 1.5, ["1.5"]),
    ("output", "odds", ["'odds'", "logit", "margin"]),
    ("method", 3, ["3"]),
    ("baseline", "grey", ["'grey'", *TOY.baselines]),
    ("baseline", "Zeros", ["'Zeros'", *TOY.baselines]),
    ("baseline", None, ["None"]),
    ("target", 5, ["5", "0", "4"]),
    ("target", -6, ["-6", "0", "4"]),
    ("target", True, ["True", "0", "4"]),
    ("target", "dog", ["'dog'", "5 labels"]),
    ("target", 1.5, ["1.5"]),
    ("target", None, ["None"]),
    ("colormap", "rainbow road", ["'rainbow road'", "RdBu_r"]),
    ("colormap", 3, ["3"]),
    ("sign", "both", ["both", "positive", "negative"]),
    ("alpha", -0.01, ["-0.01", "0"]),
    ("alpha", 1.01, ["1.01", "1"]),
    ("alpha", "half", ["half"]),
    ("clip", 49.9, ["49.9", "50"]),
    ("clip", 101, ["101", "100"]),
]


@pytest.fixture
def explorer(explore):
    explorer = explore(labels=LABELS)
    explorer.wait(SECONDS)
    return explorer


@pytest.mark.parametrize("name", GOOD)
def test_traits_can_be_set_and_observed(explorer, name):
    heard = []
    explorer.observe(lambda change: heard.append(change.new), name)
    before = getattr(explorer, name)
    for value in GOOD[name]:
        setattr(explorer, name, value)
        assert getattr(explorer, name) == value
    explorer.wait(SECONDS)
    expected = [value for value, last in zip(GOOD[name], (before, *GOOD[name]), strict=False) if value != last]
    assert heard == expected
    assert explorer.trait_metadata(name, "sync")


@pytest.mark.parametrize(
    ("name", "value", "says"), BAD, ids=lambda v: str(v) if not isinstance(v, list | tuple) else ""
)
def test_value_that_cannot_be_is_refused_in_words_and_the_last_good_one_stays(explorer, name, value, says):
    before, result = getattr(explorer, name), explorer.result
    with pytest.raises(traitlets.TraitError) as caught:
        setattr(explorer, name, value)
    sentence = str(caught.value)
    assert name in sentence
    for part in says:
        assert part in sentence
    assert "0x" not in sentence
    assert getattr(explorer, name) == before
    explorer.wait(SECONDS)
    assert explorer.result is result


@pytest.mark.parametrize("name", ["alpha", "clip"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_have_to_be_finite(explorer, name, value):
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


@pytest.mark.parametrize(
    ("name", "value", "says"), BAD, ids=lambda v: str(v) if not isinstance(v, list | tuple) else ""
)
def test_value_that_cannot_be_is_refused_by_the_constructor(explore, name, value, says):
    if (name, value) == ("target", None):
        pytest.skip("None is the model's first choice")
    with pytest.raises(traitlets.TraitError, match=name):
        explore(labels=LABELS, **{name: value})


def test_unknown_option_is_refused(explore):
    with pytest.raises((TypeError, traitlets.TraitError), match="n_stepz"):
        explore(n_stepz=3)


def test_target_by_label_by_position_and_from_the_end(explorer):
    explorer.target = "espresso"
    assert explorer.target == 2
    explorer.target = -1
    assert explorer.target == 4
    explorer.target = "tench"
    assert explorer.target == 0


def test_constructor_takes_a_label_too(explore):
    assert explore(labels=LABELS, target="rocket").target == 3


def test_label_without_labels_is_refused(explore):
    explorer = explore()
    with pytest.raises(traitlets.TraitError, match="target 'tench' is none of the 0 labels"):
        explorer.target = "tench"


@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_numbers_of_numpy_are_numbers(explorer, kind):
    """`scores.argmax()` of numpy is an np.int64; the engine takes it as a target, and so should the explorer."""
    explorer.target = kind(3)
    assert explorer.target == 3
    explorer.n_steps = kind(9)
    assert explorer.n_steps == 9


def test_first_values_are_those_of_the_constructor(explore):
    wishes = {
        "alpha": 0.5, "n_steps": 5, "method": "gausslegendre", "baseline": "minus ones", "target": 1,
        "colormap": "viridis", "clip": 75.0, "sign": "negative",
    }  # fmt: skip
    explorer = explore(**wishes)
    assert {name: getattr(explorer, name) for name in wishes} == wishes
    explorer.wait(SECONDS)
    assert (explorer.result.method, explorer.result.n_steps) == ("gausslegendre", 5)


def test_colours_follow_the_colormap(explorer):
    assert explorer._lut == figures.color_table("RdBu_r").tobytes()
    explorer.colormap = "viridis"
    assert explorer._lut == figures.color_table("viridis").tobytes()
    with pytest.raises(traitlets.TraitError):
        explorer.colormap = "none such"
    assert explorer._lut == figures.color_table("viridis").tobytes()


def test_front_end_is_told_what_there_is_to_choose_from(explorer):
    assert tuple(explorer._methods) == ("auto", *METHODS, "fejer", "secant", *TOY.methods.relatives)
    assert tuple(explorer._baselines) == TOY.baselines
    assert {"RdBu_r", "viridis", "PuOr_r"} <= set(explorer._colormaps)
    assert list(explorer._labels) == LABELS
    state = explorer.get_state()
    assert {"alpha", "n_steps", "method", "baseline", "target", "clip", "sign", "colormap"} <= set(state)


def test_repr_says_what_is_explained_and_no_address(explorer):
    explorer.target, explorer.baseline, explorer.method, explorer.n_steps = 1, "minus ones", "gausslegendre", 32
    explorer.wait(SECONDS)
    assert repr(explorer) == "ToyExplorer('Egyptian cat', baseline minus ones, gausslegendre, 32 steps)"


def test_repr_without_labels(explore):
    assert repr(explore(target=3)) == "ToyExplorer('class 3', baseline zeros, riemann_middle, 8 steps)"
    assert repr(explore(target=3, n_steps=1)) == "ToyExplorer('class 3', baseline zeros, riemann_middle, 1 step)"


def test_colours_follow_the_colormap_of_the_constructor(explore):
    assert explore(colormap="viridis")._lut == figures.color_table("viridis").tobytes()
