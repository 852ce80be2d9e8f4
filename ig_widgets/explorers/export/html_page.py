"""HTML page: one explorer as one file, which works with no kernel and no network.

The file holds the front end itself (static/standalone.js), a recording of what was sampled, and the answers, plans
over those samples, that the kernel would have given. Nothing in it reaches out: the page's own security policy allows
no request, and no script but the one that is inlined. Labels and captions are data of that script, or text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import matplotlib
import numpy as np

from ig_widgets import figures
from ig_widgets.engine import rules
from ig_widgets.engine.number_text import counted
from ig_widgets.engine.samples import Key
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.maps import EncodedMap
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.widget.frontend import front_end
from ig_widgets.texts import plain

# Usual diverging ones, but for those that set red against green. The current one is always added.
_COLORMAPS = ("RdBu_r", "RdBu", "PuOr_r", "PuOr", "BrBG_r", "BrBG", "PRGn", "RdGy_r", "RdYlBu_r", "coolwarm", "bwr")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Rule:
    """Settings that can be answered, the samples that this takes, and the estimated error of the map."""

    settings: Settings
    pieces: Pieces
    evaluations: int
    error: float | None = None


@dataclass(frozen=True)
class Recorded:
    """One path: the `begin` message of its requests, what was sampled on it, and the `rules` that these serve."""

    begin: protocol.Message
    log: SampleLog
    rules: Sequence[Rule]


def rules_for(log: SampleLog, settings: Settings) -> list[Rule]:
    """Returns every rule of points whose samples are all in `log`; all else is as in `settings`."""
    count = len(log.maps)
    points = {key for key, at in list(log.ids.items()) if at < count and not isinstance(key, tuple)}
    methods = [name for name in rules.METHODS if name != rules.SECANT]
    # A trapezoid has two ends.
    candidates = [(m, n) for m in methods for n in range(1, len(points) + 1) if (m, n) != ("riemann_trapezoid", 1)]
    found = []
    for method, n in candidates:
        nodes = rules.nodes(method, n)
        keys: list[Key] = nodes.alphas.tolist()
        if points.issuperset(keys):
            served = replace(settings, method=method, n_steps=n, tol=0.0)
            found.append(Rule(served, Pieces(keys, nodes.edges), n))
    return found


def to_html(recorded: Sequence[Recorded], *, traits: Mapping[str, Any], picture: bytes) -> str:
    """Returns the text of an HTML file that shows what was `recorded`, the path that is shown first as the first.

    `traits` are the front end's, but for its colours. `picture`, a PNG, is shown where no script runs. Maps are rounded
    to 8 bits, with a scale each: a value is off by at most 1/254 of its map's largest. Where the first path lacks
    samples of its own rule, as in a cancelled run, what it has is shown.
    Raises ImportError where the front end is not built.
    """
    paths, answers, parts = [], [], []
    for number, path in enumerate(recorded):
        content, arrays = path.begin
        encoded = list(path.log.maps)  # it may be growing
        maps, scales = zip(*map(_recorded_map, encoded), strict=True)
        samples, _ = protocol.samples(path.log.number, 0, encoded)
        samples |= {"scales": list(scales), "dtype": _RECORDED_DTYPES[encoded[0].dtype]}
        samples["sums"] = path.log.density[: len(maps)]  # of maps in 8 bits they would be off
        begin = {**content, "total": 0}
        sizes = {"arrays": [*map(len, arrays)], "maps": [*map(len, maps)]}
        paths.append({"begin": begin, "samples": samples, **sizes})
        answers += _answers(number, path, len(maps), partial=number == 0)
        parts += [*arrays, *maps]
    recording = {
        "traits": dict(traits),
        "tables": {name: _base64(figures.color_table(name).tobytes()) for name in _colormaps(traits["colormap"])},
        "paths": paths,
        "answers": answers,
        "data": _base64(zlib.compress(b"".join(parts), 9)),
    }
    return _page(recording, _title(recorded[0]), _caption(recorded[0]), picture)


# Of maps as they are streamed, and as they are recorded: what is streamed in 16 bits has 8 in a file.
_RECORDED_DTYPES = {"i2": "i1", "f4": "f4"}


def _recorded_map(encoded: EncodedMap) -> tuple[bytes, float]:
    """Returns the numbers and the scale of a map as a recording has it."""
    if encoded.dtype == "f4":
        return encoded.data, encoded.scale
    levels = encoded.numbers.astype(np.float64)
    step = float(np.abs(levels).max(initial=0.0)) / 127 or 1.0
    return np.rint(levels / step).astype(np.int8).tobytes(), encoded.scale * step


def _answers(number: int, path: Recorded, count: int, *, partial: bool) -> list[dict[str, Any]]:
    """Returns what the kernel would answer to all settings that the first `count` samples of a path serve."""
    settings = path.begin[0]["settings"]

    found = []
    for rule in path.rules:
        plan, _ = path.log.plan(count, rule.pieces, rule.evaluations, final=True, error=rule.error)
        end, _ = protocol.done(rule.evaluations, 0.0)
        found.append({"path": number, "settings": vars(rule.settings).copy(), "plan": plan, "end": end})
    if partial and all(known["settings"] != settings for known in found):
        plan, _ = path.log.plan(count, None, count, final=False)
        end, _ = protocol.failed("cancelled", "cancelled before all was sampled")
        found.append({"path": number, "settings": settings, "plan": plan, "end": end})
    return found


def _colormaps(current: str) -> list[str]:
    names = {name for name in _COLORMAPS if name in matplotlib.colormaps} | {current}
    return sorted(names, key=str.lower)


def _title(path: Recorded) -> str:
    return f"{plain(path.begin[0]['target_name'], _LONGEST_NAME)} · Integrated Gradients"


def _caption(path: Recorded) -> str:
    content, _ = path.begin
    settings = content["settings"]
    return (
        f"{plain(content['output_name'])} {path.log.output:.3g}; baseline {plain(settings['baseline'])} "
        f"{path.log.baseline_output:.3g}; {_rule_in_words(settings)}. A recording: rules and "
        f"steps that were sampled can be chosen, others need the notebook.{_precision(path)}"
    )


def _precision(path: Recorded) -> str:
    """Returns a sentence on what the maps of a recording are off by."""
    if path.log.maps[0].dtype == "f4":
        return ""
    return " Maps are in 8 bits, off by at most 1/254 of each map's largest value."


def _rule_in_words(settings: Mapping[str, Any]) -> str:
    if settings["method"] == rules.AUTO:
        return f"sampled to an error of {settings['tol']:.3g}"
    return f"{settings['method']}, {counted(settings['n_steps'], 'step')}"


def _page(recording: Mapping[str, Any], title: str, caption: str, picture: bytes) -> str:
    script, style = front_end("standalone.js"), front_end("standalone.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<h1><bdi>{escape(title)}</bdi></h1>
<p><bdi>{escape(caption)}</bdi></p>
<main id="explorer"></main>
<noscript><img alt="{escape(title)}" src="data:image/png;base64,{_base64(picture)}"></noscript>
<script type="application/json" id="recording">{_json(recording)}</script>
<script>{script}</script>
</body>
</html>
"""


def _json(value: object) -> str:
    """Returns JSON that cannot end a script or begin a comment; `dumps` escapes all that is not ASCII."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(content: str) -> str:
    return f"'sha256-{_base64(hashlib.sha256(content.encode()).digest())}'"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
