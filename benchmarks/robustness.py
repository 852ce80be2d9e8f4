"""Faults, floods and hostile input: the tests that are marked `robustness`, and the figures that they give, as tables.

python benchmarks/robustness.py [--write] [--keep] [--note TEXT] [--soak SECONDS] [--minutes MINUTES] [-k NAME]
    [--told FILE ...]

`--minutes`: about how long runs are interrupted at random lines, at a thousand interrupts a minute.
`--write` renews benchmarks/robustness.md; with `--keep` rows stay whose tests were not run. A row's own command is
given with it. `--told`: what `pytest --figures FILE` wrote, in place of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _report import machine

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "benchmarks" / "robustness.md"
HEAD = """# Faults, floods and hostile input

What `SECURITY.md` promises, measured. `python benchmarks/robustness.py --write --soak 1800 --minutes 30` renews this
page; each row also has a command of its own, for the root of the repository and its environment (`source
.venv/bin/activate`). A row without a goal counts or says how large something is.
"""
# Which tests a promise is kept by. What is nowhere here comes last, under the name of its file.
PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    "Let no one in": {
        "Texts of strangers": ("tests/browser/test_hostile.py", "tests/explorers/contract/test_hostile.py"),
        "Messages, well formed or not": (
            "tests/explorers/test_fuzz.py",
            "tests/explorers/contract/test_hostile_messages.py",
            "tests/explorers/test_hostile_regions.py",
            "js/tests/fuzz.test.ts",
        ),
        "Baselines and files that are refused": ("tests/explorers/test_hostile_baselines.py",),
    },
    "Keep working": {
        "Floods of events": ("tests/browser/test_floods.py", "tests/explorers/contract/test_throttle.py"),
        "Replies in any order": ("js/tests/store.test.ts",),
        "Cancelled in 10,000 steps": ("tests/engine/test_cancel.py", "tests/engine/test_rules.py"),
        "Two threads, one model": ("tests/engine/test_two_threads.py",),
        "Ctrl-C at any line": ("tests/engine/test_interrupts.py",),
        "A thousand calls": ("tests/engine/test_growth.py",),
        "The end of Python": ("tests/explorers/test_end_of_python.py",),
        "Kernels interrupted, restarted, killed; pages loaded anew; outputs deleted": (
            "tests/browser/test_kernel_life.py",
            "tests/explorers/contract/test_watching.py",
        ),
        "Shown and closed a hundred times": ("tests/browser/test_leaks.py",),
        "Out of memory": ("tests/engine/test_memory_limit.py",),
        "WebGL lost, or never there": ("tests/browser/test_contexts.py",),
        "Models that fail, or answer what is no number": (
            "tests/explorers/test_faulty_models.py",
            "tests/engine/test_faults.py",
        ),
        "Random use": ("tests/browser/test_soak.py",),
    },
    "Lose nothing": {
        "Files, whatever the disk does": ("tests/test_exports.py",),
        "Explorers, from their files": ("tests/explorers/test_restart.py",),
    },
}
# The front end's tests that tell figures.
FRONT_END = ("tests/store.test.ts", "tests/fuzz.test.ts")

# Interrupts that a machine with two cores gets through.
_A_MINUTE = 1000

Figure = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew benchmarks/robustness.md")
    parser.add_argument("--keep", action="store_true", help="keep the rows of tests that were not run")
    parser.add_argument("--note", default="", metavar="TEXT", help="how it was run, for the page")
    parser.add_argument("--soak", type=float, default=60.0, metavar="SECONDS", help="how long the soak lasts")
    parser.add_argument("--minutes", type=float, default=0.5, help="how long runs are interrupted at random")
    parser.add_argument("-k", default="", metavar="NAME", help="only these tests")
    parser.add_argument("--told", nargs="+", type=Path, default=[], metavar="FILE", help="figures of runs before")
    arguments = parser.parse_args()
    figures, failed = (
        (told(arguments.told), 0) if arguments.told else measured(arguments.soak, arguments.k, arguments.minutes)
    )
    figures += [] if arguments.k or arguments.told else front_end()
    if arguments.keep:
        figures = merged(kept(TABLE.read_text()), figures)
    note = [textwrap.fill(arguments.note, 118) + "\n"] if arguments.note else []
    text = "\n".join([HEAD, *note, summary(figures), *tables(figures), machine(), ""])
    print(text)
    if failed or any(figure["failed"] for figure in figures):
        raise SystemExit("Some tests failed; nothing was written.")
    if arguments.write:
        TABLE.write_text(text)


# ---------------------------------------------------------------- what tests tell


def told(files: list[Path]) -> list[Figure]:
    """Figures of several runs; of one row the last."""
    rows = {}
    for line in (line for file in files for line in file.read_text().splitlines()):
        figure = json.loads(line)
        rows[figure["test"], figure["what"]] = {"failed": False, "command": command(figure)} | figure
    return list(rows.values())


def kept(text: str) -> list[Figure]:
    """The figures of a page that was written before, as far as it shows them."""
    return [figure_of(line) for line in text.splitlines() if line.startswith("| ") and line.endswith("` |")]


def figure_of(row: str) -> Figure:
    """What a row of a table says."""
    what, value, goal_, _, asked = (cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1])
    number, unit = re.fullmatch(r"([-\d.,e+]+)(.*)", value).groups()  # type: ignore[union-attr]
    most = re.match(r"at most ([-\d.e+]+)", goal_)
    shell = asked.strip("`")
    words = shlex.split(shell.strip("()"))
    # Of the front end a file and the title that is looked for, of all else the test itself.
    title = re.sub(r"\\(.)", r"\1", words[-1])
    test = f"js/{words[-3]}::{title}" if "vitest" in words else words[3]
    return {
        "test": test,
        "what": what,
        "value": float(number.replace(",", "")),
        "unit": unit,
        "at_most": float(most[1]) if most else None,
        "failed": False,
        "command": shell,
    }


def merged(before: list[Figure], now: list[Figure]) -> list[Figure]:
    """Those of before, with all rows of each test that was run now in their place."""
    ran = {figure["test"] for figure in now}
    return sorted([one for one in before if one["test"] not in ran] + now, key=lambda one: str(one["test"]))


def measured(soak: float, name: str, minutes: float) -> tuple[list[Figure], int]:
    """Figures of a run, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        asked = [sys.executable, "-m", "pytest", "-q", "-m", "robustness", "--timeout"]
        asked += [str(300 + 2 * soak + 240 * minutes), "--interrupts", str(int(_A_MINUTE * minutes))]
        asked += ["--figures", str(file), "--soak-seconds", str(soak), "-k", name]
        failed = subprocess.run(asked, cwd=ROOT, check=False).returncode
        return told([file]), failed


