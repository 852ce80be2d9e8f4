"""What torch's operations are called, and what is known of each by its name."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

from torch import Tensor
from torch._ops import OpOverload

from ig_widgets.engine.frozen_parameters import PLAIN

Function = Callable[..., Any]
_FIRST = ("input",)
_SECOND = ("other", "mat2", "vec", "vec2", "tensor", "exponent", "normalized_shape", "num_groups")
# One operand on the path: linear. Two: products, with a rule of their own below.
LINEAR = frozenset(
    """add sub subtract rsub radd neg negative positive sum mean nansum nanmean view view_as reshape reshape_as
flatten unflatten squeeze unsqueeze transpose t permute swapaxes swapdims movedim moveaxis adjoint expand expand_as
broadcast_to broadcast_tensors cat concat concatenate stack hstack vstack dstack column_stack chunk split
split_with_sizes tensor_split unbind narrow select index_select take take_along_dim gather getitem getattr diagonal
diag diag_embed diff roll flip fliplr flipud rot90 tile repeat repeat_interleave pad constant_pad_nd clone contiguous
to type type_as float double half bfloat16 cpu cuda alias detach requires_grad_ requires_grad get set conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d interpolate upsample grid_sample pixel_shuffle pixel_unshuffle
channel_shuffle unfold fold batch_norm cumsum masked_fill masked_select masked_scatter index_add index_copy
scatter scatter_add where slice view_as_real view_as_complex conj conj_physical complex imag fft_fft fft_ifft fft_rfft
fft_irfft fft_hfft fft_ihfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn
fft_fftshift fft_ifftshift stft istft tril triu lerp trace unsafe_chunk as_strided copy dropout dropout1d dropout2d
dropout3d alpha_dropout feature_dropout identity native_dropout embedding_bag resolve_conj real zero fill""".split()
)
# They are told a shape and a dtype, no values.
CONSTANTS = frozenset(
    """zeros_like ones_like empty_like full_like new_zeros new_ones new_empty new_full new_tensor rand_like randn_like
    randint_like""".split()
)
# Linear in the first argument alone.
LINEAR_IN_FIRST = frozenset(
    """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm grid_sample embedding_bag
    masked_select stft istft lerp""".split()
)
GRADIENTS = frozenset(("grad", "backward", "vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"))


def is_number(tensor: Tensor) -> bool:
    """Returns whether it holds floating point or complex numbers, which have a slope."""
    return tensor.is_floating_point() or tensor.is_complex()


def in_order(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first two arguments by position, as handlers take them, where torch allows them by name."""
    kwargs = dict(kwargs)
    for position, names in enumerate((_FIRST, _SECOND)):
        if len(args) == position:
            args += tuple(kwargs.pop(name) for name in names if name in kwargs)
    return args, kwargs


def tensors_in(value: object) -> list[Tensor]:
    """Returns the tensors of nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    found: list[Tensor] = []
    if isinstance(value, tuple | list):
        for member in value:
            kind = type(member)
            if kind is Tensor:
                found.append(member)
            elif kind not in PLAIN:
                found += tensors_in(member)
    return found


@lru_cache(maxsize=4096)
def name_of(func: Any) -> str:
    """Returns the name of an operation, the same for all its spellings: `__imul__`, `multiply` and `mul_` are mul."""
    # An operation of an exported graph: "relu.default".
    name: str = getattr(func, "__name__", type(func).__name__).partition(".")[0]
    if name == "instance_norm" and isinstance(func, OpOverload):
        return "aten_instance_norm"  # whose arguments have another order
    name = name.strip("_")
    if name in ("iadd", "isub", "imul", "itruediv", "idiv", "ipow", "imatmul"):
        name = name[1:]
    return {"truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul", "rmul": "mul"}.get(name, name)


@lru_cache(maxsize=4096)
def is_metadata_query(func: Any) -> bool:
    """Whether it asks a tensor for its form alone, which is no tensor."""
    name = getattr(func, "__name__", "")
    return name in _METADATA or (name == "__get__" and getattr(func.__self__, "__name__", "") in _METADATA)


_METADATA = frozenset(
    """shape dtype device layout ndim requires_grad is_leaf is_cuda is_sparse dim size stride numel is_floating_point
    is_complex is_contiguous is_nested element_size __len__""".split()
)


@lru_cache(maxsize=4096)
def is_in_place(func: Any) -> bool:
    """Returns whether an operation writes its result into its first argument."""
    name = getattr(func, "__name__", "").partition(".")[0]
    dunder = name.startswith("__") and name.endswith("__")
    return name in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__") if dunder else name.endswith("_")


def out_of_place(func: Any) -> Function:
    """`func` on a copy, where it works in place."""
    if not is_in_place(func):
        return func  # type: ignore[no-any-return]
    return lambda x, *args, **kwargs: func(x.clone(), *args, **kwargs)


@lru_cache(maxsize=512)
def python_body(func: Any) -> Function | None:
    """A function of torch's that is written in Python, such that the operations it is built of are seen."""
    if not isinstance(func, FunctionType) or not (func.__module__ or "").startswith("torch."):
        return None
    checks = [n for n in func.__code__.co_names if n.startswith("has_torch_function")]
    if not checks:
        return None
    never = dict.fromkeys(checks, lambda *_: False)
    body = FunctionType(
        func.__code__, {**func.__globals__, **never}, func.__name__, func.__defaults__, func.__closure__
    )
    body.__kwdefaults__ = func.__kwdefaults__
    return body


# Linear in each operand.
PRODUCTS = frozenset(
    """mul div matmul bmm mm mv dot inner outer ger rmatmul linear addmm addmv baddbmm addcmul addcdiv lerp
    einsum""".split()
)
