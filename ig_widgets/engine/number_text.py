"""How numbers are said in sentences."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """As many of them, in words: "1 step", "2 steps"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
