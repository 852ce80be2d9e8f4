"""All that a GPU should show, in one command of at most eight minutes: `_cuda.py` does it, and says what.

A machine without a network needs torch, and from wheels beside the checkout this package, whose wheel holds the built
front end, captum, and what the tests need:

    pip install --no-index wheels/*.whl    (of ig_widgets, captum, pytest, pytest-timeout, hypothesis)
    python benchmarks/cuda.py [--device cuda|cpu] [--quick] [--part tests parity ...] [--seconds 470]
"""

import shutil
import sys
from importlib import metadata
from pathlib import Path

if __name__ != "__main__":
    # Torch asks for NVIDIA's package of this name, and finds this file where a script beside it is run.
    raise ImportError("benchmarks/cuda.py is a script, not the package cuda")

ROOT = Path(__file__).resolve().parents[1]
# The checkout is what is measured. What lies beside this file comes last, for the same reason.
sys.path = [str(ROOT), *sys.path[1:], sys.path[0]]
built = ROOT / "ig_widgets" / "static"
try:
    carried = Path(str(metadata.distribution("ig_widgets").locate_file("ig_widgets/static")))
except metadata.PackageNotFoundError:
    sys.exit("ig_widgets is not installed: pip install --no-index wheels/*.whl")
if not built.exists() and carried.exists():
    shutil.copytree(carried, built)

from _cuda import main  # noqa: E402  (where to look for packages comes first)

sys.exit(main())
