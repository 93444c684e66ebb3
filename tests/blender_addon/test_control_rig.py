"""Takes on rigs that Rigify generated: the controls are keyed, and the evaluated body has the take's pose."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.files import open_rig
from blender_addon.retarget.blender.apply import KeySettings, put_on_rig
from blender_addon.retarget.controls import wanted_matrices
from blender_addon.retarget.mapping import Mapping, save_mapping
from blender_addon.retarget.rig import Array, RigError
from blender_addon.retarget.rotations import about, angle_between, from_matrix, multiply, rotate, slerp, unit
from blender_addon.retarget.solve import RetargetSettings
from blender_addon.take_file import TakeFile

from .armatures import make_motion, performer, posed
from .make_take import body as skeleton
from .make_take import write_take
from .rigify import NAME, generate, open_generated
from .rigs import Built, build, vary
from .test_feet import demo
from .test_retarget import expected, from_joints, other_rest, random_turns

SEGMENTED = ("upper_arm", "thigh")
"""Deform bones of these parts begin with their carrier's twist and have their own only at the end, as Rigify means it:
their twist is looked for in the bones they are made from (ORG-), their direction in themselves."""

FREE = RetargetSettings(foot_lock=False, forearm_twist=0.0, fingers=False)


def _standing(built: Built) -> Built:
    """With its feet as high above the floor as those of the family."""
    rest = built.rig.rest.copy()
    feet = [built.rig.index(n) for n in ("foot.L", "toe.L", "foot.R", "toe.R")]
    rest[:, 2, 3] += build("rigify_metarig").rig.heads[feet, 2].min() - built.rig.heads[feet, 2].min()
    return replace(built, rig=replace(built.rig, rest=rest))


BUILT = _standing(vary(build("rigify_metarig"), 3, proportions=0.15))
SHAPED = frozenset(b for slot, bones in BUILT.truth.items() for b in bones)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rigify")


@pytest.fixture(scope="session")
def shaped(folder: Path) -> tuple[Path, Any, dict[int, Array]]:
    """A rig generated from a metarig with other proportions and a rest pose of known turns from the T-pose."""
    rest, turned = other_rest(BUILT, 5, np.radians(40))
    return generate(folder / "shaped.blend", shape=rest, shaped=SHAPED), rest, turned


@pytest.mark.parametrize("limbs", ["fk", "ik", "arms=fk,legs=ik"])
@pytest.mark.parametrize("via", ["rotations", "joints"])
def test_round_trip(shaped: tuple[Path, Any, dict[int, Array]], via: str, limbs: str) -> None:
    path, rest, turned = shaped
    armature = open_generated(path)
    joints = performer(BUILT.rig, BUILT.truth)
    turns, root = random_turns(11, shrug=0.0 if via == "joints" else 15.0)
    take = make_motion(joints, turns, root)
    if via == "joints":
        take = from_joints(take, joints)
    report = put_on_rig(take, armature, settings=replace(FREE, limbs=limbs))
    assert report.controls and report.mapping.found_by == "control rig Rigify"
    frames = [int(f) + 1 for f in take.people[0].frames]
    got, heads = posed(armature, frames)
    order = [b.name for b in armature.pose.bones]
    wanted = expected(BUILT, rest, turned, turns, np.array([1.0, 0, 0, 0]))
    off: dict[str, float] = {}
    for bone, q in wanted.items():
        if any(part in bone for part in SEGMENTED):
            off[f"ORG-{bone}"] = _apart(got[:, order.index(f"ORG-{bone}")], q)
            axis = rest.rest[rest.index(bone), :3, 1]
            for name in (f"DEF-{bone}", f"DEF-{bone}.001"):
                off[name] = _directions_apart(got[:, order.index(name)] @ axis, rotate(q, axis))
        else:
            off[f"DEF-{bone}"] = _apart(got[:, order.index(f"DEF-{bone}")], q)
    worst = max(off, key=lambda b: off[b])
    print(f"{via}, {limbs}: worst bone {worst} {off[worst]:.3f} degrees")
    middle = np.mean([heads[:, order.index(f"DEF-thigh.{s}")] for s in "LR"], 0)
    hips = take.people[0].joints_world[:, 0] + rotate(
        turns["pelvis"], (joints["l_hip"] + joints["r_hip"]) / 2 - joints["pelvis"]
    )
    stands = float(np.mean([rest.heads[rest.index(f"thigh.{s}")][2] for s in "LR"]))
    miss = np.abs(middle - hips * stands / ((joints["l_hip"] + joints["r_hip"])[2] / 2)).max()
    print(f"hips off by {1000 * miss:.3f} mm")
    assert off[worst] <= 1.0, {b: round(a, 2) for b, a in off.items() if a > 1}
    assert miss <= 0.002


def _apart(m: Array, q: Array) -> float:
    return float(np.degrees(angle_between(from_matrix(m), q)).max())


def _directions_apart(a: Array, b: Array) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))).max())


# Rigs as Rigify makes them


@pytest.fixture(scope="session")
def basic(folder: Path) -> Path:
    return generate(folder / "basic.blend")


@pytest.fixture(scope="session")
def stretched(folder: Path) -> Path:
    return generate(folder / "stretched.blend", stretch=True)


@pytest.fixture(scope="session")
def human(folder: Path) -> Path:
    """With fingers and a face."""
    return generate(folder / "human.blend", "human")


LIMBS = ("upper_arm", "forearm", "thigh", "shin")
STARTS = {"upper_arm": "shoulder", "forearm": "elbow", "thigh": "hip", "shin": "knee"}
ENDS = {"upper_arm": "elbow", "forearm": "wrist", "thigh": "knee", "shin": "ankle"}
BELOW = {"upper_arm": "forearm", "forearm": "hand", "thigh": "shin", "shin": "foot"}


@pytest.mark.parametrize("limbs", ["fk", "ik"])
@pytest.mark.parametrize("rig", ["basic", "stretched", "human"])
def test_evaluated_limbs_lie_as_the_performers(rig: str, limbs: str, request: pytest.FixtureRequest) -> None:
    """Directions of limbs are the joints' own; turns of all bones are those of the solved body; hips where they go."""
    armature = open_generated(request.getfixturevalue(rig))
    take = free_take(7)
    report = put_on_rig(take, armature, settings=replace(FREE, limbs=limbs))
    assert report.controls and not report.warnings
    frames = [int(f) + 1 for f in take.people[0].frames]
    got, heads = posed(armature, frames)
    order = [b.name for b in armature.pose.bones]
    joints = {n: take.people[0].joints_world[:, i].astype(float) for i, n in enumerate(take.joint_names)}
    off: dict[str, float] = {}
    for side in "lr":
        for part in LIMBS:
            a, b = (joints[f"{side}_{n[part]}"] for n in (STARTS, ENDS))
            first, second = (order.index(f"DEF-{n}.{side.upper()}") for n in (part, BELOW[part]))
            off[f"{side} {part}"] = _directions_apart(heads[:, second] - heads[:, first], b - a)
    body, wanted = report.rig, wanted_matrices(report.retargeted)
    turned: dict[str, float] = {}
    for i, bone in enumerate(body.names):
        turn = wanted[:, i, :3, :3] @ body.rest[i, :3, :3].T
        segmented = any(part in bone for part in SEGMENTED)
        name = bone if segmented or bone == "root" else bone.replace("ORG-", "DEF-")
        turned[name] = _apart(got[:, order.index(name)], from_matrix(turn))
    worst, most = max(off, key=lambda n: off[n]), max(turned, key=lambda n: turned[n])
    print(f"{rig}, {limbs}: direction of {worst} {off[worst]:.3f}, turn of {most} {turned[most]:.3f} degrees")
    assert off[worst] <= 1.0, {n: round(a, 2) for n, a in off.items() if a > 1}
    # IK bends a leg about the hinge that the metarig's slightly bent knees have, 1.3 degrees off the performer's.
    limit = 1.0 if limbs == "fk" else 1.5
    assert turned[most] <= limit, {n: round(a, 2) for n, a in turned.items() if a > 1}
    middle = np.mean([heads[:, order.index(f"DEF-thigh.{s}")] for s in "LR"], 0)
    hips = (joints["l_hip"] + joints["r_hip"]) / 2
    miss = np.abs(middle - hips * report.retargeted.scale).max()
    print(f"hips off by {1000 * miss:.3f} mm")
    assert miss <= 0.002 * report.retargeted.scale


