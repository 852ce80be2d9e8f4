"""The HTML file: what it holds, that it holds nothing else, and how it is written."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ig_widgets.engine import rules
from ig_widgets.explorers.core.maps import EncodedMap, encode
from ig_widgets.explorers.core.sample_log import SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.export import html_page as export
from tests.explorers.contract.cases import BOTH, IMAGE
from tests.explorers.contract.toy import WatchedFunction
from tests.explorers.subjects import SECONDS, panes_of, photo, subject_of, tasks_of

Explore = Callable[..., Any]


class Page(HTMLParser):
    """The tags of a page, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        # A script that is data has a name of its own.
        self._in = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.texts[self._in] = self.texts.get(self._in, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


class Recording:
    """As the page's script reads it."""

    def __init__(self, text: str) -> None:
        self.fields = json.loads(Page(text).texts["recording"])
        self.answers = self.fields["answers"]
        data = zlib.decompress(base64.b64decode(self.fields["data"]))
        self.pictures: list[list[bytes]] = []
        self.maps: list[np.ndarray[Any, Any]] = []
        at = 0
        for path in self.fields["paths"]:
            sizes = [*path["arrays"], *path["maps"]]
            ends = np.cumsum([at, *sizes]).tolist()
            parts = [data[start:stop] for start, stop in itertools.pairwise(ends)]
            at, count = ends[-1], len(path["arrays"])
            self.pictures.append(parts[:count])
            levels = np.array([np.frombuffer(part, f"<{path['samples']['dtype']}") for part in parts[count:]])
            self.maps.append(levels * np.array(path["samples"]["scales"])[:, None])
        assert at == len(data)

    @property
    def rules(self) -> set[tuple[str, int]]:
        return {(a["settings"]["method"], a["settings"]["n_steps"]) for a in self.answers}


def recorded(explorer: Any) -> Recording:
    text = explorer.to_html()
    assert text is not None
    return Recording(text)


# ---------------------------------------------------------------- what it holds


def test_every_rule_whose_samples_are_there_is_answered_as_the_engine_does(explore: Explore) -> None:
    explorer = explore(n_steps=8, method="riemann_left")
    sums = {}
    for method, n in (("riemann_left", 8), ("riemann_trapezoid", 5), ("gausslegendre", 3), ("secant", 4)):
        explorer.method, explorer.n_steps = method, n
        explorer.wait()
        assert explorer.result is not None
        sums[method, n] = float(explorer.result.attributions[0].sum())
    recording = recorded(explorer)
    # And those that nobody asked for, whose samples are there all the same.
    assert recording.rules >= {*sums, ("riemann_left", 4), ("riemann_right", 4), ("riemann_left", 2)}
    assert ("secant", 8) not in recording.rules
    for answer in recording.answers:
        asked = answer["settings"]["method"], answer["settings"]["n_steps"]
        if asked in sums:
            assert answer["plan"]["sum"] == pytest.approx(sums[asked], rel=1e-6, abs=1e-9)
            total = sum(w * recording.maps[answer["path"]][i] for i, w, _, _ in answer["plan"]["entries"])
            assert total.sum() == pytest.approx(sums[asked], abs=0.05 * np.abs(total).sum())
    assert recording.answers[0]["settings"]["method"] == "secant"  # what is shown comes first


@pytest.mark.parametrize("case", [IMAGE], indirect=True, ids=str)
def test_maps_are_off_by_at_most_1_254_of_their_largest_value(explore: Explore) -> None:
    explorer = explore(inputs=photo(0, 3, 64, 64))
    explorer.wait()
    recording = recorded(explorer)
    log = panes_of(explorer)[0].log(panes_of(explorer)[0].answered)
    assert len(recording.maps[0]) == len(log.maps) == 8
    for sent, held in zip(log.maps, recording.maps[0], strict=True):
        exact = sent.decode()
        assert np.abs(exact - held).max() <= np.abs(exact).max() / 254 * (1 + 1e-9)
    assert "1/254" in explorer.to_html()


def test_small_maps_are_recorded_as_they_are_sent(explore: Explore) -> None:
    explorer = explore()
    explorer.wait()
    log = panes_of(explorer)[0].log(panes_of(explorer)[0].answered)
    assert np.array_equal(recorded(explorer).maps[0], [sent.decode() for sent in log.maps])
    assert "1/254" not in explorer.to_html()


def test_a_map_of_zeros_stays_one() -> None:
    assert export._recorded_map(encode(np.zeros((2, 3)), "i2")) == (bytes(6), 1.0)


def test_traits_and_pictures_are_those_of_the_explorer(explore: Explore) -> None:
    explorer = explore(alpha=0.3, clip=90.0, sign="positive", colormap="PuOr", baseline="ones")
    explorer.wait()
    recording = recorded(explorer)
    traits = recording.fields["traits"]
    assert (traits["alpha"], traits["clip"], traits["sign"]) == (0.3, 90.0, "positive")
    assert (traits["baseline"], traits["n_steps"], traits["colormap"]) == ("ones", 8, "PuOr")
    assert "_esm" not in traits
    assert np.frombuffer(recording.pictures[0][0], "<f4").tolist() == subject_of(explorer).inputs[0].float().tolist()
    tables = recording.fields["tables"]
    assert {"PuOr", "RdBu_r", "coolwarm"} <= set(tables) <= set(explorer._colormaps)
    assert {len(base64.b64decode(table)) for table in tables.values()} == {768}


def test_the_colour_map_in_use_is_held_whatever_it_is(explore: Explore) -> None:
    explorer = explore(colormap="viridis")
    assert "viridis" in recorded(explorer).fields["tables"]


def test_a_cancelled_run_is_shown_as_far_as_it_went(explore: Explore, chunks_of_two: None) -> None:
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait()
    model.block(after=1)
    explorer.baseline = "ones"
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait()
    recording = recorded(explorer)
    shown = [a for a in recording.answers if a["settings"]["n_steps"] == 8]
    assert [(a["settings"]["baseline"], a["plan"]["final"], a["end"]["kind"]) for a in shown] == [
        ("ones", False, "cancelled")
    ]


def test_a_cancelled_run_is_shown_beside_what_was_sampled_whole(explore: Explore, chunks_of_two: None) -> None:
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait()
    model.block(after=1)
    explorer.n_steps = 20
    model.await_entry()
    explorer.cancel()
    model.release()
    explorer.wait()
    ends = {a["settings"]["n_steps"]: (a["plan"]["final"], a["end"]["type"]) for a in recorded(explorer).answers}
    assert ends[20] == (False, "failed")
    assert ends[8] == (True, "done")


def test_a_run_that_ended_is_answered_once(explore: Explore) -> None:
    explorer = explore(method="smoothgrad")
    explorer.wait()
    found = [(a["settings"]["method"], a["plan"]["final"]) for a in recorded(explorer).answers]
    assert found == [("smoothgrad", True)]


def test_what_a_failed_wish_left_is_the_last_good_result(explore: Explore) -> None:
    model = WatchedFunction()
    explorer = explore(model)
    explorer.wait()
    handle = model.register_forward_pre_hook(lambda *_: 1 / 0)
    explorer.baseline = "ones"
    with pytest.raises(ZeroDivisionError):
        explorer.wait()
    handle.remove()
    assert recorded(explorer).fields["traits"]["baseline"] == "zeros"


def test_cells_serve_no_rule_of_points() -> None:
    record, points = SampleLog(1, 0.0, 1.0), SampleLog(2, 0.0, 1.0)
    nodes = rules.nodes("secant", 4)
    cells = list(itertools.pairwise(nodes.edges.tolist()))
    for one, keys in ((record, cells), (points, nodes.alphas.tolist())):
        one.extend(keys, [0.0] * 4, [0.0] * 4, [EncodedMap(1.0, b"", "i2")] * 4)
    settings = Settings("zeros", 1, "logit", "secant", 4, 0.0)
    assert export.rules_for(record, settings) == []
    found = [(rule.settings.method, rule.settings.n_steps) for rule in export.rules_for(points, settings)]
    assert ("riemann_middle", 4) in found
    assert all(method != "secant" for method, _ in found)


@pytest.mark.parametrize("options", [{"method": "secant", "n_steps": 6}, {"method": "auto", "tol": 0.02}], ids=str)
def test_cells_and_runs_to_a_tolerance_are_recorded(explore: Explore, options: dict[str, Any]) -> None:
    explorer = explore(target=1)
    explorer.wait()
    for name, value in options.items():
        setattr(explorer, name, value)
    explorer.wait()
    recording = recorded(explorer)
    settings = vars(panes_of(explorer)[0].answered)
    (first, *_), (number,) = recording.answers, {a["path"] for a in recording.answers if a["settings"] == settings}
    assert (first["settings"], first["path"], number) == (settings, 0, 0)
    assert explorer.result is not None
    assert first["plan"]["sum"] == pytest.approx(float(explorer.result.attributions.sum()), rel=1e-6)
    # What was asked before can be chosen still.
    assert ("riemann_middle", 8) in recording.rules


# ---------------------------------------------------------------- that it holds nothing else


@BOTH
def test_nothing_but_its_own_script_may_run_and_nothing_be_fetched(explore: Explore) -> None:
    explorer = explore()
    text = explorer.to_html()
    assert text is not None
    page = Page(text)
    # Nothing that anybody gave stands before the policy, which holds from there on.
    assert [tag for tag, _ in page.tags][:4] == ["html", "head", "meta", "meta"]
    assert "Content-Security-Policy" in page.tags[3][1].values()
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy is not None
    rules_of = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules_of["default-src"] == rules_of["connect-src"] == "'none'"
    assert rules_of["img-src"] == "data: blob:"
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(page.texts[tag].encode()).digest()).decode()
        assert rules_of[kind] == f"'sha256-{digest}'"
    addresses = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href")]
    assert len(addresses) == 1
    assert str(addresses[0]).startswith("data:image/png;base64,")
    assert "noscript" in [tag for tag, _ in page.tags]


# ---------------------------------------------------------------- how it is written


def test_it_is_written_whole_and_over_what_was_there(explore: Explore, tmp_path: Path) -> None:
    explorer = explore()
    explorer.wait()
    assert tasks_of(explorer).wait(SECONDS)  # curves are in the file
    file = tmp_path / "explorer.html"
    file.write_text("before")
    assert explorer.to_html(file) is None
    assert file.read_text(encoding="utf-8") == explorer.to_html()
    assert [found.name for found in tmp_path.iterdir()] == ["explorer.html"]
    file.with_name("other").touch()
    assert file.stat().st_mode == file.with_name("other").stat().st_mode
