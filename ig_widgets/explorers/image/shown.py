"""Which channels of an input are drawn as the photo, as a text says it."""

from __future__ import annotations

from collections.abc import Sequence

from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.texts import shorten

MEAN = "mean"


def parsed_channels(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """Returns the channels that are drawn: one in grey, three as colours, the mean of any other number, () as usual.

    `text`: "", "mean" (of all), or channels by number or name, with commas between them. `names`: of all channels.
    Raises ArgumentValueError.
    """
    if not text.strip():
        return ()
    if text.strip() == MEAN:
        # Each twice, as three would be colours.
        return (*range(len(names)), *range(len(names)))
    parts = [part.strip() for part in text.split(",")]
    found = [_index(part, names) for part in parts]
    if len(parts) not in (1, 3) or None in found:
        raise ArgumentValueError(
            f"shown_channels must be '', {MEAN!r}, one channel or three of {shorten(', '.join(names), 200)}, by "
            f"name or number, got {text[:80]!r}."
        )
    return tuple(one for one in found if one is not None)


def _index(part: str, names: Sequence[str]) -> int | None:
    if part in names:
        return names.index(part)
    return int(part) if part.isdecimal() and int(part) < len(names) else None
