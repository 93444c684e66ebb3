from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from tests.training.bvh_files import bvh_text, wandering_turns
from training.data.bvh import bvh_files, bvh_kinematics, found_subject, parse_bvh, read_bvh, thinning

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
0 1 0 0 0 0 0 0 0
0 1 0 90 0 0 0 90 0
"""


def test_bvh_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(SMALL)
    bvh = read_bvh(tmp_path / "a.bvh")
    positions, rotations = bvh_kinematics(bvh)
    assert bvh.names == ("Hips", "Spine") and bvh.fps == pytest.approx(20)
    assert np.allclose(positions[0], [[0, 1, 0], [0, 11, 0]])
    # A quarter turn about Z brings +Y to -X; the spine then turns about the hips' own X, which points to +Y.
    assert np.allclose(positions[1], [[0, 1, 0], [-10, 1, 0]])
    assert np.allclose(rotations[1, 1] @ bvh.ends["Spine"], [0, 0, 5])
    assert np.allclose(bvh_kinematics(bvh, 2)[0], positions[::2])


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX"])
def test_any_hierarchy_and_order_of_rotations(order: str) -> None:
    rng = np.random.default_rng(0)
    parents = [-1, 0, 1, 1, 3, 0, 5, 0]
    names = [f"mixamorig:Joint {i}" for i in range(8)]
    offsets, turns, root = rng.normal(size=(8, 3)), wandering_turns(5, 8), rng.normal(size=(5, 3))
    offsets[0] = 0
    bvh = parse_bvh(bvh_text(names, parents, offsets, turns, root, {names[3]: (1, 2, 3)}, order=order).encode(), "x")
    positions, rotations = bvh_kinematics(bvh)
    back = [bvh.names.index(n) for n in names]
    assert np.allclose(rotations[:, back], turns, atol=1e-6)
    expected = np.zeros((5, 8, 3))
    for j, p in enumerate(parents):
        expected[:, j] = root if p < 0 else expected[:, p] + turns[:, p] @ offsets[j]
    assert np.allclose(positions[:, back], expected, atol=1e-6)
    assert bvh.ends[names[3]].tolist() == [1, 2, 3]


def test_a_position_channel_replaces_the_offset() -> None:
    text = SMALL.replace("CHANNELS 3 Z", "CHANNELS 4 Yposition Z").replace("0 0 0\n0 1", "7 0 0 0\n0 1") + "0\n"
    positions, _ = bvh_kinematics(parse_bvh(text.encode(), "x"))
    assert np.allclose(positions[0], [[0, 1, 0], [0, 8, 0]])


BAD = {
    "HIERARCHY is missing": "",
    "0 numbers, expected 2 frames of 9": SMALL.split("0 1 0 0")[0],
    r"MOTION: expected `Frames: N`": SMALL.split("Frame Time")[0],
    "Frame Time 0": SMALL.replace("0.05", "0"),
    "not finite": SMALL.replace("90", "nan"),
    "9 numbers, expected 2 frames of 9": SMALL.rsplit("0 1 0 90", 1)[0],
    "15 numbers": SMALL.replace("0 90 0\n", "\n"),
    r"line 4, 'OFFSET 0 0'.*three finite numbers": SMALL.replace("OFFSET 0 0 0", "OFFSET 0 0"),
    r"line 5.*expected channels of Xposition": SMALL.replace("Zrotation Xrotation Yrotation\n  J", "Zturn a b\n  J"),
    "two joints are named 'Hips'": SMALL.replace("Spine", "Hips"),
    "could not convert": SMALL.replace("90", "ninety"),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_named_with_what_was_expected(tmp_path: Path, message: str) -> None:
    (tmp_path / "a.bvh").write_text(BAD[message])
    with pytest.raises(MotionliftError, match=rf"a\.bvh: .*{message}"):
        read_bvh(tmp_path / "a.bvh")


def test_files_in_folders_and_archives(tmp_path: Path) -> None:
    folder = tmp_path / "studio"
    for name in ("b/2.bvh", "a.BVH", "b/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SMALL)
    expected = ["a.BVH", "b/2.bvh"]
    with tarfile.open(tmp_path / "s.tar.xz", "w:xz") as tar, zipfile.ZipFile(tmp_path / "s.zip", "w") as z:
        for name in [*expected, "b/notes.txt"]:
            tar.add(folder / name, name)
            z.write(folder / name, name)
    for path in (folder, tmp_path / "s.tar.xz", tmp_path / "s.zip"):
        assert [n for n, f in bvh_files(path) if parse_bvh(f.read(), n)] == expected
    assert [n for n, _ in bvh_files(folder / "a.BVH")] == ["a.BVH"]


def test_archives_write_nothing_whatever_their_paths(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with tarfile.open(inside / "s.tar", "w") as tar:
        info = tarfile.TarInfo("../../escaped.bvh")
        info.size = len(SMALL)
        tar.addfile(info, io.BytesIO(SMALL.encode()))
        link = tarfile.TarInfo("link.bvh")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert [n for n, _ in bvh_files(inside / "s.tar")] == ["../../escaped.bvh"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inside", "s.tar"]


def test_places_without_bvh(tmp_path: Path) -> None:
    (tmp_path / "damaged.tar.xz").write_bytes(b"no archive")
    (tmp_path / "damaged.zip").write_bytes(b"no archive")
    for path, message in {
        tmp_path / "none": "cannot be read",
        tmp_path / "damaged.tar.xz": "damaged",
        tmp_path / "damaged.zip": "damaged",
        tmp_path: r"no \.bvh file",
    }.items():
        with pytest.raises(MotionliftError, match=message):
            list(bvh_files(path))


def test_subjects_from_paths() -> None:
    assert found_subject("anna", "x/y.bvh") == "anna"
    assert found_subject(r"^(\w+)/", "bert/take 1.bvh") == "bert"
    for pattern in (r"(\d+)", "("):
        with pytest.raises(MotionliftError, match="subject = "):
            found_subject(pattern, "bert/take.bvh")


def test_rates_come_down_by_whole_fractions() -> None:
    assert [thinning(f, 60) for f in (30, 60, 59.94, 100, 120, 480)] == [1, 1, 1, 1, 2, 8]
