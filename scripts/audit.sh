#!/usr/bin/env bash
# Known vulnerabilities of what is installed, by pip-audit and npm audit; each is skipped, by name and with the reason,
# where the tool or its data cannot be had. A vulnerability that is found fails, unless scripts/audit_ignored.txt names
# it. Usage: scripts/audit.sh [PYTHON]
set -uo pipefail
cd "$(dirname "$0")/.."

# Of an answer that does not come; whoever works without a network waits no longer.
readonly SECONDS_AT_MOST=${AUDIT_SECONDS:-20}
readonly IGNORED=scripts/audit_ignored.txt
readonly PYTHON=${1:-.venv/bin/python}
failed=0

# The names in the list: a line is "NAME  why", lines that begin with # say nothing.
ignored() { awk '!/^#/ && NF { print $1 }' "$IGNORED" 2>/dev/null; }

# Addresses belong to the machine.
without_addresses() { sed -E 's#[a-z+]+://[^[:space:]"'\'')>,]+#(an address)#g'; }

skipped() { echo "$1 skipped: $2"; }

audit_python() {
  local output status flags=()
  if ! "$PYTHON" -c 'import pip_audit' 2>/dev/null; then
    skipped pip-audit "it is not installed"
    return
  fi
  for name in $(ignored); do flags+=(--ignore-vuln "$name"); done
  # Names and versions are fixed already: nothing is resolved, and nothing fetched but what is known of them.
  output=$(timeout "$SECONDS_AT_MOST" "$PYTHON" -m pip_audit --requirement constraints.txt --no-deps --disable-pip \
    --progress-spinner off --timeout 5 "${flags[@]+"${flags[@]}"}" 2>&1)
  status=$?
  if [ $status -eq 0 ]; then
    echo "pip-audit: no known vulnerability in $(grep -c '==' constraints.txt) packages"
  elif [ $status -eq 1 ] && grep -q '^Found [0-9]* known vulnerabilit' <<<"$output"; then
    without_addresses <<<"$output"
    failed=1
  else
    skipped pip-audit "$(reason $status "$output")"
  fi
}

audit_node() {
  local output status
  if ! command -v npm >/dev/null; then
    skipped "npm audit" "npm is not installed"
    return
  fi
  output=$(cd js && timeout "$SECONDS_AT_MOST" npm audit --json --fetch-retries=0 --fetch-timeout=5000 2>/dev/null)
  status=$?
  output=$("$PYTHON" scripts/read_npm_audit.py $(ignored) <<<"$output")
  case $? in
    0) echo "npm audit: $output" ;;
    1) printf 'npm audit:\n%s\n' "$output" && failed=1 ;;
    *) skipped "npm audit" "$(reason $status "$output")" ;;
  esac
}

# What a tool says for itself, on one line.
reason() {
  if [ "$1" -eq 124 ]; then
    echo "no answer within $SECONDS_AT_MOST s"
  else
    local said
    said=$(grep -v '^[[:space:]]*$' <<<"$2" | tail -n 1 | without_addresses | tr -d '\000-\037' | cut -c 1-200)
    echo "${said:-it ended with status $1}"
  fi
}

audit_python
audit_node
exit $failed
