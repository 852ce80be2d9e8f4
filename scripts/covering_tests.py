"""Which tests run which line, and pytest in a fork that ends with its tests: for scripts/mutants.py."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutations import Mutant


@dataclass(frozen=True)
class Coverage:
    """`tests`: seconds by name, of those that pass; `lines`: by file and line the tests that run it."""

    tests: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    @classmethod
    def read(cls, file: Path, left_out: tuple[str, ...]) -> Coverage:
        known = json.loads(file.read_text())
        names = list(known["tests"])
        lines = {
            path: {int(line): [names[index] for index in tests] for line, tests in lines.items()}
            for path, lines in known["lines"].items()
        }
        told = {name: told for name, told in known["tests"].items() if not name.startswith(left_out)}
        passing = {name: seconds for name, (seconds, passed) in told.items() if passed}
        return cls(passing, lines)

    def of(self, mutant: Mutant, folder: Path) -> list[str]:
        """Tests that cover the mutant, in the order in which they are tried; `folder` holds the sources."""
        own = self.lines.get(mutant.file, {})
        if mutant.in_function:
            covering = _together(own.get(line, ()) for line in mutant.lines)
        else:
            covering = self._of_names(mutant, folder) or _together(own.values())
        return self._sorted(covering)

    def of_file(self, mutant: Mutant) -> list[str]:
        """Tests that cover anything of the mutant's file, in the order in which they are tried."""
        return self._sorted(_together(self.lines.get(mutant.file, {}).values()))

    def _sorted(self, tests: set[str]) -> list[str]:
        """The quickest variant of each test, the quickest first, then the next of each.

        What one variant does not notice another seldom does, so that other tests are worth more of the patience.
        """
        by_time = sorted(tests & set(self.tests), key=lambda test: (self.tests[test], test))
        seen: Counter[str] = Counter()
        ranked: list[tuple[int, str]] = []
        for test in by_time:
            ranked.append((seen[function_of(test)], test))
            seen[function_of(test)] += 1
        return [test for _, test in sorted(ranked, key=lambda one: one[0])]

    def _of_names(self, mutant: Mutant, folder: Path) -> set[str]:
        """Tests of lines that name what a statement outside of functions defines: a constant, a field."""
        defined = re.match(r"(?:def )?(\w+)", mutant.statement)
        if defined is None:
            return set()
        word = re.compile(rf"\b{defined[1]}\b")
        covering: set[str] = set()
        for file, lines in self.lines.items():
            text = (folder / file).read_text().splitlines()
            covering |= _together(tests for line, tests in lines.items() if word.search(text[line - 1]))
        return covering


def _together(groups: Iterable[Iterable[str]]) -> set[str]:
    return {test for group in groups for test in group}


def function_of(test: str) -> str:
    """The name of a test without its parameters."""
    return test.partition("[")[0]


class Recorder:
    """A plugin of pytest that notes which lines each test runs, and how long it takes."""

    def __init__(self, folder: Path, variants: int | None) -> None:
        import coverage

        self._variants = variants

        self.tests: dict[str, tuple[float, bool]] = {}
        self._coverage = coverage.Coverage(data_file=None, source=[str(folder / "ig_widgets")])
        self._coverage._no_disk = True
        self._coverage.start()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._variants is None:
            return
        variants: dict[str, list[pytest.Item]] = {}
        for item in items:
            variants.setdefault(function_of(item.nodeid), []).append(item)
        items[:] = [one for some in variants.values() for one in some[:: -(-len(some) // self._variants)]]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        # Tests that trace end the trace of others.
        self._coverage.stop()
        self._coverage.start()
        self._coverage.switch_context(item.nodeid)
        yield
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds, passed = self.tests.get(report.nodeid, (0.0, True))
        self.tests[report.nodeid] = (seconds + report.duration, passed and report.outcome == "passed")

    def write(self, folder: Path, file: Path) -> None:
        """To a file, beside what it holds of other tests."""
        self._coverage.stop()
        data = self._coverage.get_data()
        known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"tests": {}, "lines": {}}
        known["tests"] |= self.tests
        numbers = {name: index for index, name in enumerate(known["tests"])}
        for path in data.measured_files():
            lines = known["lines"].setdefault(str(Path(path).relative_to(folder)), {})
            for line, tests in data.contexts_by_lineno(path).items():
                found = {numbers[test] for test in tests if test in numbers}
                lines[str(line)] = sorted(found.union(lines.get(str(line), ())))
        file.write_text(json.dumps(known))


class Chosen:
    """A plugin of pytest that runs the named tests, in their order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._places), key=self._place)

    def _place(self, item: pytest.Item) -> int:
        return self._places[item.nodeid]


def run_pytest(folder: Path, arguments: Sequence[str], plugins: Sequence[object]) -> int:
    """The exit status of pytest in the folder, in this process."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *arguments], plugins=list(plugins)))


def in_fork(function: Callable[[], int], log: Path, seconds: float = float("inf")) -> int | None:
    """What the function returns in a fork of this process, below zero where it crashes; None where it takes longer."""
    child = os.fork()
    if child == 0:
        _run_and_exit(function, log)
    end = time.monotonic() + seconds
    status = None
    while status is None and time.monotonic() < end:
        time.sleep(0.02)
        pid, how = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(how) if pid else None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started, too
    if status is None:
        os.waitpid(child, 0)
    return status


def _run_and_exit(function: Callable[[], int], log: Path) -> None:
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    status = 99
    try:
        status = function()
    except BaseException:  # noqa: BLE001, told in the log and by the status
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