def free_take(seed: int, frames: int = 12) -> TakeFile:
    """Somebody of the take's own proportions in random poses."""
    rest = {j["name"]: np.array(j["rest"], float) for j in skeleton()["joints"]}
    turns, root = random_turns(seed, frames, shrug=10.0)
    return make_motion(rest, turns, root)


# What is keyed and how


def walk(frames: int = 40, fps: float = 24.0) -> TakeFile:
    """A smooth motion that goes somewhere and turns around."""
    rest = {j["name"]: np.array(j["rest"], float) for j in skeleton()["joints"]}
    ends, _ = random_turns(5, 2)
    share = (1 - np.cos(np.linspace(0, np.pi, frames))) / 2
    spin = about(np.broadcast_to([0.0, 0, 1], (frames, 3)), 2 * share)
    turns = {b: multiply(spin, slerp(q[:1], q[1:], share)) for b, q in ends.items()}
    return make_motion(rest, turns, np.stack([2 * share, np.sin(3 * share), 0.9 + 0 * share], -1), fps)


def curves(action: Any) -> dict[str, list[Any]]:
    """F-curves by what follows the path of their bone: {'upper_arm_fk.L.rotation_quaternion': [w, x, y, z]}."""
    out: dict[str, list[Any]] = {}
    bags = [action] if bpy.app.version < (4, 4, 0) else list(action.layers[0].strips[0].channelbags)
    for curve in (c for bag in bags for c in bag.fcurves):
        out.setdefault(curve.data_path.replace('pose.bones["', "").replace('"]', "", 1), []).append(curve)
    return out


