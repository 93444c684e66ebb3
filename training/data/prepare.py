"""`motionlift-train prepare`: source files in, one store out.

A corpus is a skeleton and sources, in a TOML file (docs/training-data.md):

    skeleton = "body"              # a name, or the path of a .toml
    [[sources]]
    kind = "bvh"
    path = "studio.zip"
    map = "studio.toml"

Sources are read one file at a time. What cannot be read is left out and listed at the end, or ends the preparation
with --strict. A killed preparation goes on where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import lzma
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, load_skeleton
from training.config import read
from training.data.amass import AmassSource, amass_items
from training.data.bvh import BvhSource, bvh_items
from training.data.human36m import Human36mSource, human36m_items
from training.data.humaneva import HumanEvaSource, humaneva_items
from training.data.keypoint_files import KeypointSource, keypoint_items
from training.data.motionbert import MotionBertSource, motionbert_items
from training.data.mpi_inf_3dhp import MpiInf3dhpSource, mpi_inf_3dhp_items
from training.data.open_data import ManifestSource, manifest_items
from training.data.recording import Item
from training.data.store import Store, StoreWriter, load_store

log = logging.getLogger("training")

Source = (
    BvhSource
    | ManifestSource
    | AmassSource
    | Human36mSource
    | MotionBertSource
    | MpiInf3dhpSource
    | HumanEvaSource
    | KeypointSource
)
_ITEMS: dict[type[Any], Callable[[Any, Path, Skeleton], Iterator[Item]]] = {
    BvhSource: bvh_items,
    ManifestSource: manifest_items,
    AmassSource: amass_items,
    Human36mSource: human36m_items,
    MotionBertSource: motionbert_items,
    MpiInf3dhpSource: mpi_inf_3dhp_items,
    HumanEvaSource: humaneva_items,
    KeypointSource: keypoint_items,
}
_UNREADABLE = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error)


@dataclass(frozen=True)
class Corpus:
    """What a store is made of.

    Attributes:
        skeleton: its name, or the path of a .toml.
        sources: as dataclasses of the modules in this folder, told apart by `kind`.
    """

    sources: tuple[Source, ...]
    skeleton: str = "body"


def load_corpus(path: Path) -> tuple[Corpus, Path]:
    """A corpus, and the folder that its paths are relative to: of a .toml file, or of a folder with a manifest.

    Raises MotionliftError for a file that is missing or not TOML, and for a key or value that is not right.
    """
    if path.is_dir():
        return Corpus((ManifestSource("manifest", "."),)), path
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MotionliftError(f"{path}: cannot be read as TOML ({error})", "See docs/training-data.md") from error
    return cast(Corpus, read(Corpus, data, path.name)), path.parent


def prepare(corpus: Corpus, base: Path, out: Path, *, fresh: bool = False, strict: bool = False) -> Store:
    """Write the store, or go on with it; returns it open.

    Args:
        base: folder that the corpus' paths are relative to.
        fresh: replace another store in `out`, or one that is whole already.
        strict: the first file that cannot be read ends the preparation with its error.
    """
    custom = corpus.skeleton.endswith(".toml")
    skeleton = load_skeleton(str(base / corpus.skeleton) if custom else corpus.skeleton)
    plan = {"sources": [asdict(s) for s in corpus.sources], "files": _stamps(corpus, base)}
    writer = StoreWriter(out, skeleton, plan, fresh=fresh)
    if writer.finished:
        log.info("%s is whole already", out)
        return load_store(out)
    skipped: list[tuple[str, str]] = []
    try:
        for source in corpus.sources:
            _take(source, base, skeleton, writer, skipped, strict=strict)
        store = writer.finish(skipped)
    except OSError as error:
        what = f"{out}: cannot be written ({error.strerror or error})"
        raise MotionliftError(what, "Make room and give the same command again: it goes on") from error
    for name, why in skipped:
        log.warning("left out %s: %s", name, why)
    log.info("%s: %d recordings, %d frames; %d left out", out, len(store), store.frames, len(skipped))
    return store


def _take(
    source: Source, base: Path, skeleton: Skeleton, writer: StoreWriter, skipped: list[tuple[str, str]], *, strict: bool
) -> None:
    items = _ITEMS[type(source)](source, base, skeleton)
    with tqdm(desc=source.name, unit=" files", disable=None) as progress:
        while True:
            name = source.name
            try:
                item = next(items, None)
                if item is None:
                    return
                name = item.name
                if not writer.has(name):
                    try:
                        recordings = list(item.read())
                    except _UNREADABLE as error:
                        raise MotionliftError(f"{name}: cannot be read ({error})", "Get the file again") from error
                    writer.add(name, recordings)
                progress.update()
            except MotionliftError as error:
                if strict:
                    raise
                skipped.append((name, str(error)))
                if name == source.name:  # the source as a whole
                    return


def _stamps(corpus: Corpus, base: Path) -> dict[str, list[int]]:
    """Size and time of change of every file of the sources: other files make another store."""
    out: dict[str, list[int]] = {}
    for source in corpus.sources:
        path = base / source.path
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                stat = file.stat()
                out[file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)] = [
                    stat.st_size,
                    stat.st_mtime_ns,
                ]
    return out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("corpus", type=Path, help="a corpus in TOML, or a folder with manifest.json and its archives")
    parser.add_argument("--out", type=Path, default=Path("runs/corpus"), help="folder of the store (runs/corpus)")
    parser.add_argument("--fresh", action="store_true", help="replace what is in the folder")
    parser.add_argument("--strict", action="store_true", help="stop at the first file that cannot be read")


def run(args: argparse.Namespace) -> None:
    """The command."""
    corpus, base = load_corpus(args.corpus)
    prepare(corpus, base, args.out, fresh=args.fresh, strict=args.strict)
