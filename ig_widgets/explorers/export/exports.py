"""Exports of an explorer: a picture (PNG, SVG, figure), an HTML page, an NPZ file."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure

from ig_widgets.engine.attribution import Attribution
from ig_widgets.engine.number_text import counted
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.error_text import describe_error, describe_model_error
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.methods import Methods
from ig_widgets.explorers.core.panel import Panel
from ig_widgets.explorers.core.run import begin_message
from ig_widgets.explorers.core.sample_cache import PaneResult
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.subject import Drawing, Shown
from ig_widgets.explorers.export import html_page, npz_file
from ig_widgets.files import FileError, PathLike, write_atomically
from ig_widgets.texts import plain

# The picture that stays in a notebook should be the newest, but displaying must not wait for long.
_DISPLAY_SECONDS = 3.0


class ExportPanel(Panel):
    """Draws and writes what an explorer shows; sends files to the front end."""

    def drawing(self) -> Drawing:
        """Returns a static picture of what the first pane shows. Waits for the first result."""
        answer = self.answer()
        result, settings, look = answer.result, answer.rule.settings, self.host.look
        subject = self.host.subject
        values = torch.as_tensor(result.attributions)[:1]
        full = np.asarray(subject.reduce(values, settings)[0].float().cpu())
        alpha = look["alpha"]
        # Below 1, of the maps that the front end was sent, so that a file, which holds these, draws the same.
        collected = full
        if alpha < 1:
            collected = answer.rule.log.collected(answer.rule.pieces, alpha).astype(np.float32).reshape(full.shape)
        return subject.drawing(Shown(settings, full, collected, look, self._caption(result, settings, alpha)))

    def notebook_picture(self) -> bytes | None:
        """Returns what is shown as a PNG, None where there is nothing after a short wait."""
        panes = self.host.panes
        with panes.watched():
            panes[0].wait(_DISPLAY_SECONDS)
        return None if panes[0].result is None else self.drawing().png()

    def html(self) -> str:
        """Returns the explorer as the text of an HTML page."""
        drawn = self.drawing().png()
        settings = self.answer().rule.settings
        traits = self.host.synced() | settings.as_traits() | {"_panes": [{}]}
        if caveats := self.host.panes[0].caveats:
            traits["_notice"] = {"text": " ".join(caveats), "number": 1, "lasts": True}
        return html_page.to_html(self.recorded(settings), traits=traits, picture=drawn)

    def npz(self) -> bytes:
        """Returns the explorer as an NPZ file."""
        return npz_file.to_npz(self.host, [self.answer(), *(pane.answer for pane in self.host.panes[1:])])

    def answer(self) -> PaneResult:
        """Returns the newest result of the first pane. Waits for the first one."""
        pane = self.host.panes[0]
        if pane.answer is None:
            self.host.wait()
        if pane.answer is None:
            raise RuntimeError("There is nothing to draw yet: the first run was cancelled before its first sample.")
        return pane.answer

    def recorded(self, settings: Settings) -> list[html_page.Recorded]:
        """Returns what was sampled for the baseline, target and output of `settings`; their own rule comes first."""
        pane = self.host.panes[0]
        evaluated = [one for one in pane.evaluated() if one.is_last]
        shown = pane.log(settings)
        logs = ([] if shown is None else [shown]) + [one.log for one in evaluated]
        found = []
        for log in {one.number: one for one in logs}.values():
            served = [
                html_page.Rule(one.settings, one.pieces, one.evaluations, one.error)
                for one in evaluated
                if one.log is log
            ]
            # What is shown may be a run that was cancelled, beside others of its path that were not.
            own = settings if log is shown or not served else served[0].settings
            if not self.host.subject.methods.is_relative(own.method):
                asked = {rule.settings for rule in served}
                served += [rule for rule in html_page.rules_for(log, settings) if rule.settings not in asked]
            found.append(html_page.Recorded(begin_message(self.host.subject, log.number, own, 0), log, served))
        return found

    def on_message(self, message: protocol.PanelMessage) -> None:
        """A view asks for a file."""
        match message:
            case protocol.Export(view, kind):
                self.host.tasks.submit(f"export {kind}", lambda: self._send_file(view, kind))

    def _send_file(self, view: str, kind: str) -> None:
        try:
            data = self._made(kind)
        except Exception as error:  # noqa: BLE001  (an error is an answer)
            # The error may be that of the run it waits for; else the model is not to blame.
            is_run = error is self.host.panes[0].error
            words = describe_model_error(error) if is_run else describe_error(error)
            self.host.notify(f"{kind.upper()} was not made: {words}")
            return
        self.host.send(view, protocol.file(f"attribution.{kind}", data))

    def _made(self, kind: str) -> bytes:
        match kind:
            case "png":
                return self.drawing().png()
            case "svg":
                return self.drawing().svg()
            case "npz":
                return self.npz()
        return self.html().encode()

    def _caption(self, result: Attribution, settings: Settings, alpha: float) -> str:
        classifier = self.host.subject.classifier
        error = "" if result.error_estimate is None else f", error {float(result.error_estimate[0]):.2g}"
        missed = ", not converged" if result.complete and result.converged is False else ""
        return (
            f"{plain(classifier.target_name(settings), 60)}, {plain(classifier.output_name(settings), 60)} "
            f"{float(result.output):.3g}; baseline {plain(settings.baseline)}; {result.method}, "
            f"{counted(result.evaluations, 'sample')}{error}{missed}; alpha {alpha:.2f}{_delta(result)}"
        )


def _delta(result: Attribution) -> str:
    delta = "" if result.convergence_delta is None else f"; delta {float(result.convergence_delta):+.2g}"
    jumps = 0.0 if result.unattributed is None else float(result.unattributed)
    return f"{delta}, F jumps by {jumps:.2g}" if jumps else delta


class ExportTraits(Explorer):
    """The methods of the export panel, and `from_npz`."""

    # The kind of the subject and its methods, as a file names them.
    _file_kind: ClassVar[str]
    _file_methods: ClassVar[Methods]

    def snapshot(self) -> bytes:
        """Returns what is shown now, with colour bar and caption, as a PNG.

        Waits for the first result. Raises what the run failed with, if there is no earlier result.
        """
        return self._panel(ExportPanel).drawing().png()

    def to_png(self, path: PathLike) -> None:
        """Writes `snapshot` to a file, whole or not at all. Raises FileError where that cannot be written."""
        write_atomically(path, self.snapshot())

    def to_svg(self, path: PathLike) -> None:
        """Writes the same as an SVG, in which text is text. Raises FileError where that cannot be written."""
        write_atomically(path, self._panel(ExportPanel).drawing().svg())

    def figure(self) -> Figure:
        """Returns the same as a figure of matplotlib's, to be worked on."""
        return self._panel(ExportPanel).drawing().figure()

    def to_html(self, path: PathLike | None = None) -> str | None:
        """Writes the explorer as one HTML file that works without kernel and network; `path` None returns its text.

        Looks (alpha, opacity, clip, sign, the usual colour maps) can be changed in it, and every rule and number of
        steps be chosen that needs no sample beyond those that this baseline and target have. Maps of 4,096 values and
        more are in 8 bits: off by at most 1/254 of each one's largest value. Waits for the first result.

        Raises what the run failed with, if there is no earlier result, and FileError where it cannot be written.
        """
        text = self._panel(ExportPanel).html()
        if path is None:
            return text
        write_atomically(path, text.encode())
        return None

    def to_npz(self, path: PathLike) -> None:
        """Writes what is shown, and all settings, to NumPy's compressed .npz, whole or not at all.

        `attributions` (of the input's shape); of each sample in use `maps` (n, ...) as they are drawn, in 16 bits'
        precision or, of fewer than 4,096 values, float32, `alphas`, `weights` and `density` (n,); F on the path as
        `output_alphas` and `outputs`; what maps are drawn over (of a picture `photo` and `baseline` (height, width, 3)
        in 8 bits); and `settings`, the text of a JSON object. Further panes have the same with "pane_2_" before the
        name. `from_npz` shows it again; `read_npz` of `ig_widgets.files` reads it, as does NumPy without pickle. Raises
        FileError where it cannot be written.
        """
        write_atomically(path, self._panel(ExportPanel).npz())

    @classmethod
    def _from_npz(cls, path: PathLike, *arguments: Any, **options: Any) -> Self:
        """Returns the explorer that `to_npz` wrote, made with the constructor's `arguments`. Raises FileError."""
        look = set(cls.class_traits(look=True))
        saved = npz_file.read(path, cls._file_kind, cls._file_methods, look)
        try:
            explorer = cls(*arguments, **options, _restored=saved)
        except traitlets.TraitError as error:
            raise FileError(
                f"path {str(path)!r} holds settings that cannot be for this model: {str(error)[:300]}"
            ) from error
        if saved.mismatch:
            warnings.warn(
                f"path {str(path)!r} was saved of another model or input: {saved.mismatch}. The settings are kept, "
                f"and the picture is computed anew.",
                UserWarning,
                stacklevel=3,
            )
        elif explorer.result is not None:
            explorer._on_result(explorer._pane_list[0])
        return explorer

    def _picture(self) -> bytes | None:
        return self._panel(ExportPanel).notebook_picture()
