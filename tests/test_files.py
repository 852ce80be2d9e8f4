"""Files that are there whole or not at all, and what comes back from them."""

import io
import json
import os
import stat
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ig_widgets import errors, files

texts = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
arrays = st.dictionaries(
    st.sampled_from(["maps", "alphas", "file", "path", "a"]),
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int16, np.uint8, np.bool_]),
        hnp.array_shapes(min_side=0, max_side=3),
    ),
    max_size=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@given(arrays=arrays, settings=texts)
def test_what_was_written_is_read(folder, arrays, settings):
    path = folder / "a.npz"
    files.write_npz(path, settings=settings, **arrays)
    read, told = files.read_npz(path)
    assert told == settings
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array, equal_nan=array.dtype.kind == "f")


def test_numpy_alone_reads_it_without_pickle(tmp_path):
    path = tmp_path / "a.npz"
    files.write_npz(path, settings={"n_steps": 8, "baseline": "blur, ½ px"}, maps=np.ones((2, 3)), alphas=[0.25, 0.5])
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["alphas", "maps", "settings"]
        assert json.loads(str(file["settings"])) == {"n_steps": 8, "baseline": "blur, ½ px"}
        assert file["alphas"].tolist() == [0.25, 0.5]


def test_the_bytes_are_the_same_every_time(tmp_path):
    for name in "ab":
        files.write_npz(tmp_path / name, settings={"x": 1}, maps=np.arange(5))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
def test_tensors_are_arrays(tmp_path, dtype):
    given_ = torch.tensor([[0, 1], [1, 1]]).to(dtype)
    if dtype.is_floating_point:
        given_.requires_grad_()
    files.write_npz(tmp_path / "a.npz", x=given_)
    read, settings = files.read_npz(tmp_path / "a.npz")
    assert settings == {}
    assert np.array_equal(read["x"], given_.detach().double().numpy())


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.bin"
    for data in (b"one", b"another, longer", b""):
        files.write_atomically(path, data)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == ["a.bin"]
    files.write_atomically(str(path), b"by text")
    assert path.read_bytes() == b"by text"


