"""DeepLabCut's CSV and H5: x, y and likelihood of each body part, of one animal or person or of several.

The rows on top say scorer, individuals (of several only), bodyparts and coords; a row is a frame, numbered in the first
column. H5 files are pandas tables, read with h5py (`pip install h5py`).
"""

from __future__ import annotations

import csv
import io
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.structure import array, sequence

from .clip import Found, KeypointClip, make_clip, make_found
from .names import place_names

LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_REMEDY = "Write it again with DeepLabCut's analyze_videos, as CSV"


def clips(path: Path) -> dict[str, list[Path]]:
    """The file alone: a folder may hold several runs over one clip."""
    return {path.stem: [path]}


def read(files: list[Path], layout: str) -> KeypointClip:
    """One clip from its file."""
    (file,) = files
    columns, frames, values = _read_h5(file) if file.suffix == ".h5" else _read_csv(file)
    if np.isinf(values).any():
        raise MotionliftError(f"{file}: numbers that are not finite", "Write it again")
    place = {column: i for i, column in enumerate(columns)}
    people = list(dict.fromkeys(c[0] for c in columns))
    found: list[Found] = []
    for who, person in enumerate(people):
        parts = list(dict.fromkeys(c[1] for c in columns if c[0] == person))
        try:
            index = [[place[person, part, c] for c in ("x", "y", "likelihood")] for part in parts]
        except KeyError as error:
            raise MotionliftError(f"{file}: no column {error}", _REMEDY) from error
        if person == "single" and len(people) > 1:
            continue  # parts that belong to nobody
        layout, order = place_names(parts, layout, str(file))
        own = np.concatenate([values[:, index], np.full((len(values), 1, 3), np.nan)], axis=1)[:, order]
        for number, row in zip(frames, own, strict=True):
            if np.isfinite(row).all(-1).any():
                found.append(make_found(number, row, who, where=str(file)))
    return make_clip(file, layout, found, frames)


def _read_csv(file: Path) -> tuple[list[tuple[str, str, str]], list[int], NDArray[np.float64]]:
    """(person, part, coordinate) of each column, frame of each row, and (rows, columns) values."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MotionliftError(f"{file}: cannot be read ({error})", "Check the path") from error
    try:
        rows = [r for r in csv.reader(io.StringIO(text, newline="")) if r]
    except csv.Error as error:
        raise MotionliftError(f"{file}: not CSV ({error})", _REMEDY) from error
    head = {r[0]: r[1:] for r in rows[:4] if r[0] in LEVELS}
    if "bodyparts" not in head or "coords" not in head:
        raise MotionliftError(f"{file}: not a file of DeepLabCut: no rows 'bodyparts' and 'coords' on top", _REMEDY)
    body = rows[len(head) :]
    width = len(head["coords"])
    people = head.get("individuals", [""] * width)
    if not body or len(head["bodyparts"]) != width or len(people) != width:
        raise MotionliftError(f"{file}: cut short in its first rows", _REMEDY)
    for i, row in enumerate(body):
        if len(row) != width + 1:
            what = f"{file}: row {len(head) + i + 1} has {len(row)} cells, expected {width + 1}"
            raise MotionliftError(what, "It is cut short, or labels of training pictures; give the result of a video")
    frames = _frames(array([r[0] for r in body], ("T",), f"{file}, first column"), file)
    cells = [[c if c.strip() else "nan" for c in r[1:]] for r in body]
    try:
        values = np.array(cells, np.float64)
    except ValueError as error:
        raise MotionliftError(f"{file}: not a number ({error})", _REMEDY) from error
    return list(zip(people, head["bodyparts"], head["coords"], strict=True)), frames, values


def _frames(numbers: NDArray[np.float64], file: Path) -> list[int]:
    if (numbers != np.round(numbers)).any() or (np.diff(numbers) <= 0).any():
        raise MotionliftError(f"{file}: its first column is not the number of frames, rising", _REMEDY)
    return [int(n) for n in numbers]


def _read_h5(file: Path) -> tuple[list[tuple[str, str, str]], list[int], NDArray[np.float64]]:
    """As `_read_csv`, of a pandas table in HDF5."""
    try:
        h5py: Any = import_module("h5py")
    except ImportError as error:
        raise MotionliftError(
            f"{file}: reading H5 needs the package h5py, which is not installed",
            "pip install h5py; or have DeepLabCut write CSV (save_as_csv=True)",
        ) from error
    damaged = MotionliftError(f"{file}: not a table of DeepLabCut, or damaged", _REMEDY)
    try:
        with h5py.File(file, "r") as data:
            tables = [g["table"] for g in data.values() if isinstance(g, h5py.Group) and "table" in g]
            if len(tables) != 1:
                raise damaged
            table: Any = tables[0]
            columns = _plain_pickle(bytes(table.attrs["values_block_0_kind"]), file)
            rows: Any = table[:]
            numbers = np.asarray(rows["index"], np.float64)
            values = np.asarray(rows["values_block_0"], np.float64)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise damaged from error
    columns = sequence(columns, f"{file}, columns")
    if values.shape != (len(numbers), len(columns)) or not len(numbers):
        raise damaged
    named: list[tuple[str, str, str]] = []
    for column in columns:
        parts = sequence(column, f"{file}, columns")
        names = [c for c in parts if isinstance(c, str)]
        if len(parts) not in (3, 4) or len(names) != len(parts):
            raise damaged
        named.append((names[1] if len(names) == 4 else "", names[-2], names[-1]))
    return named, _frames(numbers, file), values


class _NoImports(pickle.Unpickler):
    """Pandas keeps a table's column names as a pickled list: this reads lists, tuples and strings, and no more.

    What a pickle can do beyond data it does through what it imports.
    """

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")

    def persistent_load(self, pid: object, /) -> NoReturn:
        raise pickle.UnpicklingError("it refers to something outside")


def _plain_pickle(data: bytes, file: Path) -> Any:
    try:
        return _NoImports(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        raise MotionliftError(f"{file}: its column names are not plain text ({error})", _REMEDY) from error
