"""Settings and fixtures that all tests share, and the figures that tests of faults and floods give."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Generated models run torch, whose first call is slow and says nothing: no deadline. In CI the same examples are drawn
# every time, so a failure there is one of the change, not of the draw.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="write what `figure` was told to this file, a line of JSON each")
    parser.addoption("--soak-seconds", type=float, default=60.0, help="how long an explorer is used at random")
    parser.addoption("--interrupts", type=int, default=500, help="how many interrupts at random lines")


@pytest.fixture(scope="module")
def one_thread_of_torch() -> Iterator[None]:
    """For small tensors: a second thread only waits, and on a busy machine it waits for long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Tells a figure, for benchmarks/robustness.md.

    `figure(what, value, unit="", at_most=None)`. A goal of time or memory is for the table, which says whether it was
    reached; what must be true on any machine is asserted by the test itself.
    """

    def tell(what: str, value: float, unit: str = "", at_most: float | None = None) -> None:
        known = {"what": what, "value": value, "unit": unit, "at_most": at_most, "test": request.node.nodeid}
        # With the report of the test, which comes from another process where tests run side by side.
        request.node.user_properties.append(("figure", known))

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [one for all_ in terminalreporter.stats.values() for one in all_ if getattr(one, "when", "") == "call"]
    figures = [
        told | {"failed": one.failed} for one in reports for name, told in one.user_properties if name == "figure"
    ]
    figures.sort(key=lambda one: one["test"])
    if figures:
        terminalreporter.section("figures")
    for one in figures:
        goal = "" if one["at_most"] is None else f" (goal: at most {one['at_most']:g}{one['unit']})"
        terminalreporter.write_line(f"{one['what']}: {one['value']:.4g}{one['unit']}{goal}")
    if file := config.getoption("--figures"):
        file.write_text("".join(json.dumps(one) + "\n" for one in figures))
