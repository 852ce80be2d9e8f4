"""Small tables in text and in HTML, for results that print as one."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ig_widgets.texts import plain

Row = Sequence[str]
# Of a cell; names may be of any length.
_WIDEST = 60
# To notebooks, dollar signs are mathematics, and mathematics can hold links. Names of two generations of MathJax.
AS_TEXT = 'class="mathjax_ignore tex2jax_ignore"'


def text_table(head: Row, rows: Sequence[Row], *, right: bool = False) -> str:
    """Columns of equal width, two spaces apart; `right` aligns all but the first to the right."""
    table = [[plain(cell, _WIDEST) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = [
        "  ".join(c.rjust(w) if right and i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def html_table(head: Row, rows: Sequence[Row], *, widest: int = _WIDEST) -> str:
    """The table as HTML, at most `widest` characters a cell; cells are escaped, and are never markup or mathematics."""

    def line(tag: str, row: Row) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(plain(cell, widest))}</{tag}>" for cell in row) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<div {AS_TEXT}><table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table></div>"
