"""An attribution, with all that was sampled for it, as a file: what took long survives its process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.blocks import Block
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.engine.path import CurvedPath, Path, Tensors
from ig_widgets.engine.trace import PathTrace
from ig_widgets.files.atomic import FileError, PathLike, as_path
from ig_widgets.files.formats import check_format, fitting
from ig_widgets.files.npz import MOST_BYTES, Array, read_npz, write_npz

KIND, _VERSION = "ig_widgets.Attribution", 1

# What JSON keeps exactly.
_MOST = 2**53
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
}
_TENSORS = (
    "attributions",
    "convergence_delta",
    "output",
    "baseline_output",
    "group_attributions",
    "error_estimate",
    "standard_error",
    "unattributed",
)
_PLAIN = ("method", "n_steps", "evaluations", "elapsed", "complete", "converged", "reason")
_TRACE = ("alphas", "edges", "density", "output_alphas", "outputs")
_BLOCK = ("examples", "alphas", "outputs", "density")


@dataclass(frozen=True, eq=False)
class SavedPath(CurvedPath):
    """A path of which only what was sampled on it is known."""

    is_straight: ClassVar[bool] = False

    def points(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Raises FileError: how to go on is not in the file."""
        raise FileError(
            "the file holds what was sampled on this path, not how it runs; attribute again to sample more."
        )

    tangents = points


def save_attribution(path: PathLike, result: Attribution) -> None:
    """Write `result` to `path`, with its path's samples, whole or not at all; `load_attribution` gives it back.

    The file is NumPy's .npz: bit for bit what `result` holds, on the CPU (bfloat16 as float32, which holds it).
    Raises ArgumentTypeError for what is no Attribution, FileError where it cannot be written.
    """
    as_path(path)
    if type(result) is not Attribution:
        raise ArgumentTypeError(f"result must be an Attribution, got {type(result).__name__}.")
    kept = _Tensors()
    for name in _TENSORS:
        kept.put(name, getattr(result, name))
    settings: dict[str, Any] = {
        "kind": KIND,
        "format": _VERSION,
        **{name: getattr(result, name) for name in _PLAIN},
        "fallbacks": list(result.fallbacks),
        "caveats": list(result.caveats),
        "path": None if result.path is None else _put_trace(result.path, kept),
    }
    # Gradients hardly get smaller, and to try takes longer than to sample them.
    write_npz(path, settings={**settings, "dtypes": kept.dtypes}, compressed=False, **kept.arrays)


def load_attribution(path: PathLike, *, most_bytes: int = MOST_BYTES) -> Attribution:
    """What `save_attribution` wrote to `path`, its tensors on the CPU; nothing is unpickled.

    Raises FileError where there is no such file, where it holds something else, not all of it, or more than
    `most_bytes`.
    """
    arrays, settings = read_npz(path, most_bytes=most_bytes)
    if settings.get("kind") != KIND:
        raise FileError(f"path {str(path)!r} holds no attribution that save_attribution wrote.")
    check_format(path, settings, _VERSION)
    with fitting(path, "an attribution"):
        return _attribution_from(_Tensors(arrays, settings["dtypes"]), settings)


@dataclass
class _Tensors:
    """Tensors, and tuples of them, by name: as arrays, and the dtypes that they are to have again."""

    arrays: dict[str, Array] = field(default_factory=dict)
    dtypes: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, value: Tensors | None) -> None:
        if isinstance(value, tuple):
            self.dtypes[name] = len(value)
            for i, one in enumerate(value):
                self.put(f"{name}_{i}", one)
        elif value is not None:
            self.dtypes[name] = str(value.dtype).removeprefix("torch.")
            self.arrays[name] = (value.float() if value.dtype == torch.bfloat16 else value).detach().cpu().numpy()

    def take(self, name: str) -> Any:
        """A tensor, a tuple of them, or None."""
        dtype = self.dtypes.get(name)
        if dtype is None:
            return None
        if type(dtype) is int:
            _require(0 < dtype <= len(self.arrays), name)
            return tuple(self.take(f"{name}_{i}") for i in range(dtype))
        return torch.from_numpy(self.arrays[name]).to(_DTYPES[dtype])


def _put_trace(trace: PathTrace, kept: _Tensors) -> dict[str, Any]:
    blocks = [block for block, _, _ in trace._pieces]
    if not blocks:
        raise ArgumentValueError(
            "result.path comes from an explorer's file, which holds no samples of single features; keep that file, or "
            "save dataclasses.replace(result, path=None)."
        )
    for name in _TRACE:
        kept.put(f"path_{name}", getattr(trace, name))
    kept.put("path_inputs", trace._path.inputs)
    kept.put("path_baselines", trace._path.baselines)
    # All rows of a block, also those of no weight: in another grouping sums are rounded otherwise.
    for name in _BLOCK:
        kept.put(f"block_{name}", torch.cat([getattr(block, name) for block in blocks]))
    for name, parts in zip(("starts", "stops"), list(zip(*trace._pieces, strict=True))[1:], strict=True):
        kept.put(f"block_{name}", torch.cat(parts))
    members = zip(*(block.gradients for block in blocks), strict=True)
    kept.put("block_gradients", tuple(torch.cat([g.detach().cpu() for g in one]) for one in members))
    return {
        "multiply_by_inputs": trace.multiply_by_inputs,
        "is_straight": not trace._keeps_products,
        "is_tuple": trace._is_tuple,
        "blocks": [len(block.alphas) for block in blocks],
    }


