"""The model randomisation check: does the map change when what the model has learnt is thrown away?"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ig_widgets.baselines.base import check_seed
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, Cancelled
from ig_widgets.engine.layer_calls import Layer, Layers
from ig_widgets.engine.model import ForwardKwargs
from ig_widgets.engine.modes import with_modes_restored, without_gradients
from ig_widgets.engine.output import Output
from ig_widgets.engine.path import Baselines, Tensors, make_ends
from ig_widgets.engine.progress import ProgressLike, progress_of, with_progress
from ig_widgets.engine.state_guard import drawn_from
from ig_widgets.engine.target import TargetLike
from ig_widgets.faithfulness.explainer import Explain, Explainer
from ig_widgets.faithfulness.maps import by_feature, numbers, rank_correlation
from ig_widgets.tables import html_table, text_table

_ORDERS = ("cascading", "independent")


@dataclass(frozen=True, eq=False)
class Randomization:
    """Rank correlations of the model's map with those of copies whose weights were drawn anew, layer by layer.

    `layers`: their names, from the output downwards; the k-th copy has that layer drawn anew and, where `order` is
    "cascading", all before it in the list too. `correlations`, `absolute_correlations` (batch, layers): Spearman's, of
    the values and of their sizes, float64, on the CPU; NaN where a map is the same everywhere. Of pictures (batch,
    channels, height, width) pixels are compared, summed over channels; of several inputs all features together.
    `attributions`: the model's own map; `randomized`: those of the copies; a tuple for each where there are several
    inputs. Prints as a table, of means over the examples.
    """

    layers: tuple[str, ...]
    order: str
    correlations: Tensor
    absolute_correlations: Tensor
    attributions: Tensors = field(repr=False)
    randomized: tuple[Tensors, ...] = field(repr=False)
    seed: int

    def __repr__(self) -> str:
        return text_table(self._head(), self._rows(), right=True)

    def _repr_html_(self) -> str:
        return html_table(self._head(), self._rows())

    def _head(self) -> tuple[str, ...]:
        what = "drawn anew, down to" if self.order == "cascading" else "drawn anew, alone"
        return what, "rank correlation", "of absolute values"

    def _rows(self) -> list[tuple[str, ...]]:
        means = zip(self.correlations.nanmean(0).tolist(), self.absolute_correlations.nanmean(0).tolist(), strict=True)
        return [
            (f"{number} {layer}", *map(numbers, mean))
            for number, (layer, mean) in enumerate(zip(self.layers, means, strict=True), 1)
        ]


@with_progress
def randomize_model(
    model: nn.Module,
    inputs: Tensors,
    explain: Explain | None = None,
    *,
    order: str = "cascading",
    layers: Sequence[str] | None = None,
    baselines: Baselines = None,
    target: TargetLike = None,
    additional_forward_args: object = None,
    forward_kwargs: ForwardKwargs = None,
    output: Output = None,
    layer: Layer | None = None,
    seed: int = 0,
    chunk_size: int | None = None,
    on_progress: ProgressLike = None,
    cancel: threading.Event | None = None,
) -> Randomization:
    """How far the map moves as the weights of a copy of the model are drawn anew, from the output downwards.

    Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps (2018), section 3. A map that stays
    as it was does not depend on what the model has learnt, however well it outlines things.

    A layer is drawn anew by its own `reset_parameters`, on the CPU; where it has none, or where that leaves the weights
    as they were, each of its parameters is permuted. `model` itself and the random state stay as they are.

    Args:
        model: a module.
        inputs: a tensor (batch, ...) or a tuple of such, with `layer` or `explain` of any dtype.
        explain: the method, (model, inputs) -> Attribution or tensors, of all examples at once. None is `attribute`
            with `baselines`, `target`, `additional_forward_args`, `forward_kwargs`, `output`, `layer` and `chunk_size`.
        layer: as in `attribute`, for maps of what a layer gives; of the copies it is the module of that name.
        order: cascading, each copy with one more layer drawn anew, or independent, with one layer each.
        layers: names of modules (as `model.named_modules()` has them) in the order in which they are drawn anew, each
            with all that is inside. None is every module with parameters of its own, that called last first.
        seed: of the draws; that of a layer is the same in both orders, and whatever else is drawn.
        on_progress: called with (done, total) maps. cancel: when set, the run stops with the map in hand.

    Raises ArgumentTypeError, ArgumentValueError, Cancelled, and what `explain` or the model raises.
    """
    tell = progress_of(on_progress)
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(
            f"model must be a torch.nn.Module, of which a copy is given new weights, got {type(model).__name__}."
        )
    if order not in _ORDERS:
        raise ArgumentValueError(f"order must be one of {', '.join(_ORDERS)}, got {order!r}.")
    check_seed(seed)
    xs, is_tuple = (
        make_ends(inputs, None, integers=layer is not None or explain is not None)[0],
        isinstance(inputs, tuple | list),
    )
    x: Tensors = xs if is_tuple else xs[0]
    explainer = Explainer(
        explain,
        baselines=baselines,
        target=target,
        additional_forward_args=additional_forward_args,
        forward_kwargs=forward_kwargs,
        output=output,
        layer=None if layer is None else _Named(model, layer),
        chunk_size=chunk_size,
        cancel=cancel,
    )
    names = None if layers is None else _check_layers(layers, model)
    # The user's own model is not even called: what a method hangs onto a model hangs on a copy.
    changed = _copy(model)
    with _Calls(changed) as calls:
        maps = [explainer(changed, x)]
    names = calls.in_reverse_order() if names is None else names
    total = len(names) + 1
    for done, name in enumerate(names, 1):
        if tell is not None:
            tell(done, total)
        if cancel is not None and cancel.is_set():
            raise Cancelled(f"Cancelled after {done} of {total} maps.", None)
        # Cascading: layers that were drawn before stay so.
        if order == "independent":
            changed = _copy(model)
        _redraw_layer(changed, name, seed)
        maps.append(explainer(changed, x))
    if tell is not None:
        tell(total, total)
    own, *others = (torch.cat([by_feature(values) for values in members], dim=1) for members in maps)
    shown: list[Tensors] = [members if len(members) > 1 or is_tuple else members[0] for members in maps]
    return Randomization(
        layers=tuple(names),
        order=order,
        correlations=torch.stack([rank_correlation(values, own) for values in others], dim=1),
        absolute_correlations=torch.stack([rank_correlation(v.abs(), own.abs()) for v in others], dim=1),
        attributions=shown[0],
        randomized=tuple(shown[1:]),
        seed=seed,
    )


class _Named:
    """The layers of a model, found by their names in a copy of it."""

    def __init__(self, model: nn.Module, layer: Layer) -> None:
        names = {id(module): name for name, module in model.named_modules()}
        found = Layers(model, layer, False).modules
        self._is_list = isinstance(layer, list)
        self._places: list[int | str] = []
        for module in found:
            if not isinstance(module, int) and id(module) not in names:
                raise ArgumentValueError(
                    f"layer is a {type(module).__name__} that is not in model; give one of its own."
                )
            self._places.append(module if isinstance(module, int) else names[id(module)])

    def __call__(self, model: Any) -> Layer:
        """The same layers of `model`."""
        found: list[Any] = [p if isinstance(p, int) else model.get_submodule(p) for p in self._places]
        layer: Layer = found if self._is_list else found[0]
        return layer


def _own_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module._parameters.items() if p is not None and p.is_floating_point()}


class _Calls:
    """Notes in which order the modules of `model` are called, while it is entered."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = dict(model.named_modules())
        self._count = 0
        self._calls: dict[str, int] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> _Calls:
        for name, module in self._modules.items():
            self._hooks.append(module.register_forward_pre_hook(partial(self._note, name)))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, name: str, *_: object) -> None:
        self._count += 1
        self._calls[name] = self._count

    def in_reverse_order(self) -> list[str]:
        """Modules with parameters of their own, that called last first.

        One that is not called, since its parent uses its weights, comes with its parent.
        """
        own = [name for name, module in self._modules.items() if _own_parameters(module)]
        if not own:
            raise ArgumentValueError("model has no parameters; there is nothing to draw anew.")
        places = {name: (self._last_call(name), place) for place, name in enumerate(own)}
        return sorted(own, key=places.__getitem__, reverse=True)

    def _last_call(self, name: str) -> int:
        # A module whose weights its parent uses is not called itself.
        while name and name not in self._calls:
            name = name.rpartition(".")[0]
        return self._calls.get(name, 0)


