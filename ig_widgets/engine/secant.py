"""The secant rule: a forward pass in which each operation is given its average slope over a cell for a derivative.

Operations are found as they are called, by a torch function mode, whatever module or function calls them; nothing of
the model is replaced. What is linear is left alone, what is known is exchanged for its counterpart in `slopes`, what is
built of known parts is taken apart, and the rest keeps its derivative and is named in `fallbacks`.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as functorch
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ig_widgets.engine import rows, slopes
from ig_widgets.engine.chunks import is_out_of_memory
from ig_widgets.engine.freezing import PLAIN, Freezing, Hooks
from ig_widgets.engine.kinks import CLAMPS, JUMP, KINKED, Kinks, bounds, jump_in
from ig_widgets.engine.rows import Place
from ig_widgets.engine.unit_length import Length, Normalised, OverLength

Function = Callable[..., Any]
Handler = Callable[..., Any]

_MARK = "_ig_widgets_on_path"
_FIRST = ("input",)
_SECOND = ("other", "mat2", "vec", "vec2", "tensor", "exponent", "normalized_shape", "num_groups")
# Made on the path, but without gradients: if it has one later, a custom function has given it.
_STILL = "still"

# Linear but for kinks: a difference quotient is exact.
_KINKED = """relu relu6 hardtanh leaky_relu abs absolute clamp clip clamp_min clamp_max threshold hardsigmoid
rrelu softshrink""".split()
_SMOOTH = """sigmoid expit tanh gelu silu mish softplus elu selu celu hardswish logsigmoid log_sigmoid softsign
tanhshrink exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square sin cos tan sinh cosh asin acos atan
arcsin arccos arctan asinh acosh atanh arcsinh arccosh arctanh erf erfc erfinv logit sinc lgamma""".split()
# Of these the lengths over which they bend grow with x.
_SCALED = frozenset(
    "log log2 log10 log1p sqrt rsqrt reciprocal square lgamma asinh arcsinh acosh arccosh softsign".split()
)
# Of a norm, or of its square: by how much it may grow within a cell, and the power of that.
_MOST_SCALES = 8.0
_INVERSE = {"reciprocal": 1, "rsqrt": 2}
# Over how many of its widths an operation that levels off on both sides may pass within a cell, in units of x: beyond,
# the place where it rises is so short a part of the cell that halves of it, and quarters, show nothing of that.
_WIDTHS = 8.0
_LEVELS_OFF = {"tanh": 2.0, "sigmoid": 4.0, "erf": 2.0, "softsign": 8.0, "atan": 8.0, "hardsigmoid": 6.0, "exp": 4.0}
_SOFTMAX_WIDTH = 8.0
# One operand on the path: linear. Two: products, with a rule of their own below.
_LINEAR = """add sub subtract rsub radd neg negative positive sum mean nansum nanmean view view_as reshape reshape_as
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

# They are told a shape and a dtype, no values.
_CONSTANTS = frozenset(
    """zeros_like ones_like empty_like full_like new_zeros new_ones new_empty new_full new_tensor rand_like randn_like
    randint_like""".split()
)
# Linear in the first argument alone.
_ONE = frozenset(
    """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d batch_norm grid_sample embedding_bag
    masked_select stft istft lerp""".split()
)
_GRADIENTS = frozenset(("grad", "backward", "vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"))


class SecantRuleError(Exception):
    """The secant rule does not hold for a model; the text says why. Other methods may."""


class LeaveError(BaseException):
    """Leaves a pass in the middle for the reason of a SecantRuleError. No Exception: a model may catch those."""