def _attribution_from(kept: _Tensors, settings: Mapping[str, Any]) -> Attribution:
    trace = settings["path"]
    result = Attribution(
        **{name: kept.take(name) for name in _TENSORS},
        **{name: settings[name] for name in _PLAIN},
        fallbacks=tuple(settings["fallbacks"]),
        # A file that was written before there were caveats has none.
        caveats=tuple(settings.get("caveats", ())),
        path=None if trace is None else _trace_from(kept, trace),
    )
    plain = {"method": str, "n_steps": int, "evaluations": int, "elapsed": float, "complete": bool, "reason": str}
    for name, kind in plain.items():
        _require(type(settings[name]) is kind, name)
    _require(0 <= result.n_steps <= _MOST and 0 <= result.evaluations <= _MOST, "n_steps or evaluations")
    _require(math.isfinite(result.elapsed) and settings["converged"] in (None, True, False), "elapsed or converged")
    _require(type(settings.get("caveats", [])) is list, "caveats")
    _require(all(type(text) is str for text in (*result.fallbacks, *result.caveats)), "fallbacks or caveats")
    members = _members(result.attributions)
    _require(all(one.dim() and one.is_floating_point() for one in members), "attributions")
    batch = len(members[0])
    _require(all(len(one) == batch for one in members), "attributions")
    # Sums that are too large for half a precision are infinite.
    _require(not any(one.isnan().any() for one in members), "attributions that are NaN")
    if result.path is not None:
        # Samples that a reduction has made smaller are not like the inputs.
        samples = result.path._pieces[0][0].gradients
        _require(_shapes(result.attributions) == [(batch, *g.shape[1:]) for g in samples], "attributions and path")
    for name in ("output", "baseline_output"):
        value = getattr(result, name)
        _require(value is None or bool(value.isfinite().all()), f"{name} that is no number")
    groups = result.group_attributions
    _require(groups is None or all(len(one) == batch for one in _members(groups)), "group_attributions")
    if result.standard_error is not None:
        _require(_shapes(result.standard_error) == _shapes(result.attributions), "standard_error")
    for name in ("output", "baseline_output", "convergence_delta", "error_estimate", "unattributed"):
        value = getattr(result, name)
        _require(value.shape == (batch,) if value is not None else name != "output", name)
    return result


def _trace_from(kept: _Tensors, about: Mapping[str, Any]) -> PathTrace:
    alphas, edges, density, output_alphas, outputs = (kept.take(f"path_{name}") for name in _TRACE)
    batch, count = alphas.shape
    _require(edges.shape == (batch, count + 1) and density.shape == alphas.shape, "path")
    _require(outputs.shape == output_alphas.shape and len(outputs) == batch, "outputs of the path")
    inputs, baselines = kept.take("path_inputs"), kept.take("path_baselines")
    _require(_shapes(inputs) == _shapes(baselines) and all(len(x) == batch for x in inputs), "ends of the path")
    _require(all(_is_in_order(one) for one in (alphas, output_alphas, edges)), "order along the path")
    _require(bool((edges[:, 0] == 0).all() and (edges[:, -1] == 1).all()), "ends of the pieces")
    _require(all(bool(one.isfinite().all()) for one in (*inputs, *baselines, outputs)), "numbers of the path")
    _require(all(type(size) is int for size in about["blocks"]), "samples")
    sizes = list(about["blocks"])
    examples, *rows = (kept.take(f"block_{name}") for name in (*_BLOCK, "starts", "stops"))
    gradients = kept.take("block_gradients")
    _require(min(sizes) > 0 and all(value.shape == (sum(sizes),) for value in (examples, *rows)), "samples")
    _require(examples.dtype == torch.int64 and bool(((examples >= 0) & (examples < batch)).all()), "examples")
    is_straight = about["is_straight"] is True
    # Of products a reduction may have kept less than the inputs have.
    wanted = [(sum(sizes), *(x.shape if is_straight else g.shape)[1:]) for x, g in zip(inputs, gradients, strict=True)]
    _require([tuple(g.shape) for g in gradients] == wanted, "gradients")
    _require(not any(one.isnan().any() for one in (*rows, *gradients)), "samples that are NaN")
    at, values, slopes, starts, stops = (value.split(sizes) for value in rows)
    grouped = zip(examples.split(sizes), at, values, slopes, *(g.split(sizes) for g in gradients), strict=True)
    blocks = [Block(e, a, o, d, tuple(g)) for e, a, o, d, *g in grouped]
    made = Path if is_straight else SavedPath
    return PathTrace(
        alphas=alphas,
        edges=edges,
        density=density,
        output_alphas=output_alphas,
        outputs=outputs,
        multiply_by_inputs=bool(about["multiply_by_inputs"]),
        _path=made(inputs, baselines),
        _pieces=tuple(zip(blocks, starts, stops, strict=True)),
        _is_tuple=bool(about["is_tuple"]),
        _keeps_products=not is_straight,
    )


def _is_in_order(alphas: Tensor) -> bool:
    """Whether rows (batch, points) lie on the path from 0 to 1, none before the one before it; NaN does not."""
    if alphas.dim() != 2:
        return False
    return bool(((alphas >= 0) & (alphas <= 1)).all() and (alphas.diff(dim=1) >= 0).all())


def _members(tensors: Tensors) -> tuple[Tensor, ...]:
    return tensors if isinstance(tensors, tuple) else (tensors,)


def _shapes(tensors: Tensors) -> list[tuple[int, ...]]:
    return [tuple(one.shape) for one in _members(tensors)]


def _require(condition: object, what: str) -> None:
    if not condition:
        raise ValueError(what)
