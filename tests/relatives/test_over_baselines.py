"""Several baselines at once: means and variances against exact answers, and nothing that one run would not say."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ig_widgets as igw
from ig_widgets import baselines as start
from ig_widgets import errors
from ig_widgets.relatives import over_baselines
from tests.engine.subjects import few

STEPS = {"method": "gausslegendre", "n_steps": 5}


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Smooth(nn.Module):
    """Two scores of (rows, features)."""

    def __init__(self, features=6, seed=0):
        super().__init__()
        self.first, self.second = draw(seed, features, 7) / 2, draw(seed + 1, 7, 2)

    def forward(self, x):
        return torch.tanh(x @ self.first) @ self.second


def runs(model, x, given_, **options):
    return [igw.attribute(model, x, baselines=b, target=0, **STEPS | options) for b in given_]


# ---------------------------------------------------------------- exact answers


@few
@given(st.integers(0, 999), st.integers(2, 5), st.integers(1, 3), st.integers(1, 6))
def test_of_a_linear_model_mean_and_variance_are_known(seed, count, batch, features):
    """IG_i = w_i (x_i - b_i): its variance over baselines is w_i^2 var(b_i)."""
    weight, x, given_ = draw(seed, features), draw(seed + 1, batch, features), draw(seed + 2, count, batch, features)
    result = over_baselines(lambda z: z @ weight, x, baselines=list(given_), **STEPS)
    mean = weight * (x - given_.mean(0))
    variance = weight**2 * given_.var(0, unbiased=True)
    assert (result.attributions - mean).abs().max() < 1e-12
    assert (result.variance - variance).abs().max() < 1e-11
    assert (result.standard_deviation - variance.sqrt()).abs().max() < 1e-6
    # By the definition, written out.
    maps = weight * (x - given_)
    off = ((maps - maps.mean(0)) ** 2).sum((0, 2)) / (count - 1)
    size = (maps**2).sum((0, 2)) / count
    assert torch.allclose(result.dependence, (off / size).sqrt(), atol=1e-7)
    # And as what two maps have in common, on average.
    products = torch.stack([(maps[j] * maps[k]).sum(1) for j in range(count) for k in range(j)]).mean(0)
    assert torch.allclose(1 - result.dependence**2, products / size, atol=1e-7)
    assert (result.convergence_delta.abs() < 1e-12).all()


@few
@given(st.integers(0, 999), st.integers(2, 4))
def test_the_mean_is_the_mean_of_the_runs(seed, count):
    model, x, given_ = Smooth(seed=seed), draw(seed + 5, 2, 6), list(draw(seed + 6, count, 2, 6))
    result = over_baselines(model, x, baselines=given_, target=0, **STEPS)
    each = runs(model, x, given_)
    maps = torch.stack([one.attributions for one in each])
    for ours, theirs in zip(result.each, each, strict=True):
        assert torch.allclose(ours.attributions, theirs.attributions, rtol=0, atol=1e-12)
        assert torch.allclose(ours.convergence_delta, theirs.convergence_delta, rtol=0, atol=1e-12)
    assert torch.allclose(result.attributions, maps.mean(0), rtol=0, atol=1e-12)
    assert torch.allclose(result.variance, maps.var(0, unbiased=True), rtol=0, atol=1e-12)
    assert torch.allclose(result.output, model(x)[:, 0])
    assert torch.allclose(result.baseline_outputs, torch.stack([model(b)[:, 0] for b in given_]))
    # Completeness with regard to the mean of F(x').
    explained = result.output - result.baseline_outputs.mean(0)
    assert torch.allclose(result.attributions.sum(1) - explained, result.convergence_delta, rtol=0, atol=1e-12)
    assert (result.sign_agreement - maps.sign().mean(0).abs()).abs().max() < 1e-15
    flat = maps.numpy()
    for k in range(count):
        for i in range(2):
            expected = np.corrcoef(flat[k, i], flat.mean(0)[i])[0, 1]
            assert float(result.correlations[k, i]) == pytest.approx(expected, abs=1e-9)


@few
@given(st.integers(0, 999), st.integers(2, 5))
def test_the_same_baseline_again_and_again_leaves_no_variance(seed, count):
    model, x = Smooth(seed=seed), draw(seed, 1, 6)
    result = over_baselines(model, x, baselines=[0.5] * count, target=0, chunk_size=4, **STEPS)
    (one,) = runs(model, x, [0.5], chunk_size=4)
    assert (result.variance <= 1e-30).all()
    assert (result.attributions - one.attributions).abs().max() < 1e-15
    assert result.dependence < 1e-12
    assert (result.sign_agreement == 1).all()


def test_dependence_from_all_alike_over_nothing_in_common_to_opposites():
    x = torch.ones(1, 3, dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    opposite = over_baselines(lambda z: z @ weight, x, baselines=[0.0, 2.0], **STEPS)
    assert float(opposite.dependence) == pytest.approx(2**0.5)
    # Each baseline leaves one feature to explain, of the same size.
    apart = over_baselines(
        lambda z: z.sum(1), x, baselines=[1 - one for one in torch.eye(3).double()[:, None]], **STEPS
    )
    assert float(apart.dependence) == pytest.approx(1)
    assert (opposite.sign_agreement == 0).all()
    nothing = over_baselines(lambda z: z @ weight, x, baselines=[1.0, x], **STEPS)
    assert nothing.dependence == 0
    assert nothing.correlations.isnan().all()


def test_several_inputs_and_groups():
    a, b = draw(0, 2, 3), draw(1, 2, 4)
    mask = (torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2, 2]))

    def both(a, b):
        return torch.tanh(a.sum(1)) * b.sum(1)

    given_ = [(0.0, 0.0), (1.0, draw(3, 2, 4))]
    result = over_baselines(both, (a, b), baselines=given_, feature_mask=mask, **STEPS)
    each = [igw.attribute(both, (a, b), baselines=g, feature_mask=mask, **STEPS) for g in given_]
    for i in (0, 1):
        pair = torch.stack([one.attributions[i] for one in each])
        assert torch.allclose(result.attributions[i], pair.mean(0))
        assert torch.allclose(result.variance[i], pair.var(0, unbiased=True))
        assert result.standard_deviation[i].shape == result.sign_agreement[i].shape == pair[0].shape
    assert torch.allclose(result.group_attributions, torch.stack([one.group_attributions for one in each]).mean(0))
    assert result.dependence.shape == (2,)


def test_of_a_layer_with_tokens():
    embedding = nn.Embedding(9, 4, dtype=torch.float64)
    embedding.weight.data = draw(0, 9, 4)
    mix = draw(1, 4, 4)

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = embedding

        def forward(self, ids):
            return torch.tanh(self.embedding(ids) @ mix).sum((1, 2))

    ids = torch.tensor([[1, 5, 6, 2]])
    given_ = [start.token(0, keep=(1, 2)), start.token(3, keep=(1, 2)), start.permuted(1)]
    result = over_baselines(Reader(), ids, baselines=given_, layer=embedding, **STEPS)
    assert result.names == ("token 0 in each place, some kept", "token 3 in each place, some kept", "shuffled, seed 1")
    assert result.attributions.shape == (1, 4, 4)
    assert (result.variance[0, 1:3] > 0).any()
    assert result.group_attributions is None


# ---------------------------------------------------------------- what is kept


def test_samples_are_let_go_unless_they_are_wanted():
    model, x, given_ = Smooth(), draw(0, 1, 6), [0.0, 1.0]
    lean = over_baselines(model, x, baselines=given_, target=0, **STEPS)
    whole = over_baselines(model, x, baselines=given_, target=0, keep_paths=True, **STEPS)
    for without, kept in zip(lean.each, whole.each, strict=True):
        assert without.path is None
        assert (kept.path.cumulative(1.0) - kept.attributions).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_dtype_is_the_inputs_own(dtype):
    weight = torch.tensor([1.0, 2.0], dtype=dtype)
    x = torch.full((1, 2), 1 / 64, dtype=dtype)
    result = over_baselines(lambda z: (z * weight).sum(1), x, baselines=[0.0, 1 / 4096], **STEPS)
    assert result.attributions.dtype == dtype
    # Squares of half precision would be lost in it.
    assert result.variance.dtype == torch.float32
    assert result.variance[0, 0] == pytest.approx((1 / 4096) ** 2 / 2, rel=0.01)


def test_the_model_is_left_as_it_was_found():
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state, x = torch.get_rng_state(), draw(0, 2, 6).float()
    kept = x.clone()
    over_baselines(model, x, baselines=[0.0, start.permuted(2)], target=1, n_steps=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, kept)


# ---------------------------------------------------------------- progress, cancel, errors


def test_progress_counts_over_all_baselines():
    told = []
    over_baselines(Smooth(), draw(0, 2, 6), baselines=[0.0, 1.0, 2.0], target=0, chunk_size=4,
                   on_progress=lambda *seen: told.append(seen), **STEPS)  # fmt: skip
    done = [of for of, _ in told]
    assert {total for _, total in told} == {30}
    assert done == sorted(done)
    assert done[-1] == 30
    told.clear()
    over_baselines(Smooth(), draw(0, 2, 6), baselines=[0.0, 1.0], target=0,
                   on_progress=lambda *seen: told.append(seen))  # fmt: skip
    assert told[-1][0] == told[-1][1]
    assert [of for of, _ in told] == sorted(of for of, _ in told)


def test_cancelled_in_the_middle():
    cancel = threading.Event()

    def progress(done, total):
        if done > total / 2:
            cancel.set()

    with pytest.raises(errors.Cancelled) as caught:
        over_baselines(Smooth(), draw(0, 1, 6), baselines={"a": 0.0, "b": 1.0}, target=0, chunk_size=1,
                       on_progress=progress, cancel=cancel, **STEPS)  # fmt: skip
    assert caught.value.__notes__ == ["This was baseline 'b', 2 of 2."]
    assert caught.value.partial is not None
    assert float(caught.value.partial.baseline_output) == pytest.approx(
        float(Smooth()(torch.ones(1, 6).double())[0, 0])
    )


def test_an_error_names_the_baseline():
    with pytest.raises(errors.ArgumentValueError, match="must broadcast") as caught:
        over_baselines(Smooth(), draw(0, 1, 6), baselines=[0.0, torch.zeros(5)], target=0)
    assert caught.value.__notes__ == ["This was baseline 'baseline 2', 2 of 2."]


@pytest.mark.parametrize(
    ("given_", "message", "kind"),
    [
        (None, "baselines must be a list or a mapping .* got NoneType", errors.ArgumentTypeError),
        ((0.0, 1.0), "baselines must be a list .* got tuple.*one baseline for each input", errors.ArgumentTypeError),
        (torch.zeros(2, 6), "baselines must be a list .* got Tensor", errors.ArgumentTypeError),
        ([], "baselines has 0 members", errors.ArgumentValueError),
        ({"zero": 0.0}, "baselines has 1 members.*igw.attribute", errors.ArgumentValueError),
    ],
)
def test_what_is_no_list_of_baselines_is_refused(given_, message, kind):
    with pytest.raises(kind, match=f"^{message}"):
        over_baselines(Smooth(), draw(0, 1, 6), baselines=given_, target=0)


# ---------------------------------------------------------------- as text


def half_of(inputs):
    return inputs / 2


def test_names_say_what_each_is_and_are_told_apart():
    x = draw(0, 1, 6)
    given_ = [None, 0.5, 0, start.permuted(1), start.permuted(1), half_of, lambda z: z / 3, x / 4]
    result = over_baselines(Smooth(), x, baselines=given_, target=0, n_steps=2)
    assert result.names == ("0", "0.5", "0 (2)", "shuffled, seed 1", "shuffled, seed 1 (2)", "half_of", "baseline 7",
                            "baseline 8")  # fmt: skip


def test_prints_as_a_table():
    x = torch.ones(1, 3, dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    given_ = {"empty": 0.0, "<b>half</b>": torch.tensor([0.5, 0.5, 0.0]), "itself": x}
    result = over_baselines(lambda z: z @ weight, x, baselines=given_, **STEPS)
    lines = repr(result).splitlines()
    assert lines[0].split() == ["baseline", "F(x')", "to", "explain", "delta", "correlation", "with", "the", "mean"]
    assert [line.split()[0] for line in lines[1:5]] == ["empty", "<b>half</b>", "itself", "mean"]
    assert lines[1].split()[1:3] == ["0", "7"]
    assert [line.split()[3] for line in lines[1:3]] == ["0.0%", "0.0%"]
    assert lines[3].split() == ["itself", "7", "0"]  # nothing to explain, of which there are no shares
    assert lines[4].split()[1] == f"{(0 + 1.5 + 7) / 3:.3g}"
    assert lines[-1].startswith("dependence on the baseline 0.")
    html = result._repr_html_()
    assert "&lt;b&gt;half" in html
    assert "<b>half" not in html
    several = over_baselines(Smooth(), draw(0, 3, 6), baselines=given_ | {"<b>half</b>": 0.5, "itself": 1.0}, target=0)
    assert "mean F(x')" in repr(several)
    assert " to " in repr(several).splitlines()[-1]


def test_says_for_how_many_baselines_there_are_caveats():
    """From 0 the path passes the step, from 1 it does not."""
    x = torch.ones(1, 3, dtype=torch.float64)
    result = over_baselines(lambda z: z.sum(1) + (z[:, 0] > 0.5), x, baselines=[0.0, 0.9, x], target=None, tol=0.05)
    (told,) = result.caveats
    assert told.startswith("0: F jumps on the path, by 1")
    assert repr(result).endswith("; there are caveats for 1 of 3 baselines")
    assert "there are caveats for 1 of 3 baselines</p>" in result._repr_html_()


# ---------------------------------------------------------------- the figure


def pictured():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 5, 2)).double()
    for i, parameter in enumerate(model.parameters()):
        parameter.data = draw(i, *parameter.shape)
    picture = draw(0, 1, 3, 6, 5).sigmoid()
    given_ = [start.black(), start.white(), start.blur(1.0)]
    return over_baselines(model, picture, baselines=given_, target=0, **STEPS), picture[0]


def test_each_map_is_drawn_as_everywhere_in_one_scale():
    result, picture = pictured()
    figure = igw.figures.over_baselines(result, picture, clip=90, opacity=0.7, title="a $title$")
    photo = igw.figures.inputs.as_photo(picture)
    maps = np.stack([one.attributions[0].sum(0).numpy() for one in result.each])
    scale, table = igw.figures.scale_of(maps, 90), igw.figures.color_table("RdBu_r")
    expected = [photo, *(igw.figures.compose(photo, m, scale, table, 0.7) for m in (*maps, maps.mean(0)))]
    axes = [ax for ax in figure.get_axes() if ax.get_images()]
    assert [ax.get_title() for ax in axes] == ["input", "black", "white", "blur, sigma 1.0 px", "mean",
                                               "standard deviation"]  # fmt: skip
    for ax, drawn in zip(axes, expected, strict=False):
        assert np.array_equal(ax.get_images()[0].get_array(), drawn)
    # The more they differ, the more purple, whatever the sign.
    spread = axes[5].get_images()[0].get_array().astype(int)
    size = maps.std(0, ddof=1)
    low, high = np.unravel_index(size.argmin(), size.shape), np.unravel_index(size.argmax(), size.shape)
    assert spread[high][1] < spread[low][1]
    assert figure._suptitle.get_text() == "a $title$"
    assert "dependence on the baseline" in figure._supxlabel.get_text()
    assert igw.figures.to_png(figure) == igw.figures.to_png(igw.figures.over_baselines(
        result, picture, clip=90, opacity=0.7, title="a $title$"))  # fmt: skip


def test_each_map_in_a_scale_of_its_own_that_is_told():
    result, picture = pictured()
    figure = igw.figures.over_baselines(result, picture, one_scale=False)
    photo, table = igw.figures.inputs.as_photo(picture), igw.figures.color_table("RdBu_r")
    axes = [ax for ax in figure.get_axes() if ax.get_images()]
    for ax, one in zip(axes[1:4], result.each, strict=True):
        values = one.attributions[0].sum(0).numpy()
        scale = igw.figures.scale_of(values, 99)
        assert np.array_equal(ax.get_images()[0].get_array(), igw.figures.compose(photo, values, scale, table, 0.9))
        assert ax.get_title().endswith(f", {scale:.2g}")
    assert "own scale" in figure._supxlabel.get_text()


def test_what_cannot_be_drawn_is_refused():
    result, picture = pictured()
    with pytest.raises(errors.ArgumentTypeError, match=r"^result must be what over_baselines returned"):
        igw.figures.over_baselines(result.attributions, picture)
    with pytest.raises(errors.ArgumentValueError, match="give the picture as the model sees it"):
        igw.figures.over_baselines(result, picture[:, :4])


def test_one_number_an_example() -> None:
    x = draw(0, 3)
    found = over_baselines(torch.sin, x, baselines=[0.0, 0.5], n_steps=9, method="gausslegendre")
    maps = [torch.sin(x) - torch.sin(torch.tensor(b, dtype=x.dtype)) for b in (0.0, 0.5)]
    torch.testing.assert_close(found.attributions, torch.stack(maps).mean(0))
    torch.testing.assert_close(found.variance, torch.stack(maps).var(0))
