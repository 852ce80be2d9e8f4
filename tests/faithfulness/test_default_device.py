"""`torch.set_default_device("cuda")` is common, and not where the draws are made; here `meta` stands in for it."""

import torch
from torch import nn

import ig_widgets as igw
from ig_widgets import faithfulness as check
from ig_widgets.faithfulness.perturbations import noise, square, subset
from tests.engine.subjects import draw


def explained(model, inputs, baselines=None):
    return igw.attribute(model, inputs, baselines=baselines, target=1, method="gausslegendre", n_steps=3)


def test_a_default_device_that_is_not_that_of_the_inputs():
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)]
    model, x, scores = nn.Sequential(*layers).double(), draw(0, 2, 3, 8, 8), draw(1, 2, 3, 8, 8)

    def everything():
        for kind in (check.deletion, check.insertion):
            for fill in ("mean", "noise", 0.5):
                yield kind(model, x, scores, target=1, fill=fill, n_steps=5).outputs
        for perturb in (subset(), square(), noise(sigma=0.1)):
            yield check.infidelity(model, x, scores, target=1, perturb=perturb).values
        yield check.sensitivity_max(model, x, explain=explained, n_perturb_samples=2).values
        yield check.randomize_model(model, x, explained).correlations
        yield check.input_shift(model, x, 1.0, explain=explained).baseline_left
        yield check.pointing(scores, (0, 0, 4, 4), tolerance=2).chance

    expected = list(everything())
    with torch.device("meta"):
        found = list(everything())
    for one, other in zip(found, expected, strict=True):
        assert one.device.type == "cpu"
        assert torch.allclose(one, other, atol=1e-12)
