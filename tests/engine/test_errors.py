"""Each error names the argument, what was seen and what would work, and is the built-in that fits."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ig_widgets.engine import errors
from ig_widgets.engine.attribution import attribute, refine
from ig_widgets.engine.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    IGError,
    NotDifferentiableError,
    OutputError,
    TrainingModeError,
)
from tests.engine.subjects import Scores, draw

X = draw(1, 3, 4)
MODEL = Scores([(4,)], (5,), seed=9)
DEEP = Scores([(4,)], (2, 3), seed=9)
FLAT = Scores([(4,)], seed=9)
PAIR = Scores([(4,), (2,)], seed=9)
Y = draw(2, 3, 2)
OK = {"target": 0, "n_steps": 4}


def test_the_family() -> None:
    members = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    members = [e for e in members if not issubclass(e, Warning)]
    assert len(members) > 8
    assert all(issubclass(e, IGError) for e in members)
    fitting = {
        "ArgumentValueError": ValueError,
        "ArgumentTypeError": TypeError,
        "OutputError": ValueError,
        "NotDifferentiableError": RuntimeError,
        "TrainingModeError": RuntimeError,
        "NonFiniteError": RuntimeError,
        "OutOfMemoryError": MemoryError,
        "Cancelled": RuntimeError,
    }
    for name, built_in in fitting.items():
        assert issubclass(getattr(errors, name), built_in)


# (call, class, what the message must say: the argument, what was seen, what would work)
CASES: dict[str, tuple[Callable[[], object], type[Exception], tuple[str, ...]]] = {
    "inputs not a tensor": (
        lambda: attribute(MODEL, X.numpy(), **OK),
        ArgumentTypeError,
        ("inputs", "ndarray", "torch.as_tensor"),
    ),
    "one of inputs not a tensor": (
        lambda: attribute(PAIR, (X, [1.0]), n_steps=4),
        ArgumentTypeError,
        ("inputs[1]", "list", "torch.as_tensor"),
    ),
    "inputs of token ids": (
        lambda: attribute(MODEL, torch.ones(2, 4, dtype=torch.int64), **OK),
        ArgumentTypeError,
        ("inputs", "torch.int64", "embedding"),
    ),
    "inputs of bool": (lambda: attribute(MODEL, X > 0, **OK), ArgumentTypeError, ("inputs", "torch.bool")),
    "inputs complex": (
        lambda: attribute(MODEL, X.to(torch.complex64), **OK),
        ArgumentTypeError,
        ("inputs", "torch.complex64"),
    ),
    "inputs 0-D": (lambda: attribute(FLAT, torch.tensor(1.0)), ArgumentValueError, ("inputs", "batch", "reshape")),
    "inputs empty": (
        lambda: attribute(MODEL, torch.zeros(0, 4), **OK),
        ArgumentValueError,
        ("inputs", "(0, 4)", "at least one"),
    ),
    "no inputs": (lambda: attribute(MODEL, (), **OK), ArgumentValueError, ("inputs", "empty tuple", "tensor")),
    "inputs of two batches": (
        lambda: attribute(PAIR, (X, Y[:2]), n_steps=4),
        ArgumentValueError,
        ("inputs[1]", "2 rows", "3", "same batch"),
    ),
    "baselines of another shape": (
        lambda: attribute(MODEL, X, baselines=torch.zeros(3, 5), **OK),
        ArgumentValueError,
        ("baselines", "(3, 5)", "(3, 4)", "(1, 4)"),
    ),
    "baselines of more rows": (
        lambda: attribute(MODEL, X[:1], baselines=torch.zeros(3, 4), **OK),
        ArgumentValueError,
        ("baselines", "(3, 4)", "(1, 4)"),
    ),
    "baselines of more dimensions": (
        lambda: attribute(MODEL, X, baselines=torch.zeros(1, 3, 4), **OK),
        ArgumentValueError,
        ("baselines", "(1, 3, 4)", "(3, 4)"),
    ),
    "baselines text": (lambda: attribute(MODEL, X, baselines="black", **OK), ArgumentTypeError, ("baselines", "str")),
    "baselines an array": (
        lambda: attribute(MODEL, X, baselines=np.zeros((3, 4)), **OK),
        ArgumentTypeError,
        ("baselines", "ndarray", "tensor"),
    ),
    "one tensor for two inputs": (
        lambda: attribute(PAIR, (X, Y), baselines=X, n_steps=4),
        ArgumentTypeError,
        ("baselines", "2 inputs", "tuple of 2"),
    ),
    "one baseline for two inputs": (
        lambda: attribute(PAIR, (X, Y), baselines=(X,), n_steps=4),
        ArgumentValueError,
        ("baselines", "1 member", "2"),
    ),
    "second baseline of another shape": (
        lambda: attribute(PAIR, (X, Y), baselines=(0, torch.zeros(7)), n_steps=4),
        ArgumentValueError,
        ("baselines[1]", "(7,)", "(3, 2)"),
    ),
    "a callable that returns nonsense": (
        lambda: attribute(MODEL, X, baselines=lambda x: "black", **OK),
        ArgumentTypeError,
        ("baselines", "str"),
    ),
    "target out of range": (
        lambda: attribute(MODEL, X, target=5, n_steps=4),
        ArgumentValueError,
        ("target 5", "(5,)", "0 to 4"),
    ),
    "target out of range below": (
        lambda: attribute(MODEL, X, target=-6, n_steps=4),
        ArgumentValueError,
        ("target -6", "(5,)", "0 to 4"),
    ),
    "one target of several out of range": (
        lambda: attribute(MODEL, X, target=[0, 9, 1], n_steps=4),
        ArgumentValueError,
        ("target 9", "(5,)"),
    ),
    "target tuple out of range": (
        lambda: attribute(DEEP, X, target=(1, 3), n_steps=4),
        ArgumentValueError,
        ("target (1, 3)", "(2, 3)", "0 to 2"),
    ),
    "target missing": (
        lambda: attribute(MODEL, X, n_steps=4),
        OutputError,
        ("target is None", "(5,)", "target="),
    ),
    "target too short": (
        lambda: attribute(DEEP, X, target=1, n_steps=4),
        OutputError,
        ("target 1", "(2, 3)", "tuple of 2"),
    ),
    "target too long": (
        lambda: attribute(MODEL, X, target=(1, 2), n_steps=4),
        OutputError,
        ("target (1, 2)", "(5,)", "give an int"),
    ),
    "target where F is a number": (
        lambda: attribute(FLAT, X, target=0, n_steps=4),
        OutputError,
        ("target 0", "()", "target=None"),
    ),
    "targets for another batch": (
        lambda: attribute(MODEL, X, target=[0, 1], n_steps=4),
        ArgumentValueError,
        ("target", "2 entries", "3 examples"),
    ),
    "targets none": (lambda: attribute(MODEL, X, target=[], n_steps=4), ArgumentValueError, ("target", "0 entries")),
    "targets of mixed depth": (
        lambda: attribute(DEEP, X, target=[(0, 1), 1, (0, 0)], n_steps=4),
        ArgumentValueError,
        ("target", "depth"),
    ),
    "target empty tuple": (
        lambda: attribute(MODEL, X, target=(), n_steps=4),
        ArgumentValueError,
        ("target", "empty tuple", "None"),
    ),
    "target of floats": (
        lambda: attribute(MODEL, X, target=torch.tensor([0.0, 1.0, 2.0]), n_steps=4),
        ArgumentTypeError,
        ("target", "torch.float32", "integers"),
    ),
    "target of numpy floats": (
        lambda: attribute(MODEL, X, target=np.zeros(3), n_steps=4),
        ArgumentTypeError,
        ("target", "float64", "integers"),
    ),
    "target a float": (
        lambda: attribute(MODEL, X, target=1.0, n_steps=4),
        ArgumentTypeError,
        ("target", "1.0", "float", "int"),
    ),
    "target a flag": (
        lambda: attribute(MODEL, X, target=True, n_steps=4),
        ArgumentTypeError,
        ("target", "True", "bool"),
    ),
    "target of flags": (
        lambda: attribute(MODEL, X, target=torch.tensor([True, False, True]), n_steps=4),
        ArgumentTypeError,
        ("target", "bool"),
    ),
    "target text": (lambda: attribute(MODEL, X, target="cat", n_steps=4), ArgumentTypeError, ("target", "'cat'")),
    "forward_func not callable": (
        lambda: attribute(3, X, **OK),  # type: ignore[arg-type]
        ArgumentTypeError,
        ("forward_func", "int", "callable"),
    ),
    "chunk_size 0": (
        lambda: attribute(MODEL, X, chunk_size=0, **OK),
        ArgumentValueError,
        ("chunk_size", "0", "at least 1"),
    ),
    "chunk_size a float": (
        lambda: attribute(MODEL, X, chunk_size=2.0, **OK),
        ArgumentTypeError,
        ("chunk_size", "2.0", "integer"),
    ),
    "n_steps 0": (lambda: attribute(MODEL, X, target=0, n_steps=0), ArgumentValueError, ("n_steps", "0", "at least 1")),
    "n_steps a float": (
        lambda: attribute(MODEL, X, target=0, n_steps=2.5),  # type: ignore[arg-type]
        ArgumentTypeError,
        ("n_steps", "2.5", "integer"),
    ),
    **{
        f"tol {tol}": (
            lambda tol=tol: attribute(MODEL, X, target=0, tol=tol),
            ArgumentValueError,
            ("tol", str(tol), "between 0 and 1", "0.05"),
        )
        for tol in (0, 1, -0.1, 5, float("nan"))
    },
    "tol a word": (
        lambda: attribute(MODEL, X, target=0, tol="tight"),  # type: ignore[arg-type]
        ArgumentTypeError,
        ("tol", "'tight'", "between 0 and 1"),
    ),
    "tol, in refine": (lambda: refine(MODEL, X, target=0, tol=2), ArgumentValueError, ("tol", "2", "between 0 and 1")),
    "max_evaluations 1": (
        lambda: attribute(MODEL, X, target=0, max_evaluations=1),
        ArgumentValueError,
        ("max_evaluations", "1", "at least 2", "n_steps"),
    ),
    "max_evaluations a float": (
        lambda: attribute(MODEL, X, target=0, max_evaluations=10.0),  # type: ignore[arg-type]
        ArgumentTypeError,
        ("max_evaluations", "10.0", "integer"),
    ),
    "trapezoid of one": (
        lambda: attribute(MODEL, X, target=0, n_steps=1, method="riemann_trapezoid"),
        ArgumentValueError,
        ("riemann_trapezoid", "n_steps is 1", "at least 2"),
    ),
    "method unknown": (
        lambda: attribute(MODEL, X, method="simpson", **OK),
        ArgumentValueError,
        ("method", "simpson", "gausslegendre", "riemann_middle"),
    ),
    "output a dict": (
        lambda: attribute(lambda at: {"scores": MODEL(at)}, X, **OK),
        OutputError,
        ("forward_func", "dict", "scores: float64", "output='scores'", "lambda x: model(x)['scores']"),
    ),
    "output a tuple": (
        lambda: attribute(lambda at: (MODEL(at), None), X, **OK),
        OutputError,
        ("forward_func", "tuple of 2", "lambda x: model(x)[0]"),
    ),
    "output an object": (
        lambda: attribute(lambda at: SimpleNamespace(scores=MODEL(at)), X, **OK),
        OutputError,
        ("forward_func", "SimpleNamespace", "output='scores'", ".scores"),
    ),
    "output None": (lambda: attribute(lambda at: None, X, **OK), OutputError, ("forward_func", "NoneType")),
    "output of classes": (
        lambda: attribute(lambda at: MODEL(at).argmax(1), X, n_steps=4),
        OutputError,
        ("forward_func", "torch.int64", "scores"),
    ),
    "output of other rows": (
        lambda: attribute(lambda at: MODEL(at)[:1], X, **OK),
        OutputError,
        ("forward_func", "(1, 5)", "row", "chunk_size=1"),
    ),
    "output does not depend on inputs": (
        lambda: attribute(lambda at: MODEL(at.detach()), X, **OK),
        NotDifferentiableError,
        ("forward_func", "inputs", "detach"),
    ),
    "output from under no_grad": (
        lambda: attribute(torch.no_grad()(MODEL.forward), X, **OK),
        NotDifferentiableError,
        ("forward_func", "inputs", "no_grad"),
    ),
    "output does not depend on the second": (
        lambda: attribute(lambda a, b: FLAT(a), (X, Y), n_steps=4),
        NotDifferentiableError,
        ("inputs[1]", "additional_forward_args"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str) -> None:
    call, kind, said = CASES[case]
    with pytest.raises(kind) as raised:
        call()
    message = str(raised.value)
    missing = [words for words in said if words not in message]
    assert not missing, f"{missing} not in: {message}"
    assert message[-1] in ".)"
    assert "0x" not in message
    assert "\n" not in message


def test_unknown_options() -> None:
    with pytest.raises(TypeError, match="n_step"):
        attribute(MODEL, X, target=0, n_step=4)  # type: ignore[call-arg]


def test_zero_gradients_are_zeros_and_no_error() -> None:
    result = attribute(lambda at: F.relu(at.sum(1) * 0 - 1) + 3, X, n_steps=4)
    assert (result.attributions == 0).all()
    assert (result.convergence_delta == 0).all()
    assert (result.output == 3).all()


# ------------------------------------------------------------------ exceptions of the model


class UnhappyError(Exception):
    pass


@pytest.mark.parametrize("kind", [UnhappyError, ValueError, RuntimeError, NotImplementedError, KeyError])
@pytest.mark.parametrize("conv", [False, True])
def test_exceptions_pass_unchanged_with_a_note(kind: type[Exception], conv: bool) -> None:
    """Points are their alpha, and the model fails beyond 0.6."""
    layer = nn.Conv2d(1, 1, 1).double()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if conv:
                self.layer = layer

        def forward(self, at: Tensor) -> Tensor:
            if at.requires_grad and (at > 0.6).any():
                raise raised_by_model
            return at.sum((1, 2, 3))

    raised_by_model = kind("no more")
    with pytest.raises(kind) as raised:
        attribute(
            Model(),
            torch.ones(1, 1, 1, 1, dtype=torch.float64),
            method="riemann_middle",
            n_steps=8,
            chunk_size=1,
        )
    assert raised.value is raised_by_model
    assert raised.value.args == ("no more",)
    assert not isinstance(raised.value, IGError)
    notes = raised.value.__notes__
    alpha = float(re.search(r"alpha = (\d+\.\d+)", notes[-1])[1])  # type: ignore[index]
    assert alpha in [(i + 0.5) / 8 for i in range(8)]
    assert alpha > 0.6


def test_a_note_for_a_chunk_names_its_range() -> None:
    def forward(at: Tensor) -> Tensor:
        if at.requires_grad:
            raise UnhappyError
        return at.sum(1)

    with pytest.raises(UnhappyError) as raised:
        attribute(forward, torch.ones(1, 2), method="riemann_middle", n_steps=8, chunk_size=8)
    assert raised.value.__notes__ == [
        "The model raised this on the path from baseline to input, at alpha between 0.0625 and 0.9375."
    ]


def test_keyboard_interrupts_pass() -> None:
    def forward(at: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attribute(forward, torch.ones(1, 2), n_steps=8)


# ------------------------------------------------------------------ training mode


def network(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 5))


class Holder:
    """Holds a model as an attribute, as user code does."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def predict(self, at: Tensor) -> Tensor:
        return self.model(at)

    def __call__(self, at: Tensor) -> Tensor:
        return self.model(at)


