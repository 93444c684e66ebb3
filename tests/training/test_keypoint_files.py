from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lifter.errors import MotionliftError
from lifter.skeleton import Skeleton, layout_keypoints
from lifter.take import save_take
from tests.lifter.test_take import make_take
from training.data.keypoint_files import KeypointSource, keypoint_items
from training.data.recording import Recording, checked


def recordings(folder: Path, skeleton: Skeleton, path: str, form: str, **options) -> list[Recording]:
    source = KeypointSource("keypoints", path, form, **options)  # type: ignore[arg-type]
    out = [r for item in keypoint_items(source, folder, skeleton) for r in item.read()]
    for r in out:
        checked(r, skeleton)
    assert len({r.name for r in out}) == len(out)
    return out


def walking(body: Skeleton, layout: str, frames: int, at: float = 300.0, score: float = 0.9) -> np.ndarray:
    """(T, K, 3) somebody who slides to the right, in pixels; keypoints that the body lacks are at the nose."""
    names = [n if n in body.joint_names else "nose" for n in layout_keypoints(layout)]
    rest = body.rest[[body.joint(n) for n in names]][:, [0, 2]] * [200, -200] + [at, 500]
    out = np.concatenate([np.tile(rest, (frames, 1, 1)), np.full((frames, len(names), 1), score)], -1)
    out[..., 0] += 2.0 * np.arange(frames)[:, None]
    return out


def results(people: list[np.ndarray], **more) -> list[dict]:
    return [
        {"image_id": t, "category_id": 1, "keypoints": p[t].ravel().tolist(), "score": 0.9}
        | {k: v[i] for k, v in more.items()}
        for i, p in enumerate(people)
        for t in range(len(p))
    ]


def test_results_of_a_detector_become_people_through_time(tmp_path: Path, body: Skeleton) -> None:
    people = [walking(body, "coco17", 40), walking(body, "coco17", 40, 900.0)]
    (tmp_path / "clip.json").write_text(json.dumps(results(people)))
    found = recordings(tmp_path, body, "clip.json", "coco", size=(1920, 1080), fps=25.0, licence="ours")
    assert [r.name for r in found] == ["keypoints/clip/0", "keypoints/clip/1"]
    starts = sorted(float(r.arrays["keypoints"][0, body.joint("l_wrist"), 0]) for r in found)
    wrist = layout_keypoints("coco17").index("l_wrist")
    assert np.allclose(starts, [p[0, wrist, 0] for p in people], atol=0.01)
    r = found[0]
    assert r.arrays["keypoints"].shape == (40, 33, 2) and (r.fps, r.licence) == (25.0, "ours")
    assert tuple(r.arrays["image_size"]) == (1920, 1080)
    pelvis = body.joint("pelvis")  # which COCO does not have
    assert np.isnan(r.arrays["keypoints"][:, pelvis]).all() and not r.arrays["scores"][:, pelvis].any()


@pytest.mark.parametrize("key", ["track_id", "idx"])
def test_people_that_the_file_tells_apart_are_not_followed(tmp_path: Path, body: Skeleton, key: str) -> None:
    people = [walking(body, "coco17", 6), walking(body, "coco17", 6)]  # one upon the other
    listed = [x for x in results(people, **{key: [7, 3]}) if not (x[key] == 3 and x["image_id"] == 2)]
    (tmp_path / "clip.json").write_text(json.dumps(listed))
    found = recordings(tmp_path, body, "clip.json", "coco")
    assert [len(r.arrays["scores"]) for r in found] == [6, 6]
    assert not found[0].arrays["scores"][2].any() and found[0].arrays["scores"][3].any()  # a gap is a gap
    assert "image_size" not in found[0].arrays


