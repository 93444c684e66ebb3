from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import load_skeleton
from tests.training.archives import _boxed, write_3dhp
from training.data.mpi_inf_3dhp import JOINTS, MpiInf3dhpSource, mpi_inf_3dhp_items
from training.data.recording import Recording, checked

H36M = load_skeleton("h36m")
# Joint i of Human3.6M is joint TO_3DHP[i] of the files, as published work has it.
TO_3DHP = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]


def recordings(folder: Path, **options) -> dict[str, Recording]:
    source = MpiInf3dhpSource("mpi_inf_3dhp", ".", **options)
    out = {}
    for item in mpi_inf_3dhp_items(source, folder, H36M):
        for r in item.read():
            checked(r, H36M)
            out[item.name] = r
    return out


def test_joints_cameras_units_and_valid_frames(tmp_path: Path) -> None:
    train, test = write_3dhp(tmp_path)
    found = recordings(tmp_path)
    assert list(found) == ["3dhp/S1 Seq1/0", "3dhp/S1 Seq1/8", "3dhp/S8 Seq2/4", "3dhp/TS1", "3dhp/TS5"]
    for name, views in {"3dhp/S1 Seq1/8": train["S1 Seq1"][0]["8"], "3dhp/TS5": test["TS5"]}.items():
        r = found[name]
        assert np.allclose(r.arrays["joints"], views["data_3d"][:, TO_3DHP] / 1000)
        assert np.array_equal(r.arrays["keypoints"], views["data_2d"][:, TO_3DHP])
    assert np.array_equal(found["3dhp/TS1"].arrays["valid"], test["TS1"]["valid"])
    assert "valid" not in found["3dhp/S1 Seq1/0"].arrays
    r = found["3dhp/S8 Seq2/4"]
    assert (r.subject, r.action, r.camera, r.fps, r.split) == ("S8", "Seq2", "4", 50.0, "train")
    sizes = {n: tuple(r.arrays["image_size"]) for n, r in found.items()}
    assert sizes["3dhp/TS5"] == (1920, 1080) and sizes["3dhp/TS1"] == sizes["3dhp/S1 Seq1/0"] == (2048, 2048)


def test_joint_names_are_those_of_the_files_order() -> None:
    assert [JOINTS.index(n) for n in H36M.joint_names] == TO_3DHP
    # The fourteen that PCK counts: all but pelvis, spine and head.
    assert JOINTS[14:] == ("pelvis", "h36m_spine", "h36m_nose")


def test_test_alone_needs_no_training_file(tmp_path: Path) -> None:
    write_3dhp(tmp_path)
    (tmp_path / "data_train_3dhp.npz").unlink()
    assert set(recordings(tmp_path, splits=("test",))) == {"3dhp/TS1", "3dhp/TS5"}


DAMAGE = {
    r"data_test_3dhp\.npz, data/TS1: no key 'valid'": lambda tr, te: te["TS1"].pop("valid"),
    r"data_test_3dhp\.npz, data/TS1/valid: 3 frames, expected the 30": lambda tr, te: te["TS1"].update(
        valid=np.ones(3)
    ),
    r"data_train_3dhp\.npz, data/S1 Seq1\[0\]/0/data_3d: shape \(30, 28, 3\), expected \(T, 17, 3\)": (
        lambda tr, te: tr["S1 Seq1"][0]["0"].update(data_3d=np.zeros((30, 28, 3)))
    ),
    r"data/S1 Seq1\[0\]/0/data_2d: 4 frames": lambda tr, te: tr["S1 Seq1"][0]["0"].update(data_2d=np.zeros((4, 17, 2))),
    r"data/S1 Seq1\[0\]: NoneType 'None', expected a dict": lambda tr, te: tr.update({"S1 Seq1": []}),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named_by_file_key_and_shape(tmp_path: Path, message: str) -> None:
    train, test = write_3dhp(tmp_path)
    DAMAGE[message](train, test)
    np.savez(tmp_path / "data_train_3dhp.npz", data=_boxed(train))
    np.savez(tmp_path / "data_test_3dhp.npz", data=_boxed(test))
    with pytest.raises(MotionliftError, match=message):
        recordings(tmp_path)
