"""Everything that writes a file, where it cannot: one sentence, the file that was there, and nothing left over."""

from __future__ import annotations

import builtins
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import ig_widgets as igw
from ig_widgets import figures, files
from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.export.exports import ExportPanel
from ig_widgets.figures import export
from ig_widgets.files import FileError, atomic
from tests.explorers.subjects import SECONDS, Classifier, photo

pytestmark = pytest.mark.robustness

PACKAGE = Path(igw.__file__).parent
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")

# `write_atomically` alone, in a process of its own that is there at once.
_ALONE = """
import errno, json, os, sys, types
for name, path in (("ig_widgets", sys.argv[1]), ("ig_widgets.files", sys.argv[1] + "/files")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from ig_widgets.files.atomic import FileError, os as _os, write_atomically

def attempt(path, data):
    try:
        write_atomically(path, data)
    except FileError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def explorer() -> Iterator[ImageExplorer]:
    made = ImageExplorer(Classifier(), photo(), n_steps=3, target=1)
    made.wait(SECONDS)
    yield made
    made.close()


@pytest.fixture
def writers(explorer: ImageExplorer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[Path], object]]:
    """All that writes a file, by the ending of its name; what is written is made once."""
    panel = explorer._panel(ExportPanel)
    for name in ("drawing", "html", "npz"):
        made = _once(panel, name)
        monkeypatch.setattr(panel, name, lambda made=made: made)
    for name in ("to_png", "to_svg"):
        monkeypatch.setattr(export, name, lambda _figure: b"a figure " * 1000)
    result = explorer.result
    assert result is not None
    return {
        "png": explorer.to_png,
        "svg": explorer.to_svg,
        "html": explorer.to_html,
        "npz": explorer.to_npz,
        "figure.png": lambda path: figures.save(None, path),  # type: ignore[arg-type]
        "figure.svg": lambda path: figures.save(None, path),  # type: ignore[arg-type]
        "attribution.npz": lambda path: files.save_attribution(path, result),
        "arrays.npz": lambda path: files.write_npz(path, settings={"a": 1}, x=torch.ones(3)),
    }


_made: dict[str, Any] = {}


class _Drawn:
    """A drawing that was drawn."""

    def __init__(self, drawing: Any) -> None:
        self._png, self._svg = drawing.png(), drawing.svg()

    def png(self) -> bytes:
        return self._png

    def svg(self) -> bytes:
        return self._svg


def _once(panel: ExportPanel, name: str) -> Any:
    if name not in _made:
        made = getattr(panel, name)()
        _made[name] = _Drawn(made) if name == "drawing" else made
    return _made[name]


class Disk:
    """A disk on which one step of writing a file fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def fails(self, step: str, number: int) -> None:
        def fail(*_arguments: object, **_options: object) -> None:
            raise OSError(number, os.strerror(number))

        if step == "open":
            self.monkeypatch.setattr(atomic, "open", fail, raising=False)
        elif step.startswith("write"):
            half = step == "write half"

            def opened(*arguments: Any) -> Any:
                file = builtins.open(*arguments)  # noqa: SIM115  (_Failing closes it)
                return _Failing(file, fail, half=half)

            self.monkeypatch.setattr(atomic, "open", opened, raising=False)
        elif step == "copymode":
            self.monkeypatch.setattr(atomic.shutil, "copymode", fail)
        else:
            self.monkeypatch.setattr(atomic.os, step, fail)


class _Failing:
    """A file that cannot be written, or only in part."""

    def __init__(self, file: Any, fail: Callable[..., None], *, half: bool) -> None:
        self._file, self._fail, self._half = file, fail, half

    def __enter__(self) -> _Failing:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        if self._half:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
        self._fail()


STEPS = ("open", "write", "write half", "fsync", "copymode", "replace")
NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOENT)


def test_whatever_fails_the_old_file_is_whole(
    writers: dict[str, Callable[[Path], object]], tmp_path: Path, figure: Callable[..., None]
) -> None:
    injected = lost = left = 0
    for ending, write in writers.items():
        path = tmp_path / f"a {ending}"
        write(path)
        before = path.read_bytes()
        assert before
        for step in STEPS:
            for number in NUMBERS:
                with pytest.MonkeyPatch.context() as patch:
                    Disk(patch).fails(step, number)
                    with pytest.raises(FileError) as caught:
                        write(path)
                said = str(caught.value)
                assert said.startswith(f"path {str(path)!r} cannot be written ({os.strerror(number)}); name a file ")
                assert said.count("\n") == 0
                injected += 1
                lost += path.read_bytes() != before
                left += os.listdir(tmp_path) != [path.name]
        path.unlink()
    figure("faults injected into writing files: disk full, quota, read-only, ...", injected)
    figure("files lost or cut short by these", lost, at_most=0)
    figure("temporary files left by these", left, at_most=0)
    assert injected == len(writers) * len(STEPS) * len(NUMBERS)
    assert (lost, left) == (0, 0)


