"""The rule of each operation, by its name.

A rule is called with the mode, the function and its arguments, outside of the mode; it returns NotImplemented for
arguments that it is not for.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from ig_widgets.engine.secant.cell_mode import Handler
from ig_widgets.engine.secant.elementwise import ELEMENTWISE
from ig_widgets.engine.secant.maxima import MAXIMA
from ig_widgets.engine.secant.norms import NORMS
from ig_widgets.engine.secant.products import PRODUCT_RULES
from ig_widgets.engine.secant.softmax import SOFTMAX

HANDLERS: dict[str, Handler] = {**ELEMENTWISE, **PRODUCT_RULES, **SOFTMAX, **NORMS, **MAXIMA}