def in_the_scene(armature: Any, frames: tuple[float, ...] = (1, 17, 40)) -> Array:
    """(N, B, 4, 4) evaluated deform bones in the scene, their axes made unit."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
        out.append([np.array(armature.matrix_world @ b.matrix) for b in armature.pose.bones if b.bone.use_deform])
    whole = np.array(out)
    whole[..., :3, :3] /= np.linalg.norm(whole[..., :3, :3], axis=-2, keepdims=True)
    return whole


def test_switches_are_keyed_and_set_by_limb(basic: Path) -> None:
    armature = open_generated(basic)
    report = put_on_rig(walk(), armature, settings=replace(FREE, limbs="arms=fk,legs=ik"))
    keyed = curves(report.action)
    bones = armature.pose.bones
    for side in "LR":
        assert [k.co[1] for k in keyed[f'upper_arm_parent.{side}["IK_FK"]'][0].keyframe_points] == [1.0]
        assert [k.co[1] for k in keyed[f'thigh_parent.{side}["IK_FK"]'][0].keyframe_points] == [0.0]
        assert [k.co[1] for k in keyed[f'thigh_parent.{side}["pole_vector"]'][0].keyframe_points] == [1.0]
        assert bones[f"upper_arm_parent.{side}"]["IK_FK"] == 1 and bones[f"thigh_parent.{side}"]["IK_FK"] == 0
        assert bones[f"thigh_parent.{side}"]["pole_vector"]
        for control in ("upper_arm_fk", "forearm_fk", "hand_fk", "foot_ik"):
            assert len(keyed[f"{control}.{side}.rotation_quaternion"][0].keyframe_points) == 40
        assert len(keyed[f"thigh_ik_target.{side}.location"]) == 3
        assert not any(path.startswith((f"thigh_fk.{side}", f"hand_ik.{side}")) for path in keyed)
    assert len(keyed["shoulder.L.rotation_euler"]) == 3
    assert not any("ORG-" in path or "DEF-" in path for path in keyed)
    # What stays the same all the time has one key: the take's toes do not bend. What a take does not move has none.
    assert len(keyed["toe_ik.L.rotation_quaternion"][0].keyframe_points) == 1
    assert not any(path.startswith("root.") for path in keyed)


PLACE = np.array([[0, -2.0, 0, 3], [2, 0, 0, 4], [0, 0, 2, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("limbs", ["fk", "ik"])
def test_roots_show_the_same_motion(basic: Path, limbs: str) -> None:
    shown: dict[str, Array] = {}
    for root in ("hips", "bone", "object"):
        armature = open_generated(basic)
        armature.matrix_world = Matrix(PLACE.tolist())
        report = put_on_rig(walk(), armature, settings=replace(FREE, limbs=limbs, root=root))
        assert report.controls and not report.warnings
        shown[root] = in_the_scene(armature)
        carriers = {"hips": "torso.location", "bone": "root.location", "object": "location"}
        ranges = {
            path: max(np.ptp([k.co[1] for k in c.keyframe_points]) for c in of)
            for path, of in curves(report.action).items()
            if path in carriers.values()
        }
        assert {p for p, r in ranges.items() if r > 0.7} == {carriers[root]}
    assert np.ptp(shown["hips"][:, 0, 0, 3]) > 1
    for root in ("bone", "object"):
        assert np.abs(shown[root] - shown["hips"]).max() < 2e-3, root


def test_in_place(basic: Path) -> None:
    armature = open_generated(basic)
    put_on_rig(walk(), armature, settings=replace(FREE, root="in_place", limbs="ik"))
    names = [b.name for b in armature.pose.bones if b.bone.use_deform]
    hips = in_the_scene(armature)[..., :3, 3][:, [names.index(f"DEF-thigh.{s}") for s in "LR"]].mean(1)
    assert np.ptp(hips[:, :2], axis=0).max() < 1e-3


def test_mirrored_armature(basic: Path) -> None:
    """A negative scale: the picture is that of the plain rig with left and right bones exchanged."""
    armature = open_generated(basic)
    put_on_rig(walk(), armature, settings=FREE)
    wanted = in_the_scene(armature)[..., :3, 3]
    armature = open_generated(basic)
    armature.matrix_world = Matrix.Diagonal((-1, 1, 1, 1))
    report = put_on_rig(walk(), armature, settings=FREE)
    assert any("negative scale" in w for w in report.warnings)
    names = [b.name for b in armature.pose.bones if b.bone.use_deform]
    swap = [names.index(n[:-1] + {"L": "R", "R": "L"}[n[-1]] if n[-2:] in (".L", ".R") else n) for n in names]
    same = [i for i, n in enumerate(names) if not n.endswith("001")]
    assert np.abs(in_the_scene(armature)[:, swap][:, same][..., :3, 3] - wanted[:, same]).max() < 1e-3


def test_steps_and_fewer_keys(basic: Path) -> None:
    armature = open_generated(basic)
    every = tuple(range(1, 41))
    full = put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"))
    wanted = in_the_scene(armature, every)
    stepped = put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"), keys=KeySettings(step=13))
    assert [k.co[0] for k in curves(stepped.action)["foot_ik.L.location"][0].keyframe_points] == [1, 14, 27, 40]
    fewer = put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"), keys=KeySettings(reduce=(0.5, 2.0)))
    count = [sum(len(c.keyframe_points) for of in curves(r.action).values() for c in of) for r in (full, fewer)]
    assert count[1] < 0.5 * count[0]
    got = in_the_scene(armature, every)
    assert np.abs(got - wanted)[..., :3, 3].max() < 0.03


def test_nla_and_layer(basic: Path) -> None:
    armature = open_generated(basic)
    put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"))
    wanted = in_the_scene(armature)
    report = put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"), keys=KeySettings(layer=True))
    data = armature.animation_data
    assert [t.strips[0].action for t in data.nla_tracks] == [report.action] and data.action != report.action
    assert np.abs(in_the_scene(armature) - wanted).max() < 1e-4
    # And once more, with tracks below: they do not enter what is measured.
    put_on_rig(walk(), armature, settings=replace(FREE, limbs="fk"))
    assert np.abs(in_the_scene(armature)[:, 0] - wanted[:, 0]).max() < 1e-4


def pose_at_random(armature: Any, size: float) -> None:
    rng = np.random.default_rng(0)
    for bone in armature.pose.bones:
        if not bone.name.startswith(("MCH-", "ORG-", "DEF-", "VIS_")) and "breast" not in bone.name:
            bone.rotation_quaternion = unit(np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.3, 4)).tolist()
            bone.rotation_euler = rng.normal(0, 0.3, 3)
            bone.location, bone.scale = rng.normal(0, 0.1, 3), (size,) * 3
    armature.pose.bones["root"].scale = (1, 1, 1)
    bpy.context.view_layer.update()


@pytest.mark.parametrize("limbs", ["fk", "ik"])
@pytest.mark.parametrize("root", ["hips", "bone"])
def test_any_pose_before_gives_the_same(basic: Path, limbs: str, root: str) -> None:
    """Controls that were moved, turned or scaled by hand are keyed or put to rest; so are forgotten tweaks."""
    armature = open_generated(basic)
    settings = replace(FREE, limbs=limbs, root=root)
    put_on_rig(walk(), armature, settings=settings)
    wanted = in_the_scene(armature)
    armature = open_generated(basic)
    pose_at_random(armature, 1.1)
    report = put_on_rig(walk(), armature, settings=settings)
    assert not report.warnings
    assert np.abs(in_the_scene(armature) - wanted).max() < 2e-3


def test_a_scaled_root_is_told(basic: Path) -> None:
    armature = open_generated(basic)
    armature.pose.bones["root"].scale = (1.3, 1.3, 1.3)
    text = " ".join(put_on_rig(walk(), armature, settings=FREE).warnings)
    assert "pose scales root" in text and "do not bring" not in text


def test_nothing_of_the_measuring_is_left(basic: Path) -> None:
    armature = open_generated(basic)
    mine = bpy.data.actions.new("mine")
    armature.animation_data_create().action = mine
    scenes, scene, frame = len(bpy.data.scenes), bpy.context.scene, bpy.context.scene.frame_current
    report = put_on_rig(walk(), armature, settings=FREE)
    assert {a.name for a in bpy.data.actions} == {"mine", report.action.name}
    assert len(bpy.data.scenes) == scenes and bpy.context.scene == scene and scene.frame_current == frame
    assert armature.users_scene == (scene,)
    assert armature.animation_data.action == report.action


def test_library_override(basic: Path, tmp_path: Path) -> None:
    armature = open_generated(basic)
    put_on_rig(walk(), armature, settings=FREE)
    wanted = in_the_scene(armature)
    before = basic.read_bytes()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(basic), link=True) as (_, to):
        to.objects = [NAME]
    linked = bpy.data.objects[NAME]
    bpy.context.scene.collection.objects.link(linked)
    with pytest.raises(RigError, match="override"):
        put_on_rig(walk(), linked, settings=FREE)
    override = linked.override_create(remap_local_usages=True)
    report = put_on_rig(walk(), override, settings=FREE)
    assert report.controls
    assert np.abs(in_the_scene(override) - wanted).max() < 1e-4
    assert basic.read_bytes() == before
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    again = next(o for o in bpy.data.objects if o.override_library)
    assert np.abs(in_the_scene(again) - wanted).max() < 1e-4


@pytest.mark.parametrize("limbs", ["fk", "ik"])
def test_held_feet_are_where_they_are_locked(stretched: Path, limbs: str) -> None:
    """Longer legs and a real motion: what test_feet.py finds of locked feet holds for the evaluated ones."""
    armature = open_generated(stretched)
    bpy.context.scene.render.fps = 30
    report = put_on_rig(demo(), armature, settings=RetargetSettings(limbs=limbs))
    held, wanted = report.retargeted.contact, wanted_matrices(report.retargeted)
    assert held.sum() > 100
    off = []
    for frame in range(0, len(held), 3):
        bpy.context.scene.frame_set(1 + frame)
        for side, on in zip("LR", held[frame], strict=True):
            for part in ("foot", "toe"):
                place = np.array(armature.pose.bones[f"DEF-{part}.{side}"].head)
                off.append(np.linalg.norm(place - wanted[frame, report.rig.index(f"ORG-{part}.{side}"), :3, 3]) * on)
    print(f"{limbs}: held feet off by {1000 * max(off):.2f} mm")
    assert max(off) < 0.002


def test_straight_legs_do_not_flip(basic: Path) -> None:
    """A knee that straightens wholly and bends again, keyed as IK: no half frame turns more than the motion's 5.4°."""
    armature = open_generated(basic)
    rest = {j["name"]: np.array(j["rest"], float) for j in skeleton()["joints"]}
    frames = 61
    t = np.linspace(0, 2 * np.pi, frames)
    across = np.broadcast_to([1.0, 0, 0], (frames, 3))
    turns = {b["name"]: np.tile([1.0, 0, 0, 0], (frames, 1)) for b in skeleton()["bones"]}
    for side in "lr":
        turns[f"{side}_thigh"] = about(across, -0.6 * np.sin(t))
        turns[f"{side}_shin"] = multiply(turns[f"{side}_thigh"], about(across, 1.2 * np.sin(t) ** 2))
    take = make_motion(rest, turns, np.tile([0, 0, 0.95], (frames, 1)))
    put_on_rig(take, armature, settings=replace(FREE, limbs="ik"))
    names = [b.name for b in armature.pose.bones if b.bone.use_deform]
    shown = in_the_scene(armature, tuple(np.arange(1, 61, 0.5)))[..., :3, :3]
    for name in ("DEF-thigh.L", "DEF-shin.L", "DEF-thigh.R", "DEF-shin.R"):
        legs = from_matrix(shown[:, names.index(name)])
        assert np.degrees(angle_between(legs[1:], legs[:-1])).max() < 7, name


