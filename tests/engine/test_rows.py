"""The secant rule knows where points lie, checks the sum of each cell, and says where it does not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ig_widgets.engine.attribution import make_samples
from ig_widgets.engine.blocks import CellBlock
from ig_widgets.engine.kinks import Kinks
from ig_widgets.engine.place import Place, whereabouts
from ig_widgets.engine.secant import KinkMode, SecantRuleError
from tests.engine.subjects import ConvScores, draw, few, seeds

Function = Callable[[Tensor], Tensor]

WEIGHT, LAST = draw(91, 8, 8) / 3, draw(92, 8, 3)


def cells(model: Function, x: Tensor, n: int, b: Tensor | None = None, chunk: int = 5) -> list[CellBlock]:
    """The blocks of n cells of equal size for each example."""
    sampler = make_samples(model, x, baselines=b, target=None, chunk_size=chunk).sampler
    edges = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    lows, highs = edges[:-1].repeat(len(x)), edges[1:].repeat(len(x))
    examples = torch.arange(len(x)).repeat_interleave(n)
    blocks = list(sampler.sample_cells(examples, (lows + highs) / 2, lows, highs))
    assert not sampler.fallbacks
    return blocks


def excess(blocks: list[CellBlock]) -> float:
    """The largest defect, in units of what rounding explains."""
    return max(float((block.defects.abs() / block.roundings.clamp_min(1e-300)).max()) for block in blocks)


def hidden(x: Tensor) -> Tensor:
    return F.relu(x @ WEIGHT)


# ------------------------------------------------------------------ layouts


def graph(x: Tensor) -> Tensor:
    """Edges inside each row, as an adjacency matrix."""
    adjacency = (draw(3, 8, 8) > 0).double()
    return F.relu(adjacency @ hidden(x)).mean(1) @ LAST


def windows(x: Tensor) -> Tensor:
    """Shifted windows as in Swin: all of one row lie together, and come back."""
    turned = x.roll(1, 1).view(-1, 4, 2, 8).flatten(0, 1)
    turned = (turned.softmax(1) * turned).relu()
    return turned.view(-1, 4, 2, 8).flatten(1, 2).roll(-1, 1).mean(1) @ LAST


def written(x: Tensor) -> Tensor:
    """A buffer that is filled step by step."""
    steps = torch.zeros(8, len(x), 8, dtype=x.dtype)
    for step in range(8):
        steps[step] = hidden(x[:, step])
    return (steps.relu() * steps).mean(0) @ LAST


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, activation="relu")
        self.inner = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x.transpose(0, 1))
        return y.mean(0) @ LAST


LAYOUTS: dict[str, Function] = {
    "steps first": lambda x: (hidden(x.transpose(0, 1)) @ LAST).mean(0),
    "steps and rows in one": lambda x: (hidden(x.transpose(0, 1).reshape(-1, 8)) @ LAST).view(8, -1, 3).mean(0),
    "rows and steps in one": lambda x: (hidden(x.reshape(-1, 8)) @ LAST).view(-1, 8, 3).mean(1),
    "rows last": lambda x: (LAST.T @ F.relu(WEIGHT @ x.permute(1, 2, 0))).mean(0).T,
    "soft-max over steps": lambda x: (x.transpose(0, 1).reshape(-1, 8).softmax(-1).relu() @ LAST).view(8, -1, 3).sum(0),
    "einsum": lambda x: torch.einsum("...td,de->e...t", hidden(x), WEIGHT).relu().mean(2).T @ LAST,
    "products of rows": lambda x: torch.einsum("tbi,tbj->bij", *2 * (hidden(x).transpose(0, 1),)).sum(1) @ LAST,
    "one position of each": lambda x: hidden(x)[torch.arange(len(x)), torch.full((len(x),), 2)] @ LAST,
    "last positions": lambda x: hidden(x)[:, [1, 3]].mean(1) @ LAST + hidden(x)[..., [1, 2]].mean((1, 2))[:, None],
    "encoder with steps first": Encoder(),
    "graph": graph,
    "windows": windows,
    "buffer": written,
    "heads": lambda x: (
        hidden(x).unflatten(2, (2, 4)).transpose(1, 2).flatten(0, 1).relu().view(-1, 2, 8, 4).sum((1, 2))
    ),
    "stacked": lambda x: torch.stack([hidden(x), x.relu()]).amax(0).mean(1) @ LAST,
    "repeated": lambda x: hidden(x).repeat_interleave(2, 0).relu().view(-1, 2, 8, 8).mean((1, 2)) @ LAST,
}


@pytest.mark.parametrize("name", LAYOUTS)
@few
@given(chunk=st.integers(2, 12), n=st.integers(1, 9))
def test_each_cell_sums_in_any_layout(name: str, chunk: int, n: int) -> None:
    """Steps, channels and points of a chunk are 8 each at some time: no size tells them apart."""
    model = LAYOUTS[name]
    blocks = cells(lambda x: model(x)[:, 1], draw(1, 2, 8, 8), n, draw(2, 2, 8, 8), chunk)
    assert excess(blocks) < 1


class Dense(nn.Module):
    """Channels grow to any number, points among them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Conv2d(3 + i, 1, 3, padding=1) for i in range(6)])
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        return F.max_pool2d(x, 2).square().mean((1, 2, 3))


