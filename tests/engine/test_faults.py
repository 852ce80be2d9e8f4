"""Models and inputs that go wrong, by every way in: each gives its named error or a finite answer, never a silent NaN.

What is not defined, and is said to be NaN where it is documented, is in `UNDEFINED`; tables leave it out.
"""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import ig_widgets as igw
from ig_widgets import faithfulness, relatives
from ig_widgets.engine import rules
from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import (
    ArgumentValueError,
    ConvergenceWarning,
    IGError,
    NondeterminismWarning,
    NonFiniteError,
    NotDifferentiableError,
    OutOfMemoryError,
    OutputError,
)
from tests.engine.subjects import draw

pytestmark = [pytest.mark.robustness, pytest.mark.filterwarnings("ignore:Memory ran out")]

X = draw(0, 2, 1, 4, 4)
ZEROS = torch.zeros_like(X)
W, MAP = draw(1, 16), draw(2, 2, 1, 4, 4)
UNDEFINED = {"share", "correlations"}

# ------------------------------------------------------------------ every way in

Model = Callable[..., Any]
Way = Callable[[Model, Tensor, Tensor], Any]


def _few(f: Model, x: Tensor, *b: Tensor) -> igw.Attribution:
    return attribute(f, x, baselines=b[0] if b else None, method="riemann_middle", n_steps=4)


def _relative(name: str, *, from_baseline: bool = True, **options: Any) -> Way:
    def run(f: Model, x: Tensor, b: Tensor) -> Any:
        return getattr(relatives, name)(f, x, **({"baselines": b} if from_baseline else {}), **options)

    return run


def _xrai(f: Model, x: Tensor, b: Tensor) -> Any:
    whole = torch.zeros(x.shape[2:], dtype=torch.int64)
    return relatives.xrai(f, x, attributions=_few(f, x, b), segments=whole, min_pixels=1)


def _like(x: Tensor) -> Tensor:
    return MAP[: len(x), :, : x.shape[2], : x.shape[3]]


def _captum(f: Model, x: Tensor, b: Tensor) -> Any:
    return igw.compat.captum.IntegratedGradients(f).attribute(x, b, n_steps=5)


WITH_GRADIENT: dict[str, Way] = {
    **{
        f"attribute, {method}": lambda f, x, b, method=method: attribute(f, x, baselines=b, method=method, n_steps=6)
        for method in (*rules.METHODS, rules.AUTO)
    },
    **{
        f"to a tolerance, {method}": lambda f, x, b, method=method: attribute(
            f, x, baselines=b, method=method, max_evaluations=30
        )
        for method in ("secant", "fejer", "gausslegendre", "auto")
    },
    "preview": lambda f, x, b: attribute(f, x, baselines=b, n_steps=4, precision="preview"),
    "mean gradient": lambda f, x, b: attribute(f, x, baselines=b, n_steps=4, multiply_by_inputs=False),
    "refine": lambda f, x, b: list(refine(f, x, baselines=b, n_steps=6)),
    "over_baselines": lambda f, x, b: relatives.over_baselines(f, x, baselines=[b, b + 0.25], n_steps=4),
    "gradient": _relative("gradient", from_baseline=False),
    "input_x_gradient": _relative("input_x_gradient"),
    "smoothgrad": _relative("smoothgrad", from_baseline=False, n_samples=3),
    "smoothgrad_squared": _relative("smoothgrad_squared", from_baseline=False, n_samples=3),
    "vargrad": _relative("vargrad", from_baseline=False, n_samples=3),
    "expected_gradients": _relative("expected_gradients", n_samples=4),
    "gradient_shap": _relative("gradient_shap", n_samples=4, sigma=0.1),
    "smooth_integrated_gradients": _relative("smooth_integrated_gradients", n_samples=2, n_steps=3),
    "blur_integrated_gradients": _relative("blur_integrated_gradients", from_baseline=False, sigma=1.0, n_steps=4),
    "guided_integrated_gradients": _relative("guided_integrated_gradients", n_knots=3, n_steps=3),
    "idgi": _relative("idgi", n_steps=4),
    "deeplift": _relative("deeplift"),
    "xrai": _xrai,
    "sensitivity_max": lambda f, x, b: faithfulness.sensitivity_max(f, x, explain=_few, n_perturb_samples=2),
    "input_shift": lambda f, x, b: faithfulness.input_shift(f, x, 0.5, baselines=None, explain=_few),
    "Captum's name": _captum,
}
FORWARD_ONLY: dict[str, Way] = {
    "deletion": lambda f, x, b: faithfulness.deletion(f, x, _like(x), baselines=b, n_steps=3),
    "insertion": lambda f, x, b: faithfulness.insertion(f, x, _like(x), baselines=b, n_steps=3),
    "infidelity": lambda f, x, b: faithfulness.infidelity(f, x, _like(x), baselines=b, n_perturb_samples=2),
    "audit": lambda f, x, b: faithfulness.audit_region(
        f, x[:1], (0, 0, 1, 1), baselines=b[:1], attributions=_like(x)[:1]
    ),
}
WAYS = WITH_GRADIENT | FORWARD_ONLY