# Rigs that somebody has changed


def change_bones(armature: Any, change: Any) -> None:
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    change(armature.data.edit_bones)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_limb_without_ik_is_keyed_as_fk(basic: Path) -> None:
    armature = open_generated(basic)
    change_bones(armature, lambda bones: bones.remove(bones["foot_ik.L"]))
    report = put_on_rig(walk(), armature, settings=replace(FREE, limbs="ik"))
    told = [w for w in report.warnings if "left leg" in w]
    assert len(told) == 1 and "foot_ik.L" in told[0] and "keyed as FK" in told[0]
    keyed = curves(report.action)
    assert "shin_fk.L.rotation_quaternion" in keyed and "foot_ik.R.location" in keyed
    assert keyed['thigh_parent.L["IK_FK"]'][0].keyframe_points[0].co[1] == 1


def test_a_limb_without_fk_is_keyed_as_ik(basic: Path) -> None:
    armature = open_generated(basic)
    armature.data.bones["forearm_fk.R"].name = "my forearm"
    report = put_on_rig(walk(), armature, settings=FREE)
    told = [w for w in report.warnings if "right arm" in w]
    assert len(told) == 1 and "forearm_fk.R" in told[0] and "keyed as IK" in told[0]
    assert "hand_ik.R.location" in curves(report.action)


