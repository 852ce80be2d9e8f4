"""Records what a pass does to buffers and random state, apart from what other threads do at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from weakref import ref

import torch
from torch import _C, Tensor
from torch._ops import OpOverload
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

_T = TypeVar("_T")
# They write to running statistics, and their schemas do not say so; the argument is whether they do.
_NORMS = {"native_batch_norm": 5, "cudnn_batch_norm": 5, "miopen_batch_norm": 5}


class Generators:
    """The random state of the CPU and of `device`, from which models draw."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None

    def get(self) -> list[Tensor]:
        """The states."""
        states = [torch.get_rng_state()]
        return states if self._cuda is None else [*states, torch.cuda.get_rng_state(self._cuda)]

    def set(self, states: list[Tensor]) -> None:
        """Only where they are others: the setting of a state forgets what was drawn ahead."""
        cpu, *cuda = states
        if not torch.equal(cpu, torch.get_rng_state()):
            torch.default_generator.set_state(cpu)
        for state in cuda:
            torch.cuda.set_rng_state(state, self._cuda or "cuda")


class Watched:
    """A buffer as it is to be again: the tensor, and, with `copies`, a copy of its values.

    Where torch has counted another write than the pass's own, somebody else has written.
    """

    def __init__(self, buffer: Tensor, *, copies: bool) -> None:
        self.buffer = buffer
        self.copy = buffer.detach().clone() if copies else None
        self.note()

    def note(self) -> None:
        """That it is as the pass knows it."""
        self._version = version_of(self.buffer)

    def is_theirs(self) -> bool:
        """Whether somebody else has written to it since."""
        return version_of(self.buffer) != self._version

    def is_changed(self) -> bool:
        """Whether it holds other values than it did; by torch's count where there is no copy, or to look is dear."""
        buffer, copy = self.buffer, self.copy
        if copy is None or buffer.device.type != "cpu":
            return self.is_theirs()
        return not (torch.equal(buffer, copy) or bool(((buffer == copy) | ((buffer != buffer) & (copy != copy))).all()))

    def put_back(self) -> None:
        """The values that it held."""
        if self.copy is not None:
            with torch.no_grad():
                self.buffer.copy_(self.copy)
        self.note()


def version_of(tensor: Tensor) -> int:
    """How often it was written to, as torch counts."""
    return 0 if tensor.is_inference() else tensor._version


class EffectRecorder(TorchDispatchMode):
    """Run a pass inside: it sees which of the `watched` buffers the pass writes to, and what it makes.

    Random numbers are drawn from a stream of the pass's own, which begins at the states `stream`, or as the session's
    stands: what others draw meanwhile is theirs. It costs about ten microseconds an operation.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # To be skipped, the mode would be wrapped in what imports all of torch's compiler, for seconds.
        return False

    # Operations that are given functions (`flex_attention`) are run as they are.
    supports_higher_order_operators = True

    def __init__(self, watched: Iterable[Watched], generators: Generators, stream: list[Tensor] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.written: set[int] = set()  # ids of `Watched`
        self.draws = False
        self._watched: dict[int, list[Watched]] = {}
        for one in watched:
            self._watched.setdefault(_place(one.buffer), []).append(one)
        # What the last operation has written to: torch counts it when the operation is over.
        self._uncounted: list[Watched] = []
        self._made: dict[int, ref[Tensor]] = {}
        self._writes: Counter[int] = Counter()  # to each tensor that was made, by id
        self._generators = generators
        self._own = stream
        # The session's random state, while an operation draws from the pass's own.
        self._outside: list[Tensor] | None = None

    def run(self, act: Callable[[], _T]) -> _T:
        """What `act` gives, seen. Whoever calls it takes the mode away after an interrupt.

        Not by `with`: torch notes in one place for all threads whether there is such a mode anywhere, and two threads
        that enter and leave in turns would leave it so.
        """
        _C._push_on_torch_dispatch_stack(self)
        try:
            return act()
        finally:
            self._count()
            _C._pop_torch_dispatch_stack(None)

    def has_made(self, tensor: Tensor) -> bool:
        """Whether the pass has made it."""
        made = self._made.get(id(tensor))
        return made is not None and made() is tensor

    def is_theirs(self, tensor: Tensor) -> bool:
        """Whether somebody else has written to what the pass has made."""
        return version_of(tensor) > self._writes[id(tensor)]

    def put_back(self) -> None:
        """The session's random state, if an operation was left in the middle."""
        if self._outside is not None:
            self._generators.set(self._outside)
            self._outside = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._count()
        if not isinstance(func, OpOverload):
            return func(*args, **kwargs)
        # What TorchScript runs comes from C++, with the function modes of the pass still on.
        with _C.DisableTorchFunction():
            result = self._seen(func, args, kwargs) if self._watched else self._drawn(func, args, kwargs)
        for value in [result] if isinstance(result, Tensor) else pytree.tree_leaves(result):
            if isinstance(value, Tensor):
                self._made[id(value)] = ref(value)
        return result

    def _count(self) -> None:
        for one in self._uncounted:
            one.note()
        self._uncounted = []

    def _seen(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        written = _written(func, args, kwargs)
        self._writes.update(map(id, written))
        given = [one for tensor in written for one in self._watched.get(_place(tensor), ())]
        for one in given:
            if one.is_theirs():
                # To that it is put back.
                one.copy = one.buffer.detach().clone()
        # Noted before it happens: an interrupt may come as soon as the operation has written.
        self.written.update(map(id, given))
        self._uncounted = given
        return self._drawn(func, args, kwargs)

    def _drawn(self, func: OpOverload, args: Any, kwargs: Any) -> Any:
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self.draws = True
        generators = self._generators
        try:
            self._outside = generators.get()
            generators.set(self._own if self._own is not None else self._outside)
            result = func(*args, **kwargs)
            self._own = generators.get()
            return result
        finally:
            self.put_back()


def _place(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse, or no storage of its own
        return id(tensor)


def _written(func: OpOverload, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation writes to."""
    name = func._schema.name.partition("::")[2]
    if name in _NORMS:
        training = len(args) > _NORMS[name] and args[_NORMS[name]] is True
        return [t for t in args[3:5] if isinstance(t, Tensor)] if training else []
    if not func._schema.is_mutable:
        return []
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name) if argument.kwarg_only or i >= len(args) else args[i]
            found += [t for t in pytree.tree_leaves(value) if isinstance(t, Tensor)]
    return found
