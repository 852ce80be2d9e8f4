"""What image models return: one row of scores, a number, scores at many places; and models that tell their labels."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ig_widgets as igw
from ig_widgets.engine.errors import OutputError
from tests.explorers.subjects import SECONDS, Classifier, draw, photo, ready


class Segmenter(nn.Module):
    """Pictures (rows, 3, height, width) to scores (rows, classes, height / 2, width / 2), and twice these."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, classes, 3, padding=1)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = draw(i, *parameter.shape)
        self.eval()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.last(torch.nn.functional.silu(self.first(x)))
        return {"out": y, "aux": 2 * y}


@pytest.mark.parametrize("output", ["out", "aux"])
def test_a_pixel_of_a_segmentation_is_explained(explore: Any, output: str) -> None:
    model, picture = Segmenter(), photo(height=12, width=16)
    explorer = explore(model, picture, output=output, labels=["road", "sky", "tree", "cup"], target="sky")
    assert explorer.target == (1, 3, 4)
    explorer.target = (2, 5, 0)
    result = ready(explorer)
    exact = igw.attribute(
        model, picture[None], baselines=0.0, target=(2, 5, 0), output=output, method="riemann_middle", n_steps=8
    )
    torch.testing.assert_close(result.attributions, exact.attributions, rtol=1e-9, atol=1e-12)
    # Far from the pixel nothing is attributed.
    assert not result.attributions[..., 8:].any()
    explorer.region = (0, 8, 4, 12)
    audit = explorer.audit()
    assert audit.output == pytest.approx(float(model(picture[None])[output][0, 2, 5, 0].detach()))
    assert explorer.dependence(["black", "white"], n_steps=4).output == pytest.approx(audit.output)
    assert "tree at (5, 0)" in repr(explorer)


def test_a_model_with_several_outputs_names_the_argument_that_opens_it(explore: Any) -> None:
    with pytest.raises(OutputError, match=r"a dict with out: float64 \(1, 4, 8, 8\), .*output='out'"):
        explore(Segmenter())


def test_a_single_logit_of_a_picture_is_no_certainty(explore: Any) -> None:
    explorer = explore(Classifier(classes=1), scores="sigmoid")
    share = float(Classifier(classes=1)(photo()[None]).sigmoid().detach())
    assert explorer._top == [[0, pytest.approx(share)]]
    assert 0 < share < 1
    explorer.wait(SECONDS)


@pytest.mark.parametrize("problem", [None, "single_label_classification", "multi_label_classification", "regression"])
def test_a_vision_model_of_hugging_face_tells_its_labels_and_scores(explore: Any, problem: str | None) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=8,
        id2label={0: "tench, Tinca tinca", 1: "goldfish", 2: "great white shark"}, problem_type=problem,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.ViTForImageClassification(config).eval()
    explorer = explore(model, photo().float(), target="Tinca Tinca", n_steps=4)
    kinds = {"multi_label_classification": "sigmoid", "regression": "raw"}
    assert explorer.target == 0
    assert explorer._labels[1] == "goldfish"
    assert explorer._scores["kind"] == kinds.get(str(problem), "softmax")
    assert explorer._scores["assumed"] == (problem is None)
    logits = model(photo().float()[None]).logits[0].detach()
    assert float(ready(explorer).output) == pytest.approx(float(logits[0]), rel=1e-4, abs=1e-6)
