"""What cannot be explained, or not so: each is answered in words, by an error of the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Refused = dict[str, Callable[[], dict[str, Any]]]
REFUSED: Refused = {}


def refused(maker: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Registers what gives the arguments of `attribute`."""
    REFUSED[maker.__name__] = maker
    return maker


def given(forward: Callable[..., Any], inputs: Any = None, **more: Any) -> dict[str, Any]:
    return {"forward_func": forward, "inputs": torch.rand(1, 6) if inputs is None else inputs, **more}


@refused
def detached_output() -> dict[str, Any]:
    return given(lambda x: x.detach().sum(1))


@refused
def hard_decision() -> dict[str, Any]:
    return given(lambda x: x.argmax(1))


@refused
def comparison_as_output() -> dict[str, Any]:
    return given(lambda x: (x.sum(1) > 1).float())


@refused
def token_ids() -> dict[str, Any]:
    table = nn.Embedding(9, 4)
    return given(lambda ids: table(ids).sum((1, 2)), torch.randint(0, 9, (1, 5)))


@refused
def dropout_in_training() -> dict[str, Any]:
    return given(nn.Sequential(nn.Linear(6, 6), nn.Dropout(), nn.Linear(6, 1)).train(), target=0)


@refused
def batch_norm_in_training() -> dict[str, Any]:
    return given(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 1)).train(), target=0)


@refused
def logarithm_of_the_negative() -> dict[str, Any]:
    return given(lambda x: torch.log(x.sum(1) - 1), torch.ones(1, 6))


@refused
def root_at_a_zero_within() -> dict[str, Any]:
    """0 / 0 at every point of the path: two features that are always equal."""
    return given(lambda x: (x[:, 0] - x[:, 1]) / (x[:, 0] - x[:, 1]), torch.ones(1, 2))


@refused
def output_of_the_whole_batch() -> dict[str, Any]:
    return given(lambda x: x.square().sum(), torch.rand(3, 6))


@refused
def unreduced_output() -> dict[str, Any]:
    return given(lambda x: x.square())


@refused
def plain_number() -> dict[str, Any]:
    return given(lambda x: float(x.sum()))


@refused
def target_out_of_range() -> dict[str, Any]:
    return given(nn.Linear(6, 3), target=3)


@refused
def parameters_only() -> dict[str, Any]:
    weight = nn.Parameter(torch.ones(6))
    return given(lambda x: weight.sum().expand(len(x)))


@refused
def numpy_inside() -> dict[str, Any]:
    return given(lambda x: torch.from_numpy(x.detach().numpy() ** 2).sum(1))


@refused
def no_rows() -> dict[str, Any]:
    return given(nn.Linear(6, 3), torch.zeros(0, 6), target=0)


@refused
def infinite_input() -> dict[str, Any]:
    return given(nn.Linear(6, 3), torch.full((1, 6), torch.inf), target=0)


@refused
def complex_input() -> dict[str, Any]:
    return given(lambda x: x.abs().sum(1), torch.randn(1, 6, dtype=torch.complex64))


# ---------------------------------------------------------------- rows that are not apart


def centred_by_the_batch(x: Tensor) -> Tensor:
    return (x - x.mean(0)).square().sum(1)


def softmax_over_the_batch(x: Tensor) -> Tensor:
    return F.softmax(3 * x, 0).square().sum(1)


def noise(x: Tensor) -> Tensor:
    return (torch.tanh(x) + 0.3 * torch.randn_like(x) * x).sum(1)


UNSETTLED = {one.__name__: one for one in (centred_by_the_batch, softmax_over_the_batch, noise)}
