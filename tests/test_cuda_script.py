"""benchmarks/cuda.py runs on the CPU, and with a part that fails, as most machines have no GPU."""

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
    def fails(session: Any) -> list[Any]:
        raise ValueError("a driver is too old")

    def runs(session: Any) -> list[Any]:
        assert 0 < session.left <= 100
        return [script.Row("memory", "enough")]

    monkeypatch.setattr(script, "PARTS", {"one": ("One", fails, 0.5), "two": ("Two", runs, 0.5)})
    assert script.main(["--device", "cpu", "--part", "one", "two", "--seconds", "100"]) == 1
    output = capsys.readouterr().out
    assert "a driver is too old" in output
    assert "| memory | enough |" in output
    assert script.main(["--device", "cpu", "--part", "two", "--seconds", "100"]) == 0


def test_other_benchmarks_find_torch() -> None:
    """Torch imports a package named cuda, and may find the script of that name beside other benchmarks."""
    found = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import torch"
    subprocess.run([sys.executable, "-c", found], check=True)
