"""A rule that was refused is no hindrance to what is made of those that were answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ig_widgets import ImageExplorer
from ig_widgets.engine.errors import ArgumentValueError
from tests.explorers.subjects import SECONDS


def test_files_and_curves_are_there_after_a_rule_was_refused(explore: Callable[..., ImageExplorer]) -> None:
    explorer = explore(n_steps=4)
    explorer.wait(SECONDS)
    known = explorer._pane_list[0].evaluated()
    # One after the other: n_steps is in between what the trapezoid rule cannot have.
    explorer.n_steps = 1
    explorer.wait(SECONDS)
    explorer.method = "riemann_trapezoid"
    with pytest.raises(ArgumentValueError, match="both ends"):
        explorer.wait(SECONDS)
    assert known[0].settings in [one.settings for one in explorer._pane_list[0].evaluated()]
    assert explorer.to_html()