def not_finite(value: object, name: str = "") -> Iterator[str]:
    """Names of what is NaN or infinite anywhere in a result, its properties, its table."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield name
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield name
    elif isinstance(value, list | tuple):
        for member in value:
            yield from not_finite(member, name)
    elif dataclasses.is_dataclass(value):
        names = [n for n in (*vars(value), *dir(type(value))) if not n.startswith("_")]
        for own in names:
            if not callable(member := getattr(value, own)):
                yield from not_finite(member, own)
        shown = repr(value) + (value._repr_html_() if hasattr(value, "_repr_html_") else "")
        if re.search(r"\b(nan|inf)\b", shown):
            yield "what is shown"


# ------------------------------------------------------------------ every fault


def alpha_of(x: Tensor) -> Tensor:
    """Where a row lies on the path from zeros to the example that it is nearest in direction to."""
    flat, ends = x.detach().flatten(1), X.flatten(1).to(x.dtype)
    products = flat @ ends.T
    return (products / ends.square().sum(1)).amax(1)


def score(x: Tensor) -> Tensor:
    return torch.tanh(x.flatten(1) @ W.to(x.dtype))


def from_0_37(value: float) -> Model:
    return lambda x: torch.where(alpha_of(x) > 0.37, value, score(x))


class Custom(Exception):  # noqa: N818
    pass


class CustomBase(BaseException):
    pass


def raising(error: BaseException, low: float = 0.37, high: float = math.inf) -> Model:
    def model(x: Tensor) -> Tensor:
        at = alpha_of(x)
        if bool(((at > low) & (at < high)).any()):
            raise error
        return score(x)

    return model


@dataclass
class Counted:
    """From call number 3 on another function."""

    later: Model
    calls: int = 0

    def __call__(self, x: Tensor) -> Any:
        self.calls += 1
        return score(x) if self.calls < 3 else self.later(x)


@dataclass(frozen=True)
class Fault:
    """A model, made anew for each run; `raises`: what may be raised, None: nothing. `always`: and must be."""

    make: Callable[[], Model]
    raises: type[BaseException] | tuple[type[BaseException], ...] | None = None
    says: str = ""
    always: bool = False
    x: Tensor = field(default_factory=lambda: X)
    b: Tensor | None = None
    ways: tuple[str, ...] = tuple(WAYS)


def of(model: Model, *args: Any, **options: Any) -> Fault:
    return Fault(lambda: model, *args, **options)


WHERE = (
    r"at alpha|at the (input|baseline)|at draw|at baseline|in perturbation|with [\d.]+% of|the region|cannot be told"
)
GRADIENT = tuple(WITH_GRADIENT)
one_moved, one_equal = X.clone(), ZEROS.clone()
one_moved[:, 0, 1, 1] += 0.5
one_equal[0] = X[0]
FAULTS: dict[str, Fault] = {
    **{f"{v} everywhere": of(lambda x, v=v: score(x) + v, NonFiniteError, WHERE, True) for v in (math.nan, math.inf)},
    **{f"{v} from 0.37 on": of(from_0_37(v), NonFiniteError, WHERE) for v in (math.nan, math.inf, -math.inf)},
    "nan in the second example": of(
        lambda x: torch.where(x.flatten(1)[:, 0] * X[1, 0, 0, 0] > 0, math.nan, score(x)),
        NonFiniteError,
        r"example 1|region",
        b=ZEROS,
        ways=tuple(w for w in WAYS if w.startswith(("attr", "to a", "refine", "idgi", "deeplift", "Captum", "del"))),
    ),
    "slope of sqrt at 0": of(lambda x: x.abs().sqrt().flatten(1).sum(1), NonFiniteError, WHERE),
    "0 log 0": of(lambda x: (x.abs() * x.abs().log()).flatten(1).sum(1), NonFiniteError, WHERE),
    "xlogy": of(lambda x: torch.xlogy(x.abs(), x.abs()).flatten(1).sum(1), NonFiniteError, WHERE),
    "nan in the gradient alone": of(
        lambda x: score(x) + (x * 0).abs().sqrt().flatten(1).sum(1), NonFiniteError, "the gradient"
    ),
    "float16 in the model": of(
        lambda x: (x.half() * 60000).flatten(1).square().sum(1), NonFiniteError, WHERE, True
    ),
    "bfloat16 in the model": of(
        lambda x: (x.bfloat16() * 1e30).flatten(1).square().sum(1), NonFiniteError, WHERE, True
    ),
    "float16 input, F overflows": of(
        lambda x: (x * 60000).flatten(1).sum(1), NonFiniteError, WHERE, True, x=X.half(), b=ZEROS.half()
    ),
    "float16 input, the attribution overflows": of(
        lambda x: (x.float() * 500).flatten(1).sum(1), NonFiniteError, WHERE, x=X.half() * 200, b=ZEROS.half()
    ),
    "no dependence": of(lambda x: score(x.detach()), NotDifferentiableError, "does not depend", True, ways=GRADIENT),
    "zero gradient": of(lambda x: score(x) * 0 + 3),
    "all ReLUs off": of(lambda x: torch.relu(x.flatten(1) * 0 - 1).sum(1)),
    "all but constant": of(lambda x: 3 + 1e-18 * score(x)),
    "1e-300": of(lambda x: 1e-300 * score(x)),
    "subnormal": of(lambda x: 1e-310 * score(x)),
    "1e300": of(lambda x: 1e300 * score(x), NonFiniteError, "too large"),
    "inputs of 1e300": of(lambda x: (x.flatten(1) @ W) * 1e-300, x=X * 1e300),
    "input is the baseline": of(score, b=X.clone()),
    "input is the baseline, ReLU": of(lambda x: torch.relu(x.flatten(1) @ W), b=X.clone()),
    "input is the baseline but for a pixel": of(score, b=one_moved),
    "input is the baseline in one example": of(score, b=one_equal),
    "empty batch": of(score, ArgumentValueError, "empty|one picture", True, x=X[:0]),
    "no pixels": of(score, ArgumentValueError, "empty", True, x=X[:, :, :0]),
    "one pixel": of(lambda x: torch.tanh(x.flatten(1)).sum(1), x=X[:, :, :1, :1]),
    "negative zero": of(lambda x: -(x.flatten(1) * 0).sum(1), x=-ZEROS, b=ZEROS + 1),
    "symmetric, so that the map sums to zero": of(lambda x: x.flatten(1).abs().sum(1), b=-X),
    "ValueError": of(raising(ValueError("mine")), ValueError, "mine"),
    "an error of its own": of(raising(Custom("mine")), Custom, "mine"),
    "KeyboardInterrupt": of(raising(KeyboardInterrupt("mine")), KeyboardInterrupt, "mine"),
    "SystemExit": of(raising(SystemExit("mine")), SystemExit, "mine"),
    "a BaseException": of(raising(CustomBase("mine")), CustomBase, "mine"),
    "MemoryError": of(raising(MemoryError()), OutOfMemoryError, "smaller"),
    "StopIteration": of(raising(StopIteration("mine"), 0.3, 0.9), (StopIteration, RuntimeError), "mine|StopIteration"),
    "another shape later": Fault(lambda: Counted(lambda x: torch.stack([score(x)] * 3, 1)), OutputError, "target"),
    "fewer rows later": Fault(lambda: Counted(lambda x: score(x)[:1]), OutputError, "rows"),
    "no tensor later": Fault(
        lambda: Counted(lambda x: None), OutputError, "must return a tensor", ways=tuple(w for w in WAYS if w[0] != "C")
    ),
    "no gradient later": Fault(lambda: Counted(lambda x: score(x).detach()), NotDifferentiableError, "does not depend"),
    "classes": of(lambda x: score(x).long(), OutputError, "int64", True),
    "decisions": of(lambda x: score(x) > 0, OutputError, "bool", True),
    "complex": of(lambda x: score(x).to(torch.complex128), OutputError, "complex128", True),
    "written in place": of(lambda x: score(x.mul_(2))),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_named_or_finite(name: str, figure: Callable[..., None]) -> None:
    fault, silent, unnamed = FAULTS[name], list[str](), list[str]()
    for way in fault.ways:
        x, b = fault.x.clone(), (torch.zeros_like(fault.x) if fault.b is None else fault.b.clone())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NondeterminismWarning)
                warnings.simplefilter("ignore", ConvergenceWarning)
                result = WAYS[way](fault.make(), x, b)
        except BaseException as error:
            known = fault.raises is not None and isinstance(error, fault.raises)
            if not known and not isinstance(error, Exception):
                raise  # a person's own Ctrl-C
            if not known or not re.search(fault.says, str(error)):
                unnamed.append(f"{way}: {type(error).__name__}: {error}")
            elif not isinstance(error, IGError) and isinstance(error, Exception):
                notes = " ".join([*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())])
                if "on the path" not in notes and way in WITH_GRADIENT:
                    unnamed.append(way)
        else:
            if fault.always:
                unnamed.append(f"{way} answered")
            silent += [f"{way}: {what}" for what in not_finite(result) if what not in UNDEFINED]
        assert torch.equal(x, fault.x), f"{way} changed its inputs"
    figure(f"ways in of {len(fault.ways)} with a silent NaN or no name for: {name}", len(silent + unnamed), at_most=0)
    assert silent == unnamed == []


class Speechless(RuntimeError):  # noqa: N818
    """Of the type by which torch says, among other things, that memory ran out; its text is not available."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("way", "low", "high"),
    [*((way, -1.0, math.inf) for way in WAYS), *((way, 0.3, 0.9) for way in WAYS if way.startswith(("attr", "to a")))],
)
def test_an_error_whose_text_raises_comes_through_as_itself(way: str, low: float, high: float) -> None:
    """At the first pass, or at the first between both ends."""
    error = Speechless()
    with pytest.raises(Speechless) as raised:
        WAYS[way](raising(error, low, high), X, ZEROS)
    assert raised.value is error