@pytest.mark.parametrize("chunk", range(2, 10))
def test_channels_are_no_points(chunk: int) -> None:
    assert excess(cells(Dense(), draw(1, 2, 3, 8, 8), 7, chunk=chunk)) < 1


OPERATIONS: dict[str, Callable[[Tensor], object]] = {
    "transpose": lambda x: x.transpose(0, 2),
    "mT": lambda x: x.mT,
    "reshape": lambda x: x.reshape(-1, x.shape[-1]),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, -1)),
    "chunk": lambda x: x.chunk(2, 1)[1],
    "unbind": lambda x: x.unbind(1)[1],
    "select": lambda x: x[:, 1],
    "slice": lambda x: x[..., None, 1:3],
    "diagonal": lambda x: x.diagonal(dim1=1, dim2=2),
    "windows": lambda x: x.unfold(1, 2, 1),
    "sum": lambda x: x.sum(1),
    "sums": lambda x: x.mean((0, 2), keepdim=True),
    "largest": lambda x: x.amax(-1),
    "cumsum": lambda x: x.cumsum(1),
    "flip": lambda x: x.flip(1, 2),
    "roll": lambda x: x.roll(1, 0),
    "cat": lambda x: torch.cat([x, 2 * x], 1),
    "hstack": lambda x: torch.hstack([x, 2 * x]),
    "stack": lambda x: torch.stack([x, x.sin()], 1),
    "pad": lambda x: F.pad(x, (1, 0, 0, 2)),
    "expand": lambda x: x.unsqueeze(0).expand(3, -1, -1, -1),
    "repeat": lambda x: x.repeat(2, 1, 1),
    "matmul": lambda x: x @ draw(1, x.shape[-1], 3),
    "matmul from the left": lambda x: draw(1, 3, x.shape[-2]) @ x,
    "matmul of both": lambda x: x @ x.mT,
    "linear": lambda x: F.linear(x, draw(1, 3, x.shape[-1])),
    "einsum": lambda x: torch.einsum("ijk,jl->lik", x, draw(1, x.shape[1], 3)),
    "gather": lambda x: x.gather(1, torch.zeros_like(x, dtype=torch.int64)),
    "index_select": lambda x: x.index_select(2, torch.tensor([1, 0])),
    "softmax": lambda x: x.softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "fft": lambda x: torch.fft.rfft(x, dim=1).abs(),
}
ARRANGED: dict[str, Function] = {
    "rows first": lambda x: x.clone(),
    "rows second": lambda x: x.transpose(0, 1),
    "rows last": lambda x: x.permute(1, 2, 0),
    "with another": lambda x: x.flatten(0, 1).unflatten(1, (2, 2)),
    "inside another": lambda x: x.transpose(0, 1).flatten(0, 1).unflatten(1, (2, 2)),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("arranged", ARRANGED)
def test_what_is_said_of_the_points_is_so(name: str, arranged: str) -> None:
    """The ends of all cells are the beginnings of the cells of the same points, moved on by one."""
    points = draw(1, 5, 4, 4)
    both = []
    for part in (points[:-1], points[1:]):
        leaf = part.clone().requires_grad_()
        with KinkMode([leaf], Kinks()):
            result = OPERATIONS[name](ARRANGED[arranged](leaf))
        assert isinstance(result, Tensor)
        both.append(result.detach())
        where = whereabouts(result)
    if isinstance(where, str):
        return
    torch.testing.assert_close(where.ends(both[0])[1], where.ends(both[1])[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("further", [{}, {"num_layers": 2, "bidirectional": True}])
def test_the_points_are_known_in_all_that_recurrent_networks_give(
    kind: type[nn.RNNBase], first: bool, further: dict[str, Any]
) -> None:
    """In each step's output and in the states that are left: four points, steps, units, and layers and directions."""
    torch.manual_seed(0)
    network, points = kind(4, 4, batch_first=first, **further).double(), draw(1, 5, 4, 4)
    both: list[list[Tensor]] = []
    for part in (points[:-1], points[1:]):
        leaf = part.clone().requires_grad_()
        with KinkMode([leaf], Kinks()):
            steps, left = network(leaf if first else leaf.transpose(0, 1))
        both.append([steps, *(left if isinstance(left, tuple) else (left,))])
    for before, after in zip(*both, strict=True):
        where = whereabouts(after)
        assert isinstance(where, Place)
        torch.testing.assert_close(where.ends(before.detach())[1], where.ends(after.detach())[0], rtol=1e-12, atol=0)


def test_most_is_known_of_rows_that_come_first() -> None:
    """Beside the theorem above, which holds of one who says nothing."""
    unknown = set()
    for name, operation in OPERATIONS.items():
        leaf = draw(1, 4, 4, 4).requires_grad_()
        with KinkMode([leaf], Kinks()):
            result = operation(leaf.clone())
        assert isinstance(result, Tensor)
        if isinstance(whereabouts(result), str):
            unknown.add(name)
    assert unknown == {"sums", "roll", "repeat"}


# ------------------------------------------------------------------ where it does not hold


def experts(x: Tensor) -> Tensor:
    """Each row goes to one of three experts: as many rows as choose it."""
    chosen, out = (x @ LAST).argmax(-1), torch.zeros_like(x)
    for i in range(3):
        at = (chosen == i).nonzero()[:, 0]
        out = out.index_add(0, at, F.relu(x[at] @ (WEIGHT + i)))
    return out.sum(1)


def force(x: Tensor) -> Tensor:
    with torch.enable_grad():
        at = x if x.requires_grad else x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.softplus(at @ WEIGHT).sum(), at, create_graph=True)
    return F.relu(gradient).sum(1)


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (experts, "nonzero"),
        (lambda x: hidden(x.flip(0)).flip(0).sum(1), "flip"),
        (lambda x: hidden(x[torch.arange(len(x)).flip(0)]).flip(0).sum(1), "getitem"),
        (lambda x: hidden(x - x.mean(0)).sum(1), "mean"),
        (lambda x: hidden(x.roll(1, 0)).sum(1), "roll"),
        (lambda x: F.relu(x @ x.T).sum(1), "matmul"),
        (force, "gradient"),
        (lambda x: F.relu(torch.func.vmap(torch.func.grad(lambda v: v.sin().sum()))(x)).sum(1), "torch.func"),
    ],
)
def test_it_is_left_with_a_sentence(model: Function, word: str) -> None:
    with pytest.raises(SecantRuleError, match=f"the secant rule does not hold here: .*{word}"):
        cells(model, draw(1, 2, 8), 4)


