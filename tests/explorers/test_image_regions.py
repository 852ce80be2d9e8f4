"""Regions of an image explorer: what was attributed to them, and what the model says of them."""

import numpy as np
import pytest
import torch
import traitlets

import ig_widgets as igw
from tests.explorers.subjects import SECONDS, Classifier, photo, tasks_of


@pytest.mark.parametrize(
    "region",
    [(2, 3, 10, 12), [(1, 1), (14, 2), (7, 13)], np.eye(16, dtype=bool)],
    ids=["rectangle", "polygon", "mask"],
)
def test_a_region_is_audited_by_asking_the_model(explore, region):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, baseline="white")
    explorer.region = region
    audit = explorer.audit()
    mask = torch.from_numpy(igw.faithfulness.region_mask(region, 16, 16))
    attributions = explorer.result.attributions[0].sum(0)
    white = torch.ones_like(image)
    assert audit.attribution_sum == pytest.approx(float(attributions[mask].sum()), rel=1e-6)
    assert audit.share == pytest.approx(float(attributions[mask].sum() / attributions.sum()), rel=1e-6)
    assert audit.output == pytest.approx(model(image)[0, 1].item())
    assert audit.output_without_region == pytest.approx(model(torch.where(mask, white, image))[0, 1].item(), rel=1e-5)
    assert audit.output_with_region_only == pytest.approx(model(torch.where(mask, image, white))[0, 1].item(), rel=1e-5)


def test_regions_of_the_front_end_become_a_table_in_both(explore):
    explorer = explore(target=1)
    explorer.wait(SECONDS)
    explorer._regions = [
        {"kind": "rectangle", "box": [0, 0, 8, 16]},
        {"kind": "rectangle", "box": [8, 0, 16, 16]},
    ]
    tasks_of(explorer).wait(SECONDS)
    audits = explorer.audits()
    assert explorer.region == (8, 0, 16, 16)
    assert len(audits) == len(explorer._audits) == 2
    total = float(explorer.result.attributions.sum())
    assert sum(row["sum"] for row in explorer._audits) == pytest.approx(total, rel=1e-6)
    assert [row["without"] for row in explorer._audits] == [a.output_without_region for a in audits]
    explorer.region = None
    tasks_of(explorer).wait(SECONDS)
    assert explorer._regions == explorer._audits == []
    with pytest.raises(ValueError, match="no region"):
        explorer.audit()


@pytest.mark.parametrize(
    "region", [(5, 5, 5, 9), (20, 20, 30, 30), np.zeros((16, 16), bool), np.ones((4, 4), bool), "all", (1, 2, 3)]
)
def test_a_region_without_pixels_is_refused_and_the_last_one_stays(explore, region):
    explorer = explore()
    explorer.region = (0, 0, 4, 4)
    with pytest.raises(traitlets.TraitError, match="region"):
        explorer.region = region
    assert explorer.region == (0, 0, 4, 4)
    assert explorer._regions == [{"kind": "rectangle", "box": [0, 0, 4, 4]}]


@pytest.mark.parametrize(
    "data",
    [
        3,
        {"kind": "circle"},
        {"kind": "rectangle", "box": [0, 0, "4", 4]},
        {"kind": "rectangle", "box": [0, 0, float("nan"), 4]},
        {"kind": "polygon", "points": [[1, 2], [3]]},
        {"kind": "polygon", "points": [[0, 0]] * 20_000},
        {"kind": "mask", "runs": [0, 256, 1]},
        {"kind": "mask", "runs": [256]},
        {"kind": "mask", "runs": [-1, 257]},
    ],
    ids=lambda d: str(d)[:40],
)
def test_regions_of_a_browser_are_checked(explore, data):
    explorer = explore()
    with pytest.raises(traitlets.TraitError):
        explorer._regions = [data]
    assert explorer._regions == []


def test_region_of_the_constructor_is_audited_with_the_first_answer(explore):
    explorer = explore(target=1, region=(0, 0, 8, 8))
    explorer.wait(SECONDS)
    assert tasks_of(explorer).wait(SECONDS)
    assert explorer._audits[0]["sum"] == pytest.approx(explorer.audit().attribution_sum)


def test_regions_are_audited_in_each_pane(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1)
    explorer.compare({"baseline": "white"})
    explorer.regions = [(0, 0, 8, 8), np.eye(16, dtype=bool)]
    assert explorer.region.sum() == 16
    assert len(explorer.regions) == 2
    for pane, base in enumerate((torch.zeros_like(image), torch.ones_like(image))):
        mask = torch.from_numpy(explorer.regions[1])
        without = model(torch.where(mask, base, image))[0, 1].item()
        assert explorer.audits(pane)[1].output_without_region == pytest.approx(without, rel=1e-5)
    with pytest.raises(igw.IGError, match="from 0 to 1, got 2"):
        explorer.audit(2)
    with pytest.raises(traitlets.TraitError, match="no pixel"):
        explorer.regions = [(0, 0, 0, 0)]
    assert len(explorer.regions) == 2
