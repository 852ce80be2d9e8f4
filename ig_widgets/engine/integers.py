"""Refuses integer inputs, along which there is no path, and names the embedding layers of the model."""

from __future__ import annotations

from torch import Tensor, nn

from ig_widgets.engine.errors import ArgumentTypeError
from ig_widgets.engine.model import modules_of

# So many layers are named.
_MOST = 6


def refuse_integers(forward_func: object, inputs: object) -> None:
    """Raise ArgumentTypeError, with the call that would work, where `inputs` hold integers."""
    xs = inputs if isinstance(inputs, tuple | list) else (inputs,)
    found = [
        i
        for i, x in enumerate(xs)
        if isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex() or x.is_quantized)
    ]
    if not found:
        return
    name = "inputs" if len(xs) == 1 else f"inputs[{found[0]}]"
    seen = f"{name} holds {xs[found[0]].dtype}, along which there is no path and no gradient."
    layers = _embeddings(forward_func)
    if not layers:
        raise ArgumentTypeError(
            f"{seen} For token ids attribute the embeddings instead: pass the embedding layer's output as inputs, and "
            f"a forward_func that takes it, or layer= a module of the model that gives floating values."
        )
    listed = ", ".join(f"'{layer}' ({size} ids)" for layer, size in layers[:_MOST]) + (
        ", ..." if len(layers) > _MOST else ""
    )
    # Of many ids words rather than positions or segments; for several inputs each has one.
    largest = sorted(layers, key=lambda layer: -layer[1])[: len(found)]
    chosen: list[str | int] = [layer for layer, _ in layers if layer in {one for one, _ in largest}]
    floats = [i for i in range(len(xs)) if i not in found]
    layer = repr(chosen[0]) if len(chosen) == 1 and not floats else repr([*chosen, *floats])
    given = "inputs" if len(xs) == 1 else f"({', '.join(f'inputs[{i}]' for i in range(len(xs)))})"
    raise ArgumentTypeError(
        f"{seen} Attribute the embeddings instead; forward_func has the embedding "
        f"layer{'s' if len(layers) > 1 else ''} {listed}: "
        f"attribute(forward_func, {given}, layer={layer}, baselines=..., target=...), baselines being ids too."
    )


def _embeddings(forward_func: object) -> list[tuple[str, int]]:
    """Dotted names of embedding layers, and how many ids they know."""
    found: dict[int, tuple[str, int]] = {}
    for root in modules_of(forward_func):
        for name, module in root.named_modules():
            if isinstance(module, nn.Embedding | nn.EmbeddingBag) and name:
                found.setdefault(id(module), (name, module.num_embeddings))
    return list(found.values())


def _is_integral(x: Tensor) -> bool:
    return not (x.is_floating_point() or x.is_complex() or x.is_quantized)
