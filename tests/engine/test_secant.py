"""The secant rule: complete at any number of cells, DeepLIFT at one, Integrated Gradients at many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine import slopes
from ig_widgets.engine.attribution import attribute, refine
from tests.engine.subjects import ConvScores, Scores, draw, few, relative, seeds

Function = Callable[[Tensor], Tensor]


def completeness(model: Callable[..., Tensor], x: Tensor | tuple[Tensor, ...], n: int, **options: object) -> float:
    """The delta, over the larger of F(x) - F(x') and a tenth of the sum of absolute attributions."""
    result = attribute(model, x, method="secant", n_steps=n, **options)  # type: ignore[arg-type]
    maps = result.attributions if isinstance(result.attributions, tuple) else (result.attributions,)
    size = torch.stack([m.abs().flatten(1).sum(1) for m in maps]).sum(0)
    scale = torch.maximum((result.output - result.baseline_output).abs(), size / 10)
    return float((result.convergence_delta.abs() / scale.clamp_min(1e-300)).max())


# ------------------------------------------------------------------ every operation

WEIGHT = draw(91, 6, 6) / 2
OTHER = draw(92, 6)

OPERATIONS: dict[str, Function] = {
    **{
        name: getattr(torch, name)
        for name in ("relu", "sigmoid", "tanh", "exp", "sin", "cos", "atan", "erf", "abs", "square", "expm1", "sinh")
    },
    **{
        name: getattr(F, name)
        for name in (
            *("relu6", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "gelu", "silu", "mish", "softplus", "elu"),
            *("selu", "celu", "logsigmoid", "softsign", "tanhshrink", "softshrink", "relu_", "elu_"),
        )
    },
    "method": lambda x: x.tanh().relu(),
    "in place": lambda x: F.relu(x * 2, inplace=True) + x,
    "in place product": lambda x: (x * 2).mul_(x.sin()),
    "log": lambda x: (x * x + 1).log(),
    "sqrt": lambda x: (x * x + 0.5).sqrt(),
    "rsqrt": lambda x: (x * x + 0.5).rsqrt(),
    "reciprocal": lambda x: 1 / (x * x + 0.5),
    "quotient": lambda x: x / (x.exp() + 1),
    "power": lambda x: x**3 + (x * x + 1) ** 0.5 + 2**x,
    "power of a tensor": lambda x: x ** x.new_tensor(2.0) + torch.pow(x.new_tensor(1.7), x) + x.new_tensor(0.6) ** x,
    "clamp": lambda x: x.clamp(-0.5, 0.7) + x.clamp(min=0) + torch.clamp_max(x, 0.3),
    "product": lambda x: x * (x @ WEIGHT).sigmoid(),
    "gate": lambda x: F.glu(torch.cat([x @ WEIGHT, x], 1)),
    "broadcast product": lambda x: x * x.mean(1, keepdim=True) * 3,
    "matmul": lambda x: (x.view(-1, 2, 3) @ x.view(-1, 3, 2)).flatten(1),
    "bmm": lambda x: torch.bmm(x.view(-1, 2, 3), x.view(-1, 3, 2)).flatten(1),
    "baddbmm": lambda x: torch.baddbmm(x.view(-1, 2, 3)[:, :, :2], x.view(-1, 2, 3), x.view(-1, 3, 2)).flatten(1),
    "einsum": lambda x: torch.einsum("bi,bj->bij", x, x.sin()).flatten(1),
    "addcmul": lambda x: torch.addcmul(x, x, x.cos(), value=2),
    "softmax": lambda x: x.softmax(1) * OTHER,
    "log_softmax": lambda x: F.log_softmax(x, dim=1) * OTHER,
    "logsumexp": lambda x: x.logsumexp(1),
    "masked softmax": lambda x: (x + torch.tensor([0.0, 0, -math.inf, 0, -math.inf, 0])).softmax(-1) * OTHER,
    "layer_norm": lambda x: F.layer_norm(x, (6,), OTHER, OTHER) * OTHER,
    "rms_norm": lambda x: F.rms_norm(x, (6,), OTHER) * OTHER,
    "group_norm": lambda x: F.group_norm(x, 2, OTHER, OTHER) * OTHER,
    "instance_norm": lambda x: F.instance_norm(x.view(-1, 2, 3)).flatten(1) * OTHER,
    "normalize": lambda x: F.normalize(x) * OTHER,
    "cosine": lambda x: F.cosine_similarity(x[:, :3], x[:, 3:].sin() + 0.3),
    "norm": lambda x: x.norm(dim=1),
    "stft": lambda x: torch.stft(x, 4, 2, window=OTHER[:4].abs(), return_complex=True).abs().flatten(1),
    "std": lambda x: x.std(1),
    "max_pool1d": lambda x: F.max_pool1d(x[:, None], 3, 2)[:, 0],
    "max_pool2d": lambda x: F.max_pool2d(x.view(-1, 1, 2, 3), 2, stride=1).flatten(1),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool1d(x[:, None], 2)[:, 0],
    "amax": lambda x: x.amax(1) - x.sin().amin(1),
    "max": lambda x: x.max(1).values + x.max(dim=1, keepdim=True)[0][:, 0],
    "maximum": lambda x: torch.maximum(x, x.flip(1)) + torch.minimum(x, x.new_tensor(0.2)),
    "prelu": lambda x: F.prelu(x, torch.full((6,), 0.2, dtype=x.dtype)),
    "attention": lambda x: F.scaled_dot_product_attention(*(x.view(-1, 1, 3, 2) * k for k in (1, 2, 3))).flatten(1),
    "causal attention": lambda x: F.scaled_dot_product_attention(
        *(x.view(-1, 3, 2) * k for k in (1, 2, 3)), is_causal=True
    ).flatten(1),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("n", [1, 3])
def test_every_operation_is_complete(name: str, n: int) -> None:
    """Between two layers, so that what comes in and what goes on is nothing special."""
    op = OPERATIONS[name]

    def model(x: Tensor) -> Tensor:
        y = op(x @ WEIGHT + OTHER)
        return (y.flatten(1) if y.dim() > 1 else y[:, None]).tanh().sum(1)

    result = attribute(model, draw(5, 3, 6), baselines=draw(6, 3, 6), method="secant", n_steps=n)
    assert result.fallbacks == ()
    assert completeness(model, draw(5, 3, 6), n, baselines=draw(6, 3, 6)) < 1e-7


@pytest.mark.parametrize(
    "op",
    [
        *(torch.log, torch.log2, torch.log1p, torch.sqrt, torch.rsqrt, torch.reciprocal, torch.square, torch.lgamma),
        *(lambda x: x**2, lambda x: x**-0.5, torch.asinh),
    ],
)
def test_slopes_between_near_ends_far_from_zero_lose_no_digits(op: Function) -> None:
    """In single precision, beside the same in double: these bend over lengths that grow with x."""
    x, b = torch.tensor([[10001.0, 20003.0]]), torch.tensor([[10000.0, 20000.0]])

    def function(v: Tensor) -> Tensor:
        return op(v).sum(1)

    told = attribute(function, x, baselines=b, method="secant", n_steps=16, chunk_size=17)
    assert told.method == "secant"
    exact = op(x.double()) - op(b.double())
    assert relative(told.attributions.double(), exact) < 1e-5


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_converges_to_integrated_gradients(name: str) -> None:
    op = OPERATIONS[name]

    def model(x: Tensor) -> Tensor:
        y = op(x @ WEIGHT + OTHER)
        return (y.flatten(1) if y.dim() > 1 else y[:, None]).tanh().sum(1)

    x, b = draw(5, 1, 6), draw(6, 1, 6)
    secant = attribute(model, x, baselines=b, method="secant", n_steps=256).attributions
    dense = attribute(model, x, baselines=b, method="riemann_middle", n_steps=4096).attributions
    assert isinstance(secant, Tensor)
    assert isinstance(dense, Tensor)
    assert relative(secant, dense) < 2e-3


# ------------------------------------------------------------------ theorems


@few
@given(seeds, st.integers(1, 9), st.integers(1, 3), st.sampled_from([2, 3, 5, None]))
def test_completeness_holds_at_any_n(seed: int, n: int, batch: int, chunk: int | None) -> None:
    model = Scores([(4,), (2, 3)], (3,), activation=torch.relu, seed=seed)
    x = (draw(seed, batch, 4), draw(seed + 1, batch, 2, 3))
    assert completeness(model, x, n, target=1, chunk_size=chunk) < 1e-9


@few
@given(seeds, st.integers(1, 9), st.sampled_from([2, 3, 7]))
def test_chunks_do_not_matter(seed: int, n: int, chunk: int) -> None:
    model = ConvScores((3,), seed=seed)
    x = draw(seed, 2, 3, 6, 6)
    whole = attribute(model, x, target=2, method="secant", n_steps=n, chunk_size=200).attributions
    parts = attribute(model, x, target=2, method="secant", n_steps=n, chunk_size=chunk).attributions
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-9)


@few
@given(seeds)
def test_a_single_kink_in_a_cell_is_exact(seed: int) -> None:
    """One hidden layer: no second kink lies behind the first, so that one cell is enough."""
    weight, shift, outer = draw(seed, 5, 4), draw(seed + 1, 5), draw(seed + 2, 5)
    x, b = draw(seed + 3, 1, 4), draw(seed + 4, 1, 4)
    one = attribute(lambda v: torch.relu(v @ weight.T + shift) @ outer, x, baselines=b, method="secant", n_steps=1)
    low, high = b @ weight.T + shift, x @ weight.T + shift
    share = (high.relu() - low.relu()) / (high - low)
    exact = (x - b) * ((share * outer) @ weight)
    torch.testing.assert_close(one.attributions, exact, rtol=1e-9, atol=1e-12)


def test_error_falls_faster_than_that_of_points() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).double().eval()
    x = draw(1, 4, 20)
    exact = attribute(model, x, target=1, n_steps=20000).attributions
    assert isinstance(exact, Tensor)
    errors = {}
    for method in ("secant", "riemann_middle"):
        maps = (attribute(model, x, target=1, method=method, n_steps=32).attributions,)
        errors[method] = float((maps[0] - exact).norm() / exact.norm())  # type: ignore[operator]
    assert errors["secant"] < 0.5 * errors["riemann_middle"]


