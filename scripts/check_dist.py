"""Look into a built wheel and sdist: is the front end there, and nothing that does not belong?

Usage: python scripts/check_dist.py DIST_FOLDER
"""

import sys
import tarfile
import zipfile
from pathlib import Path

LARGEST_BUNDLE = 100_000  # bytes


def check_wheel(path: Path) -> None:
    with zipfile.ZipFile(path) as wheel:
        sizes = {entry.filename: entry.file_size for entry in wheel.infolist()}
    parts = ("image", "table", "standalone")
    for name in (f"ig_widgets/static/{part}.{kind}" for part in parts for kind in ("js", "css")):
        require(sizes.get(name, 0) > 0, f"{path.name} lacks {name}, or it is empty")
    bundles = {name: sizes[f"ig_widgets/static/{name}.js"] for name in ("image", "table")}
    for name, size in bundles.items():
        require(size <= LARGEST_BUNDLE, f"{name}.js is {size} bytes, more than {LARGEST_BUNDLE}")
    for name in ("ig_widgets/__init__.py", "ig_widgets/py.typed"):
        require(name in sizes, f"{path.name} lacks {name}")
    strangers = [name for name in sizes if name.split("/")[0] != "ig_widgets" and ".dist-info/" not in name]
    require(not strangers, f"{path.name} has files outside the package: {strangers[:5]}")
    told = ", ".join(f"{name}.js {size / 1000:.1f} kB" for name, size in bundles.items())
    print(f"{path.name}: {len(sizes)} files, {told}")


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for name in ("ig_widgets/static/image.js", "js/package-lock.json", "hatch_build.py", "LICENSE"):
        require(name in names, f"{path.name} lacks {name}")
    require(any(name.startswith("js/src/") for name in names), f"{path.name} lacks the sources of the front end")
    require(not any("node_modules" in name for name in names), f"{path.name} has node_modules")
    print(f"{path.name}: {len(names)} files")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(otherwise)


def main() -> None:
    (folder,) = map(Path, sys.argv[1:])
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)


if __name__ == "__main__":
    main()
