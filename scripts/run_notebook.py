"""Run notebooks in place, keep their outputs, and strip what changes from run to run.

Stripped are the widgets' state (a saved state makes viewers draw a dead widget instead of the picture beside it),
references to widgets by their random ids, timings, and the version of the Python that ran.
"""

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def run(path: Path, timeout: float) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec = KERNEL
    NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    ).execute()
    strip(notebook)
    nbformat.write(notebook, path)


def strip(notebook: NotebookNode) -> None:
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "data" in output:
                output.data.pop(WIDGET_VIEW, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--timeout", type=float, default=300, help="seconds a cell may take")
    parser.add_argument("--strip-only", action="store_true", help="do not run, only strip")
    asked = parser.parse_args()
    for path in asked.notebooks:
        if asked.strip_only:
            notebook = nbformat.read(path, as_version=4)
            strip(notebook)
            nbformat.write(notebook, path)
        else:
            run(path, asked.timeout)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