# ------------------------------------------------------------------ DeepLIFT


class Residual(nn.Module):
    def __init__(self, activation: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.one, self.two = activation(), activation()
        self.to(dtype).eval()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.one(self.first(x))
        output: Tensor = self.last(self.two(self.second(hidden)))
        return output


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.LeakyReLU, nn.Softplus])
def test_one_cell_is_deep_lift(activation: Callable[[], nn.Module]) -> None:
    model = Residual(activation)
    x, b = draw(1, 3, 6), draw(2, 3, 6)
    ours = attribute(model, x, baselines=b, target=1, method="secant", n_steps=1).attributions
    theirs = captum.attr.DeepLift(model).attribute(x.requires_grad_(), b, target=1)
    assert isinstance(ours, Tensor)
    assert relative(ours, theirs.detach()) < 1e-6


# ------------------------------------------------------------------ real layers


class Attention(nn.Module):
    """A block of the usual library layers; `batch_first` False lays the rows in the second dimension."""

    def __init__(self, batch_first: bool = True, norm_first: bool = True) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.batch_first = batch_first
        self.block = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, activation="gelu", batch_first=batch_first, norm_first=norm_first
        )
        self.attend = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.last = nn.Linear(8, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.block(x)
        x = x + self.attend(x, x, x, need_weights=True)[0]
        output: Tensor = self.last(x.mean(1 if self.batch_first else 0))
        return output


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_transformer_is_complete(batch_first: bool, norm_first: bool) -> None:
    model = Attention(batch_first, norm_first)
    x = draw(1, 2, 5, 8)
    result = attribute(model, x, target=1, method="secant", n_steps=2, chunk_size=3)
    assert result.fallbacks == ()
    assert completeness(model, x, 2, target=1, chunk_size=3) < 1e-7


class BatchNormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.depth, self.norm2 = nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4)
        self.last = nn.Linear(4, 2)
        for norm in (self.norm, self.norm2):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.conv(x)))
        x = F.relu(self.norm2(self.depth(x)))
        output: Tensor = self.last(x.mean((2, 3)))
        return output


