"""Attributes, options and help of all explorers: nothing is set by a slip, and everything says what it is."""

from __future__ import annotations

import inspect
from typing import Any

import anywidget
import pytest

from ig_widgets.explorers.explore import KINDS
from tests.explorers.contract.cases import IMAGE, TOY
from tests.explorers.contract.toy import ToyExplorer

EXPLORERS = [ToyExplorer, *(kind.explorer for kind in KINDS.values())]
FRAMEWORK = set(anywidget.AnyWidget.class_trait_names())


def own_traits(explorer: Any) -> dict[str, Any]:
    """The public traits that are ours."""
    traits = explorer.class_traits().items()
    return {name: trait for name, trait in traits if not name.startswith("_") and name not in FRAMEWORK}


@pytest.mark.parametrize("case", [TOY, IMAGE], indirect=True, ids=str)
def test_an_attribute_that_does_not_exist_cannot_be_set(explore: Any) -> None:
    explorer = explore()
    with pytest.raises(AttributeError, match="has no attribute 'bsaeline'; did you mean 'baseline'"):
        explorer.bsaeline = "ones"
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'\."):
        explorer.zzz = 1
    assert not hasattr(explorer, "zzz")
    # The framework's are free, and those that exist go on.
    explorer._of_a_host = 1
    explorer.layout = explorer.layout
    explorer.alpha = 0.5


@pytest.mark.parametrize("case", [TOY, IMAGE], indirect=True, ids=str)
def test_dir_begins_with_what_is_ours(explore: Any) -> None:
    explorer = explore()
    names = dir(explorer)
    own = {*own_traits(type(explorer)), "wait", "compare", "result", "to_html", "observe", "close"}
    assert max(names.index(name) for name in own) < names.index("add_traits")
    assert max(names.index(name) for name in own) < names.index("__class__")
    assert {*dir(anywidget.AnyWidget)} <= {*names}


@pytest.mark.parametrize("kind", EXPLORERS, ids=lambda kind: kind.__name__)
def test_every_trait_has_a_help_text(kind: Any) -> None:
    without = [name for name, trait in own_traits(kind).items() if not str(trait.help).strip()]
    assert without == []


@pytest.mark.parametrize("kind", [kind.explorer for kind in KINDS.values()], ids=lambda kind: kind.__name__)
def test_every_option_is_in_the_signature_with_its_default(kind: Any) -> None:
    parameters = inspect.signature(kind).parameters
    assert all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    traits = own_traits(kind)
    # A picture is chosen by its number, and a row is alone; a row has no channels either.
    expected = traits.keys() - {"input"} - ({"channel"} if kind is KINDS["table"].explorer else set())
    assert expected <= parameters.keys()
    # Of these None stands for what the model says.
    told = expected - {"target", "output", "baseline", "method", "n_steps"}
    assert {name: parameters[name].default for name in told} == {name: traits[name].default_value for name in told}
