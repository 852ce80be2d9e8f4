"""Restores buffers, random state and modes of torch after each pass of the user's model.

A pass is a function that is called, not a block behind `with`: an interrupt may come between any two lines, also
between the last line of a block and its leaving. What may change is read before; in a run that ends in an error or an
interrupt it is put back twice, so that one that comes while it is put back does no harm either.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from ig_widgets.engine.model import ForwardFunc, modules_of
from ig_widgets.engine.model_locks import ModelLock, in_turn, model_lock_of
from ig_widgets.engine.modes import Modes, outside_inference_mode
from ig_widgets.engine.side_effects import EffectRecorder, Generators, Watched

_T = TypeVar("_T")


class StateGuard:
    """Puts back what a pass of `forward_func` changes, and only that: what others write meanwhile stays theirs.

    Nothing else is touched by the engine: gradients are taken by `torch.autograd.grad`, which writes no `.grad`. A
    buffer that the model first makes in the pass stays, as after any call: the model may count on having made it.
    """

    def __init__(self, forward_func: ForwardFunc, device: torch.device) -> None:
        roots = modules_of(forward_func)
        self._owners = [m for root in roots for m in root.modules()]
        asked: list[object] = [*roots] or [forward_func]
        self._turns = sorted(map(model_lock_of, asked), key=id)
        self._generators = Generators(device)
        self._device = device
        # Whether random numbers were drawn in a pass, of this or of another guard of the model.
        self.draws = False

    def run(self, act: Callable[[], _T], *, gradients: bool) -> _T:
        """What `act` gives, a pass of the model with `gradients` or without, outside of inference mode.

        Passes of models that write to buffers or draw random numbers take turns, as does the first of each kind. Each
        draws the same numbers, as those that are drawn are put back.
        """
        quiet = all(gradients in one.seen and not (one.writes or one.draws) for one in self._turns)
        locks = [] if quiet else [one.lock for one in self._turns]
        return in_turn(locks, lambda: outside_inference_mode(lambda: self._run(act, gradients)))

    def _run(self, act: Callable[[], _T], gradients: bool) -> _T:
        before = _Before(self._owners, self._turns, self._generators, gradients, self._device)
        try:
            try:
                return before.run(act)
            finally:
                before.put_back()
        except BaseException as error:
            _end_contexts(error)
            before.put_back()
            interrupt = _interrupt_in(error)
            if interrupt is None:
                raise
            raise interrupt from None
        finally:
            self.draws |= before.draws


def drawn_from(state: Tensor, act: Callable[[], _T]) -> _T:
    """What `act` gives, whose random numbers on the CPU are those that follow `state`; the session's stay."""
    modes, recorder = Modes(), EffectRecorder((), Generators(torch.device("cpu")), [state])
    try:
        return recorder.run(act)
    except BaseException as error:
        _end_contexts(error)
        modes.put_back()
        recorder.put_back()
        raise