def test_of_one_row_at_a_time_it_is_left_with_a_sentence() -> None:
    with pytest.raises(SecantRuleError, match="takes one row at a time"):
        cells(lambda x: hidden(x).sum(), draw(1, 1, 8), 4)


@pytest.mark.parametrize("catches", [Exception, RuntimeError])
def test_a_model_does_not_swallow_it(catches: type[Exception]) -> None:
    def model(x: Tensor) -> Tensor:
        try:
            return hidden(x.flip(0)).sum(1)
        except catches:
            return x.sum(1)

    with pytest.raises(SecantRuleError):
        cells(model, draw(1, 2, 8), 4)


# ------------------------------------------------------------------ the sum of each cell


@few
@given(
    seeds, st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]), st.sampled_from([1, 7, 40])
)
def test_no_healthy_network_is_accused(seed: int, dtype: torch.dtype, n: int) -> None:
    torch.manual_seed(seed)
    inner = [nn.Linear(12, 12), nn.Tanh(), nn.LayerNorm(12), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.GELU()]
    model = nn.Sequential(nn.Linear(8, 12), *inner, nn.Linear(12, 1), nn.Flatten(0)).eval().to(dtype)
    x, b = draw(seed, 2, 8).to(dtype), draw(seed + 1, 2, 8).to(dtype)
    assert excess(cells(model, x, n, b)) < 0.5


