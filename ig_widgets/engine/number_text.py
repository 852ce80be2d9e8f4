"""Counts in words."""

from __future__ import annotations


def counted(count: int, what: str) -> str:
    """Returns a count in words: "1 step", "2 steps"."""
    # The nouns of this package (steps, samples, evaluations, caveats) all take an s.
    return f"{count} {what}{'' if count == 1 else 's'}"
