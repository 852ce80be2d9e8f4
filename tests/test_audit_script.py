"""`scripts/audit.sh`: what is known fails, what is not available is skipped by name; neither is taken for the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"

NPM_CLEAN = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 70}}}
NPM_FOUND = NPM_CLEAN | {
    "vulnerabilities": {
        "a": {"via": ["b"]},
        "b": {"via": [{"url": "https://x/GHSA-1", "name": "b", "range": "<2", "title": "bad", "severity": "high"}]},
    }
}
NPM_REFUSED = {"message": "405 Method Not Allowed - POST https://registry.example/v1", "error": {"summary": "x"}}
PIP_CLEAN = {"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]}
PIP_FOUND = {
    "dependencies": [
        {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
    ]
}
PIP_UNKNOWN = {"dependencies": [{"name": "a", "skip_reason": "not found"}, {"name": "b", "skip_reason": "not found"}]}


def read(kind: str, report: Any, *ignored: str) -> tuple[int, str]:
    text = report if isinstance(report, str) else json.dumps(report)
    command = [sys.executable, SCRIPTS / "read_audit.py", kind, *ignored]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(
    ("kind", "report", "ignored", "status", "said"),
    [
        ("npm", NPM_CLEAN, [], 0, "no known vulnerability in 70 packages"),
        ("npm", NPM_FOUND, [], 1, "GHSA-1: b <2, bad (high)"),
        ("npm", NPM_FOUND, ["GHSA-1"], 0, "no known vulnerability in 70 packages"),
        ("npm", NPM_FOUND, ["GHSA-2"], 1, "GHSA-1: b <2, bad (high)"),
        ("npm", NPM_REFUSED, [], 2, NPM_REFUSED["message"]),
        ("pip", PIP_CLEAN, [], 0, "no known vulnerability in 1 packages"),
        ("pip", PIP_FOUND, [], 1, "PYSEC-1: a 1, mended in 2"),
        ("pip", PIP_FOUND, ["CVE-1"], 0, "no known vulnerability in 1 packages"),
        ("pip", PIP_UNKNOWN, [], 2, "nothing is known of any of the 2 packages"),
        ("pip", "", [], 2, "it gave no report"),
        ("npm", "<html>", [], 2, "it gave no report"),
        ("npm", "[]", [], 2, "it gave no report"),
    ],
)
def test_reports(kind: str, report: Any, ignored: list[str], status: int, said: str) -> None:
    assert read(kind, report, *ignored) == (status, said)


@pytest.mark.parametrize(
    ("npm", "status", "said"),
    [
        (NPM_CLEAN, 0, "npm audit: no known vulnerability in 70 packages"),
        (NPM_FOUND, 1, "npm audit:\nGHSA-1: b <2, bad (high)"),
        (NPM_REFUSED, 0, "npm audit skipped: 405 Method Not Allowed - POST (an address)"),
    ],
    ids=["clean", "found", "refused"],
)
def test_the_command(tmp_path: Path, npm: Any, status: int, said: str) -> None:
    (tmp_path / "report.json").write_text(json.dumps(npm))
    programs = {
        "npm": f"cat {tmp_path}/report.json",
        # One that has no pip-audit.
        "python": f'[ "$1" = -c ] && exit 1; exec {sys.executable} "$@"',
    }
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [SCRIPTS / "audit.sh", tmp_path / "python"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == f"pip-audit skipped: it is not installed\n{said}\n"
    assert done.returncode == status