class PathMode(TorchFunctionMode):
    """Knows which tensors were computed from the leaves (`inputs`), and where their points lie. Run a pass inside.

    `freezing` is asked here rather than as a mode of its own, which would see each step of ours.
    """

    def __init__(self, inputs: Iterable[Tensor], freezing: Freezing | None = None) -> None:
        super().__init__()
        self._freezing = freezing
        self.dtypes: set[torch.dtype] = set()  # of what was computed on the path
        self._hooks = Hooks()
        for leaf in inputs:
            setattr(leaf, _MARK, True)
            rows.note(leaf, rows.LEAF)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _asks_for_form(func):
            return func(*args, **kwargs)
        if self._freezing is not None:
            args, kwargs = self._freezing.frozen(args, kwargs)
        if self._hooks.are_others():
            with self._hooks.put_back():
                return self._answer(func, args, kwargs)
        return self._answer(func, args, kwargs)

    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """What is called in place of `func`."""
        raise NotImplementedError

    def unseen(self, name: str) -> None:
        """Something was computed where no mode sees it."""
        raise NotImplementedError

    def transformed(self) -> None:
        """torch.func works on what lies on the path."""
        raise NotImplementedError

    def depends(self, value: object) -> bool:
        """Whether `value` was computed from the leaves."""
        if not isinstance(value, Tensor):
            return False
        mark = getattr(value, _MARK, None)
        if mark in (None, _STILL) and value.requires_grad and not value.is_leaf:
            # Not seen as it was made: a custom autograd function, or what C++ code makes of one.
            mark = _reaches_leaf(value)
            setattr(value, _MARK, mark)
            if mark:
                node = value.grad_fn
                custom = isinstance(node, torch.autograd.function.BackwardCFunction)
                name = type(node).__name__.removesuffix("Backward")
                name = name if custom else "TorchScript or other compiled code"
                if not rows.is_known(value):
                    rows.note(value, name)
                self.unseen(name)
        return bool(mark)

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        given = _tensors(args) + _tensors(kwargs) if kwargs else _tensors(args)
        if functorch.peek_interpreter_stack() is not None and any(self.depends(_bare(t)) for t in given):
            self.transformed()
            return func(*args, **kwargs)
        on_path = [t for t in given if self.depends(t)]
        if not on_path:
            result = func(*args, **kwargs)
            _mark(_tensors(result), False)
            return result
        name = _name(func)
        if name in _CONSTANTS:
            return func(*args, **kwargs)
        if name == "get" and not isinstance(result := func(*args, **kwargs), Tensor):
            return result  # a shape, a dtype
        # The whereabouts before an operation that works in place.
        before = [(t, rows.whereabouts(t)) for t in on_path]
        result = self.run(name, func, args, kwargs, on_path)
        still = True if torch.is_grad_enabled() else _STILL
        if name == "setitem":
            self._note_written(args, still)
            return result
        results = _tensors(result)
        _mark(results, still)
        # An operation that was taken apart has told by its parts where points lie.
        self._note_jumps(name, on_path, results)
        self.dtypes.update(t.dtype for t in results if t.requires_grad)
        if results and not all(rows.is_known(t) and not any(t is g for g in given) for t in results):
            for tensor, where in zip(results, rows.follow(name, func, args, kwargs, before, results), strict=True):
                rows.note(tensor, where)
        return result

    def _note_jumps(self, name: str, on_path: list[Tensor], results: list[Tensor]) -> None:
        """Conditions and positions that move with the points jump, and so does what is made of them alone."""
        known = next((jump for t in on_path if (jump := jump_in(t)) is not None), None)
        for t in results:
            if not t.requires_grad and (known is not None or not _is_number(t)):
                setattr(t, JUMP, known or name)

    def _note_written(self, args: Any, mark: bool | str) -> None:
        buffer, index, value = args
        moves = self.depends(value) and not any(self.depends(t) for t in _tensors(index))
        where = rows.written(buffer, index, value) if moves else "setitem"
        if getattr(buffer, _MARK, False) and rows.is_known(buffer) and (moves or not self.depends(value)):
            where = rows.whereabouts(buffer) if where == rows.whereabouts(buffer) or not moves else "setitem"
        setattr(buffer, _MARK, mark)
        rows.note(buffer, where)