def test_what_would_help_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, remedy in (
        (errno.ENOSPC, "on a disk with more room, or make room on this one."),
        (errno.EROFS, "in a folder that exists and may be written."),
        (errno.EFBIG, "where larger ones are allowed (ulimit -f)."),
    ):
        with monkeypatch.context() as patch:
            Disk(patch).fails("fsync", number)
            with pytest.raises(FileError) as caught:
                files.write_atomically(tmp_path / "a", b"x")
        assert str(caught.value).endswith(f"name a file {remedy}")


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(atomic.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


# ---------------------------------------------------------------- places that are none


def test_places_that_cannot_be_files(writers: dict[str, Callable[[Path], object]], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    os.mkfifo(tmp_path / "pipe")
    places = {
        "gone/a": "No such file or directory",
        "file/a": "Not a directory",
        "folder": "Is a directory",
        "one": "Too many levels of symbolic links",
        "pipe": "It is no file, but a device or a pipe",
        "x" * 300: "File name too long",
    }
    before = sorted(os.listdir(tmp_path))
    for place, reason in places.items():
        for ending, write in writers.items():
            if "figure" in ending and "." not in place:
                continue  # the ending is looked at first
            with pytest.raises(FileError) as caught:
                write(tmp_path / place)
            assert f"{place!r}"[1:] in str(caught.value)
            assert f"cannot be written ({reason}); name a file " in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_bytes() == b"old"


@LINUX
def test_a_device_stays_a_device() -> None:
    """By renaming, whoever may do all would make a file of /dev/null."""
    with pytest.raises(FileError, match="a device or a pipe"):
        files.write_atomically("/dev/null", b"x")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(FileError, match=r"^path '/proc/a' cannot be written"):
        files.write_atomically("/proc/a", b"x")


def test_names_as_long_as_names_can_be(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".npz", "ü" * 125, "\N{GRINNING FACE}" * 63):
        files.write_atomically(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    assert len(os.listdir(tmp_path)) == 3


def test_a_folder_that_vanishes_while_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(atomic.os, "fsync", lambda _descriptor: shutil.rmtree(folder))
    with pytest.raises(FileError, match=r"\(No such file or directory\); name a file in a folder that exists"):
        files.write_atomically(folder / "a", b"x")
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- real ones


def _alone(code: str, *arguments: str, within: tuple[str, ...] = ()) -> Any:
    command = [*within, sys.executable, "-c", _ALONE + code, str(PACKAGE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@LINUX
def test_a_file_larger_than_the_process_may_write(tmp_path: Path) -> None:
    said = _alone(
        """
import resource
write_atomically(sys.argv[2], b"old" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
print(json.dumps([attempt(sys.argv[2], bytes(20_000)), attempt(sys.argv[2] + "2", bytes(20_000))]))
""",
        str(tmp_path / "a"),
    )
    assert all("cannot be written (File too large); name a file where larger ones are allowed" in one for one in said)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old" * 1000


# Mounts of a process of its own, which nobody else sees and which go with it.
_MOUNTS = ("unshare", "--mount", "--map-root-user")
_MOUNT = """
import subprocess
folder = sys.argv[2]
def mount(*options):
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if done.returncode:
        print("nothing can be mounted here:", done.stderr, file=sys.stderr)
        sys.exit(77)
"""


def _can_mount() -> bool:
    found = shutil.which("unshare")
    return found is not None and not subprocess.run([*_MOUNTS, "true"], capture_output=True, check=False).returncode


@LINUX
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    if not _can_mount():
        pytest.skip("no mounts of one's own here")
    said, names, whole = _alone(
        _MOUNT
        + """
mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
write_atomically(folder + "/a", bytes(30_000))
said = [attempt(folder + "/a", b"x" * 50_000), attempt(folder + "/b", b"x" * 50_000)]
print(json.dumps([said, os.listdir(folder), open(folder + "/a", "rb").read() == bytes(30_000)]))
""",
        str(tmp_path),
        within=_MOUNTS,
    )
    assert all("cannot be written (No space left on device); name a file on a disk with more room" in s for s in said)
    assert names == ["a"]
    assert whole


@LINUX
def test_a_folder_that_is_read_only(tmp_path: Path) -> None:
    if not _can_mount():
        pytest.skip("no mounts of one's own here")
    (tmp_path / "a").write_bytes(b"old")
    said = _alone(
        _MOUNT
        + """
mount("--bind", folder, folder)
mount("-o", "remount,bind,ro", folder)
print(json.dumps([attempt(folder + "/a", b"new"), attempt(folder + "/b", b"new")]))
""",
        str(tmp_path),
        within=_MOUNTS,
    )
    assert all("cannot be written (Read-only file system); name a file in a folder that exists" in one for one in said)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@LINUX
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_process_that_is_killed_while_it_writes(tmp_path: Path, step: str) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    code = f"""
def stop(*_):
    print("here", flush=True)
    sys.stdin.read()
_os.{step} = stop
write_atomically(sys.argv[2], b"new" * 10_000)
"""
    command = [sys.executable, "-c", _ALONE + code, str(PACKAGE), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
    (rest,) = set(os.listdir(tmp_path)) - {"a.npz"}
    assert rest.startswith(".a.npz.")
    assert rest.endswith(".tmp")
    files.write_atomically(path, b"newer")  # it is in nobody's way
    assert path.read_bytes() == b"newer"


# ---------------------------------------------------------------- from a button


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError(), ValueError("odd")])
def test_an_export_that_fails_is_a_notice(
    explorer: ImageExplorer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> bytes:
        raise error

    before = explorer._notice.get("number", 0)
    panel = explorer._panel(ExportPanel)
    for i, (kind, name) in enumerate((("png", "drawing"), ("svg", "drawing"), ("npz", "npz"), ("html", "html"))):
        with monkeypatch.context() as patch:
            patch.setattr(panel, name, fail)
            explorer._on_message(explorer, {"type": "export", "view": "v", "kind": kind}, [])
            assert explorer._tasks.wait(SECONDS)
        assert explorer._notice["number"] == before + i + 1
        assert explorer._notice["text"].startswith(f"{kind.upper()} was not made: ")
    assert explorer.result is not None
