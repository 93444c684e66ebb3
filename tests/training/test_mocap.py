from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton
from lifter.solve import forward_kinematics
from training.data.bvh import bvh_kinematics, read_bvh
from training.data.mocap import load_map, read_motion

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


BAD = ("", "HIERARCHY\nMOTION\n", SMALL.replace("0.05", "0"), SMALL.split("Frame Time")[0], SMALL.replace("90", "nan"))


@pytest.mark.parametrize("text", BAD)
def test_bad_bvh(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.bvh").write_text(text)
    with pytest.raises(MotionliftError, match=r"a\.bvh"):
        read_bvh(tmp_path / "a.bvh")


def test_unknown_source() -> None:
    with pytest.raises(MotionliftError, match="cmu_mb"):
        load_map("nothing")


@pytest.mark.parametrize("source", ["accad", "cmu_mb", "cmu_daz", "cmu_c3s2s", "mhad"])
def test_real_recordings_stand_on_their_feet(shared: Path, tmp_path: Path, body: Skeleton, source: str) -> None:
    import json
    import tarfile

    folder = shared / "data" / "mocap"
    record = next(m for m in json.loads((folder / "manifest.json").read_text()) if m["source"] == source)
    with tarfile.open(folder / f"{source}.tar.xz") as archive:
        archive.extract(record["file"], tmp_path, filter="data")
    bvh = read_bvh(tmp_path / record["file"])
    motion = read_motion(bvh, load_map(source), record["unit_m"], body, "x", source, "x")
    rotations = quat_to_matrix(motion.rotations)
    joints = forward_kinematics(body, rotations, body.rest_offsets) + motion.root[:, None]
    assert np.isfinite(joints).all()
    assert 1.3 < np.median(np.ptp(joints[..., 2], axis=1)) < 1.9  # upright, Z up
    assert abs(np.percentile(joints[..., 2].min(1), 10)) < 0.05  # on the floor
    left = joints[:, body.joint("l_hip")] - joints[:, body.joint("r_hip")]
    ahead = np.cross(left, [0, 0, 1.0])
    toes = joints[:, body.joint("l_toe")] - joints[:, body.joint("l_heel")]
    assert np.median((ahead * toes).sum(-1)) > 0  # toes point ahead