def _check_layers(layers: object, model: nn.Module) -> list[str]:
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise ArgumentTypeError(f"layers must be a list of names of modules, got {layers!r}.")
    if not layers:
        raise ArgumentValueError("layers is empty; give at least one, or None for all.")
    modules = dict(model.named_modules())
    for name in layers:
        if name not in modules:
            some = ", ".join(repr(n) for n, m in list(modules.items()) if _own_parameters(m))
            raise ArgumentValueError(f"layers names {name!r}, and model has no such module; it has {some}.")
        if not any(_own_parameters(module) for module in modules[name].modules()):
            raise ArgumentValueError(f"layers names {name!r}, which has no parameters to draw anew.")
    if len(set(layers)) < len(layers):
        raise ArgumentValueError("layers names a module twice; give each once.")
    return list(layers)


def _copy(model: nn.Module) -> nn.Module:
    # Torch copies tensors with gradients switched off.
    return with_modes_restored(partial(copy.deepcopy, model))


def _redraw_layer(model: nn.Module, layer: str, seed: int) -> None:
    """Draw the weights of `layer`, and of all inside, anew, in place."""
    inside = {id(module) for module in model.get_submodule(layer).modules()}
    parametrised = [module for module in model.modules() if _own_parameters(module)]
    generator = torch.Generator().manual_seed(seed)
    # A seed for each module, whichever are drawn, so that a layer is the same in both orders.
    seeds = torch.randint(2**62, (len(parametrised),), generator=generator, device="cpu").tolist()
    for module, own_seed in zip(parametrised, seeds, strict=True):
        if id(module) in inside:
            without_gradients(partial(_redraw_module, module, own_seed))


def _redraw_module(module: nn.Module, seed: int) -> None:
    own = _own_parameters(module)
    before = {name: p.clone() for name, p in own.items()}
    generator = torch.Generator().manual_seed(seed)
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        # On the CPU, where a seed gives the same numbers for every device; `reset` is given no generator.
        twin = copy.deepcopy(module).cpu()
        drawn_from(generator.get_state(), twin.reset_parameters)  # type: ignore[arg-type]
        for name, value in (*own.items(), *module._buffers.items()):
            drawn = getattr(twin, name)
            if value is not None and drawn is not None:
                value.copy_(drawn)
    # Parameters of the caller's own modules have no `reset_parameters`: a permutation keeps their distribution.
    if all(torch.equal(p, before[name]) for name, p in own.items()):
        for p in own.values():
            shuffled = torch.randperm(p.numel(), generator=generator, device="cpu").to(p.device)
            p.copy_(p.reshape(-1)[shuffled].reshape(p.shape))
