"""A marimo app of its own: no set-up of the person is read, nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS, _STOP_SECONDS = 60.0, 10.0


@contextmanager
def marimo(app: str) -> Iterator[str]:
    """Run an app of this source text on the loopback address; gives the address. It ends with the context."""
    with tempfile.TemporaryDirectory(prefix="igw-marimo-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "app.py").write_text(app, encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "marimo", "run", "app.py", "--headless", "--no-token"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        folders = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")}
        log = home / "log"
        with log.open("wb") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            process = subprocess.Popen(command, env=os.environ | folders, cwd=home, start_new_session=True, **streams)
        try:
            address = f"http://127.0.0.1:{port}/"
            _await(process, address, log)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _await(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"marimo did not start:\n{log.read_text(errors='replace')[-3000:]}")
