"""Several pictures in one explorer: a list, a batch or a folder, gone through with one set of settings."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.explorers.image import pictures as pictures_module
from tests.explorers.subjects import LABELS, SECONDS, Classifier, Watched, as_picture, photo, ready, tasks_of

THREE = [photo(0), photo(1), photo(2)]


def first_choice(picture: Any, model: Any = None) -> int:
    return int((Classifier() if model is None else model)(picture[None]).argmax())


def same_map(explorer: Any, picture: Any) -> bool:
    """Whether the newest result is of this picture: completeness holds for F of it."""
    result = explorer.result
    return torch.allclose(result.output, Classifier()(picture[None])[:, explorer.target])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(4):
        Image.fromarray(as_picture(photo(i))).save(tmp_path / f"{3 - i}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("form", ["list", "batch", "array"])
def test_each_is_shown_by_its_index_and_settings_stay(explore: Any, form: str) -> None:
    batch = torch.stack(THREE)
    given = {"list": THREE, "batch": batch, "array": batch.permute(0, 2, 3, 1).numpy()}[form]
    explorer = explore(inputs=given, method="gausslegendre", alpha=0.4, region=(1, 1, 5, 5))
    explorer.baseline = "blur"
    assert explorer._inputs == ["picture 0", "picture 1", "picture 2"]
    for index in (2, 0, 1, -1):
        explorer.index = index
        explorer.wait(SECONDS)
        assert explorer.index == index % 3
        assert explorer.input == f"picture {index % 3}"
        assert same_map(explorer, THREE[index])
        assert explorer.target == first_choice(THREE[index])
        assert (explorer.method, explorer.alpha, explorer.baseline) == ("gausslegendre", 0.4, "blur")
        assert explorer.region == (1, 1, 5, 5)


def test_a_target_that_was_set_stays_and_one_that_was_not_is_each_pictures_own(explore: Any) -> None:
    def brightest(x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))

    pictures = list(torch.eye(3, dtype=torch.float64)[:, :, None, None].expand(-1, -1, 4, 4))
    explorer = explore(brightest, pictures, labels=["red", "green", "blue"])
    for index in (0, 1, 2, 0):
        explorer.index = index
        assert explorer.target == index
        assert explorer._top[0][0] == index
    explorer.target = "green"
    for index in (2, 1, 0):
        explorer.index = index
        assert explorer.target == 1
    # Also where it is what the model would say of the first.
    given = explore(brightest, pictures, target=0)
    given.index = 1
    assert given.target == 0


def test_going_back_costs_no_pass(explore: Any) -> None:
    model = Watched()
    explorer = explore(model, inputs=THREE)
    for index in (1, 2, 0):
        explorer.index = index
        explorer.wait(SECONDS)
    before = model.rows
    for index in (1, 2, 0):
        explorer.index = index
        explorer.wait(SECONDS)
    assert model.rows == before
    assert same_map(explorer, THREE[0])


def test_a_folder_is_read_in_order_and_what_is_no_picture_is_named(explore: Any, folder: Path) -> None:
    explorer = explore(inputs=folder, labels=LABELS)
    assert explorer._inputs == ["0.png", "1.png", "2.png", "3.png"]
    assert "broken.jpg" in explorer._notice["text"]
    explorer.wait(SECONDS)
    # It stays, as views that open later are to see it.
    assert "broken.jpg" in explorer._notice["text"]
    assert explorer._notice["lasts"]
    assert "notes" not in explorer._notice["text"]
    explorer.index = 3
    explorer.wait(SECONDS)
    assert explorer.image == folder / "3.png"
    shown = explorer._subject.photo
    assert np.array_equal(shown, as_picture(photo(0)))


def test_a_file_that_breaks_later_is_refused_and_the_last_picture_stays(explore: Any, folder: Path) -> None:
    explorer = explore(inputs=str(folder))
    data = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data[: len(data) // 2])
    for name, value in (("index", 2), ("input", "2.png")):
        with pytest.raises(traitlets.TraitError, match=r"2\.png.*no picture that can be read"):
            setattr(explorer, name, value)
    assert (explorer.index, explorer.input) == (0, "0.png")
    explorer.index = 3
    explorer.wait(SECONDS)
    assert explorer.input == "3.png"


def test_pictures_are_read_when_they_are_asked_for(
    explore: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = io.BytesIO()
    Image.fromarray(as_picture(photo())).save(data, "PNG")
    for i in range(200):
        (tmp_path / f"{i:03}.png").write_bytes(data.getvalue())
    read: list[object] = []
    original = pictures_module.ImageSubject.__init__

    def count(self: Any, model: Any, picture: Any, *rest: Any, **options: Any) -> None:
        read.append(picture)
        original(self, model, picture, *rest, **options)

    monkeypatch.setattr(pictures_module.ImageSubject, "__init__", count)
    explorer = explore(inputs=tmp_path)
    assert len(read) == 1
    for index in range(0, 200, 10):
        explorer.index = index
    explorer.wait(SECONDS)
    assert len(read) == 20
    assert len(explorer._image_list._loaded) <= 8


def test_pictures_of_other_sizes_and_channels(explore: Any) -> None:
    wide = photo(3, 3, 8, 24)
    grey = photo(4, 1)
    explorer = explore(inputs=[photo(0), wide, grey], region=(10, 10, 15, 15))
    view = explorer.comm.open_view()
    explorer.channel = "blue"
    explorer.index = 1
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["display"]["shape"] == [8, 24]
    assert explorer.region is None
    assert "region" in explorer._notice["text"]
    assert explorer.result.attributions.shape == (1, 3, 8, 24)
    explorer.index = 2
    explorer.wait(SECONDS)
    # Grey in three channels, as the model takes it.
    assert explorer.result.attributions.shape == (1, 3, 16, 16)
    assert explorer.channel == "blue"


def test_panes_may_show_different_pictures(explore: Any) -> None:
    explorer = explore(inputs=THREE)
    explorer.compare({"input": "picture 2"}, {"input": "picture 1", "baseline": "white"})
    explorer.wait(SECONDS)
    for result, picture in zip(explorer.results, (THREE[0], THREE[2], THREE[1]), strict=True):
        assert torch.allclose(result.output, Classifier()(picture[None])[:, explorer.target])
    with pytest.raises(traitlets.TraitError, match="input must be one of the pictures"):
        explorer.compare({"input": "picture 9"})


def test_a_file_holds_which_picture_is_shown_in_each_pane(explore: Any, restore: Any) -> None:
    pictures = [photo(0), photo(1), photo(2, 3, 12, 20)]
    explorer = explore(inputs=pictures, index=2, labels=LABELS)
    explorer.compare({"input": "picture 1"})
    ready(explorer)
    model = Watched()
    again = restore(explorer, model, pictures)
    again.wait(SECONDS)
    assert again.input == "picture 2"
    assert again.index == 2
    assert model.rows_with_gradient == 0
    for one, other in zip(again.results, explorer.results, strict=True):
        assert torch.equal(one.attributions, other.attributions)


def test_a_file_of_other_pictures_is_told(explore: Any, restore: Any) -> None:
    explorer = explore(inputs=THREE, index=1, labels=LABELS)
    ready(explorer)
    with pytest.warns(UserWarning, match="another model or input"):
        restore(explorer, None, [photo(5), photo(6), photo(7)])


def test_exports_tell_which_picture_they_show(explore: Any) -> None:
    explorer = explore(inputs=THREE, index=1)
    ready(explorer)
    assert "picture 1" in (explorer.to_html() or "")
    assert b"picture 1: " in explorer._panel(ExportPanel).drawing().svg()


def test_cards_and_audits_and_dependence_follow_the_picture(explore: Any) -> None:
    explorer = explore(inputs=THREE, region=(2, 2, 9, 9))
    baselines = ["black", "blur"]
    found = []
    for index in (0, 1, 0):
        explorer.index = index
        cards = {card.name: card.output for card in explorer.gallery()}
        found.append((cards["blur"], explorer.audit().attribution_sum, explorer.dependence(baselines).dependence))
        alone = explore(inputs=THREE[index], region=(2, 2, 9, 9), target=explorer.target)
        again = {card.name: card.output for card in alone.gallery()}
        assert again["blur"] == pytest.approx(cards["blur"], rel=1e-9)
        assert alone.audit().attribution_sum == pytest.approx(found[-1][1], rel=1e-9)
        assert alone.dependence(baselines).dependence == pytest.approx(found[-1][2], rel=1e-9)
    assert found[0] == pytest.approx(found[2], rel=1e-12)
    assert found[0] != found[1]


def test_a_given_baseline_is_on_offer_for_all(explore: Any) -> None:
    explorer = explore(inputs=[photo(0), photo(1, 3, 8, 24)], baseline=Image.fromarray(as_picture(photo(9))))
    assert explorer.baseline == "given picture"
    explorer.index = 1
    explorer.wait(SECONDS)
    assert explorer.baseline == "given picture"
    assert explorer._subject.baseline(explorer._settings()).shape == (1, 3, 8, 24)
    explorer.baseline = torch.zeros(1, 3, 8, 24)
    explorer.index = 0
    explorer.wait(SECONDS)
    # A tensor of another size is of no use here.
    assert explorer.baseline == "black"
    assert "baseline is black again" in explorer._notice["text"]


def test_another_picture_takes_its_place(explore: Any) -> None:
    explorer = explore(inputs=photo(0), method="gausslegendre")
    explorer.compare({"baseline": "white"})
    for seed in (1, 2):
        explorer.image = photo(seed)
        explorer.wait(SECONDS)
        assert same_map(explorer, photo(seed))
        assert torch.equal(explorer.image, photo(seed))
        assert explorer.method == "gausslegendre"
        assert len(explorer._inputs) == 1
    explorer.image = THREE
    explorer.wait(SECONDS)
    assert len(explorer._inputs) == 3
    assert same_map(explorer, THREE[0])
    before = explorer.input
    with pytest.raises(ArgumentValueError, match="divide by 255"):
        explorer.image = photo(3) * 255
    assert explorer.input == before
    explorer.index = 2
    explorer.wait(SECONDS)
    assert same_map(explorer, THREE[2])


@pytest.mark.parametrize("value", [3, -4, True])
def test_an_index_that_is_none(explore: Any, value: Any) -> None:
    explorer = explore(inputs=THREE)
    with pytest.raises(traitlets.TraitError, match="index must be from 0 to 2"):
        explorer.index = value
    with pytest.raises(traitlets.TraitError, match="index must be from 0 to 2"):
        explore(inputs=THREE, index=value)
    assert explorer.index == 0


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ([], ArgumentValueError, "empty list"),
        ([photo(), 3], ArgumentTypeError, "entry 1 of the list is of type int"),
        ([[0.1, 0.2], [0.3, 0.4]], ArgumentTypeError, "entry 0 .* make an array first"),
        (torch.zeros(0, 3, 4, 4), ArgumentValueError, r"\(0, 3, 4, 4\)"),
    ],
)
def test_pictures_that_are_none(explore: Any, given: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^image .*{says}"):
        explore(inputs=given)


def test_an_empty_folder_is_told(explore: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentValueError, match=r"is a folder without pictures \(\.bmp, "):
        explore(inputs=tmp_path)


def test_files_of_one_name_have_two(explore: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    for i, path in enumerate(paths):
        path.parent.mkdir()
        Image.fromarray(as_picture(photo(i))).save(path)
    assert explore(inputs=paths)._inputs == ["x.png", "x.png (2)"]


# ---------------------------------------------------------------- the front end


def test_a_front_end_goes_to_a_picture_by_its_name(explore: Any) -> None:
    explorer = explore(inputs=THREE)
    view = explorer.comm.open_view()
    explorer.comm.set_traits(input="picture 2")
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert explorer.index == 2
    assert view.begin["settings"]["input"] == "picture 2"
    assert view.begin["settings"]["target"] == explorer.target == first_choice(THREE[2])
    explorer.comm.set_traits(input="another")
    assert explorer.input == "picture 2"
    assert "input must be one of the pictures" in explorer._notice["text"]


def test_thumbnails_are_made_where_a_front_end_looks(explore: Any, folder: Path) -> None:
    explorer = explore(inputs=[*THREE, folder / "0.png", folder / "broken.jpg", photo(0, 1, 200, 100)])
    assert explorer._thumbnails == []
    explorer.comm.set_traits(_strip=1)
    assert tasks_of(explorer).wait(SECONDS)
    made = {one["name"]: bytes(one["picture"]) for one in explorer._thumbnails}
    assert list(made) == explorer._inputs[1:]
    assert made["broken.jpg"] == b""
    small = np.asarray(Image.open(io.BytesIO(made["picture 1"])).convert("RGB"))
    assert np.array_equal(small, as_picture(THREE[1]))
    assert Image.open(io.BytesIO(made["picture 5"])).size == (32, 64)
    assert explorer.trait_metadata("_thumbnails", "recorded") is False
