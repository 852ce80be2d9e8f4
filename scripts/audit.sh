#!/usr/bin/env bash
# Known vulnerabilities of what is installed, by pip-audit and npm audit. Each is skipped, by name and with the reason,
# where the tool or its data cannot be had. What is found fails, unless scripts/audit_ignored.txt names it.
# Usage: scripts/audit.sh [PYTHON]
set -uo pipefail
cd "$(dirname "$0")/.."

readonly PYTHON=${1:-.venv/bin/python}
# Whoever has no network waits no longer than this for one package; the others are asked if there is an answer.
readonly FIRST_SECONDS=8 ALL_SECONDS=180
failed=0

# A line of the list is "NAME  why"; what begins with # says nothing.
mapfile -t ignored < <(awk '!/^#/ && NF { print $1 }' scripts/audit_ignored.txt)

# The addresses that tools name belong to the machine.
on_one_line() { tr -d '\000-\011\013-\037' | sed -E 's#[a-z+]+://[^[:space:]]+#(an address)#g' | cut -c 1-300; }

skipped() { echo "$1 skipped: $(on_one_line <<<"$2" | grep -v '^ *$' | tail -n 1)"; }

# tell NAME KIND: reads the report; returns 2 where there is none.
tell() {
  local said status
  said=$("$PYTHON" scripts/read_audit.py "$2" "${ignored[@]+"${ignored[@]}"}")
  status=$?
  case $status in
    0) echo "$1: $said" ;;
    1) printf '%s:\n%s\n' "$1" "$said" | on_one_line && failed=1 ;;
    *) skipped "$1" "$said" ;;
  esac
  return $status
}

# pip_audit SECONDS FILE: what is known of the packages of a file; versions are fixed there, so nothing is resolved.
pip_audit() {
  timeout "$1" "$PYTHON" -m pip_audit --requirement "$2" --no-deps --disable-pip --progress-spinner off --timeout 5 \
    --format json 2>/dev/null
}

audit_python() {
  "$PYTHON" -c 'import pip_audit' 2>/dev/null || { skipped pip-audit "it is not installed"; return; }
  local first report
  first=$(mktemp) && grep -m 1 '^pip==\|^numpy==' constraints.txt > "$first"
  report=$(pip_audit $FIRST_SECONDS "$first")
  [ $? -ne 124 ] || { rm -f "$first"; skipped pip-audit "no answer within $FIRST_SECONDS s"; return; }
  rm -f "$first"
  "$PYTHON" scripts/read_audit.py pip <<<"$report" >/dev/null
  [ $? -eq 2 ] || { report=$(pip_audit $ALL_SECONDS constraints.txt) || [ $? -ne 124 ]; } \
    || { skipped pip-audit "not done within $ALL_SECONDS s"; return; }
  tell pip-audit pip <<<"$report"
}

audit_node() {
  command -v npm >/dev/null || { skipped "npm audit" "npm is not installed"; return; }
  local report
  report=$(cd js && timeout $FIRST_SECONDS npm audit --json --fetch-retries=0 --fetch-timeout=5000 2>/dev/null)
  [ $? -ne 124 ] || { skipped "npm audit" "no answer within $FIRST_SECONDS s"; return; }
  tell "npm audit" npm <<<"$report"
}

audit_python
audit_node
exit $failed
