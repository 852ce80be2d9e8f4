"""Errors that are both the engine's and of the types that Captum raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError, OutputError


class CaptumValueError(ArgumentValueError, AssertionError, IndexError, RuntimeError):
    """An argument cannot work. Captum reports such, as the case may be, by any of these types."""


class CaptumTypeError(ArgumentTypeError, AssertionError):
    """An argument is of a type that cannot work."""


class CaptumOutputError(OutputError, AssertionError):
    """What the model returned cannot be explained; a target is missing, say."""


@contextmanager
def captums_errors() -> Iterator[None]:
    """A context that raises errors of the engine under Captum's types as well."""
    types: dict[type[IGError], type[IGError]] = {
        ArgumentValueError: CaptumValueError,
        ArgumentTypeError: CaptumTypeError,
        OutputError: CaptumOutputError,
    }
    try:
        yield
    except tuple(types) as error:
        if type(error) not in types:
            raise
        raise types[type(error)](*error.args) from error
