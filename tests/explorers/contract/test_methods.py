"""Which settings share the samples of a path, and what is said of each method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ig_widgets.engine import rules
from ig_widgets.explorers.core.methods import RELATIVES, Methods
from ig_widgets.explorers.core.settings import FORMS, Settings

METHODS = Methods()
ASKED = Settings("zeros", 1, "logit", "riemann_middle", 8, 0.0)
# Another value of each setting.
OTHER: dict[str, Any] = {
    "baseline": "ones",
    "target": 2,
    "output": "margin",
    "method": "gausslegendre",
    "n_steps": 9,
    "tol": 0.5,
    "channel": "first",
    "input": "row 7",
}
# What makes another path, by the kind of method; all else can be answered of the same samples.
OF_ANY = {"target", "output", "input"}
PARTS = {
    "riemann_middle": OF_ANY | {"baseline"},
    rules.SECANT: OF_ANY | {"baseline", "n_steps", "method"},
    rules.AUTO: OF_ANY | {"baseline", "tol", "method"},
    "gradient": OF_ANY | {"method"},
    "input_x_gradient": OF_ANY | {"baseline", "method"},
    "smoothgrad": OF_ANY | {"n_steps", "method"},
    "guided_integrated_gradients": OF_ANY | {"baseline", "n_steps", "method"},
}


def test_a_value_is_there_for_each_setting() -> None:
    assert OTHER.keys() == FORMS.keys()


@pytest.mark.parametrize("method", PARTS)
@pytest.mark.parametrize("name", OTHER)
def test_samples_are_shared_where_the_path_and_what_is_asked_of_it_are_the_same(method: str, name: str) -> None:
    asked = replace(ASKED, method=method)
    is_shared = METHODS.path_key(asked) == METHODS.path_key(replace(asked, **{name: OTHER[name]}))
    assert is_shared == (name not in PARTS[method])


def test_methods_are_offered_once_and_known() -> None:
    assert len(METHODS.names) == len({*METHODS.names}) == 1 + len(rules.METHODS) + len(RELATIVES)
    assert [METHODS.check(name) for name in METHODS.names] == METHODS.names
    assert [name for name in METHODS.names if METHODS.is_relative(name)] == [*RELATIVES]
