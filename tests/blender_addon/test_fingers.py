"""Fingers that a take knows move the rig's; others are curled as a hand at rest is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blender_addon.retarget.blender.apply import put_on_rig
from blender_addon.retarget.rotations import Array, about, angle_between, from_matrix, inverse, multiply
from blender_addon.retarget.slots import FINGERS
from blender_addon.retarget.solve import RetargetSettings

from .armatures import build_armature, make_motion, performer, posed, with_fingers
from .rigs import build
from .test_retarget import AXES, other_rest, placed, random_turns

Z = np.array([0.0, 0.0, 1.0])
FINGERED = ("mixamo", "ue5", "vrm1", "character_creator")


def fist(turns: dict[str, Array], skeleton: dict[str, list[dict[str, str]]], seed: int) -> dict[str, Array]:
    """Turns with every finger joint bent by its own amount, and spread."""
    rng = np.random.default_rng(seed)
    out = dict(turns)
    for bone in skeleton["bones"]:
        name = bone["name"]
        if name[2:].split("_")[0] in FINGERS and "_" in name[2:]:
            count = len(turns["pelvis"])
            axis = np.array([0.0, 1.0 if name[0] == "l" else -1.0, 0.1])
            bend = about(np.broadcast_to(axis / np.linalg.norm(axis), (count, 3)), rng.uniform(0, 1.2, count))
            out[name] = multiply(out[bone["parent"]], bend)
    return out


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", FINGERED)
def test_fingers_of_the_take(name: str, mirrored: bool) -> None:
    built = build(name)
    rest, turned = other_rest(built, 3, np.radians(30))
    rig = placed(rest, set(rest.names), 3, 1.0, AXES["Y up"])
    joints = performer(built.rig, built.truth)
    skeleton = with_fingers(built.rig, built.truth, joints)
    turns, root = random_turns(3)
    turns = fist(turns, skeleton, 3)
    take = make_motion(joints, turns, root, skeleton=skeleton)
    armature = build_armature(rig)
    put_on_rig(take, armature, settings=RetargetSettings(foot_lock=False, mirror=mirrored))
    got, _ = posed(armature, [1, 5, 12])
    order = [b.name for b in armature.pose.bones]
    axes = AXES["Y up"]
    worst = 0.0
    for side in "lr":
        for finger in FINGERS:
            for n, bone in enumerate(built.truth[f"{side}_{finger}"], 1):
                other = {"l": "r", "r": "l"}[side] if mirrored else side
                turn = turns[f"{other}_{finger}_{n}"][[0, 4, 11]]
                if mirrored:
                    turn = turn * [1, 1, -1, -1]
                turn = multiply(turn, inverse(turned[rest.index(bone)]))
                wanted = multiply(multiply(axes, turn), inverse(axes))
                off = angle_between(from_matrix(got[:, order.index(bone)]), wanted)
                worst = max(worst, float(np.degrees(off).max()))
    print(f"{name}: worst finger bone {worst:.3f} degrees")
    assert worst < 1.0


def test_a_finger_with_fewer_bones_follows_the_outer_joints_too() -> None:
    """Two bones a finger on the rig, three in the take: the last is turned as the take's second or third."""
    built = build("mixamo")
    joints = performer(built.rig, built.truth)
    skeleton = with_fingers(built.rig, built.truth, joints)
    turns, root = random_turns(0)
    turns = fist(turns, skeleton, 0)
    take = make_motion(joints, turns, root, skeleton=skeleton)
    armature = build_armature(built.rig)
    report = put_on_rig(take, armature, settings=RetargetSettings(foot_lock=False))
    cut = {s: b[:2] if s[2:] in FINGERS else b for s, b in report.mapping.bones.items()}
    fewer = put_on_rig(
        take, armature, mapping=replace(report.mapping, bones=cut), settings=RetargetSettings(foot_lock=False)
    )
    keyed = {k.bone for k in fewer.retargeted.bones if k.rotation is not None and len(k.rotation) > 1}
    assert built.truth["l_index"][1] in keyed
    assert built.truth["l_index"][2] not in keyed


@pytest.mark.parametrize("name", FINGERED)
def test_a_take_without_fingers_leaves_a_relaxed_hand(name: str) -> None:
    """From the knuckle to the tip, each finger bends towards the palm, the little one most; thumbs stay."""
    built = build(name)
    joints = performer(built.rig, built.truth)
    turns, root = random_turns(0)
    armature = build_armature(built.rig)
    put_on_rig(make_motion(joints, turns, root), armature, settings=RetargetSettings(foot_lock=False))
    got, _ = posed(armature, [1])
    order = [b.name for b in armature.pose.bones]

    def bend(side: str, finger: str) -> float:
        """Degrees that the outermost bone has turned against the hand."""
        hand = from_matrix(got[0, order.index(built.truth[f"{side}_hand"][0])])
        tip = from_matrix(got[0, order.index(built.truth[f"{side}_{finger}"][-1])])
        turn = multiply(inverse(hand), tip)
        sign = 1.0 if side == "l" else -1.0
        return float(np.degrees(2 * np.arctan2(turn[1:] @ np.array([0.0, sign, 0.0]), turn[0])))

    for side in "lr":
        bends = [bend(side, f) for f in ("index", "middle", "ring", "little")]
        assert all(30 < b < 90 for b in bends), bends
        assert bends == sorted(bends)
        assert abs(bend(side, "thumb")) < 1e-3
