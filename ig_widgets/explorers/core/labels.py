"""Labels: the names of classes in any form in which people have them, and the class that a name means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.texts import plain, whole

LabelsLike: TypeAlias = Sequence[str] | Mapping[int, str] | Mapping[str, str] | Mapping[str, int] | None
_FORMS = (
    "a list of texts, one for each class, a mapping from numbers to names ({0: 'cat'} or {'0': 'cat'}), or one from "
    "names to numbers ({'cat': 0})"
)
# Of a name that is none so many are suggested, and of one that several classes have so many numbers are told.
_SUGGESTED, _TOLD = 3, 8


@dataclass(frozen=True)
class Labels:
    """The names of `count` classes: `names` has one each, "" where there is none; it is empty where none has.

    `word`: what a class without a name is called, with its number.
    """

    names: tuple[str, ...]
    count: int
    word: str = "class"

    def name(self, index: int) -> str:
        """Returns the name of a class, or its number where it has none."""
        label = self.names[index] if self.names else ""
        if label.strip():
            return label
        return self.word if self.count == 1 and self.word == "output" else f"{self.word} {index}"

    def index(self, name: str) -> int:
        """Returns the class that a name means, whatever its case where that is clear. Raises ArgumentValueError."""
        wanted = whole(name)
        folded = wanted.strip().casefold()
        # Hugging Face's names of ImageNet are lists of synonyms, "tabby, tabby cat".
        for matches in (
            lambda label: label == wanted,
            lambda label: folded and label.strip().casefold() == folded,
            lambda label: folded and folded in map(str.strip, label.casefold().split(",")),
        ):
            if found := [i for i, label in enumerate(self.names) if matches(label)]:
                return self._only(found, name)
        word, _, number = folded.rpartition(" ")
        if word == self.word and number.isdecimal() and int(number) < self.count:
            return int(number)
        raise ArgumentValueError(f"target {name[:80]!r} is none of the {len(self.names)} labels.{self._hint(wanted)}")

    def _only(self, found: list[int], name: str) -> int:
        if len(found) == 1:
            return found[0]
        listed = ", ".join(map(str, found[:_TOLD])) + (", ..." if len(found) > _TOLD else "")
        raise ArgumentValueError(f"target {name[:80]!r} is the name of {len(found)} classes; give a number: {listed}.")

    def _hint(self, wanted: str) -> str:
        if not self.names:
            return f" There are none: give a number from 0 to {self.count - 1}, or labels=."
        # As people type them: in any case, and no longer than a name is.
        folded = {label.casefold()[:200]: label for label in self.names if label.strip()}
        close = difflib.get_close_matches(wanted.casefold()[:80], folded, n=_SUGGESTED, cutoff=0.6)
        within = [label for key, label in folded.items() if len(wanted) > 2 and wanted.casefold()[:80] in key]
        meant = list(dict.fromkeys([*(folded[key] for key in close), *within]))[:_SUGGESTED]
        return f" Did you mean {' or '.join(repr(plain(label, 60)) for label in meant)}?" if meant else ""


def labels_of(labels: object, count: int, word: str = "class") -> Labels:
    """Returns the labels of `count` classes. Raises ArgumentTypeError, ArgumentValueError.

    Of a single output two names are those of "no" and "yes"; the output speaks for the second.
    """
    if labels is None:
        return Labels((), count, word)
    names = _of_mapping(labels, count) if isinstance(labels, Mapping) else _of_list(labels, count)
    # What cannot be sent cannot be shown.
    return Labels(tuple(map(whole, names)), count, word)


def are_two_of_one(labels: object, count: int) -> bool:
    """Whether these are the two names of one output, as those of a binary classifier with a single logit."""
    return count == 1 and count_of(labels) == 2


def _of_list(labels: Any, count: int) -> list[str]:
    given = list(labels) if hasattr(labels, "__iter__") and not isinstance(labels, str | bytes) else None
    if given is None or isinstance(labels, set | frozenset):
        raise ArgumentTypeError(f"labels must be {_FORMS}; got {type(labels).__name__}.")
    if wrong := [one for one in given if not isinstance(one, str)]:
        raise ArgumentTypeError(
            f"labels must be a list of texts, got a {type(wrong[0]).__name__} in it; [str(one) for one in labels] "
            f"makes texts of them."
        )
    if are_two_of_one(given, count):
        return given[1:]
    if len(given) != count:
        raise ArgumentValueError(
            f"labels has {len(given)} names, the model {count} classes; give one for each, or a mapping from numbers "
            f"to some names."
        )
    return given


def _of_mapping(labels: Mapping[Any, Any], count: int) -> list[str]:
    if all(isinstance(value, str) for value in labels.values()):
        pairs = [(_number(key), value) for key, value in labels.items()]
    elif all(isinstance(key, str) and _is_number(value) for key, value in labels.items()):
        pairs = [(int(value), key) for key, value in labels.items()]
    else:
        raise ArgumentTypeError(f"labels must be {_FORMS}; got a mapping that is neither.")
    known: dict[int, str] = {}
    most = 2 if are_two_of_one(labels, count) else count
    for number, name in pairs:
        if not 0 <= number < most:
            raise ArgumentValueError(
                f"labels names {plain(name, 60)!r} as number {number}, and the model's classes are 0 to {count - 1}."
            )
        if number in known:
            raise ArgumentValueError(
                f"labels gives number {number} two names, {plain(known[number], 60)!r} and {plain(name, 60)!r}; give "
                f"one."
            )
        known[number] = name
    if most > count:
        return [known[1]]
    return [known.get(number, "") for number in range(count)]


def _number(key: object) -> int:
    if _is_number(key):
        return int(key)  # type: ignore[call-overload,no-any-return]
    if isinstance(key, str) and key.strip().isdecimal():
        return int(key)
    raise ArgumentTypeError(f"labels must be {_FORMS}; got a name for {plain(repr(key), 60)}, which is no number.")


def _is_number(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def count_of(labels: Any) -> int:
    """Returns how many classes labels are of; 0 where they do not tell, as a mapping that leaves some out."""
    if isinstance(labels, str) or not hasattr(labels, "__len__"):
        return 0
    if not isinstance(labels, Mapping):
        return len(labels)
    numbers = {str(one).strip() for pair in labels.items() for one in pair if not isinstance(one, bool)}
    return len(labels) if numbers.issuperset(map(str, range(len(labels)))) else 0
