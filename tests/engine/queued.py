"""A stand-in for a device whose work is queued: tensors that lie on "queue", and a count of who waits for it.

It takes torch's one place for a device of one's own, for the whole process: run as a script, which prints what its
scenarios counted, as JSON.
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from ig_widgets.engine import rules, transfers
from ig_widgets.engine.attribution import attribute
from ig_widgets.engine.cell_samples import CellSamples
from ig_widgets.engine.sample_setup import make_samples

_setup_privateuseone_for_python_backend("queue")
QUEUE, CPU = torch.device("queue:0"), torch.device("cpu")
# Who waits for the stand-in ("wait: ..."), and what is "sent" and "fetched" without.
COUNT: Counter[str] = Counter()
# Operations that end in a number, or in a tensor whose size depends on values.
_READ = frozenset(["_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique_dim", "_unique2"])


class Queued(Tensor):
    """A tensor that lies on the stand-in; its values are those of `values`, on the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> Queued:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls, values.size(), values.stride(), values.storage_offset(), dtype=values.dtype, device=QUEUE
        )

    def __init__(self, values: Tensor) -> None:
        self.values_there = values

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Queued{tuple(self.shape)}"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _done(func, args, kwargs or {})


def _there(device: Any) -> bool:
    return device is not None and torch.device(device).type == "queue"


