"""Where the points of a chunk lie in one tensor, and the note of it that the tensor carries."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor


class Place(NamedTuple):
    """Points lie one after the other in the dimension `dim`, each of them `step` long, and all of that `outer` times.

    Point r and r + 1 are the ends of cell r.
    """

    dim: int
    step: int
    outer: int = 1

    def opened(self, tensor: Tensor) -> tuple[Tensor, int]:
        """A view of `tensor` in which points lie once in a dimension of their own, and which that is."""
        if self.outer == 1:
            return tensor, self.dim
        return tensor.unflatten(self.dim, (self.outer, -1)), self.dim + 1

    def ends(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the beginnings and the ends of all cells."""
        tensor, dim = self.opened(tensor)
        cells = tensor.shape[dim] - self.step
        return tensor.narrow(dim, 0, cells), tensor.narrow(dim, self.step, cells)

    def pairs(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """The points of even and of odd number."""
        tensor, dim = self.opened(tensor)
        points = tensor.unflatten(dim, (-1, self.step))
        ahead = (slice(None),) * dim
        return points[*ahead, 0::2], points[*ahead, 1::2]

    def middle(self, tensor: Tensor) -> Tensor:
        """The mean of both ends, as large as `tensor`; points that begin no cell are as they were."""
        begin, end = self.ends(tensor)
        result = torch.empty_like(tensor)
        into, _ = self.ends(result)
        if begin.is_floating_point() or begin.is_complex():
            torch.lerp(begin, end, 0.5, out=into)
        else:
            into.copy_(begin)
        self._last(result).copy_(self._last(tensor))
        return result

    def spread(self, cells: Tensor, like: Tensor) -> Tensor:
        """`cells`, one for each, filled up with zeros to the size of `like`."""
        result = torch.empty_like(like)
        self.ends(result)[0].copy_(cells)
        self._last(result).zero_()
        return result

    def _last(self, tensor: Tensor) -> Tensor:
        """A view of the last points, which begin no cell."""
        tensor, dim = self.opened(tensor)
        return tensor.narrow(dim, tensor.shape[dim] - self.step, self.step)


# Where points lie, or the name of the operation behind which that is not known.
Whereabouts: TypeAlias = Place | str
LEAF = Place(0, 1)
_MARK = "_ig_widgets_rows"


def whereabouts(tensor: Tensor) -> Whereabouts:
    """What is known of `tensor`."""
    return getattr(tensor, _MARK, "an operation that was not seen")


def is_known(tensor: Tensor) -> bool:
    """Whether something was noted of `tensor`, be it that nothing is known."""
    return hasattr(tensor, _MARK)


def note(tensor: Tensor, where: Whereabouts) -> None:
    """Note where the points of `tensor` lie."""
    setattr(tensor, _MARK, where)
