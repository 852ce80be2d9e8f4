#!/bin/sh
# Prints a Python >= 3.11 that can make a virtual environment. Plain python3 comes first: it is the one that the
# machine's owner chose. A name on the PATH is not enough (pyenv's shims may lead nowhere), so each is run.
set -eu

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

for name in python3 python3.13 python3.12 python3.11 python; do
    path=$(command -v "$name" || true)
    if [ -n "$path" ] && usable "$path"; then
        echo "$path"
        exit 0
    fi
done

# Debian and Ubuntu keep ensurepip in a package of its own.
if [ -x /usr/bin/python3 ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] &&
    /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "installing python3-venv" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >&2
    if usable /usr/bin/python3; then
        echo /usr/bin/python3
        exit 0
    fi
fi

echo "No Python >= 3.11 with venv and ensurepip was found on the PATH. Install one (on Debian and Ubuntu also" \
    "the package python3-venv), or name it: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
