"""The result of a pane as arrays and plain data, and back: what a file of an explorer holds of it.

Maps are kept as they are streamed, so that what is drawn of a file is bit for bit what was drawn before: `maps` are
16-bit integers times a scale, from which the integers can be told again, or float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.samples import Key
from ig_widgets.engine.trace import PathTrace
from ig_widgets.explorers.core import maps as core_maps
from ig_widgets.explorers.core.maps import EncodedMap
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.core.sample_cache import EvaluatedRule, PaneResult
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.files import Array, FileError
from ig_widgets.files.attributions import SavedPath

# As a user may name things; longer ones no file of this package holds.
TEXT_LENGTH = 10_000
_DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_MOST_LEVEL = 32767
# Beyond these float32 would round products of 16 bits, or lose them.
_LEAST_SCALE, _MOST_SCALE = 1e-30, 1e30


@dataclass(frozen=True, eq=False, repr=False)
class SavedTrace(PathTrace):
    """A `PathTrace` from a file, which holds the maps of samples as they were drawn, not each feature's attribution."""

    attributions: Tensor

    def cumulative(self, alpha: float) -> Tensor:
        """Nothing at 0, the attributions at 1. Raises FileError in between, which the file does not hold."""
        if alpha not in (0, 1):
            raise FileError(
                f"the file holds what was drawn of each sample, not each feature's share: of alpha = {alpha} there are "
                f"snapshot() and figure(); ask for other n_steps to sample anew."
            )
        return self.attributions.clone() if alpha == 1 else torch.zeros_like(self.attributions)


