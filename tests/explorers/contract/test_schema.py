"""What both sides read of the schema, and that what all explorers share speaks of no kind of data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ig_widgets
from ig_widgets.explorers.core.explorer import Explorer
from ig_widgets.explorers.core.settings import FORMS, Settings
from ig_widgets.explorers.explore import KINDS
from ig_widgets.explorers.widget import schema
from ig_widgets.explorers.widget.schema import writable
from tests.explorers.contract.toy import ToyExplorer

FIXTURE = json.loads((Path(__file__).parents[2] / "fixtures" / "settings.json").read_text())
SOURCES = Path(ig_widgets.__file__).parent / "explorers"
SHARED = [path for folder in ("widget", "core", "panels") for path in sorted((SOURCES / folder).glob("*.py"))]


def forms(kind: type) -> dict[str, str]:
    return {name: form.name for name, form in writable(kind).items()}


def test_the_front_end_knows_the_settings() -> None:
    assert sorted(FIXTURE["settings"]) == sorted(FORMS) == sorted(Settings.__dataclass_fields__)


def test_the_front_end_knows_what_it_may_write_and_in_which_form() -> None:
    assert FIXTURE["writable"] == {name: forms(kind.explorer) for name, kind in KINDS.items()}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", [ToyExplorer, *(kind.explorer for kind in KINDS.values())], ids=lambda kind: kind.__name__
)
def test_every_explorer_may_be_asked_for_all_settings(kind: type) -> None:
    own = forms(kind)
    assert {name: own[name] for name in FORMS} == {name: form.name for name, form in FORMS.items()}
    assert own.items() >= forms(Explorer).items()
    # Only what is synchronised can be written by a front end.
    assert own.keys() <= kind.class_traits(sync=True).keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", SHARED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_all_explorers_share_speaks_of_no_image(path: Path) -> None:
    found = re.findall(r"\b(photo|photos|pixels?|rgb|height|width)\b", path.read_text().lower())
    assert found == []


def test_the_edges_of_what_a_front_end_may_write() -> None:
    largest = 2**53  # beyond it a float64 does not tell integers apart
    for good in (largest, -largest, 0):
        assert schema.is_integer(good)
        assert schema.is_number(good)
        assert schema.is_number(float(good))
    for bad in (largest + 1, -largest - 1, 10**400, float("nan"), float("inf"), 2.0**54, True, "1", None):
        assert not schema.is_integer(bad)
        assert not schema.is_number(bad)
    assert schema.is_text("x" * schema.TEXT_LENGTH)
    assert not schema.is_text("x" * (schema.TEXT_LENGTH + 1))
    assert schema.is_text("\ud7ff\ue000")
    assert not schema.is_text("\ud800")
    assert not schema.is_text("\udfff")