def _end_contexts(error: BaseException) -> None:
    """End contexts of torch that an interrupt has left in the middle: generators, which frames of the traceback hold.

    Else they end whenever the traceback goes, and switch on again, for good, the mode that they had switched off.
    """
    chain = [error]
    while (before := chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    if not all(isinstance(one, Exception) for one in chain):
        for one in chain:
            traceback.clear_frames(one.__traceback__)


def _interrupt_in(error: BaseException) -> KeyboardInterrupt | None:
    """The interrupt that `error` stands in the place of: contexts left in the middle raise as they are left again."""
    while (before := error.__context__) is not None and not error.__suppress_context__:
        if isinstance(before, KeyboardInterrupt):
            return before
        error = before
    return None


class _Before:
    """All that a pass may change, as it was before.

    Beside other threads an `EffectRecorder` tells what the pass does from what they do, where this is not known: in the
    first passes of a model, and in all where it writes or draws.
    """

    def __init__(
        self,
        owners: list[nn.Module],
        turns: list[ModelLock],
        generators: Generators,
        gradients: bool,
        device: torch.device,
    ) -> None:
        self._modes = Modes()
        self._owners, self._turns, self._generators, self._gradients = owners, turns, generators, gradients
        self._buffers = [(owner, name, buffer) for owner in owners for name, buffer in owner._buffers.items()]
        self._states, self._seed = generators.get(), torch.initial_seed()
        self._alone = _is_alone()
        known = all(gradients in one.seen for one in turns)
        noisy = any(one.writes or one.draws for one in turns)
        looks = not (known or (self._alone and device.type == "cpu")) or (noisy and not self._alone)
        # What the pass is known to leave alone is not copied: where it is otherwise, others have been at it.
        copies = looks or self._alone
        unique = {id(b): b for _, _, b in self._buffers if b is not None}
        self._watched = [Watched(b, copies=copies) for b in unique.values()]
        self._recorder = EffectRecorder(self._watched, generators) if looks else None
        self.draws = False
        self._is_whole = False

    def run(self, act: Callable[[], _T]) -> _T:
        """What `act` gives."""
        with torch.set_grad_enabled(self._gradients):
            result = act() if self._recorder is None else self._recorder.run(act)
            self._is_whole = True
            return result

    def put_back(self) -> None:
        """All of it; a second time changes nothing. What is learnt of the model is noted."""
        self._modes.put_back()
        if self._recorder is not None:
            self._recorder.put_back()
        self._alone = self._alone and _is_alone()
        foreseen = self._recorder is not None or self._alone
        drew, wrote, unclear = self._put_back_random_state(), False, False
        for owner, name, buffer in self._buffers:
            replaced, unknown = self._put_back_tensor(owner, name, buffer)
            wrote, unclear = wrote or replaced, unclear or unknown
        for one in self._watched:
            written, unknown = self._put_back_values(one)
            wrote, unclear = wrote or written, unclear or unknown
        self.draws |= drew and foreseen
        for turns in self._turns:
            turns.writes |= wrote
            turns.draws |= self.draws
            if foreseen and self._is_whole:
                turns.seen.add(self._gradients)
            elif not foreseen and (unclear or drew):
                # Others, or the model itself, other than before: the next pass is looked at.
                turns.seen.discard(self._gradients)

    def _put_back_random_state(self) -> bool:
        """Whether it has moved. Where others may have drawn, it stays: what the pass draws then is its own."""
        if self._is_seeded():
            self._generators.set(self._states)
            return True
        if self._recorder is not None:
            return self._recorder.draws
        if all(map(torch.equal, self._states, self._generators.get())):
            return False
        if self._alone:
            self._generators.set(self._states)
        return True

    def _is_seeded(self) -> bool:
        """Whether the model has set a seed: no operation of torch, so no recorder sees it.

        In the main thread of Python, in which sessions set theirs, nobody else does while the model runs.
        """
        return threading.current_thread() is threading.main_thread() and torch.initial_seed() != self._seed

    def _put_back_tensor(self, owner: nn.Module, name: str, buffer: Tensor | None) -> tuple[bool, bool]:
        """Whether the pass has put another tensor there, which is undone, and whether that is not known."""
        # Those of a ScriptModule are no dict.
        is_there = name in owner._buffers
        now = owner._buffers[name] if is_there else None
        if now is buffer and is_there:
            return False, False
        recorder = self._recorder
        ours = self._alone or now is None or (recorder is not None and recorder.has_made(now))
        if ours and not (recorder is not None and now is not None and recorder.is_theirs(now)):
            owner._buffers[name] = buffer
        return ours, not ours and recorder is None

    def _put_back_values(self, one: Watched) -> tuple[bool, bool]:
        """Whether the pass has written to a buffer, which is undone, and whether that is not known."""
        written = self._recorder is not None and id(one) in self._recorder.written
        if not written and not one.is_changed():
            return False, False
        if self._alone or (written and not one.is_theirs()):
            one.put_back()
            return True, False
        return written, self._recorder is None


def _is_alone() -> bool:
    """Whether no other thread of Python could write or draw."""
    return len(sys._current_frames()) == 1
