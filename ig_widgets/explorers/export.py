"""One explorer as one HTML file, which works with no kernel and no network.

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
from ig_widgets.explorers import protocol
from ig_widgets.explorers.base import front_end
from ig_widgets.explorers.stream import Pieces, Record
from ig_widgets.texts import plain

# Usual diverging ones, but for those that set red against green. The current one is always added.
_COLORMAPS = ("RdBu_r", "RdBu", "PuOr_r", "PuOr", "BrBG_r", "BrBG", "PRGn", "RdGy_r", "RdYlBu_r", "coolwarm", "bwr")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Rule:
    """A wish that can be answered, the samples that it takes, and the error that it was estimated to have."""

    settings: protocol.Settings
    pieces: Pieces
    evaluations: int
    error: float | None = None


@dataclass(frozen=True)
class Recorded:
    """One path: the `begin` message of its requests, what was sampled on it, and the `rules` that these serve."""

    begin: protocol.Message
    record: Record
    rules: Sequence[Rule]


def rules_for(record: Record, settings: protocol.Settings) -> list[Rule]:
    """Every rule of points, with any number of them, whose samples are all in `record`; all else as in `settings`."""
    count = len(record.maps)
    points = {key for key, at in list(record.ids.items()) if at < count and not isinstance(key, tuple)}
    methods = [name for name in rules.METHODS if name != rules.SECANT]
    # A trapezoid has two ends.
    asked = [(m, n) for m in methods for n in range(1, len(points) + 1) if (m, n) != ("riemann_trapezoid", 1)]
    found = []
    for method, n in asked:
        nodes = rules.nodes(method, n)
        keys: list[Key] = nodes.alphas.tolist()
        if points.issuperset(keys):
            wish = replace(settings, method=method, n_steps=n, tol=0.0)
            found.append(Rule(wish, Pieces(keys, nodes.edges), n))
    return found


def to_html(recorded: Sequence[Recorded], *, traits: Mapping[str, Any], picture: bytes) -> str:
    """The text of an HTML file that shows what was `recorded`: first the path that is shown first, with its settings.

    `traits` are the front end's, but for its colours. `picture`, a PNG, is shown where no script runs. Maps are rounded
    to 8 bits, with a scale each: a value is off by at most 1/254 of its map's largest. Where the first path lacks
    samples of its own rule, as in a cancelled run, what it has is shown.
    Raises ImportError where the front end is not built.
    """
    paths, answers, parts = [], [], []
    for number, path in enumerate(recorded):
        content, pictures = path.begin
        encoded = list(path.record.maps)  # it may be growing
        maps, scales = zip(*map(_to_8_bits, encoded), strict=True)
        samples, _ = protocol.samples(path.record.number, 0, [protocol.EncodedMap(scale, b"") for scale in scales])
        samples["sums"] = path.record.density[: len(maps)]  # of maps in 8 bits they would be off
        begin = {**content, "total": 0}
        sizes = {"pictures": [*map(len, pictures)], "maps": [*map(len, maps)]}
        paths.append({"begin": begin, "samples": samples, **sizes})
        answers += _answers(number, path, len(maps), partial=number == 0)
        parts += [*pictures, *maps]
    recording = {
        "traits": dict(traits),
        "tables": {name: _base64(figures.color_table(name).tobytes()) for name in _colormaps(traits["colormap"])},
        "paths": paths,
        "answers": answers,
        "data": _base64(zlib.compress(b"".join(parts), 9)),
    }
    return _page(recording, _title(recorded[0]), _caption(recorded[0]), picture)


def _to_8_bits(encoded: protocol.EncodedMap) -> tuple[bytes, float]:
    levels = np.frombuffer(encoded.values, "<i2").astype(np.float64)
    step = float(np.abs(levels).max(initial=0.0)) / 127 or 1.0
    return np.rint(levels / step).astype(np.int8).tobytes(), encoded.scale * step


def _answers(number: int, path: Recorded, count: int, *, partial: bool) -> list[dict[str, Any]]:
    """What the kernel says to each wish that the first `count` samples of a path serve."""
    settings = path.begin[0]["settings"]

    found = []
    for rule in path.rules:
        plan, _ = path.record.plan(count, rule.pieces, rule.evaluations, final=True, error=rule.error)
        end, _ = protocol.done(rule.evaluations, 0.0)
        found.append({"path": number, "settings": vars(rule.settings).copy(), "plan": plan, "end": end})
    if partial and all(known["settings"] != settings for known in found):
        plan, _ = path.record.plan(count, None, count, final=False)
        end, _ = protocol.failed("cancelled", "cancelled before all was sampled")
        found.append({"path": number, "settings": settings, "plan": plan, "end": end})
    return found


def _colormaps(current: str) -> list[str]:
    names = {name for name in _COLORMAPS if name in matplotlib.colormaps} | {current}
    return sorted(names, key=str.lower)


def _title(path: Recorded) -> str:
    return f"{plain(path.begin[0]['class_name'], _LONGEST_NAME)} · Integrated Gradients"


def _caption(path: Recorded) -> str:
    content, _ = path.begin
    settings = content["settings"]
    return (
        f"{plain(content['output_name'])} {path.record.output:.3g}; baseline {plain(settings['baseline'])} "
        f"{path.record.baseline_output:.3g}; {_rule_in_words(settings)}. A recording: rules and "
        f"steps that were sampled can be chosen, others need the notebook. Maps are in 8 bits, off by at most 1/254 of "
        f"each map's largest value."
    )


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
    """JSON in which nothing ends a script or begins a comment; all that is not ASCII is escaped by `dumps`."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(content: str) -> str:
    return f"'sha256-{_base64(hashlib.sha256(content.encode()).digest())}'"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
