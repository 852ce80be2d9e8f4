"""Catalog of named baselines and their cards.

A baseline is asked for by a text, so that browser and kernel mean the same one: a name, with parameters in brackets
where they are not the usual ones: "blur" or "blur(sigma=8)".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ig_widgets.baselines import Baseline, Parameter
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.texts import plain, printable, whole

NAME_LENGTH = 80
# The newest that were made, for a person who goes back and forth.
_MADE_KEPT = 16
# A baseline to which a model gives more for one class is something to the model, rather than nothing.
_NOT_NEUTRAL = 0.5


@dataclass(frozen=True)
class Card:
    """A baseline on offer: what it is, how it looks, and what the model answers for it.

    `name`: the text that asks for it. `output`: F there, for the target and output of the explorer. `top`: the
    likeliest three classes and their probabilities. `entropy`: of all of these, in bits; `most_entropy` where each is
    as likely.
    """

    name: str
    description: str
    output: float
    top: tuple[tuple[str, float], ...]
    entropy: float
    most_entropy: float
    thumbnail: bytes = b""

    @property
    def is_neutral(self) -> bool:
        """Whether no class has more than half of the probability."""
        return not self.top or self.top[0][1] <= _NOT_NEUTRAL

    def __repr__(self) -> str:
        said = ", ".join(f"{plain(label, 40)} {probability:.2f}" for label, probability in self.top)
        verdict = "" if self.is_neutral else "; not neutral"
        return f"Card({self.name!r}, F {self.output:.3g}, {said}, entropy {self.entropy:.2g} bits{verdict})"


class Cards(tuple[Card, ...]):
    """Cards; prints as a line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