def front_end() -> list[Figure]:
    """Figures of the front end's tests, in the browser that IGW_CHROMIUM names, or in one that is found."""
    browser = (
        os.environ.get("IGW_CHROMIUM")
        or subprocess.run(
            [sys.executable, ROOT / "scripts" / "find_browser.py"], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    asked = [shutil.which("npx") or "npx", "vitest", "run", *FRONT_END, "--reporter=json"]
    environment = {**os.environ, "IGW_CHROMIUM": browser}
    run = subprocess.run(asked, cwd=ROOT / "js", env=environment, check=False, capture_output=True, text=True)
    found = []
    for file in json.loads(run.stdout[run.stdout.index("{") :])["testResults"]:
        path = Path(file["name"]).relative_to(ROOT)
        for test in file["assertionResults"]:
            title = shlex.quote(re.escape(test["title"]).replace(r"\ ", " "))
            shown = f"(cd js && npx vitest run {path.relative_to('js')} -t {title})"
            known = {"test": f"{path}::{test['title']}", "command": shown, "failed": test["status"] == "failed"}
            found += [figure | known for figure in test["meta"].get("figures", [])]
    return found


def command(figure: Figure) -> str:
    """What gives this figure of a Python test."""
    soak = re.match(r"random use for (\d+) s", figure["what"])
    return f"python -m pytest {shlex.quote(figure['test'])}" + (f" --soak-seconds {soak[1]}" if soak else "")


# ---------------------------------------------------------------- what is written of it


def summary(figures: list[Figure]) -> str:
    """How many goals there are, and which were missed."""
    goals = [figure for figure in figures if figure["at_most"] is not None]
    missed = [figure for figure in goals if verdict(figure) != "reached"]
    lines = [f"{len(figures)} figures; of {len(goals)} goals {len(goals) - len(missed)} are reached."]
    lines += [f"* {verdict(figure)}: {figure['what']}, {shown(figure)} (goal: {goal(figure)})" for figure in missed]
    return "\n".join([*lines[:1], *([""] if missed else []), *lines[1:], ""])


def tables(figures: list[Figure]) -> Iterator[str]:
    """A heading and a table for each promise."""
    rest = {file: [one for one in figures if one["test"].partition("::")[0] == file] for file in files_of(figures)}
    for part, promises in PROMISES.items():
        found = {name: [one for file in files for one in rest.pop(file, [])] for name, files in promises.items()}
        if any(found.values()):
            yield f"## {part}\n"
        yield from (table(name, rows) for name, rows in found.items() if rows)
    if rest:
        yield "## Other tests\n"
    yield from (table(file, rows) for file, rows in rest.items())


def files_of(figures: list[Figure]) -> dict[str, None]:
    return dict.fromkeys(figure["test"].partition("::")[0] for figure in figures)


def table(name: str, figures: list[Figure]) -> str:
    cells = ((one["what"], shown(one), goal(one), verdict(one), f"`{one['command']}`") for one in figures)
    rows = (" | ".join(cell.replace("|", r"\|") for cell in row) for row in cells)
    head = f"### {name}\n\n| what | figure | goal | | command |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {row} |\n" for row in rows)


def shown(figure: Figure) -> str:
    value = float(figure["value"])
    return (f"{value:,.0f}" if value == int(value) else f"{value:.3g}") + figure["unit"]


def goal(figure: Figure) -> str:
    return "" if figure["at_most"] is None else f"at most {figure['at_most']:g}{figure['unit']}"


def verdict(figure: Figure) -> str:
    if figure["failed"]:
        return "**test failed**"
    if figure["at_most"] is None:
        return ""
    return "reached" if figure["value"] <= figure["at_most"] else "**missed**"


if __name__ == "__main__":
    main()
