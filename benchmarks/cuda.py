"""All that a GPU should show, in one command of at most eight minutes: `_cuda.py` does it, and says what.

python benchmarks/cuda.py [--device cuda|cpu] [--quick] [--part tests parity ...] [--seconds 470]
"""

import sys

if __name__ != "__main__":
    # Torch asks for NVIDIA's package of this name, and finds this file where a script beside it is run.
    raise ImportError("benchmarks/cuda.py is a script, not the package cuda")
sys.path.append(sys.path.pop(0))

from _cuda import main  # where to look for packages comes first

sys.exit(main())
