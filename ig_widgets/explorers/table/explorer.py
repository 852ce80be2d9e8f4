"""TableExplorer: which features of a row a model's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets
from torch import nn

from ig_widgets.explorers.export.exports import ExportPanel, ExportTraits
from ig_widgets.explorers.panels.baselines import BaselinePanel, BaselineTraits
from ig_widgets.explorers.panels.convergence import ConvergencePanel, ConvergenceTraits
from ig_widgets.explorers.table.row import Row
from ig_widgets.explorers.table.subject import METHODS, TableSubject
from ig_widgets.explorers.widget.frontend import front_end, hash_of
from ig_widgets.explorers.widget.schema import NUMBER
from ig_widgets.files import PathLike


class TableExplorer(ConvergenceTraits, BaselineTraits, ExportTraits):
    """Integrated Gradients over a row of a table, live: a bar for each feature.

    Args:
        model: a module in eval mode (or a callable), (rows, features) to one row of scores each.
        row: a tensor, an array or a list (features,), a mapping from names to numbers, or a pandas Series.
        data: rows (n, features) of the same table, whose mean is a baseline; None: there is none.
        names: of the features; None takes the row's own, or numbers.
        labels: the names of the classes, in their order.
        target: the class to explain, by position or name; None for the model's first choice.
        baseline: "mean" (of `data`), "zeros", a tensor (1, features) or a function of the model's input; None: the mean
            where there is one, else zeros.
        traits: any other trait: method, n_steps, tol, output, alpha, colormap, clip, sign.

    Raises ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError, and traitlets' TraitError.
    """

    panel_types = (ConvergencePanel, BaselinePanel, ExportPanel)
    _file_kind, _file_methods = TableSubject.kind, METHODS

    _front = traitlets.Unicode(front_end("table.js")).tag(sync=True, recorded=False)
    _front_hash = traitlets.Unicode(hash_of(front_end("table.js"))).tag(sync=True, recorded=False)
    _css = front_end("table.css")

    # Of a few bars the 99th percentile is below the largest.
    clip = traitlets.Float(100.0, min=50.0, max=100.0).tag(sync=True, write=NUMBER, look=True)

    def __init__(
        self,
        model: nn.Module,
        row: Row,
        *,
        data: Any = None,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        target: int | str | None = None,
        baseline: object = None,
        **traits: Any,
    ) -> None:
        subject = TableSubject(model, row, data, names, labels)
        if target is not None:
            traits["target"] = target
        first = subject.baselines.names[0] if baseline is None else baseline
        super().__init__(subject, baseline=first, **traits)

    @classmethod
    def from_npz(
        cls,
        path: PathLike,
        model: nn.Module,
        row: Row,
        *,
        data: Any = None,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> TableExplorer:
        """Returns the explorer that `to_npz` wrote to `path`: its settings, and its bars without a gradient evaluation.

        The other arguments are those that it was made with. Raises FileError, and as the constructor.
        """
        return cls._from_npz(path, model, row, data=data, names=names, labels=labels)
