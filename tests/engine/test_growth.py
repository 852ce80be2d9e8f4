"""What many calls leave in memory: nothing that grows."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import psutil
import pytest
from torch import Tensor, nn

from ig_widgets import relatives
from ig_widgets.compat.captum import IntegratedGradients
from ig_widgets.engine.attribution import attribute
from tests.engine.subjects import draw

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")


def network(i: int) -> nn.Module:
    """Another one for each number, of a few kinds."""
    kinds: list[Callable[[], nn.Module]] = [
        nn.ReLU,
        nn.Tanh,
        nn.GELU,
        lambda: nn.BatchNorm1d(8),
        lambda: nn.LayerNorm(8),
    ]
    return nn.Sequential(nn.Linear(6, 8), kinds[i % len(kinds)](), nn.ReLU(), nn.Linear(8, 2 + i % 3)).double().eval()


WAYS: list[Callable[[nn.Module, Tensor], object]] = [
    lambda f, x: attribute(f, x, target=0, method="riemann_middle", n_steps=8),
    lambda f, x: attribute(f, x, target=0, method="secant", n_steps=6),
    lambda f, x: attribute(f, x, target=0, tol=0.3, max_evaluations=64),
    lambda f, x: attribute(f, x, target=0, layer=f[0], n_steps=5, method="gausslegendre"),  # type: ignore[index]
    lambda f, x: relatives.smoothgrad(f, x, target=0, n_samples=5),
    lambda f, x: IntegratedGradients(f).attribute(x, target=0, n_steps=5),
]


@pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning")
def test_models_results_and_what_is_known_of_them_are_let_go() -> None:
    held = []
    for i in range(12):
        model = network(i)
        result = WAYS[i % len(WAYS)](model, draw(i, 2, 6))
        held += [weakref.ref(model), weakref.ref(result)]
        held += [weakref.ref(module) for module in model.modules()]
        del model, result
    gc.collect()
    assert not any(ref() is not None for ref in held)


@pytest.mark.robustness
@pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning")
def test_a_thousand_calls_take_no_more_memory_than_a_hundred(figure: Callable[..., None]) -> None:
    process = psutil.Process()
    for i in range(1000):
        if i == 100:
            gc.collect()
            before = process.memory_info().rss
        WAYS[i % len(WAYS)](network(i), draw(i, 1 + i % 4, 6))
    gc.collect()
    grown = (process.memory_info().rss - before) / 2**20
    figure("what 900 calls of varied models have added to memory", grown, " MB", at_most=20)
    assert grown < 60
