"""Refuses models without gradients or values, and names what would work."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.reachable_modules import modules_of


def refuse_unsupported(forward_func: object) -> None:
    """Raise ArgumentTypeError or ArgumentValueError for a model without gradients or without values."""
    if not callable(forward_func):
        raise ArgumentTypeError(
            f"forward_func must be a module or another callable, got {type(forward_func).__name__}."
        )
    if type(forward_func).__name__ == "ExportedProgram":
        raise ArgumentTypeError(
            "forward_func is an ExportedProgram, which cannot be called; give exported_program.module()."
        )
    for root in modules_of(forward_func):
        for name, module in root.named_modules():
            _refuse(f"{type(module).__name__} '{name}'" if name else type(module).__name__, module)


def _refuse(label: str, module: nn.Module) -> None:
    if ".quantized" in type(module).__module__:
        raise ArgumentTypeError(
            f"forward_func holds {label}, which is quantised: integers have no gradient. Explain the model in floating "
            f"point from which it was made."
        )
    for parameter in (*getattr(module, "_parameters", {}).values(), *getattr(module, "_buffers", {}).values()):
        if parameter is None:
            continue
        if isinstance(parameter, UninitializedParameter | UninitializedBuffer):
            raise ArgumentValueError(
                f"forward_func holds {label}, a lazy module that has not seen an input yet; call the model once first."
            )
        if parameter.is_meta:
            raise ArgumentValueError(
                f"forward_func holds {label} on the meta device, where parameters have a shape and no values; load "
                f"weights first."
            )
        if isinstance(parameter, nn.Parameter) and parameter.is_inference():
            raise ArgumentValueError(
                f"forward_func holds {label}, whose parameters were made in inference mode and take part in no "
                f"backward pass; make or load the model outside of torch.inference_mode()."
            )
