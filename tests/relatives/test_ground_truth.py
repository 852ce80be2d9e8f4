"""Networks whose reason is known: weights set by hand, so that a patch, two tokens or a moment nearly decide alone.

In each, F = planted + SMALL * others, and the two read different features, so that what each is due is known from F
itself: put the features of one alone in, and see by how much F moves. Both rise with every feature; from a darker
baseline nothing is attributed that is negative, and the share of absolute mass is known as well. What is planted
saturates long before the input is reached, so that the gradient there is nothing but distraction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import ig_widgets as igw
from ig_widgets import relatives
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import Attribution, attribute
from ig_widgets.relatives.blur import blur_path
from tests.engine.subjects import draw, relative, seeds

few = settings(max_examples=3)

SMALL = 0.03
SIDE, PATCH = 16, 6
STEPS = 12


def spent(z: Tensor) -> Tensor:
    """It rises to 1 and is flat from there on."""
    return 1 - F.relu(1 - z)


class PatchRule(nn.Module):
    """Pictures (rows, 1, 16, 16): is the patch (6 x 6) at `corner` bright? `others`: what the rest is worth.

    A convolution and a ReLU over the whole picture; of the places some see the patch alone, some nothing of it.
    `routes`: how much of a convolution goes two ways through ReLUs that cancel, relu(v) - relu(-v) - v = 0.
    """

    def __init__(self, corner: tuple[int, int], *, slope: float = 6.0, routes: float = 0.0) -> None:
        super().__init__()
        top, left = corner
        self.truth = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
        self.truth[..., top : top + PATCH, left : left + PATCH] = 1
        self.kernel = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
        self.inside = -F.max_pool2d(-self.truth, 3, 1)
        self.outside = 1 - F.max_pool2d(self.truth, 3, 1)
        self.slope, self.routes = slope, routes

    def forward(self, x: Tensor) -> Tensor:
        seen = F.conv2d(x, self.kernel)
        bright = (F.relu(seen - 0.2) * self.inside).sum((1, 2, 3)) / self.inside.sum()
        rest = (torch.log1p(seen) * self.outside).sum((1, 2, 3)) / self.outside.sum()
        v = (seen - 0.13) * self.outside
        cancelled = (F.relu(v) - F.relu(-v) - v).sum((1, 2, 3))
        return spent(self.slope * bright) + SMALL * rest + self.routes * cancelled


class TokenRule(nn.Module):
    """Token ids (rows, tokens): is there a NOT and a GOOD, wherever they stand? Every other token adds a little.

    The fillers come close to what either asks for, and stay below. The two themselves are far from adding what the
    others add: at the kink of its ReLU noise would find half of a slope.
    """

    PAD, NOT, GOOD = 0, 1, 2

    def __init__(self) -> None:
        super().__init__()
        fillers = torch.stack([torch.linspace(0.0, 0.45, 7), torch.linspace(0.4, 0.1, 7), torch.linspace(0.2, 1, 7)], 1)
        planted = torch.tensor([[0.0, 0.0, 0.0], [1.5, 0.4, -1.0], [0.4, 1.5, -1.0]])
        self.embedding = nn.Embedding.from_pretrained(torch.cat([planted, fillers]).double())

    def forward(self, ids: Tensor) -> Tensor:
        return self.read(self.embedding(ids))

    def read(self, embeddings: Tensor) -> Tensor:
        """F of what the embedding gives (rows, tokens, 3)."""
        negated, good = (F.relu(embeddings[..., k] - 0.5).sum(1) for k in (0, 1))
        return spent(4 * negated * good) + SMALL * torch.log1p(F.relu(embeddings[..., 2])).mean(1)


class LatchRule(nn.Module):
    """Sequences (rows, 2, time) of a signal and a trigger: a state takes the signal over when the trigger is pulled.

    The state is gated as a GRU's is. All signals add a little.
    """

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, 0, 0])
        for signal, trigger in zip(x[:, 0].unbind(1), x[:, 1].unbind(1), strict=True):
            gate = spent(4 * F.relu(trigger - 0.5))
            state = state + gate * (spent(4 * torch.tanh(signal)) - state)
        return state + SMALL * torch.log1p(x[:, 0]).mean(1)


@dataclass(frozen=True)
class Planted:
    """A network, its inputs and baselines, and True where the reason lies, all like the inputs."""

    forward: Callable[[Tensor], Tensor]
    inputs: Tensor
    baselines: Tensor
    truth: Tensor

    def due(self, baselines: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """By how much F rises for the reason alone, and for the rest alone, (batch,) each."""
        b = self.baselines if baselines is None else baselines
        before = self.forward(b)
        inside = self.forward(torch.where(self.truth, self.inputs, b)) - before
        return inside, self.forward(torch.where(self.truth, b, self.inputs)) - before

    def share(self, attributions: Tensor) -> Tensor:
        """Of the absolute mass, what lies inside, (batch,)."""
        size = attributions.abs()
        return (size * self.truth).flatten(1).sum(1) / size.flatten(1).sum(1)

    def sums(self, attributions: Tensor) -> tuple[Tensor, Tensor]:
        """What is attributed to the reason, and to the rest, (batch,)."""
        inside = (attributions * self.truth).flatten(1).sum(1)
        return inside, attributions.flatten(1).sum(1) - inside


def patch(seed: int, corner: tuple[int, int] | None = None, **options: Any) -> Planted:
    """Two pictures with a bright patch in clutter, much of which is as bright, a pixel at a time."""
    places = SIDE - PATCH + 1
    model = PatchRule(corner or (seed % places, seed // places % places), **options)
    truth = (model.truth > 0).expand(2, 1, SIDE, SIDE)
    noise = draw(seed, 2, 1, SIDE, SIDE).sigmoid()
    x = torch.where(truth, 0.6 + 0.4 * noise, noise**3)
    return Planted(model, x, torch.zeros_like(x), truth)


def tokens(seed: int) -> Planted:
    """Two sentences as embeddings, from padding."""
    model, ids = TokenRule(), token_ids(seed)
    planted = (ids == TokenRule.NOT) | (ids == TokenRule.GOOD)
    x = model.embedding(ids)
    return Planted(model.read, x, torch.zeros_like(x), planted[..., None].expand_as(x))


def token_ids(seed: int) -> Tensor:
    """Fillers, with the two that matter at places of the seed's choice."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 10, (2, STEPS), generator=generator)
    for row in ids:
        places = torch.randperm(STEPS, generator=generator)[:2]
        row[places] = torch.tensor([TokenRule.NOT, TokenRule.GOOD])
    return ids


