"""The method that is asked for, and how many points of it or which tolerance."""

from __future__ import annotations

from dataclasses import dataclass

from ig_widgets.engine import rules
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.engine.refinement import check_max_evaluations, check_tol


@dataclass(frozen=True)
class Rule:
    """A method, and how many points of it, or to which tolerance."""

    method: str
    n_steps: int | None
    tol: float
    most: int


def check_rule(method: object, n_steps: object, tol: object, max_evaluations: object, precision: object) -> Rule:
    """The rule that is asked for. Raises ArgumentTypeError, ArgumentValueError."""
    checked = method if method in (rules.AUTO, rules.ADAPTIVE) else rules.check_method(method)
    count = None if n_steps is None else rules.check_n_steps(n_steps)
    if checked == rules.ADAPTIVE and count is not None:
        raise ArgumentValueError(
            f"method='adaptive' samples to a tolerance, not n_steps={count} points; leave n_steps out, or give one of "
            f"{', '.join(rules.METHODS)}."
        )
    tolerance, most = check_tol(tol), check_max_evaluations(max_evaluations)
    return Rule(_check_precision(precision, checked, count), count, tolerance, most)


def _check_precision(precision: object, method: str, n_steps: int | None) -> str:
    """The method, with auto settled for a preview, which leaves the point rules."""
    if precision not in ("full", "preview"):
        raise ArgumentValueError(f"precision must be 'full' or 'preview', got {precision!r}.")
    if precision == "full":
        return method
    if method == rules.SECANT:
        raise ArgumentValueError(
            "precision='preview' has too few digits for the secant rule, which divides differences; give a point rule "
            "as method, or precision='full'."
        )
    settled = rules.FEJER if n_steps is None else "gausslegendre"
    return settled if method == rules.AUTO else method
