"""Which explorer `explore` makes of which data."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch import nn

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers import ImageExplorer, TableExplorer, explore
from ig_widgets.explorers.explore import KINDS
from tests.explorers.subjects import LABELS, SECONDS, Classifier, as_picture, photo
from tests.explorers.test_table import Rows

PICTURES = [Image.fromarray(as_picture(photo())), as_picture(photo()), photo(), photo().float()]
TABLES = [[1.0, 2, 3, 4], np.ones(4), torch.ones(1, 4), {"a": 1, "b": 2, "c": 3, "d": 4}, pandas.Series([1.0, 2, 3, 4])]


def kind_of(explorer: Any) -> str:
    explorer.wait(SECONDS)
    explorer.close()
    return type(explorer).__name__


@pytest.mark.parametrize("data", PICTURES, ids=lambda data: type(data).__name__)
def test_pictures_are_explored_as_images(data: object) -> None:
    assert kind_of(explore(Classifier(), data, n_steps=2)) == "ImageExplorer"
    assert kind_of(explore(Classifier(), data, kind="image", n_steps=2)) == "ImageExplorer"


@pytest.mark.parametrize("data", TABLES, ids=lambda data: type(data).__name__)
def test_rows_are_explored_as_tables(data: object) -> None:
    assert kind_of(explore(Rows(), data, n_steps=2)) == "TableExplorer"
    assert kind_of(explore(Rows(), data, kind="table", n_steps=2)) == "TableExplorer"


def test_options_are_those_of_the_explorer() -> None:
    explorer = explore(Rows(), TABLES[0], labels=LABELS, target="espresso", n_steps=3, names=list("abcd"))
    assert isinstance(explorer, TableExplorer)
    assert (explorer.target, explorer.n_steps) == (2, 3)
    explorer.wait(SECONDS)
    explorer.close()
    with pytest.raises(ArgumentTypeError, match="TableExplorer has no option regoin"):
        explore(Rows(), TABLES[0], regoin=(1, 1, 2, 2))


OTHERS = ["a text", None, 3.0, torch.ones(4, 4), torch.ones(2, 3, 4, 4), {}, object(), [[1], [2]]]


@pytest.mark.parametrize("data", OTHERS, ids=lambda data: str(tuple(getattr(data, "shape", [type(data).__name__]))))
def test_data_that_none_takes_are_named_and_so_is_what_each_takes(data: object) -> None:
    with pytest.raises(ArgumentTypeError, match=rf"(?s)image: a PIL image.*table: a row.*got {type(data).__name__}"):
        explore(nn.Identity(), data)


def test_a_kind_that_is_none_is_named() -> None:
    with pytest.raises(ArgumentValueError, match="kind must be one of image, table, got 'images'"):
        explore(Classifier(), photo(), kind="images")


def test_data_that_two_would_take_need_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {name: type(kind)(kind.explorer, lambda _data: True, kind.data) for name, kind in KINDS.items()}
    # The module has the name of its function.
    monkeypatch.setattr(sys.modules["ig_widgets.explorers.explore"], "KINDS", both)
    with pytest.raises(
        ArgumentValueError, match=r"image or as table \(Tensor \(3, 16, 16\)\); give kind='image' or kind='table'"
    ):
        explore(Classifier(), photo())
    assert kind_of(explore(Classifier(), photo(), kind="image", n_steps=2)) == "ImageExplorer"


def test_no_data_are_taken_by_two_kinds() -> None:
    for data in (*PICTURES, *TABLES):
        assert sum(kind.accepts(data) for kind in KINDS.values()) == 1


def test_it_is_a_public_name() -> None:
    assert igw.explore is explore
    assert {kind.explorer for kind in KINDS.values()} == {ImageExplorer, TableExplorer}
