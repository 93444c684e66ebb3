"""Fingers on rigs, from a take's hands: bends that were seen are the rig's, whatever its rest pose."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from blender_addon.animate import animate
from blender_addon.retarget.blender.apply import put_on_rig
from blender_addon.retarget.motion import read_motion
from blender_addon.retarget.rig import RigSpec
from blender_addon.retarget.rotations import Array, about, rotate
from blender_addon.retarget.slots import FINGERS
from blender_addon.retarget.solve import RetargetSettings
from blender_addon.take_file import TakeError, TakeFile, read_take
from lifter import hands as h
from lifter.skeleton import load_skeleton
from lifter.take import save_take
from tests.lifter.test_take import make_take

from .armatures import build_armature, posed
from .rigify import generate, open_generated
from .rigs import Built, build, from_points
from .test_put_on_rig import curves

BENT = {"index": 10, "middle": 35, "ring": 60, "little": 80}
"""Degrees of each joint."""


def write(path: Path, sides: tuple[int, ...] = (0, 1), frames: int = 4) -> TakeFile:
    """Somebody in T-pose with these bends."""
    skeleton = load_skeleton()
    angles = np.zeros((frames, 5, 4))
    for finger, degrees in BENT.items():
        angles[:, h.FINGERS.index(finger), 1:] = np.radians(degrees)
    seen = h.no_hands(frames)
    for side in sides:
        seen.score[:, side] = 0.9
    take = make_take(skeleton, frames)
    world = np.repeat(skeleton.rest[None], frames, 0).astype(np.float32)
    still = np.tile(np.array([1, 0, 0, 0], np.float32), (frames, len(skeleton.bones), 1))
    lifted = np.full((frames, 2, 5, 4), np.nan, np.float32)
    lifted[:, sides] = angles[:, None]
    unsolved = h.unsolved_hands(seen, lifted, np.full_like(lifted, 0.1))
    hands = h.solve_hands(unsolved, still, skeleton.rest_offsets, skeleton, 30.0, 0.0)
    person = replace(
        take.people[0],
        joints_world=world,
        rotations=still,
        offsets=skeleton.rest_offsets.astype(np.float32),
        hands=hands,
    )
    header = {**take.header, "hands": {"choice": "on", "joints": h.hand_joints(), "bones": h.hand_bones()}}
    save_take(replace(take, header=header, people=(person,)), path)
    return read_take(path)


def bends(armature: object, built: Built, side: str, finger: str) -> list[float]:
    """Degrees between one bone of a posed finger and the next, towards the palm."""
    turns, _ = posed(armature, [2])
    order = [b.name for b in armature.pose.bones]  # type: ignore[attr-defined]
    chain = built.truth[f"{side}_{finger}"]
    rig = built.rig
    along: list[Array] = []
    for bone in chain:
        way = rig.tails[rig.index(bone)] - rig.heads[rig.index(bone)]
        along.append(turns[0, order.index(bone)] @ (way / np.linalg.norm(way)))
    return [float(np.degrees(np.arccos(np.clip(a @ b, -1, 1)))) for a, b in pairwise(along)]


def curled(built: Built, degrees: float) -> Built:
    """The rig with every finger joint bent at rest."""
    rig: RigSpec = built.rig
    heads, tails = rig.heads.copy(), rig.tails.copy()
    for side in "lr":
        for finger in FINGERS[1:]:
            chain = [rig.index(b) for b in built.truth[f"{side}_{finger}"]]
            for k, first in enumerate(chain):
                turn = about(np.array([0.0, 1.0 if side == "l" else -1.0, 0.0]), np.radians(degrees))
                pivot = heads[first].copy()
                for bone in chain[k:]:
                    heads[bone] = pivot + rotate(turn, heads[bone] - pivot)
                    tails[bone] = pivot + rotate(turn, tails[bone] - pivot)
    return Built(
        from_points(list(rig.names), list(rig.parents), heads, tails, rig.name, np.zeros(len(rig.names))), built.truth
    )


@pytest.mark.parametrize("rest", [0.0, 20.0])
@pytest.mark.parametrize("name", ["mixamo", "ue5", "vrm1"])
def test_bends_of_the_take_are_those_of_the_rig(name: str, rest: float, tmp_path: Path) -> None:
    """Also of a rig whose fingers are curled at rest: they do not bend twice."""
    take = write(tmp_path / "a.take.npz")
    built = build(name)
    built = curled(built, rest) if rest else built
    armature = build_armature(built.rig)
    put_on_rig(take, armature, settings=RetargetSettings(foot_lock=False))
    for side in "lr":
        for finger, wanted in BENT.items():
            for got in bends(armature, built, side, finger):
                assert got == pytest.approx(wanted, abs=3.0), (side, finger)


@pytest.mark.parametrize("name", ["mixamo", "rigify"])
def test_fingers_left_alone_get_no_keys(name: str, tmp_path: Path) -> None:
    """They stay as they are posed, and nobody is told that they are not where the take has them."""
    take = write(tmp_path / "a.take.npz")
    if name == "rigify":
        armature = open_generated(generate(tmp_path / "human.blend", "human"))
        hand, finger = "hand_fk.L", [f"{f}.0{k}.L" for f in ("f_index", "f_pinky", "thumb") for k in (1, 2, 3)]
    else:
        built = build(name)
        armature = build_armature(built.rig)
        hand = built.truth["l_hand"][0]
        finger = [b for f in ("index", "little", "thumb") for b in built.truth[f"l_{f}"]]
    posed = (0.8, 0.6, 0.0, 0.0)
    for bone in finger:
        armature.pose.bones[bone].rotation_mode = "QUATERNION"
        armature.pose.bones[bone].rotation_quaternion = posed
    free = RetargetSettings(foot_lock=False)
    report = put_on_rig(take, armature, settings=replace(free, fingers=False))
    names = {c.data_path.split('"')[1] for c in curves(report.action)}
    assert hand in names and not names & set(finger) and not report.warnings, report.warnings
    for bone in finger:
        assert tuple(armature.pose.bones[bone].rotation_quaternion) == pytest.approx(posed)
    names = {c.data_path.split('"')[1] for c in curves(put_on_rig(take, armature, settings=free).action)}
    assert {hand, *finger} <= names


def test_a_hand_never_seen_is_the_rigs_own_relaxed_one(tmp_path: Path) -> None:
    take = write(tmp_path / "a.take.npz", sides=(0,))
    assert take.people[0].unseen_hands == "r"
    motion = read_motion(take, take.people[0])
    assert "l_index_2" in motion.turns and "r_index_2" not in motion.turns and "r_hand" in motion.turns
    armature = build_armature(build("mixamo").rig)
    report = put_on_rig(take, armature, settings=RetargetSettings(foot_lock=False))
    thumb = report.mapping.bones["r_thumb"][1]
    assert not any(k.bone == thumb and k.rotation is not None for k in report.retargeted.bones)


def test_the_performers_own_armature_has_fingers(tmp_path: Path) -> None:
    import bpy

    write(tmp_path / "a.take.npz")
    animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    armature = next(o for o in bpy.data.objects if o.type == "ARMATURE")
    bpy.context.scene.frame_set(2)
    bones = armature.pose.bones
    for finger, wanted in BENT.items():
        for a, b in ((1, 2), (2, 3)):
            one, two = (bones[f"l_{finger}_{k}"].vector.normalized() for k in (a, b))
            assert np.degrees(one.angle(two)) == pytest.approx(wanted, abs=0.5)
    assert bones["l_index_3"].parent.name == "l_index_2" and bones["l_index_1"].parent.name == "l_hand"
    world = read_take(tmp_path / "a.take.npz")
    tip = world.people[0].joints_world[1, world.joint_names.index("l_little_tip")]
    np.testing.assert_allclose(np.array(bones["l_little_3"].tail), tip, atol=1e-3)


def test_damaged_hands_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.take.npz")
    with np.load(tmp_path / "a.take.npz") as archive:
        arrays = {k: archive[k] for k in archive.files}
    arrays["people/0/hands/rotations"] = arrays["people/0/hands/rotations"][:, :7]
    np.savez(tmp_path / "b.take.npz", **arrays)
    with pytest.raises(TakeError, match="its hands"):
        read_take(tmp_path / "b.take.npz")
