"""Captum's IntegratedGradients on this engine: same name, arguments and returns.

In single precision the numbers are Captum's to the bit, in the same chunks: with `internal_batch_size`, and without it
where the path is small; longer ones go in chunks that fit memory, and agree to rounding.
What differs: `riemann_trapezoid` is the true trapezoid (Captum's weights sum to (n - 1) / n), in double precision
weights and points are exact (Captum rounds them to single), attributions are detached, and the engine's checks hold
(training mode, NaN). Errors are those of `ig_widgets.engine.errors` and at the
same time those that Captum raises, AssertionError mostly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from captum.attr import GradientAttribution
from torch import Tensor

from ig_widgets.compat.arguments import (
    CaptumBaselines,
    as_extra,
    as_target,
    as_tuples,
    check_rule,
    delta,
    explain_integers,
    floating,
    repeated,
)
from ig_widgets.compat.completeness import Completeness, wrapped
from ig_widgets.compat.errors import captums_errors
from ig_widgets.compat.integration import integrate, walk
from ig_widgets.engine.path import Tensors, make_path
from ig_widgets.engine.target import TargetLike

GradientFunc: TypeAlias = Callable[..., Sequence[Tensor]]


class IntegratedGradients(Completeness):
    """Integrated Gradients with the signature of `captum.attr.IntegratedGradients`.

    `multiply_by_inputs=False` leaves out the factor (x - x'). A `gradient_func` that is set on the instance, as
    Captum's NeuronIntegratedGradients does, takes the place of the model's gradient.
    """

    def __init__(self, forward_func: Callable[..., Tensor], multiply_by_inputs: bool = True) -> None:
        GradientAttribution.__init__(self, forward_func)
        self._multiply_by_inputs = multiply_by_inputs
        self._own_gradient_func = self.gradient_func

    @wrapped
    def attribute(
        self,
        inputs: Tensors,
        baselines: CaptumBaselines = None,
        target: TargetLike = None,
        additional_forward_args: object = None,
        n_steps: int = 50,
        method: str = "gausslegendre",
        internal_batch_size: int | None = None,
        return_convergence_delta: bool = False,
    ) -> Tensors | tuple[Tensors, Tensor]:
        """Attributions like `inputs`, and with `return_convergence_delta` the delta (batch,) after them.

        Args:
            inputs: a tensor (batch, ...) or a tuple of such; integers are taken for floats.
            baselines: None (zeros), a number or a tensor of the shape of the inputs or of one row, or a tuple of these.
            target: as Captum takes it: None, an int, a tuple, a tensor or a list with one of these an example.
            additional_forward_args: one value or a tuple; tensors are repeated along the path.
            n_steps, method: points and name of the quadrature rule.
            internal_batch_size: at most so many rows in the model at a time, whole batches as in Captum; None takes all
                steps at once where they are few, else finds a number that fits memory.

        Raises CaptumValueError, CaptumTypeError, CaptumOutputError (each an AssertionError), and as
        `ig_widgets.attribute` does.
        """
        with captums_errors():
            xs, bs = as_tuples(inputs, baselines, internal_batch_size)
            rule, target, extra = check_rule(method, n_steps), as_target(target), as_extra(additional_forward_args)
            points = tuple(floating(x) for x in xs)
            if self.gradient_func is self._own_gradient_func:
                with explain_integers(xs):
                    maps = integrate(
                        self.forward_func,
                        points,
                        bs,
                        batch=len(xs[0]),
                        target=target,
                        extra=extra,
                        rule=rule,
                        method=method,
                        rows=internal_batch_size,
                        multiply=self._multiply_by_inputs,
                    )
            else:
                maps = walk(
                    self.forward_func,
                    [make_path(x, b) for x, b in zip(points, bs, strict=True)],
                    functools.partial(self._replaced_gradient, target, extra),
                    rule=rule,
                    steps_at_once=None if internal_batch_size is None else max(1, internal_batch_size // len(xs[0])),
                    multiply=self._multiply_by_inputs,
                )
            attributions = maps if isinstance(inputs, tuple) else maps[0]
            if return_convergence_delta:
                return attributions, delta(self, maps, points, bs, target, additional_forward_args)
            return attributions

    def _replaced_gradient(
        self, target: Any, extra: tuple[object, ...], points: tuple[Tensor, ...], steps: int
    ) -> Sequence[Tensor]:
        """Call the replaced `gradient_func` as Captum does, with everything repeated for each step."""
        several = isinstance(target, list) or (isinstance(target, Tensor) and target.numel() > 1)
        gradient_func: GradientFunc = self.gradient_func
        return gradient_func(
            forward_fn=self.forward_func,
            inputs=points,
            target_ind=repeated(target, steps) if several else target,
            additional_forward_args=tuple(repeated(e, steps) if isinstance(e, Tensor) else e for e in extra) or None,
        )

    def attribute_future(self) -> None:
        """Not available, as in Captum."""
        raise NotImplementedError("attribute_future is not implemented for IntegratedGradients")

    def has_convergence_delta(self) -> bool:
        """True: `attribute` can return it."""
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions have the factor (x - x')."""
        return self._multiply_by_inputs
