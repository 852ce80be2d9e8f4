"""`explore`: the explorer that suits some data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.image.explorer import ImageExplorer
from ig_widgets.explorers.image.picture import is_picture
from ig_widgets.explorers.table.explorer import TableExplorer
from ig_widgets.explorers.table.row import is_row


@dataclass(frozen=True)
class Kind:
    """An explorer, which data it accepts, and these data in words."""

    explorer: Callable[..., Explorer]
    accepts: Callable[[object], bool]
    data: str


KINDS: Mapping[str, Kind] = {
    "image": Kind(ImageExplorer, is_picture, "a PIL image, an array (height, width, 3), a tensor (3, height, width)"),
    "table": Kind(TableExplorer, is_row, "a row: numbers (features,), a mapping, a pandas Series"),
}


def explore(model: Any, data: object, /, kind: str | None = None, **options: Any) -> Explorer:
    """Returns the explorer of `model` at `data` that suits the data.

    Args:
        model: as the explorer takes it.
        data: what is explained: a picture, or a row of a table.
        kind: "image" or "table", where the data alone do not tell; None asks each explorer whether it accepts them.
        options: the explorer's own: labels, target, baseline, method and so on.

    Raises ArgumentValueError for a kind that is none and for data that two explorers would take, ArgumentTypeError for
    data that none takes, and as the explorer.
    """
    if kind is not None:
        if kind not in KINDS:
            raise ArgumentValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
        return KINDS[kind].explorer(model, data, **options)
    found = [name for name, one in KINDS.items() if one.accepts(data)]
    seen = f"{type(data).__name__} {tuple(data.shape)}" if hasattr(data, "shape") else type(data).__name__
    if not found:
        forms = "; ".join(f"{name}: {one.data}" for name, one in KINDS.items())
        raise ArgumentTypeError(f"data must be what an explorer takes ({forms}), got {seen}.")
    if len(found) > 1:
        either = " or ".join(f"kind={name!r}" for name in found)
        raise ArgumentValueError(f"data may be explored as {' or as '.join(found)} ({seen}); give {either}.")
    return KINDS[found[0]].explorer(model, data, **options)
