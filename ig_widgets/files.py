"""Files that are there whole or not at all, and arrays in them that load without pickle."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError, IGError

PathLike: TypeAlias = str | os.PathLike[str]
Array: TypeAlias = npt.NDArray[Any]

_SETTINGS = "settings"


class FileError(IGError, OSError):
    """A file cannot be written or read."""


def write_atomically(path: PathLike, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all: under another name beside it, then renamed.

    A file that is there already is replaced, and keeps its permissions; where writing fails it stays as it was. Raises
    ArgumentTypeError for a path that is none, FileError where the folder or the file cannot be written.
    """
    target = _as_path(path)
    try:
        # A link stays a link, to the new file.
        target = Path(os.path.realpath(target))
        beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.tmp")
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
        raise FileError(
            f"path {str(path)!r} cannot be written ({reason}); name a file in a folder that exists and may be written."
        ) from error


def write_npz(path: PathLike, /, *, settings: Mapping[str, Any] | None = None, **arrays: Any) -> None:
    """Write arrays and settings to `path` as NumPy's compressed .npz, whole or not at all; see `npz_bytes`.

    `numpy.load(path, allow_pickle=False)` reads it, and `read_npz`. Raises as `npz_bytes` and `write_atomically`.
    """
    _as_path(path)
    write_atomically(path, npz_bytes(settings=settings, **arrays))


def npz_bytes(*, settings: Mapping[str, Any] | None = None, **arrays: Any) -> bytes:
    """Arrays and settings as NumPy's compressed .npz; the same bytes every time.

    `arrays`: arrays, tensors (on any device; bfloat16 becomes float32) or numbers. `settings`: anything that JSON can
    hold, kept as its text under the name "settings". Raises ArgumentTypeError, ArgumentValueError for what has no such
    form.
    """
    stored = {name: _as_array(name, value) for name, value in arrays.items()}
    if settings is not None:
        stored[_SETTINGS] = np.array(_as_json(settings))
    data = io.BytesIO()
    # As numpy.savez_compressed does, which takes no array named "file". Members carry a fixed date.
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in stored.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return data.getvalue()


def read_npz(path: PathLike) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the settings (empty if there are none) that `write_npz` wrote to `path`.

    Raises ArgumentTypeError for a path that is none, FileError where there is no such file, or it holds something else.
    """
    target = _as_path(path)
    try:
        with open(target, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        settings = json.loads(str(arrays.pop(_SETTINGS, "{}")))
    except OSError as error:
        raise FileError(f"path {str(path)!r} cannot be read ({error.strerror or error}).") from error
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"path {str(path)!r} holds no .npz that write_npz wrote.") from error
    return arrays, settings


def _as_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"path must be a text or a pathlib.Path, got {type(path).__name__}.")
    return Path(path)


def _as_array(name: str, value: object) -> Array:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.hasobject:
        raise ArgumentTypeError(
            f"{name} must be an array, a tensor or a number, got {type(value).__name__}, which only pickle can hold."
        )
    return array


def _as_json(settings: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(settings), allow_nan=False)
    except TypeError as error:
        raise ArgumentTypeError(f"settings must hold texts, numbers, lists and dicts only: {error}.") from error
    except ValueError as error:
        raise ArgumentValueError(f"settings must be what JSON can hold: {error}.") from error
