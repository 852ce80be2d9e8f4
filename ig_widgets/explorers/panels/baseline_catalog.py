"""The baselines on offer: their names, what they make of the picture, and what the model says of that.

A baseline is asked for by a text, so that browser and kernel mean the same: a name, with parameters in brackets where
they are not the usual ones, "blur" or "blur(sigma=8)"; a colour as "colour(#ff8800)".
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ig_widgets import baselines
from ig_widgets.baselines import Baseline, Parameter
from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.explorers.image.picture import PreparedImage, Preprocess, prepare_like
from ig_widgets.explorers.image.upload import opened
from ig_widgets.texts import plain, printable, whole

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_NAME_LENGTH = 80
_THUMBNAIL = 112
# What was made last, for a person who goes back and forth.
_MADE_KEPT = 16
# Of files, so many are offered; one more takes the place of the oldest that is not in use.
_UPLOADS_KEPT = 16
# From here on a baseline is one thing to the model rather than none.
_NOT_NEUTRAL = 0.5


@dataclass(frozen=True)
class Card:
    """A baseline as it is offered: what it is, how it looks, and what the model says of it.

    `name`: by which it is asked for. `output`: F there, for the target and output of the explorer. `top`: the likeliest
    three classes and their probabilities. `entropy`: of all of these, in bits; `most_entropy` where each is as likely.
    """

    name: str
    description: str
    output: float
    top: tuple[tuple[str, float], ...]
    entropy: float
    most_entropy: float
    thumbnail: bytes

    @property
    def is_neutral(self) -> bool:
        """Whether no class has more than half of the probability."""
        return not self.top or self.top[0][1] <= _NOT_NEUTRAL

    def __repr__(self) -> str:
        said = ", ".join(f"{plain(label, 40)} {probability:.2f}" for label, probability in self.top)
        verdict = "" if self.is_neutral else "; not neutral"
        return f"Card({self.name!r}, F {self.output:.3g}, {said}, entropy {self.entropy:.2g} bits{verdict})"


class Cards(tuple[Card, ...]):
    """Cards, a line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


@dataclass(frozen=True)
class _Tensor:
    """A baseline that was given as the model's input, or a function that returns one."""

    make: Callable[[Tensor], Tensor]
    description: str

    space = "inputs"
    parameters = ()

    def __call__(self, inputs: Tensor) -> Tensor:
        return self.make(inputs)

    def describe(self) -> str:
        return self.description


