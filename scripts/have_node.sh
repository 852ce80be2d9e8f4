#!/bin/sh
# Succeeds where the PATH has npm and Node.js >= 20.
set -eu
command -v npm >/dev/null
version=$(node --version 2>/dev/null)
version=${version#v}
[ "${version%%.*}" -ge 20 ]
