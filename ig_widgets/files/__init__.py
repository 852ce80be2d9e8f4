"""Files that are there whole or not at all: arrays that load without pickle, and attributions as such."""

from ig_widgets.files.atomic import FileError, PathLike, write_atomically
from ig_widgets.files.attributions import load_attribution, save_attribution
from ig_widgets.files.npz import MOST_BYTES, Array, npz_bytes, read_npz, write_npz

__all__ = [
    "MOST_BYTES",
    "Array",
    "FileError",
    "PathLike",
    "load_attribution",
    "npz_bytes",
    "read_npz",
    "save_attribution",
    "write_atomically",
    "write_npz",
]
