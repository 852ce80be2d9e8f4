"""How many small faults the tests would not notice: mutation testing of a seeded sample.

    mutants.py [--count 60] [--seed 1] [--under ig_widgets/engine ig_widgets/compat] [--only FILE:LINE ...]

Samples changes of single lines (mutations.py), makes each in a copy of the tree and runs the tests that cover the line,
a variant of each first, the quickest first, until one fails. Those that live are tried again, with more and slower
tests, and printed where they live on. A mutant that no test covers survives; one that runs out of time is killed. Which
test covers which line is found once, with coverage's contexts, and kept in a file outside of the repository
(`--coverage`) until `--anew`; tests that are new are looked at by `--add`. Each mutant has a process of its own, forked
from one that holds the collected tests (warm_tests.py) or, where it is not in a function, from this one, which has
imported torch and not the package.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from covering_tests import Chosen, Coverage, Recorder, function_of, in_fork, run_pytest
from mutations import Mutant, mutants
from warm_tests import WarmTests

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    "tests/engine",
    "tests/compat",
    "tests/exact",
    "tests/figures",
    "tests/test_attribution_files.py",
    "tests/test_outputs_and_keywords.py",
)
# Whole models in great numbers, which notice much and take minutes; memory and queued devices, in processes of their
# own, which a fixture would start again whenever tests of other files come between; calls by the thousand; interrupts
# at random lines.
LEFT_OUT = (
    "tests/engine/zoo",
    "tests/engine/test_memory.py",
    "tests/engine/test_memory_limit.py",
    "tests/engine/test_synchronisation.py",
    "tests/engine/test_growth.py",
    "tests/engine/test_interrupts.py",
)
PRELOADED = ("torch", "captum.attr", "hypothesis", "matplotlib.figure", "anywidget", "numpy.polynomial", "transformers")
VARIANTS = 4  # of a parametrised test that are recorded; more of them take long and seldom notice more
PATIENCE = 30.0  # seconds of tests for a mutant
UNFIT = "status 99"  # where functions cannot take the code of the mutant


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    killed: bool
    how: str  # the test that failed, or how many passed
    seconds: float

    def __str__(self) -> str:
        what = "killed  " if self.killed else "SURVIVES"
        return f"{what} {self.seconds:5.1f} s {self.mutant} ({self.how})"


class Laboratory:
    """A copy of the tree in which mutants are made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "tree", folder / "log"
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        if (ROOT / "ig_widgets/static").is_dir():
            shutil.copytree(ROOT / "ig_widgets/static", self.folder / "ig_widgets/static")
        # CI: hypothesis draws the same examples every time.
        os.environ |= {"PYTHONPATH": str(self.folder), "CI": "1"}
        self._made = 0
        self._warm: WarmTests | None = None

    def record(self, tests: Sequence[str], file: Path, variants: int | None) -> None:
        """Run the tests once, so many variants of each, and write what they cover."""

        def recorded() -> int:
            recorder = Recorder(self.folder, variants)
            status = run_pytest(self.folder, [*tests, *_left_out()], [recorder])
            recorder.write(self.folder, file)
            return status

        status = in_fork(recorded, self.log)
        if status not in (0, 1):  # 1: some tests fail, which are then left out
            sys.exit(f"pytest ended with {status}:\n{self.log.read_text()[-2000:]}")

    def judge(self, mutant: Mutant, known: Coverage, *, thoroughly: bool = False) -> Verdict:
        """Whether a test notices the mutant; thoroughly also of the slower tests, and of all variants."""
        began = time.monotonic()
        tests = known.of(mutant, self.folder)
        if thoroughly and not tests:
            tests = known.of_file(mutant)  # variants of these may
        if not tests:
            return Verdict(mutant, False, "no test covers it", 0.0)
        chosen, others = _within(tests, known.tests, PATIENCE / 2), list[str]()
        if thoroughly:
            # Those of its own file first, of the same name.
            tests = sorted(tests, key=lambda test: Path(mutant.file).stem not in test.partition("::")[0])
            chosen = _within(tests, known.tests, 3 * PATIENCE)
            others = list(dict.fromkeys(map(function_of, tests)))
        source = (self.folder / mutant.file).read_bytes()
        changed = mutant.applied(source)
        why = UNFIT
        if mutant.in_function:
            self._start()
        with self._made_in_place(mutant.file, changed):
            if mutant.in_function:
                why = self._warm_failure(mutant.file, source, changed, chosen, known, others)
            if why == UNFIT:
                why = self._failure(chosen, _limit(chosen, known))
        seconds = time.monotonic() - began
        return Verdict(mutant, bool(why), why or f"{len(chosen)} of {len(tests)} tests pass", seconds)

    def check(self, known: Coverage) -> None:
        """Stop where tests fail that nothing was done to."""
        chosen = _within(sorted(known.tests, key=lambda test: known.tests[test]), known.tests, PATIENCE / 2)
        file = "ig_widgets/engine/rules.py"
        source = (self.folder / file).read_bytes()
        self._start()
        if why := self._warm_failure(file, source, source, chosen, known, ()):
            sys.exit(f"{why} fails without a mutant:\n{self.log.read_text()[-2000:]}")

    def _start(self) -> None:
        if self._warm is None:
            self._warm = WarmTests(self.folder, self.log.with_name("server"), [*TESTS, *_left_out()])

    def _warm_failure(
        self,
        file: str,
        source: bytes,
        changed: bytes,
        tests: Sequence[str],
        known: Coverage,
        functions: Sequence[str],
    ) -> str:
        assert self._warm is not None
        return self._warm.failure(
            file=str(self.folder / file),
            before=source.decode(),
            after=changed.decode(),
            tests=tests,
            functions=functions,
            known=sorted(known.tests) if functions else [],
            patience=PATIENCE,
            limit=_limit(tests, known) + 2 * PATIENCE,
        )

    def _failure(self, tests: Sequence[str], limit: float) -> str:
        """How the tests fail in a fork that imports the package; empty where they pass."""
        files = sorted({test.partition("::")[0] for test in tests})
        status = in_fork(lambda: run_pytest(self.folder, ["-x", *files], [Chosen(tests)]), self.log, limit)
        if status == 0:
            return ""
        if status is None:
            return "time"
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", self.log.read_text(errors="replace"), re.MULTILINE)
        return found[1] if found else f"status {status}"

    @contextlib.contextmanager
    def _made_in_place(self, name: str, changed: bytes) -> Iterator[None]:
        file = self.folder / name
        source, times = file.read_bytes(), file.stat()
        file.write_bytes(changed)
        self._made += 1  # each has a time of its own, or compiled code of another would be taken for it
        os.utime(file, (0, times.st_mtime + self._made))
        try:
            yield
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _limit(tests: Sequence[str], known: Coverage) -> float:
    """Seconds after which tests are taken to hang."""
    return 30 + 4 * sum(known.tests[test] for test in tests)


