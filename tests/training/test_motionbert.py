from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import load_skeleton
from tests.training.archives import write_motionbert
from training.data.motionbert import MotionBertSource, motionbert_items
from training.data.recording import Recording, checked

H36M = load_skeleton("h36m")


def recordings(path: Path) -> dict[str, Recording]:
    source = MotionBertSource("h36m_motionbert", path.name)
    out = {}
    for item in motionbert_items(source, path.parent, H36M):
        for r in item.read():
            checked(r, H36M)
            out[item.name] = r
    return out


def test_rows_become_the_videos_they_come_from(tmp_path: Path) -> None:
    data = write_motionbert(tmp_path / "a.pkl")
    found = recordings(tmp_path / "a.pkl")
    assert [len(r.arrays["keypoints"]) for r in found.values()] == [200, 100, 130, 120, 50]
    r, test = found["h36m_mb/test/s_09_act_02_subact_01_ca_03"], data["test"]
    rows = slice(130, 250)
    assert np.array_equal(r.arrays["keypoints"], test["joint_2d"][rows])
    assert np.allclose(r.arrays["scores"], test["confidence"][rows])
    assert np.array_equal(r.arrays["image_joints"], test["joint3d_image"][rows])
    assert np.array_equal(r.arrays["image_joints_mm"], test["joints_2.5d_image"][rows])
    assert np.allclose(r.arrays["image_joints"] * r.arrays["mm_per_px"][:, None, None], r.arrays["image_joints_mm"])
    assert (r.subject, r.action, r.camera, r.split, r.fps) == ("S9", "action 02", "58860488", "test", 50.0)
    train = found["h36m_mb/train/s_05_act_03_subact_02_ca_02"]
    assert (train.subject, train.action, train.split) == ("S5", "act_03", "train")
    assert set(train.arrays) == {"keypoints", "scores", "image_joints", "image_size"}
    assert np.allclose(train.arrays["scores"], data["train"]["confidence"][200:, :, 0])
    sizes = {r.camera: tuple(r.arrays["image_size"]) for r in found.values()}
    assert sizes == {
        "54138969": (1000, 1002),
        "55011271": (1000, 1000),
        "58860488": (1000, 1000),
        "60457274": (1000, 1002),
    }


def test_without_confidence_it_is_one(tmp_path: Path) -> None:
    write_motionbert(tmp_path / "a.pkl", confidence=False)
    assert all((r.arrays["scores"] == 1).all() for r in recordings(tmp_path / "a.pkl").values())


def test_a_video_that_comes_again_is_another_recording(tmp_path: Path) -> None:
    data = write_motionbert(tmp_path / "a.pkl")
    data["train"]["source"][150:200] = data["train"]["source"][250:]  # amid the first, rows of the second
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data))
    names = [n for n in recordings(tmp_path / "a.pkl") if "/train/" in n]
    assert len(names) == len(set(names)) == 2 + (len(data["train"]["source"]) > 300)


DAMAGE = {
    r"a\.pkl: no key 'test'": lambda d: d.pop("test"),
    r"a\.pkl, train: no key 'joint_2d'": lambda d: d["train"].pop("joint_2d"),
    r"train/joint3d_image: 5 rows, expected the 300 of source": lambda d: d["train"].update(
        joint3d_image=np.zeros((5, 17, 3))
    ),
    r"joint_2d, rows 0 to 200: shape \(200, 16, 2\), expected \(T, 17, 2 or more\)": lambda d: d["train"].update(
        joint_2d=np.zeros((300, 16, 2))
    ),
    r"camera_name, row 0: '1'; |camera_name, row 0: '1'": lambda d: d["train"].update(camera_name=["1"] * 300),
    r"test: no key 'joints_2\.5d_image'": lambda d: d["test"].pop("joints_2.5d_image"),
    r"train: a list of 2, expected a dict": lambda d: d.update(train=[1, 2]),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named_by_file_key_and_shape(tmp_path: Path, message: str) -> None:
    data = write_motionbert(tmp_path / "a.pkl")
    DAMAGE[message](data)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data))
    with pytest.raises(MotionliftError, match=message):
        recordings(tmp_path / "a.pkl")
