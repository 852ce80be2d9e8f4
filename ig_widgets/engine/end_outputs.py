"""F at both ends of a path, and whether the model gives it again."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ig_widgets.engine.errors import NondeterminismWarning
from ig_widgets.engine.path import Path

# How far F at an end of the path may be from what it was, relative to F(x) - F(x'). Half precision stays below this,
# relative to F; dropout does not.
_SAME = 0.05
# So many units in the last place of F are rounding: other chunks stay below a millionth (EfficientNet-Lite0 by 9e-8).
_ROUNDED = 1000.0


class EndOutputs:
    """F at both ends of each path, with which F is compared where it is computed there again.

    `is_compared`: False where gradients are taken in fewer digits than F at the ends.
    """

    def __init__(self, path: Path, *, is_compared: bool) -> None:
        self._path, self._is_compared = path, is_compared
        # F(x') and F(x); None before they are known, and once a difference was warned of.
        self._known: tuple[Tensor, Tensor] | None = None
        # Those of the first example.
        self.first = torch.zeros(2, dtype=torch.float64, device="cpu")
        # The warning that was given, for those who have no console before them.
        self.nondeterminism = ""

    def keep(self, baseline: Tensor, end: Tensor) -> None:
        """Keeps F(x') and F(x), (batch,) float64 on the CPU."""
        self._known, self.first = (baseline, end), torch.stack([baseline[0], end[0]])

    def compare(self, examples: Tensor, alphas: Tensor, outputs: Tensor) -> None:
        """Warns, once, where `outputs` (rows,) at an end of the path differ from those before.

        It costs no pass: most methods come by an end again.
        """
        at_end = (alphas == 0) | (alphas == 1)
        if self._known is None or not self._is_compared or not bool(at_end.any()):
            return
        examples, alphas, outputs = examples[at_end], alphas[at_end], outputs[at_end]
        others = self.differ(examples, alphas, outputs, beyond=_SAME)
        if not bool(others.any()):
            return
        row = int(others.long().argmax())
        before = torch.where(alphas == 0, self._known[0][examples], self._known[1][examples])
        self._known = None
        self.nondeterminism = (
            f"forward_func was asked the same twice and answered {float(before[row]):.4g}, then "
            f"{float(outputs[row]):.4g} ({self._path.place(float(alphas[row]), float(alphas[row]))}, example "
            f"{int(examples[row])}): what is attributed is of no one function. "
            f"Call model.eval(), leave out functional dropout and noise (or fix their seed in forward_func), "
            f"and let no row depend on the others of its chunk."
        )
        warnings.warn(self.nondeterminism, NondeterminismWarning, stacklevel=2)

    def differ(self, examples: Tensor, alphas: Tensor, outputs: Tensor, *, beyond: float) -> Tensor:
        """Returns which of `outputs` (rows,) lie at an end and differ from F there by `beyond` times F(x) - F(x')."""
        if self._known is None:
            return torch.zeros(len(examples), dtype=torch.bool, device="cpu")
        start, end = (known[examples] for known in self._known)
        size = torch.stack([torch.where(known.isfinite(), known.abs(), 0.0) for known in (start, end)]).amax(0)
        change = torch.where((end - start).isfinite(), (end - start).abs(), 0.0)
        # What rounding may do is a share of F itself, however little of it is attributed.
        eps = torch.finfo(self._path.inputs[0].dtype).eps
        allowed = torch.maximum(beyond * change, min(_SAME, _ROUNDED * eps) * size).clamp(min=10 * eps)
        off = outputs - torch.where(alphas == 0, start, end)
        return ((alphas == 0) | (alphas == 1)) & off.isfinite() & (off.abs() > allowed)