def test_annotated_stills(tmp_path: Path, body: Skeleton) -> None:
    people = walking(body, "coco17", 3)
    people[..., 2] = 2
    people[1, 5, 2], people[1, 6] = 1, 0
    annotations = [
        {"image_id": 100 - t, "keypoints": people[t].ravel().tolist(), "num_keypoints": 17} for t in range(3)
    ]
    annotations += [
        {"image_id": 100, "bbox": [0, 0, 1, 1]},
        {"image_id": 100, "keypoints": [0] * 51, "num_keypoints": 0},
    ]
    images = [{"id": 100 - t, "width": 640 + t, "height": 480} for t in range(3)]
    (tmp_path / "val.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    found = recordings(tmp_path, body, "val.json", "coco", stills=True)
    assert [tuple(r.arrays["image_size"]) for r in found] == [(640, 480), (641, 480), (642, 480)]
    left, right = body.joint("l_shoulder"), body.joint("r_shoulder")
    assert (found[1].arrays["scores"][0, left], found[1].arrays["scores"][0, right]) == (0.5, 0)
    assert found[0].arrays["scores"][0, left] == 1 and np.isnan(found[1].arrays["keypoints"][0, right]).all()


def test_openpose_folders(tmp_path: Path, body: Skeleton) -> None:
    for video, frames in {"a": 30, "b c": 20}.items():
        people = walking(body, "body25", frames)
        for t in range(frames):
            data = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": people[t].ravel().tolist()}]}
            if t == 5:
                data["people"] = []
            (tmp_path / f"{video}_{t:012d}_keypoints.json").write_text(json.dumps(data))
    found = recordings(tmp_path, body, ".", "openpose", name="op")
    assert [(r.name, len(r.arrays["scores"])) for r in found] == [("op/a/0", 30), ("op/b c/0", 20)]
    toe = body.joint("l_toe")
    expected = walking(body, "body25", 30)[:, layout_keypoints("body25").index("l_toe"), :2]
    seen = found[0].arrays["scores"][:, toe] > 0
    assert seen.sum() >= 29 and np.allclose(found[0].arrays["keypoints"][seen, toe], expected[seen], atol=0.5)


def test_our_own_takes(tmp_path: Path, body: Skeleton) -> None:
    take = make_take(body, 20)
    save_take(take, tmp_path / "demo.take.npz")
    found = recordings(tmp_path, body, ".", "take")
    assert [r.name for r in found] == ["keypoints/demo.take/0"] and found[0].fps == take.fps
    nose = layout_keypoints(take.layout).index("nose")
    assert np.allclose(found[0].arrays["keypoints"][:, body.joint("nose")], take.people[0].keypoints[:, nose])
    assert np.allclose(found[0].arrays["scores"][:, body.joint("nose")], take.people[0].scores[:, nose])


DAMAGE = {
    r"clip\.json, \[0\]: 1 keypoints a person, which is no layout": [{"image_id": 0, "keypoints": [1, 2, 3]}],
    r"clip\.json, \[1\], keypoints: shape \(3,\), expected \(51,\)": [
        {"image_id": 0, "keypoints": [0.5] * 51},
        {"image_id": 1, "keypoints": [1, 2, 3]},
    ],
    r"clip\.json, \[0\]: no key 'image_id'": [{"keypoints": [0.5] * 51}],
    r"clip\.json: no key 'images'": {"annotations": []},
    r"image_id: 'first' has no number": [{"image_id": "first", "keypoints": [0.5] * 51}],
    r"clip\.json: nobody in it": [],
    r"clip\.json, \[0\]: int '5', expected a dict": [5],
    r"keypoints: .*expected numbers": [{"image_id": 0, "keypoints": ["a"] * 51}],
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damage_is_named_by_file_key_and_shape(tmp_path: Path, body: Skeleton, message: str) -> None:
    (tmp_path / "clip.json").write_text(json.dumps(DAMAGE[message]))
    with pytest.raises(MotionliftError, match=message):
        recordings(tmp_path, body, "clip.json", "coco")


def test_files_that_are_not_there_or_not_such(tmp_path: Path, body: Skeleton) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.npz").write_text("{")
    for path, form, message in (
        ("none.json", "coco", "cannot be read"),
        ("bad.json", "coco", r"bad\.json: not JSON"),
        (".", "openpose", "no NAME_"),
        ("bad.npz", "take", "not a take"),
        ("none", "take", "none"),
    ):
        with pytest.raises(MotionliftError, match=message):
            recordings(tmp_path, body, path, form)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotionliftError, match=r"no \.json file"):
        recordings(tmp_path, body, "empty", "coco")


def test_a_layout_that_the_skeleton_shares_nothing_with(tmp_path: Path, body: Skeleton) -> None:
    other = Skeleton("cube", ("corner",), (-1,), body.rest[:1], (False,), 1.0, ())
    (tmp_path / "clip.json").write_text(json.dumps(results([walking(body, "coco17", 20)], track_id=[1])))
    with pytest.raises(MotionliftError, match="nothing of layout coco17 is a joint of skeleton cube"):
        recordings(tmp_path, other, "clip.json", "coco")
