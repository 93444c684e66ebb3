"""Files with a known focal length in their metadata, made here byte by byte; and files that lie or are cut short."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from lifter.lens_metadata import focal_from_metadata

SIZE = (640, 360)
EXPECTED = 28 * math.hypot(*SIZE) / math.hypot(36, 24)


def exif(order: str, focal: int) -> bytes:
    """A TIFF header, a folder with the pointer to the EXIF folder, and that with FocalLengthIn35mmFilm."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = struct.pack(order + "HHHII", 1, 0x8769, 4, 1, 26) + struct.pack(order + "I", 0)
    short = struct.pack(order + "H", focal) + b"\0\0"
    return head + first + struct.pack(order + "HHHI", 1, 0xA405, 3, 1) + short + struct.pack(order + "I", 0)


def jpeg(path: Path, focal: int, order: str = ">") -> Path:
    good, encoded = cv2.imencode(".jpg", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    assert good
    body = b"Exif\0\0" + exif(order, focal)
    data = encoded.tobytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    return path


def png(path: Path, focal: int) -> Path:
    _, encoded = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    data, body = encoded.tobytes(), exif("<", focal)
    path.write_bytes(data[:33] + struct.pack(">I", len(body)) + b"eXIf" + body + b"\0\0\0\0" + data[33:])
    return path


def box(kind: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">I", len(body) + 8) + kind + body


def movie(path: Path, kind: int, value: bytes, *, of_track: bool = False, version: bool = False) -> Path:
    names = (b"com.apple.quicktime.make", b"com.apple.quicktime.camera.focal_length.35mm_equivalent")
    keys = box(b"keys", struct.pack(">II", 0, 2), *(box(b"mdta", n) for n in names))
    items = [box(struct.pack(">I", 1), box(b"data", struct.pack(">II", 1, 0), b"Apple"))]
    items.append(box(struct.pack(">I", 2), box(b"data", struct.pack(">II", kind, 0), value)))
    handler = box(b"hdlr", b"\0" * 8 + b"mdta" + b"\0" * 13)
    meta = box(b"meta", b"\0\0\0\0" if version else b"", handler, keys, box(b"ilst", *items))
    inside = box(b"trak", meta) if of_track else meta
    path.write_bytes(box(b"ftyp", b"qt  ") + box(b"mdat", b"\0" * 50) + box(b"moov", box(b"mvhd", b"\0" * 8), inside))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_jpeg_and_tiff(tmp_path: Path, order: str) -> None:
    assert focal_from_metadata(jpeg(tmp_path / "a.jpg", 28, order), *SIZE) == pytest.approx(EXPECTED)
    (tmp_path / "a.tif").write_bytes(exif(order, 28))
    assert focal_from_metadata(tmp_path / "a.tif", *SIZE) == pytest.approx(EXPECTED)


def test_png(tmp_path: Path) -> None:
    assert focal_from_metadata(png(tmp_path / "a.png", 28), *SIZE) == pytest.approx(EXPECTED)


@pytest.mark.parametrize(
    ("kind", "value"), [(1, b"28"), (1, b"28.00mm"), (21, b"\x1c"), (22, b"\0\x1c"), (23, struct.pack(">f", 28.0))]
)
@pytest.mark.parametrize("of_track", [False, True])
def test_movies(tmp_path: Path, kind: int, value: bytes, of_track: bool) -> None:
    path = movie(tmp_path / "a.mov", kind, value, of_track=of_track, version=of_track)
    assert focal_from_metadata(path, *SIZE) == pytest.approx(EXPECTED)


def test_a_photographers_50_mm_sees_47_degrees_across_the_diagonal(tmp_path: Path) -> None:
    focal = focal_from_metadata(jpeg(tmp_path / "a.jpg", 50), 3000, 2000)
    assert focal is not None
    assert math.degrees(2 * math.atan(math.hypot(3000, 2000) / 2 / focal)) == pytest.approx(46.8, abs=0.1)


def test_what_says_nothing_or_nonsense_is_none(tmp_path: Path) -> None:
    assert focal_from_metadata(jpeg(tmp_path / "a.jpg", 0), *SIZE) is None  # EXIF's word for unknown
    assert focal_from_metadata(movie(tmp_path / "a.mov", 1, b"wide"), *SIZE) is None
    assert focal_from_metadata(movie(tmp_path / "b.mov", 21, b"\xff"), *SIZE) is None
    assert focal_from_metadata(tmp_path / "nowhere.mov", *SIZE) is None
    assert focal_from_metadata(Path(__file__).parents[2] / "lifter" / "demo" / "demo.mp4", *SIZE) is None


@pytest.mark.parametrize("name", ["jpg", "png", "mov"])
def test_any_damage_is_survived(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    whole = {"jpg": lambda: jpeg(path, 28), "png": lambda: png(path, 28), "mov": lambda: movie(path, 1, b"28")}
    data = whole[name]().read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(400):
        broken = bytearray(data[: rng.integers(0, min(len(data), 400) + 1)])
        for at in rng.integers(0, max(len(broken), 1), 3):
            if len(broken):
                broken[at] = rng.integers(0, 256)
        path.write_bytes(bytes(broken))
        found = focal_from_metadata(path, *SIZE)
        assert found is None or found > 0
