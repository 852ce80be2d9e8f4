"""A look at the tensors that a forward pass saves for the backward pass: their bytes, and a place to cancel at."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class PassStopped(BaseException):
    """A pass was left in the middle, since it was cancelled. No Exception: a model may catch those."""


class SavedTensors:
    """Looks at each tensor that a forward pass keeps for the backward pass, as it is kept and as it is used.

    Counts their bytes, beyond the model's own `parameters` (None: counts nothing), and raises `PassStopped` once
    `cancel` is set: a chunk may take a second, a layer takes little.
    """

    def __init__(self, parameters: set[int] | None, cancel: threading.Event | None) -> None:
        self._parameters = parameters
        self._cancel = cancel
        self._sizes: dict[int, int] = {}

    @property
    def total(self) -> int | None:
        """The bytes, None if they were not to be counted."""
        return None if self._parameters is None else sum(self._sizes.values())

    def look_at(self) -> AbstractContextManager[object]:
        """A context for the forward pass."""
        if self._parameters is None and self._cancel is None:
            return nullcontext()
        return torch.autograd.graph.saved_tensors_hooks(self._keep, self._use)

    def _keep(self, tensor: Tensor) -> Tensor:
        if self._parameters is not None:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._parameters:
                self._sizes[storage.data_ptr()] = storage.nbytes()
        # An operation that keeps its own output would be kept by it in turn, for ever, unless a backward pass follows.
        return self._use(tensor).detach()

    def _use(self, tensor: Tensor) -> Tensor:
        if self._cancel is not None and self._cancel.is_set():
            raise PassStopped
        return tensor
