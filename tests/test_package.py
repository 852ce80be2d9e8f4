"""What holds for the package as a whole: its version, its public names, its imports, and what is committed."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import ig_widgets

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ig_widgets"


def test_version_is_the_one_in_pyproject():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ig_widgets.__version__ == version("ig_widgets") == stated


def test_public_names_can_be_had():
    assert sorted(ig_widgets.__all__) == sorted(set(ig_widgets.__all__))
    for name in ig_widgets.__all__:
        assert getattr(ig_widgets, name) is not None


@pytest.mark.parametrize("path", sorted((PACKAGE / "engine").glob("*.py")), ids=lambda path: path.name)
def test_engine_imports_torch_and_numpy_only(path):
    """Import-linter forbids by name; this holds for any package, also for one that nobody thought of."""
    allowed = sys.stdlib_module_names | {"torch", "numpy", "ig_widgets"}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed


def test_engine_alone_loads_nothing_of_widgets_or_captum():
    """A server that only wants numbers is not made to import a notebook: `ig_widgets.engine` needs torch alone.

    Run with the parent package's own imports blocked out, since `import a.b` imports `a` first.
    """
    code = (
        "import sys, types; parent = types.ModuleType('ig_widgets'); parent.__path__ = [sys.argv[1]];"
        "sys.modules['ig_widgets'] = parent; import ig_widgets.engine;"
        "print(sorted({'anywidget', 'ipywidgets', 'traitlets', 'captum', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(PACKAGE)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# ---------------------------------------------------------------- what is committed


def tracked_files() -> list[Path]:
    """Files that git tracks or would; none where this is not a checkout (an unpacked sdist)."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return []
    return [path for name in run.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# With spaces, so that this file does not find itself.
REGISTRIES = re.compile(
    rb"registry\. npmjs | registry\. yarnpkg | npmmir ror | files\. pythonhosted | pypi\. org/simple"
    rb"| --(extra-)? index-url | --find -links | download\. pytorch",
    re.VERBOSE,
)
HOME_PATHS = re.compile(rb"(?<![\w.$])/(home|Users|root|work)/[\w.-]+/")


def test_committed_files_say_nothing_of_the_machine_they_were_made_on():
    """Where packages come from is up to each machine, and paths of one machine mean nothing on another."""
    files = tracked_files()
    if not files:
        pytest.skip("not a git checkout")
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in files
        for match in [pattern.search(path.read_bytes()) for pattern in (REGISTRIES, HOME_PATHS)]
        if match
    ]
    assert not found


def test_constraints_pin_versions_and_nothing_else():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert "torch==2.13.0" in lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_notebooks_are_committed_without_widget_state():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text()
        assert "application/vnd.jupyter.widget" not in text, f"{path.name}: run `make notebooks`"
        assert len(text) < 1_000_000
