"""What `npm audit --json` (standard input) found, but for the advisories named as arguments.

Ends with 0 where that is nothing, with 1 where it is something, and with 2 where the audit was not made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from typing import Any


def advisories(report: dict[str, Any]) -> dict[str, str]:
    """Name and one line of each: those that a package has itself; others are named by it."""
    found = {}
    for package in report["vulnerabilities"].values():
        for via in package["via"]:
            if isinstance(via, dict):
                name = str(via.get("url", "")).rpartition("/")[2] or str(via.get("source"))
                found[name] = (
                    f"{name}: {via.get('name')} {via.get('range')}: {via.get('title')} ({via.get('severity')})"
                )
    return found


def main(text: str, ignored: Collection[str]) -> int:
    """Print what is to be told. Returns the exit status."""
    try:
        report = json.loads(text)
        found = advisories(report)
    except (ValueError, KeyError, TypeError, AttributeError):
        try:
            said = json.loads(text)
            print(said.get("message") or said["error"].get("summary") or said["error"]["code"])
        except (ValueError, KeyError, TypeError, AttributeError):
            print("it gave no report")
        return 2
    told = [line for name, line in sorted(found.items()) if name not in ignored]
    count = report.get("metadata", {}).get("dependencies", {}).get("total", "all")
    print("\n".join(told) or f"no known vulnerability in {count} packages")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.read(), sys.argv[1:]))