def test_a_limb_that_cannot_be_switched_is_left_out(basic: Path) -> None:
    armature = open_generated(basic)
    del armature.pose.bones["upper_arm_parent.L"]["IK_FK"]
    armature.data.bones["shoulder.R"].name = "collar"
    report = put_on_rig(walk(), armature, settings=FREE)
    text = " ".join(report.warnings)
    assert "upper_arm_parent.L" in text and "shoulder.R" in text and "left arm was found" in text
    keyed = curves(report.action)
    assert not any("arm_fk.L" in path for path in keyed) and "upper_arm_fk.R.rotation_quaternion" in keyed


def test_a_trunk_without_controls_is_an_error(basic: Path) -> None:
    armature = open_generated(basic)
    armature.data.bones["torso"].name = "body"
    with pytest.raises(RigError, match=r"no control called torso\. Give the controls their names back"):
        put_on_rig(walk(), armature)
    assert not bpy.data.actions
    # With a mapping of one's own it is a rig like others.
    report = put_on_rig(walk(), armature, mapping="rigify_deform", settings=FREE)
    assert not report.controls and any("Constraints act on" in w for w in report.warnings)


def test_what_the_rig_does_not_do_is_told(basic: Path) -> None:
    armature = open_generated(basic)
    for constraint in armature.pose.bones["ORG-thigh.L"].constraints:
        constraint.mute = True
    text = " ".join(put_on_rig(walk(), armature, settings=FREE).warnings)
    assert "do not bring ORG-shin.L" in text and "muted constraints" in text


