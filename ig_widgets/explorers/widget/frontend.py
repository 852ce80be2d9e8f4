"""Files of the built front end, as texts and as they are sent."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

_STATIC = Path(__file__).parents[2] / "static"


def front_end(name: str) -> str:
    """Returns the text of a file of the built front end.

    The text and not the path, since anywidget watches each path for changes. Raises ImportError, with the command that
    builds the file, where it is missing.
    """
    try:
        return (_STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ImportError(
            f"The front end is not built ({name} is missing): run `make front`, or pip install."
        ) from None


def packed(name: str) -> bytes:
    """Returns a file of the built front end as a widget sends it: deflated (zlib), the same bytes for the same text.

    Jupyter sends and saves it once for each widget. `loader.ts` inflates it.
    """
    return zlib.compress(front_end(name).encode(), 9)


def hash_of(content: bytes) -> str:
    """Returns the key by which a page finds a front end that it has imported already."""
    return hashlib.sha256(content).hexdigest()[:32]
