"""Where rows lie in what each operation gives, by its name."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from torch import Tensor

from ig_widgets.engine.place import Place
from ig_widgets.engine.row_call import Call, Rule, agreed, aligned, if_whole, positive_dims
from ig_widgets.engine.view_rules import (
    cat,
    dims_in_front,
    hstack,
    indexed,
    pad,
    repeat_interleave,
    reshape,
    stack,
    view,
    view_property,
    views_of,
)


def _along(position: int, default: Any = None, names: tuple[str, ...] = ("dim", "dims", "axis")) -> Rule:
    """Dimensions stay; those that the operation works along (all, if none is named) must not be the points'."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        given = call.argument(position, *names)
        if isinstance(given, int) and call.name == "flip":
            given = [a for a in call.args[position:] if isinstance(a, int)]
        dims = default if given is None else given
        if dims is None or any(t.dim() != result.dim() for t, _ in call.moving):
            return None
        if any(p.dim in positive_dims(dims, t.dim()) for t, p in call.moving):
            return None
        return agreed([if_whole(p, t, p.dim, result) for t, p in call.moving])

    return rule


def _reduction(position: int = 1, default: Any = None) -> Rule:
    """Dimensions are summed over, or kept with one element."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        given = call.argument(position, "dim", "axis")
        if isinstance(given, Tensor):
            return aligned(call, result, index)
        given = default if given is None else given
        tensor, place = call.moving[0]
        if given is None or isinstance(given, bool):
            return None
        dims = positive_dims(given, tensor.dim())
        if not dims or place.dim in dims:
            return None
        kept = result.dim() == tensor.dim()
        return if_whole(place, tensor, place.dim - (0 if kept else sum(d < place.dim for d in dims)), result)

    return rule


def _spatial(call: Call, result: Tensor, index: int) -> Place | None:
    """Convolutions and pools, whose last dimensions are those of space; a convolution mixes channels too."""
    tensor, place = call.moving[0]
    digits = [c for c in call.name.removesuffix("_with_indices") if c.isdigit()]
    size = int(digits[-1])
    mixes = "conv" in call.name
    if mixes and (place.dim != 0 or tensor.dim() != size + 2):
        return None
    return if_whole(place, tensor, place.dim, result) if place.dim < tensor.dim() - size else None


def _batched(*dims: int) -> Rule:
    """Whatever it does, it does to each index of these dimensions alone."""

    def rule(call: Call, result: Tensor, index: int) -> Place | None:
        tensor, place = call.moving[0]
        return if_whole(place, tensor, place.dim, result) if place.dim in dims and tensor.dim() > 2 else None

    return rule


def _batch_norm(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return None if place.dim == 1 else if_whole(place, tensor, place.dim, result)


def _layer_norm(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    shape = call.argument(1, "normalized_shape")
    return if_whole(place, tensor, place.dim, result) if place.dim < tensor.dim() - len(shape) else None


def _per_channel(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return if_whole(place, tensor, place.dim, result) if place.dim == 0 else None


def _linear(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    if len(call.moving) > 1 or tensor is not call.argument(0, "input") or place.dim == tensor.dim() - 1:
        return None
    return if_whole(place, tensor, place.dim, result)


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
                places.append(if_whole(place, tensor, place.dim + result.dim() - tensor.dim(), result))
                continue
            # Both may be the same tensor.
            for operand, summed, kept in ((a, a.dim() - 1, -2 if b.dim() > 1 else -1), (b, max(b.dim() - 2, 0), -1)):
                if tensor is not operand:
                    continue
                if place.dim == summed:
                    places.append(None)
                elif place.dim >= tensor.dim() - 2:
                    places.append(if_whole(place, tensor, result.dim() + kept, result))
                else:
                    places.append(if_whole(place, tensor, outer - (tensor.dim() - 2 - place.dim), result))
        return agreed(places)

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
                places.append(if_whole(place, tensor, behind.index(letter), result) if found else None)
    return agreed(places)


def _spelt(term: str, dims: int) -> list[str]:
    """A name for each dimension; those of an ellipsis are numbered from the last."""
    head, dots, tail = term.partition("...")
    hidden = dims - len(head) - len(tail)
    return [*head, *(str(i) for i in range(hidden, 0, -1) if dots), *tail]


def _attention(call: Call, result: Tensor, index: int) -> Place | None:
    if any(p.dim >= t.dim() - 2 for t, p in call.moving):
        return None
    return aligned(call, result, index)


def _recurrent(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    first = call.args[-1] is True
    if tensor is not call.args[0] or tensor.dim() != 3 or place.dim != (0 if first else 1):
        return None
    return if_whole(place, tensor, place.dim if index == 0 else 1, result)


def _cosine(call: Call, result: Tensor, index: int) -> Place | None:
    dim = call.argument(2, "dim")
    if len({t.dim() for t, _ in call.moving}) > 1:
        return None
    dims = call.moving[0][0].dim()
    summed = (1 if dim is None else dim) % dims
    return agreed(
        [None if p.dim == summed else if_whole(p, t, p.dim - (summed < p.dim), result) for t, p in call.moving]
    )


def _unfold(call: Call, result: Tensor, index: int) -> Place | None:
    # The function takes windows of images, the method a view of any tensor.
    if isinstance(call.func, FunctionType):
        return _batched(0)(call, result, index)
    found = views_of(call, [result])[0]
    return found if isinstance(found, Place) else None


def _stft(call: Call, result: Tensor, index: int) -> Place | None:
    tensor, place = call.moving[0]
    return if_whole(place, tensor, 0, result) if tensor.dim() > 1 and place.dim == 0 else None


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
RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, aligned),
    **dict.fromkeys(
        """transpose t permute swapaxes swapdims movedim moveaxis adjoint chunk split split_with_sizes tensor_split
        unbind narrow select diagonal unsafe_chunk slice""".split(),
        view,
    ),
    **dict.fromkeys(
        ["view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel"], reshape
    ),
    **dict.fromkeys(("view_as_real", "view_as_complex", "one_hot"), dims_in_front),
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
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "hstack": hstack,
    "stack": stack,
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    "repeat_interleave": repeat_interleave,
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
    "get": view_property,
    "getitem": indexed,
}
