"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import TypeAlias

from ig_widgets.engine.errors import ArgumentTypeError, IGError

PathLike: TypeAlias = str | os.PathLike[str]

# Names have at most 255 bytes, of which a character takes up to four.
_NAME_LENGTH = 40
_ELSEWHERE = "name a file in a folder that exists and may be written"
_REMEDIES = {
    errno.ENOSPC: "name a file on a disk with more room, or make room on this one",
    errno.EDQUOT: "name a file on a disk with more room, or make room on this one",
    errno.EFBIG: "name a file where larger ones are allowed (ulimit -f)",
    errno.ENAMETOOLONG: "name a file with a shorter name",
    errno.ELOOP: "name a file that is no link to itself",
}


class FileError(IGError, OSError):
    """A file cannot be written or read."""


def write_atomically(path: PathLike, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all: under another name beside it, then renamed.

    A file that is there already is replaced, and keeps its permissions; where writing fails it stays as it was. A
    process that is killed meanwhile leaves at most a hidden file that ends in .tmp, which nothing reads.
    Raises ArgumentTypeError for a path that is none, FileError where the folder or the file cannot be written.
    """
    target = as_path(path)
    try:
        # A link stays a link, to the new file.
        target = Path(os.path.realpath(target))
        _refuse_what_is_no_file(target)
        beside = target.with_name(f".{target.name[:_NAME_LENGTH]}.{secrets.token_hex(4)}.tmp")
        try:
            with open(beside, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, beside)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        remedy = _REMEDIES.get(getattr(error, "errno", None) or 0, _ELSEWHERE)
        raise FileError(f"path {str(path)!r} cannot be written ({reason}); {remedy}.") from error


def as_path(path: object) -> Path:
    """Raises ArgumentTypeError for what is no path."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise ArgumentTypeError(f"path must be a text or a pathlib.Path, got {type(path).__name__}.")
    return Path(path)


def _refuse_what_is_no_file(target: Path) -> None:
    # Renaming would put a file in the place of a device, or of a link that leads to itself.
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "It is no file, but a device or a pipe")