def _left_out() -> list[str]:
    return [f"--ignore={path}" for path in LEFT_OUT]


def _within(tests: Sequence[str], seconds: dict[str, float], patience: float) -> list[str]:
    """As many of the tests as patience allows, and one at least."""
    chosen: list[str] = []
    spent = 0.0
    for test in tests:
        spent += seconds[test]
        if chosen and spent > patience:
            break
        chosen.append(test)
    return chosen


def sample(under: Sequence[str], seed: int) -> list[Mutant]:
    """All mutants, at most one a line, in the order of the seed."""
    files = sorted(file for folder in under for file in (ROOT / folder).rglob("*.py"))
    ranked: dict[bytes, Mutant] = {}
    alike: Counter[str] = Counter()
    for file in files:
        for one in mutants(str(file.relative_to(ROOT)), file.read_bytes()):
            # Ranked by what they are and not where: lines that come and go leave most of the sample as it was.
            named = f"{seed} {one.file} {one.statement} {one.kind} {one.before} {one.after}"
            alike[named] += 1
            ranked[hashlib.sha256(f"{named} {alike[named]}".encode()).digest()] = one
    chosen: dict[tuple[str, int], Mutant] = {}
    for rank in sorted(ranked):
        chosen.setdefault((ranked[rank].file, ranked[rank].line), ranked[rank])
    return list(chosen.values())


def main(arguments: Sequence[str]) -> int:
    """Print each verdict and the survivors. Returns the exit status."""
    options = _options(arguments)
    chosen = sample(options.under, options.seed)
    named = set(options.only)
    chosen = [one for one in chosen if f"{one.file}:{one.line}" in named] if named else chosen[: options.count]
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        laboratory = Laboratory(Path(folder).resolve())
        if options.anew:
            options.coverage.unlink(missing_ok=True)
        if added := options.add if options.coverage.exists() else TESTS:
            began = time.monotonic()
            laboratory.record(added, options.coverage, None if options.add else VARIANTS)
            print(f"coverage: {time.monotonic() - began:.0f} s", flush=True)
        known = Coverage.read(options.coverage, LEFT_OUT)
        print(f"{len(known.tests)} tests, {sum(known.tests.values()):.0f} s", flush=True)
        laboratory.check(known)
        verdicts = []
        for number, mutant in enumerate(chosen, 1):
            verdicts.append(laboratory.judge(mutant, known, thoroughly=bool(named)))
            print(f"{number:3} {verdicts[-1]}", flush=True)
        for place, one in enumerate(verdicts):
            if not one.killed and not named:
                verdicts[place] = laboratory.judge(one.mutant, known, thoroughly=True)
                print(f"{place + 1:3} again: {verdicts[place]}", flush=True)
    _print_summary(verdicts, options.seed)
    return 0


def _print_summary(verdicts: Sequence[Verdict], seed: int) -> None:
    alive = [one for one in verdicts if not one.killed]
    print(f"\nseed {seed}: {len(alive)} of {len(verdicts)} survive ({len(alive) / max(len(verdicts), 1):.0%})")
    for kind, count in Counter(one.mutant.kind for one in verdicts).most_common():
        print(f"  {kind}: {sum(one.mutant.kind == kind for one in alive)} of {count}")
    for one in alive:
        print(f"  {one.mutant} ({one.how})")


def _options(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--under", nargs="+", default=["ig_widgets/engine", "ig_widgets/compat"])
    parser.add_argument("--only", nargs="+", default=[], metavar="FILE:LINE", help="these lines, and thoroughly")
    kept = Path(tempfile.gettempdir()) / "ig_widgets_mutants_coverage.json"
    parser.add_argument("--coverage", type=Path, default=kept, help="where it is kept which test covers which line")
    parser.add_argument("--anew", action="store_true", help="record coverage anew")
    parser.add_argument("--add", nargs="+", default=[], metavar="TESTS", help="record these, too: tests that are new")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main(sys.argv[1:]))
