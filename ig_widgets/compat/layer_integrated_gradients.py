"""Captum's LayerIntegratedGradients on this engine: same name, arguments and returns; see integrated_gradients.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from captum.attr import GradientAttribution, LayerAttribution
from captum.attr import LayerIntegratedGradients as CaptumsLayerIntegratedGradients
from torch import Tensor

from ig_widgets.compat.arguments import (
    CaptumBaselines,
    as_extra,
    as_target,
    as_tuples,
    check_rule,
    delta,
    full,
    grad_options,
)
from ig_widgets.compat.completeness import Completeness, wrapped
from ig_widgets.compat.errors import captums_errors
from ig_widgets.compat.integration import integrate
from ig_widgets.engine.activations import activations_at
from ig_widgets.engine.layer_calls import Layer
from ig_widgets.engine.path import Tensors
from ig_widgets.engine.target import TargetLike


class LayerIntegratedGradients(Completeness, CaptumsLayerIntegratedGradients):  # type: ignore[misc]
    """Integrated Gradients of layers, with the signature of `captum.attr.LayerIntegratedGradients`.

    The path leads from what `layer` (a module, or a list of modules none of which feeds another) holds at the
    baselines to what it holds at the inputs. `device_ids` is not used. A subclass of Captum's class in name only:
    LLMGradientAttribution asks for one.
    """

    def __init__(
        self,
        forward_func: Callable[..., Tensor],
        layer: Layer,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        LayerAttribution.__init__(self, forward_func, layer, device_ids=device_ids)
        GradientAttribution.__init__(self, forward_func)
        self._multiply_by_inputs = multiply_by_inputs

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
        attribute_to_layer_input: bool = False,
        grad_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Attributions like what the layer holds: a tensor, or a tuple of several; for a list of layers a list of them.

        Arguments are those of `IntegratedGradients.attribute`, `inputs` of any dtype (token ids, say), and
        `attribute_to_layer_input`: explain what the layers are given in place of what they return. `grad_kwargs`: of
        these `allow_unused` and `materialize_grads` give zeros to layers that the output does not depend on.

        Raises as `IntegratedGradients.attribute` does, and as `ig_widgets.engine.layers.activations_at`.
        """
        with captums_errors():
            xs, bs = as_tuples(inputs, baselines, internal_batch_size)
            rule, target, extra = check_rule(method, n_steps), as_target(target), as_extra(additional_forward_args)
            options = grad_options(grad_kwargs)
            found = activations_at(
                self.forward_func,
                self.layer,
                inputs=xs,
                baselines=tuple(full(b, x) for x, b in zip(xs, bs, strict=True)),
                additional_forward_args=extra,
                attribute_to_layer_input=attribute_to_layer_input,
                allow_unused=bool(options.get("allow_unused") or options.get("materialize_grads")),
            )
            # Values that the output does not depend on have no path to walk; they get zeros below.
            ends = list(zip(found.inputs, found.baselines, strict=True))
            moved = [pair for pair, used in zip(ends, found.used, strict=True) if used]
            maps = integrate(
                found.function,
                tuple(x for x, _ in moved),
                tuple(b for _, b in moved),
                batch=len(xs[0]),
                target=target,
                extra=(*xs, *extra),
                rule=rule,
                method=method,
                rows=internal_batch_size,
                multiply=self._multiply_by_inputs,
                layers=True,
            )
            given = iter(maps)
            every = [
                next(given) if used else torch.zeros_like(x) for x, used in zip(found.inputs, found.used, strict=True)
            ]
            attributions = self._by_layer(found.added_up(every))
            if return_convergence_delta:
                return attributions, delta(self, every, xs, bs, target, additional_forward_args)
            return attributions

    def _by_layer(self, maps: Sequence[tuple[int, Tensor]]) -> list[Tensors] | Tensors:
        members: dict[int, tuple[Tensor, ...]] = {}
        for index, values in maps:
            members[index] = (*members.get(index, ()), values)
        layers: list[Tensors] = [m if len(m) > 1 else m[0] for m in members.values()]
        return layers if isinstance(self.layer, list) else layers[0]

    def has_convergence_delta(self) -> bool:
        """True: `attribute` can return it."""
        return True

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions have the factor of the layer's values at the inputs minus those at the baselines."""
        return self._multiply_by_inputs
