"""Rules for soft-max, log-sum-exp and attention."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ig_widgets.engine import slopes
from ig_widgets.engine.secant.cell_mode import MOST_WIDTHS, CellMode, Handler, note_span
from ig_widgets.engine.secant.operations import Function
from ig_widgets.engine.secant.path_mode import mark_computed

_SOFTMAX_WIDTH = 8.0


def _softmax(log: bool) -> Handler:
    def handle(
        mode: CellMode, func: Function, x: Tensor, dim: Any = None, *args: Any, dtype: Any = None, **kwargs: Any
    ) -> Any:
        if dim is None:
            return NotImplemented
        with mode:
            x = x if dtype is None else x.to(dtype)
        return _shares(mode, x, dim % x.dim(), log)

    return handle


def _shares(mode: CellMode, x: Tensor, dim: int, log: bool = False, safe: bool = False) -> Any:
    place = mode.place(x)
    if dim == place.dim:
        return NotImplemented
    if place.outer > 1:
        with mode:
            x = x.unflatten(place.dim, (place.outer, -1))
        result = _shares(mode, x, dim + (dim > place.dim), log, safe)
        return result.flatten(place.dim, place.dim + 1)
    if not log:
        begin, end = place.ends(x.detach())
        moved = (end - begin).nan_to_num_(0.0, 0.0, 0.0)
        note_span(
            mode, "softmax", moved.amax(dim) - moved.amin(dim) > MOST_WIDTHS * _SOFTMAX_WIDTH, place, dim < place.dim
        )
    result = slopes.Softmax.apply(x, dim, log, place, safe)
    return mark_computed(result, place)


def _logsumexp(mode: CellMode, func: Function, x: Tensor, dim: Any, keepdim: bool = False) -> Any:
    if not isinstance(dim, int):
        return NotImplemented
    # At any position x - log_softmax(x) is it; a finite one is taken.
    at = x.detach().argmax(dim, keepdim=True)
    with mode:
        result = (x - x.log_softmax(dim)).gather(dim, at)
        return result if keepdim else result.squeeze(dim)


def _attention(
    mode: CellMode, func: Function, query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if dropout_p > 0:
        return NotImplemented
    with mode:
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
        # Queries are fewer numbers than scores.
        scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.mT
        if is_causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~allowed, float("-inf"))
        if attn_mask is not None:
            scores = (
                scores.masked_fill(~attn_mask, float("-inf")) if attn_mask.dtype == torch.bool else scores + attn_mask
            )
        if scores.shape[-1] == 0 or not mode.depends(scores):
            return scores.softmax(-1) @ value
    # Queries that may look nowhere are given zeros.
    shares = _shares(mode, scores, scores.dim() - 1, safe=True)
    if shares is NotImplemented:
        return shares
    with mode:
        return shares @ value


SOFTMAX: dict[str, Handler] = {
    "softmax": _softmax(False),
    "log_softmax": _softmax(True),
    "logsumexp": _logsumexp,
    "scaled_dot_product_attention": _attention,
}
