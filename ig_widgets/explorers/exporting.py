"""What leaves an explorer: pictures, arrays, a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import anywidget
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ig_widgets import figures
from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.number_text import counted
from ig_widgets.explorers import export, protocol
from ig_widgets.explorers.classifier import Classes
from ig_widgets.explorers.memory import Answer, Known
from ig_widgets.explorers.picture import PreparedImage
from ig_widgets.explorers.relative import RELATIVES
from ig_widgets.explorers.restoring import Restoring
from ig_widgets.figures.image import overlay_figure, overlay_svg
from ig_widgets.figures.inputs import Bytes
from ig_widgets.files import PathLike, write_atomically
from ig_widgets.texts import plain

# Colours are there as tables; the cards of baselines and what else a kernel would have to answer are left out.
_NOT_IN_A_FILE = {
    "_lut",
    "_cards",
    "_notice",
    "_dependence",
    "show_dependence",
    "_esm",
    "_front",
    "_front_hash",
    "_css",
    "_anywidget_id",
}


@dataclass(frozen=True)
class _Drawn:
    """The overlay as it is set now, and what is said of it."""

    photo: Bytes
    overlay: Bytes
    table: Bytes
    scale: float
    unit: str
    caption: str


class Exporting(Restoring):
    """What an explorer of pictures can write."""

    _image: PreparedImage
    _classes: Classes
    _photo: Bytes

    def snapshot(self) -> bytes:
        """The photo and the overlay as they are set now, with colour bar and caption, as a PNG.

        Waits for the first result. Raises what the run failed with, if there is no earlier result.
        """
        drawn = self._drawn()
        return figures.overlay_png(drawn.photo, drawn.overlay, drawn.table, drawn.scale, drawn.unit, drawn.caption)

    def to_png(self, path: PathLike) -> None:
        """Write `snapshot` to a file, whole or not at all. Raises FileError where that cannot be written."""
        write_atomically(path, self.snapshot())

    def to_svg(self, path: PathLike) -> None:
        """The same as an SVG, in which text is text. Raises FileError where that cannot be written."""
        write_atomically(path, self._svg())

    def figure(self) -> Figure:
        """The same as a figure of matplotlib's, to be worked on."""
        drawn = self._drawn()
        return overlay_figure(drawn.photo, drawn.overlay, drawn.table, drawn.scale, drawn.unit, drawn.caption)

    def to_html(self, path: PathLike | None = None) -> str | None:
        """The explorer as one HTML file that works without kernel and network, or its text where `path` is None.

        Looks (alpha, opacity, clip, sign, the usual colour maps) can be changed in it, and every rule and number of
        steps be chosen that needs no sample beyond those that this baseline and target have. Maps are in 8 bits: off
        by at most 1/254 of each one's largest value. Waits for the first result.

        Raises what the run failed with, if there is no earlier result, and FileError where it cannot be written.
        """
        text = self._html()
        if path is None:
            return text
        write_atomically(path, text.encode())
        return None

    def to_npz(self, path: PathLike) -> None:
        """Write what is shown, and all settings, to NumPy's compressed .npz, whole or not at all.

        `attributions` (channels, height, width); of each sample in use `maps` (n, height, width), summed over channels,
        in 16 bits' precision, `alphas`, `weights` and `density` (n,); F on the path as `output_alphas` and `outputs`;
        `photo` and `baseline` (height, width, 3) in 8 bits; and `settings`, the text of a JSON object. Further panes
        have the same with "pane_2_" before the name. `from_npz` shows it again; `read_npz` of `ig_widgets.files` reads
        it, as does NumPy without pickle. Raises FileError where it cannot be written.
        """
        write_atomically(path, self._npz())

    # ------------------------------------------------------------ what the explorer has

    def _shown(self, maps: Tensor, settings: protocol.Settings) -> Tensor:
        raise NotImplementedError

    def _unit(self, settings: protocol.Settings) -> str:
        raise NotImplementedError

    def _baseline_picture(self, settings: protocol.Settings) -> Bytes:
        raise NotImplementedError

    # ------------------------------------------------------------

    def _export(self, kind: str) -> bytes:
        match kind:
            case "png":
                return self.snapshot()
            case "svg":
                return self._svg()
            case "npz":
                return self._npz()
            case "html":
                return self._html().encode()
        raise NotImplementedError(kind)

    def _need_answer(self) -> Answer:
        if self._asked[0].answer is None:
            self.wait()
        answer = self._asked[0].answer
        if answer is None:
            raise RuntimeError("There is nothing to draw yet: the first run was cancelled before its first sample.")
        return answer

    def _drawn(self) -> _Drawn:
        answer = self._need_answer()
        result, settings, look = answer.result, answer.known.settings, cast(Any, self)
        full = np.asarray(self._shown(torch.as_tensor(result.attributions)[0], settings).float().cpu())
        # Between both ends of what the front end has been sent, so that the same is drawn here and from a file.
        collected = full if look.alpha == 1 else collect(answer.known, look.alpha).reshape(full.shape)
        table = figures.color_table(look.colormap)
        scale = figures.scale_of(full, look.clip)
        overlay = figures.compose(self._photo, collected, scale, table, look.opacity, look.sign, look.ground)
        error = "" if result.error_estimate is None else f", error {float(result.error_estimate[0]):.2g}"
        missed = ", not converged" if result.complete and result.converged is False else ""
        caption = (
            f"{plain(self._classes.name(settings.target), 60)}, {plain(self._unit(settings), 60)} "
            f"{float(result.output):.3g}; baseline {plain(settings.baseline)}; {result.method}, "
            f"{counted(result.evaluations, 'sample')}{error}{missed}; alpha {look.alpha:.2f}{_delta(result)}"
        )
        return _Drawn(self._photo, overlay, table, scale, settings.output, caption)

    def _html(self) -> str:
        picture = self.snapshot()
        settings = self._need_answer().known.settings
        names = {*type(self).class_trait_names(sync=True)} - {*anywidget.AnyWidget.class_trait_names(), *_NOT_IN_A_FILE}
        traits = {name: getattr(self, name) for name in names} | _as_traits(settings) | {"_panes": [{}]}
        if caveats := self._asked[0].caveats:
            traits["_notice"] = {"text": " ".join(caveats), "number": 1, "lasts": True}
        return export.to_html(self._recorded(settings), traits=traits, picture=picture)

    def _recorded(self, settings: protocol.Settings) -> list[export.Recorded]:
        """What was sampled for the baseline, target and output of `settings`, what answers them first."""
        pane = self._asked[0]
        known = [one for one in pane.known() if one.is_last]
        shown = pane.record(settings)
        records = ([] if shown is None else [shown]) + [one.record for one in known]
        found = []
        for record in {one.number: one for one in records}.values():
            served = [
                export.Rule(one.settings, one.pieces, one.evaluations, one.error)
                for one in known
                if one.record is record
            ]
            own = served[0].settings if served else settings
            if own.method not in RELATIVES:
                asked = {rule.settings for rule in served}
                served += [rule for rule in export.rules_for(record, settings) if rule.settings not in asked]
            found.append(export.Recorded(self._begin(record.number, own, 0), record, served))
        return found

    def _svg(self) -> bytes:
        drawn = self._drawn()
        return overlay_svg(drawn.photo, drawn.overlay, drawn.table, drawn.scale, drawn.unit, drawn.caption)

    def _npz(self) -> bytes:
        return self._npz_of(self._need_answer())


def collect(known: Known, alpha: float) -> npt.NDArray[np.float32]:
    """What is drawn of the samples up to `alpha`, (height * width,), as the front end adds it up."""
    record, edges = known.record, known.pieces.edges.tolist()
    total: npt.NDArray[np.float64] = np.zeros(len(record.maps[0].values) // 2)
    for key, start, stop in zip(known.pieces.keys, edges[:-1], edges[1:], strict=True):
        if alpha > start:
            encoded = record.maps[record.ids[key]]
            total += (min(alpha, stop) - start) * encoded.scale * np.frombuffer(encoded.values, "<i2")
    return total.astype(np.float32)


def _delta(result: Attribution) -> str:
    delta = "" if result.convergence_delta is None else f"; delta {float(result.convergence_delta):+.2g}"
    jumps = 0.0 if result.unattributed is None else float(result.unattributed)
    return f"{delta}, F jumps by {jumps:.2g}" if jumps else delta


def _as_traits(settings: protocol.Settings) -> dict[str, Any]:
    """Without what counts for nothing, which is 0."""
    return {name: value for name, value in vars(settings).items() if value != 0 or name == "target"}
