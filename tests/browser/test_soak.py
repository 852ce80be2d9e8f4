"""Random use of an explorer in a real JupyterLab, for a minute or, with `--soak-seconds 1800`, for half an hour.

IGW_SOAK_SEED says which use (0 by default); IGW_SOAK_MODEL=demo takes the bundled model in place of a small one. On a
failure the seed and the last fifty actions are told.
"""

from __future__ import annotations

import inspect
import itertools
import os
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from benchmarks._jupyter import Lab, run_notebook
from tests.browser.census import KERNEL, Census, Memory
from tests.browser.monkey import KERNEL as PAINTED
from tests.browser.monkey import Monkey
from tests.explorers.subjects import AtOnce

Read = Callable[[str], object]

MB = 1024**2
# So many actions, then a moment's rest, in which picture and numbers are looked at.
BETWEEN_RESTS = 20
# What a first use takes, of the model and of the page, is no growth.
WARM_UP = 0.25

# A wish that cannot be: the trapezoid rule with one step. It is answered in words, and logged.
REFUSED = "needs both ends of the path"

SMALL = """
picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
with torch.random.fork_rng():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 12, 5), torch.nn.ReLU(), torch.nn.Conv2d(12, 12, 5), torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(108, 5),
    ).eval()
photo, options = picture, {}
"""
DEMO = """
classifier = igw.demo.image_classifier()
model, photo = classifier.model, igw.demo.image("cat")
picture = classifier.preprocess(photo)[0]
options = dict(preprocess=classifier.preprocess, labels=classifier.labels)
"""
SETUP = """
import logging
import sys
import torch
from torch import Tensor, nn
import ig_widgets as igw

told = []

class Told(logging.Handler):
    def emit(self, record):
        told.append(f"{record.levelname} {record.name}: {record.getMessage()}")

logging.getLogger().addHandler(Told(logging.WARNING))
threading.excepthook = lambda failure: told.append(f"{failure.thread.name}: {failure.exc_value!r}")
sys.unraisablehook = lambda failure: told.append(f"{failure.object!r}: {failure.exc_value!r}")
"""
WATCHED = f"""
{inspect.getsource(AtOnce)}
model = AtOnce(model).eval()
explorer = igw.ImageExplorer(model, photo, n_steps=16, **options)
born.append(weakref.ref(explorer))
explorer.wait()
explorer
"""

# Half an hour, and what a slow machine adds; each step has a limit of its own.
pytestmark = [pytest.mark.browser, pytest.mark.robustness, pytest.mark.timeout(3600)]


def test_random_use(
    request: pytest.FixtureRequest, lab: Lab, page: Page, read: Read, figure: Callable[..., None]
) -> None:
    seconds = float(request.config.getoption("--soak-seconds"))
    seed = int(os.environ.get("IGW_SOAK_SEED", "0"))
    is_demo = os.environ.get("IGW_SOAK_MODEL") == "demo"
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    Census.watch(page)
    lab.write_notebook("soak.ipynb", [KERNEL + SETUP + PAINTED + (DEMO if is_demo else SMALL), WATCHED, "explorer"])
    run_notebook(page, lab, "soak.ipynb")
    census, monkey = Census(page, read), Monkey(page, read, seed)
    memory: list[tuple[float, Memory]] = []
    worst = rests = most = 0
    said, begin = list[str](), time.monotonic()
    moments = [WARM_UP * seconds, (1 + WARM_UP) / 2 * seconds, seconds]
    try:
        while moments:
            for _ in range(BETWEEN_RESTS):
                monkey.act()
            worst, rests = max(worst, monkey.calm()), rests + 1
            said, most = read(f"[one for one in told if {REFUSED!r} not in one], model.most")  # type: ignore[misc]
            assert errors == []
            assert said == []
            # One pass at a time for explorers, beside it one of a cell's own.
            assert most <= 2
            passed = time.monotonic() - begin
            if passed > moments[0]:
                moments = [moment for moment in moments if moment >= passed]
                census.collect()
                memory.append((passed / 60, census.memory()))
    except AssertionError as error:
        error.add_note(f"IGW_SOAK_SEED={seed}, after {monkey.actions} actions; the last of them:")
        error.add_note("\n".join(monkey.last))
        raise
    finally:
        length = f"random use for {seconds:.0f} s"
        figure(f"{length}: actions", monkey.actions)
        figure(f"{length}: actions that found nothing to act on", monkey.refused)
        figure(f"{length}: rests in which the picture was compared with Python's", rests)
        figure(f"{length}: largest difference of the picture", worst, " levels of 255", at_most=2)
        figure(f"{length}: errors on the console", len(errors), at_most=0)
        figure(f"{length}: warnings and errors in the kernel, but for refusals", len(said), at_most=0)
        figure(f"{length}: passes of the model at once", most, at_most=2)
    page.evaluate("jupyterapp.commands.execute('kernelmenu:shutdown')")

    for half, ((one, before), (other, after)) in enumerate(itertools.pairwise(memory), start=1):
        grown, minutes = after.minus(before), max(other - one, 1e-9)
        figure(f"{length}: growth of the kernel, half {half}", grown["kernel"] / MB / minutes, " MB a minute")
        figure(f"{length}: growth of the browser, half {half}", grown["browser"] / MB / minutes, " MB a minute")
