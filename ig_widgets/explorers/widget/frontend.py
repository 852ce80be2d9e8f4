"""Files of the built front end, as texts."""

from __future__ import annotations

import hashlib
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


def hash_of(text: str) -> str:
    """Returns the key by which a page finds a front end that it has imported already."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