def moment(seed: int, at: Tensor | None = None) -> Planted:
    """Two sequences of which the trigger is pulled once, and trembles at other times."""
    at = torch.tensor([seed % STEPS, seed // STEPS % STEPS]) if at is None else at
    noise = draw(seed, 2, 2, STEPS).sigmoid()
    x = torch.stack([0.4 + 0.6 * noise[:, 0], 0.4 * noise[:, 1]], dim=1)
    x[torch.arange(2), 1, at] = 1.0
    truth = F.one_hot(at, STEPS).bool()[:, None].expand_as(x)
    return Planted(LatchRule(), x, torch.zeros_like(x), truth)


KINDS: dict[str, Callable[[int], Planted]] = {"patch": patch, "tokens": tokens, "moment": moment}
kinds = pytest.mark.parametrize("kind", KINDS)


# ------------------------------------------------------------------ what was planted


@kinds
@few
@given(seeds)
def test_the_networks_are_what_they_are_said_to_be(kind: str, seed: int) -> None:
    """Two parts, of which the first is over 95% of the whole, though the other is not nothing."""
    planted = KINDS[kind](seed)
    inside, outside = planted.due()
    whole = planted.forward(planted.inputs) - planted.forward(planted.baselines)
    assert torch.allclose(inside + outside, whole, atol=1e-12)
    share = inside / whole
    assert bool(((share >= 0.96) & (share <= 0.999)).all())


# ------------------------------------------------------------------ IG by every rule


@pytest.mark.parametrize("method", [*rules.METHODS, rules.AUTO])
@kinds
@few
@given(seeds)
def test_every_rule_finds_the_reason(kind: str, method: str, seed: int) -> None:
    planted = KINDS[kind](seed)
    found = attribute(planted.forward, planted.inputs, baselines=planted.baselines, method=method, n_steps=64)
    inside, outside = planted.due()
    share = planted.share(found.attributions)
    assert bool((share >= 0.95).all())
    assert float((share - inside / (inside + outside)).abs().max()) <= 5e-3
    if method == rules.SECANT:  # whatever the number of cells
        of_reason, of_rest = planted.sums(found.attributions)
        assert torch.allclose(of_reason, inside, atol=1e-10)
        assert torch.allclose(of_rest, outside, atol=1e-10)


@kinds
@few
@given(seeds)
def test_to_a_tolerance_each_part_is_given_its_due(kind: str, seed: int) -> None:
    planted = KINDS[kind](seed)
    found = attribute(planted.forward, planted.inputs, baselines=planted.baselines, tol=0.02)
    assert found.converged
    assert bool((planted.share(found.attributions) >= 0.95).all())
    for ours, due in zip(planted.sums(found.attributions), planted.due(), strict=True):
        assert float((ours - due).abs().max()) <= 0.03


@few
@given(seeds)
def test_with_layer_tokens_are_given_what_their_embeddings_are(seed: int) -> None:
    planted, model, ids = tokens(seed), TokenRule(), token_ids(seed)
    found = attribute(
        model, ids, baselines=torch.zeros_like(ids), layer=model.embedding, method="gausslegendre", n_steps=32
    )
    assert bool((planted.share(found.attributions) >= 0.95).all())
    by_token = found.attributions.sum(2)
    # The two depend on each other in the same way, and so are given the same.
    pair = torch.stack([by_token[ids == TokenRule.NOT], by_token[ids == TokenRule.GOOD]])
    assert relative(pair[0], pair[1]) <= 1e-12
    assert bool((pair.amin(0) > 10 * torch.where(ids < 3, 0.0, by_token).amax(1)).all())
    direct = attribute(planted.forward, planted.inputs, method="gausslegendre", n_steps=32)
    assert relative(found.attributions, direct.attributions) <= 1e-12


# ------------------------------------------------------------------ its relatives


def _dim(planted: Planted) -> Tensor:
    """A distribution of baselines for the first example: the input, nearly faded."""
    return planted.inputs[:1] * torch.tensor([0.0, 0.04, 0.08, 0.12]).double().view(
        4, *[1] * (planted.inputs.dim() - 1)
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [("deeplift", {}), ("guided_integrated_gradients", {"n_knots": 20, "method": "secant", "n_steps": 20})],
)
@kinds
@few
@given(seeds)
def test_relatives_that_are_complete_give_each_part_its_due(
    kind: str, name: str, options: dict[str, Any], seed: int
) -> None:
    planted = KINDS[kind](seed)
    found = getattr(relatives, name)(planted.forward, planted.inputs, baselines=planted.baselines, **options)
    assert bool((planted.share(found.attributions) >= 0.95).all())
    for ours, due in zip(planted.sums(found.attributions), planted.due(), strict=True):
        assert float((ours - due).abs().max()) <= 1e-9


@kinds
@few
@given(seeds)
def test_over_baselines_each_part_is_given_the_mean_of_its_dues(kind: str, seed: int) -> None:
    one = KINDS[kind](seed)
    planted = replace(one, inputs=one.inputs[:1], truth=one.truth[:1])
    dim = _dim(planted)
    dues = [torch.stack([planted.due(row[None])[part] for row in dim]).mean() for part in (0, 1)]
    several = relatives.over_baselines(
        planted.forward, planted.inputs, baselines=[row[None] for row in dim], method="secant", n_steps=16
    )
    drawn = relatives.expected_gradients(planted.forward, planted.inputs, baselines=dim, n_samples=400, seed=seed)
    for found, errors in ((several, (1e-10, 1e-10)), (drawn, planted.sums(3 * drawn.standard_error))):
        assert float(planted.share(found.attributions)) >= 0.95
        for ours, due, error in zip(planted.sums(found.attributions), dues, errors, strict=True):
            assert float((ours - due).abs()) <= float(error)


@kinds
@few
@given(seeds)
def test_idgi_gives_the_rest_at_most_what_f_rises_where_the_reason_is_asleep(kind: str, seed: int) -> None:
    """Each step is shared out by squares: while the reason moves F next to nothing is left for the rest.

    In the step in which the reason wakes its gradient, taken where the step begins, is still zero: what F rises in that
    one may go to the rest, and is less the more steps there are.
    """
    planted, n = KINDS[kind](seed), 256
    found = relatives.idgi(planted.forward, planted.inputs, baselines=planted.baselines, n_steps=n)
    assert bool((planted.share(found.attributions) >= 0.95).all())
    points = torch.linspace(0, 1, n + 1).double().view(-1, *[1] * planted.inputs.dim()) * planted.inputs
    step = torch.stack([planted.forward(x) for x in points]).diff(dim=0).amax(0)
    assert bool((planted.sums(found.attributions)[1] <= 1.01 * planted.due()[1] + step).all())


@kinds
@few
@given(seeds)
def test_under_a_little_noise_the_reason_is_still_found(kind: str, seed: int) -> None:
    """Less than what it takes to leave the flat part or to wake a filler: the reason is due what it is without."""
    planted = KINDS[kind](seed)
    options: dict[str, Any] = {"baselines": planted.baselines[:1], "sigma": 0.01, "seed": seed}
    smooth = relatives.smooth_integrated_gradients(
        planted.forward, planted.inputs, n_samples=3, method="secant", n_steps=16, **options
    )
    shap = relatives.gradient_shap(planted.forward, planted.inputs, n_samples=400, **options)
    for found, error in ((smooth, torch.tensor(2e-3)), (shap, planted.sums(3 * shap.standard_error)[0])):
        assert bool((planted.share(found.attributions) >= 0.95).all())
        assert bool(((planted.sums(found.attributions)[0] - planted.due()[0]).abs() <= error).all())


@pytest.mark.parametrize("kind", ["patch", "moment"])
@few
@given(seeds)
def test_coming_into_focus_each_part_is_given_what_it_adds_to_the_blur(kind: str, seed: int) -> None:
    """Blurred features come from their neighbours, but F reads them where they are: the parts stay apart.

    In the middle of the picture, from where a blur takes the patch away; at the edge it leaves it as bright as it is.
    A steep rule would still be content with what is left of it.
    """
    planted = patch(seed, (5, 4), slope=2.5) if kind == "patch" else moment(seed, torch.tensor([5, 6]))
    sigma, n = 4.0, 256
    found = relatives.blur_integrated_gradients(
        planted.forward, planted.inputs, sigma=sigma, method="riemann_middle", n_steps=n
    )
    (blurred,) = blur_path(planted.inputs, sigma).baselines
    # A middle sum of n points is off by at most the total variation over 2 n, of which the samples miss a little.
    error = found.path.density.diff(dim=1).abs().sum(1) / n
    assert float(error.max()) <= 0.1
    for ours, due in zip(planted.sums(found.attributions), planted.due(blurred), strict=True):
        assert bool(((ours - due).abs() <= error).all())
    assert bool((planted.share(found.attributions) >= 0.95).all())


@few
@given(seeds)
def test_the_regions_taken_first_are_of_the_patch(seed: int) -> None:
    planted = patch(seed)
    rows, columns = torch.meshgrid(torch.arange(SIDE) // 4, torch.arange(SIDE) // 4, indexing="ij")
    whole, tiles = planted.truth[0, 0].long(), rows * 4 + columns
    options: dict[str, Any] = {"attributions": attribute(planted.forward, planted.inputs, n_steps=16), "min_pixels": 1}
    found = relatives.xrai(planted.forward, planted.inputs, segments=whole, **options)
    assert torch.equal(found.ranks == 0, planted.truth[:, 0])
    assert bool((planted.share(found.attributions) >= 0.95).all())
    # A tile in the middle of the patch may go before the whole of it; the rest of the patch comes before all else.
    finer = relatives.xrai(planted.forward, planted.inputs, segments=[whole, tiles * 2 + whole], **options)
    for ranks in finer.ranks:
        assert int(ranks[whole == 1].max()) < int(ranks[whole == 0].min())


# ------------------------------------------------------------------ where the gradient at the input is not enough

LOCAL: dict[str, dict[str, Any]] = {
    "gradient": {},
    "input_x_gradient": {},
    "smoothgrad": {"sigma": 0.01, "n_samples": 10},
    "smoothgrad_squared": {"sigma": 0.01, "n_samples": 10},
}


@pytest.mark.parametrize("name", LOCAL)
@kinds
@few
@given(seeds)
def test_what_has_saturated_is_missed_by_gradients_at_the_input_and_not_by_ig(kind: str, name: str, seed: int) -> None:
    planted = KINDS[kind](seed)
    local = getattr(relatives, name)(planted.forward, planted.inputs, **LOCAL[name])
    assert bool((planted.share(local.attributions) <= 0.25).all())
    found = attribute(planted.forward, planted.inputs, n_steps=16)
    assert bool((planted.share(found.attributions) >= 0.95).all())


@pytest.mark.parametrize("name", LOCAL)
@few
@given(seeds)
def test_before_it_saturates_they_find_the_reason_as_well(name: str, seed: int) -> None:
    planted = patch(seed, slope=1.0)
    found = getattr(relatives, name)(planted.forward, planted.inputs, **LOCAL[name])
    assert bool((planted.share(found.attributions) >= 0.95).all())


@few
@given(seeds, st.floats(0.7, 1.3), st.floats(0.05, 0.3))
def test_under_wide_noise_they_see_how_often_the_flat_part_is_left(seed: int, z: float, sigma: float) -> None:
    """F = spent(w x) + SMALL v y at w x = z: noise leaves the flat part with probability p, that of a normal variable.

    So the mean gradient is p w and SMALL v, the mean square p w^2, and the variance p (1 - p) w^2 and nothing: a
    variance puts all on the reason.
    """
    w, v = draw(seed, 4).exp(), draw(seed + 1, 4)
    x = torch.cat([z * w / w.square().sum(), torch.full((4,), 2.0).double() * v.sign()])[None]

    def forward(at: Tensor) -> Tensor:
        return spent(at[:, :4] @ w) + SMALL * at[:, 4:] @ v

    deviation = sigma * float(x.max() - x.min()) * float(w.norm())
    p = float(torch.special.ndtr(torch.tensor((1 - z) / deviation)))
    n = 2000
    options: dict[str, Any] = {"sigma": sigma, "n_samples": n, "seed": seed}
    mean, square, variance = (
        getattr(relatives, name)(forward, x, **options).attributions[0]
        for name in ("smoothgrad", "smoothgrad_squared", "vargrad")
    )
    share = float(mean[0] / w[0])
    # One count of n draws decides all.
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5 + 1 / n)
    assert torch.allclose(mean, torch.cat([share * w, SMALL * v]))
    assert torch.allclose(square, torch.cat([share * w**2, (SMALL * v) ** 2]))
    assert torch.allclose(variance, torch.cat([share * (1 - share) * w**2, 0 * v]))


# ------------------------------------------------------------------ what cancels, and what a baseline does not ask for

CANCELLED: dict[str, dict[str, Any]] = {
    "gradient": {},
    "input_x_gradient": {},
    "smoothgrad": {"n_samples": 5},
    "smoothgrad_squared": {"n_samples": 5},
    "vargrad": {"n_samples": 5},
    "deeplift": {},
    "guided_integrated_gradients": {"n_knots": 10, "method": "gausslegendre", "n_steps": 10},
    "idgi": {"n_steps": 10},
    "expected_gradients": {"n_samples": 10},
    "smooth_integrated_gradients": {"n_samples": 2, "method": "secant", "n_steps": 5},
    "blur_integrated_gradients": {"sigma": 3.0, "method": "secant", "n_steps": 5},
}


@pytest.mark.parametrize("name", CANCELLED)
@few
@given(seeds)
def test_what_goes_two_ways_and_cancels_is_given_nothing(name: str, seed: int) -> None:
    """Each of the ways alone moves F a hundred times as much as the reason does."""
    without, with_routes = patch(seed), patch(seed, routes=100.0)
    expected, found = (
        getattr(relatives, name)(p.forward, p.inputs, **CANCELLED[name]).attributions for p in (without, with_routes)
    )
    assert relative(found, expected) <= 1e-8


@pytest.mark.parametrize("method", [*rules.METHODS, rules.AUTO])
def test_what_goes_two_ways_and_cancels_is_given_nothing_by_any_rule(method: str) -> None:
    expected, found = (
        attribute(p.forward, p.inputs, method=method, n_steps=12).attributions
        for p in (patch(5), patch(5, routes=100.0))
    )
    assert relative(found, expected) <= 1e-8


@few
@given(seeds)
def test_a_reason_in_the_colour_of_the_baseline_is_found_from_another(seed: int) -> None:
    """A rule that a black patch decides: from black there is nothing to attribute, from another colour there is."""
    bright = patch(seed)
    dark = replace(
        bright,
        forward=lambda x: bright.forward(1 - x),
        inputs=torch.where(bright.truth, 0.0, 1 - bright.inputs),
    )

    def share(baseline: igw.baselines.Baseline) -> Tensor:
        found = attribute(dark.forward, dark.inputs, baselines=baseline, n_steps=16)
        return dark.share(found.attributions)

    assert float(share(igw.baselines.black()).max()) == 0
    for baseline in (igw.baselines.white(), igw.baselines.constant(0.9), igw.baselines.max_distance()):
        assert bool((share(baseline) >= 0.95).all()), baseline


# ------------------------------------------------------------------ the pointing game


@few
@given(seeds)
def test_pointing_says_who_is_right(seed: int) -> None:
    planted = patch(seed)
    masks = planted.truth[:, 0]
    ig = attribute(planted.forward, planted.inputs, n_steps=16)
    right: list[Attribution] = [ig, relatives.deeplift(planted.forward, planted.inputs)]
    right.append(relatives.guided_integrated_gradients(planted.forward, planted.inputs, n_knots=20))
    for found in right:
        told = igw.faithfulness.pointing(found, masks)
        assert told.hit.tolist() == [1.0, 1.0]
        assert bool((told.positive_share >= 0.95).all())
        assert torch.allclose(told.absolute_share, planted.share(found.attributions))
    missed = igw.faithfulness.pointing(relatives.gradient(planted.forward, planted.inputs), masks)
    assert missed.hit.tolist() == [0.0, 0.0]
    assert missed.absolute_share.tolist() == [0.0, 0.0]
    assert missed.area.tolist() == [PATCH**2 / SIDE**2] * 2
