"""A JupyterLab of its own, driven by Playwright: no Jupyter set-up of the person is read, nothing is left behind.

with jupyterlab() as lab, chromium() as browser:
    lab.write_notebook("x.ipynb", ["1 + 1"])
    page = browser.new_page()
    run_notebook(page, lab, "x.ipynb")
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

_FIND_BROWSER = Path(__file__).parent.parent / "scripts" / "find_browser.py"
# Software WebGL2. Flags that force ANGLE's back end would make it composite in software too, which is slow.
_BROWSER_FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader"]
_SETTINGS = {
    # Off-screen cells stay in the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
    # No question at the start, and no request to the outside.
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "docmanager-extension/plugin": {"autosave": False},
}
_START_SECONDS, _STOP_SECONDS = 90.0, 20.0


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: `folder` is where its notebooks lie, `log` is what it printed."""

    url: str
    token: str
    folder: Path
    log: Path

    def address(self, notebook: str, app: str = "lab") -> str:
        """Where a browser finds a notebook: in a workspace of JupyterLab that nobody has used, or in Notebook 7."""
        if app == "notebook":
            return f"{self.url}notebooks/{quote(notebook)}?token={self.token}"
        return f"{self.url}lab/workspaces/{secrets.token_hex(8)}/tree/{quote(notebook)}?reset&token={self.token}"

    def write_notebook(self, name: str, cells: Sequence[str], kernel: str = "python3") -> None:
        """A notebook with these code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)


@contextmanager
def jupyterlab() -> Iterator[Lab]:
    """Start a JupyterLab on the loopback address, and stop it with its kernels."""
    with tempfile.TemporaryDirectory(prefix="igw-lab-", ignore_cleanup_errors=True) as name:
        home, token = Path(name), secrets.token_hex(16)
        notebooks, log = home / "notebooks", home / "log"
        notebooks.mkdir()
        for setting, values in _SETTINGS.items():
            file = home / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / f"{setting}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += ["--ServerApp.port=18888", "--ServerApp.port_retries=200", f"--ServerApp.root_dir={notebooks}"]
        command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
        environment = _environment(home) | {"JUPYTER_TOKEN": token}
        with log.open("wb") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            process = subprocess.Popen(command, env=environment, cwd=notebooks, start_new_session=True, **streams)
        try:
            yield Lab(_url(process, home / "JUPYTER_RUNTIME_DIR", log), token, notebooks, log)
        finally:
            _stop(process)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_"))}
    folders = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
    folders += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    return kept | {name: str(home / name) for name in folders} | {"JUPYTER_PREFER_ENV_PATH": "1"}


def _url(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """The address at which it listens, which it writes down only then."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(file.read_text())["url"])
            except ValueError:
                pass  # half written
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Politely, so that it ends its kernels; they notice by themselves if it has to be killed.
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, headless."""
    found = subprocess.run([sys.executable, str(_FIND_BROWSER)], stdout=subprocess.PIPE, text=True, check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=_BROWSER_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def run_notebook(page: Page, lab: Lab, name: str, timeout: float = 120.0, app: str = "lab") -> None:
    """Open a notebook in an app ("lab" or "notebook") and run all its cells; returns when the last has run.

    Raises if not all of them did.
    """
    page.set_default_timeout(timeout * 1000)
    page.goto(lab.address(name, app))
    page.wait_for_function(
        """() => fetch("/api/sessions").then(answer => answer.json())
            .then(all => all.some(session => session.kernel?.execution_state === "idle"))""",
        polling=250,
    )
    # The server knows of the kernel before the page is connected to it.
    page.wait_for_function("() => globalThis.jupyterapp?.shell.currentWidget?.sessionContext")
    failure = page.evaluate(
        """async () => {
            await jupyterapp.restored;
            const { context, sessionContext } = jupyterapp.shell.currentWidget;
            await Promise.all([context.ready, sessionContext.ready]);
            if (await jupyterapp.commands.execute("notebook:run-all-cells")) return null;
            const outputs = context.model.toJSON().cells.flatMap(cell => cell.outputs ?? []);
            const { ename, evalue } = outputs.find(output => output.output_type === "error") ?? {};
            return `${ename}: ${evalue}`;
        }"""
    )
    if failure is not None:
        raise RuntimeError(f"A cell of {name} failed: {failure}")
