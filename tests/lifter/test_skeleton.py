from __future__ import annotations

import re

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import (
    Skeleton,
    keypoints_to_joints,
    layout_keypoints,
    load_layouts,
    load_skeleton,
    mirror_name,
    skeleton_from_dict,
)


def test_body_is_symmetric(body: Skeleton) -> None:
    assert np.allclose(body.rest[body.mirror] * [-1, 1, 1], body.rest)
    assert (body.mirror[body.mirror] == np.arange(len(body.joint_names))).all()


def test_body_stands_as_tall_as_it_says(body: Skeleton) -> None:
    assert np.ptp(body.rest[:, 2]) == pytest.approx(body.height, abs=0.03)


def test_every_joint_has_a_bone_that_moves_it(body: Skeleton) -> None:
    for j, parent in enumerate(body.parents):
        if parent >= 0:
            assert body.bones[body.bone_of_joint[j]].head == body.joint_names[parent]


def test_a_hinge_axis_is_mirrored_as_an_axis_of_rotation(body: Skeleton) -> None:
    bones = {b.name: b for b in body.bones}
    assert bones["l_upper_arm"].axis == (0, 0, -1)
    assert np.allclose(bones["r_upper_arm"].axis, (0, 0, 1))  # the right elbow bends the other way about Z
    assert np.allclose(bones["r_thigh"].axis, bones["l_thigh"].axis)  # both knees bend about the same X


def test_round_trip_through_plain_data(body: Skeleton) -> None:
    again = skeleton_from_dict(body.to_dict())
    assert again.joint_names == body.joint_names and again.bones == body.bones
    assert np.allclose(again.rest, body.rest)


@pytest.mark.parametrize(
    "change",
    [
        {"joints": [{"name": "a", "rest": [0, 0, 0]}, {"name": "a", "parent": "a", "rest": [0, 0, 1]}]},
        {"joints": [{"name": "a", "rest": [0, 0, 0]}, {"name": "b", "parent": "nobody", "rest": [0, 0, 1]}]},
        {"joints": [{"name": "a", "rest": [0, 0]}]},
        {"joints": [{"name": "a", "rest": [0, 0, float("nan")]}]},
        {"joints": [{"name": "a", "rest": [0, 0, 0]}], "bones": [{"name": "x", "head": "a", "tail": "b"}]},
        {},
    ],
)
def test_a_bad_skeleton_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MotionliftError):
        skeleton_from_dict({"name": "bad", **change})


def test_missing_skeleton_file() -> None:
    with pytest.raises(MotionliftError, match="No skeleton"):
        load_skeleton("nothing/here.toml")


@pytest.mark.parametrize("layout", sorted(load_layouts()))
def test_layouts_have_distinct_keypoints_and_mirror_images(layout: str) -> None:
    names = layout_keypoints(layout)
    assert len(set(names)) == len(names)
    assert all(mirror_name(n) in names for n in names)
    assert len(names) == int(re.findall(r"[0-9]+$", layout)[0])


def test_keypoints_are_sorted_by_name(body: Skeleton) -> None:
    names = layout_keypoints("coco17")
    xy = np.arange(2 * 17 * 2, dtype=np.float32).reshape(2, 17, 2)
    score = np.full((2, 17), 0.5, np.float32)
    score[0, names.index("l_knee")] = 0
    joints, scores = keypoints_to_joints(xy, score, "coco17", body)
    assert (joints[1, body.joint("l_knee")] == xy[1, names.index("l_knee")]).all()
    assert np.isnan(joints[0, body.joint("l_knee")]).all() and scores[0, body.joint("l_knee")] == 0
    assert np.isnan(joints[:, body.joint("l_heel")]).all()  # coco17 has no heels


def test_wrong_shapes_and_layouts_are_refused(body: Skeleton) -> None:
    with pytest.raises(MotionliftError, match="17 keypoints"):
        keypoints_to_joints(np.zeros((2, 16, 2)), np.zeros((2, 16)), "coco17", body)
    with pytest.raises(MotionliftError, match="Unknown keypoint layout"):
        layout_keypoints("coco18")
