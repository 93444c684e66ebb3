"""The prepared corpus: recordings of one skeleton in a folder, memory-mapped.

    index.json     format, skeleton, fields, strings, what was skipped; its presence says that the store is whole
    clips.npy      one row a recording: where it lies and what it is (strings as indices into index.json's)
    shards/N.f32   recordings end to end, little-endian float32: field after field, each with all its frames
    plan.json      what the store was made of, so that a killed preparation goes on and another one is refused
    parts/N.json   rows of finished shards while the preparation runs

A reader maps the shards and touches only the windows it reads; what it has touched is handed back to the system from
time to time, so resident memory does not depend on the size of the corpus.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, skeleton_from_dict
from training.data.open_data import split_of
from training.data.recording import CONSTANTS, Recording, checked, frame_fields

try:
    import fcntl
except ImportError:  # Windows: two preparations of one folder at a time are not noticed
    fcntl = None

FORMAT, VERSION = "motionlift-store", 1
SHARD_BYTES = 64 << 20
__all__ = ["Clip", "Store", "StoreWriter", "draw_clips", "draw_windows", "load_store", "save_store", "split_of"]
_TEXTS = ("source", "subject", "action", "camera", "split", "licence")
_KEPT_BYTES = 128 << 20  # touched pages are handed back after so much
_FAULT_BYTES = 128 << 10  # a touched page brings its neighbours with it, on both sides
_AGAIN = "Run `motionlift-train prepare` again"


@dataclass(frozen=True)
class Clip:
    """What a store says of a recording, without its arrays. Attributes as of `Recording`."""

    name: str
    source: str
    subject: str
    action: str
    camera: str
    split: str
    licence: str
    fps: float
    frames: int
    fields: tuple[str, ...]


class Store:
    """A store open for reading. Also in worker processes: it is pickled as its path.

    Attributes:
        skeleton: of all recordings.
        fields: shape of a frame, or of the constant, by name, in the order in which they are stored.
        length, fps: (N,) of each recording; frames and frames a second.
        names, sources, subjects, actions, cameras, splits, licences: N strings each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        index = _read_json(path / "index.json")
        if index.get("format") != FORMAT or index.get("version") != VERSION:
            raise MotionliftError(f"{path}: not a store of version {VERSION}", _AGAIN + " with --fresh")
        self.skeleton = skeleton_from_dict(index["skeleton"], str(path))
        self.fields: dict[str, tuple[int, ...]] = {k: tuple(v) for k, v in index["fields"].items()}
        self.skipped: tuple[tuple[str, str], ...] = tuple((n, why) for n, why in index["skipped"])
        self._strings: list[str] = index["strings"]
        self._rows: NDArray[Any] = np.load(path / "clips.npy", mmap_mode="r", allow_pickle=False)
        self._floats: list[int] = index["shards"]
        self._maps: dict[int, tuple[mmap.mmap, NDArray[np.float32]]] = {}
        self._touched = 0
        self.length: Tensor = torch.from_numpy(self._rows["frames"].astype(np.int64))
        self.fps: Tensor = torch.from_numpy(self._rows["fps"].astype(np.float32))

    def __reduce__(self) -> tuple[Any, ...]:
        return load_store, (self.path,)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def frames(self) -> int:
        """Frames of all recordings."""
        return int(self._rows["frames"].sum(dtype=np.int64))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(n.decode() for n in self._rows["name"])

    @cached_property
    def sources(self) -> tuple[str, ...]:
        return self._texts("source")

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        return self._texts("subject")

    @cached_property
    def actions(self) -> tuple[str, ...]:
        return self._texts("action")

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        return self._texts("camera")

    @cached_property
    def splits(self) -> tuple[str, ...]:
        return self._texts("split")

    @cached_property
    def licences(self) -> tuple[str, ...]:
        return self._texts("licence")

    def _texts(self, what: str) -> tuple[str, ...]:
        return tuple(self._strings[i] for i in self._rows[what])

    def clip(self, i: int) -> Clip:
        """What is known of recording `i`."""
        row = self._rows[i]
        texts = {t: self._strings[row[t]] for t in _TEXTS}
        return Clip(row["name"].decode(), **texts, fps=float(row["fps"]), frames=int(row["frames"]), fields=self.has(i))

    def has(self, i: int) -> tuple[str, ...]:
        """The fields of recording `i`."""
        present = int(self._rows["present"][i])
        return tuple(n for k, n in enumerate(self.fields) if present >> k & 1)

    def select(self, *fields: str, split: str | None = None) -> NDArray[np.int64]:
        """Indices of the recordings that have all of these fields, and are of the split."""
        bits = sum(1 << k for k, n in enumerate(self.fields) if n in fields)
        keep = (self._rows["present"] & bits) == bits if set(fields) <= set(self.fields) else np.zeros(len(self), bool)
        if split is not None:
            keep = keep & np.array([s == split for s in self._strings], bool)[self._rows["split"]]
        return np.flatnonzero(keep)

    def motion(self, split: str | None = None) -> NDArray[np.int64]:
        """Indices of the recordings that `draw_clips` can cut: with rotations or, in a store without any, with joints
        in scene space."""
        turned = self.select("rotations", split=split)
        if len(turned) or len(self.select("rotations")):
            return turned
        seen = set(self.select("keypoints").tolist())
        return np.array([i for i in self.select("joints", split=split).tolist() if i not in seen], np.int64)

    def read(
        self, i: int, fields: Iterable[str] | None = None, start: int = 0, frames: int | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Frames `start` to `start + frames` of recording `i`, or all from `start`; constants whole.

        Returns views into the map, read-only: (frames, ...) a field. Raises MotionliftError for a field that the
        recording lacks, IndexError for frames that it has not.
        """
        row = self._rows[i]
        total, present, at = int(row["frames"]), int(row["present"]), int(row["offset"])
        frames = total - start if frames is None else frames
        if start < 0 or frames < 0 or start + frames > total:
            raise IndexError(f"frames {start} to {start + frames} of a recording of {total}")
        wanted = None if fields is None else set(fields)
        shard, out = self._shard(int(row["shard"])), dict[str, NDArray[np.float32]]()
        for k, (name, shape) in enumerate(self.fields.items()):
            if not present >> k & 1:
                continue
            size = prod(shape)
            span = 1 if name in CONSTANTS else total
            if wanted is None or name in wanted:
                if name in CONSTANTS:
                    out[name] = shard[at : at + size].reshape(shape)
                else:
                    a = at + start * size
                    out[name] = shard[a : a + frames * size].reshape(frames, *shape)
                self._touched += _FAULT_BYTES + out[name].nbytes
            at += size * span
        if wanted is not None and len(out) < len(wanted):
            lacks = ", ".join(sorted(wanted - out.keys()))
            raise MotionliftError(
                f"{self.path}: recording {row['name'].decode()} has no {lacks}",
                f"It has {', '.join(self.has(i))}; choose recordings with `select`",
            )
        return out

    def _shard(self, number: int) -> NDArray[np.float32]:
        if self._touched > _KEPT_BYTES:
            self._touched = 0
            for mapped, _ in self._maps.values():
                if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which trims by itself
                    mapped.madvise(mmap.MADV_DONTNEED)
        if number not in self._maps:
            path = self.path / "shards" / f"{number:05d}.f32"
            try:
                with path.open("rb") as file:
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise MotionliftError(f"{path}: cannot be read ({error})", _AGAIN + " with --fresh") from error
            if len(mapped) != 4 * self._floats[number]:
                what = f"{path}: {len(mapped)} bytes, expected {4 * self._floats[number]}"
                raise MotionliftError(what, _AGAIN + " with --fresh")
            self._maps[number] = mapped, np.frombuffer(mapped, "<f4")
        return self._maps[number][1]


def load_store(path: Path) -> Store:
    """Raises MotionliftError if the corpus was not prepared, or not to its end."""
    if not (path / "index.json").exists():
        began = (path / "plan.json").exists()
        raise MotionliftError(
            f"{path}: {'the preparation was not finished' if began else 'no prepared corpus'}",
            _AGAIN if began else "Run `motionlift-train prepare` first",
        )
    return Store(path)


class StoreWriter:
    """Writes a store, shard by shard, and goes on with one that was begun with the same plan.

        writer = StoreWriter(folder, skeleton, plan)
        for item in items:
            if not writer.has(item.name):
                writer.add(item.name, item.read())
        writer.finish(skipped)

    Memory holds one shard. Every file appears under its name when it is whole. An item is in the store whole or not at
    all; those of the shard that was being filled when the process was killed are read again.
    """

    def __init__(
        self,
        folder: Path,
        skeleton: Skeleton,
        plan: dict[str, Any],
        *,
        fresh: bool = False,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self.folder, self.skeleton = folder, skeleton
        self._limit = shard_bytes // 4
        self._fields = list(frame_fields(skeleton)) + list(CONSTANTS)
        self._shapes = frame_fields(skeleton) | CONSTANTS
        self._arrays: list[NDArray[np.float32]] = []
        self._floats = 0
        self._rows: list[dict[str, Any]] = []
        self._items: list[str] = []
        self._lock: IO[bytes] | None = None
        plan = json.loads(json.dumps({"version": VERSION, "skeleton": skeleton.to_dict(), **plan}))
        self._begin(plan, fresh=fresh)
        parts = [_read_json(p) for p in self._parts()]
        self._done = {n for part in parts for n in part["items"]}
        self._names = {r["name"] for part in parts for r in part["rows"]}
        self._shards = len(parts)

    def _begin(self, plan: dict[str, Any], *, fresh: bool) -> None:
        folder, at = self.folder, self.folder / "plan.json"
        try:
            own = {"lock", "shards", "parts", "plan.json.tmp"}
            if not at.exists() and folder.exists() and any(p.name not in own for p in folder.iterdir()):
                raise MotionliftError(f"{folder}: not empty, and not a store", "Choose another folder with --out")
            for sub in ("shards", "parts"):
                (folder / sub).mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
            if fresh:
                _remove_store(folder)
            elif at.exists() and (old := _read_json(at)) != plan:
                differ = ", ".join(sorted(k for k in old.keys() | plan.keys() if old.get(k) != plan.get(k)))
                raise MotionliftError(
                    f"{folder}: holds what was prepared otherwise (another {differ})",
                    "Add --fresh to replace it, or choose another folder with --out",
                )
            if fresh or not at.exists():
                _write(at, json.dumps(plan).encode())
        except OSError as error:
            raise MotionliftError(f"{folder}: cannot be written ({error})", "Choose another folder") from error

    @property
    def finished(self) -> bool:
        """Whether the store is whole already."""
        return (self.folder / "index.json").exists()

    def has(self, item: str) -> bool:
        """Whether an item is in a finished shard, or in the one being filled."""
        return item in self._done

    def add(self, item: str, recordings: Iterable[Recording]) -> int:
        """Take an item in; frames of it. If a recording of it is wrong, MotionliftError and none of it is taken."""
        arrays, rows, floats = list[NDArray[np.float32]](), list[dict[str, Any]](), self._floats
        names = set[str]()
        for recording in recordings:
            frames, fields = checked(recording, self.skeleton)
            if recording.name in self._names or recording.name in names:
                raise MotionliftError(f"{recording.name}: a recording of this name is in the store", "Rename a source")
            names.add(recording.name)
            row = {t: getattr(recording, t) for t in _TEXTS}
            row |= {"name": recording.name, "fps": recording.fps, "frames": frames, "offset": floats}
            row["present"] = sum(1 << k for k, n in enumerate(self._fields) if n in fields)
            rows.append(row)
            for name in self._fields:
                if name in fields:
                    arrays.append(fields[name].ravel())
                    floats += fields[name].size
        self._arrays += arrays
        self._rows += rows
        self._floats = floats
        self._names |= names
        self._items.append(item)
        self._done.add(item)
        if self._floats >= self._limit:
            self._seal()
        return sum(r["frames"] for r in rows)

    def _parts(self) -> list[Path]:
        return sorted((self.folder / "parts").glob("*.json"))

    def _seal(self) -> None:
        if not self._items:
            return
        number = self._shards
        if self._floats:
            _write(self.folder / "shards" / f"{number:05d}.f32", *(a.astype("<f4", copy=False) for a in self._arrays))
        part = {"items": self._items, "rows": self._rows, "floats": self._floats}
        _write(self.folder / "parts" / f"{number:05d}.json", json.dumps(part).encode())
        self._shards += 1
        self._arrays, self._floats, self._rows, self._items = [], 0, [], []

    def finish(self, skipped: Sequence[tuple[str, str]] = ()) -> Store:
        """Write the index and open the store. `skipped` names what could not be read, and why.

        Raises MotionliftError if there is no recording at all.
        """
        self._seal()
        strings: dict[str, int] = {}
        shards, rows = list[int](), list[tuple[Any, ...]]()
        for number, path in enumerate(self._parts()):
            part = _read_json(path)
            shards.append(part["floats"])
            for r in part["rows"]:
                texts = (strings.setdefault(r[t], len(strings)) for t in _TEXTS)
                name = r["name"].encode()
                rows.append((name, number, r["offset"], r["frames"], r["fps"], r["present"], *texts))
        if not rows:
            why = f"; the first failure: {skipped[0][1]}" if skipped else ""
            raise MotionliftError(f"{self.folder}: no recording could be prepared{why}", "Check the sources")
        numbers = [("shard", "u4"), ("offset", "u8"), ("frames", "u4"), ("fps", "f8"), ("present", "u4")]
        width = max(len(r[0]) for r in rows)
        table = np.array(rows, np.dtype([("name", f"S{width}"), *numbers, *((t, "u4") for t in _TEXTS)]))
        _write_array(self.folder / "clips.npy", table)
        index = {
            "format": FORMAT,
            "version": VERSION,
            "skeleton": self.skeleton.to_dict(),
            "fields": {n: self._shapes[n] for n in self._fields},
            "strings": list(strings),
            "shards": shards,
            "skipped": list(skipped),
        }
        _write(self.folder / "index.json", json.dumps(index).encode())
        # Whatever a killed preparation left behind.
        known = {f"{n:05d}.f32" for n, floats in enumerate(shards) if floats}
        for path in [*self._parts(), *(p for p in (self.folder / "shards").iterdir() if p.name not in known)]:
            path.unlink()
        if self._lock:
            self._lock.close()
        return load_store(self.folder)


def _locked(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held until it is closed or the process ends. Raises MotionliftError if another holds it."""
    if fcntl is None:
        return None
    file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise MotionliftError(
            f"{folder}: another process is preparing it", "Wait for it, or choose another folder"
        ) from error
    return file


def _remove_store(folder: Path) -> None:
    """Remove what a store consists of, the index first, and nothing else."""
    for name in ("index.json", "clips.npy"):
        (folder / name).unlink(missing_ok=True)
    for path in [*folder.glob("parts/*.json*"), *folder.glob("shards/*.f32*")]:
        path.unlink()


def _write(path: Path, *pieces: Any) -> None:
    """Write a file under another name and rename it: it is whole or it is not there."""
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _write_array(path: Path, array: NDArray[Any]) -> None:
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MotionliftError(f"{path}: damaged ({error})", _AGAIN + " with --fresh") from error


def save_store(path: Path, recordings: Iterable[Recording], skeleton: Skeleton) -> Store:
    """A store of recordings that are at hand, made anew."""
    writer = StoreWriter(path, skeleton, {"sources": "recordings"}, fresh=True)
    for r in recordings:
        writer.add(r.name, [r])
    return writer.finish()


def draw_clips(
    store: Store, clips: Tensor, frames: int, fps: float, g: torch.Generator, warp: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a window of `frames` at `fps` out of each of the named recordings.

    Args:
        clips: (B,) indices of recordings, of `Store.motion`. A recording shorter than the window holds its last frame.
        warp: standard deviation of the logarithm of a random change of speed.
    Returns:
        pose, root (B, T, 3) and contacts (B, T, points), as `training/synthetic.py` takes them: pose is (B, T, bones,
        4) rotations or, where the recordings have none, (B, T, J, 3) joints relative to the root.
    """
    has = store.has(int(clips[0])) if len(clips) else ()
    fields = ["rotations", "root"] if "rotations" in has else ["joints"]
    out = draw_windows(store, clips, frames, fps, g, fields + ["contacts"] * ("contacts" in has), warp)
    contacts = out["contacts"] if "contacts" in out else torch.zeros(len(clips), frames, 0)
    if "rotations" in out:
        return out["rotations"], out["root"], contacts
    root = out["joints"][:, :, 0]
    return out["joints"] - root[:, :, None], root, contacts


def draw_windows(
    store: Store, clips: Tensor, frames: int, fps: float, g: torch.Generator, fields: Sequence[str], warp: float = 0.0
) -> dict[str, Tensor]:
    """Like `draw_clips`, any fields: (B, T, ...) each. Values between frames are linear, rotations made unit again."""
    count = len(clips)
    rate = store.fps[clips] / fps * (torch.randn(count, generator=g) * warp).exp()
    last = (store.length[clips] - 1).float()
    room = (last - rate * (frames - 1)).clamp(min=0)
    at = torch.rand(count, generator=g)[:, None] * room[:, None] + rate[:, None] * torch.arange(frames)
    at = torch.minimum(at, last[:, None]).numpy()
    low = at.astype(np.int64)
    high = np.minimum(low + 1, last.numpy().astype(np.int64)[:, None])
    share = (at - low).astype(np.float32)
    out = {n: np.empty((count, frames, *store.fields[n]), np.float32) for n in fields}
    for b, clip in enumerate(clips.tolist()):
        first = int(low[b, 0])
        arrays = store.read(clip, fields, first, int(high[b, -1]) + 1 - first)
        for n, array in arrays.items():
            u = share[b].reshape(-1, *(1,) * (array.ndim - 1))
            np.add(array[low[b] - first] * (1 - u), array[high[b] - first] * u, out=out[n][b])
    if "rotations" in out:
        out["rotations"] /= np.linalg.norm(out["rotations"], axis=-1, keepdims=True)
    return {n: torch.from_numpy(v) for n, v in out.items()}
