"""Nothing is unpickled, nothing evaluated, no program started, no network asked."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ig_widgets as igw
from ig_widgets import files
from tests.explorers.subjects import Classifier, photo

pytestmark = pytest.mark.robustness

PACKAGE = Path(igw.__file__).parent
# What runs what it is given, as it is called; of modules all that they have.
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__", "breakpoint"}
FORBIDDEN_MODULES = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "code", "pty"),
    *("subprocess", "multiprocessing", "ctypes", "cffi", "socket", "ssl", "http", "urllib", "requests", "ftplib"),
    *("smtplib", "telnetlib", "xmlrpc", "webbrowser", "aiohttp", "httpx", "huggingface_hub"),
}
FORBIDDEN_ATTRIBUTES = {
    *("os.system", "os.popen", "os.fork", "os.startfile", "torch.hub", "torch.package", "numpy.ctypeslib"),
    *("np.ctypeslib", "torch.utils.model_zoo", "torch.classes.load_library", "torch.ops.load_library"),
}
# To raise in the thread of an explorer that has to end before Python does there is no other way.
ALLOWED = {"explorers/widget/worker.py: import ctypes"}
FORBIDDEN_PREFIXES = ("os.exec", "os.spawn", "os.posix_spawn")
# Calls that unpickle unless they are told not to, and by which argument.
MUST_SAY = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.lib.format.read_array": ("allow_pickle", False),
    "np.lib.format.write_array": ("allow_pickle", False),
}


def dotted(node: ast.expr) -> str:
    """`a.b.c`, where that is what it is."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            if node.__class__ is ast.ImportFrom and node.level:
                continue
            yield from (f"import {name}" for name in modules if name.split(".")[0] in FORBIDDEN_MODULES)
            if isinstance(node, ast.ImportFrom):
                whole = (f"{node.module}.{name.name}" for name in node.names)
                yield from (f"import {name}" for name in whole if bad_attribute(name) or name in MUST_SAY)
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            yield node.id
        elif isinstance(node, ast.Attribute) and bad_attribute(dotted(node)):
            yield dotted(node)
        elif isinstance(node, ast.Call) and dotted(node.func) in MUST_SAY:
            name, value = MUST_SAY[dotted(node.func)]
            said = [one.value for one in node.keywords if one.arg == name]
            if not (len(said) == 1 and isinstance(said[0], ast.Constant) and said[0].value is value):
                yield f"{dotted(node.func)} without {name}={value}"


def bad_attribute(name: str) -> bool:
    return name in FORBIDDEN_ATTRIBUTES or name.startswith(FORBIDDEN_PREFIXES)


def test_no_line_of_the_package_unpickles_evaluates_or_starts_anything() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {offence}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for offence in offences(ast.parse(path.read_text("utf-8")))
    ]
    assert set(found) == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "import urllib.request", "from os import system", "eval('1')",
        "f = exec", "torch.load(f)", "torch.load(f, weights_only=False)", "torch.load(f, weights_only=flag)",
        "np.load(f)", "np.load(f, allow_pickle=True)", "os.system('x')", "os.execv('x', [])", "torch.hub.load('x')",
        "from torch import load", "import multiprocessing as m",
    ],
)  # fmt: skip
def test_such_a_line_would_be_found(line: str) -> None:
    assert len(list(offences(ast.parse(line)))) == 1


