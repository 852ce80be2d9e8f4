"""What `torch.compile` has made of a module is explained as the module is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import ig_widgets as igw


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.GELU(), nn.Linear(12, 3)).double().eval()
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return model


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks at it, as it traces
@pytest.mark.parametrize(
    "options",
    [
        {"method": "riemann_middle", "n_steps": 20},
        {"method": "secant", "n_steps": 20},
        {"method": "auto", "tol": 0.01},
        {"method": "riemann_middle", "n_steps": 20, "layer": 1},
        {"method": "secant", "n_steps": 20, "layer": 1},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_as_the_module_itself(options: dict[str, Any]) -> None:
    model = network()
    x = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    if "layer" in options:
        options = options | {"layer": model[options["layer"]]}
    # The tracing is what has to go well; a compiler behind it takes a minute, and is not ours.
    compiled = torch.compile(model, backend="eager", dynamic=True)
    plain, found = (igw.attribute(function, x, target=1, **options) for function in (model, compiled))
    torch.testing.assert_close(found.attributions, plain.attributions, rtol=1e-10, atol=1e-12)
    assert (found.method, found.evaluations, found.fallbacks) == (plain.method, plain.evaluations, plain.fallbacks)