def _done(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name.partition("::")[2]
    tensors = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    queued = [t for t in tensors if isinstance(t, Queued)]
    goes = bool(queued) or _there(kwargs.get("device"))
    if name in ("_to_copy", "copy_"):
        source, is_there = args[1 if name == "copy_" else 0], isinstance(args[0], Queued)
        goes = is_there if name == "copy_" or kwargs.get("device") is None else _there(kwargs["device"])
        if isinstance(source, Queued) != goes:
            freely = kwargs.get("non_blocking") or (name == "copy_" and any(args[2:]))
            COUNT[("sent" if goes else "fetched") if freely else f"wait: {name}"] += 1
    elif queued and name in _READ:
        COUNT[f"wait: {name}"] += 1
    elif queued:
        # Masks are turned into places, and their number is waited for; what lies on the CPU is sent, and waited for.
        index = [t for t in pytree.tree_leaves(args[1]) if isinstance(t, Tensor)] if name.startswith("index") else []
        COUNT["wait: mask"] += sum(t.dtype == torch.bool for t in index)
        COUNT["wait: elsewhere"] += sum(t.dim() > 0 and not isinstance(t, Queued) for t in tensors)
    given = {id(t.values_there): t for t in queued}
    plain_args, plain = pytree.tree_map(lambda t: t.values_there if isinstance(t, Queued) else t, (args, kwargs))
    if plain.get("device") is not None:
        plain["device"] = CPU
    result = func(*plain_args, **plain)
    if name == "copy_":
        return args[0]
    if not goes:
        return result
    return pytree.tree_map(
        lambda t: given[id(t)] if id(t) in given else Queued(t) if isinstance(t, Tensor) else t, result
    )


class Factories(TorchDispatchMode):
    """What is made on the stand-in, inside, lies there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _there(kwargs.get("device")):
            return _done(func, args, kwargs)
        return func(*args, **kwargs)


class Clock:
    """When work that was queued is done: as it is looked for the `late`th time.

    `launched` chunks so far, `open` ones not done, at `most` so many at once. `cancel` is set by the tenth look.
    """

    def __init__(self, late: float = 2, cancel: threading.Event | None = None) -> None:
        self.late, self.cancel = late, cancel
        self.launched = self.open = self.most = self.looks = 0

    def mark(self, device: torch.device) -> transfers.Mark:
        """As `transfers._mark`."""
        left = [self.late]
        self.launched, self.open = self.launched + 1, self.open + 1
        self.most = max(self.most, self.open)

        def is_done() -> bool:
            left[0] -= 1
            self.open -= left[0] == 0
            self.looks += 1
            if self.cancel is not None and self.looks == 10:
                self.cancel.set()
            return left[0] <= 0

        return is_done


@contextmanager
def queueing(clock: Clock) -> Iterator[None]:
    """The stand-in counts as a device whose work is queued, and it is counted anew who waits for it."""
    transfers._QUEUED = frozenset(("cuda", "queue"))
    transfers._mark = clock.mark  # type: ignore[assignment]
    transfers._pinned = lambda values: values.clone()  # type: ignore[assignment]
    with Factories():
        COUNT.clear()
        yield


# ---------------------------------------------------------------- scenarios

CHANCE = torch.Generator().manual_seed(0)
FIRST, SECOND, X = (torch.randn(*shape, generator=CHANCE) for shape in ((6, 16), (16, 3), (2, 6)))
SCALE = torch.rand(2, 1, generator=CHANCE)


def network(activation: Callable[[Tensor], Tensor], device: torch.device) -> Callable[..., Tensor]:
    first, second = FIRST.to(device), SECOND.to(device)
    return lambda x, scale: activation((x * scale) @ first) @ second


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "clamp": lambda x: x.clamp(-1, 1),
    "attention": lambda x: F.gelu(F.layer_norm(x + 1.0, (16,)).softmax(1) * 8.0),
}


def found(kind: str, device: torch.device, **options: Any) -> Any:
    x, scale = X.to(device), SCALE.to(device)
    return attribute(network(KINDS[kind], device), x, target=[0, 2], additional_forward_args=scale, **options)


def counted(kind: str, **options: Any) -> dict[str, Any]:
    """Who waited, how many chunks there were, and how far the map is from that on the CPU."""
    expected = found(kind, CPU, **options)
    clock = Clock()
    with queueing(clock):
        result = found(kind, QUEUE, **options)
        counts = dict(COUNT)
        off = (result.attributions.cpu() - expected.attributions).abs().max()
    assert result.method == expected.method
    waits = sum(number for name, number in counts.items() if name.startswith("wait"))
    size = expected.attributions.abs().max()
    return {"waits": waits, "counts": counts, "chunks": clock.launched, "off": float(off / size)}


def samples_of(chunk_size: int) -> Any:
    return make_samples(lambda x: torch.tanh(x).sum(1), X.to(QUEUE), chunk_size=chunk_size)


ALPHAS = torch.linspace(0, 1, 64, dtype=torch.float64).numpy()


def under_way() -> dict[str, Any]:
    """How many chunks are under way at once; and when the first of a run comes for which somebody waits."""
    with queueing(Clock()):
        samples, awaited = samples_of(4), samples_of(4)
        plain, first = Clock(), Clock()
        transfers._mark = plain.mark  # type: ignore[assignment]
        progress = [plain.launched for _ in samples.extend(ALPHAS)]
        transfers._mark = first.mark  # type: ignore[assignment]
        next(iter(awaited.extend(ALPHAS, first=2)))
    return {"most": plain.most, "at each": progress, "before the first": first.launched}


def cancelled(methods: Sequence[str]) -> dict[str, Any]:
    """A device that is never done: what had been launched when a run that is cancelled ends."""
    launched = {}
    for method in methods:
        with queueing(Clock()):
            samples = samples_of(4)
            cancel = threading.Event()
            if method == "secant":
                nodes = rules.nodes(method, 64)
                samples = CellSamples(samples.sampler, samples.path, nodes, like=samples)
            clock = Clock(math.inf, cancel)
            transfers._mark = clock.mark  # type: ignore[assignment]
            alphas = rules.nodes(method, 64).alphas
            assert not list(samples.extend(alphas, cancel=cancel))
            launched[method] = clock.launched
    return launched


# A method, what the network is made of, and further options.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "gausslegendre": ("tanh", {"method": "gausslegendre", "n_steps": 64}),
    "riemann_trapezoid": ("attention", {"method": "riemann_trapezoid", "n_steps": 16}),
    "secant, clamp": ("clamp", {"method": "secant", "n_steps": 32}),
    "secant, attention": ("attention", {"method": "secant", "n_steps": 32}),
    "auto, smooth": ("attention", {"tol": 0.05}),
    "auto, kinks": ("relu", {"tol": 0.01}),
}


def main() -> None:
    figures: dict[str, Any] = {
        name: {size: counted(kind, chunk_size=size, **options) for size in (4, 32)}
        for name, (kind, options) in RUNS.items()
    }
    print(json.dumps({"runs": figures, "under way": under_way(), "cancelled": cancelled(["gausslegendre", "secant"])}))


if __name__ == "__main__":
    main()
