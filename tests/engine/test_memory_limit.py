"""Out of memory in earnest: a process that may take a few megabytes more, and what becomes of each way to ask a model.

All runs of one process, one after the other; a limit holds for one of them. Results are compared with those of the same
process without a limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [
    pytest.mark.robustness,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of the address space are Linux's"),
]

SCRIPT = """
import json, resource, sys, warnings
from contextlib import contextmanager
import torch
import ig_widgets as igw
from ig_widgets import faithfulness, relatives
from ig_widgets.engine.errors import IGError, OutOfMemoryError

torch.set_num_threads(1)
seeded = torch.Generator().manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.Tanh(),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 4),
).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=seeded) / max(parameter[0].numel(), 1) ** 0.5)
x = torch.rand(1, 3, 64, 64, generator=seeded)

@contextmanager
def limited(megabytes):
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * 2**20, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

def attribute(**options):
    return igw.attribute(model, x, target=1, n_steps=32, **options).attributions

def deletion(**options):
    order = torch.ones_like(x).cumsum(3)
    return faithfulness.deletion(model, x, order, target=1, n_steps=32, seed=0, **options).outputs

def smoothgrad(**options):
    return relatives.smoothgrad(model, x, target=1, n_samples=16, seed=0, **options).attributions

def audit(**options):
    boxes = {f"{left}": (left, 0, left + 8, 64) for left in range(0, 56, 2)}
    known = faithfulness.audit_regions(model, x, boxes, target=1, attributions=torch.zeros_like(x), **options)
    return torch.tensor([one.output_without_region for one in known])

told = {}
for name, ask, small, large in (
    ("attribute", attribute, 4, 32), ("deletion", deletion, 4, 32), ("smoothgrad", smoothgrad, 4, 16),
    ("audit", audit, 2, 64),
):
    expected = torch.as_tensor(ask(chunk_size=small))
    for chunk_size in (large, None):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with limited(24):
                    found = torch.as_tensor(ask(chunk_size=chunk_size))
                answer = {"far": float((found - expected).abs().max() / expected.abs().max())}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        told[f"{name}, chunk_size={chunk_size}"] = answer | {"warnings": [str(one.message) for one in caught]}

# Not even a row: one keeps 8 MB after its first layer, and all else that is made takes less than 1.
modest, wide = model, lambda at: modest(at.repeat(1, 1, 4, 4))
for name, ask in (("attribute", attribute), ("deletion", deletion), ("smoothgrad", smoothgrad), ("audit", audit)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = wide
        try:
            with limited(6):
                ask()
            answer = "it fits"
        except OutOfMemoryError as error:
            answer = str(error)
        model = modest
        told[f"{name}, not a row"] = {"sentence": answer, "again": bool(torch.isfinite(torch.as_tensor(ask())).all())}

# An explorer: a result or a sentence, and the next wish is answered.
explorer = igw.ImageExplorer(model, x[0], n_steps=4)
explorer.wait()
# What is sampled is kept, 20 MB of it, and takes room as well; without a limit up to 145 MB are taken.
for megabytes, n_steps in ((64, 256), (0, 128)):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with limited(megabytes):
            explorer.n_steps = n_steps
            try:
                explorer.wait(60)
                answer = f"{explorer.result.evaluations} evaluations"
            except (IGError, MemoryError) as error:
                answer = f"{type(error).__name__}: {error}"
        explorer.n_steps = 8 + megabytes
        explorer.wait(60)
    told[f"explorer, {megabytes} MB"] = {
        "answer": answer, "next": explorer.result.evaluations, "wished": 8 + megabytes,
        "warnings": [str(one.message) for one in caught],
    }
explorer.close()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    # What is freed goes back at once, and threads share one heap: else a limit leaves room that nobody has measured.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_same_result_in_smaller_chunks(told: dict[str, dict[str, Any]], figure: Callable[..., None]) -> None:
    runs = {name: run for name, run in told.items() if "chunk_size" in name}
    far = {name: run.get("far", 1.0) for name, run in runs.items()}
    halvings = sum("Memory ran out" in text for run in runs.values() for text in run["warnings"])
    failed = sum(one > 1e-5 for one in far.values())
    figure("24 MB left: runs that did not end with the result, of 8", failed, at_most=0)
    figure("24 MB left: largest relative difference from the result without a limit", max(far.values()))
    figure("24 MB left: chunks halved", halvings)
    assert len(runs) == 8
    assert all(one <= 1e-5 for one in far.values()), runs
    # The limit was felt: of each, what was too large was halved.
    for name, run in runs.items():
        if "None" not in name:
            assert any("going on with" in text for text in run["warnings"]), (name, run)


@pytest.mark.parametrize("name", ["attribute", "deletion", "smoothgrad", "audit"])
def test_not_a_row_is_a_sentence_that_says_what_would_fit(told: dict[str, dict[str, Any]], name: str) -> None:
    run = told[f"{name}, not a row"]
    assert run["sentence"].startswith("Memory ran out with a single")
    assert "MB are free" in run["sentence"]
    assert "smaller" in run["sentence"]
    assert run["again"]


def test_an_explorer_ends_with_a_result_or_a_sentence_and_goes_on(
    told: dict[str, dict[str, Any]], figure: Callable[..., None]
) -> None:
    # How large its chunks grow, and whether the limit is met, is a matter of the clock; the result is not.
    halvings = sum("going on with" in text for text in told["explorer, 64 MB"]["warnings"])
    figure("64 MB left to an explorer that may take 145: chunks halved on the way to its result", halvings)
    assert told["explorer, 64 MB"]["answer"] == "256 evaluations"
    assert told["explorer, 0 MB"]["answer"].startswith("OutOfMemoryError: Memory ran out ")
    for run in (told["explorer, 64 MB"], told["explorer, 0 MB"]):
        assert run["next"] == run["wished"]
