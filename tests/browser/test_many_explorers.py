"""More explorers in one notebook than a browser grants WebGL contexts: none goes blank."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.cells import SMALL
from tests.browser.screen import Screen

pytestmark = pytest.mark.browser

COUNT = 20
SETUP = f"""{SMALL}
explorers = [igw.ImageExplorer(model, picture, n_steps=8) for _ in range({COUNT})]
[explorer.wait() for explorer in explorers] and None
"""


def test_twenty_explorers_in_one_notebook_all_show_their_picture(lab: Lab, page: Page) -> None:
    lab.write_notebook("many.ipynb", [SETUP, *(f"explorers[{i}]" for i in range(COUNT))])
    run_notebook(page, lab, "many.ipynb")
    screens = [Screen(page, i) for i in range(COUNT)]
    for screen in screens:
        screen.idle()
    # The browser has taken contexts away, and whose they were says so.
    fallen = page.locator(".igw [role=status]", has_text="canvas")
    expect(fallen).not_to_have_count(0)
    expect(fallen.first).to_have_attribute("title", re.compile("the browser has taken WebGL2 away"))

    def expect_the_same_picture() -> None:
        first = screens[0].drawn().astype(int)
        assert first.std() > 20
        for screen in screens[1:]:
            assert np.abs(screen.drawn() - first).max() <= 1

    expect_the_same_picture()
    for screen in screens:
        screen.slider("alpha").fill("0.3")
    for screen in screens:
        expect(screen.overlay).to_have_attribute("aria-label", re.compile("alpha 0\\.30"))
    expect_the_same_picture()
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")