def _decorated(model: nn.Module) -> Callable[[Tensor], Tensor]:
    @functools.wraps(model.forward)
    def inner(at: Tensor) -> Tensor:
        return model(at)

    return inner


def _nested(model: nn.Module) -> Callable[[Tensor], Tensor]:
    def helper(at: Tensor) -> Tensor:
        return model(at)

    def outer(at: Tensor) -> Tensor:
        return helper(at)

    return outer


def _in_self(model: nn.Module) -> Callable[[Tensor], Tensor]:
    holder = Holder(model)
    return lambda at: holder.model(at)


def _in_comprehension(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda at: torch.cat([model(part) for part in at.split(2)])


def _called_with(model: nn.Module, at: Tensor) -> Tensor:
    return model(at)


WRAPPERS: dict[str, Callable[[nn.Module], Callable[[Tensor], Tensor]]] = {
    "itself": lambda model: model,
    "lambda": lambda model: lambda at: model(at),
    "closure": _decorated,
    "closure of a closure": _nested,
    "default argument": lambda model: lambda at, held=model: held(at),
    "keyword default": lambda model: lambda at, *, held=model: held(at),
    "comprehension": _in_comprehension,
    "partial of the model": lambda model: functools.partial(model),
    "partial with the model": lambda model: functools.partial(_called_with, model),
    "partial of a lambda": lambda model: functools.partial(lambda at, k: model(at) * k, k=2),
    "bound forward": lambda model: model.forward,
    "bound method of a module's holder": lambda model: Holder(model).predict,
    "callable object": lambda model: Holder(model),  # type: ignore[dict-item,return-value]
    "attribute in a closure": _in_self,
    "list in a closure": lambda model: (lambda models: lambda at: sum(m(at) for m in models))([model]),
    "lambda of a partial": lambda model: (lambda p: lambda at: p(at))(functools.partial(model)),
    "lambda of a bound method": lambda model: (lambda p: lambda at: p(at))(Holder(model).predict),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(("layer", "name"), [(nn.BatchNorm1d(4), "BatchNorm1d"), (nn.Dropout(0.5), "Dropout")])
def test_training_mode_is_refused(wrapper: str, layer: nn.Module, name: str) -> None:
    model = network(layer).train()
    forward = WRAPPERS[wrapper](model)
    with pytest.raises(TrainingModeError, match=rf"{name} '1' in training mode.*eval\(\)"):
        attribute(forward, X.float(), target=0, n_steps=4)
    model.eval()
    attribute(forward, X.float(), target=0, n_steps=4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4, affine=False),
        nn.SyncBatchNorm(4),
        nn.RReLU(),
        nn.Dropout1d(0.5),
        nn.AlphaDropout(0.5),
        nn.FeatureAlphaDropout(0.5),
        nn.Sequential(nn.Sequential(nn.Dropout(0.1))),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_training_mode_of_other_layers(layer: nn.Module) -> None:
    with pytest.raises(TrainingModeError, match="in training mode"):
        attribute(network(layer).train(), X.float(), target=0, n_steps=4)


def test_only_what_matters_is_refused() -> None:
    harmless = network(nn.Sequential(nn.LayerNorm(4), nn.Dropout(0.0))).train()
    attribute(harmless, X.float(), target=0, n_steps=4)
    assert harmless.training
    half = network(nn.BatchNorm1d(4)).train()
    half[1].eval()
    attribute(half, X.float(), target=0, n_steps=4)


def test_batchnorm_without_running_statistics_is_refused_in_either_mode() -> None:
    model = network(nn.BatchNorm1d(4, track_running_stats=False)).eval()
    with pytest.raises(TrainingModeError, match=r"without running statistics.*track_running_stats=True"):
        attribute(model, X.float(), target=0, n_steps=4)


def test_an_unknown_keyword_is_named_and_the_one_that_was_meant() -> None:
    with pytest.raises(TypeError, match=r"n_step is no keyword .* did you mean n_steps\?"):
        attribute(MODEL, X, n_step=3)  # type: ignore[call-arg]
    signature = inspect.signature(attribute)
    assert signature.parameters["tol"].default == 0.05
    assert list(signature.parameters) == list(inspect.signature(refine).parameters)