def test_a_new_file_has_usual_permissions_and_a_replaced_one_keeps_its_own(tmp_path):
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    path = tmp_path / "a"
    files.write_atomically(path, b"x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    path.chmod(0o640)
    files.write_atomically(path, b"y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    files.write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_where_writing_fails_the_old_file_stays(tmp_path, monkeypatch, step):
    path = tmp_path / "a.npz"
    files.write_npz(path, x=np.ones(3))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.atomic.os, step, full)
    with pytest.raises(files.FileError, match=r"^path .*a\.npz' cannot be written \(No space left on device\); name"):
        files.write_npz(path, x=np.zeros(4))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_places_that_cannot_be_written_are_one_sentence(tmp_path):
    (tmp_path / "a file").write_bytes(b"")
    for path in (tmp_path / "none" / "a.npz", tmp_path / "a file" / "a.npz", tmp_path, tmp_path / "\0"):
        with pytest.raises(
            files.FileError, match=r"^path .* cannot be written \(.+\); name a file in a folder"
        ) as caught:
            files.write_npz(path, x=np.ones(2))
        assert isinstance(caught.value, OSError)
        assert isinstance(caught.value, errors.IGError)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["a file"]


@pytest.mark.parametrize("path", [3, None, b"a"])
def test_a_path_that_is_none_is_refused(path):
    for function in (lambda p: files.write_npz(p, x=1), lambda p: files.write_atomically(p, b""), files.read_npz):
        with pytest.raises(errors.ArgumentTypeError, match=r"^path must be a text or a pathlib.Path"):
            function(path)


def test_what_needs_pickle_or_is_no_json_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "a.npz"
    for value in (None, {"a": 1}, object(), [[1], [1, 2]], np.array([None])):
        with pytest.raises(errors.ArgumentTypeError, match=r"^maps must be an array, a tensor or a number"):
            files.write_npz(path, maps=value)
    with pytest.raises(errors.ArgumentTypeError, match=r"^settings must hold texts, numbers"):
        files.write_npz(path, settings={"model": object()})
    for value in (float("nan"), float("inf")):
        with pytest.raises(errors.ArgumentValueError, match=r"^settings must be what JSON can hold"):
            files.write_npz(path, settings={"delta": value})
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(files.FileError, match=r"^path .*none\.npz' cannot be read \(No such file"):
        files.read_npz(tmp_path / "none.npz")
    for name, data in (("text", b"hello"), ("empty", b""), ("zip", b"PK\x03\x04broken")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(files.FileError, match=rf"^path .*{name}' holds no .npz"):
            files.read_npz(tmp_path / name)
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(files.FileError, match=r"holds no .npz"):
        files.read_npz(tmp_path / "a.npy")
    np.savez(tmp_path / "objects.npz", x=np.array([None]))
    with pytest.raises(files.FileError, match=r"holds no .npz"):
        files.read_npz(tmp_path / "objects.npz")


# ---------------------------------------------------------------- what claims to be large, or is no file


def _npy(shape: tuple[int, ...], descr: str = "<f8", data: bytes = b"") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": descr})
    return out.getvalue() + data


def _archive(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "members",
    [
        {"x.npy": _npy((10**12,))},
        {"x.npy": _npy((2**31, 2**31, 2**31))},
        {"x.npy": _npy((-1, 5))},
        {"x.npy": _npy((True,))},
        {"x.npy": _npy((2,), "|O", b"\x80\x04N.")},
        {"x.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100},
        {"x.npy": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535},
        {"x.npy": _npy((2,), data=bytes(17))},
        {"x.txt": _npy((2,), data=bytes(16))},
        {"settings.npy": _npy((), "<U6", "[".encode("utf-32-le") * 6)},
        {"settings.npy": _npy((), "<U6", '["a"] '.encode("utf-32-le"))},
        {"settings.npy": _npy((), "<U10", '{"a":NaN} '.encode("utf-32-le"))},
        {"settings.npy": _npy((), "<U12", '{"a":1e999} '.encode("utf-32-le"))},
        {"settings.npy": _npy((), "<U40000", ("[" * 40000).encode("utf-32-le"))},
        {"settings.npy": _npy((), "<U5000", ('{"a":' + "1" * 4994 + "}").encode("utf-32-le"))},
        {f"{i}.npy": _npy((0,)) for i in range(1001)},
    ],
    ids=lambda members: next(iter(members.values()))[60:80].decode("latin-1"),
)
def test_what_no_file_of_this_package_says_is_refused_unread(tmp_path, members):
    _archive(tmp_path / "a.npz", members)
    with pytest.raises(files.FileError, match=r"^path .*a\.npz' holds no \.npz that write_npz wrote"):
        files.read_npz(tmp_path / "a.npz")


def test_zeros_that_unpack_to_more_than_is_read_are_refused_before_memory_is_taken(tmp_path):
    """Some hundred kilobytes that are as many megabytes."""
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(_npy((1 << 24,)))
        member.write(bytes(1 << 27))
    assert path.stat().st_size < 2e6
    tracemalloc.start()
    try:
        with pytest.raises(files.FileError, match=r"holds 1\.34e\+08 bytes of arrays, more than the 1e\+08"):
            files.read_npz(path, most_bytes=10**8)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_other_ways_to_compress_and_two_of_one_name_are_refused(tmp_path):
    _archive(tmp_path / "a.npz", {"x.npy": _npy((2,), data=bytes(16))}, zipfile.ZIP_BZIP2)
    with pytest.raises(files.FileError, match="holds no"):
        files.read_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", _npy((2,), data=bytes(16)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", _npy((2,), data=bytes(16)))
    with pytest.raises(files.FileError, match="holds no"):
        files.read_npz(tmp_path / "b.npz")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes there")
def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(files.FileError, match=r"^path .* cannot be read \(it is no file\)\.$"):
            files.read_npz(place)
