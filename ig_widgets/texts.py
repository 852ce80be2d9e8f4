"""Sanitizes text from outside, such as labels and errors, for display: no controls, no overrides of direction.

`plain` in js/src/util/format.ts is the same for the front end; tests/fixtures/plain.json holds the two together.
"""

from __future__ import annotations

import re
import traceback
import unicodedata

# More accents than these on one letter paint over the lines above and below.
_MARKS = 4
# Invisible, and part of how emoji and some scripts are written. All others could pass for nothing.
_INVISIBLE_KEPT = frozenset("\u200c\u200d\u200e\u200f")
_UNPRINTABLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_SPACES = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_LEFT_TO_RIGHT = "\u200e"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


def plain(text: str, most: int = 100) -> str:
    """`text` on one line, of at most `most` characters: an ellipsis ends what was longer.

    What cannot be seen, controls, overrides of direction, halves of surrogate pairs, is written as in a Python string,
    `\\x1b`. Of the marks on one letter four are kept. A text that holds right-to-left letters lies between two
    left-to-right marks, beyond `most`, so that numbers and words after it stay where they are.
    """
    seen = text[: 8 * most]
    line = "".join(map(_written, _sparsely_marked(_SPACES.sub(" ", seen).strip(" "))))
    line = shorten(line + "…" * (len(seen) < len(text)), most)
    return f"{_LEFT_TO_RIGHT}{line}{_LEFT_TO_RIGHT}" if _RIGHT_TO_LEFT.search(line) else line


def printable(text: str) -> str:
    """`text` in as many lines as it has, for terminals and logs: nothing in it is a command to them."""
    return "".join(c if c in "\n\t" else _written(c) for c in text)


def shorten(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis, `most` characters in all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def whole(text: str) -> str:
    """`text` as every encoding can write it: for halves of surrogate pairs, which none can, stands U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def words_of(error: BaseException) -> str:
    """What an error says. Its text may be made by a stranger's code, which may fail in turn."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001
        return f"an error whose text raises {type(another).__name__}"


def traceback_of(error: BaseException) -> str:
    """As Python prints it, for a log."""
    return printable("".join(traceback.format_exception(error)))


def _sparsely_marked(text: str) -> str:
    kept, marks = [], 0
    for c in text:
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(c)
    return "".join(kept)


def _written(c: str) -> str:
    is_character = not (ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF)
    if c in _INVISIBLE_KEPT or (is_character and unicodedata.category(c) not in _UNPRINTABLE):
        return c
    return c.encode("unicode_escape").decode("ascii")