# ------------------------------------------------------------------ what zero is


@pytest.mark.parametrize("way", [w for w in GRADIENT if w not in ("sensitivity_max", "input_shift")])
@pytest.mark.parametrize("name", ["zero gradient", "all ReLUs off"])
def test_a_gradient_of_zero_is_a_map_of_zeros(way: str, name: str) -> None:
    result = WAYS[way](FAULTS[name].make(), X, ZEROS)
    for one in result if isinstance(result, list) else [result]:
        assert not getattr(one, "attributions", one).any()


@pytest.mark.parametrize("method", [*rules.METHODS, rules.AUTO])
def test_what_equals_the_baseline_is_given_nothing(method: str) -> None:
    """And what is left over gets all; with tolerance the error of zeros is zero."""
    some = attribute(score, X, baselines=one_moved, method=method, n_steps=12)
    moved = one_moved != X
    assert not some.attributions[~moved].any()
    assert some.attributions[moved].all()
    none = attribute(score, X, baselines=X, method=method)
    assert not none.attributions.any()
    assert none.error_estimate.tolist() == [0, 0]
    assert none.convergence_delta.tolist() == [0, 0]
    assert none.converged


# ------------------------------------------------------------------ sizes do not matter


@pytest.mark.parametrize("method", ["secant", "fejer", "riemann_middle", "gausslegendre", "auto"])
@pytest.mark.parametrize("power", [-1000, -400, 400, 1000])
@pytest.mark.filterwarnings("ignore::ig_widgets.engine.errors.ConvergenceWarning")  # the budget is small by intent
def test_powers_of_two_change_nothing_but_the_scale(method: str, power: int) -> None:
    """Their squares overflow or vanish: what is estimated, and where is sampled next, must not see that."""
    kinked = lambda x, scale=1.0: (torch.relu(x.flatten(1) * W) + torch.tanh(x.flatten(1))).sum(1) * scale  # noqa: E731
    options = {"baselines": -X / 2, "method": method, "tol": 0.01, "max_evaluations": 40, "chunk_size": 16}
    plain = attribute(kinked, X, **options)  # type: ignore[arg-type]
    scaled = attribute(lambda x: kinked(x, 2.0**power), X, **options)  # type: ignore[arg-type]
    assert scaled.evaluations == plain.evaluations
    assert scaled.method == plain.method
    torch.testing.assert_close(scaled.attributions * 2.0**-power, plain.attributions, rtol=1e-9, atol=0)
    torch.testing.assert_close(scaled.error_estimate, plain.error_estimate, rtol=1e-9, atol=0)