def test_a_rig_in_rest_position_is_an_error(basic: Path) -> None:
    armature = open_generated(basic)
    armature.data.pose_position = "REST"
    with pytest.raises(RigError, match="rest position"):
        put_on_rig(walk(), armature)
    assert armature.animation_data is None or armature.animation_data.action is None


def test_mappings_of_a_control_rig(basic: Path, tmp_path: Path) -> None:
    """The mapping that is reported can be saved, edited and given again; a preset of the controls means the same."""
    armature = open_generated(basic)
    report = put_on_rig(walk(), armature, settings=FREE)
    wanted = in_the_scene(armature)
    save_mapping(report.mapping, tmp_path / "hero.toml")
    again = put_on_rig(walk(), armature, mapping=tmp_path / "hero.toml", settings=FREE)
    assert again.controls and again.mapping.found_by == "file"
    assert np.abs(in_the_scene(armature) - wanted).max() < 1e-4
    assert put_on_rig(walk(), armature, mapping="rigify_controls", settings=FREE).controls
    fewer = {s: b for s, b in report.mapping.bones.items() if s not in ("l_clavicle", "l_toe")}
    left_out = put_on_rig(walk(), armature, mapping=Mapping(fewer, {}, "file"), settings=FREE)
    assert left_out.controls and not any(p.startswith("shoulder.L") for p in curves(left_out.action))


