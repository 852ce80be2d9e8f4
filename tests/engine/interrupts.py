"""KeyboardInterrupt at any line of a run, and what is left of it afterwards."""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame
from torch.nn import functional as F
from torch.utils.checkpoint import CheckpointFunction

import ig_widgets
from ig_widgets import baselines, faithfulness, relatives
from ig_widgets.compat.captum import IntegratedGradients, LayerIntegratedGradients
from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.model_locks import lock_of
from tests.engine.subjects import draw

# Lines of the package, of torch, and of what both enter and leave by.
TRACED = (*(str(Path(file).parent) for file in (ig_widgets.__file__, torch.__file__)), contextlib.__file__)


class Restless(nn.Module):
    """Writes to its buffers in each pass, in place and by new ones, and draws a number that counts for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(12, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(1))
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = x.detach().sum()[None]
        nothing = 0 * torch.rand(1, dtype=x.dtype)
        return self.linear((F.relu(self.norm(self.conv(x))) + nothing).flatten(1))


class Sentences(nn.Module):
    """Scores of token ids, by an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.linear = nn.Embedding(9, 4), nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))
        self.double().eval()

    def forward(self, ids: Tensor) -> Tensor:
        self.calls += 1
        return self.linear(F.relu(self.embedding(ids)).mean(1)).tanh()


def _one_step(model: Any, x: Tensor) -> Tensor:
    return attribute(model, x, target=1, method="riemann_middle", n_steps=1).attributions


X, B = draw(50, 1, 1, 4, 4), draw(51, 1, 1, 4, 4)
IDS = torch.tensor([[1, 2, 3]])
Way = Callable[[Any], Any]
WAYS: dict[str, Way] = {
    "points": lambda f: attribute(f, X, target=1, method="riemann_middle", n_steps=4, chunk_size=2),
    "preview": lambda f: attribute(
        lambda at: f(at.double()), X.float(), target=1, method="gausslegendre", n_steps=3, precision="preview"
    ),
    "secant": lambda f: attribute(f, X, target=1, method="secant", n_steps=5, chunk_size=3),
    "to a tolerance": lambda f: attribute(f, X, target=1, tol=0.2, max_evaluations=12),
    "refined": lambda f: list(refine(f, X, target=1, method="gausslegendre", n_steps=4, chunk_size=2)),
    "layer": lambda f: attribute(f, X, target=1, layer=f.norm, method="riemann_middle", n_steps=3),
    "smoothgrad": lambda f: relatives.smoothgrad(f, X, target=1, n_samples=3),
    "guided": lambda f: relatives.guided_integrated_gradients(f, X, target=1, n_knots=4, n_steps=3),
    "expected gradients": lambda f: relatives.expected_gradients(f, X, target=1, baselines=B, n_samples=3),
    "boundary": lambda f: baselines.boundary(f)(X),
    "drop-in": lambda f: IntegratedGradients(f).attribute(X, target=1, n_steps=3, return_convergence_delta=True),
    "drop-in of a layer": lambda f: LayerIntegratedGradients(f, f.norm).attribute(X, target=1, n_steps=3),
    "deletion": lambda f: faithfulness.deletion(f, X, draw(9, 1, 1, 4, 4), target=1, n_steps=4),
    "infidelity": lambda f: faithfulness.infidelity(f, X, draw(9, 1, 1, 4, 4), target=1, n_perturb_samples=3),
    "randomised": lambda f: faithfulness.randomize_model(f, X, _one_step, layers=["linear"]),
}  # fmt: skip
IN_TOKENS: dict[str, Way] = {
    "layer of tokens": lambda f: attribute(f, IDS, target=1, layer=f.embedding, n_steps=3),
    "drop-in of tokens": lambda f: LayerIntegratedGradients(f, f.embedding).attribute(IDS, target=1, n_steps=3),
}


