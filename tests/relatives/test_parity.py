"""The same numbers from others: saliency, Captum and shap, on the same models and inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ig_widgets import relatives
from ig_widgets.relatives.xrai import cut, gather
from tests.engine.subjects import draw, relative

SIDE = 16


@pytest.fixture
def model() -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(6 * 7 * 7, 4),
    ).double()  # fmt: skip
    for k, parameter in enumerate(network.parameters()):
        fan = parameter[0].numel() if parameter.dim() > 1 else 9
        parameter.data = draw(k, *parameter.shape) / fan**0.5
    return network.eval()


@pytest.fixture
def picture() -> Tensor:
    return draw(7, 1, 3, SIDE, SIDE).sigmoid()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Captum and shap warn of their own business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ------------------------------------------------------------------ saliency


def _called(model: nn.Module, target: int) -> Callable[..., dict[str, Any]]:
    import saliency.core as saliency

    def call(points: Any, call_model_args: object = None, expected_keys: object = None) -> dict[str, Any]:
        leaf = torch.tensor(np.asarray(points)).requires_grad_()
        output = model(leaf.permute(0, 3, 1, 2))[:, target].sum()
        return {saliency.INPUT_OUTPUT_GRADIENTS: torch.autograd.grad(output, leaf)[0].numpy()}

    return call


def _last(x: Tensor) -> Any:
    """Channels last, of one picture."""
    return x[0].permute(1, 2, 0).numpy()


def test_gradient_as_in_saliency(model: nn.Module, picture: Tensor) -> None:
    saliency = pytest.importorskip("saliency.core", reason="saliency is not installed")
    theirs = saliency.GradientSaliency().GetMask(_last(picture), _called(model, 2))
    ours = relatives.gradient(model, picture, target=2).attributions
    assert np.array_equal(_last(ours), theirs)


def test_guided_path_as_in_saliency(model: nn.Module, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    saliency = pytest.importorskip("saliency.core", reason="saliency is not installed")
    quantile: Any = np.quantile

    def older(values: Any, q: float, interpolation: str = "linear", **options: Any) -> Any:
        """NumPy 2.4 has dropped a keyword that saliency 0.2 uses."""
        return quantile(values, q, method=interpolation, **options)

    monkeypatch.setattr(np, "quantile", older)
    theirs = saliency.GuidedIG().GetMask(
        _last(picture), _called(model, 1), None, x_steps=40, fraction=0.3, max_dist=0.05,
        x_baseline=np.zeros((SIDE, SIDE, 3)),
    )  # fmt: skip
    ours = relatives.guided_integrated_gradients(
        model, picture, target=1, n_knots=40, fraction=0.3, max_dist=0.05, method="riemann_left", n_steps=40
    )
    assert np.abs(_last(ours.attributions) - theirs).max() <= 1e-12 * np.abs(theirs).max()


def test_blur_path_as_in_saliency(model: nn.Module, picture: Tensor) -> None:
    """Theirs is dark outside of the picture, takes differences and the left sum: dark edges, and many steps."""
    saliency = pytest.importorskip("saliency.core", reason="saliency is not installed")
    inner = torch.zeros_like(picture)
    inner[..., 6:10, 6:10] = picture[..., 6:10, 6:10]
    theirs = saliency.BlurIG().GetMask(_last(inner), _called(model, 1), max_sigma=1.0, steps=400, grad_step=1e-4)
    ours = relatives.blur_integrated_gradients(model, inner, target=1, sigma=1.0, tol=1e-3)
    difference = np.linalg.norm(_last(ours.attributions) - theirs) / np.linalg.norm(theirs)
    assert difference <= 0.01


def test_regions_as_in_saliency() -> None:
    saliency = pytest.importorskip("saliency.core", reason="saliency is not installed")
    values = draw(3, 24, 24).numpy()
    rows, columns = np.mgrid[0:24, 0:24]
    labels = [rows // 6 * 4 + columns // 6, rows // 3, (columns + rows) // 5]
    masks = [one == label for one in labels for label in np.unique(one)]
    settings = saliency.XRAIParameters(return_xrai_segments=True)
    settings.experimental_params["min_pixel_diff"] = 10
    found = saliency.XRAI().GetMaskWithDetails(
        np.zeros((24, 24, 1)), None, base_attribution=values[..., None], segments=masks, extra_parameters=settings
    )
    ours, _ = gather(values, [np.flatnonzero(mask) for mask in masks], 10)
    assert np.abs(ours - found.attribution_mask).max() <= 1e-12


def test_a_picture_is_cut_into_regions_that_cover_it(picture: Tensor) -> None:
    regions = cut(picture[0])
    assert set(np.concatenate(regions).tolist()) == set(range(SIDE * SIDE))


# ------------------------------------------------------------------ Captum


def test_gradient_and_input_x_gradient_as_in_captum(model: nn.Module, picture: Tensor) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    leaf = picture.clone().requires_grad_()
    gradient = captum.Saliency(model).attribute(leaf, target=2, abs=False)
    assert torch.equal(relatives.gradient(model, picture, target=2).attributions, gradient)
    times = captum.InputXGradient(model).attribute(leaf, target=2).detach()
    assert torch.equal(relatives.input_x_gradient(model, picture, target=2).attributions, times)


@pytest.mark.usefixtures("quiet")
def test_deeplift_as_in_captum(model: nn.Module, picture: Tensor) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    baseline = draw(9, 1, 3, SIDE, SIDE).sigmoid()
    theirs = captum.DeepLift(model).attribute(picture, baselines=baseline, target=2).detach()
    assert relative(relatives.deeplift(model, picture, baselines=baseline, target=2).attributions, theirs) <= 1e-9


def _agree(ours: Tensor, theirs: Tensor, errors: Tensor) -> None:
    """Two means over draws: their difference, in standard errors, has a mean square of about 1 and no far outlier."""
    z = (ours - theirs) / (2**0.5 * errors.clamp(min=1e-12))
    assert 0.5 <= float(z.square().mean()) <= 1.6
    assert float(z.abs().max()) <= 6


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("name", "kind"), [("smoothgrad", "smoothgrad"), ("smoothgrad_squared", "smoothgrad_sq")])
def test_means_under_noise_as_in_captum(model: nn.Module, picture: Tensor, name: str, kind: str) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    sigma, n = 0.1, 600
    width = float(picture.max() - picture.min()) * sigma
    tunnel = captum.NoiseTunnel(captum.Saliency(model))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = tunnel.attribute(
            picture, nt_type=kind, nt_samples=n, nt_samples_batch_size=100, stdevs=width, target=2, abs=False
        )
    ours = getattr(relatives, name)(model, picture, sigma=sigma, n_samples=n, target=2)
    _agree(ours.attributions, theirs.detach(), ours.standard_error)


@pytest.mark.usefixtures("quiet")
def test_variance_under_noise_as_in_captum(model: nn.Module, picture: Tensor) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    width = float(picture.max() - picture.min()) * 0.1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = captum.NoiseTunnel(captum.Saliency(model)).attribute(
            picture, nt_type="vargrad", nt_samples=800, nt_samples_batch_size=100, stdevs=width, target=2, abs=False
        )
    ours = relatives.vargrad(model, picture, sigma=0.1, n_samples=800, target=2).attributions
    assert float((ours - theirs).norm() / theirs.norm()) <= 0.12


@pytest.mark.usefixtures("quiet")
def test_gradient_shap_as_in_captum(model: nn.Module, picture: Tensor) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    baselines, sigma = draw(9, 4, 3, SIDE, SIDE).sigmoid(), 0.1
    width = float(picture.max() - picture.min()) * sigma
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  (Captum chooses its baselines by it)
        theirs = captum.GradientShap(model).attribute(picture, baselines, n_samples=1000, stdevs=width, target=2)
    ours = relatives.gradient_shap(model, picture, baselines=baselines, sigma=sigma, n_samples=1000, target=2)
    z = (ours.attributions - theirs.detach()) / (2**0.5 * ours.standard_error)
    # Ours scatters less than independent draws.
    assert 0.2 <= float(z.square().mean()) <= 1.6
    assert float(z.abs().max()) <= 6


# ------------------------------------------------------------------ shap


@pytest.mark.usefixtures("quiet")
def test_expected_gradients_as_in_shap(model: nn.Module, picture: Tensor) -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed")
    # It turns baselines into float32.
    model, picture, baselines = model.float(), picture.float(), draw(9, 4, 3, SIDE, SIDE).sigmoid().float()
    theirs = shap.GradientExplainer(model, baselines, batch_size=100).shap_values(picture, nsamples=1000, rseed=0)
    ours = relatives.expected_gradients(model, picture, baselines=baselines, n_samples=1000, target=2)
    z = (ours.attributions - torch.as_tensor(np.asarray(theirs))[..., 2]) / (2**0.5 * ours.standard_error)
    assert 0.2 <= float(z.square().mean()) <= 1.6
    assert float(z.abs().max()) <= 6
