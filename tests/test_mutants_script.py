"""`scripts/mutants.py`: mutants change what runs, one thing each, and nothing that no test should hold."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = '''"""A docstring with 1 < 2."""

from typing import TYPE_CHECKING

__all__ = ["f"]
if TYPE_CHECKING:
    SIZE = 1


def f(x: int | None, n: int = 3) -> int:
    """Says 1."""
    if x is None:
        raise ValueError(f"{n + 1} is none")
    g(x, key=n)
    return min(x * n, 2)
'''
CHANGES = {
    ("constant", "3", "4"),
    ("comparison", "x is None", "(x is not None)"),
    ("call dropped", "g(x, key=n)", "pass"),
    ("keyword dropped", "g(x, key=n)", "g(x)"),
    ("returned value", "return min(x * n, 2)", "return None"),
    ("min/max, any/all", "min(x * n, 2)", "max(x * n, 2)"),
    ("arithmetic", "x * n", "(x / n)"),
    ("constant", "2", "3"),
}


@pytest.fixture
def mutations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import mutations

    monkeypatch.delitem(sys.modules, "mutations")
    return mutations


def test_what_is_changed_is_what_runs(mutations: ModuleType) -> None:
    found = mutations.mutants("f.py", SOURCE.encode())
    assert {(one.kind, one.before, one.after) for one in found} == CHANGES
    assert [one.before for one in found if not one.in_function] == ["3"]  # a default is evaluated once


def test_each_mutant_is_a_program_that_differs_in_its_own_place(mutations: ModuleType) -> None:
    for name in ("norms", "output", "splits"):
        file = ROOT / "ig_widgets" / "engine" / f"{name}.py"
        source = file.read_bytes()
        tree = ast.dump(ast.parse(source))
        for one in mutations.mutants(str(file), source):
            changed = one.applied(source)
            assert ast.dump(ast.parse(changed)) != tree, one
            assert changed.startswith(source[: one.start])
            assert changed.endswith(source[one.end :])
