#!/usr/bin/env python3
"""Print the path of a Chromium or Chrome that starts; with --install, bring one where there is none.

Looks at the environment variable IGW_CHROMIUM, then at the usual names on the PATH, then at what Playwright keeps.
A name on the PATH is not enough (Ubuntu's chromium-browser is a stub that asks for a snap), so each is started.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLAYWRIGHT = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/Chromium.app/Contents/MacOS/Chromium")


def candidates() -> Iterator[str]:
    for name in NAMES:
        if path := shutil.which(name):
            yield path
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    for pattern in PLAYWRIGHT:
        yield from (str(path) for path in sorted(cache.glob(pattern), reverse=True))


def starts(path: str) -> bool:
    try:
        run = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0 and run.stdout.startswith(("Chromium", "Google Chrome"))


def find() -> str | None:
    if named := os.environ.get("IGW_CHROMIUM"):
        if not starts(named):
            sys.exit(f"IGW_CHROMIUM is {named!r}, and that is not a Chromium that starts.")
        return named
    return next(filter(starts, candidates()), None)


def install() -> None:
    """With the system's packages where that is allowed, else Playwright's own download."""
    if shutil.which("apt-get"):
        sudo: list[str] | None = None
        if os.geteuid() == 0:
            sudo = []
        elif shutil.which("sudo") and say(["sudo", "-n", "true"]):
            sudo = ["sudo", "-n"]
        if sudo is not None:
            apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
            say([*apt, "update"])
            if say([*apt, "install", "-y", "chromium"]) and find():
                return
    say([sys.executable, "-m", "playwright", "install", "chromium"])


def say(command: list[str]) -> bool:
    """Run, with all output on stderr: stdout is for the path alone."""
    print("+", *command, file=sys.stderr)
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install a browser where none is found")
    asked = parser.parse_args()
    path = find()
    if path is None and asked.install:
        install()
        path = find()
    if path is None:
        sys.exit(
            "No Chromium was found. Install the package chromium (or Google Chrome), or run "
            "`python -m playwright install --with-deps chromium`, or set IGW_CHROMIUM to the path of one."
        )
    print(path)


if __name__ == "__main__":
    main()