def to_arrays(answer: PaneResult, shape: tuple[int, ...]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Returns the arrays of a result by name, and what else is known of it, as JSON can hold it.

    `shape`: of each map.
    """
    result, known = answer.result, answer.rule
    log, keys, trace = known.log, known.pieces.keys, _trace_of(result)
    ids = np.array([log.ids[key] for key in keys])
    maps = [log.maps[i] for i in ids]
    scales = np.array([one.scale for one in maps])
    dtype = np.float32 if scales.min() > _LEAST_SCALE and scales.max() < _MOST_SCALE else np.float64
    numbers = core_maps.stack(maps).reshape(len(maps), *shape)
    attributions = torch.as_tensor(result.attributions)[0]
    arrays: dict[str, Array] = {
        "attributions": (attributions.float() if attributions.dtype == torch.bfloat16 else attributions).cpu().numpy(),
        "maps": numbers * scales.astype(dtype).reshape(-1, *[1] * len(shape)),
        "scales": scales,
        "order": ids.argsort().argsort(),
        "alphas": trace.alphas[0].numpy(),
        "edges": trace.edges[0].numpy(),
        "weights": trace.edges[0].diff().numpy(),
        "density": trace.density[0].numpy(),
        "sample_outputs": np.array([log.outputs[i] for i in ids]),
        "output_alphas": trace.output_alphas[0].numpy(),
        "outputs": trace.outputs[0].numpy(),
    }
    if isinstance(keys[0], tuple):
        arrays["cells"] = np.array(keys)
    about = {
        "settings": asdict(known.settings),
        "map_dtype": maps[0].dtype,
        "dtype": str(attributions.dtype).removeprefix("torch."),
        "device": attributions.device.type,
        "ends": [number(log.baseline_output), number(log.output)],
        "spent": known.evaluations,
        "method": result.method,
        "n_steps": result.n_steps,
        "evaluations": result.evaluations,
        "elapsed": result.elapsed,
        "complete": result.complete,
        "converged": result.converged,
        "reason": result.reason,
        "fallbacks": list(result.fallbacks),
        "caveats": list(result.caveats),
        "unattributed": number(result.unattributed),
        "output": number(result.output),
        "baseline_output": number(result.baseline_output),
        "convergence_delta": number(result.convergence_delta),
        "error_estimate": number(result.error_estimate),
    }
    return arrays, about


def from_arrays(arrays: Mapping[str, Array], about: Mapping[str, Any], methods: Methods) -> PaneResult:
    """Returns the result. Raises ValueError, KeyError, TypeError where not all fits."""
    settings = settings_of(about["settings"])
    dtype = _DTYPES[about["dtype"]]
    complete = about["complete"]
    _require(complete is True or complete is False, "complete")
    maps, scales, alphas = arrays["maps"], _floats(arrays, "scales"), _floats(arrays, "alphas")
    count = len(alphas)
    _require(maps.dtype.kind == "f" and maps.ndim > 1 and maps.shape[0] == count, "maps")
    map_dtype = about["map_dtype"]
    _require(map_dtype in ("i2", "f4"), "map_dtype")
    _require(count and scales.shape == (count,) and bool((scales > 0).all()), "scales")
    edges, density = _floats(arrays, "edges", count + 1), _floats(arrays, "density", count)
    # Of samples that crowd at the end of the path a piece may be shorter than rounding.
    _require(edges[0] == 0 and edges[-1] == 1 and bool((np.diff(edges) >= 0).all()), "edges")
    keys = _keys(arrays, alphas)
    middles = np.array([sum(key) / 2 if isinstance(key, tuple) else key for key in keys])
    _require(bool((np.diff(middles) > 0).all()) and _ascends(alphas), "alphas")
    order = arrays["order"]
    _require(order.dtype.kind == "i" and np.array_equal(np.sort(order), np.arange(count)), "order")
    if complete and settings.method != rules.AUTO:
        _require(len(methods.nodes(settings.method, settings.n_steps).alphas) == count, "number of samples")
    sample_outputs = _floats(arrays, "sample_outputs", count)
    output_alphas = _floats(arrays, "output_alphas")
    outputs = _floats(arrays, "outputs", len(output_alphas))
    _require(_ascends(output_alphas), "output_alphas")
    attributions = _attributions(arrays, dtype)

    baseline_end, end = (_finite(value) for value in about["ends"])
    log = SampleLog(
        0,  # the pane that shows it gives it a number
        baseline_end,
        end,
        is_complete=methods.is_complete(settings.method),
        is_path=methods.kind(settings.method) != "draws",
    )
    rows = np.argsort(order)
    encoded = [_encoded(maps[row], float(scales[row]), map_dtype) for row in rows]
    log.extend([keys[row] for row in rows], sample_outputs[rows].tolist(), density[rows].tolist(), encoded)

    wide = torch.float64 if dtype == torch.float64 else torch.float32
    names = ("output", "baseline_output", "convergence_delta", "error_estimate")
    output, baseline_output, delta, error = (_batch(about[name], wide) for name in names)
    if output is None:
        raise ValueError("output")
    path = SavedTrace(
        alphas=torch.from_numpy(alphas)[None],
        edges=torch.from_numpy(edges)[None],
        density=torch.from_numpy(density)[None],
        output_alphas=torch.from_numpy(output_alphas)[None],
        outputs=torch.from_numpy(outputs)[None],
        multiply_by_inputs=True,
        _path=SavedPath((attributions,), (attributions,)),
        _pieces=(),
        _is_tuple=False,
        _keeps_products=True,
        attributions=attributions,
    )
    _require(type(about["caveats"]) is list, "caveats")
    result = Attribution(
        attributions=attributions,
        method=_text(about["method"]),
        n_steps=_count(about["n_steps"]),
        evaluations=_count(about["evaluations"]),
        elapsed=_finite(about["elapsed"]),
        complete=complete,
        converged=about["converged"],
        reason=_text(about["reason"]),
        fallbacks=tuple(_text(name) for name in about["fallbacks"]),
        caveats=tuple(_text(text) for text in about["caveats"]),
        unattributed=_batch(about["unattributed"], wide),
        output=output,
        baseline_output=baseline_output,
        convergence_delta=delta,
        error_estimate=error,
        path=path,
    )
    _require(result.converged in (None, True, False) and result.elapsed >= 0, "converged or elapsed")
    estimate = None if error is None else float(error[0])
    rule = EvaluatedRule(settings, log, Pieces(keys, edges), _count(about["spent"]), estimate, is_last=complete)
    return PaneResult(result, rule)


def to_device(answer: PaneResult, device: torch.device) -> PaneResult:
    """Returns the result with its tensors on `device`."""
    result, path = answer.result, answer.result.path
    attributions = torch.as_tensor(result.attributions).to(device)

    def there(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.to(device)

    on_device = replace(
        result,
        attributions=attributions,
        output=result.output.to(device),
        baseline_output=there(result.baseline_output),
        convergence_delta=there(result.convergence_delta),
        error_estimate=there(result.error_estimate),
        unattributed=there(result.unattributed),
        path=replace(path, attributions=attributions) if isinstance(path, SavedTrace) else path,
    )
    return PaneResult(on_device, answer.rule)


def number(value: Tensor | float | None) -> float | str | None:
    """A number, or one of a batch of one; what is not finite, which JSON cannot hold, as a text."""
    found = None if value is None else float(value)
    return found if found is None or math.isfinite(found) else str(found)


# Of each setting, as JSON can hold it.
_SETTING_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float,),
    "str": (str,),
    "Target": (int, str),
}


def settings_of(values: Any) -> Settings:
    """Returns the settings of a file. Raises ValueError, TypeError for what is none; a name may still be unknown."""
    types = {one.name: _SETTING_TYPES[str(one.type)] for one in fields(Settings)}
    _require(values.keys() == types.keys(), "settings")
    _require(all(type(values[name]) in allowed for name, allowed in types.items()), "settings")
    _require(all(len(value) <= TEXT_LENGTH for value in values.values() if type(value) is str), "settings")
    return Settings(**values)


def _trace_of(result: Attribution) -> PathTrace:
    """Returns the samples of a result; a pane keeps them for every method."""
    if result.path is None:
        raise NotImplementedError(result.method)
    return result.path


def _encoded(values: Array, scale: float, dtype: core_maps.Dtype) -> EncodedMap:
    with np.errstate(all="ignore"):
        numbers = values / values.dtype.type(scale)
    if dtype == "f4":
        _require(bool(np.isfinite(numbers).all()), "maps")
        return EncodedMap(scale, numbers.astype("<f4").tobytes(), dtype)
    levels = np.rint(numbers)
    # NaN fails this, too.
    _require(bool((np.abs(levels) <= _MOST_LEVEL).all()), "maps")
    return EncodedMap(scale, levels.astype("<i2").tobytes(), dtype)


def _keys(arrays: Mapping[str, Array], alphas: Array) -> list[Key]:
    if "cells" not in arrays:
        return list(alphas.tolist())
    cells = _floats(arrays, "cells", len(alphas), 2)
    _require(bool(((cells >= 0) & (cells <= 1)).all()) and bool((cells[:, 0] < cells[:, 1]).all()), "cells")
    return [(low, high) for low, high in cells.tolist()]


def _attributions(arrays: Mapping[str, Array], dtype: torch.dtype) -> Tensor:
    values = arrays["attributions"]
    _require(values.dtype.kind == "f" and values.ndim > 0, "attributions")
    # Sums that are too large for half a precision are infinite.
    _require(not np.isnan(values).any(), "attributions")
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype)[None]


def _floats(arrays: Mapping[str, Array], name: str, *shape: int) -> Array:
    """Finite numbers in float64, of that shape, or a row of any length."""
    values = arrays[name]
    _require(values.dtype == np.float64 and (values.shape == shape if shape else values.ndim == 1), name)
    _require(bool(np.isfinite(values).all()), name)
    return values


def _ascends(alphas: Array) -> bool:
    return bool(alphas.size and alphas[0] >= 0 and alphas[-1] <= 1 and (np.diff(alphas) > 0).all())


def _batch(value: object, dtype: torch.dtype) -> Tensor | None:
    if value is None:
        return None
    _require(type(value) is float or value in ("inf", "-inf", "nan"), "a number")
    return torch.tensor([float(str(value))], dtype=dtype)


def _finite(value: object) -> float:
    _require(isinstance(value, float) and math.isfinite(value), "a number")
    return float(str(value))


def _count(value: object) -> int:
    _require(type(value) is int and 0 <= int(str(value)) < 2**53, "a count")
    return int(str(value))


def _text(value: object) -> str:
    _require(isinstance(value, str) and len(value) <= TEXT_LENGTH, "a text")
    return str(value)


def _require(condition: object, what: str) -> None:
    if not condition:
        raise ValueError(what)