class Gallery:
    """What is offered for one picture. `black` is what preprocessing makes of a black picture."""

    def __init__(self, image: PreparedImage, like: Tensor | None, preprocess: Preprocess | None) -> None:
        self._image = image
        self._like = like
        self._preprocess = preprocess
        self._offers: dict[str, Any] = {
            "black": baselines.black(),
            "white": baselines.white(),
            "mean grey": baselines.mean_grey(),
            "blur": baselines.blur(),
            "noise": baselines.uniform(),
            "gaussian noise": baselines.gaussian(),
            "max distance": baselines.max_distance(),
            "shuffled": baselines.permuted(),
            "colour": baselines.constant(0.5),
        }
        self._made: dict[str, Tensor] = {}
        # By name, the oldest first; and how many there have been.
        self._uploads: list[str] = []
        self._uploaded = 0
        # Panes and whatever else asks the model have a thread each.
        self._guard = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Of all that is offered."""
        return list(self._offers)

    def parameters(self, name: str) -> list[dict[str, object]]:
        """What can be set of a baseline, and how it is set now."""
        baseline = self._resolve(name)
        found: list[dict[str, object]] = []
        for one in baseline.parameters:
            value = getattr(baseline, one.name)
            if one.per_channel:
                levels = value if isinstance(value, tuple) else (value,) * 3
                found.append({"name": one.name, "colour": _hex(levels)})
                continue
            low, high, usual = self._limits(one)
            value = usual if value is None else value
            limits = {"low": low, "high": high, "step": one.step, "unit": one.unit}
            found.append({"name": one.name, "value": float(value), **limits})
        return found

    def name_of(self, value: object) -> str:
        """The text that asks for `value`: a name, or what a baseline can be given as.

        That is one of `igw.baselines`, a PIL image or an array (a picture, to be preprocessed as the explained one is),
        a tensor of the model's input, or a function of that. What is new is offered from then on.
        Raises ArgumentTypeError, ArgumentValueError.
        """
        if isinstance(value, str):
            self.inputs(value)
            return self._canonical(value)
        if isinstance(value, Baseline):
            for name, offer in self._offers.items():
                if type(offer) is type(value) and self._is_settable(value):
                    text = _text(name, value, offer)
                    if text is not None and self._resolve(text) == value:
                        return self._checked(text)
            return self.add(value.describe(), value)
        if isinstance(value, Tensor):
            given = value.detach()
            return self.add("given tensor", _Tensor(lambda _inputs: given, "a given tensor"))
        if isinstance(value, Image.Image | np.ndarray):
            return self.add("given picture", self._picture(value))
        if callable(value):
            name = str(getattr(value, "__name__", type(value).__name__))
            return self.add("function" if name == "<lambda>" else name, _Tensor(value, f"function {plain(name)}"))
        raise ArgumentTypeError(
            f"baseline must be a name ({self._listed()}), one of igw.baselines, a picture, a tensor or a "
            f"function, got {type(value).__name__}."
        )

    def add(self, name: str, offer: Any) -> str:
        """Offer something new, and return the name that it is given. Raises as `inputs` does."""
        base = _named(name)
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

    def upload(self, name: str, data: bytes, in_use: Collection[str] = ()) -> str:
        """Offer the picture in a file: of a kind and size that `upload.opened` takes.

        Of more than 16 the oldest goes that is not among the names `in_use`. Raises ArgumentValueError where it is no
        picture, or too large, and what preprocessing raises.
        """
        picture = self._picture(opened(plain(name, _NAME_LENGTH) or "a file", data))
        self._uploaded += 1
        # A name that was given once means what was sampled under it: once some are gone, none may come back.
        number = f" #{self._uploaded}" if self._uploaded > _UPLOADS_KEPT else ""
        chosen = self.add(_named(name) + number, picture)
        self._uploads.append(chosen)
        gone = [one for one in self._uploads[:-1] if one not in in_use]
        for one in gone[: max(len(self._uploads) - _UPLOADS_KEPT, 0)]:
            self._uploads.remove(one)
            del self._offers[one]
            with self._guard:
                self._made.pop(one, None)
        return chosen

    def inputs(self, name: str) -> Tensor:
        """The baseline of that name, as the model's input. Raises ArgumentValueError, and what a function raises."""
        text = self._canonical(name)
        with self._guard:
            made = self._made.get(text)
        if made is None:
            made = self._make(text)
        with self._guard:
            self._made.pop(text, None)
            self._made[text] = made
            while len(self._made) > _MADE_KEPT:
                del self._made[next(iter(self._made))]
        return made

    def card(self, name: str, scores: Tensor, output: float, labels: Callable[[int], str]) -> Card:
        """The card of a baseline at which the model says `scores`, probabilities (classes,)."""
        p = scores.double().clamp(min=0)
        values, indices = p.topk(min(3, len(p)))
        top = tuple((labels(i), v) for i, v in zip(indices.tolist(), values.tolist(), strict=True))
        entropy = float(-(p * p.clamp(min=1e-300).log2()).sum())
        return Card(
            name=self._canonical(name),
            description=self._resolve(name).describe(),
            output=output,
            top=top,
            entropy=max(entropy, 0.0),
            most_entropy=float(np.log2(len(p))),
            thumbnail=_thumbnail(self._image.space.to_bytes(self.inputs(name))),
        )

    # ------------------------------------------------------------

    def _checked(self, name: str) -> str:
        self.inputs(name)
        return name

    def _make(self, text: str) -> Tensor:
        offer, image = self._resolve(text), self._image
        if text == "black":
            return image.black
        if offer.space == "inputs":
            made = offer(image.inputs)
        else:
            made = image.space.to_inputs(offer(image.space.to_pictures(image.inputs).clamp(0, 1)))
        if not isinstance(made, Tensor):
            raise ArgumentTypeError(f"baseline {text!r} must return a tensor, it returned {type(made).__name__}.")
        wanted = tuple(image.inputs.shape)
        try:
            made = made.detach().to(image.inputs).expand(wanted)
        except RuntimeError:
            raise ArgumentValueError(
                f"baseline {text!r} has shape {tuple(made.shape)}, the model's input {wanted}; it must broadcast to it."
            ) from None
        if not bool(torch.isfinite(made).all()):
            raise ArgumentValueError(f"baseline {text!r} holds NaN or infinity; a path needs finite ends.")
        return made

    def _canonical(self, text: str) -> str:
        name, inside = self._split(text)
        return name if not inside else _text(name, self._with(name, inside), self._offers[name]) or text

    def _resolve(self, text: str) -> Any:
        name, inside = self._split(text)
        return self._with(name, inside) if inside else self._offers[name]

    def _split(self, text: str) -> tuple[str, str]:
        if text in self._offers:
            return text, ""
        name, bracket, rest = (part.strip() for part in text.partition("("))
        is_whole = not bracket or (rest.endswith(")") and not {"(", ")"} & set(rest[:-1]))
        if name not in self._offers or not is_whole:
            raise ArgumentValueError(f"baseline must be one of {self._listed()}, got {text[:_NAME_LENGTH]!r}.")
        return name, rest[:-1].strip()

    def _listed(self) -> str:
        """All names, as far as a sentence goes."""
        listed = ", ".join(list(self._offers)[:_MADE_KEPT])
        return f"{listed}, ..." if len(self._offers) > _MADE_KEPT else listed

    def _with(self, name: str, inside: str) -> Any:
        offer = self._offers[name]
        if _COLOUR.fullmatch(inside) and any(p.per_channel for p in offer.parameters):
            return replace(offer, value=tuple(int(inside[i : i + 2], 16) / 255 for i in (1, 3, 5)))
        kinds = {p.name: p for p in offer.parameters}
        values: dict[str, Any] = {}
        for part in inside.split(","):
            key, _, number = (piece.strip() for piece in part.partition("="))
            try:
                # A seed is a whole number.
                values[key] = int(number) if kinds[key].default == int(kinds[key].default) == 0 else float(number)
            except (KeyError, ValueError):
                able = ", ".join(kinds) or "none"
                raise ArgumentValueError(
                    f"baseline {name!r} takes the parameters: {able}; got {part.strip()[:_NAME_LENGTH]!r}."
                ) from None
            low, high, _ = self._limits(kinds[key])
            if not low <= values[key] <= high:
                raise ArgumentValueError(
                    f"{key} of baseline {name!r} must be from {low:g} to {high:g}, got {number[:_NAME_LENGTH]}; beyond "
                    f"that, give one of igw.baselines."
                )
        return replace(offer, **values)

    def _limits(self, one: Parameter) -> tuple[float, float, float]:
        """Between which values a text may set a parameter, and the usual one, of this picture."""
        usual = min(self._image.inputs.shape[-2:]) / 20 if one.name == "sigma" and one.unit == "px" else one.default
        return min(one.low, usual), max(one.high, usual), usual

    def _is_settable(self, baseline: Baseline) -> bool:
        """Whether a text can ask for it."""
        for one in baseline.parameters:
            low, high, usual = self._limits(one)
            value = getattr(baseline, one.name)
            if not isinstance(value, tuple) and not low <= (usual if value is None else value) <= high:
                return False
        return True

    def _picture(self, picture: Any) -> _Tensor:
        made = prepare_like(picture, self._image, self._like, self._preprocess)
        return _Tensor(lambda _inputs: made, "a given picture")


