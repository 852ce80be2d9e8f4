"""Format names and versions of files, and the errors for files that do not fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ig_widgets.engine.errors import IGError
from ig_widgets.files.atomic import FileError, PathLike

_UNFIT = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, IGError)


def check_format(path: PathLike, settings: Mapping[str, Any], known: int) -> None:
    """Raises FileError where the file is of another format than `known`."""
    if settings.get("format") != known:
        raise FileError(
            f"path {str(path)!r} is of format {settings.get('format')!r:.20}, of which this version reads {known}; "
            f"read it with the version of ig_widgets that wrote it."
        )


@contextmanager
def fitting(path: PathLike, what: str) -> Iterator[None]:
    """A context that raises FileError for whatever is missing in a file or does not fit."""
    try:
        yield
    except _UNFIT as error:
        raise FileError(
            f"path {str(path)!r} holds {what} of which not all fits together ({str(error)[:200]})."
        ) from error
