"""Texts of strangers, in tables and figures: each is there as a text, on a line of its own, and nothing else."""

from __future__ import annotations

import html.parser
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import ig_widgets as igw
from ig_widgets import faithfulness, figures, relatives
from ig_widgets.tables import html_table, text_table
from ig_widgets.texts import plain, printable, whole
from tests.explorers.subjects import Classifier, photo
from tests.hostile import CORPUS, TEXTS

pytestmark = pytest.mark.robustness

FIXTURE = Path(__file__).parent / "fixtures" / "plain.json"
# Controls, what turns texts, half pairs, line separators: what a reader cannot see and a terminal obeys.
UNSAFE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff\u2028\u2029\ufeff]")
# Of fonts that lack a character, matplotlib says so.
no_glyphs = pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")


# ---------------------------------------------------------------- one line


def test_there_are_at_least_fifty() -> None:
    assert len(set(TEXTS)) == len(CORPUS) >= 50


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 40))
def test_so_is_any_other(text: str, most: int) -> None:
    made = plain(text, most)
    assert not UNSAFE.search(made)
    made.encode()
    assert len(made.strip("\u200e")) <= most
    assert not re.search(r"\s\s|[^\S ]|^ | $", made)


@pytest.mark.parametrize("most", [5, 60, 2000])
@pytest.mark.parametrize("name", CORPUS)
def test_a_plain_text_is_short_and_does_nothing(name: str, most: int) -> None:
    text = CORPUS[name]
    made = plain(text, most)
    assert "\n" not in made
    assert not UNSAFE.search(made)
    made.encode()
    inner = made.strip("\u200e")
    assert len(inner) <= most
    assert plain(made, most + 2).strip("\u200e") == inner
    if len(text) < most and text.isascii() and text.isprintable():
        assert made == " ".join(text.split())


def test_the_front_end_writes_them_the_same_way() -> None:
    known = json.loads(FIXTURE.read_text("ascii"))
    # Of the long ones as much as is looked at.
    assert known == [[text[:500], most, plain(text[:500], most)] for text in TEXTS for most in (24, 60)]


def test_accents_stay_on_their_letters_as_far_as_languages_have_them() -> None:
    assert plain("Việt e\u0323\u0302 שָׁ") == "\u200eViệt e\u0323\u0302 שָׁ\u200e"
    assert plain("a" + "\u0301" * 9 + "b" + "\u0301" * 9) == "a" + "\u0301" * 4 + "b" + "\u0301" * 4


def test_numbers_after_right_to_left_words_stay_after_them() -> None:
    # A left-to-right mark is a letter of no width: what stands behind it is no part of the words before.
    assert plain("\u0642\u0637\u0629") + " 0.5" == "\u200e\u0642\u0637\u0629\u200e 0.5"


def test_what_is_whole_can_be_sent_and_is_left_alone_where_it_could_be() -> None:
    for text in TEXTS:
        whole(text).encode()
    assert whole("\ud83d\ude00|\ud83d") == "\U0001f600|\ufffd"
    assert [text for text in TEXTS if whole(text) != text] == [
        text for text in TEXTS if re.search("[\ud800-\udfff]", text)
    ]


def test_lines_stay_lines_in_a_log() -> None:
    assert printable("a\n\tb\x1b[2J\r\u202e") == "a\n\tb\\x1b[2J\\r\\u202e"


# ---------------------------------------------------------------- tables and reprs