def test_the_front_end_evaluates_nothing_and_writes_no_markup() -> None:
    built = [(PACKAGE / "static" / name).read_text("utf-8") for name in ("image.js", "table.js", "standalone.js")]
    files = sorted((PACKAGE.parent / "js" / "src").rglob("*.ts"))
    sources = [path.read_text("utf-8") for path in files if path.name != "loader.ts"]
    (loader,) = [path.read_text("utf-8") for path in files if path.name == "loader.ts"]
    assert len(sources) > 50
    words = ("eval(", "new Function", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write")
    words += ("setHTML", "createContextualFragment", "srcdoc", "XMLHttpRequest", "WebSocket", "sendBeacon")
    for text in (*sources, *built):
        assert [word for word in words if word in text] == []
        assert "fetch(" not in text
        assert "import(" not in text
    # But for what the kernel gives it, as anywidget does.
    assert loader.count("import(") == 1
    assert "createObjectURL(new Blob([text]" in loader


# ---------------------------------------------------------------- at run time


@pytest.fixture
def unpickled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was unpickled; a load of weights alone is none."""
    seen: list[str] = []
    load = torch.load

    def watched_load(*args: Any, **options: Any) -> Any:
        if options.get("weights_only") is not True:
            seen.append("torch.load")
        return load(*args, **options)

    def watch(name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            seen.append(name)
            raise AssertionError(f"{name} was called")

        return refuse

    monkeypatch.setattr(torch, "load", watched_load)
    for name in ("loads", "load", "Unpickler", "_loads", "_load", "_Unpickler"):
        monkeypatch.setattr(pickle, name, watch(name))
    return seen


def test_the_demo_and_an_explorers_life_unpickle_nothing(unpickled: list[str], tmp_path: Path) -> None:
    igw.demo.image_classifier("cpu")
    igw.demo.image("cat")
    explorer = igw.ImageExplorer(Classifier(), photo(), n_steps=2)
    explorer.wait()
    explorer.to_npz(tmp_path / "a.npz")
    explorer.to_html(tmp_path / "a.html")
    explorer.snapshot()
    explorer.close()
    arrays, settings = files.read_npz(tmp_path / "a.npz")
    assert arrays["attributions"].shape == (3, 16, 16)
    assert settings["n_steps"] == 2
    assert unpickled == []


class Trap:
    """Runs when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("name", ["attributions", "settings"])
def test_a_file_that_holds_a_pickle_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    trap = np.empty(1, dtype=object)
    trap[0] = Trap()
    np.savez(tmp_path / "trap.npz", **{name: trap})
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Trap()))
    for file in ("trap.npz", "pickle.npz"):
        with pytest.raises(files.FileError, match=r"holds no \.npz that write_npz wrote"):
            files.read_npz(tmp_path / file)
    assert not Trap.sprung


# ---------------------------------------------------------------- no network

BLOCKED = """
import socket, sys

asked = []

def refuse(name):
    def raise_(*args, **options):
        asked.append((name, args[1:2] or args[:1]))
        raise OSError(f"{name}: there is no network")
    return raise_

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse(name))
for name in ("create_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, refuse(name))

"""
LIFE = """
import tempfile
from pathlib import Path

import torch
import ig_widgets as igw
from ig_widgets import faithfulness, figures, relatives

demo = igw.demo.image_classifier("cpu")
photo = igw.demo.image("cat").resize((64, 64))
inputs = demo.preprocess(photo)
assert demo.model(inputs).shape == (1, 1000)

torch_photo = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
layers = torch.nn.Conv2d(3, 4, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 5)
model = torch.nn.Sequential(*layers).eval()
explorer = igw.ImageExplorer(model, torch_photo[0], n_steps=4)
explorer.wait()
explorer._repr_mimebundle_()
explorer.gallery()
explorer.dependence(["black", "white"], n_steps=2)
explorer.region = (0, 0, 4, 4)
explorer.audit()
explorer.crosscheck()
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    explorer.to_png(folder / "a.png"), explorer.to_svg(folder / "a.svg")
    explorer.to_html(folder / "a.html"), explorer.to_npz(folder / "a.npz")
    figures.save(explorer.figure(), folder / "b.png")
    assert len(list(folder.iterdir())) == 5
explorer.close()

picture = torch_photo[0]
options = dict(target=0, n_steps=2)
result = igw.attribute(model, torch_photo, **options)
figures.image(result, picture)
audits = faithfulness.audit_regions(model, torch_photo, [(0, 0, 4, 4)], target=0)
figures.audit(audits, picture)
figures.curves(faithfulness.deletion(model, torch_photo, result, target=0, n_random=1, n_steps=3, seed=0))
figures.randomization(faithfulness.randomize_model(model, torch_photo, target=0, seed=0))
several = relatives.over_baselines(model, torch_photo, baselines={"a": 0.0, "b": 1.0}, **options)
figures.over_baselines(several, picture)
relatives.gradient(model, torch_photo, target=0)
relatives.smoothgrad(model, torch_photo, target=0, n_samples=2, seed=0)
"""


def run_alone(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent, timeout=240, check=False)


def test_no_network_is_asked() -> None:
    done = run_alone(BLOCKED + LIFE + "\nassert asked == [], asked\nprint('alone')")
    assert done.stdout == "alone\n", done.stderr[-3000:]


def test_whoever_asked_would_be_seen() -> None:
    done = run_alone(BLOCKED + "import urllib.request\nurllib.request.urlopen('http://192.0.2.1')")
    assert "there is no network" in done.stderr
    assert done.returncode != 0
