"""Reads and writes arrays and settings as NumPy's .npz: without pickle, and with all sizes checked before loading."""

from __future__ import annotations

import io
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ig_widgets.engine.errors import ArgumentTypeError, ArgumentValueError
from ig_widgets.files.atomic import FileError, PathLike, as_path, write_atomically

Array: TypeAlias = npt.NDArray[Any]

# What a file may hold, unpacked, unless told otherwise. A small file can claim to hold anything.
MOST_BYTES = 1 << 31
_MOST_ARRAYS = 1000
_SETTINGS = "settings"
# No whole number of a file has so many.
_DIGITS = 300
# NumPy writes the first version of its format unless fields have names; others may have headers of 4 GB.
_VERSION = (1, 0)


def write_npz(
    path: PathLike, /, *, settings: Mapping[str, Any] | None = None, compressed: bool = True, **arrays: Any
) -> None:
    """Write arrays and settings to `path` as NumPy's .npz, whole or not at all; see `npz_bytes`.

    `numpy.load(path, allow_pickle=False)` reads it, and `read_npz`. Raises as `npz_bytes` and `write_atomically`.
    """
    as_path(path)
    write_atomically(path, npz_bytes(settings=settings, compressed=compressed, **arrays))


def npz_bytes(*, settings: Mapping[str, Any] | None = None, compressed: bool = True, **arrays: Any) -> bytes:
    """Arrays and settings as NumPy's .npz; the same bytes every time.

    `arrays`: arrays, tensors (on any device; bfloat16 becomes float32) or numbers. `settings`: anything that JSON can
    hold, kept as its text under the name "settings". Raises ArgumentTypeError, ArgumentValueError for what has no such
    form.
    """
    stored = {name: _as_array(name, value) for name, value in arrays.items()}
    if settings is not None:
        stored[_SETTINGS] = np.array(_as_json(settings))
    data = io.BytesIO()
    # As numpy.savez_compressed does, which takes no array named "file". Members carry a fixed date.
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, array in stored.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return data.getvalue()


def read_npz(path: PathLike, *, most_bytes: int = MOST_BYTES) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the settings (empty if there are none) that `write_npz` wrote to `path`.

    Nothing is unpickled, and nothing read before the sizes of all arrays are known to be at most `most_bytes` together.
    Raises ArgumentTypeError for a path that is none, FileError where there is no such file, or it holds something else
    or more.
    """
    target = as_path(path)
    try:
        with _opened(target) as file, zipfile.ZipFile(file) as archive:
            wanted = _sizes(archive)
            if (total := sum(wanted.values())) > most_bytes:
                raise FileError(
                    f"path {str(path)!r} holds {total:.3g} bytes of arrays, more than the {most_bytes:.3g} that are "
                    f"read; a file of this package holds fewer, unless it was told to read more (most_bytes)."
                )
            arrays = {name.removesuffix(".npy"): _read(archive, name) for name in wanted}
        settings = _parsed(str(arrays.pop(_SETTINGS, "{}")))
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"path {str(path)!r} cannot be read ({error.strerror or error}).") from error
    except MemoryError as error:
        raise FileError(f"path {str(path)!r} holds arrays that do not fit into memory.") from error
    except (
        ValueError,
        TypeError,
        AttributeError,
        SyntaxError,
        EOFError,
        RuntimeError,  # a password; nesting without end
        NotImplementedError,
        struct.error,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise FileError(f"path {str(path)!r} holds no .npz that write_npz wrote, or not all of it.") from error
    return arrays, settings


def _opened(target: Path) -> IO[bytes]:
    # A pipe would be waited for; a device has no end.
    if not stat.S_ISREG(os.stat(target).st_mode):
        raise OSError("it is no file")
    return open(target, "rb")


def _sizes(archive: zipfile.ZipFile) -> dict[str, int]:
    """The bytes of each array, by what its header says. Raises ValueError for all that `write_npz` does not write."""
    members = archive.infolist()
    if len(members) > _MOST_ARRAYS or len({member.filename for member in members}) < len(members):
        raise ValueError("too many arrays, or two of one name")
    found = {}
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("compressed in another way")
        with archive.open(member) as stream:
            shape, dtype = _header(stream)
        found[member.filename] = math.prod(shape) * dtype.itemsize
        # What is unpacked is at most what the archive says.
        if not member.filename.endswith(".npy") or found[member.filename] > member.file_size:
            raise ValueError("an array that is not there")
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if np.lib.format.read_magic(stream) != _VERSION:
        raise ValueError("another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    # A boolean is an integer, too; a negative length would make up for others.
    if dtype.hasobject or dtype.kind == "V" or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("no plain array")
    return shape, dtype


def _read(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):  # its end is where the checksum is compared
            raise ValueError("more than an array")
    return array


def _parsed(text: str) -> dict[str, Any]:
    """Settings. JSON may hold numbers that Python takes and floating point does not."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    def number(digits: str) -> float:
        return value if math.isfinite(value := float(digits)) else refuse(digits)

    def whole(digits: str) -> int:
        return int(digits) if len(digits) < _DIGITS else refuse(digits)

    found = json.loads(text, parse_constant=refuse, parse_float=number, parse_int=whole)
    return found if isinstance(found, dict) else refuse("settings")


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
