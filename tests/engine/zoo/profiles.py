"""Functions of one variable on [0, 1] that are hard to integrate the slope of, in families."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

Scalar = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Profile:
    """`value` G(t) and where its slope changes fast. `mass`: the integral of the slope where that is not G(1) - G(0),
    as G jumps."""

    name: str
    family: str
    value: Scalar
    places: tuple[float, ...] = ()
    kinked: bool = False
    singular: str = ""
    mass: float | None = None


def step(k: float, c: float) -> Profile:
    return Profile(f"tanh_{k:g}_at_{c:g}", "steep step", lambda t: torch.tanh(k * (t - c)), (c,))


def steps() -> list[Profile]:
    where = {30: (0.37, 0.9), 100: (0.21, 0.5), 300: (0.63, 0.08), 1000: (0.71, 0.34), 3000: (0.44, 0.87)}
    steep = [step(k, c) for k, places in where.items() for c in places]
    ends = [step(k, c) for k, c in ((300, 0.0), (1000, 1.0), (3000, 0.001), (200, 0.995))]
    ends = [Profile(f"{one.name}_end", "step at an end", one.value, one.places) for one in ends]
    shapes = [
        Profile("sigmoid_400", "smooth step", lambda t: torch.sigmoid(400 * (t - 0.58)), (0.58,)),
        Profile("erf_60", "smooth step", lambda t: torch.erf(60 * (t - 0.29)), (0.29,)),
        Profile("arctan_150", "smooth step", lambda t: torch.atan(150 * (t - 0.47)), (0.47,)),
        Profile(
            "softsign_90", "smooth step", lambda t: torch.nn.functional.softsign(90 * (t - 0.52)), (0.52,), kinked=True
        ),
        Profile("cubic_smoothstep", "smooth step", lambda t: _smoothstep((t - 0.61) / 0.05), (0.61, 0.66), kinked=True),
        Profile("quintic_smoothstep_narrow", "smooth step", lambda t: _quintic((t - 0.322) / 0.01), (0.322, 0.332)),
        Profile(
            "clamped_ramp", "smooth step", lambda t: ((t - 0.418) / 0.004).clamp(0, 1), (0.418, 0.422), kinked=True
        ),
    ]
    return steep + ends + shapes


def _smoothstep(u: Tensor) -> Tensor:
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


def _quintic(u: Tensor) -> Tensor:
    u = u.clamp(0, 1)
    return u**3 * (10 - 15 * u + 6 * u * u)


def late() -> list[Profile]:
    return [
        *(Profile(f"power_{n}", "late rise", lambda t, n=n: t**n, (1.0,)) for n in (20, 80, 400, 2000)),
        *(Profile(f"exponential_{k}", "late rise", lambda t, k=k: torch.exp(k * (t - 1)), (1.0,)) for k in (30, 300)),
        Profile("early_fall", "late rise", lambda t: torch.exp(-500 * t), (0.0,)),
        Profile("plateau_then_ramp", "plateau", lambda t: torch.relu(t - 0.93) * 8, (0.93,), kinked=True),
        Profile(
            "plateau_then_soft_ramp", "plateau", lambda t: torch.nn.functional.softplus(200 * (t - 0.88)) / 20, (0.88,)
        ),
        Profile("plateau_then_square", "plateau", lambda t: torch.relu(t - 0.9).square() * 60, (0.9,)),
        Profile("ramp_then_plateau", "plateau", lambda t: (30 * t).clamp(max=1.0), (1 / 30,), kinked=True),
        Profile("bump_function", "plateau", lambda t: _bump((t - 0.75) / 0.04), (0.71, 0.75, 0.79)),
        Profile(
            "table_mountain",
            "plateau",
            lambda t: torch.sigmoid(150 * (t - 0.2)) * torch.sigmoid(150 * (0.83 - t)) + 0.1 * t,
            (0.2, 0.83),
        ),
    ]


def _bump(u: Tensor) -> Tensor:
    inside = u.abs() < 1
    safe = torch.where(inside, u, torch.zeros_like(u))
    return torch.where(inside, torch.exp(-1 / (1 - safe * safe).clamp_min(1e-9)), torch.zeros_like(u))


def spikes() -> list[Profile]:
    single = [
        Profile(f"spike_{w:g}_at_{c:g}", "Gaussian spike", lambda t, c=c, w=w: torch.erf((t - c) / w) + 0.3 * t, (c,))
        for c, w in ((0.31, 0.02), (0.77, 0.005), (0.452, 0.001), (0.118, 0.0002), (0.5, 0.003))
    ]
    pairs = [
        Profile(
            f"two_spikes_{a:g}_{b:g}",
            "two spikes",
            lambda t, a=a, b=b, w=w: torch.erf((t - a) / w) + 0.7 * torch.erf((t - b) / w),
            (a, b),
        )
        for a, b, w in ((0.21, 0.83, 0.004), (0.48, 0.53, 0.003), (0.05, 0.95, 0.001), (0.333, 0.667, 0.0005))
    ]
    opposite = [
        Profile(
            f"opposite_spikes_{a:g}_{b:g}",
            "opposite spikes",
            lambda t, a=a, b=b, w=w: torch.erf((t - a) / w) - torch.erf((t - b) / w) + 0.5 * t,
            (a, b),
        )
        for a, b, w in ((0.21, 0.83, 0.004), (0.4, 0.44, 0.002), (0.12, 0.71, 0.0005))
    ]
    bump = [
        Profile(
            f"bump_{w:g}", "bump that comes back", lambda t, w=w: torch.exp(-(((t - 0.43) / w) ** 2)) + 0.2 * t, (0.43,)
        )
        for w in (0.03, 0.003)
    ]
    return single + pairs + opposite + bump


# ---------------------------------------------------------------- slopes that vanish at the points of a rule

KRONROD = (
    0.991455371120812639207,
    0.949107912342758524526,
    0.864864423359769072790,
    0.741531185599394439864,
    0.586087235467691130294,
    0.405845151377397166907,
    0.207784955007898467601,
    0.0,
)
PATTERSON = (
    0.99383196321275502221,
    0.96049126870802028342,
    0.88845923287225699889,
    0.77459666924148337704,
    0.62110294673722640294,
    0.43424374934680255800,
    0.22338668642896688163,
    0.0,
)


def _mirrored(half: tuple[float, ...]) -> np.ndarray:
    return np.unique(np.concatenate([half, -np.array(half)]))


def _vanishing(nodes: np.ndarray) -> Scalar:
    """The function whose slope is the square of the polynomial that is zero at `nodes` of [-1, 1], and of mass 1."""
    degree = 2 * len(nodes)
    # The logarithm: products of a hundred small factors.
    squares = lambda x: np.exp(2 * np.log(np.abs(x[:, None] - nodes) + 1e-300).sum(1) + 1.38 * degree / 2)  # noqa: E731
    antiderivative = chebyshev.chebint(chebyshev.chebinterpolate(squares, degree))
    ends = chebyshev.chebval(np.array([-1.0, 1.0]), antiderivative)
    series = [float(c) for c in antiderivative / (ends[1] - ends[0])]
    return lambda t: _clenshaw(2 * t - 1, series)


def _clenshaw(x: Tensor, series: list[float]) -> Tensor:
    b, c = torch.zeros_like(x), torch.zeros_like(x)
    for coefficient in reversed(series[1:]):
        b, c = 2 * x * b - c + coefficient, b
    return x * b - c + series[0]


def vanishing() -> list[Profile]:
    fejer = {f"fejer_{n}": np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in (3, 7, 15, 23, 31)}
    first = {f"fejer_first_{n}": np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in (9, 27)}
    legendre = {f"legendre_{n}": np.polynomial.legendre.leggauss(n)[0] for n in (8, 16, 30)}
    others = {
        "kronrod_15": _mirrored(KRONROD),
        "patterson_7": _mirrored(PATTERSON[1::2]),
        "patterson_15": _mirrored(PATTERSON),
    }
    found = [
        Profile(f"vanishing_{name}", "vanishing at a rule's points", _vanishing(nodes))
        for name, nodes in {**fejer, **first, **legendre, **others}.items()
    ]
    regular = [
        Profile(
            f"resonance_{n}",
            "resonance with a grid",
            lambda t, n=n: t - torch.sin(2 * math.pi * n * t) / (2 * math.pi * n),
        )
        for n in (8, 16, 32, 64)
    ]
    halves = [
        Profile(
            f"resonance_middle_{n}",
            "resonance with a grid",
            lambda t, n=n: t + torch.sin(2 * math.pi * n * t) / (2 * math.pi * n),
        )
        for n in (12, 48)
    ]
    return found + regular + halves


# ---------------------------------------------------------------- ends, poles, waves


def ends() -> list[Profile]:
    powers = [
        Profile(f"root_{p:g}", "singular end", lambda t, p=p: t.clamp_min(0) ** p, (0.0,), singular="0")
        for p in (0.5, 0.3, 0.1, 0.03)
    ]
    mirrored = [
        Profile(f"root_{p:g}_at_input", "singular end", lambda t, p=p: (1 - t).clamp_min(0) ** p, (1.0,), singular="1")
        for p in (0.5, 0.25)
    ]
    logs = [
        Profile(f"log_{e:g}", "logarithm", lambda t, e=e: torch.log(t + e), (0.0,), singular="0")
        for e in (1e-2, 1e-4, 1e-6, 1e-9)
    ]
    poles = [
        Profile(f"reciprocal_{e:g}", "reciprocal", lambda t, e=e: e / (t + e), (0.0,), singular="0")
        for e in (1e-2, 1e-4, 1e-7)
    ]
    saturating = [
        Profile(f"michaelis_{e:g}", "saturation", lambda t, e=e: t / (t + e), (0.0,), singular="0")
        for e in (3e-2, 1e-3, 1e-5)
    ]
    norms = [
        Profile(f"norm_like_{e:g}", "saturation", lambda t, e=e: t / torch.sqrt(t * t + e), (0.0,), singular="0")
        for e in (1e-5, 1e-8)
    ]
    entropy = Profile(
        "entropy",
        "logarithm",
        lambda t: -(t + 1e-9) * torch.log(t + 1e-9) - (1 - t + 1e-9) * torch.log(1 - t + 1e-9),
        (0.0, 1.0),
        singular="0",
    )
    return [*powers, *mirrored, *logs, *poles, *saturating, *norms, entropy]


def waves() -> list[Profile]:
    poles = [
        Profile(f"pole_{e:g}_at_{c:g}", "pole beside the path", lambda t, c=c, e=e: torch.atan((t - c) / e), (c,))
        for c, e in ((0.42, 1e-2), (0.66, 1e-3), (0.27, 1e-4))
    ]
    resonant = [
        Profile(
            f"lorentzian_{e:g}",
            "pole beside the path",
            lambda t, e=e: e * e / ((t - 0.56) ** 2 + e * e) + 0.3 * t,
            (0.56,),
        )
        for e in (0.03, 0.003)
    ]
    runge = Profile("runge", "pole beside the path", lambda t: 1 / (1 + 100 * (2 * t - 1) ** 2) + t)
    sines = [
        Profile(f"sine_{k:g}", "oscillation", lambda t, k=k: torch.sin(2 * math.pi * k * t) / k + t / 2)
        for k in (3.3, 10, 25.5, 64, 100.7)
    ]
    chirps = [
        Profile("chirp_40", "chirp", lambda t: torch.sin(2 * math.pi * 40 * t * t) / 40 + t / 3),
        Profile("chirp_reciprocal", "chirp", lambda t: torch.sin(1 / (t + 0.02)) * (t + 0.02), (0.0,)),
        Profile("chirp_late", "chirp", lambda t: torch.sin(60 * t**8) / 5 + t / 5, (1.0,)),
    ]
    packets = [
        Profile(
            f"wave_packet_{k}",
            "wave packet",
            lambda t, k=k: torch.exp(-(((t - 0.6) / 0.05) ** 2)) * torch.cos(k * t) + 0.4 * t,
            (0.6,),
        )
        for k in (50, 300)
    ]
    zero = [
        Profile("sine_whole_period", "total difference near zero", lambda t: torch.sin(2 * math.pi * t)),
        Profile("parabola", "total difference near zero", lambda t: 4 * t * (1 - t) + 1e-6 * t),
        Profile(
            "up_and_down_steps",
            "total difference near zero",
            lambda t: torch.tanh(80 * (t - 0.3)) - torch.tanh(80 * (t - 0.7)),
            (0.3, 0.7),
        ),
        Profile("tent", "total difference near zero", lambda t: 1 - (2 * t - 1).abs(), (0.5,), kinked=True),
    ]
    return [*poles, *resonant, runge, *sines, *chirps, *packets, *zero]


def stairs() -> list[Profile]:
    def soft(n: int, k: float) -> Scalar:
        return lambda t: sum((torch.sigmoid(k * (t - (i + 0.4) / n)) for i in range(n)), 0.05 * t)

    smooth = [
        Profile(f"soft_stairs_{n}_{k:g}", "staircase", soft(n, k), tuple((i + 0.4) / n for i in range(n)))
        for n, k in ((4, 100), (10, 300), (20, 1000))
    ]
    hard = [
        Profile("threshold", "jump", lambda t: torch.where(t > 0.53, t, torch.zeros_like(t)), (0.53,), mass=0.47),
        Profile("threshold_unseen_ramp", "jump", lambda t: t + 0.7 * (t > 0.211).to(t), (0.211,), mass=1.0),
        Profile("sign_times_ramp", "jump", lambda t: t * torch.sign(t - 0.34), (0.34,), mass=0.32),
        Profile("floor_of_ten", "jump", lambda t: t.square() + 0.1 * torch.floor(10 * t + 0.5), mass=1.0),
        Profile(
            "heaviside_pair", "jump", lambda t: t.square() + (t > 0.3).to(t) - (t > 0.72).to(t), (0.3, 0.72), mass=1.0
        ),
        Profile(
            "sawtooth",
            "jump",
            lambda t: torch.remainder(5 * t + 0.3, 1.0),
            tuple((i - 0.3) / 5 for i in range(1, 6)),
            mass=5.0,
        ),
        Profile(
            "jump_and_steep",
            "jump",
            lambda t: torch.tanh(40 * (t - 0.3)) + 0.5 * (t > 0.8).to(t),
            (0.3, 0.8),
            mass=math.tanh(28) + math.tanh(12),
        ),
        Profile("tiny_jump", "jump", lambda t: torch.sin(3 * t) + 0.02 * (t > 0.6).to(t), (0.6,), mass=math.sin(3)),
    ]
    return smooth + hard


def random_pieces() -> list[Profile]:
    found = []
    for seed in range(5):
        draw = np.random.default_rng(seed)
        knots, slopes = np.sort(draw.random(2 + 6 * seed)), draw.normal(size=2 + 6 * seed)
        found.append(
            Profile(
                f"random_linear_{len(knots)}", "random pieces", _pieces(knots, slopes, 1), tuple(knots), kinked=True
            )
        )
    for seed in range(5, 8):
        draw = np.random.default_rng(seed)
        knots, slopes = np.sort(draw.random(6)), draw.normal(size=6)
        found.append(Profile(f"random_quadratic_{seed}", "random pieces", _pieces(knots, 9 * slopes, 2), tuple(knots)))
    for seed in range(8, 11):
        draw = np.random.default_rng(seed)
        centres, heights, widths = draw.random(5), draw.normal(size=5), 10 ** draw.uniform(-3.5, -1, 5)
        found.append(Profile(f"random_steps_{seed}", "random steps", _tanhs(centres, heights, widths), tuple(centres)))
    return found


def _pieces(knots: np.ndarray, slopes: np.ndarray, power: int) -> Scalar:
    terms = [(float(k), float(s)) for k, s in zip(knots, slopes, strict=True)]
    return lambda t: sum((s * torch.relu(t - k) ** power for k, s in terms), 0.7 * t)


def _tanhs(centres: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> Scalar:
    terms = [(float(c), float(h), float(w)) for c, h, w in zip(centres, heights, widths, strict=True)]
    return lambda t: sum((h * torch.tanh((t - c) / w) for c, h, w in terms), 0.2 * t)


def profiles() -> list[Profile]:
    return [*steps(), *late(), *spikes(), *vanishing(), *ends(), *waves(), *stairs(), *random_pieces()]


def mass(profile: Profile, start: float, end: float) -> float:
    """The integral of the slope from `start` to `end`, which lie at 0 and 1 but for rounding."""
    if profile.mass is not None:
        return profile.mass
    at = torch.tensor([start, end], dtype=torch.float64).clamp(0, 1)
    values: Any = profile.value(at)
    return float(values[1] - values[0])
