"""What an audit found, told in lines: of `pip-audit --format json` or `npm audit --json`, on standard input.

    read_audit.py pip|npm [ADVISORY ...]

Advisories that are named are let pass. Ends with 0 where nothing else was found, with 1 where something was, and with 2
and the reason where the audit was not made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from typing import Any


class NotMadeError(Exception):
    """There is no audit, for this reason."""


def of_pip(report: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """How many packages were audited, and a line of each advisory by its names."""
    packages = [package for package in report["dependencies"] if "vulns" in package]
    if not packages:
        raise NotMadeError(f"nothing is known of any of the {len(report['dependencies'])} packages")
    found = {}
    for package in packages:
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "no release"
            line = f"{one['id']}: {package['name']} {package['version']}, mended in {fixed}"
            found[" ".join([one["id"], *one.get("aliases", [])])] = line
    return len(packages), found


def of_npm(report: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """The same. Packages are affected by advisories of their own, or by name of those that they use."""
    if "vulnerabilities" not in report:
        said = report.get("message") or report["error"].get("summary") or report["error"].get("code")
        raise NotMadeError(str(said))
    found = {}
    for package in report["vulnerabilities"].values():
        for via in package["via"]:
            if isinstance(via, dict):
                name = str(via.get("url", "")).rpartition("/")[2] or str(via.get("source"))
                found[name] = (
                    f"{name}: {via.get('name')} {via.get('range')}, {via.get('title')} ({via.get('severity')})"
                )
    return int(report["metadata"]["dependencies"]["total"]), found


def main(kind: str, text: str, ignored: Collection[str]) -> int:
    """Print what is to be told. Returns the exit status."""
    try:
        count, found = {"pip": of_pip, "npm": of_npm}[kind](json.loads(text))
    except NotMadeError as error:
        print(error)
        return 2
    except (ValueError, KeyError, TypeError, AttributeError):
        print("it gave no report")
        return 2
    told = [line for names, line in sorted(found.items()) if not set(names.split()) & set(ignored)]
    print("\n".join(told) or f"no known vulnerability in {count} packages")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.stdin.read(), sys.argv[2:]))
