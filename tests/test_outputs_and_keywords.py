"""`forward_kwargs` and `output` of every function that explains: the numbers are those of a lambda around the model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from tests.engine.subjects import draw

X, SHIFT = draw(1, 2, 3, 4, 4), draw(2, 2, 3, 4, 4)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(48, 6).double(), nn.Linear(6, 3).double()
        for i, p in enumerate(self.parameters()):
            p.data = draw(10 + i, *p.shape) / p[0].numel() ** 0.5

    def forward(self, x: Tensor, *, shift: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
        hidden = torch.relu(self.inner((x + shift).flatten(1)) * scale)
        return {"hidden": hidden, "scores": self.outer(hidden)}


MODEL = Model()
KEYWORDS: dict[str, Any] = {"forward_kwargs": {"shift": SHIFT, "scale": 0.5}, "output": "scores"}
POSITIONAL: dict[str, Any] = {"additional_forward_args": SHIFT}


def plain(x: Tensor, shift: Tensor) -> Tensor:
    return MODEL(x, shift=shift, scale=0.5)["scores"]


def numbers(value: object) -> list[Tensor]:
    """All tensors and numbers of a result but the time that it took."""
    if isinstance(value, Tensor):
        return [value.double()]
    if isinstance(value, float):
        return [torch.tensor(value, dtype=torch.float64)]
    if isinstance(value, tuple | list):
        return [n for member in value for n in numbers(member)]
    if hasattr(value, "__dataclass_fields__"):
        names = [n for n in value.__dataclass_fields__ if n not in ("elapsed", "path", "reason", "caveats")]
        return [n for name in names for n in numbers(getattr(value, name))]
    return []


R, FAITH = igw.relatives, igw.faithfulness
MAPS = draw(3, 2, 3, 4, 4)
ASKED: dict[str, Callable[..., Any]] = {
    "attribute": lambda f, **o: igw.attribute(f, X, target=1, n_steps=4, **o),
    "refine": lambda f, **o: list(igw.refine(f, X, target=1, n_steps=4, **o))[-1],
    "gradient": lambda f, **o: R.gradient(f, X, target=1, **o),
    "input_x_gradient": lambda f, **o: R.input_x_gradient(f, X, target=1, **o),
    "smoothgrad": lambda f, **o: R.smoothgrad(f, X, target=1, n_samples=3, **o),
    "smoothgrad_squared": lambda f, **o: R.smoothgrad_squared(f, X, target=1, n_samples=3, **o),
    "vargrad": lambda f, **o: R.vargrad(f, X, target=1, n_samples=3, **o),
    "smooth_integrated_gradients": lambda f, **o: R.smooth_integrated_gradients(
        f, X, target=1, n_samples=2, n_steps=3, **o
    ),
    "deeplift": lambda f, **o: R.deeplift(f, X, target=1, **o),
    "gradient_shap": lambda f, **o: R.gradient_shap(f, X, target=1, baselines=X * 0, n_samples=3, **o),
    "expected_gradients": lambda f, **o: R.expected_gradients(f, X, target=1, baselines=X * 0, n_samples=3, **o),
    "blur_integrated_gradients": lambda f, **o: R.blur_integrated_gradients(f, X, target=1, n_steps=3, **o),
    "guided_integrated_gradients": lambda f, **o: R.guided_integrated_gradients(f, X, target=1, n_steps=3, **o),
    "idgi": lambda f, **o: R.idgi(f, X, target=1, n_steps=3, **o),
    "over_baselines": lambda f, **o: R.over_baselines(f, X, target=1, baselines={"a": 0.0, "b": 0.5}, n_steps=3, **o),
    "piecewise_linear": lambda f, **o: igw.exact.piecewise_linear(f, X, target=1, **o),
    "infidelity": lambda f, **o: FAITH.infidelity(f, X, MAPS, target=1, n_perturb_samples=3, **o),
    "sensitivity_max": lambda f, **o: FAITH.sensitivity_max(f, X, target=1, n_perturb_samples=2, **o),
    "deletion": lambda f, **o: FAITH.deletion(f, X, MAPS, target=1, n_steps=2, n_random=2, **o),
    "insertion": lambda f, **o: FAITH.insertion(f, X, MAPS, target=1, n_steps=2, n_random=2, **o),
    "input_shift": lambda f, **o: FAITH.input_shift(f, X, 0.5, target=1, **o),
    "audit_region": lambda f, **o: FAITH.audit_region(
        f, X[:1], (0, 0, 2, 2), target=1, **{k: _first(v) for k, v in o.items()}
    ),
    "boundary": lambda f, **o: igw.baselines.boundary(f, **o).find(X),
    "crosscheck": lambda f, **o: igw.compat.captum.crosscheck(
        f, X, target=1, n_steps=4, methods=("riemann_middle",), **o
    ),
}


def _first(value: Any) -> Any:
    """Of the first example alone."""
    if isinstance(value, Tensor):
        return value[:1]
    return {k: _first(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ASKED)
def test_as_with_a_lambda(name: str) -> None:
    ours, theirs = (numbers(ASKED[name](f, **o)) for f, o in ((MODEL, KEYWORDS), (plain, POSITIONAL)))
    assert ours
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_none_is_forgotten() -> None:
    for module in (R, FAITH):
        for name in dir(module):
            function = getattr(module, name)
            if inspect.isfunction(function) and "additional_forward_args" in inspect.signature(function).parameters:
                assert {"forward_kwargs", "output"} <= set(inspect.signature(function).parameters), name
                assert name in ASKED or name in ("xrai", "randomize_model", "audit_regions"), name
