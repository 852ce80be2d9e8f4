"""TableExplorer: which features of a row a model's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets
from torch import nn

from ig_widgets.explorers.core.explorer import Restored
from ig_widgets.explorers.core.labels import LabelsLike
from ig_widgets.explorers.export.exports import ExportPanel, ExportTraits
from ig_widgets.explorers.panels.baselines import BaselinePanel, BaselineTraits
from ig_widgets.explorers.panels.convergence import ConvergencePanel, ConvergenceTraits
from ig_widgets.explorers.table.row import Row
from ig_widgets.explorers.table.subject import METHODS, TableSubject
from ig_widgets.explorers.widget.frontend import front_end, hash_of, packed
from ig_widgets.explorers.widget.schema import NUMBER
from ig_widgets.files import PathLike


class TableExplorer(ConvergenceTraits, BaselineTraits, ExportTraits):
    """Integrated Gradients over a row of a table, live: a bar for each feature.

    Args:
        model: a module in eval mode (or a callable), (rows, features) to one row of scores each.
        row: a tensor, an array or a list (features,), a mapping from names to numbers, or a pandas Series.
        data: rows (n, features) of the same table, whose mean is a baseline; None: there is none.
        names: of the features; None takes the row's own, or numbers.
        labels: the names of the classes: a list, one each; {0: "cat"} or {"0": "cat"} (some or all); {"cat": 0}; None
            takes those of a Hugging Face model's config. Two names for one output are those of "no" and "yes".
        target: the class to explain, by position or name; None for the model's first choice.
        output: which tensor of what the model returns is explained, as in `igw.attribute`: a key, an attribute, a
            position, a tuple of such that leads inside, or a callable (`output="aux"`); or which reading of its scores
            is: logit, probability, log-probability, margin, value (of mere numbers). A key that is called as a reading
            is asked for in a tuple, ("logit",).
        scores: what they mean: "softmax" (one class is right), "sigmoid" (each output by itself), "raw" (numbers, no
            percentages); None finds it out where it is certain, by what made the scores or the config, else takes
            soft-max of several outputs and a mere number of one, and says so.
        baseline: "mean" (of `data`), "zeros", a tensor (1, features) or a function of the model's input; None: the mean
            where there is one, else zeros.

    Every other option is a trait, which can be set and observed from Python later; its `help` says what it is.

    Raises ArgumentTypeError, ArgumentValueError, OutputError, TrainingModeError, and traitlets' TraitError.
    """

    panel_types = (ConvergencePanel, BaselinePanel, ExportPanel)
    _file_kind, _file_methods = TableSubject.kind, METHODS

    _front = traitlets.Bytes(packed("table.js")).tag(sync=True, recorded=False)
    _front_hash = traitlets.Unicode(hash_of(packed("table.js"))).tag(sync=True, recorded=False)
    _css = front_end("table.css")

    # Of a few bars the 99th percentile is below the largest.
    clip = traitlets.Float(
        100.0, min=50.0, max=100.0, help="The percentile of |attribution| that gets the strongest colour, 50 to 100."
    )
    clip.tag(sync=True, write=NUMBER, look=True)

    def __init__(
        self,
        model: nn.Module,
        row: Row,
        *,
        data: Any = None,
        names: Sequence[str] | None = None,
        labels: LabelsLike = None,
        target: int | str | tuple[int | str, ...] | None = None,
        output: object = None,
        scores: str | None = None,
        baseline: object = None,
        method: str | None = None,
        n_steps: int | None = None,
        tol: float = 0.05,
        alpha: float = 1.0,
        colormap: str = "RdBu_r",
        clip: float = 100.0,
        scale: str = "fixed",
        sign: str = "all",
        layout: Any = None,
        _restored: Restored | None = None,
    ) -> None:
        subject = TableSubject(model, row, data, names, labels, output, scores)
        given = {"layout": layout, "method": method, "n_steps": n_steps}
        super().__init__(
            subject,
            _restored=_restored,
            target=target,
            baseline=subject.baselines.names[0] if baseline is None else baseline,
            tol=tol,
            alpha=alpha,
            colormap=colormap,
            clip=clip,
            scale=scale,
            sign=sign,
            **{name: value for name, value in given.items() if value is not None},
        )

    @classmethod
    def from_npz(
        cls,
        path: PathLike,
        model: nn.Module,
        row: Row,
        *,
        data: Any = None,
        names: Sequence[str] | None = None,
        labels: LabelsLike = None,
        output: object = None,
        scores: str | None = None,
    ) -> TableExplorer:
        """Returns the explorer that `to_npz` wrote to `path`: its settings, and its bars without a gradient evaluation.

        The other arguments are those that it was made with. Raises FileError, and as the constructor.
        """
        return cls._from_npz(path, model, row, data=data, names=names, labels=labels, output=output, scores=scores)
