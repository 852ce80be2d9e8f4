"""How far the engine's verdict is true: of small real models and of adversarial functions whose maps are known.

A claim is false where a map is called converged and is off by more than twice the tolerance. True maps are exact, or
composite Gauss rules in float64 to 1e-4 (tests/engine/zoo/references.py), kept in benchmarks/.cache. Captum's default
rule, Gauss-Legendre, is written out here, on the model as it is; "a graded Gauss rule" has pieces that shrink toward
the singular end, by the ratio and of the order with which it needs fewest points.

    python benchmarks/zoo.py [--cases] [--only NAME ...] [--part models|functions] [--tol 0.05 ...] [--json FILE]
        [--quick]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from _report import Row, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.engine.zoo.cases import Case, Subject
from tests.engine.zoo.functions import FUNCTIONS
from tests.engine.zoo.judge import Captum, Record, graded_points, run
from tests.engine.zoo.models import MODELS
from tests.engine.zoo.references import GOAL, Reference, reference

CACHE = Path(__file__).parent / ".cache" / "zoo"
PARTS = {"models": MODELS, "functions": FUNCTIONS}
NAMES = {"models": "real models", "functions": "adversarial functions"}
# A reference that is known less well than a tenth of the tolerance judges nobody.
KNOWN = 0.1


def known(case: Case) -> Reference:
    """The reference of a case, from the cache if the case is still the same."""
    if case.exact is not None:
        return reference(case)
    file = CACHE / f"{case.name}-{fingerprint(case)}.pt"
    if not file.exists():
        found = reference(case)
        CACHE.mkdir(parents=True, exist_ok=True)
        torch.save(vars(found), file)
    return Reference(**torch.load(file, weights_only=True))


def fingerprint(case: Case) -> str:
    """Of what the reference was computed of. What a function says in Python is not in it, but for one value."""
    parts = [*case.module.state_dict().values(), *case.inputs, *case.baselines]
    parts += [one for one in case.extra if isinstance(one, torch.Tensor)]
    with torch.no_grad():
        rows = case.module(*case.inputs, *case.extra) if not getattr(case.module, "needs_gradients", False) else None
    parts += [rows] if isinstance(rows, torch.Tensor) else []
    digest = hashlib.sha256(f"{case.target} {case.places} {case.kinked} {case.singular} {case.jumps} {GOAL}".encode())
    for part in parts:
        digest.update(part.detach().double().round(decimals=5).numpy().tobytes())
    return digest.hexdigest()[:12]


def judge(subject: Subject, tols: Sequence[float], quick: bool) -> list[tuple[Case, Record]]:
    """A record for each tolerance."""
    case = subject.make()
    truth = known(case)
    captum, records = Captum(case, truth), []
    for tol in tols:
        if truth.error > KNOWN * tol:
            print(f"not judged at {tol:g}: {case.name}, whose reference is known to {truth.error:.1e} only")
            continue
        record = run(case, truth, tol)
        if record.error is not None and not quick:
            graded = graded_points(case, truth, record.error) if case.singular else None
            met, points = captum.meets(tol), captum.points(record.error)
            record = replace(record, captum=points, captum_met=met, graded=graded)
        elif not quick:
            record = replace(record, captum_met=captum.meets(tol))
        records.append((case, record))
    return records


def line(record: Record) -> str:
    """A case in one line."""
    if record.failed:
        return f"{record.name:38} {record.tol:<5g} {'INTERNAL ' if record.internal else ''}{record.failed[:120]}"
    said = "converged" if record.converged else "not converged"
    estimate = "-" if record.estimate is None else f"{record.estimate:.4f}"
    captum = "-" if record.captum is None else str(record.captum)
    false = "  FALSE" if record.false_claim else "" if record.met else "  missed"
    return (
        f"{record.name:38} {record.tol:<5g} error {record.error:.4f} estimate {estimate} {said}, {record.method} "
        f"{record.evaluations} (Captum {captum}, graded {record.graded or '-'}), {1000 * record.elapsed:.0f} ms{false}"
    )


# ---------------------------------------------------------------- the table


def share(some: Iterable[object], of: Sequence[object]) -> float:
    return 100 * sum(map(bool, some)) / len(of) if of else 0.0


def rows(part: str, judged: Sequence[tuple[Case, Record]], quick: bool) -> list[Row]:
    """What the table says of models or of functions."""
    records, what = [record for _, record in judged], NAMES[part]
    converged = [r for r in records if r.converged]
    false = [r for r in records if r.false_claim]
    crashes = [r for r in records if r.internal]
    percent = share((r.false_claim for r in records), records)
    claims = f"{percent:.1f}% ({len(false)} of {len(records)}; {len(converged)} converged)"
    refused = sum(bool(r.failed) and not r.internal for r in records)
    goal = 0.0 if part == "models" else 2.0
    found = [
        Row(f"{what}: converged and off by more than twice the tolerance", claims, percent, goal, "%"),
        Row(f"{what}: errors that are internal", f"{len(crashes)}", len(crashes), 0),
        Row(f"{what}: raised an error of the package", f"{refused}"),
    ]
    met = [r for r in records if r.captum_met]
    if not quick and met:
        missed = 100 - share((r.met for r in met), met)
        text = f"{missed:.1f}% (met {100 - missed:.1f}% of {len(met)})"
        found.append(
            Row(f"{what}: tolerance missed, where Captum's rule meets it with 1024 points", text, missed, 3.0, "%")
        )
    found += calibration(what, records)
    if not quick:
        found += costs(what, judged)
    return found


def calibration(what: str, records: Sequence[Record]) -> list[Row]:
    """Truth over estimate, where the error is not too small to say anything of estimates."""
    both = [(r.error / max(r.estimate, 1e-300), r) for r in records if r.error is not None and r.estimate is not None]
    said = [ratio for ratio, r in both if not small(r)]
    outside = 100 - share((0.5 <= ratio <= 2 for ratio in said), said)
    above = share((ratio > 2 and not small(r) for ratio, r in both), both)
    middle = f"; median {median(said):.2f}" if said else ""
    counted = f"{len(said)} with errors over a hundredth of the tolerance that the reference can tell"
    text = f"{outside:.0f}% (within {100 - outside:.0f}% of {counted}{middle})"
    every = share((0.5 <= ratio <= 2 for ratio, _ in both), both)
    return [
        Row(f"{what}: truth not within a factor 2 of the estimate", text, outside, 25.0, "%"),
        Row(f"{what}: the same, of all runs", f"{100 - every:.0f}% (within {every:.0f}% of {len(both)})"),
        Row(f"{what}: truth more than twice above the estimate", f"{above:.1f}%", above, 2.0, "%"),
    ]


def small(record: Record) -> bool:
    """Whether the error is too small for an estimate to be blamed.

    That is below a hundredth of the tolerance (rounding), or below twice of what the true map may itself be off by.
    """
    return record.error is not None and record.error <= max(0.01 * record.tol, 2 * record.unknown)


def costs(what: str, judged: Sequence[tuple[Case, Record]]) -> list[Row]:
    """Evaluations over those that other rules need for the same error, where the tolerance was met."""
    met = [(case, r) for case, r in judged if r.met]
    smooth = [r.evaluations / r.captum for case, r in met if r.captum and not case.kinked and not case.singular]
    captum = [r.evaluations / r.captum for _, r in met if r.captum]
    never = sum(r.captum is None for _, r in met)
    graded = [r.evaluations / r.graded for case, r in met if case.singular and r.graded]
    found = []
    if captum:
        of_smooth = f"; smooth {median(smooth):.2f}x" if smooth else ""
        text = f"{median(captum):.2f}x ({len(captum)} runs{of_smooth}; in {never} more Captum needs over 1024)"
        found.append(
            Row(f"{what}: evaluations over Captum's for the same error, median", text, median(captum), 0.9, "x")
        )
    if graded:
        worst = sorted(graded)[int(0.9 * len(graded))]
        text = f"{median(graded):.2f}x ({len(graded)} runs; one in ten over {worst:.1f}x)"
        found.append(Row(f"{what}: singular ends, over a graded Gauss rule, median", text, median(graded), 2.0, "x"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", action="store_true", help="a line for each case")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="cases whose name or family has NAME in it"
    )
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--tol", type=float, nargs="+", default=[0.05, 0.01])
    parser.add_argument("--json", type=Path, metavar="FILE", help="all records")
    parser.add_argument("--quick", action="store_true", help="no comparison with other rules")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dumped = []
    for part in [options.part] if options.part else PARTS:
        judged = []
        for subject in chosen(PARTS[part], options.only):
            found = judge(subject, options.tol, options.quick)
            judged += found
            dumped += [record.plain() | {"part": part} | about(case) for case, record in found]
            if options.cases:
                print(*(line(record) for _, record in found), sep="\n", flush=True)
        for tol in options.tol if judged else []:
            families = len({case.family for case, _ in judged})
            some = [one for one in judged if one[1].tol == tol]
            title = f"The zoo: {NAMES[part]}, to {tol:.0%} ({len(some)} cases of {families} families)"
            table(title, rows(part, some, options.quick))
    if options.json:
        options.json.write_text(json.dumps(dumped, indent=1))


def chosen(subjects: Sequence[Subject], only: Sequence[str]) -> list[Subject]:
    return [one for one in subjects if not only or any(name in one.name or name in one.family for name in only)]


def about(case: Case) -> dict[str, object]:
    return {
        "kinked": case.kinked,
        "singular": case.singular,
        "jumps": case.jumps,
        "dtype": str(case.inputs[0].dtype),
        "features": sum(one[0].numel() for one in case.inputs),
    }


if __name__ == "__main__":
    main()