# ------------------------------------------------------------------ what the model does to the world


@pytest.mark.parametrize("way", WAYS)
def test_the_random_state_and_the_grad_mode_are_as_found(way: str) -> None:
    """What else it sets for all (a default dtype, a number of threads) is its own affair, and stays as it set it."""

    def model(x: Tensor) -> Tensor:
        torch.manual_seed(7)
        torch.rand(3)
        result = score(x)
        torch.set_grad_enabled(False)
        return result

    before = torch.get_rng_state()
    try:
        WAYS[way](model, X, ZEROS)
    finally:
        enabled = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
    assert enabled
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------ a model that answers differently each time

RESTLESS: dict[str, Callable[[], Model]] = {
    "functional dropout": lambda: lambda x: score(F.dropout(x) * 0.3),
    "noise": lambda: lambda x: score((x + torch.randn_like(x)) * 0.3),
    "a counter": lambda: Counted(lambda x: 2 * score(x)),
}


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        *((kind, method) for kind in ("functional dropout", "noise") for method in (*rules.METHODS, "auto")),
        *(("a counter", method) for method in ("auto", "secant", "riemann_trapezoid")),
    ],
)
def test_a_model_that_answers_differently_is_warned_of_once(kind: str, method: str) -> None:
    """Where an end of the path comes by again, in another row or call; one that draws random numbers by any rule."""
    with warnings.catch_warnings(record=True) as caught, torch.random.fork_rng():
        warnings.simplefilter("always")
        torch.manual_seed(0)  # of other masks two may say nearly the same
        attribute(RESTLESS[kind](), X, method=method, n_steps=9, chunk_size=6)
    (warning,) = caught
    assert warning.category is NondeterminismWarning
    assert re.search(r"answered -?[\d.e-]+, then -?[\d.e-]+ \(at alpha = [01], example \d\)", str(warning.message))
    assert "eval()" in str(warning.message)