@pytest.mark.parametrize("suffix", [".glb", ".fbx"])
def test_exports_hold_what_deforms(basic: Path, suffix: str, tmp_path: Path) -> None:
    """The bones that deform, with the motion that is seen; FBX also has those that these hang on."""
    write_take(tmp_path / "walk.take.npz", frames=10)
    armature = open_generated(basic)
    put_on_rig(tmp_path / "walk.take.npz", armature)
    deforming = {b.name for b in armature.data.bones if b.use_deform}
    bpy.context.scene.frame_set(8)
    wanted = np.array([armature.matrix_world @ armature.pose.bones[f"DEF-{b}"].head for b in EXPORTED])
    out = tmp_path / f"out{suffix}"
    # In a process of its own, as users have it: Blender 4.2's glTF export crashes after several files in one.
    words = ["animate", str(tmp_path / "walk.take.npz"), "--rig", str(basic), "-o", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "lifter.cli", *words], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    again = open_rig(str(out))
    names = {b.name for b in again.data.bones}
    assert deforming <= names and not any(n.endswith(("_fk.L", "_ik.L", "_ik_target.L")) for n in names)
    # FBX counts frames from 0, glTF from the clip's first second: look for the frame.
    off = []
    for frame in range(12):
        bpy.context.scene.frame_set(frame)
        got = np.array([again.matrix_world @ again.pose.bones[f"DEF-{b}"].head for b in EXPORTED])
        off.append(np.abs(got - wanted).max())
    assert min(off) < 2e-3, off


EXPORTED = ("hand.L", "foot.R", "spine.006")