@few
@given(seeds)
def test_defects_are_what_attributions_miss(seed: int) -> None:
    """A jump is attributed to nothing: it is the defect of the cell in which it lies, and of no other."""
    at = float(draw(seed, 1).abs()) + 0.1
    sampler = make_samples(
        lambda x: F.threshold(x, at, 0.0).sum(1), torch.tensor([[2 * at]]).double(), chunk_size=50
    ).sampler
    edges = torch.linspace(0, 1, 8, dtype=torch.float64)
    lows, highs = edges[:-1], edges[1:]
    (block,) = sampler.sample_cells(torch.zeros(7, dtype=torch.int64), (lows + highs) / 2, lows, highs)
    assert isinstance(block, CellBlock)
    torch.testing.assert_close(block.defects, torch.tensor([0, 0, 0, -2 * at * 4 / 7, 0, 0, 0]).double())
    assert sampler.fallbacks == {"threshold"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda x: F.threshold(x, 0.3, -1.0), "threshold"),
        (lambda x: F.hardshrink(x), "hardshrink"),
        (lambda x: x.round() * x, "round"),
        (lambda x: x.floor() + x, "floor"),
        (lambda x: (x > 0).double() * (x + 1), "gt"),
        (lambda x: F.one_hot((x > 0).long(), 2).double() @ torch.ones(2).double().cumsum(0) + x, "gt"),
        (lambda x: torch.where(x > 0, x + 1, x), "where"),
    ],
)
def test_jumps_are_named_and_missed(model: Function, name: str) -> None:
    x = draw(5, 2, 8)
    sampler = make_samples(lambda v: model(v).sum(1), x, chunk_size=50).sampler
    blocks = list(
        sampler.sample_cells(
            torch.zeros(1, dtype=torch.int64), *torch.tensor([[0.5], [0.0], [1.0]], dtype=torch.float64)
        )
    )
    assert sampler.fallbacks == {name}
    assert excess(blocks) > 1e6


FLAT: dict[str, tuple[Function, Function]] = {
    "as they come": (lambda x: x, lambda y: y),
    "steps first": (lambda x: x.transpose(0, 1), lambda y: y.transpose(0, 1)),
    "rows and steps in one": (lambda x: x.reshape(-1, 6), lambda y: y.view(-1, 3, 6)),
    "steps and rows in one": (
        lambda x: x.transpose(0, 1).reshape(-1, 6),
        lambda y: y.view(3, -1, 6).transpose(0, 1),
    ),
}


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("chunk", [3, 20])
def test_one_step_that_passes_over_many_scales_is_noted(name: str, step: int, chunk: int) -> None:
    """Of three steps of each point one is so large that an activation levels off within a small part of a cell."""
    there, back = FLAT[name]
    x = draw(1, 2, 3, 6)
    x[:, step] *= 1e5
    noted = [block.scales for block in cells(lambda v: back(there(v).tanh()).sum((1, 2)), x, 4, chunk=chunk)]
    assert any(noted)
    even = [block.scales for block in cells(lambda v: back(there(v).tanh()).sum((1, 2)), draw(1, 2, 3, 6), 4)]
    assert not any(even)


# ------------------------------------------------------------------ what runs elsewhere


@pytest.mark.parametrize("frozen", [False, True])
def test_checkpoints_change_nothing(frozen: bool) -> None:
    model = ConvScores((3,)).requires_grad_(not frozen)
    plain = cells(lambda x: F.relu(model(x))[:, 1], draw(1, 2, 3, 6, 6), 5)
    kept = cells(lambda x: F.relu(checkpoint(model, x, use_reentrant=False))[:, 1], draw(1, 2, 3, 6, 6), 5)
    for one, other in zip(plain, kept, strict=True):
        torch.testing.assert_close(one.gradients, other.gradients, rtol=0, atol=0)
    assert excess(kept) < 1


@pytest.mark.parametrize("frozen", [False, True])
def test_checkpoints_change_nothing_at_points(frozen: bool) -> None:
    model = ConvScores((3,)).requires_grad_(not frozen)
    alphas, examples = torch.tensor([0.2, 0.9], dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    functions = (lambda x: model(x)[:, 1], lambda x: checkpoint(model, x, use_reentrant=False)[:, 1])
    blocks = [
        next(make_samples(f, draw(1, 1, 3, 6, 6), chunk_size=2).sampler.sample(examples, alphas)) for f in functions
    ]
    torch.testing.assert_close(blocks[0].gradients, blocks[1].gradients, rtol=0, atol=0)
