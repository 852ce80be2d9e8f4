"""Integrates over the path as Captum does, to the bit: its points, its chunks, its order of summation.

Tensors whose first dimension is the batch go through the engine's sampler, all examples and steps as rows; others go
step by step, whole batches at a time. In float32 the sums are then taken again in Captum's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.compat.arguments import Number, captums_points, check_target, wide
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, make_attribution, samples_along
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.model import ForwardFunc, ScalarFunction, refuse_training_mode
from ig_widgets.engine.path import Path, make_path
from ig_widgets.engine.state_guard import StateGuard
from ig_widgets.engine.target import Target, TargetLike
from ig_widgets.engine.transfers import sent

# So many values are few: of a picture of 224 x 224 it is seven steps.
_FEW_VALUES = 2**20
# Of so many gradients copies may be made, 64 MB each.
_MOST_VALUES = 2**24


def integrate(
    forward_func: ForwardFunc,
    xs: tuple[Tensor, ...],
    bs: tuple[Tensor | Number, ...],
    *,
    batch: int,
    target: TargetLike,
    extra: tuple[object, ...],
    rule: rules.Nodes,
    method: str,
    rows: int | None,
    multiply: bool,
    layers: bool = False,
) -> tuple[Tensor, ...]:
    """The attributions of `xs`: row by row where their first dimension is the batch, else one step at a time.

    Inside a model (`layers`) a first dimension as long as the batch may still be another one.
    """
    if not xs:
        return ()
    chosen = check_target(target, batch)
    by_row = all(x.dim() > 0 and len(x) == batch for x in xs)
    # The engine wants a dimension after the batch.
    flat = [by_row and x.dim() == 1 for x in xs]
    function = _RowFunction(forward_func, [x.dtype for x in xs], flat, extra, batch, chosen)
    rule = captums_points(rule, method, xs)
    bs = tuple(b[:, None] if f and isinstance(b, Tensor) and b.dim() else b for b, f in zip(bs, flat, strict=True))
    # A wide path: what Captum returns for half precision is wider than its inputs.
    xs = tuple(wide(x[:, None] if f else x) for x, f in zip(xs, flat, strict=True))
    index = torch.arange(batch, device="cpu")
    scalar = ScalarFunction(function, chosen, index, batch)
    if by_row and (not layers or _is_by_row(scalar, xs, bs, index)):
        maps: Sequence[Tensor] = _along_rows(function, make_path(xs, bs), target, index, rule, method, rows, multiply)
    else:

        def gradient(points: tuple[Tensor, ...], _: int) -> Sequence[Tensor]:
            return torch.autograd.grad(scalar(tuple(p.clone() for p in points), index).sum(), points)

        paths = [make_path(x, b) for x, b in zip(xs, bs, strict=True)]
        maps = walk(function, paths, gradient, rule=rule, steps_at_once=1, multiply=multiply)
    return tuple(m[:, 0] if f else m for m, f in zip(maps, flat, strict=True))


def _along_rows(
    function: ForwardFunc,
    path: Path,
    target: TargetLike,
    index: Tensor,
    rule: rules.Nodes,
    method: str,
    rows: int | None,
    multiply: bool,
) -> tuple[Tensor, ...]:
    """The attributions of a function whose rows are independent, from samples of the engine."""
    n_steps = len(rule.alphas)
    chunk_size = _captums_rows(path.inputs, path.batch, n_steps, rows)
    samples = samples_along(
        path,
        function,
        target=target,
        additional_forward_args=index,
        chunk_size=chunk_size,
        # Kernels for weights that want no gradient round otherwise, in transformers.
        freezes=chunk_size is None,
    )
    # Captum has no partial results, so that every sample is awaited.
    for _ in samples.extend(rule.alphas):
        pass
    result = make_attribution(samples, rule, method=method, elapsed=0.0, multiply_by_inputs=multiply, is_tuple=True)
    steps = _steps_at_once(path.batch, n_steps, rows)
    return _captums_sums(result, rule, steps, multiply) or tuple(result.attributions)


def _captums_sums(
    result: Attribution, rule: rules.Nodes, steps_at_once: int, multiply: bool
) -> tuple[Tensor, ...] | None:
    """The attributions in float32 as Captum adds them up, to the bit; None where samples lie otherwise, or are many.

    The engine adds up in float64, which is more exact by a digit, and not what Captum's own tests ask for: Captum sums
    the steps of a chunk, multiplies that by x - x', and adds the chunks.
    """
    trace = result.path
    if trace is None or any(x.dtype != torch.float32 for x in trace._path.inputs):
        return None
    path, n_steps = trace._path, len(rule.alphas)
    if n_steps * sum(x.numel() for x in path.inputs) > _MOST_VALUES:
        return None
    blocks = [block for block, _, _ in trace._pieces]
    alphas, examples = (torch.cat([getattr(b, name) for b in blocks]) for name in ("alphas", "examples"))
    # Captum goes along the path, and at each step through the examples.
    order = torch.from_numpy(np.lexsort((examples.numpy(), alphas.numpy())))
    if not torch.equal(alphas[order], torch.tensor(rule.alphas).repeat_interleave(path.batch)):
        return None
    gradients = [torch.cat(parts)[order.to(path.device)] for parts in zip(*(b.gradients for b in blocks), strict=True)]
    sums: list[Tensor] = []
    for start in range(0, n_steps, steps_at_once):
        stop = min(start + steps_at_once, n_steps)
        weights = torch.tensor(rule.weights[start:stop]).float()[:, None].to(path.device)
        parts = [g[start * path.batch : stop * path.batch] for g in gradients]
        scaled = [part.contiguous().view(stop - start, -1) * weights for part in parts]
        added = [s.view(stop - start, *x.shape).sum(0) for s, x in zip(scaled, path.inputs, strict=True)]
        if multiply:
            added = [a * (x - b) for a, x, b in zip(added, path.inputs, path.baselines, strict=True)]
        sums = [a + s for a, s in zip(added, sums, strict=True)] if sums else added
    return tuple(sums)


def _steps_at_once(batch: int, n_steps: int, rows: int | None) -> int:
    """How many steps Captum takes in a chunk: all, or as many as whole batches fit into `internal_batch_size` rows."""
    return n_steps if rows is None else min(n_steps, max(1, rows // batch))


def _captums_rows(xs: tuple[Tensor, ...], batch: int, n_steps: int, rows: int | None) -> int | None:
    """The rows of Captum's chunks, so that rounding is the same; None, to be found, where Captum takes very many.

    Captum takes all steps at once by default, which costs large models memory, and four times as long.
    """
    if rows is None and n_steps * sum(x.numel() for x in xs) > _FEW_VALUES:
        return None
    return _steps_at_once(batch, n_steps, rows) * batch


def _is_by_row(scalar: ScalarFunction, xs: tuple[Tensor, ...], bs: tuple[Any, ...], index: Tensor) -> bool:
    """Whether both ends of one path, on their own in a pass, give what they give among the others.

    Up to rounding, which on an accelerator depends on the number of rows: a hundredth of what the layers change.
    """

    def run() -> tuple[Tensor, Tensor | None]:
        among = torch.cat([scalar(tuple(t.clone() for t in ends), index)[:1] for ends in (xs, bs)]).cpu().double()
        try:
            alone = scalar(tuple(torch.cat([x[:1], b[:1]]) for x, b in zip(xs, bs, strict=True)), index[[0, 0]])
        # A fixed number of rows may be built into the model.
        except (RuntimeError, ValueError, IndexError):
            return among, None
        return among, alone

    among, alone = StateGuard(scalar.forward_func, xs[0].device).run(run, gradients=False)
    if alone is None:
        return False
    bound = (among[0] - among[1]).abs() / 100 + among.abs().max() * 1e-5
    return bool(((alone.cpu().double() - among).abs() <= bound).all())


class _RowFunction:
    """The user's function of rows of the path and of the number of the example that each belongs to.

    Further tensors follow their example, each with as many rows as it has for one: what Captum's repeating of every
    tensor comes to, where its result is right.
    """

    def __init__(
        self,
        forward_func: ForwardFunc,
        dtypes: list[torch.dtype],
        flat: list[bool],
        extra: tuple[object, ...],
        batch: int,
        target: Target,
    ) -> None:
        self.forward_func = forward_func
        self._form = list(zip(dtypes, flat, strict=True))
        self._extra = extra
        self._batch = batch
        self._depth = len(target.indices[0]) if target.indices else None

    def __call__(self, *values: Tensor) -> Any:
        *points, examples = values
        rows = [(p[:, 0] if flat else p).to(dtype) for p, (dtype, flat) in zip(points, self._form, strict=True)]
        output = self.forward_func(*rows, *(self._rows_of(e, examples) for e in self._extra))
        # A target may leave trailing dimensions of size 1.
        if isinstance(output, Tensor) and self._depth is not None and output.dim() > self._depth + 1:
            kept = output.shape[: self._depth + 1]
            return output.reshape(kept) if output.numel() == kept.numel() else output
        return output

    def _rows_of(self, extra: object, examples: Tensor) -> object:
        # Whatever has k rows an example follows it; Captum would repeat it along the path.
        if isinstance(extra, Tensor) and extra.dim() and len(extra) and len(extra) % self._batch == 0:
            each = extra.unflatten(0, (self._batch, -1))
            return each.index_select(0, sent(examples, extra.device)).flatten(0, 1)
        return extra


def walk(
    forward_func: ForwardFunc,
    paths: list[Path],
    gradient: Callable[[tuple[Tensor, ...], int], Sequence[Tensor]],
    *,
    rule: rules.Nodes,
    steps_at_once: int | None,
    multiply: bool,
) -> tuple[Tensor, ...]:
    """Sum `gradient(points, steps)` over the rule, `steps` steps of all paths at a time, one step after the other."""
    refuse_training_mode(forward_func)
    device = paths[0].device
    guard = StateGuard(forward_func, device)
    chunks = ChunkSize(steps_at_once, device, sum(x.numel() * x.element_size() for p in paths for x in p.inputs))
    sums = [torch.zeros_like(wide(x)) for path in paths for x in path.inputs]

    def ask(part: slice) -> Sequence[Tensor]:
        def run() -> Sequence[Tensor]:
            return gradient(tuple(_points(path, rule.alphas[part]) for path in paths), part.stop - part.start)

        return guard.run(run, gradients=True)

    for part, gradients, seconds in chunks.run(len(rule.alphas), ask):
        steps = part.stop - part.start
        chunks.record(steps, seconds, None)
        for i, slope in enumerate(gradients):
            weights = sent(torch.tensor(rule.weights[part], device="cpu"), slope.device, wide(slope).dtype)
            sums[i] += torch.tensordot(weights, wide(slope.detach()).unflatten(0, (steps, -1)), 1)
    everyone = [torch.arange(path.batch, device="cpu") for path in paths]
    return tuple(
        total * path.differences(examples)[0] if multiply else total
        for total, path, examples in zip(sums, paths, everyone, strict=True)
    )


def _points(path: Path, alphas: rules.Floats) -> Tensor:
    examples = torch.arange(path.batch, device="cpu").repeat(len(alphas))
    return path.points(examples, torch.tensor(alphas).repeat_interleave(path.batch))[0].requires_grad_()