@pytest.mark.parametrize("batch", [1, 2])
def test_only_a_model_that_draws_is_asked_for_the_ends_again(batch: int) -> None:
    """And is not warned of for it: what it draws may change nothing, as where layers are dropped in training only."""
    rows = {"steady": 0, "drawing": 0}

    def model(x: Tensor, name: str) -> Tensor:
        rows[name] += 0 if torch.is_grad_enabled() else len(x)
        if name == "drawing":
            torch.rand(())
        return score(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steady, drawing = (
            attribute(lambda x, name=name: model(x, name), X[:batch], method="gausslegendre", n_steps=9, chunk_size=6)
            for name in rows
        )
    assert rows == {"steady": 2 * batch, "drawing": 4 * batch}
    assert torch.equal(steady.attributions, drawing.attributions)
    assert steady.evaluations == drawing.evaluations


@pytest.mark.parametrize("kind", ["functional dropout", "noise"])
def test_row_by_row_chance_is_fixed(kind: str) -> None:
    """The random state is put back after each pass, so that one row a pass is one function: no false alarm."""
    model = RESTLESS[kind]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = [attribute(model, X[:1], method=m, n_steps=9, chunk_size=1) for m in ("auto", "riemann_trapezoid")]
    again = attribute(model, X[:1], method="auto", n_steps=9, chunk_size=1)
    assert torch.equal(runs[0].attributions, again.attributions)


def test_rounding_is_no_other_answer() -> None:
    """Other chunks, folded batch norm and half precision answer a little differently, an exact zero by rounding."""
    subject = igw.demo.image_classifier()
    photo = subject.preprocess(igw.demo.image("cat"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attribute(subject.model, photo, target=285, n_steps=3, chunk_size=2, method="auto")
        attribute(lambda x: x.flatten(1) @ W.half(), X.half(), baselines=-X.half(), n_steps=9)
        attribute(lambda x: ((x + 1e8) - 1e8).flatten(1).sum(1), X, baselines=X, method="riemann_trapezoid", n_steps=9)