def state(model: nn.Module) -> dict[str, Any]:
    """All that a run may not change, as it is now."""
    found: dict[str, Any] = {
        "random state": torch.get_rng_state().numpy().tobytes(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "functions": torch._C._is_torch_function_enabled(),
        "hooks on saved tensors": torch._C._autograd._top_saved_tensors_default_hooks(True),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()),
        "default": (torch.get_default_dtype(), torch.get_default_device()),
        "cudnn": torch.backends.cudnn.enabled,
        "checkpoints": vars(CheckpointFunction).get("apply"),
        "stance of the compiler": eval_frame._stance.stance,
        "warnings": list(warnings.filters),
        "numpy": [v.tobytes() if isinstance(v, np.ndarray) else v for v in np.random.get_state()],  # noqa: NPY002
        "trained": torch.ones(1, requires_grad=True).mul(2).requires_grad,
    }  # fmt: skip
    for name, module in model.named_modules():
        found[f"{name} training"] = module.training
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
                      "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs"):  # fmt: skip
            found[f"{name}{hooks}"] = list(getattr(module, hooks))
        for buffer in module._buffers:
            value = module._buffers[buffer]
            found[f"{name}.{buffer}"] = (id(value), None if value is None else value.tolist())
        for parameter, value in module._parameters.items():
            found[f"{name}.{parameter}"] = (id(value), value.tolist(), value.requires_grad, value.grad)  # type: ignore[union-attr]
    lock = lock_of(model)
    found["lock"] = lock._is_owned()  # type: ignore[attr-defined]
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of what is otherwise."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


class Tracer:
    """Counts lines, or with `returns` the returns of functions written in C, and raises at one of them.

    A function written in C has done its work when it returns, and no line has noted it yet.
    """

    def __init__(self, at: int | None = None, *, returns: bool = False, under: tuple[str, ...] = TRACED) -> None:
        self.count = 0
        self._under = under
        self.where = ""
        self._at = at
        self._get, self._set = (sys.getprofile, sys.setprofile) if returns else (sys.gettrace, sys.settrace)
        self._callback = self._returned if returns else self

    def run(self, act: Callable[[], object]) -> None:
        """Run it; an interrupt is let through."""
        before = self._get()
        self._set(self._callback)  # type: ignore[arg-type]
        try:
            act()
        finally:
            self._set(before)

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Any:
        return self._local if frame.f_code.co_filename.startswith(self._under) else None

    def _local(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "line":
            self._counted(frame)
        return self._local

    def _returned(self, frame: FrameType, event: str, _arg: object) -> None:
        if event == "c_return" and frame.f_code.co_filename.startswith(self._under):
            self._counted(frame)

    def _counted(self, frame: FrameType) -> None:
        self.count += 1
        if self.count == self._at:
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
            raise KeyboardInterrupt


def traced(way: Way, model: nn.Module, **options: Any) -> Tracer:
    """Run it, and count its lines, or what returns."""
    tracer = Tracer(**options)
    tracer.run(lambda: way(model))
    return tracer


def interrupted(way: Way, model: nn.Module, at: int, **options: Any) -> tuple[str, list[str]]:
    """Where a run was interrupted, nowhere if it ended before, and what it left otherwise than it was."""
    before = state(model)
    tracer = Tracer(at, **options)
    damage: list[str] = []
    try:
        tracer.run(lambda: way(model))
    except KeyboardInterrupt:
        # While the traceback still holds all frames; what is mended when they go comes too late.
        damage = differences(before, state(model))
    return tracer.where, list(dict.fromkeys([*damage, *differences(before, state(model))]))


def many(
    count: int, seed: int, ways: dict[str, tuple[Way, Callable[[], nn.Module]]], *, returns: bool = False
) -> list[tuple[str, str, list[str]]]:
    """`count` interrupts at places drawn from all ways alike: of each the way, the place and the damage."""
    draws = random.Random(seed)
    found = []
    lines = {}
    for name, (way, make) in ways.items():
        traced(way, make())  # what is made once is made
        lines[name] = traced(way, make(), returns=returns).count
    models = {name: make() for name, (_, make) in ways.items()}
    names = list(ways)
    for i in range(count):
        name = names[i % len(names)]
        where, damage = interrupted(ways[name][0], models[name], draws.randint(1, lines[name]), returns=returns)
        found.append((name, where, damage))
        if damage:
            undo()
            models[name] = ways[name][1]()
    return found


def undo() -> None:
    """What was left behind, for the next."""
    while torch._C._len_torch_function_stack():
        torch._C._pop_torch_function_stack()
    while torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        torch._C._autograd._pop_saved_tensors_default_hooks()
    torch._C.DisableTorchFunction().__exit__(None, None, None)
    torch.set_grad_enabled(True)
    torch.set_autocast_enabled("cpu", False)
    torch.set_autocast_cache_enabled(True)


ALL: dict[str, tuple[Way, Callable[[], nn.Module]]] = {
    **{name: (way, Restless) for name, way in WAYS.items()},
    **{name: (way, Sentences) for name, way in IN_TOKENS.items()},
}