class SecantMode(PathMode):
    """Gives operations their average slopes; `inputs` are the leaves. What has no rule is added to `fallbacks`.

    `begins`: which of the `points` a cell begins with, on the device. `spans`: operations that must not pass over many
    scales within a cell, and whether they do, () bool, to be looked at after the pass: to ask a device is to wait for
    it. Raises LeaveError where the rule would go wrong.
    """

    def __init__(
        self,
        inputs: Iterable[Tensor],
        fallbacks: set[str],
        freezing: Freezing | None = None,
        begins: Tensor | None = None,
        points: int = 0,
    ) -> None:
        super().__init__(inputs, freezing)
        self.fallbacks, self.begins, self.points = fallbacks, begins, points
        self.spans: list[tuple[str, Tensor]] = []
        self._name = ""

    def place(self, tensor: Tensor) -> Place:
        """Where the points of `tensor` lie. Raises LeaveError."""
        where = rows.whereabouts(tensor)
        if isinstance(where, str):
            raise LeaveError(
                f"the secant rule does not hold here: behind {where} it is not known which values belong to which "
                f"point of the path, and {self._name} needs to know"
            )
        return where

    def unseen(self, name: str) -> None:
        """A plain derivative is taken."""
        self.fallbacks.add(name)

    def transformed(self) -> None:
        """Derivatives inside would be average slopes, and points lie where nothing tells."""
        raise LeaveError("the secant rule does not hold here: forward_func uses torch.func on what it is given")

    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """The operation, with its average slope where there is a rule for it."""
        if name in _GRADIENTS:
            raise LeaveError(f"the secant rule does not hold here: forward_func takes a gradient itself ({name})")
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in on_path):
            return func(*args, **kwargs)
        self._name = name
        handler = _HANDLERS.get(name)
        if handler is not None:
            try:
                result = self._handled(handler, name, func, args, kwargs)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                # Whatever it stumbled on: the operation itself says whether that is an error.
                result = NotImplemented
            if result is not NotImplemented:
                _note_length(name, func, args, kwargs, result)
                self._name_jumps(on_path)
                return result
        elif name in _LINEAR_NAMES:
            # An index or a condition that moves along the path is no part of what is linear.
            if any(not _is_number(t) for t in on_path) or (name in _ONE and any(t is not args[0] for t in on_path)):
                return self._plain(name, func, args, kwargs)
            result = func(*args, **kwargs)
            _note_length(name, func, args, kwargs, result)
            self._name_jumps(on_path)
            return result
        elif (body := _body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return self._plain(name, func, args, kwargs)

    def _name_jumps(self, on_path: list[Tensor]) -> None:
        """Of what jumps there is no slope, though it counts."""
        self.fallbacks.update(jump for t in on_path if (jump := jump_in(t)) is not None)

    def _handled(self, handler: Handler, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs = _in_order(args, kwargs)
        in_place = kwargs.get("inplace") is True or _is_in_place(func)
        if not in_place:
            return handler(self, func, *args, **kwargs)
        # Out of place first, on a copy, which the operation may then be saved of.
        kwargs = {**kwargs, **({"inplace": False} if "inplace" in kwargs else {})}
        target = args[0]
        if (clamp := self._clamp_in_place(name, target, args[1:], kwargs)) is not None:
            _note_passing(self, name, target, self.place(target), clamp.high - clamp.low)
            return slopes.Elementwise.apply(target, clamp, self.place(target), True)
        copy = target.clone()
        if getattr(target, _MARK, False):
            setattr(copy, _MARK, True)
            rows.note(copy, rows.whereabouts(target))
        result = handler(self, _out_of_place(func), copy, *args[1:], **kwargs)
        return result if result is NotImplemented else target.copy_(result)

    def _clamp_in_place(self, name: str, x: Tensor, further: Any, kwargs: Any) -> slopes.Clamp | None:
        """The operation, if x can be clamped where it is: no view, in full precision, between constants."""
        own = {key: value for key, value in kwargs.items() if key != "inplace"}
        if name not in ("relu", "relu6", *CLAMPS) or any(isinstance(t, Tensor) for t in (*further, *own.values())):
            return None
        if not self.depends(x) or not x.requires_grad or x.is_leaf or x._is_view():
            return None
        limits = _bounds(name, *further, **own)
        return None if limits is None or x.element_size() < 4 or x.is_complex() else slopes.Clamp(*limits)

    def _plain(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if any(t.requires_grad for t in _tensors(result)):
            self.fallbacks.add(name)
        return result


class KinkMode(PathMode):
    """Runs operations as they are, and lets `kinks` look at each of them."""

    def __init__(self, inputs: Iterable[Tensor], kinks: Kinks) -> None:
        super().__init__(inputs)
        self._kinks = kinks

    def unseen(self, name: str) -> None:
        """There may be kinks inside."""
        self._kinks.hidden.add(name)

    def transformed(self) -> None:
        """There may be kinks inside."""
        self._kinks.hidden.add("torch.func")

    def run(self, name: str, func: Any, args: Any, kwargs: Any, on_path: list[Tensor]) -> Any:
        """The operation itself; what is built of others is looked into."""
        kinks = self._kinks
        if name in _GRADIENTS:
            kinks.hidden.add("a gradient that forward_func takes")
            return func(*args, **kwargs)
        if torch.is_grad_enabled() and any(t.requires_grad for t in on_path):
            kinks.look(name, func, args, kwargs, on_path)
            moving = sum(self.depends(value) for value in args) > 1 or (name == "div" and not self.depends(args[0]))
            if name in _HANDLERS and (moving if name in _PRODUCTS else name not in KINKED):
                kinks.curved.add(name)
        if name not in _HANDLERS and name not in _LINEAR_NAMES and (body := _body(func)) is not None:
            with self:
                return body(*args, **kwargs)
        return func(*args, **kwargs)


def _bare(tensor: Tensor) -> Tensor:
    """What a transform of torch.func has wrapped."""
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _is_number(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _in_order(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first two arguments by position, as handlers take them, where torch allows them by name."""
    kwargs = dict(kwargs)
    for position, names in enumerate((_FIRST, _SECOND)):
        if len(args) == position:
            args += tuple(kwargs.pop(name) for name in names if name in kwargs)
    return args, kwargs


def _reaches_leaf(tensor: Tensor) -> bool:
    seen, stack = set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(getattr(node, "variable", None), _MARK, False):
            return True
        stack += [parent for parent, _ in node.next_functions]
    return False


def _tensors(value: object) -> list[Tensor]:
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
                found += _tensors(member)
    return found


def _mark(tensors: list[Tensor], on_path: bool | str) -> None:
    for tensor in tensors:
        # Parameters and buffers are the model's own: nothing is written on them.
        if on_path or (tensor.requires_grad and not tensor.is_leaf):
            setattr(tensor, _MARK, on_path)


@lru_cache(maxsize=4096)
def _name(func: Any) -> str:
    # An operation of an exported graph: "relu.default".
    name: str = getattr(func, "__name__", type(func).__name__).partition(".")[0]
    if name == "instance_norm" and isinstance(func, OpOverload):
        return "aten_instance_norm"  # whose arguments have another order
    name = name.strip("_")
    if name in ("iadd", "isub", "imul", "itruediv", "idiv", "ipow", "imatmul"):
        name = name[1:]
    return {"truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul", "rmul": "mul"}.get(name, name)


@lru_cache(maxsize=4096)
def _asks_for_form(func: Any) -> bool:
    """Whether it asks a tensor for its form alone, which is no tensor."""
    name = getattr(func, "__name__", "")
    return name in _FORM or (name == "__get__" and getattr(func.__self__, "__name__", "") in _FORM)


_FORM = frozenset(
    """shape dtype device layout ndim requires_grad is_leaf is_cuda is_sparse dim size stride numel is_floating_point
    is_complex is_contiguous is_nested element_size __len__""".split()
)


@lru_cache(maxsize=4096)
def _is_in_place(func: Any) -> bool:
    name = getattr(func, "__name__", "").partition(".")[0]
    dunder = name.startswith("__") and name.endswith("__")
    return name in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__") if dunder else name.endswith("_")


def _out_of_place(func: Any) -> Function:
    """`func` on a copy, where it works in place."""
    if not _is_in_place(func):
        return func  # type: ignore[no-any-return]
    return lambda x, *args, **kwargs: func(x.clone(), *args, **kwargs)


@lru_cache(maxsize=512)
def _body(func: Any) -> Function | None:
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


# ---------------------------------------------------------------- rules
#
# A handler is called with the mode, the function and its arguments, outside of the mode; NotImplemented: not for me.


def _elementwise(kinked: bool) -> Handler:
    def handle(mode: SecantMode, func: Function, x: Any, *args: Any, **kwargs: Any) -> Any:
        others = _tensors((args, kwargs))
        if not mode.depends(x) or any(mode.depends(other) or other.numel() > 1 for other in others):
            return NotImplemented
        if x.is_complex():
            # The others are differentiable as functions of a complex number.
            if kinked:
                return NotImplemented
            return slopes.Elementwise.apply(
                x, slopes.Smooth(lambda v: func(v, *args, **kwargs), _name(func) in _SCALED), mode.place(x)
            )
        bounds = _bounds(_name(func), *args, **kwargs) if kinked else None
        if bounds is not None:
            _note_passing(mode, _name(func), x, mode.place(x), bounds[1] - bounds[0])
        elif (width := _LEVELS_OFF.get(_name(func))) is not None:
            _note_passing(mode, _name(func), x, mode.place(x), width)
        if bounds is not None and x.element_size() >= 4:
            return slopes.Elementwise.apply(x, slopes.Clamp(*bounds), mode.place(x))
        if _name(func) in _INVERSE:
            _note_scales(mode, _name(func), x, mode.place(x), _MOST_SCALES ** _INVERSE[_name(func)])
        op = lambda v: func(v, *args, **kwargs)  # noqa: E731
        kind = slopes.Kinked(op) if kinked else slopes.Smooth(op, _name(func) in _SCALED)
        return slopes.Elementwise.apply(x, kind, mode.place(x))

    return handle


def _bounds(name: str, *args: Any, **kwargs: Any) -> tuple[float, float] | None:
    """Between which values the operation is the identity, if it clamps to them."""
    if name in ("relu", "relu6"):
        return 0.0, 6.0 if name == "relu6" else math.inf
    return bounds(name, *args, **kwargs) if name in CLAMPS else None


def _abs(mode: SecantMode, func: Function, x: Tensor) -> Any:
    if not x.is_complex():
        return slopes.Elementwise.apply(x, slopes.Kinked(torch.abs), mode.place(x))
    with mode:
        parts = torch.view_as_real(x)
        return (parts * parts).sum(-1).sqrt()


def _threshold(
    mode: SecantMode, func: Function, x: Tensor, threshold: float, value: float, inplace: bool = False
) -> Any:
    # Of a jump there is no slope.
    return _elementwise(True)(mode, func, x, threshold, value) if threshold == value else NotImplemented


def _rpow(mode: SecantMode, func: Function, x: Tensor, base: Any) -> Any:
    if isinstance(base, Tensor) and (mode.depends(base) or base.numel() > 1):
        return NotImplemented
    return slopes.Elementwise.apply(x, slopes.Smooth(lambda v: torch.pow(base, v)), mode.place(x))


def _pow(mode: SecantMode, func: Function, x: Any, exponent: Any, **kwargs: Any) -> Any:
    if isinstance(exponent, Tensor) and mode.depends(exponent):
        if mode.depends(x) or (isinstance(x, Tensor) and x.numel() > 1):
            return NotImplemented
        return slopes.Elementwise.apply(exponent, slopes.Smooth(lambda v: torch.pow(x, v)), mode.place(exponent))
    if isinstance(exponent, int | float) and exponent < 0:
        _note_scales(mode, "pow", x, mode.place(x), _MOST_SCALES ** (1 / -exponent))
    return slopes.Elementwise.apply(x, slopes.Smooth(lambda v: torch.pow(v, exponent), True), mode.place(x))


def _mul(mode: SecantMode, func: Function, a: Any, b: Any, **kwargs: Any) -> Any:
    if mode.depends(a) and mode.depends(b):
        for d, factor in ((a, b), (b, a)):
            if (length := _length_of(d, factor, inverse=True)) is not None:
                return _over(mode, d, length, lambda: a.detach() * b.detach())
        return slopes.Product.apply(a, b, mode.place(a), mode.place(b))
    return func(a, b, **kwargs)


def _div(mode: SecantMode, func: Function, a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        return NotImplemented
    if not mode.depends(b):
        return func(a, b)
    if mode.depends(a) and (length := _length_of(a, b, inverse=False)) is not None:
        return _over(mode, a, length, lambda: a.detach() / b.detach())
    with mode:
        return a * b.reciprocal()


def _rdiv(mode: SecantMode, func: Function, b: Tensor, a: Any) -> Any:
    with mode:
        return b.reciprocal() * a


_MATRIX_PRODUCTS = frozenset(("matmul", "bmm", "mm"))


def _bilinear(mode: SecantMode, func: Function, a: Any, b: Any, **kwargs: Any) -> Any:
    if mode.depends(a) and mode.depends(b):
        if _name(func) in _MATRIX_PRODUCTS and a.dim() > 1 and b.dim() > 1 and not kwargs:
            return slopes.MatrixProduct.apply(a, b, mode.place(a), mode.place(b))
        return slopes.Bilinear.apply(a, b, lambda u, v: func(u, v, **kwargs), mode.place(a), mode.place(b))
    return func(a, b, **kwargs)


def _rmatmul(mode: SecantMode, func: Function, b: Any, a: Any) -> Any:
    return _bilinear(mode, torch.matmul, a, b)


def _linear(mode: SecantMode, func: Function, x: Any, weight: Any, bias: Any = None) -> Any:
    if not mode.depends(weight):
        return func(x, weight, bias)
    with mode:
        result = x @ weight.mT
        return result if bias is None else result + bias


def _add_product(product: Function) -> Handler:
    def handle(mode: SecantMode, func: Function, c: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        if not (mode.depends(a) and mode.depends(b)):
            return func(c, a, b, beta=beta, alpha=alpha)
        with mode:
            result = alpha * product(a, b)
            return result if beta == 0 else beta * c + result

    return handle


def _addcmul(mode: SecantMode, func: Function, c: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    with mode:
        return c + value * (a * b)


def _addcdiv(mode: SecantMode, func: Function, c: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    with mode:
        return c + value * (a / b)


def _lerp(mode: SecantMode, func: Function, a: Any, b: Any, weight: Any) -> Any:
    if not mode.depends(weight):
        return func(a, b, weight)
    with mode:
        return a + weight * (b - a)


def _einsum(mode: SecantMode, func: Function, equation: str, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    moving = [i for i, operand in enumerate(operands) if mode.depends(operand)]
    if len(moving) < 2:
        return func(equation, *operands)
    if len(moving) > 2:
        return NotImplemented

    def product(a: Tensor, b: Tensor) -> Tensor:
        given = list(operands)
        given[moving[0]], given[moving[1]] = a, b
        return torch.einsum(equation, *given)

    a, b = (operands[i] for i in moving)
    return slopes.Bilinear.apply(a, b, product, mode.place(a), mode.place(b))


def _softmax(log: bool) -> Handler:
    def handle(
        mode: SecantMode, func: Function, x: Tensor, dim: Any = None, *args: Any, dtype: Any = None, **kwargs: Any
    ) -> Any:
        if dim is None:
            return NotImplemented
        with mode:
            x = x if dtype is None else x.to(dtype)
        return _shares(mode, x, dim % x.dim(), log)

    return handle


def _shares(mode: SecantMode, x: Tensor, dim: int, log: bool = False, safe: bool = False) -> Any:
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
        _note(mode, "softmax", moved.amax(dim) - moved.amin(dim) > _WIDTHS * _SOFTMAX_WIDTH, place, dim < place.dim)
    result = slopes.Softmax.apply(x, dim, log, place, safe)
    return _made(result, place)


def _made(result: Tensor, place: Place) -> Tensor:
    """Note of what a handler has made by itself that it lies on the path, for what it does next."""
    _mark([result], True)
    rows.note(result, place)
    return result


def _logsumexp(mode: SecantMode, func: Function, x: Tensor, dim: Any, keepdim: bool = False) -> Any:
    if not isinstance(dim, int):
        return NotImplemented
    # At any position x - log_softmax(x) is it; a finite one is taken.
    at = x.detach().argmax(dim, keepdim=True)
    with mode:
        result = (x - x.log_softmax(dim)).gather(dim, at)
        return result if keepdim else result.squeeze(dim)


def _prelu(mode: SecantMode, func: Function, x: Tensor, weight: Any) -> Any:
    with mode:
        return x.relu() - weight.view(1, -1, *[1] * (x.dim() - 2)) * (-x).relu()


def _attention(
    mode: SecantMode, func: Function, query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None,
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


def _normalised(
    mode: SecantMode,
    x: Tensor,
    dims: tuple[int, ...],
    eps: float,
    y: Tensor,
    weight: Any,
    *,
    centred: bool = True,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """`y`, which is x over the root of its mean square, or of its variance, times a constant weight, plus a constant.

    `dims` are negative; `weight` (or None) can be broadcast to x. `known`: the mean, and one over the root.
    """
    place = mode.place(x)
    _refuse_across(x, dims, place)
    scale = 1 / math.prod(x.shape[dim] for dim in dims)
    if known is not None:
        mean, inverse = known
        _note_scales(mode, "a norm", inverse, place, _MOST_SCALES)
    else:
        flat, mean = x.detach(), None
        d = flat - flat.mean(dims, keepdim=True) if centred else flat
        squares = torch.linalg.vector_norm(d, dim=dims, keepdim=True).square_().mul_(scale)
        _note_scales(mode, "a norm", squares.add_(eps), place, _MOST_SCALES**2)
    return _made(Normalised.apply(x, y.detach(), mean, weight, dims, scale, eps, centred, place), place)


def _refuse_across(x: Tensor, dims: tuple[int, ...], place: Place) -> None:
    across = {dim % x.dim() for dim in dims}
    if place.dim in across or (place.outer > 1 and any(dim <= place.dim for dim in across)):
        raise LeaveError("the secant rule does not hold here: a norm is taken across the points of the path")


def _over(mode: SecantMode, d: Tensor, length: Length, compute: Callable[[], Tensor]) -> Tensor:
    """What `compute` gives, d over its length, with the slope of that."""
    place = mode.place(d)
    if place.outer > 1 and any(dim % d.dim() <= place.dim for dim in length.dims):
        _refuse_across(d, length.dims, place)
    squares = torch.linalg.vector_norm(d.detach(), dim=length.dims, keepdim=True).square_().mul_(length.scale)
    _note_scales(mode, "a norm", squares.add_(length.eps), place, _MOST_SCALES**2)
    return _made(OverLength.apply(d, compute(), length, place), place)


def _note_scales(mode: SecantMode, name: str, x: Tensor, place: Place, most: float) -> None:
    """Note where x, by which something is divided, grows by more than `most` within a cell.

    In a cell from a point at which a norm has no direction, all scales look the same: however often it is split, its
    first part shows the same mean slopes, sums to what F changes, and is as wrong.
    """
    begin, end = (t.abs() for t in place.ends(x.detach()))
    _note(mode, name, torch.maximum(begin, end) > most * torch.minimum(begin, end), place)


def _note_passing(mode: SecantMode, name: str, x: Tensor, place: Place, width: float) -> None:
    """Note where x passes by many times the `width` over which an operation rises, within a cell."""
    if math.isfinite(width):
        begin, end = place.ends(x.detach())
        _note(mode, name, (end - begin).abs_() > _WIDTHS * width, place)


def _note(mode: SecantMode, name: str, where: Tensor, place: Place, missing: int = 0) -> None:
    """Note whether any of `where` is True in a cell; it lacks `missing` dimensions before that of the points.

    Between the last point of one stretch and the first of the next there is no cell.
    """
    dim = place.dim + (place.outer > 1) - missing
    pairs = where.movedim(dim, 0).flatten(1).any(1) if where.dim() > 1 else where
    if mode.begins is not None and len(pairs) == place.step * (mode.points - 1):
        pairs = pairs.view(-1, place.step).any(1).index_select(0, mode.begins)
    mode.spans.append((name, pairs.any()))


def _layer_norm(
    mode: SecantMode, func: Function, x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any, **__: Any,
) -> Any:  # fmt: skip
    if mode.depends(weight) or mode.depends(bias):
        return _scaled(mode, lambda: torch.nn.functional.layer_norm(x, shape, None, None, eps), weight, bias)
    y, mean, inverse = torch.native_layer_norm(x.detach(), shape, weight, bias, eps)
    known = (mean, inverse) if mean.dtype == torch.promote_types(x.dtype, torch.float32) else None
    return _normalised(mode, x, tuple(range(-len(shape), 0)), eps, y, weight, known=known)


def _scaled(mode: SecantMode, norm: Callable[[], Tensor], weight: Any, bias: Any) -> Tensor:
    """A norm whose weight or bias moves along the path."""
    with mode:
        result = norm() if weight is None else norm() * weight
        return result if bias is None else result + bias


def _rms_norm(mode: SecantMode, func: Function, x: Tensor, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    if mode.depends(weight):
        return _scaled(mode, lambda: torch.nn.functional.rms_norm(x, shape, None, eps), weight, None)
    y = torch.nn.functional.rms_norm(x.detach(), shape, weight, eps)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return _normalised(mode, x, tuple(range(-len(shape), 0)), eps, y, weight, centred=False)


def _group_norm(
    mode: SecantMode, func: Function, x: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *_: Any, **__: Any,
) -> Any:  # fmt: skip
    if mode.depends(weight) or mode.depends(bias):
        shape = (1, -1, *[1] * (x.dim() - 2))
        with mode:
            weight, bias = (None if p is None else p.view(shape) for p in (weight, bias))
        return _scaled(mode, lambda: torch.nn.functional.group_norm(x, groups, None, None, eps), weight, bias)
    y = torch.nn.functional.group_norm(x.detach(), groups, weight, bias, eps)
    with mode:
        parts = x.unflatten(1, (groups, -1))
    weight = None if weight is None else weight.view(1, groups, -1, *[1] * (x.dim() - 2))
    y = _normalised(mode, parts, tuple(range(2 - parts.dim(), 0)), eps, y.unflatten(1, (groups, -1)), weight)
    with mode:
        return y.flatten(1, 2)


def _instance_norm(
    mode: SecantMode, func: Function, x: Tensor, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5, *_: Any,
) -> Any:  # fmt: skip
    if not use_input_stats or running_mean is not None:
        return NotImplemented
    return _group_norm(mode, func, x, x.shape[1], weight, bias, eps)


def _max_pool(pool: Function) -> Handler:
    def handle(mode: SecantMode, func: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        wants_indices = kwargs.pop("return_indices", False)
        spatial = pool.__name__.removesuffix("_with_indices")[-2]
        dims = int(spatial)
        if x.dim() != dims + 2:
            return NotImplemented
        values, index = pool(x.detach(), *args, **kwargs)
        place = mode.place(x)
        if place.dim > 1 or place.outer > 1:
            return NotImplemented
        result = slopes.Largest.apply(x.flatten(2), index.flatten(2), place).view(values.shape)
        return (result, index) if wants_indices else result

    return handle


def _amax(mode: SecantMode, func: Function, x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    dims = sorted({d % x.dim() for d in ([dim] if isinstance(dim, int) else dim or ())})
    if not dims or mode.place(x).dim in dims or mode.place(x).outer > 1:
        return NotImplemented
    with mode:
        flat = x.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
    index = flat.detach().argmax(-1, keepdim=True)
    result = _made(slopes.Largest.apply(flat, index, mode.place(flat)), mode.place(flat))
    with mode:
        result = result.squeeze(-1)
        for d in dims if keepdim else ():
            result = result.unsqueeze(d)
    return result


def _max(mode: SecantMode, func: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    if args and isinstance(args[0], Tensor):
        return _maximum(mode, func, x, args[0])
    dim = kwargs.get("dim", args[0] if args else None)
    if not isinstance(dim, int):
        return NotImplemented
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    value = _amax(mode, func, x, dim, keepdim)
    if value is NotImplemented:
        return value
    return torch.return_types.max((value, x.detach().argmax(dim, keepdim)))


def _maximum(mode: SecantMode, func: Function, a: Any, b: Any) -> Any:
    with mode:
        return torch.stack(torch.broadcast_tensors(a, b), -1).amax(-1)


def _minimum(mode: SecantMode, func: Function, a: Any, b: Any) -> Any:
    with mode:
        return -torch.maximum(-a, -b)


def _amin(mode: SecantMode, func: Function, x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    with mode:
        negative = -x
    value = _amax(mode, func, negative, dim, keepdim)
    return value if value is NotImplemented else -value


def _glu(mode: SecantMode, func: Function, x: Tensor, dim: int = -1) -> Any:
    with mode:
        a, b = x.chunk(2, dim)
        return a * b.sigmoid()


def _vector_norm(
    mode: SecantMode, func: Function, x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any
) -> Any:  # fmt: skip
    if ord not in (2, 2.0, None, "fro") or dim is None:
        return NotImplemented
    with mode:
        return (x * x).sum(dim, keepdim=keepdim).sqrt()


def _cosine(mode: SecantMode, func: Function, a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Any:
    with mode:
        lengths = (v.norm(dim=dim).clamp_min(eps) for v in (a, b))
        return (a * b).sum(dim) / next(lengths) / next(lengths)


def _variance(root: bool) -> Handler:
    def handle(mode: SecantMode, func: Function, x: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dim is None or isinstance(dim, bool) or args:
            return NotImplemented
        correction = kwargs.get("correction", int(kwargs.get("unbiased", True)))
        keepdim = kwargs.get("keepdim", False)
        dims = [dim] if isinstance(dim, int) else list(dim)
        count = 1
        for d in dims:
            count *= x.shape[d]
        with mode:
            d = x - x.mean(dim, keepdim=True)
            result = (d * d).sum(dim, keepdim=keepdim) / (count - correction)
            return result.sqrt() if root else result

    return handle


# ---------------------------------------------------------------- norms that are written out
#
# x * rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) and its like: what the length becomes is noted step by step.

_LENGTH = "_ig_widgets_length"


def _note_length(name: str, func: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Note of what an operation has made, if it has, that it leads to a length, and how far on the way it is."""
    if name not in _STEPS_TO_LENGTH or not isinstance(result, Tensor) or not args or not isinstance(args[0], Tensor):
        return
    x, other = args[0], args[1] if len(args) > 1 else None
    if (
        name == "square"
        or (name == "pow" and isinstance(other, int | float) and other == 2)
        or (name == "mul" and other is x)
    ):
        step, known = _known_length(x)
        found: Any = ("squares", known if step == "cast" else x)
    else:
        step, known = _known_length(x)
        found = None
        if name in ("mean", "sum") and step == "squares" and result.dim() == x.dim():
            dim = kwargs.get("dim", other)
            if isinstance(dim, int | tuple | list) and not isinstance(dim, bool):
                dims = tuple((d % x.dim()) - x.dim() for d in ([dim] if isinstance(dim, int) else dim))
                count = math.prod(x.shape[d] for d in dims) if name == "mean" else 1
                found = ("square", Length(known, dims, 1 / count))
        elif name in ("add", "radd") and step == "square" and isinstance(other, float | int) and not kwargs:
            found = ("square", replace(known, eps=known.eps + other))
        elif name in ("sqrt", "rsqrt") and step == "square":
            found = ("length" if name == "sqrt" else "inverse", known)
        elif name in ("clamp_min", "clamp") and step == "length":
            low = kwargs.get("min", other)
            # The corner at so short a length is rounded off.
            found = ("length", replace(known, eps=known.eps + low * low)) if isinstance(low, float | int) else None
        elif name == "reciprocal" and step == "length":
            found = ("inverse", known)
        elif name in ("expand_as", "expand", "to", "float", "double", "type_as"):
            keeps = step in ("length", "inverse") or name.startswith("expand")
            found = (step, known) if keeps else ("cast", known if step == "cast" else x)
    if found is not None:
        setattr(result, _LENGTH, found)


_STEPS_TO_LENGTH = frozenset(
    """square pow mul mean sum add radd sqrt rsqrt clamp_min clamp reciprocal expand_as expand to float double
    type_as""".split()
)


def _known_length(tensor: Tensor) -> tuple[str, Any]:
    """How far on the way to a length `tensor` is, and to which."""
    return getattr(tensor, _LENGTH, ("", None))


def _length_of(d: Tensor, factor: Tensor, *, inverse: bool) -> Length | None:
    """The length that `factor` (or one over it) is, if it is that of `d`."""
    step, known = _known_length(factor)
    fits = step == ("inverse" if inverse else "length") and known.of is d and not d.is_complex()
    return known if fits else None


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_KINKED, _elementwise(True)),
    **dict.fromkeys(_SMOOTH, _elementwise(False)),
    "abs": _abs,
    "absolute": _abs,
    "threshold": _threshold,
    "prelu": _prelu,
    "pow": _pow,
    "float_power": _pow,
    "rpow": _rpow,
    "mul": _mul,
    "div": _div,
    "rtruediv": _rdiv,
    "rdiv": _rdiv,
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot", "inner", "outer", "ger"), _bilinear),
    "rmatmul": _rmatmul,
    "linear": _linear,
    "addmm": _add_product(torch.mm),
    "addmv": _add_product(torch.mv),
    "baddbmm": _add_product(torch.bmm),
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
    "einsum": _einsum,
    "softmax": _softmax(False),
    "log_softmax": _softmax(True),
    "logsumexp": _logsumexp,
    "scaled_dot_product_attention": _attention,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    **{f"max_pool{n}d": _max_pool(getattr(F, f"max_pool{n}d_with_indices")) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _max_pool(getattr(F, f"adaptive_max_pool{n}d_with_indices")) for n in (1, 2, 3)},
    "amax": _amax,
    "amin": _amin,
    "max": _max,
    "maximum": _maximum,
    "minimum": _minimum,
    "glu": _glu,
    "vector_norm": _vector_norm,
    "linalg_vector_norm": _vector_norm,
    "cosine_similarity": _cosine,
    "var": _variance(False),
    "std": _variance(True),
}
_LINEAR_NAMES = frozenset(_LINEAR)
# Linear in each operand.
_PRODUCTS = frozenset(
    """mul div matmul bmm mm mv dot inner outer ger rmatmul linear addmm addmv baddbmm addcmul addcdiv lerp
    einsum""".split()
)
