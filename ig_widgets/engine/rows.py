"""Where the points of a chunk lie in the tensors that a model makes of them.

The inputs hold a point in each row. From there each operation says where the points lie in what it gives, by what it
does with dimensions, never by their sizes: a dimension that happens to be as long as there are points proves nothing.
An operation that mixes or permutes points, or is not known here, leaves a word of itself in place of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from types import EllipsisType, FunctionType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor


class Place(NamedTuple):
    """Points lie one after the other in the dimension `dim`, each of them `step` long, and all of that `outer` times.

    Point r and r + 1 are the ends of cell r.
    """

    dim: int
    step: int
    outer: int = 1

    def opened(self, tensor: Tensor) -> tuple[Tensor, int]:
        """A view of `tensor` in which points lie once in a dimension of their own, and which that is."""
        if self.outer == 1:
            return tensor, self.dim
        return tensor.unflatten(self.dim, (self.outer, -1)), self.dim + 1

    def ends(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the beginnings and the ends of all cells."""
        tensor, dim = self.opened(tensor)
        cells = tensor.shape[dim] - self.step
        return tensor.narrow(dim, 0, cells), tensor.narrow(dim, self.step, cells)

    def pairs(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """The points of even and of odd number."""
        tensor, dim = self.opened(tensor)
        points = tensor.unflatten(dim, (-1, self.step))
        ahead = (slice(None),) * dim
        return points[*ahead, 0::2], points[*ahead, 1::2]

    def middle(self, tensor: Tensor) -> Tensor:
        """The mean of both ends, as large as `tensor`; points that begin no cell are as they were."""
        begin, end = self.ends(tensor)
        result = torch.empty_like(tensor)
        into, _ = self.ends(result)
        if begin.is_floating_point() or begin.is_complex():
            torch.lerp(begin, end, 0.5, out=into)
        else:
            into.copy_(begin)
        self._last(result).copy_(self._last(tensor))
        return result

    def spread(self, cells: Tensor, like: Tensor) -> Tensor:
        """`cells`, one for each, filled up with zeros to the size of `like`."""
        result = torch.empty_like(like)
        self.ends(result)[0].copy_(cells)
        self._last(result).zero_()
        return result

    def _last(self, tensor: Tensor) -> Tensor:
        """A view of the last points, which begin no cell."""
        tensor, dim = self.opened(tensor)
        return tensor.narrow(dim, tensor.shape[dim] - self.step, self.step)


# Where points lie, or the name of the operation behind which that is not known.
Whereabouts: TypeAlias = Place | str
LEAF = Place(0, 1)
# What may stand between brackets and gives a view.
_BASIC = (Integral, slice, EllipsisType, type(None))
_MARK = "_ig_widgets_rows"


def whereabouts(tensor: Tensor) -> Whereabouts:
    """What is known of `tensor`."""
    return getattr(tensor, _MARK, "an operation that was not seen")


def is_known(tensor: Tensor) -> bool:
    """Whether something was noted of `tensor`, be it that nothing is known."""
    return hasattr(tensor, _MARK)


def note(tensor: Tensor, where: Whereabouts) -> None:
    """Note where the points of `tensor` lie."""
    setattr(tensor, _MARK, where)


class Call(NamedTuple):
    """One call of an operation. `moving`: those of its tensors that hold points, and where."""

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    moving: list[tuple[Tensor, Place]]

    def argument(self, position: int, *names: str) -> Any:
        """An argument, by name or by position; None if it is not given."""
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        return self.args[position] if len(self.args) > position else None


Rule = Callable[[Call, Tensor, int], Place | None]


def follow(
    name: str,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    found: Sequence[tuple[Tensor, Whereabouts]],
    results: list[Tensor],
) -> list[Whereabouts]:
    """Where the points lie in each of `results`, of an operation that was given points as `found` says."""
    lost = next((where for _, where in found if isinstance(where, str)), None)
    if lost is not None:
        return [lost] * len(results)
    rule = _RULES.get(name)
    if rule is None:
        return [name] * len(results)
    call = Call(name, func, args, kwargs, [(t, where) for t, where in found if isinstance(where, Place)])
    try:
        if rule is _view:
            return list(_views(call, results))
        return [rule(call, result, index) or name for index, result in enumerate(results)]
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return [name] * len(results)


# ---------------------------------------------------------------- rules
#
# A rule is given a call, one of its results and which that is; it says where the points lie in it, None if nowhere.


def _agreed(places: Sequence[Place | None]) -> Place | None:
    first = places[0]
    return first if all(place == first for place in places) else None


def _if_whole(place: Place, tensor: Tensor, dim: int, result: Tensor) -> Place | None:
    """In dimension `dim` of the result, if it is as long there as `tensor` where its points lie."""
    fits = 0 <= dim < result.dim() and result.shape[dim] == tensor.shape[place.dim]
    return place._replace(dim=dim) if fits else None


def _aligned(call: Call, result: Tensor, index: int) -> Place | None:
    """Element by element, of operands that are broadcast."""
    return _agreed([_if_whole(p, t, p.dim + result.dim() - t.dim(), result) for t, p in call.moving])


def _dims(value: Any, count: int) -> list[int]:
    return [d % count for d in ([value] if isinstance(value, int) else value)]


def _along(position: int, default: Any = None, names: tuple[str, ...] = ("dim", "dims", "axis")) -> Rule:
    """Dimensions stay; those that the operation works along (all, if none is named) must not be the points'."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        given = call.argument(position, *names)
        if isinstance(given, int) and call.name == "flip":
            given = [a for a in call.args[position:] if isinstance(a, int)]
        dims = default if given is None else given
        if dims is None or any(t.dim() != result.dim() for t, _ in call.moving):
            return None
        if any(p.dim in _dims(dims, t.dim()) for t, p in call.moving):
            return None
        return _agreed([_if_whole(p, t, p.dim, result) for t, p in call.moving])

    return rule


def _reduction(position: int = 1, default: Any = None) -> Rule:
    """Dimensions are summed over, or kept with one element."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        given = call.argument(position, "dim", "axis")
        if isinstance(given, Tensor):
            return _aligned(call, result, index)
        given = default if given is None else given
        tensor, place = call.moving[0]
        if given is None or isinstance(given, bool):
            return None
        dims = _dims(given, tensor.dim())
        if not dims or place.dim in dims:
            return None
        kept = result.dim() == tensor.dim()
        return _if_whole(place, tensor, place.dim - (0 if kept else sum(d < place.dim for d in dims)), result)

    return rule


def _reshape(call: Call, result: Tensor, index: int) -> Place | None:
    """The same elements in the same order, counted otherwise."""
    tensor, place = call.moving[0]
    if result.numel() != tensor.numel():
        return None
    before = math.prod(tensor.shape[: place.dim]) * place.outer
    count = tensor.shape[place.dim] // (place.outer * place.step)
    ahead = 1
    for dim, size in enumerate(result.shape):
        if ahead * size > before:
            outer, rest = divmod(before, ahead)
            step, more = divmod(size, outer * count)
            return None if rest or more else Place(dim, step, outer)
        ahead *= size
    return None


def _in_front(call: Call, result: Tensor, index: int) -> Place | None:
    """What changes are dimensions behind those of the points."""
    tensor, place = call.moving[0]
    return _if_whole(place, tensor, place.dim, result)


def _phantom(shape: Sequence[int]) -> Tensor:
    """Nothing but a shape and the strides that tell its dimensions apart."""
    return torch.empty(tuple(shape), device="meta")


def _dim_of(stride: int, size: int, tensor: Tensor) -> int | None:
    found = [d for d in range(tensor.dim()) if tensor.stride(d) == stride and tensor.shape[d] == size]
    return found[0] if len(found) == 1 else None


def _views(call: Call, results: list[Tensor]) -> list[Whereabouts]:
    """Of operations that give views of one tensor: they are done to its shape alone, and strides tell what came out."""
    tensor, place = call.moving[0]
    phantom = _phantom(tensor.shape)
    if call.args and call.args[0] is tensor:
        outcome = call.func(phantom, *call.args[1:], **call.kwargs)
    else:
        outcome = call.func(*call.args, **{k: phantom if v is tensor else v for k, v in call.kwargs.items()})
    seen = [outcome] if isinstance(outcome, Tensor) else list(outcome)
    where: list[Whereabouts] = []
    for view, result in zip(seen, results, strict=True):
        dim = _dim_of(phantom.stride(place.dim), tensor.shape[place.dim], view)
        where.append(call.name if dim is None or view.shape != result.shape else place._replace(dim=dim))
    return where


def _view(call: Call, result: Tensor, index: int) -> Place | None:
    """Stands in the table for `_views`."""
    raise NotImplementedError


def _property(call: Call, result: Tensor, index: int) -> Place | None:
    name = getattr(getattr(call.func, "__self__", None), "__name__", "")
    if name in ("real", "imag", "data"):
        return _aligned(call, result, index)
    found = _views(call, [result])[0] if name in ("T", "mT", "H", "mH") else None
    return found if isinstance(found, Place) else None


def _item(call: Call, result: Tensor, index: int) -> Place | None:
    """x[...]: slices and numbers make a view; lists of positions must leave the points as they are."""
    tensor, place = call.moving[0]
    if call.args[0] is not tensor or len(call.moving) > 1:
        return None
    given = call.args[1]
    parts = list(given) if isinstance(given, tuple) else [given]
    lists = [i for i, part in enumerate(parts) if isinstance(part, bool) or not isinstance(part, _BASIC)]
    if not lists:
        found = _views(Call(call.name, torch.Tensor.__getitem__, call.args, {}, call.moving), [result])[0]
        return found if isinstance(found, Place) else None
    if place.dim != 0 or lists != list(range(lists[0], lists[-1] + 1)):
        return None
    if lists[0] > 0:
        used = sum(
            getattr(p, "ndim", 1) if getattr(p, "dtype", None) is torch.bool else p is not None for p in parts[1:]
        )
        kept = parts[0] == slice(None) if isinstance(parts[0], slice) else parts[0] is Ellipsis and used < tensor.dim()
        return _if_whole(place, tensor, 0, result) if kept else None
    # x[arange(rows), positions]: one element of each point, in their order.
    first = torch.as_tensor(parts[0])
    count = tensor.shape[0]
    ordered = (
        place.outer == 1
        and first.dtype == torch.int64
        and first.shape == (count,)
        and first.tolist() == list(range(count))
    )
    flat = all(torch.as_tensor(parts[i]).dim() <= 1 for i in lists)
    return _if_whole(place, tensor, 0, result) if ordered and flat else None


def _cat(call: Call, result: Tensor, index: int) -> Place | None:
    dims = call.argument(1, "dim", "axis")
    dim = (0 if dims is None else dims) % result.dim()
    if any(p.dim == dim or t.dim() != result.dim() for t, p in call.moving):
        return None
    return _agreed([p for _, p in call.moving])


def _hstack(call: Call, result: Tensor, index: int) -> Place | None:
    beside = all(t.dim() == result.dim() > 1 and p.dim != 1 for t, p in call.moving)
    return _agreed([p for _, p in call.moving]) if beside else None


def _stack(call: Call, result: Tensor, index: int) -> Place | None:
    dims = call.argument(1, "dim", "axis")
    dim = (0 if dims is None else dims) % result.dim()
    return _agreed([p._replace(dim=p.dim + (dim <= p.dim)) for _, p in call.moving])


def _pad(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    widths = call.argument(1, "pad")
    padded = widths[2 * (tensor.dim() - 1 - place.dim) :][:2]
    return None if any(padded) else _if_whole(place, tensor, place.dim, result)


def _repeat_interleave(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    times, dim = call.argument(1, "repeats"), call.argument(2, "dim")
    if not isinstance(times, int) or dim is None:
        return None
    if dim % tensor.dim() == place.dim:
        return place._replace(step=place.step * times)
    return _if_whole(place, tensor, place.dim, result)


def _spatial(call: Call, result: Tensor, index: int) -> Place | None:
    """Convolutions and pools, whose last dimensions are those of space; a convolution mixes channels too."""
    tensor, place = call.moving[0]
    digits = [c for c in call.name.removesuffix("_with_indices") if c.isdigit()]
    size = int(digits[-1])
    mixes = "conv" in call.name
    if mixes and (place.dim != 0 or tensor.dim() != size + 2):
        return None
    return _if_whole(place, tensor, place.dim, result) if place.dim < tensor.dim() - size else None


def _batched(*dims: int) -> Rule:
    """Whatever it does, it does to each index of these dimensions alone."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        tensor, place = call.moving[0]
        return _if_whole(place, tensor, place.dim, result) if place.dim in dims and tensor.dim() > 2 else None

    return rule


def _batch_norm(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return None if place.dim == 1 else _if_whole(place, tensor, place.dim, result)


def _layer_norm(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    shape = call.argument(1, "normalized_shape")
    return _if_whole(place, tensor, place.dim, result) if place.dim < tensor.dim() - len(shape) else None


def _per_channel(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return _if_whole(place, tensor, place.dim, result) if place.dim == 0 else None


def _linear(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    if len(call.moving) > 1 or tensor is not call.argument(0, "input") or place.dim == tensor.dim() - 1:
        return None
    return _if_whole(place, tensor, place.dim, result)


def _products(left: int, right: int) -> Rule:
    """Matrix products of the operands at these positions; others are added."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        a = call.argument(left, *(("mat1", "batch1", "mat") if left else ("input",)))
        b = call.argument(right, "other", "mat2", "vec", "vec2", "batch2")
        if call.name == "rmatmul":
            a, b = b, a
        outer = result.dim() - (a.dim() > 1) - (b.dim() > 1)
        places: list[Place | None] = []
        for tensor, place in call.moving:
            if tensor is not a and tensor is not b:
                places.append(_if_whole(place, tensor, place.dim + result.dim() - tensor.dim(), result))
                continue
            # Both may be the same tensor.
            for operand, summed, kept in ((a, a.dim() - 1, -2 if b.dim() > 1 else -1), (b, max(b.dim() - 2, 0), -1)):
                if tensor is not operand:
                    continue
                if place.dim == summed:
                    places.append(None)
                elif place.dim >= tensor.dim() - 2:
                    places.append(_if_whole(place, tensor, result.dim() + kept, result))
                else:
                    places.append(_if_whole(place, tensor, outer - (tensor.dim() - 2 - place.dim), result))
        return _agreed(places)

    return rule


def _einsum(call: Call, result: Tensor, index: int) -> Place | None:
    equation, *operands = call.args
    if not isinstance(equation, str):
        return None
    operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        letters = inputs.replace(",", "").replace("...", "")
        output = ("..." if "..." in inputs else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    behind = _spelt(output, result.dim())
    places: list[Place | None] = []
    for tensor, place in call.moving:
        for term, operand in zip(terms, operands, strict=True):
            if operand is tensor:
                names = _spelt(term, tensor.dim())
                letter = names[place.dim]
                found = names.count(letter) == 1 and letter in behind
                places.append(_if_whole(place, tensor, behind.index(letter), result) if found else None)
    return _agreed(places)


def _spelt(term: str, dims: int) -> list[str]:
    """A name for each dimension; those of an ellipsis are numbered from the last."""
    head, dots, tail = term.partition("...")
    hidden = dims - len(head) - len(tail)
    return [*head, *(str(i) for i in range(hidden, 0, -1) if dots), *tail]


def _attention(call: Call, result: Tensor, index: int) -> Place | None:
    if any(p.dim >= t.dim() - 2 for t, p in call.moving):
        return None
    return _aligned(call, result, index)


def _recurrent(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    first = call.args[-1] is True
    if tensor is not call.args[0] or tensor.dim() != 3 or place.dim != (0 if first else 1):
        return None
    return _if_whole(place, tensor, place.dim if index == 0 else 1, result)


def _cosine(call: Call, result: Tensor, index: int) -> Place | None:
    dim = call.argument(2, "dim")
    if len({t.dim() for t, _ in call.moving}) > 1:
        return None
    dims = call.moving[0][0].dim()
    summed = (1 if dim is None else dim) % dims
    return _agreed(
        [None if p.dim == summed else _if_whole(p, t, p.dim - (summed < p.dim), result) for t, p in call.moving]
    )


def _unfold(call: Call, result: Tensor, index: int) -> Place | None:
    # The function takes windows of images, the method a view of any tensor.
    if isinstance(call.func, FunctionType):
        return _batched(0)(call, result, index)
    found = _views(call, [result])[0]
    return found if isinstance(found, Place) else None


def _stft(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return _if_whole(place, tensor, 0, result) if tensor.dim() > 1 and place.dim == 0 else None


def written(buffer: Tensor, index: Any, value: Tensor) -> Whereabouts:
    """Where the points lie in `buffer` after buffer[index] = value."""
    where = whereabouts(value)
    if isinstance(where, str):
        return where
    phantom = _phantom(buffer.shape)
    try:
        part = phantom[index]
        dim = where.dim + part.dim() - value.dim()
        inside = _dim_of(part.stride(dim), value.shape[where.dim], phantom)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return "setitem"
    return "setitem" if inside is None else where._replace(dim=inside)


_ELEMENTWISE = """relu relu6 hardtanh leaky_relu abs absolute clamp clip clamp_min clamp_max threshold hardsigmoid rrelu
softshrink hardshrink sigmoid expit tanh gelu silu mish softplus elu selu celu hardswish logsigmoid log_sigmoid
softsign tanhshrink exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan sinh cosh asin
acos atan arcsin arccos arctan asinh acosh atanh arcsinh arccosh arctanh erf erfc erfinv logit sinc lgamma angle
sgn sign round floor ceil trunc frac nan_to_num add sub subtract rsub radd neg negative positive mul div rmul
rtruediv rdiv pow float_power rpow remainder fmod atan2 hypot maximum minimum fmax fmin lerp addcmul addcdiv
where masked_fill expand expand_as broadcast_to broadcast_tensors repeat tile clone contiguous to type type_as
float double half bfloat16 cpu cuda alias detach requires_grad copy dropout dropout1d dropout2d dropout3d
alpha_dropout feature_dropout feature_alpha_dropout native_dropout identity conj resolve_conj conj_physical real
imag complex polar fill zero gt lt ge le eq ne greater less logical_and logical_or logical_not isnan isfinite
isinf bool long int heaviside xlogy logaddexp requires_grad_""".split()

_RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _aligned),
    **dict.fromkeys(
        """transpose t permute swapaxes swapdims movedim moveaxis adjoint chunk split split_with_sizes tensor_split
        unbind narrow select diagonal unsafe_chunk slice""".split(),
        _view,
    ),
    **dict.fromkeys(
        ["view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel"], _reshape
    ),
    **dict.fromkeys(("view_as_real", "view_as_complex", "one_hot"), _in_front),
    **dict.fromkeys(
        """sum mean nansum nanmean prod amax amin max min argmax argmin logsumexp var std any all median var_mean
        std_mean count_nonzero""".split(),
        _reduction(),
    ),
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm", "kthvalue"), _reduction(2)),
    **dict.fromkeys(("softmax", "log_softmax", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), _along(1)),
    **dict.fromkeys(("glu", "sort", "argsort"), _along(1, -1)),
    **dict.fromkeys(("flip", "index_select", "gather", "scatter", "scatter_add", "index_add", "index_copy"), _along(1)),
    **dict.fromkeys(("roll", "take_along_dim"), _along(2)),
    **dict.fromkeys(("topk", "diff"), _along(2, -1)),
    **dict.fromkeys(("fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft"), _along(2, -1)),
    **dict.fromkeys(("fft_fft2", "fft_ifft2", "fft_rfft2", "fft_irfft2"), _along(2, (-2, -1))),
    **dict.fromkeys(("fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn"), _along(2)),
    **dict.fromkeys(("fft_fftshift", "fft_ifftshift"), _along(1)),
    **dict.fromkeys(("stft", "istft"), _stft),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "hstack": _hstack,
    "stack": _stack,
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "repeat_interleave": _repeat_interleave,
    **{
        f"{kind}{n}d": _spatial
        for kind in ("conv", "conv_transpose", "avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool")
        for n in (1, 2, 3)
    },
    **dict.fromkeys(
        ("interpolate", "upsample", "channel_shuffle", "grid_sample", "fold", "im2col", "col2im"), _batched(0)
    ),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), _batched(0)),
    "unfold": _unfold,
    "batch_norm": _batch_norm,
    **dict.fromkeys(("group_norm", "instance_norm", "prelu", "local_response_norm"), _per_channel),
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm),
    "linear": _linear,
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "rmatmul"), _products(0, 1)),
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _products(1, 2)),
    "einsum": _einsum,
    **dict.fromkeys(("scaled_dot_product_attention", "tril", "triu"), _attention),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "cosine_similarity": _cosine,
    "get": _property,
    "getitem": _item,
}
