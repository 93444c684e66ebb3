from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lifter
from lifter.camera import make_lens, project
from lifter.checkpoint import Checkpoint, load_checkpoint
from lifter.errors import MotionliftError
from lifter.lift import _joined, lift, lift_people
from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton, layout_keypoints, load_layouts, load_skeleton
from lifter.solve import check_solvable

LENS = make_lens(1280, 720, focal=1000)
UPRIGHT = quat_to_matrix(np.array([0.5**0.5, 0.5**0.5, 0, 0]))  # scene axes to a level camera's: Z up to Y down


@pytest.fixture(scope="module")
def network() -> Checkpoint:
    return load_checkpoint("body")


@pytest.fixture(scope="module")
def seen(moving: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(T, J, 2) pixels of somebody 4 m away."""
    return project(moving[2] @ UPRIGHT.T + [0.3, 0.1, 4.0], LENS.K)


def test_result_has_the_skeletons_shape_and_is_finite(network: Checkpoint, seen: np.ndarray) -> None:
    out = lift(seen, np.ones(seen.shape[:2]), LENS, 30, network)
    assert out.joints.shape == (*seen.shape[:2], 3) and out.sigma.shape == seen.shape[:2]
    assert all(np.isfinite(a).all() for a in (out.joints, out.sigma, out.contact, out.down))
    assert np.allclose(np.linalg.norm(out.down, axis=-1), 1, atol=1e-3)
    assert (out.sigma > 0).all() and ((out.contact >= 0) & (out.contact <= 1)).all()


def test_it_finds_roughly_who_was_filmed(network: Checkpoint, seen: np.ndarray, moving: tuple[np.ndarray, ...]) -> None:
    truth = moving[2] @ UPRIGHT.T
    error = np.linalg.norm(lift(seen, np.ones(seen.shape[:2]), LENS, 30, network).joints - truth, axis=-1).mean()
    assert error < 0.18  # an acrobat that no recording shows; a standing statue would be 0.45 off


def test_mirrored_footage_gives_mirrored_motion(network: Checkpoint, seen: np.ndarray) -> None:
    mirror = network.skeleton.mirror
    a = lift(seen, np.ones(seen.shape[:2]), LENS, 30, network).joints
    b = lift(seen[:, mirror] * [-1, 1] + [1280, 0], np.ones(seen.shape[:2]), LENS, 30, network).joints
    assert np.allclose(a[:, mirror] * [-1, 1, 1], b, atol=1e-4)


def test_whole_and_in_two_halves_agree_away_from_the_cut(network: Checkpoint, seen: np.ndarray) -> None:
    long = np.concatenate([seen, seen[::-1]] * 5)
    score, cut = np.ones(long.shape[:2]), len(long) // 2
    whole = lift(long, score, LENS, 30, network).joints
    half = lift(long[:cut], score[:cut], LENS, 30, network).joints
    off = np.abs(whole[:cut] - half).max((1, 2))[::-1]
    followed = 3 * 8  # frames on either side that the virtual camera looks at
    assert off[5 * 30 :].max() < 0.002
    assert off[network.reach + followed :].max() < 1e-5


def test_one_frame_and_missing_joints(network: Checkpoint, seen: np.ndarray) -> None:
    xy, score = seen[:1].copy(), np.ones((1, seen.shape[1]))
    xy[:, 5:20], score[:, 5:20] = np.nan, 0
    assert np.isfinite(lift(xy, score, LENS, 30, network).joints).all()
    assert np.isfinite(lift(xy, score, LENS, 120, network).joints).all()  # three of four phases have none


@pytest.mark.parametrize("fps", [10.0, 25.0, 60.0, 120.0])
def test_any_frame_rate(network: Checkpoint, seen: np.ndarray, fps: float) -> None:
    out = lift(seen, np.ones(seen.shape[:2]), LENS, fps, network)
    assert out.joints.shape[0] == len(seen) and np.isfinite(out.joints).all()
    assert np.allclose(np.linalg.norm(out.down, axis=-1), 1, atol=1e-3)
    assert (out.sigma > 0).all() and ((out.contact >= 0) & (out.contact <= 1)).all()


@pytest.mark.parametrize("fps", [60.0, 90.0, 120.0])
def test_fast_footage_shakes_less(network: Checkpoint, seen: np.ndarray, fps: float) -> None:
    """Somebody who stands, seen with jitter: from frame to frame joints move less than at 30 frames a second, and
    no more in the same time."""
    rng, step = np.random.default_rng(0), round(fps / 30)
    standing = [np.repeat(seen[[i]], 4 * 60, 0) for i in (0, 0, 0, -1, -1, -1)]
    shaken = [xy + rng.normal(0, 3, xy.shape) for xy in standing]

    def shake(at: float, apart: int) -> float:
        lifted = [lift(xy, np.ones(xy.shape[:2]), LENS, at, network).joints for xy in shaken]
        return float(np.mean([np.linalg.norm(j[apart:] - j[:-apart], axis=-1).mean() for j in lifted]))

    assert shake(fps, 1) < 0.6 * shake(30, 1)
    assert shake(fps, step) < shake(30, 1)


@pytest.mark.parametrize("phases", [1, 2, 3, 4])
def test_phases_are_joined_in_order_and_evened(phases: int) -> None:
    def joined(x: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
        return _joined([x[p::phases] for p in range(phases)], np.ones(len(x)) if seen is None else seen)

    even = np.linspace(0, 1, 23)[:, None] * np.array([1.0, -2.0]) + 3
    assert np.allclose(joined(even), even, atol=1e-6)
    off = (np.arange(23) % phases)[:, None]  # an error of each phase's own becomes its mean
    assert np.allclose(joined(even + off)[phases:-phases], even[phases:-phases] + (phases - 1) / 2, atol=1e-6)
    once = joined(np.eye(23)[:, [11]])[:, 0]
    assert once.sum() == pytest.approx(1) and np.flatnonzero(once).tolist() == list(
        range(11 - phases // 2, 12 + phases // 2)
    )
    step = joined(np.repeat([0.0, 1.0], [4, 5])[:, None])
    assert step.min() >= 0 and step.max() <= 1
    for few in range(phases, 5):
        assert np.allclose(joined(even[:few]), even[:few], atol=1e-6)
    wrong = np.where(off == 0, even, 1000.0)  # what nobody saw counts for nothing next to what was seen
    assert np.abs(joined(wrong, (off == 0)[:, 0] + 0.0)[::phases] - even[::phases])[1:-1].max() < 4.0


def test_a_joint_seen_now_and_then_in_fast_footage_is_lifted_as_in_slow(network: Checkpoint, seen: np.ndarray) -> None:
    """Every second frame at 60 frames a second: these frames come out as they do at 30."""
    fast = np.full((2 * len(seen), *seen.shape[1:]), np.nan)
    fast[::2] = seen
    score = np.isfinite(fast).all(-1).astype(float)
    now_and_then = lift(fast, score, LENS, 60, network)
    slow = lift(seen, np.ones(seen.shape[:2]), LENS, 30, network)
    assert np.abs(now_and_then.joints[::2] - slow.joints).mean() < 0.005
    assert np.allclose(now_and_then.sigma[::2], slow.sigma, rtol=0.05)


@pytest.mark.parametrize("layout", sorted(load_layouts()))
def test_any_layout_makes_a_take(seen: np.ndarray, body: Skeleton, layout: str) -> None:
    names = layout_keypoints(layout)
    xy = np.full((len(seen), len(names), 2), np.nan, np.float32)
    for k, n in enumerate(names):
        if n in body.joint_names:
            xy[:, k] = seen[:, body.joint(n)]
    score = np.isfinite(xy).all(-1).astype(np.float32)
    take = lifter.lift_keypoints(xy, score, layout=layout, fps=30, image_size=(1280, 720), focal=1000, height=1.80)
    person = take.people[0]
    assert np.isfinite(person.joints_world).all()
    assert np.allclose(np.linalg.norm(person.rotations, axis=-1), 1, atol=1e-4)
    # Joints in the camera and in the scene are one and the same.
    assert np.allclose(person.joints_world @ take.camera.R.T + take.camera.t, person.joints_camera, atol=1e-4)
    # The root lies where the person stood, but for what an unknown pose costs.
    assert np.median(np.abs(person.joints_camera[:, 0] - [0.3, 0.1, 4.0]), axis=0)[2] < 0.8


def test_solving_again_needs_no_video(seen: np.ndarray, body: Skeleton) -> None:
    names = layout_keypoints("coco17")
    xy = seen[:, [body.joint(n) if n in body.joint_names else 0 for n in names]]
    score = np.array([[n in body.joint_names for n in names]] * len(seen), float)
    take = lifter.lift_keypoints(xy, score, layout="coco17", fps=30, image_size=(1280, 720), focal=1000)
    same = lifter.solve(take, lifter.SolveSettings())
    assert np.allclose(same.people[0].joints_world, take.people[0].joints_world, atol=1e-5)
    taller = lifter.solve(take, lifter.SolveSettings(height=3.0))
    ratio = np.linalg.norm(np.diff(taller.people[0].joints_world[:, [0, 3]], axis=1)) / np.linalg.norm(
        np.diff(take.people[0].joints_world[:, [0, 3]], axis=1)
    )
    assert ratio == pytest.approx(3.0 / 1.7, rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        {"layout": "coco18"},
        {"fps": 0},
        {"score": np.zeros((4, 17))},
        {"xy": np.zeros((4, 16, 2))},
        {"height": 9},
        {"xy": np.zeros((0, 17, 2)), "score": np.zeros((0, 17))},
    ],
)
def test_bad_keypoints_are_refused(call: dict[str, object]) -> None:
    arguments = {
        "xy": np.zeros((4, 17, 2)),
        "score": np.ones((4, 17)),
        "layout": "coco17",
        "fps": 30,
        "image_size": (640, 480),
    } | call
    with pytest.raises(MotionliftError):
        lifter.lift_keypoints(arguments.pop("xy"), arguments.pop("score"), **arguments)  # type: ignore[arg-type]


def test_keypoints_of_single_frames_far_apart_are_refused(seen: np.ndarray, body: Skeleton) -> None:
    names = layout_keypoints("coco17")
    xy = np.full((len(seen), len(names), 2), np.nan)
    for k, name in enumerate(names):
        if name in body.joint_names:
            xy[::4, k] = seen[::4, body.joint(name)]
    with pytest.raises(MotionliftError, match="long enough"):
        lifter.lift_keypoints(
            xy, np.isfinite(xy).all(-1).astype(float), layout="coco17", fps=120, image_size=(1280, 720)
        )


def test_checkpoints_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MotionliftError, match="No checkpoint"):
        load_checkpoint("nobody")
    (tmp_path / "x.onnx").write_bytes(b"not a network")
    with pytest.raises(MotionliftError, match="damaged"):
        load_checkpoint(str(tmp_path / "x.onnx"))


def test_checkpoint_of_another_skeleton(tmp_path: Path) -> None:
    """A network for 33 joints that is labelled with a skeleton of 17; and a skeleton without bones."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(load_checkpoint("body").path))
    (entry,) = [p for p in model.metadata_props if p.key == "motionlift"]
    header = json.loads(entry.value)
    entry.value = json.dumps({**header, "skeleton": load_skeleton("h36m").to_dict()})
    onnx.save(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(MotionliftError, match=r"33 joints.*has 17"):
        load_checkpoint(str(tmp_path / "odd.onnx"))
    check_solvable(load_skeleton("body"))
    with pytest.raises(MotionliftError, match="no bones at"):
        check_solvable(load_skeleton("h36m"))


def test_people_share_a_batch_and_get_what_they_get_alone(network: Checkpoint, seen: np.ndarray) -> None:
    long = np.concatenate([seen, seen[::-1], seen])
    people = [(x, np.ones(x.shape[:2])) for x in (long, seen, long[:3], long[:77], seen[:1], seen + 20)]
    for fps in (30.0, 60.0, 120.0, 15.0):
        together = lift_people(people, LENS, fps, network)
        for (xy, score), found in zip(people, together, strict=True):
            alone = lift(xy, score, LENS, fps, network)
            assert np.allclose(found.joints, alone.joints, atol=1e-5) and len(found.joints) == len(xy)
            assert np.allclose(found.sigma, alone.sigma, atol=1e-5)


def test_pieces_of_a_long_clip_join_without_seams(
    network: Checkpoint, seen: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = np.concatenate([seen, seen[::-1], seen])
    whole = lift(long, np.ones(long.shape[:2]), LENS, 30, network)
    monkeypatch.setattr("lifter.lift.PIECE", 40)
    parts = lift(long, np.ones(long.shape[:2]), LENS, 30, network)
    assert np.allclose(whole.joints, parts.joints, atol=1e-4) and np.allclose(whole.contact, parts.contact, atol=1e-4)