@dataclass(frozen=True)
class GivenBaseline:
    """A baseline that a user has given as the model's input, or as a function that returns one."""

    make: Callable[[Tensor], Any]
    description: str

    space = "inputs"
    parameters = ()

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns the baseline."""
        made: Tensor = self.make(inputs)
        return made

    def describe(self) -> str:
        """Returns what it is, for a caption."""
        return self.description


class BaselineCatalog:
    """The baselines on offer for one input. A kind of input overrides what it has to say of them."""

    def __init__(self, inputs: Tensor, offers: Mapping[str, Any]) -> None:
        """`inputs` (1, ...): the model's. `offers`: by name, each a baseline (see `igw.baselines`)."""
        self._inputs = inputs
        self._offers: dict[str, Any] = dict(offers)
        self._usual = frozenset(offers)
        self._made: dict[str, Tensor] = {}
        # Each pane makes baselines in a thread of its own, and so do panels.
        self._lock = threading.Lock()

    # ------------------------------------------------------------ what a kind of input may say otherwise

    def thumbnail(self, name: str) -> bytes:
        """Returns a small picture of a baseline as a PNG; b"" where there is none."""
        return b""

    def upload(self, name: str, data: bytes, in_use: Collection[str] = ()) -> str:
        """Offers what a file holds, and returns the text that asks for it. Raises ArgumentValueError."""
        raise ArgumentValueError(f"{plain(name, NAME_LENGTH)} was not taken: files are no baselines here.")

    def _given(self, value: object) -> tuple[str, Any] | None:
        """Returns a name and an offer for a value of a type that only this kind of input knows."""
        return None

    def _evaluate(self, text: str, offer: Any) -> object:
        """Returns the baseline as the model's input."""
        return offer(self._inputs)

    def _limits(self, parameter: Parameter) -> tuple[float, float, float]:
        """Returns between which values a text may set a parameter, and the usual one."""
        return parameter.low, parameter.high, parameter.default

    def _control(self, baseline: Any, parameter: Parameter) -> dict[str, object]:
        """Returns what a control shows of a parameter."""
        low, high, usual = self._limits(parameter)
        value = getattr(baseline, parameter.name)
        value = usual if value is None else value
        limits = {"low": low, "high": high, "step": parameter.step, "unit": parameter.unit}
        return {"name": parameter.name, "value": float(value), **limits}

    def _parsed(self, offer: Any, inside: str) -> dict[str, Any] | None:
        """Returns the fields that a text in brackets sets, where it is not a list of numbers."""
        return None

    def _values_text(self, values: Mapping[str, Any]) -> str | None:
        """Returns fields as the text in brackets that sets them; None where no text can."""
        if any(isinstance(value, tuple) for value in values.values()):
            return None
        return ", ".join(f"{name}={value:.12g}" for name, value in values.items())

    # ------------------------------------------------------------ what is on offer

    @property
    def names(self) -> list[str]:
        """All that are on offer."""
        return list(self._offers)

    def is_usual(self, text: str) -> bool:
        """Whether every explorer of such an input offers it."""
        return text.partition("(")[0].strip() in self._usual

    def parameters(self, text: str) -> list[dict[str, object]]:
        """Returns what can be set of a baseline, and how it is set now."""
        baseline = self._resolve(text)
        return [self._control(baseline, one) for one in baseline.parameters]

    def name_of(self, value: object) -> str:
        """Returns the text that asks for `value`, which is on offer from then on.

        That is a text, one of `igw.baselines`, a tensor of the model's input, or a function of that.
        Raises ArgumentTypeError, ArgumentValueError.
        """
        if isinstance(value, str):
            self.inputs(value)
            return self._canonical(value)
        if isinstance(value, Baseline):
            for name, offer in self._offers.items():
                if type(offer) is type(value) and self._is_settable(value):
                    text = self._text(name, value, offer)
                    if text is not None and self._resolve(text) == value:
                        return self._checked(text)
            return self.add(value.describe(), value)
        if isinstance(value, Tensor):
            given = value.detach()
            return self.add("given tensor", GivenBaseline(lambda _inputs: given, "a given tensor"))
        if (found := self._given(value)) is not None:
            return self.add(*found)
        if callable(value):
            name = str(getattr(value, "__name__", type(value).__name__))
            offer = GivenBaseline(value, f"function {plain(name)}")
            return self.add("function" if name == "<lambda>" else name, offer)
        raise ArgumentTypeError(
            f"baseline must be a name ({self._listed()}), one of igw.baselines, a picture, a tensor or a "
            f"function, got {type(value).__name__}."
        )

    def add(self, name: str, offer: Any) -> str:
        """Offers something new, and returns the text that asks for it. Raises as `inputs` does."""
        base = printable_name(name)
        number, chosen = 1, base
        while chosen in self._offers:
            number += 1
            chosen = f"{base} {number}"
        self._offers[chosen] = offer
        try:
            return self._checked(chosen)
        except Exception:
            del self._offers[chosen]
            raise

    def remove(self, name: str) -> None:
        """Offers it no more."""
        del self._offers[name]
        with self._lock:
            self._made.pop(name, None)

    def inputs(self, name: str) -> Tensor:
        """Returns the baseline as the model's input. Raises ArgumentValueError, and what a function raises."""
        text = self._canonical(name)
        with self._lock:
            made = self._made.get(text)
        if made is None:
            made = self._make(text)
        with self._lock:
            self._made.pop(text, None)
            self._made[text] = made
            while len(self._made) > _MADE_KEPT:
                del self._made[next(iter(self._made))]
        return made

    def card(self, name: str, probabilities: Tensor, output: float, label: Callable[[int], str]) -> Card:
        """Returns the card of a baseline for which the model gives these `probabilities` (classes,)."""
        p = probabilities.double().clamp(min=0)
        values, indices = p.topk(min(3, len(p)))
        top = tuple((label(i), v) for i, v in zip(indices.tolist(), values.tolist(), strict=True))
        entropy = float(-(p * p.clamp(min=1e-300).log2()).sum())
        return Card(
            name=self._canonical(name),
            description=self._resolve(name).describe(),
            output=output,
            top=top,
            entropy=max(entropy, 0.0),
            most_entropy=float(np.log2(len(p))),
            thumbnail=self.thumbnail(name),
        )

    # ------------------------------------------------------------

    def _checked(self, name: str) -> str:
        self.inputs(name)
        return name

    def _make(self, text: str) -> Tensor:
        made = self._evaluate(text, self._resolve(text))
        if not isinstance(made, Tensor):
            raise ArgumentTypeError(f"baseline {text!r} must return a tensor, it returned {type(made).__name__}.")
        wanted = tuple(self._inputs.shape)
        try:
            made = made.detach().to(self._inputs).expand(wanted)
        except RuntimeError:
            raise ArgumentValueError(
                f"baseline {text!r} has shape {tuple(made.shape)}, the model's input {wanted}; it must broadcast to it."
            ) from None
        if not bool(torch.isfinite(made).all()):
            raise ArgumentValueError(f"baseline {text!r} holds NaN or infinity; a path needs finite ends.")
        return made

    def _canonical(self, text: str) -> str:
        name, inside = self._split(text)
        return name if not inside else self._text(name, self._with(name, inside), self._offers[name]) or text

    def _resolve(self, text: str) -> Any:
        name, inside = self._split(text)
        return self._with(name, inside) if inside else self._offers[name]

    def _split(self, text: str) -> tuple[str, str]:
        if text in self._offers:
            return text, ""
        name, bracket, rest = (part.strip() for part in text.partition("("))
        is_whole = not bracket or (rest.endswith(")") and not {"(", ")"} & set(rest[:-1]))
        if name not in self._offers or not is_whole:
            raise ArgumentValueError(f"baseline must be one of {self._listed()}, got {text[:NAME_LENGTH]!r}.")
        return name, rest[:-1].strip()

    def _listed(self) -> str:
        """Returns the names, as many as a sentence can hold."""
        listed = ", ".join(list(self._offers)[:_MADE_KEPT])
        return f"{listed}, ..." if len(self._offers) > _MADE_KEPT else listed

    def _with(self, name: str, inside: str) -> Any:
        offer = self._offers[name]
        if (parsed := self._parsed(offer, inside)) is not None:
            return replace(offer, **parsed)
        kinds = {p.name: p for p in offer.parameters}
        values: dict[str, Any] = {}
        for part in inside.split(","):
            key, _, number = (piece.strip() for piece in part.partition("="))
            try:
                # A seed is an integer.
                values[key] = int(number) if kinds[key].default == int(kinds[key].default) == 0 else float(number)
            except (KeyError, ValueError):
                able = ", ".join(kinds) or "none"
                raise ArgumentValueError(
                    f"baseline {name!r} takes the parameters: {able}; got {part.strip()[:NAME_LENGTH]!r}."
                ) from None
            low, high, _ = self._limits(kinds[key])
            if not low <= values[key] <= high:
                raise ArgumentValueError(
                    f"{key} of baseline {name!r} must be from {low:g} to {high:g}, got {number[:NAME_LENGTH]}; beyond "
                    f"that, give one of igw.baselines."
                )
        return replace(offer, **values)

    def _is_settable(self, baseline: Baseline) -> bool:
        """Whether a text can ask for it."""
        for one in baseline.parameters:
            low, high, usual = self._limits(one)
            value = getattr(baseline, one.name)
            if not isinstance(value, tuple) and not low <= (usual if value is None else value) <= high:
                return False
        return True

    def _text(self, name: str, baseline: Any, offer: Any) -> str | None:
        """Returns the text that asks for a baseline of this type; None where more than its parameters differs."""
        named = [p.name for p in offer.parameters]
        other = [f.name for f in fields(baseline) if f.name not in named]
        if not all(_same(getattr(baseline, f), getattr(offer, f)) for f in other):
            return None
        values = {n: getattr(baseline, n) for n in named if getattr(baseline, n) != getattr(offer, n)}
        if not values:
            return name
        inside = self._values_text(values)
        return None if inside is None else f"{name}({inside})"


def printable_name(name: str) -> str:
    """Returns a name that can be shown, and not mistaken for parameters or for the number of an upload."""
    return re.sub(r"[()#\s]+", " ", printable(whole(name[: 8 * NAME_LENGTH]))).strip()[:NAME_LENGTH] or "given"


def _same(one: Any, other: Any) -> bool:
    """Arrays are the same where they are one object; comparing them would compare all of their values."""
    return one is other or (not isinstance(one, Tensor | np.ndarray) and bool(one == other))
