"""The openly licensed corpus: BVH archives with a manifest, which anyone can train on and test on.

A folder with `manifest.json`, one record a file (`id`, `source`, `file`, `subject`, `action`, `unit_m`), and beside it
SOURCE.tar.xz for each source, or a folder SOURCE. The joint map of a source has its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton
from training.data.bvh import bvh_files, captured_bvh, parse_bvh, thinning
from training.data.mocap import JointMap, load_map, transfer
from training.data.recording import Item, Recording

TEST = ("cmu_05", "cmu_08", "cmu_09", "cmu_135", "accad_Male1", "mhad_s11", "mhad_s12")
VALIDATION = ("cmu_07", "mhad_s10")
LICENCES = {
    "cmu": (
        "CMU Graphics Lab Motion Capture Database. Free for all uses; may be included in products, not resold as data. "
        "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from "
        "NSF EIA-0196217."
    ),
    "accad": (
        "ACCAD Open Motion Data Project, Advanced Computing Center for the Arts and Design, The Ohio State University. "
        "CC BY 3.0."
    ),
    "mhad": (
        "Berkeley MHAD: Ofli, Chaudhry, Kurillo, Vidal, Bajcsy, Berkeley MHAD: A Comprehensive Multimodal Human Action "
        "Database, WACV 2013. BSD-2-Clause as remembered, not verified against its download page."
    ),
}
"""Notices to reproduce with what was trained on a source, by the first part of its name."""
_KEYS = {"id": str, "source": str, "file": str, "subject": str, "unit_m": (int, float)}


@dataclass(frozen=True)
class ManifestSource:
    """Attributes: `path` of the folder; `test` and `validation` subjects, which are not trained on."""

    kind: Literal["manifest"]
    path: str
    name: str = "open"
    test: tuple[str, ...] = TEST
    validation: tuple[str, ...] = VALIDATION
    most_fps: float = 60.0


def split_of(subject: str) -> str:
    """ "test", "validation" or "train", by subject of the open corpus."""
    return "test" if subject in TEST else "validation" if subject in VALIDATION else "train"


def manifest_items(source: ManifestSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a file, source after source, in the order of its archive."""
    folder = base / source.path
    records = _read_manifest(folder / "manifest.json")
    for name in sorted({str(r["source"]) for r in records}):
        joint_map = load_map(name)
        by_file = {str(r["file"]): r for r in records if r["source"] == name}
        archive = folder / f"{name}.tar.xz"
        found = set[str]()
        for inside, file in bvh_files(archive if archive.exists() else folder / name):
            key = inside if inside in by_file else f"{name}/{inside}"
            if key in by_file:
                found.add(key)
                yield Item(f"{name}/{by_file[key]['id']}", _Reader(source, by_file[key], file, joint_map, skeleton))
        for key in sorted(by_file.keys() - found):
            yield Item(f"{name}/{by_file[key]['id']}", _Absent(folder, key))


@dataclass(frozen=True)
class _Reader:
    source: ManifestSource
    record: dict[str, Any]
    file: IO[bytes]
    joint_map: JointMap
    skeleton: Skeleton

    def __call__(self) -> Iterator[Recording]:
        r, most = self.record, self.source.most_fps
        bvh = parse_bvh(self.file.read(), str(r["file"]))
        captured = captured_bvh(bvh, float(r["unit_m"]), self.joint_map, str(r["file"]), most)
        arrays = transfer(captured, self.joint_map, self.skeleton)
        subject = str(r["subject"])
        split = "test" if subject in self.source.test else "train"
        split = "validation" if subject in self.source.validation else split
        licence = LICENCES.get(str(r["source"]).partition("_")[0], "unknown")
        yield Recording(
            str(r["id"]),
            str(r["source"]),
            subject,
            bvh.fps / thinning(bvh.fps, most),
            arrays,
            str(r.get("action", "")),
            split=split,
            licence=licence,
        )


@dataclass(frozen=True)
class _Absent:
    folder: Path
    file: str

    def __call__(self) -> Iterator[Recording]:
        raise MotionliftError(f"{self.folder}: manifest.json lists {self.file}, which is not there", "Get it again")


def _read_manifest(path: Path) -> list[dict[str, Any]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotionliftError(f"{path}: cannot be read ({error.strerror})", "Give the folder of the corpus") from error
    except ValueError as error:
        raise MotionliftError(f"{path}: not JSON ({error})", "Get the file again") from error
    for i, record in enumerate(records if isinstance(records, list) else [None]):
        for key, kind in _KEYS.items():
            if not isinstance(record, dict) or not isinstance(record.get(key), kind):
                what = f"{path}: record {i} has no {key!r}"
                raise MotionliftError(what, f"Expected a list of records with {', '.join(_KEYS)}")
    return records
