"""Adversarial functions of several features, with their true maps: at least 120 of 18 families.

Most are sums of functions of one direction each, the sum of f(w x), whose map is known: w (x - x') times how f changes.
Two of the ways in which they are put together hide from completeness: what one feature gains another loses
(`cancelling`), and F stays as it is along the path while its gradient does not (`flat`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.zoo.cases import Case, Function, Made, Register, Subject
from tests.engine.zoo.profiles import Profile, mass, profiles

FEATURES = 6
OTHER = Register()


class Ridges(nn.Module):
    """The sum of f(w x) over `functions` and the rows w of `directions`, each by a factor."""

    def __init__(
        self, functions: Sequence[Callable[[Tensor], Tensor]], factors: Sequence[float], directions: Tensor
    ) -> None:
        super().__init__()
        self.functions, self.factors = tuple(functions), tuple(factors)
        self.register_buffer("directions", directions)

    def forward(self, x: Tensor) -> Tensor:
        along = x @ self.directions.T
        terms = zip(self.functions, self.factors, along.unbind(1), strict=True)
        return sum(factor * function(t) for function, factor, t in terms)


class Flat(nn.Module):
    """slope(w x) (v x), where v x is 0 on the path, and a smooth function beside it."""

    def __init__(self, value: Callable[[Tensor], Tensor], along: Tensor, across: Tensor, beside: Tensor) -> None:
        super().__init__()
        self.value = value
        for name, tensor in {"along": along, "across": across, "beside": beside}.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Tensor) -> Tensor:
        """The slope as a difference of the value: F is G(w x + v x) - G(w x - v x) over 2."""
        t, s = x @ self.along, x @ self.across
        return (self.value(t + s) - self.value(t - s)) / 2 + torch.tanh(x @ self.beside)


def directions(number: int, x: Tensor) -> Tensor:
    """Random rows w with w x = 1, float64."""
    found = torch.randn(number, FEATURES, dtype=torch.float64) * torch.rand(number, FEATURES) + 0.3
    return found + (1 - found @ x).unsqueeze(1) * x / (x @ x)


def _start(profile: Profile, kind: torch.dtype) -> Tensor:
    return torch.rand(FEATURES, dtype=torch.float64) + 0.5


def _case(
    name: str, profile: Profile, module: nn.Module, x: Tensor, terms: list[tuple[Tensor, float]], kind: torch.dtype
) -> Case:
    module = module.to(kind)
    inputs = x.to(kind)[None]

    def exact() -> Tensor:
        return sum((w * x * by for w, by in terms), torch.zeros(FEATURES, dtype=torch.float64))[None]

    return Case(
        name, profile.family, module, (inputs,), (torch.zeros_like(inputs),), kinked=profile.kinked,
        singular=profile.singular, jumps=profile.mass is not None, places=profile.places, exact=exact,
    )  # fmt: skip


def smooth(t: Tensor) -> Tensor:
    return torch.sigmoid(2 * t - 1)


_SMOOTH = float(smooth(torch.tensor(1.0).double()) - smooth(torch.tensor(0.0).double()))


def ridge(profile: Profile, kind: torch.dtype) -> Case:
    """G of one direction, and a smooth function of another."""
    x = _start(profile, kind)
    w, v = directions(2, x)
    module = Ridges([profile.value, smooth], [1.0, 0.5], torch.stack([w, v]))
    return _case(profile.name, profile, module, x, [(w, mass(profile, 0, 1)), (v, 0.5 * _SMOOTH)], kind)


def cancelling(profile: Profile, kind: torch.dtype) -> Case:
    """What G gives one direction it takes from another."""
    x = _start(profile, kind)
    w, v, u = directions(3, x)
    module = Ridges([profile.value, profile.value, smooth], [1.0, -1.0, 1.0], torch.stack([w, v, u]))
    terms = [(w, mass(profile, 0, 1)), (v, -mass(profile, 0, 1)), (u, _SMOOTH)]
    return _case(f"{profile.name}_cancelled", profile, module, x, terms, kind)


def flat(profile: Profile, kind: torch.dtype) -> Case:
    """The gradient is across the path: F shows nothing of it."""
    x = _start(profile, kind)
    w, u = directions(2, x)
    v = torch.randn(FEATURES, dtype=torch.float64)
    v = v - (v @ x) * x / (x @ x)
    module = Flat(profile.value, w, v, u)
    terms = [(v, mass(profile, 0, 1)), (u, float(torch.tanh(torch.tensor(1.0).double())))]
    return _case(f"{profile.name}_across", profile, module, x, terms, kind)


def _subject(profile: Profile, shape: Callable[[Profile, torch.dtype], Case], kind: torch.dtype) -> Subject:
    suffix = {ridge: "", cancelling: "_cancelled", flat: "_across"}[shape]

    def make() -> Case:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{profile.name}{suffix}".encode()))
            return shape(profile, kind)

    return Subject(profile.name + suffix, profile.family, make)


def _subjects() -> list[Subject]:
    """Every profile as a ridge, in float64 and float32 by turns; of every seventh each of the others."""
    found = []
    for i, profile in enumerate(profiles()):
        # Of spikes and ends float32 keeps little beyond alpha = 1e-7.
        kind = torch.float32 if i % 3 == 2 and not profile.singular else torch.float64
        found.append(_subject(profile, ridge, kind))
        if profile.singular or profile.mass is not None:
            continue
        if i % 6 == 1:
            found.append(_subject(profile, cancelling, torch.float64))
        if i % 6 == 4:
            found.append(_subject(profile, flat, torch.float64))
    return found


# ---------------------------------------------------------------- functions of another build


def point() -> Tensor:
    return (torch.rand(1, FEATURES, dtype=torch.float64) + 0.5) * torch.tensor([1, -1, 1, 1, -1, 1])


def plain(function: Callable[[Any, Tensor], Tensor], **tensors: Tensor) -> Function:
    return Function(function, **tensors)


@OTHER("scale")
def huge_output() -> Made:
    return Made(plain(lambda self, x: 1e12 * torch.tanh(x).prod(1)), point())


@OTHER("scale")
def tiny_output_float32() -> Made:
    return Made(plain(lambda self, x: 1e-12 * torch.sigmoid(3 * x).prod(1)), point().float())


@OTHER("scale")
def tiny_inputs() -> Made:
    return Made(plain(lambda self, x: torch.tanh(1e12 * x).sum(1) + torch.sin(1e12 * x.sum(1))), 1e-12 * point())


@OTHER("scale")
def huge_inputs() -> Made:
    return Made(plain(lambda self, x: torch.log1p((1e-12 * x).square().sum(1))), 1e12 * point())


@OTHER("scale")
def features_of_all_scales() -> Made:
    scales = 10.0 ** torch.tensor([-6, -3, 0, 2, 4, 6]).double()
    return Made(plain(lambda self, x: torch.sin((x / self.scales).cumsum(1)).sum(1), scales=scales), point() * scales)


@OTHER("scale")
def large_constant_float32() -> Made:
    """A difference of 1 on top of 1e6: F has three digits."""
    return Made(plain(lambda self, x: 1e6 + torch.tanh(x).sum(1)), point().float())


@OTHER("products")
def product_of_features() -> Made:
    return Made(plain(lambda self, x: x.prod(1)), point())


@OTHER("products")
def monomial_high_order() -> Made:
    return Made(
        plain(lambda self, x: (x.abs() ** self.powers).prod(1), powers=torch.tensor([12.0, 1, 7, 3, 20, 2]).double()),
        point() / 1.5,
    )


@OTHER("products")
def products_that_cancel() -> Made:
    return Made(plain(lambda self, x: (x[:, 0] * x[:, 2] - x[:, 3] * x[:, 5]) * torch.tanh(8 * x.sum(1))), point())


@OTHER("products")
def ratio_of_features() -> Made:
    return Made(
        plain(lambda self, x: x[:, 0] / (x[:, 1].square() + 1e-4) + x[:, 2]),
        point(),
        more={"singular": "0", "places": (0.0,)},
    )


@OTHER("direction", singular="0", places=(0.0,))
def unit_vector() -> Made:
    shift = 1e-4 * torch.randn(FEATURES).double()
    return Made(
        plain(
            lambda self, x: F.normalize(x + self.shift, dim=1) @ self.u, shift=shift, u=torch.randn(FEATURES).double()
        ),
        point(),
    )


@OTHER("direction", singular="0", places=(0.0,))
def cosine_from_far_origin() -> Made:
    shift = 1e-2 * torch.randn(FEATURES).double()
    return Made(
        plain(
            lambda self, x: F.cosine_similarity(x + self.shift, self.u[None]),
            shift=shift,
            u=torch.randn(FEATURES).double(),
        ),
        point(),
    )


@OTHER("direction", places=(0.37,))
def passes_a_vortex() -> Made:
    """The angle turns by nearly pi where the path passes the origin of two features."""

    def forward(self: Any, x: Tensor) -> Tensor:
        y = x @ self.plane - self.centre
        return torch.atan2(y[:, 1], y[:, 0]) + 0.1 * x.sum(1)

    x = point()
    plane = torch.randn(FEATURES, 2).double()
    along = (x @ plane)[0]
    across = torch.stack([-along[1], along[0]]) / along.norm()
    return Made(plain(forward, plane=plane, centre=0.37 * along + 2e-3 * across), x)


@OTHER("soft maximum")
def log_sum_exp_sharp() -> Made:
    return Made(
        plain(
            lambda self, x: torch.logsumexp(60 * (x @ self.w + self.b), 1) / 60,
            w=torch.randn(FEATURES, 12).double(),
            b=torch.randn(12).double(),
        ),
        point(),
    )


@OTHER("soft maximum")
def attention_switches() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        weights = (200 * (x @ self.w + self.b)).softmax(1)
        return (weights * (x @ self.v)).sum(1)

    return Made(
        plain(
            forward, w=torch.randn(FEATURES, 5).double(), v=torch.randn(FEATURES, 5).double(), b=torch.randn(5).double()
        ),
        point(),
    )


@OTHER("hard maximum", kinked=True)
def maximum_of_planes() -> Made:
    return Made(
        plain(
            lambda self, x: (x @ self.w + self.b).amax(1),
            w=2 * torch.randn(FEATURES, 15).double(),
            b=torch.randn(15).double(),
        ),
        point(),
    )


@OTHER("arg-max mask", jumps=True)
def arg_max_routing() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        chosen = F.one_hot((x @ self.w + self.b).argmax(1), 5).to(x.dtype)
        return (chosen * torch.tanh(x @ self.v)).sum(1)

    return Made(
        plain(
            forward,
            w=2 * torch.randn(FEATURES, 5).double(),
            b=torch.randn(5).double(),
            v=torch.randn(FEATURES, 5).double(),
        ),
        point(),
    )


@OTHER("arg-max mask", jumps=True)
def top_two_of_features() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = x @ self.w + self.b
        return (y.topk(2, dim=1).values * y.topk(2, dim=1).indices.to(x.dtype)).sum(1)

    return Made(plain(forward, w=2 * torch.randn(FEATURES, 6).double(), b=torch.randn(6).double()), point())


@OTHER("rounding", jumps=True)
def straight_through_rounding() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = 8 * (x @ self.w)
        y = y + (y.round() - y).detach()
        return torch.tanh(y / 8).sum(1)

    return Made(plain(forward, w=torch.randn(FEATURES, 4).double()), point())


@OTHER("rounding noise")
def computed_in_bfloat16() -> Made:
    return Made(
        plain(lambda self, x: torch.tanh(x @ self.w).sum(1), w=torch.randn(FEATURES, 16)).to(torch.bfloat16),
        point().to(torch.bfloat16),
    )


@OTHER("rounding noise", jumps=True)
def cast_to_half_inside() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.sigmoid(x.to(torch.float16) @ self.w.to(torch.float16)).to(x.dtype).sum(1)

    return Made(plain(forward, w=torch.randn(FEATURES, 16)), point().float())


@OTHER("rounding noise")
def cancellation_in_float32() -> Made:
    """(1 + a) - 1: gradients are exact, values have three digits."""
    return Made(
        plain(lambda self, x: ((1e4 + torch.tanh(x @ self.w)) - 1e4).sum(1), w=torch.randn(FEATURES, 8)),
        point().float(),
    )


@OTHER("far baseline")
def far_baseline_float32() -> Made:
    return Made(plain(lambda self, x: torch.tanh(x / 100).sum(1)), point().float(), 1e4)


@OTHER("many features")
def spike_of_one_feature_among_many() -> Made:
    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.erf((x[:, 7] - 0.43) / 0.002) - torch.erf((x[:, 11] - 0.43) / 0.002) + torch.tanh(x @ self.w)

    return Made(plain(forward, w=torch.randn(200).double() / 14), torch.ones(1, 200).double(), more={"places": (0.43,)})


@OTHER("many features")
def each_feature_a_step_of_its_own() -> Made:
    places = tuple(torch.rand(24).double().tolist())
    return Made(
        plain(lambda self, x: torch.tanh(300 * (x - self.c)).sum(1), c=torch.tensor(places).double()),
        torch.ones(1, 24).double(),
        more={"places": places},
    )


FUNCTIONS = (*_subjects(), *OTHER.subjects)