def _text(name: str, baseline: Any, offer: Any) -> str | None:
    """How a baseline of this kind is asked for; None where something else about it differs too."""
    named = [p.name for p in offer.parameters]
    other = [f.name for f in fields(baseline) if f.name not in named]
    if not all(_same(getattr(baseline, f), getattr(offer, f)) for f in other):
        return None
    values = {n: getattr(baseline, n) for n in named if getattr(baseline, n) != getattr(offer, n)}
    if not values:
        return name
    colour = next((v for v in values.values() if isinstance(v, tuple)), None)
    if colour is not None:
        return f"{name}({_hex(colour)})" if len(colour) == 3 else None
    return f"{name}({', '.join(f'{n}={v:.12g}' for n, v in values.items())})"


def _same(one: Any, other: Any) -> bool:
    """Pictures are the same where they are one object: to compare them would be to compare all of their pixels."""
    return one is other or (not isinstance(one, Tensor | np.ndarray) and bool(one == other))


def _hex(levels: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * level):02x}" for level in levels)


def _named(name: str) -> str:
    """Of a name what can be shown, and be mistaken neither for parameters nor for the number of an upload."""
    return re.sub(r"[()#\s]+", " ", printable(whole(name[: 8 * _NAME_LENGTH]))).strip()[:_NAME_LENGTH] or "given"


def _thumbnail(picture: np.ndarray[Any, Any]) -> bytes:
    small = Image.fromarray(picture)
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()
