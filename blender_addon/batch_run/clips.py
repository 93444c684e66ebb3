"""Which clips a batch is about, and what their results are called."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

MOVIES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".ogv", ".mxf")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Those that the lifter reads as a sequence."""


@dataclass(frozen=True)
class Clip:
    """A clip of a batch.

    Attributes:
        path: a video file, a folder of images or a pattern of numbered images such as shot/%04d.png; absolute.
        name: of its results, relative to the folder for them, with / between folders and without a suffix: a/walk.
    """

    path: Path
    name: str


def movies_in(folder: Path) -> list[Path]:
    """Video files in a folder, by name. Raises UserError where there are none."""
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in MOVIES and p.is_file())
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be read", "Choose another one", error.strerror or "") from error
    if not found:
        raise UserError(f"{folder}: there is no video file in this folder", "Choose a folder with videos")
    return found


def find_clips(given: Sequence[str], base: Path | None = None) -> list[Clip]:
    """Clips by what a command line names: files, folders, patterns such as shots/**/*.mp4 or shot/%04d.png.

    A folder stands for the videos in it, or, where it has only images, for one sequence. A clip that does not exist
    is kept: the batch says so in its place and goes on.

    base: names are relative to it; if None, to the part of what was given that has no wildcards, a file's to its
        folder.
    Raises UserError where nothing is found, where a clip is not under `base`, or where two would have the same name.
    """
    found: dict[Path, Path] = {}  # clip: folder that its name is relative to
    for text in given:
        own, paths = _expand(text)
        for path in paths:
            # Without "..", so that no name leads out of the folder for results.
            found.setdefault(_absolute(path), _absolute(base or own))
    if not found:
        what = " ".join(given)
        raise UserError(
            f"No clip was found as {what}", "Give video files, folders or a pattern in quotes, such as 'shots/**/*.mp4'"
        )
    return _named(found)


def hash_clip(path: Path) -> tuple[str, str]:
    """(SHA-256 of the contents, what the file system says of them: sizes and times). Raises OSError.

    What the file system says changes whenever the contents do, and costs nothing to ask: see `stamp`.
    """
    digest = hashlib.sha256()
    files = files_of(path)
    for file in files:
        if len(files) > 1:
            digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest(), stamp(path)


def stamp(path: Path) -> str:
    """Names, sizes and times of a clip's files in short. Raises OSError."""
    told = [(f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files_of(path)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files of a clip, by name: one of a video, many of a sequence. Raises OSError."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith("."))
    numbered = re.fullmatch(r"(.*)%(?:0(\d+))?d(.*)", path.name)
    if numbered and not path.exists():
        name = re.compile(f"{re.escape(numbered[1])}(\\d{{{int(numbered[2] or 1)},}}){re.escape(numbered[3])}")
        return sorted(p for p in path.parent.iterdir() if name.fullmatch(p.name))
    return [path]


def _expand(text: str) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the clips."""
    path = Path(text)
    if path.is_dir():
        if any(p.suffix.lower() in IMAGES for p in path.iterdir()) and not _movies(path.iterdir()):
            return path.parent, [path]
        return path, movies_in(path)
    if path.exists() or not glob.has_magic(text):
        return path.parent, [path]
    fixed: list[str] = []
    for part in path.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    matched = [Path(p) for p in glob.glob(text, recursive=True)]  # noqa: PTH207 (absolute, too)
    folders = [p for p in matched if p.is_dir() and any(q.suffix.lower() in IMAGES for q in p.iterdir())]
    # A pattern such as shots/* also matches sound and notes; one that names a suffix means what it says.
    files = [p for p in matched if p.is_file()]
    files = files if path.suffix and not glob.has_magic(path.suffix) else _movies(files)
    return Path(*fixed), sorted(files + folders)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (a link keeps its own name)


def _movies(paths: Iterable[Path]) -> list[Path]:
    return [p for p in paths if p.suffix.lower() in MOVIES and p.is_file()]


def _named(found: dict[Path, Path]) -> list[Clip]:
    names: dict[Path, str] = {}
    for path, base in found.items():
        try:
            inside = path.relative_to(base)
        except ValueError as error:
            raise UserError(f"{path} is not in the folder {base}", "Choose another --base, or leave it out") from error
        stem = re.sub(r"[._ -]*%(?:0\d+)?d", "", inside.stem) or "sequence"
        names[path] = (inside.parent / (inside.name if path.is_dir() else stem)).as_posix()
    many = [n.casefold() for n in names.values()]
    # walk.mov beside walk.mp4: the suffix tells them apart.
    names = {p: f"{n}{p.suffix}" if many.count(n.casefold()) > 1 else n for p, n in names.items()}
    of: dict[str, Path] = {}
    for path, name in names.items():
        other = of.setdefault(name.casefold(), path)
        if other != path:
            raise UserError(
                f"The results of {other} and {path} would both be called {name}",
                "Give --base, a folder that both are in, or do them in two batches",
            )
    return [Clip(path, name) for path, name in sorted(names.items(), key=lambda item: _natural(item[1]))]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", name)]