class Twice(BatchNormed):
    """What the convolution gives is used beside the batch norm, so that it cannot be folded."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.last((self.norm(y).relu() + y.sin()).mean((2, 3)))


@pytest.mark.parametrize("kind", [BatchNormed, Twice])
def test_folding_batch_norm_changes_nothing(kind: type[BatchNormed]) -> None:
    model, x = kind(), draw(4, 2, 3, 6, 6)
    folded = attribute(model, x, target=1, method="secant", n_steps=8, chunk_size=4).attributions
    model.conv.register_forward_hook(lambda *_: None)  # what a hook may look at is not folded
    plain = attribute(model, x, target=1, method="secant", n_steps=8, chunk_size=4).attributions
    torch.testing.assert_close(folded, plain, rtol=0, atol=1e-12)
    assert completeness(model, x, 8, target=1, chunk_size=4) < 1e-9


# ------------------------------------------------------------------ what is not known


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


@pytest.mark.parametrize(
    ("op", "name"),
    [
        (lambda x: x.cumprod(1), "cumprod"),
        (Cube.apply, "Cube"),
        (lambda x: torch.where(x > 0, x, 0.1 * x), "where"),
        (lambda x: x.sort(1).values, "sort"),
    ],
    ids=["cumprod", "custom", "where", "sort"],
)
def test_what_has_no_rule_keeps_its_derivative_and_is_named(op: Function, name: str) -> None:
    def model(x: Tensor) -> Tensor:
        return op((x @ WEIGHT).tanh() + 1.5).sum(1)

    x = draw(5, 1, 6)
    result = attribute(model, x, method="secant", n_steps=200)
    assert result.fallbacks == (name,)
    dense = attribute(model, x, n_steps=2000).attributions
    assert isinstance(result.attributions, Tensor)
    assert isinstance(dense, Tensor)
    assert relative(result.attributions, dense) < 0.05


@pytest.mark.parametrize("op", [torch.amax, torch.amin, torch.max, torch.min], ids=lambda op: op.__name__)
def test_the_largest_of_all_rows_has_no_rule_and_is_named(op: Callable[[Tensor], Tensor]) -> None:
    x = draw(5, 1, 6)
    result = attribute(lambda v: (v * op(v.tanh())).sum(1), x, method="secant", n_steps=8)
    assert result.fallbacks == (op.__name__,)
    assert op.__name__ in result.reason
    assert torch.isfinite(result.attributions).all()


def test_weights_that_need_gradients_are_no_activations() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)).double()
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 1).double()).eval()
    x = draw(5, 2, 6)
    assert attribute(model, x, target=0, method="secant", n_steps=2).fallbacks == ()
    assert completeness(model, x, 2, target=0) < 1e-9


def test_constant_function_gives_zeros() -> None:
    result = attribute(lambda x: (x * 0).sum(1) + 3, draw(1, 1, 4), method="secant", n_steps=3)
    assert isinstance(result.attributions, Tensor)
    assert torch.equal(result.attributions, torch.zeros(1, 4, dtype=torch.float64))
    assert float(result.convergence_delta) == 0


def test_equal_ends_give_the_derivative() -> None:
    """Nothing moves into the ReLU, though both inputs do: each still counts."""
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    result = attribute(lambda v: torch.relu(v[:, 0] - v[:, 1] + 1), x, method="secant", n_steps=3)
    torch.testing.assert_close(result.attributions, torch.tensor([[1.0, -1.0]], dtype=torch.float64))


# ------------------------------------------------------------------ results


def test_trace_and_refine() -> None:
    model = Scores([(4,)], (3,), activation=torch.relu, seed=1)
    x = draw(1, 2, 4)
    items = list(refine(model, x, target=1, method="secant", n_steps=20, chunk_size=3))
    last = items[-1]
    whole = attribute(model, x, target=1, method="secant", n_steps=20)
    torch.testing.assert_close(last.attributions, whole.attributions, rtol=0, atol=1e-12)
    assert [item.evaluations for item in items] == sorted({item.evaluations for item in items})
    assert (last.evaluations, last.method) == (20, "secant")
    path = last.path
    torch.testing.assert_close(path.edges[0], torch.linspace(0, 1, 21, dtype=torch.float64))
    torch.testing.assert_close(path.output_alphas, path.edges)
    # The mean of dF/dalpha over a cell is what F rises there.
    rise = path.outputs.diff(dim=1) / path.edges.diff(dim=1)
    torch.testing.assert_close(path.density, rise, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(path.cumulative(1.0), last.attributions)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_dtypes(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    x = draw(1, 2, 6)
    exact = attribute(model.double(), x, target=1, method="secant", n_steps=4).attributions
    narrow = attribute(model.to(dtype), x.to(dtype), target=1, method="secant", n_steps=4).attributions
    assert isinstance(narrow, Tensor)
    assert isinstance(exact, Tensor)
    assert narrow.dtype == dtype
    assert relative(narrow.double(), exact) < {torch.float16: 0.02, torch.bfloat16: 0.15, torch.float32: 1e-5}[dtype]


def test_fp32_is_complete_to_rounding() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 200), nn.GELU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 5)).eval()
    x = draw(1, 4, 50).float()
    for n in (1, 2, 16, 100):
        assert completeness(model, x, n, target=2) < 1e-5


def test_model_is_left_as_found() -> None:
    model = BatchNormed().requires_grad_(True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attributes = {id(p): set(vars(p)) for p in [*model.parameters(), *model.buffers()]}
    x = draw(4, 2, 3, 6, 6)
    attribute(model, x, target=1, method="secant", n_steps=8, chunk_size=4)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {id(p): set(vars(p)) for p in [*model.parameters(), *model.buffers()]} == attributes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not x.requires_grad
    assert vars(x) == {}


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: F.linear(input=x, weight=draw(3, 5, 4), bias=draw(4, 5)).relu().sum(1),
        lambda x: F.relu(input=x).sum(1),
        lambda x: torch.mul(input=x, other=x).sum(1),
        lambda x: torch.matmul(x[:, None], other=x[:, :, None])[:, 0, 0],
        lambda x: torch.pow(x, exponent=2).sum(1),
        lambda x: F.softmax(input=x, dim=1)[:, 0],
        lambda x: F.layer_norm(input=x, normalized_shape=(4,)).pow(3).sum(1),
        lambda x: F.group_norm(x, num_groups=2).pow(3).sum(1),
    ],
)
def test_arguments_by_name(forward: Callable[[Tensor], Tensor]) -> None:
    x, b = draw(1, 2, 4), draw(2, 2, 4)
    result = attribute(forward, x, baselines=b, method="secant", n_steps=3)
    assert result.fallbacks == ()
    assert (result.convergence_delta.abs() <= 1e-9).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [0.5, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "attention", "masked"])
def test_soft_max_is_complete_between_ends_however_far_apart(name: str, far: float, dtype: torch.dtype) -> None:
    """Where other scores win at the end than at the beginning, shares that no number holds are passed."""
    torch.manual_seed(3)
    begin, end = torch.zeros(1, 3, 8), far * torch.randn(1, 3, 8)
    begin, end, values = begin.to(dtype), end.to(dtype), torch.randn(8, 4, dtype=dtype)
    keys, mask = torch.randn(8, 8, dtype=dtype), torch.ones(3, 8, dtype=torch.bool).tril(2)
    function = {
        "softmax": lambda x: x.softmax(-1) @ values,
        "log_softmax": lambda x: x.log_softmax(-1) @ values,
        "logsumexp": lambda x: x.logsumexp(-1),
        "attention": lambda x: F.scaled_dot_product_attention(x, keys, values),
        "masked": lambda x: F.scaled_dot_product_attention(x, keys, values, attn_mask=mask),
    }[name]
    for n in (1, 2, 5):
        result = attribute(
            lambda x: function(x).flatten(1).sum(1), end, baselines=begin, method="secant", n_steps=n, chunk_size=8
        )
        size = float(result.attributions.abs().sum())
        assert torch.isfinite(result.attributions).all()
        assert float(result.convergence_delta.abs().max()) <= 300 * torch.finfo(dtype).eps * max(size, 1.0)


@pytest.mark.parametrize("factors", [{}, {"beta": 0.5}, {"alpha": 3.0}, {"beta": -2.0, "alpha": 0.25}, {"beta": 0.0}])
def test_products_that_are_added_are_those_written_out(factors: dict[str, float]) -> None:
    beta, alpha = factors.get("beta", 1.0), factors.get("alpha", 1.0)
    x, mix = draw(1, 3, 12), draw(2, 12, 4)

    def parts(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (v @ mix).view(-1, 2, 2), v.view(-1, 2, 6).tanh(), v.view(-1, 6, 2)

    def added(v: Tensor) -> Tensor:
        return torch.baddbmm(*parts(v), **factors).flatten(1)

    def written(v: Tensor) -> Tensor:
        c, a, b = parts(v)
        return (beta * c + alpha * (a @ b)).flatten(1)

    ours, plain = (attribute(f, x, target=1, method="secant", n_steps=3) for f in (added, written))
    assert not ours.fallbacks
    torch.testing.assert_close(ours.output, added(x)[:, 1].to(ours.output))
    torch.testing.assert_close(ours.attributions, plain.attributions, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("op", [torch.tanh, torch.square, torch.exp, lambda x: x.abs().sqrt(), F.gelu])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_slopes_are_the_same_where_no_value_may_be_looked_at(
    op: Function, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an accelerator, whose queue is not waited for: of ends that are equal, near, far apart, and zero."""
    b = torch.tensor([[0.0, 1.0, 1.0, 1.0, -3.0, 0.0]])
    x = torch.tensor([[0.0, 1.0, 1.0 + 2**-9, 1.5, 4.0, 2.0]])

    def maps() -> Tensor:
        options: dict[str, Any] = {"method": "secant", "n_steps": 2, "chunk_size": 8}
        found = attribute(lambda v: op(v + 0.25).sum(1), x.to(dtype), baselines=b.to(dtype), **options)
        assert found.attributions.isfinite().all()
        return found.attributions

    expected = maps()
    monkeypatch.setattr(slopes, "is_queued", lambda device: True)
    torch.testing.assert_close(maps(), expected, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)