class Tags(html.parser.HTMLParser):
    """The elements of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.attributes += attrs


def test_tables_hold_them_as_text() -> None:
    table = html_table(["name"], [[text] for text in TEXTS])
    assert Tags(table).seen == Counter(div=1, table=1, thead=1, tbody=1, tr=len(TEXTS) + 1, th=1, td=len(TEXTS))
    assert Tags(table).attributes == [("class", "mathjax_ignore tex2jax_ignore")]
    lines = text_table(["name", "number"], [[text, "1"] for text in TEXTS]).split("\n")
    assert len(lines) == len(TEXTS) + 1
    assert max(map(len, lines)) < 80
    for text in (table, "\n".join(lines)):
        assert not UNSAFE.search(text.replace("\n", ""))


@pytest.fixture(scope="module")
def explained() -> Any:
    """Results over all of these names."""
    torch_photo = photo()[None]
    model = Classifier()
    result = igw.attribute(model, torch_photo, target=0, n_steps=2, method="riemann_middle")
    names = list(dict.fromkeys(TEXTS))
    audits = faithfulness.audit_regions(
        model, torch_photo, dict.fromkeys(names, (0, 0, 4, 4)), attributions=result, target=0
    )
    several = relatives.over_baselines(
        model, torch_photo, baselines={name: torch.full_like(torch_photo, i / 99) for i, name in enumerate(names[:90])},
        target=0, n_steps=2, method="riemann_middle",
    )  # fmt: skip
    return names, result, audits, several


def test_results_print_them_as_text(explained: Any) -> None:
    names, _, audits, several = explained
    for result, count in ((audits, len(names)), (several, 91)):
        assert len(repr(result).split("\n")) in (count + 1, count + 2)
        assert Tags(result._repr_html_()).seen["tr"] == count + 1
        assert {*Tags(result._repr_html_()).seen} <= {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
        assert not UNSAFE.search(repr(result).replace("\n", ""))
    for one in audits:
        assert not UNSAFE.search(repr(one))
        assert len(repr(one)) < 300


# ---------------------------------------------------------------- figures


def texts_of(svg: bytes) -> list[str]:
    """What an SVG writes, and that it has no element, attribute or address beyond those of any such figure."""
    root = ElementTree.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= SVG_TAGS, tags - SVG_TAGS
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            if name.rpartition("}")[2] in ("href", "src"):
                assert value.startswith(("#", "data:image/png;base64,"))
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]


# What matplotlib writes of any figure: of markup in labels there is no script, no a, no foreignObject, no animate.
SVG_TAGS = {"svg", "metadata", "RDF", "Work", "type", "Agent", "title", "format", "creator"} | {
    *("defs", "style", "g", "path", "use", "clipPath", "rect", "image", "text")
}


@no_glyphs
def test_figures_write_them_as_text(explained: Any) -> None:
    names, result, audits, _ = explained
    picture = np.asarray(photo().permute(1, 2, 0))
    for at in range(0, len(names), 12):
        title, unit, *captions = (names[(at + i) % len(names)] for i in range(12))
        drawn = figures.image(result, picture, title=title, unit=unit, caption="\n".join(one[:90] for one in captions))
        assert max(drawn.get_size_inches()) < 25
        shown = {*texts_of(figures.to_svg(drawn))}
        assert {plain(title), plain(unit, 60)} - {""} <= shown
        said = " ".join(shown)
        # Lines are broken at any control that ends one, and words that are longer than a line.
        lines = [line for caption in captions for line in caption[:90].splitlines()]
        assert [word for line in lines for word in plain(line, 90).split() if word[:20] not in said] == []
        assert not any(map(UNSAFE.search, shown))
    written = texts_of(figures.to_svg(figures.audit(audits, picture, caption="\n".join(names))))
    assert not any(map(UNSAFE.search, written))
    assert sum(re.match(r"\d+ \S", text) is not None for text in written) >= len([n for n in names if plain(n)])


@no_glyphs
def test_figures_of_checks_write_them_as_text() -> None:
    for at in range(0, len(TEXTS), 20):
        some = TEXTS[at : at + 20]
        like = torch.zeros(1, len(some), dtype=torch.float64)
        check = faithfulness.Randomization(some, "cascading", like, like, like, (), 0)
        written = texts_of(figures.to_svg(figures.randomization(check)))
        assert {plain(text, 24) or "the model" for text in some} <= set(written)
    shares = torch.linspace(0, 1, 3, dtype=torch.float64)
    for name in ("broken mathtext", "svg script", "NUL", "all overrides", "first half of a pair", "10 kB of marks"):
        curves = faithfulness.Curves("deletion", CORPUS[name], shares, shares[None], shares[None, None], 0, 6)
        said = " ".join(texts_of(figures.to_svg(figures.curves(curves, unit=CORPUS[name]))))
        assert f"Fill: {plain(CORPUS[name])[:10]}" in said
        assert not UNSAFE.search(said)


@no_glyphs
def test_they_are_drawn(explained: Any) -> None:
    names, _, audits, _ = explained
    picture = np.asarray(photo().permute(1, 2, 0))
    odd = [name for name in names if not name.isprintable() or "$" in name][::8]
    made = {name: torch.full((1, 3, 16, 16), i / 99, dtype=torch.float64) for i, name in enumerate(odd)}
    several = relatives.over_baselines(Classifier(), photo()[None], baselines=made, target=0, n_steps=2)
    for drawn in (
        figures.audit(audits, picture, title=names[0], caption="\n".join(name[:200] for name in names)),
        figures.over_baselines(several, picture, caption="\n".join(reversed(names))),
    ):
        made = Image.open(io.BytesIO(figures.to_png(drawn, dpi=30)))
        assert max(made.size) < 3000
