"""What a file says of the lens it was taken with: the focal length as for 35 mm film, where cameras write it.

Images have it in EXIF (CIPA DC-008, tag 0xA405, FocalLengthIn35mmFilm): JPEG, TIFF and PNG. Of videos, newer iPhones
have it in the metadata of the movie or of its tracks (the key com.apple.quicktime.camera.focal_length.35mm_equivalent).
Files come from outside: every offset is checked, and what cannot be read is as if it were not there.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path

FILM_DIAGONAL = math.hypot(36.0, 24.0)
"""Millimetres. A focal length for 35 mm film stands for an angle across the diagonal (CIPA DC-008)."""
MOST = 64 * 2**20
"""Bytes of metadata that are looked at."""
APPLE = b"com.apple.quicktime.camera.focal_length.35mm_equivalent"
POSSIBLE = 5.0, 2000.0
"""Millimetres."""


def focal_from_metadata(file: Path, width: int, height: int) -> float | None:
    """Focal length in pixels of a picture of that size; None where the file does not say. Never raises.

    A video that was cropped from the sensor, for stabilisation say, has a longer one than its file may tell.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(12)
            if start[4:8] in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip"):
                found = _of_movie(file)
            else:
                stream.seek(0)
                found = _of_image(stream.read(MOST))
    except (OSError, struct.error, ValueError, IndexError):
        return None
    if found is None or not POSSIBLE[0] <= found <= POSSIBLE[1]:
        return None
    return found * math.hypot(width, height) / FILM_DIAGONAL


# Images


def _of_image(data: bytes) -> float | None:
    if data[:2] == b"\xff\xd8":
        exif = next((b[6:] for kind, b in _jpeg_segments(data) if kind == 0xE1 and b[:6] == b"Exif\0\0"), None)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        exif = next((b for kind, b in _png_chunks(data) if kind == b"eXIf"), None)
    else:
        exif = data if data[:4] in (b"II*\0", b"MM\0*") else None
    return None if exif is None else _of_exif(exif)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _of_exif(tiff: bytes) -> float | None:
    order = {b"II": "<", b"MM": ">"}[tiff[:2]] if tiff[:2] in (b"II", b"MM") else None
    if order is None:
        return None
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    exif = _tag(tiff, order, first, 0x8769)
    found = None if exif is None else _tag(tiff, order, exif, 0xA405)
    return None if found is None else float(found)


def _tag(tiff: bytes, order: str, folder: int, wanted: int) -> int | None:
    """Value of an entry with one short or long whole number."""
    (count,) = struct.unpack_from(order + "H", tiff, folder)
    for i in range(count):
        tag, kind, _ = struct.unpack_from(order + "HHI", tiff, folder + 2 + 12 * i)
        if tag == wanted and kind in (3, 4):
            return int(struct.unpack_from(order + ("H" if kind == 3 else "I"), tiff, folder + 10 + 12 * i)[0])
    return None


# Movies: boxes in boxes (ISO/IEC 14496-12); "meta" as QuickTime has it, with keys by number.


def _of_movie(file: Path) -> float | None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        at = 0
        for _ in range(1000):
            if at + 8 > size:
                return None
            stream.seek(at)
            length, kind = struct.unpack(">I4s", stream.read(8))
            header = 8
            if length == 1:
                (length,) = struct.unpack(">Q", stream.read(8))
                header = 16
            length = length or size - at
            if length < header:
                return None
            if kind == b"moov":
                return _of_boxes(stream.read(min(length - header, MOST)), 0)
            at += length
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _of_boxes(data: bytes, depth: int) -> float | None:
    for kind, inside in _boxes(data):
        found = None
        if kind == b"meta":
            # QuickTime's begins with a box, MP4's with four bytes of version and flags.
            found = _of_meta(inside if inside[4:8] in (b"hdlr", b"keys") else inside[4:])
        elif kind in (b"trak", b"udta") and depth < 3:
            found = _of_boxes(inside, depth + 1)
        if found is not None:
            return found
    return None


def _of_meta(data: bytes) -> float | None:
    boxes = dict(_boxes(data))
    names = [name for _, name in _boxes(boxes.get(b"keys", b"")[8:])]
    for number, item in _boxes(boxes.get(b"ilst", b"")):
        index = int.from_bytes(number) - 1
        if 0 <= index < len(names) and names[index] == APPLE:
            return _value(dict(_boxes(item)).get(b"data", b""))
    return None


def _value(data: bytes) -> float | None:
    """A text such as 26 or 26.00mm, or a number; the first four bytes say which."""
    kind, value = int.from_bytes(data[:4]), data[8:]
    if kind == 1:
        text = re.match(rb"\s*(\d+(?:\.\d+)?)\s*(?:mm)?\s*$", value)
        return float(text[1]) if text else None
    if kind in (21, 65, 66, 67, 74):
        return float(int.from_bytes(value, signed=True))
    if kind in (22, 75, 76, 77, 78):
        return float(int.from_bytes(value))
    if kind in (23, 24):
        return float(struct.unpack(">f" if kind == 23 else ">d", value)[0])
    return None
