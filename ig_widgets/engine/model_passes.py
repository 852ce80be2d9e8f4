"""Passes of a model along a path: guarded, undone, frozen, and run again in another way where they must be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor

from ig_widgets.engine.checkpoints import unrolled
from ig_widgets.engine.chunks import ChunkSize
from ig_widgets.engine.devices import fails_in_cudnn, without_cudnn
from ig_widgets.engine.errors import (
    ArgumentValueError,
    IGError,
)
from ig_widgets.engine.frozen_parameters import FrozenParameters
from ig_widgets.engine.memory import is_out_of_memory, says
from ig_widgets.engine.model import ScalarFunction, modules_of
from ig_widgets.engine.path import Path
from ig_widgets.engine.saved_tensors import SavedTensors
from ig_widgets.engine.state_guard import StateGuard

_T = TypeVar("_T")
# What a pass is run again for, in another way.
ADAPTABLE = ("does not require grad", "cudnn RNN backward")


class ModelPasses:
    """Runs passes of one model on one path: with what each needs switched, and again in another way where it must.

    `guard` is entered around each pass (a lock, say). `freezes`: parameters count as constants. `preview`: gradients at
    points are taken by autocast to bfloat16.
    """

    def __init__(
        self,
        function: ScalarFunction,
        path: Path,
        *,
        guard: AbstractContextManager[object] | None = None,
        freezes: bool = True,
        preview: bool = False,
    ) -> None:
        self.function = function
        self.path = path
        self._state_guard = StateGuard(function.forward_func, path.device)
        self._modules = modules_of(function.forward_func)
        self._parameters = {p.untyped_storage().data_ptr() for m in self._modules for p in m.parameters()}
        self._guard = guard if guard is not None else nullcontext()
        self._preview = preview
        self._freezes = freezes and not function.is_compiled
        self._cudnn_fails = False
        # A compiler would trace them, anew for each model.
        self._hooks = not function.is_compiled

    @property
    def draws(self) -> bool:
        """Whether a pass drew random numbers."""
        return self._state_guard.draws

    def leaves(self, examples: Tensor, alphas: Tensor) -> tuple[Tensor, ...]:
        """Points of the path that gradients are taken by."""
        return tuple(p.requires_grad_() for p in self.path.points(examples, alphas))

    def run(self, alphas: Tensor, run: Callable[[], _T], *, gradients: bool) -> _T:
        """Returns what `run` gives in a pass of the model, whatever the grad mode; its errors get a note of alpha."""
        try:
            with self._guard:
                return self._state_guard.run(lambda: self._with_switches(run), gradients=gradients)
        except IGError:
            raise
        except Exception as error:
            if not is_out_of_memory(error):
                place = self.path.place(float(alphas.min()), float(alphas.max()))
                if says(error, "Guard failed"):
                    raise ArgumentValueError(
                        "forward_func was exported for fixed shapes; export it with a dynamic first dimension, "
                        "dynamic_shapes=({0: torch.export.Dim('batch')},)."
                    ) from error
                error.add_note(f"The model raised this on the path from baseline to input, {place}.")
            raise

    def _with_switches(self, run: Callable[[], _T]) -> _T:
        """What `run` gives, without what has no backward pass that we could take."""
        if self._cudnn_fails or fails_in_cudnn(self._modules, self.path.device):
            return unrolled(lambda: without_cudnn(run))
        return unrolled(run)

    def casting(self) -> AbstractContextManager[object]:
        """A context in which a preview takes half precision."""
        return torch.autocast(self.path.device.type, torch.bfloat16) if self._preview else nullcontext()

    def freezing(self) -> FrozenParameters | None:
        """Made anew for each pass: a parameter may have been replaced, or frozen by its owner."""
        asking = [p for m in self._modules for p in m.parameters() if p.requires_grad and self._freezes]
        return FrozenParameters(asking) if asking else None

    def adapts(self, error: BaseException) -> bool:
        """Whether the pass should be run again, as the model bears less than others.

        One that differentiates by its parameters needs them as they are; one that uses torch.func, which knows no hooks
        on saved tensors, cannot be left in the middle of a pass.
        """
        if self._freezes and says(error, "does not require grad"):
            self._freezes = False
            return True
        if self._hooks and says(error, "saved tensor hooks"):
            self._hooks = False
            return True
        if not self._cudnn_fails and says(error, "cudnn RNN backward"):
            # Of one that no module holds.
            self._cudnn_fails = True
            return True
        return False

    def saved(self, chunks: ChunkSize | None, cancel: threading.Event | None) -> SavedTensors:
        """What looks at saved tensors in a pass; with `chunks`, which want to know how many bytes they take."""
        counts = self._hooks and chunks is not None and chunks.wants_memory
        return SavedTensors(self._parameters if counts else None, cancel if self._hooks else None)
