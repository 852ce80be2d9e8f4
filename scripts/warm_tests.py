"""Tests that are collected once and run in forks, each with functions of a changed source: for scripts/mutants.py.

To import the package and collect its tests takes longer than most tests do. So a server of its own does it once, and
each fork of it puts the code of a mutant into the functions that are there already.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TextIO

import pytest
from covering_tests import function_of, in_fork, run_pytest


def swap(file: Path, before: bytes, after: bytes) -> None:
    """Put the code of the source `after` into all functions that were made of `before`.

    Raises ValueError where a function's variables are others.
    """
    old, new = (_codes(compile(source, str(file), "exec")) for source in (before, after))
    place = {(one.co_qualname, one.co_firstlineno): index for index, one in enumerate(old)}
    if [one.co_qualname for one in old] != [one.co_qualname for one in new]:
        raise ValueError("other functions")
    for function in gc.get_objects():
        if type(function) is FunctionType and function.__code__.co_filename == str(file):
            code = function.__code__
            function.__code__ = new[place[code.co_qualname, code.co_firstlineno]]


def _codes(module: CodeType) -> list[CodeType]:
    found = []
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            found += [constant, *_codes(constant)]
    return found


class Server:
    """A plugin of pytest that collects, and then runs what is asked for instead of all tests.

    Asked by a line of JSON: `file`, `before` and `after` (sources), `tests`, `functions` (whose variants that are not
    `known` are run for `patience` seconds, too), `limit`. Answered by a line: how the tests fail, or nothing.
    """

    def __init__(self, folder: Path, questions: TextIO, answers: TextIO) -> None:
        self._folder, self._questions, self._answers = folder, questions, answers
        self._failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed = self._failed or report.nodeid

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        print("ready", file=self._answers, flush=True)
        for line in self._questions:
            asked = json.loads(line)
            chosen = [items[test] for test in asked["tests"] if test in items]
            order, known = {name: place for place, name in enumerate(asked["functions"])}, set(asked["known"])
            more = [i for i in session.items if function_of(i.nodeid) in order and i.nodeid not in known]
            more.sort(key=lambda item: order[function_of(item.nodeid)])
            told = self._folder / "told"
            told.unlink(missing_ok=True)
            run = partial(self._run, asked, chosen, more, told)
            status = in_fork(run, self._folder / "log", asked["limit"])
            why = told.read_text() if told.exists() else ""
            print(why or {0: "", None: "time"}.get(status, f"status {status}"), file=self._answers, flush=True)
        return True

    def _run(self, asked: dict[str, Any], items: list[pytest.Item], more: list[pytest.Item], told: Path) -> int:
        swap(Path(asked["file"]), asked["before"].encode(), asked["after"].encode())
        end, every = time.monotonic() + asked["patience"], [*items, *more]
        for place, item in enumerate(every):
            if place >= len(items) and time.monotonic() > end:
                break
            item.ihook.pytest_runtest_protocol(item=item, nextitem=every[place + 1] if place + 1 < len(every) else None)
            if self._failed:
                told.write_text(self._failed)
                return 1
        return 0


class WarmTests:
    """A server in a process of its own, which starts with the first question."""

    def __init__(self, folder: Path, log: Path, arguments: Sequence[str]) -> None:
        here, there = os.pipe(), os.pipe()
        self._questions, self._answers = os.fdopen(here[1], "w"), os.fdopen(there[0])
        if os.fork() == 0:
            os.close(here[1])
            os.close(there[0])
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            server = Server(log.parent, os.fdopen(here[0]), os.fdopen(there[1], "w"))
            status = run_pytest(folder, arguments, [server])
            sys.stdout.flush()
            os._exit(status)
        os.close(here[0])
        os.close(there[1])
        if self._answers.readline().strip() != "ready":
            sys.exit(f"no tests were collected:\n{log.read_text()[-2000:]}")

    def failure(self, **asked: Any) -> str:
        """How the tests fail; empty where they pass. See `Server` for what is asked."""
        print(json.dumps(asked), file=self._questions, flush=True)
        return self._answers.readline().strip()
