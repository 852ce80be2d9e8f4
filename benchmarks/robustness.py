"""Faults, floods and hostile input: the tests that are marked `robustness`, and the figures that they give, as a table.

python benchmarks/robustness.py [--write] [--soak SECONDS] [-k NAME] [--told FILE ...]

`--write` renews benchmarks/robustness.md. A row's own command is given with it. `--told`: what `pytest --figures FILE`
wrote, in place of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _report import machine

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "benchmarks" / "robustness.md"
HEAD = """# Faults, floods and hostile input

What `SECURITY.md` promises, measured. `python benchmarks/robustness.py --write --soak 1800` renews this page; each row
also has a command of its own. A row without a goal counts or says how large something is.
"""
# Of the front end's own tests: what is told, the file, and the beginning of the test's name.
FRONT_END = (
    (
        "replies in any order, 100 shuffles: pictures of an older wish",
        "tests/store.test.ts",
        "never answers an older wish",
    ),
    (
        "fuzzed messages to the front end, 10,000: pictures lost, errors thrown",
        "tests/fuzz.test.ts",
        "leave the picture that was drawn",
    ),
    (
        "fuzzed traits of the front end, 2,000: pictures lost, errors thrown",
        "tests/fuzz.test.ts",
        "throw nothing, and leave the picture",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew benchmarks/robustness.md")
    parser.add_argument("--soak", type=float, default=60.0, metavar="SECONDS", help="how long the soak lasts")
    parser.add_argument("-k", default="", metavar="NAME", help="only these tests")
    parser.add_argument("--told", nargs="+", type=Path, default=[], metavar="FILE", help="figures of runs before")
    arguments = parser.parse_args()
    figures, failed = told(arguments.told) if arguments.told else measured(arguments.soak, arguments.k)
    figures += [] if arguments.k else front_end()
    text = "\n".join([HEAD, "| what | figure | goal | | command |", "|---|---|---|---|---|", *map(row, figures)])
    text += f"\n\n{machine()}\n"
    print(text)
    if failed:
        raise SystemExit("Some tests failed; nothing was written.")
    if arguments.write:
        TABLE.write_text(text)


def told(files: list[Path]) -> tuple[list[dict[str, object]], int]:
    """Figures of several runs; of one row the last."""
    rows = {}
    for line in (line for file in files for line in file.read_text().splitlines()):
        figure = json.loads(line)
        rows[figure["test"], figure["what"]] = figure
    return list(rows.values()), 0


def measured(soak: float, name: str) -> tuple[list[dict[str, object]], int]:
    """Figures of a run, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "robustness", "--timeout", str(300 + 2 * soak)]
        command += ["--figures", str(file), "--soak-seconds", str(soak), "-k", name]
        failed = subprocess.run(command, cwd=ROOT, check=False).returncode
        return told([file])[0], failed


def front_end() -> list[dict[str, object]]:
    """What fails of the front end's tests, in the browser that IGW_CHROMIUM names, or in one that is found."""
    browser = (
        os.environ.get("IGW_CHROMIUM")
        or subprocess.run(
            [sys.executable, ROOT / "scripts" / "find_browser.py"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    found = []
    for what, file, name in FRONT_END:
        command = [shutil.which("npx") or "npx", "vitest", "run", file, "-t", name, "--reporter=json"]
        environment = {**os.environ, "IGW_CHROMIUM": browser}
        run = subprocess.run(command, cwd=ROOT / "js", env=environment, check=False, capture_output=True, text=True)
        said = json.loads(run.stdout[run.stdout.index("{") :])
        if not said["numPassedTests"] + said["numFailedTests"]:
            raise SystemExit(f"There is no test {name!r} in {file}.")
        shown = f"cd js && npx vitest run {file} -t '{name}'"
        found.append({"what": what, "value": said["numFailedTests"], "unit": "", "at_most": 0, "command": shown})
    return found


def row(figure: dict[str, object]) -> str:
    value, unit, goal = float(str(figure["value"])), figure["unit"], figure["at_most"]
    verdict = ("", "") if goal is None else (f"at most {goal:g}{unit}", "reached" if value <= goal else "**missed**")
    shown = f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
    command = figure.get("command") or f"pytest {figure['test']}"
    return f"| {figure['what']} | {shown}{unit} | {' | '.join(verdict)} | `{command}` |"


if __name__ == "__main__":
    main()
