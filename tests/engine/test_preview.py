"""precision="preview": nearly the same map from bfloat16 gradients, F in full, and the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw


def network(width: int = 48) -> nn.Module:
    generator = torch.Generator().manual_seed(11)
    model = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 4))
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5
    return model.eval()


X = torch.randn(3, 16, generator=torch.Generator().manual_seed(12))


@pytest.mark.parametrize("options", [{"method": "riemann_middle", "n_steps": 32}, {"tol": 0.05}, {"n_steps": 12}])
def test_close_to_the_full_one_with_f_exact(options: dict[str, Any]) -> None:
    model = network()
    preview = igw.attribute(model, X, target=2, precision="preview", **options)
    full = igw.attribute(model, X, target=2, **(options if "tol" not in options else {"tol": 0.005}))
    error = (preview.attributions - full.attributions).norm() / full.attributions.norm()
    assert 0 < float(error) < 0.03
    torch.testing.assert_close(preview.output, full.output)
    torch.testing.assert_close(preview.baseline_output, full.baseline_output)
    assert preview.attributions.dtype == X.dtype


def test_the_layers_work_in_bfloat16_and_later_calls_do_not() -> None:
    model, seen = network(), list[torch.dtype]()

    def look(_module: nn.Module, _given: object, out: Tensor) -> None:
        if out.requires_grad:
            seen.append(out.dtype)

    handle = model[0].register_forward_hook(look)
    igw.attribute(model, X, target=2, n_steps=4, method="riemann_middle", precision="preview")
    assert set(seen) == {torch.bfloat16}
    seen.clear()
    igw.attribute(model, X, target=2, n_steps=4, method="riemann_middle")
    handle.remove()
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "precision must be 'full' or 'preview', got 'half'"),
        ({"precision": "preview", "method": "secant"}, "too few digits for the secant rule"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(igw.IGError, match=message):
        igw.attribute(network(), X, target=2, **options)
