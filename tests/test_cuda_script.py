"""benchmarks/cuda.py, which nobody can try where there is no GPU: on the CPU, and with a part that fails."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCHMARKS)])
    return importlib.import_module("_cuda")


def test_it_runs_on_the_cpu() -> None:
    command = [sys.executable, str(BENCHMARKS / "cuda.py"), "--device", "cpu", "--quick", "--part"]
    run = subprocess.run([*command, "recurrent", "vit"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "LSTM, float64, cells" in run.stdout
    assert "time, attribute / Captum" in run.stdout


def test_a_part_that_fails_leaves_the_others(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(asked: Any) -> list[Any]:
        raise ValueError("a driver is too old")

    def runs(asked: Any) -> list[Any]:
        assert 0 < asked.left <= 100
        return [script.Row("memory", "enough")]

    monkeypatch.setattr(script, "PARTS", {"one": ("One", fails, 0.5), "two": ("Two", runs, 0.5)})
    assert script.main(["--device", "cpu", "--part", "one", "two", "--seconds", "100"]) == 1
    told = capsys.readouterr().out
    assert "a driver is too old" in told
    assert "| memory | enough |" in told
    assert script.main(["--device", "cpu", "--part", "two", "--seconds", "100"]) == 0


def test_other_benchmarks_find_torch() -> None:
    """Torch asks for a package named cuda, and finds a script of that name beside theirs."""
    found = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import torch"
    subprocess.run([sys.executable, "-c", found], check=True)
