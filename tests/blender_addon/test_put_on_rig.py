"""What put_on_rig does to the file: roots, rates, modes, actions, NLA; what it leaves alone; bad rigs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.retarget.blender.apply import KeySettings, Report, put_on_rig
from blender_addon.retarget.blender.read_rig import read_rig
from blender_addon.retarget.mapping import Mapping
from blender_addon.retarget.rig import RigError, RigSpec
from blender_addon.retarget.rotations import about, angle_between, from_matrix, multiply
from blender_addon.retarget.solve import RetargetSettings
from blender_addon.take_file import TakeError, TakeFile

from .armatures import add_armature, build_armature, make_motion, performer, posed
from .make_take import write_take
from .rigs import Built, build, vary
from .test_feet import demo
from .test_retarget import random_turns

BUILT = build("ue4")
MAPPING = Mapping(BUILT.truth, {}, "file")
FREE = RetargetSettings(foot_lock=False)
Z = np.array([0.0, 0.0, 1.0])


def smooth_take(frames: int = 60, fps: float = 24.0) -> TakeFile:
    """Somebody who turns once around while walking along a curve."""
    joints = performer(BUILT.rig, BUILT.truth)
    turns, root = random_turns(3, 4)
    t = np.linspace(0, 1, frames)
    still = {b: np.repeat(q[:1], frames, 0) for b, q in turns.items()}
    spin = about(np.broadcast_to(Z, (frames, 3)), 2 * np.pi * t)
    root = np.stack([2 * t, np.sin(3 * t), 0.9 + 0.05 * np.cos(9 * t)], -1)
    return make_motion(joints, {b: multiply(spin, q) for b, q in still.items()}, root, fps)


def scene_pose(armature: Any, frames: list[int]) -> np.ndarray:
    """(N, B, 4, 4) evaluated bones in the scene."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        out.append([np.array(armature.matrix_world @ b.matrix) for b in armature.pose.bones])
    return np.array(out)


def curves(action: Any) -> list[Any]:
    if bpy.app.version < (4, 4, 0):
        return list(action.fcurves)
    return [c for layer in action.layers for strip in layer.strips for bag in strip.channelbags for c in bag.fcurves]


@pytest.fixture(params=["hips", "bone", "object"])
def carried(request: pytest.FixtureRequest) -> tuple[Any, Report, str]:
    rig = replace(BUILT.rig, world=_place())
    armature = build_armature(rig)
    settings = replace(FREE, root=request.param)
    return armature, put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=settings), request.param


def test_roots_show_the_same_motion(carried: tuple[Any, Report, str]) -> None:
    armature, _, _ = carried
    moved = scene_pose(armature, [1, 20, 60])
    other = build_armature(replace(BUILT.rig, world=_place()))
    put_on_rig(smooth_take(), other, mapping=MAPPING, settings=FREE)
    wanted = scene_pose(other, [1, 20, 60])
    body = [i for i, b in enumerate(other.pose.bones) if "pelvis" in {b.name, *(p.name for p in b.parent_recursive)}]
    assert np.abs(moved - wanted)[:, body].max() < 2e-4


def _place() -> np.ndarray:
    return np.array([[0, -2.0, 0, 3], [2, 0, 0, 4], [0, 0, 2, 0], [0, 0, 0, 1.0]])


def test_who_carries_the_path(carried: tuple[Any, Report, str]) -> None:
    _, report, root = carried
    paths = {(c.data_path, c.array_index): c for c in curves(report.action)}
    moving = {p for p, i in paths if p.endswith("location") and _range(paths, p) > 0.5}
    carrier = {"hips": 'pose.bones["pelvis"].location', "bone": 'pose.bones["root"].location', "object": "location"}
    assert moving == {carrier[root]}


def _range(paths: dict[tuple[str, int], Any], path: str) -> float:
    return max(np.ptp([k.co[1] for k in c.keyframe_points]) for (p, _), c in paths.items() if p == path)


def test_in_place_keeps_the_height() -> None:
    armature = build_armature(BUILT.rig)
    put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=FREE)
    walked = posed(armature, list(range(1, 61)))[1]
    put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=replace(FREE, root="in_place"))
    _, heads = posed(armature, list(range(1, 61)))
    hips = [[b.name for b in armature.pose.bones].index(f"thigh_{s}") for s in "lr"]
    middle = heads[:, hips].mean(1)
    assert np.ptp(middle[:, :2], axis=0).max() < 1e-4
    assert np.allclose(middle[:, 2], walked[:, hips].mean(1)[:, 2], atol=1e-4)


def test_no_root_bone_is_told() -> None:
    armature = build_armature(build("mixamo").rig)
    with pytest.raises(RigError, match="no root bone"):
        put_on_rig(
            smooth_take(),
            armature,
            mapping=Mapping(build("mixamo").truth, {}, "file"),
            settings=replace(FREE, root="bone"),
        )
    assert armature.animation_data is None


def test_mirrored_armature_shows_the_performance_unmirrored() -> None:
    plain = build_armature(BUILT.rig)
    put_on_rig(smooth_take(), plain, mapping=MAPPING, settings=FREE)
    wanted = scene_pose(plain, [1, 30])
    names = [b.name for b in plain.pose.bones]
    mirrored = build_armature(replace(BUILT.rig, world=np.diag([-1.0, 1, 1, 1])))
    report = put_on_rig(smooth_take(), mirrored, mapping=MAPPING, settings=FREE)
    assert any("negative scale" in w for w in report.warnings)
    got = scene_pose(mirrored, [1, 30])
    swap = [names.index(n[:-1] + {"l": "r", "r": "l"}[n[-1]] if n.endswith(("_l", "_r")) else n) for n in names]
    assert np.abs(got[:, swap][..., :3, 3] - wanted[..., :3, 3]).max() < 1e-3


def test_scene_of_another_rate() -> None:
    """Keys lie on whole frames, at the right time."""
    armature = build_armature(BUILT.rig)
    bpy.context.scene.render.fps = 60
    report = put_on_rig(smooth_take(60, 24.0), armature, mapping=MAPPING, settings=FREE)
    times = np.array([k.co[0] for k in curves(report.action)[0].keyframe_points])
    assert np.array_equal(times, np.arange(1, 1 + len(times)))
    assert len(times) == 1 + int(59 * 60 / 24)
    at_half = posed(armature, [1 + 25])[1]
    bpy.context.scene.render.fps = 24
    put_on_rig(smooth_take(60, 24.0), armature, mapping=MAPPING, settings=FREE)
    assert np.abs(at_half - posed(armature, [1 + 10])[1]).max() < 1e-4


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "ZYX", "AXIS_ANGLE"])
def test_no_flips(mode: str) -> None:
    """A whole turn of the body: every channel moves on without a jump, and between frames the pose does too."""
    rig = replace(BUILT.rig, rotation_modes=(mode,) * len(BUILT.rig.names))
    armature = build_armature(rig)
    report = put_on_rig(smooth_take(120), armature, mapping=MAPPING, settings=FREE)
    for curve in curves(report.action):
        values = np.array([k.co[1] for k in curve.keyframe_points])
        assert np.abs(np.diff(values)).max(initial=0) < 0.3, curve.data_path
    halves = []
    for half in range(120 * 2 - 1):
        bpy.context.scene.frame_set(1 + half // 2, subframe=0.5 * (half % 2))
        halves.append(np.array(armature.pose.bones["hand_l"].matrix)[:3, :3])
    steps = angle_between(from_matrix(np.array(halves[1:])), from_matrix(np.array(halves[:-1])))
    assert np.degrees(steps).max() < 3


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "AXIS_ANGLE"])
def test_reduced_keys_stay_within_the_tolerance(mode: str) -> None:
    rig = replace(BUILT.rig, rotation_modes=(mode,) * len(BUILT.rig.names))
    armature = build_armature(rig)
    bpy.context.scene.render.fps = 30
    frames = list(range(1, 241))
    full = put_on_rig(demo(), armature, mapping=MAPPING)
    before, heads = _local(armature, frames)
    many = sum(len(c.keyframe_points) for c in curves(full.action))
    fewer = put_on_rig(demo(), armature, mapping=MAPPING, keys=KeySettings(reduce=(1.0, 5.0)))
    after, moved = _local(armature, frames)
    few = sum(len(c.keyframe_points) for c in curves(fewer.action))
    off = np.degrees(angle_between(from_matrix(before), from_matrix(after)))
    print(f"{mode}: {many} -> {few} keys, off by {off.max():.2f} degrees, {1000 * np.abs(heads - moved).max():.1f} mm")
    assert few < 0.6 * many
    assert off.max() < 1.05
    assert np.linalg.norm(heads - moved, axis=-1).max() < 0.0055


def _local(armature: Any, frames: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Evaluated channels: (N, B, 3, 3) rotations and (N, 3) location of the pelvis."""
    rotations, locations = [], []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        rotations.append([np.array(b.matrix_basis)[:3, :3] for b in armature.pose.bones])
        locations.append(np.array(armature.pose.bones["pelvis"].location))
    return np.array(rotations), np.array(locations)


def test_key_step_keeps_the_ends() -> None:
    armature = build_armature(BUILT.rig)
    report = put_on_rig(smooth_take(60), armature, mapping=MAPPING, settings=FREE, keys=KeySettings(step=8))
    times = [k.co[0] for k in next(c for c in curves(report.action) if "pelvis" in c.data_path).keyframe_points]
    assert times == [1, 9, 17, 25, 33, 41, 49, 57, 60]


def test_gaps_are_held(tmp_path: Path) -> None:
    write_take(tmp_path / "gap.take.npz", frames=30, gap=slice(10, 20))
    armature = build_armature(BUILT.rig)
    report = put_on_rig(tmp_path / "gap.take.npz", armature, mapping=MAPPING)
    curve = next(c for c in curves(report.action) if "pelvis" in c.data_path)
    times = {int(k.co[0]): k.interpolation for k in curve.keyframe_points}
    assert set(times) == {*range(1, 11), *range(21, 31)}
    assert [f for f, kind in times.items() if kind == "CONSTANT"] == [10]


def test_a_new_action_each_time_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    armature = build_armature(BUILT.rig)
    mine = bpy.data.actions.new("my animation")
    armature.animation_data_create().action = mine
    one = put_on_rig(smooth_take(), armature, mapping=MAPPING)
    two = put_on_rig(smooth_take(), armature, mapping=MAPPING)
    assert one.action.name == "a take" and two.action.name == "a take.001"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    assert {"my animation", "a take", "a take.001"} <= {a.name for a in bpy.data.actions}


def test_nla_and_a_layer_for_edits() -> None:
    armature = build_armature(BUILT.rig)
    put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=FREE)
    wanted = posed(armature, [1, 20, 60])[0]
    report = put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=FREE, keys=KeySettings(layer=True))
    data = armature.animation_data
    assert [t.strips[0].action for t in data.nla_tracks] == [report.action]
    assert data.action is not None and data.action != report.action
    assert data.action_blend_type == "COMBINE"
    assert np.abs(posed(armature, [1, 20, 60])[0] - wanted).max() < 1e-5
    # A pose keyed on the layer is reached, and the take's motion goes on below it.
    head = armature.pose.bones["head"]
    bpy.context.scene.frame_set(20)
    asked = multiply(np.array(head.rotation_quaternion), np.array([np.cos(0.2), 0, np.sin(0.2), 0]))
    head.rotation_quaternion = asked
    head.keyframe_insert("rotation_quaternion", frame=20)
    bpy.context.scene.frame_set(20)
    assert np.degrees(angle_between(np.array(head.rotation_quaternion), asked)) < 0.1
    at = [b.name for b in armature.pose.bones].index("head")
    moved = posed(armature, [1, 60])[0][:, at]
    by = np.degrees(angle_between(from_matrix(moved), from_matrix(wanted[[0, 2], at])))
    assert np.abs(by - np.degrees(0.4)).max() < 0.1


def test_the_rig_is_not_edited() -> None:
    rig = replace(BUILT.rig, rotation_modes=("YXZ",) * len(BUILT.rig.names))
    armature = build_armature(rig)
    before = read_rig(armature)
    put_on_rig(smooth_take(), armature, mapping=MAPPING)
    after = read_rig(armature)
    for name in ("names", "parents", "rest", "lengths", "world", "rotation_modes", "inherit_rotation"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name


def library(tmp_path: Path) -> Path:
    armature = build_armature(BUILT.rig)
    collection = bpy.data.collections.new("hero")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(armature)
    path = tmp_path / "library.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(path), link=True) as (_, to):
        to.objects = [armature_name(path)]
    return path


def armature_name(path: Path) -> str:
    return BUILT.rig.name


def test_linked_rig_is_refused_and_an_override_works(tmp_path: Path) -> None:
    path = library(tmp_path)
    linked = bpy.data.objects[BUILT.rig.name]
    bpy.context.scene.collection.objects.link(linked)
    bytes_before = path.read_bytes()
    with pytest.raises(RigError, match="override"):
        put_on_rig(smooth_take(), linked, mapping=MAPPING)
    override = linked.override_create(remap_local_usages=True)
    assert override.override_library is not None
    put_on_rig(smooth_take(), override, mapping=MAPPING, settings=FREE)
    got = posed(override, [1, 30])[0]
    plain = build_armature(BUILT.rig)
    put_on_rig(smooth_take(), plain, mapping=MAPPING, settings=FREE)
    assert np.abs(got - posed(plain, [1, 30])[0]).max() < 1e-5
    assert path.read_bytes() == bytes_before


# Bad rigs: one clear sentence each.


def warnings_of(rig: RigSpec, change: Any = None, mapping: Mapping = MAPPING) -> str:
    armature = build_armature(rig)
    if change:
        change(armature)
    return " ".join(put_on_rig(smooth_take(), armature, mapping=mapping).warnings)


def test_no_armature() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh = bpy.data.objects.new("cube", bpy.data.meshes.new("cube"))
    with pytest.raises(RigError, match="no armature"):
        put_on_rig(smooth_take(), mesh)
    with pytest.raises(RigError, match="No object"):
        put_on_rig(smooth_take(), None)
    empty = bpy.data.objects.new("empty", bpy.data.armatures.new("empty"))
    with pytest.raises(RigError, match="no bones"):
        put_on_rig(smooth_take(), empty)


def test_no_such_person() -> None:
    armature = build_armature(BUILT.rig)
    with pytest.raises(TakeError, match="no person 3"):
        put_on_rig(smooth_take(), armature, mapping=MAPPING, person=2)


def test_no_bones_in_common(tmp_path: Path) -> None:
    """A preset or a mapping file of another rig: nothing is keyed."""
    armature = build_armature(BUILT.rig)
    file = tmp_path / "hero.toml"
    file.write_text('[bones]\npelvis = "mixamorig:Hips"\nhead = "mixamorig:Head"\n', encoding="utf-8")
    for mapping in ("mixamo", file, str(file)):
        with pytest.raises(RigError, match="no bones in common"):
            put_on_rig(smooth_take(), armature, mapping=mapping)
    assert armature.animation_data is None
    assert not bpy.data.actions


def test_constraints_cycles_drivers_and_locks_are_told() -> None:
    def fight(armature: Any) -> None:
        c = armature.pose.bones["lowerarm_l"].constraints.new("COPY_ROTATION")
        c.target, c.subtarget = armature, "hand_l"

    text = warnings_of(BUILT.rig, fight)
    assert "Constraints act on lowerarm_l" in text and "in a circle" in text

    def drive(armature: Any) -> None:
        armature.pose.bones["head"].driver_add("rotation_quaternion", 0)

    assert "Drivers set head" in warnings_of(BUILT.rig, drive)

    def lock(armature: Any) -> None:
        armature.pose.bones["calf_l"].lock_rotation = (False, True, True)

    assert "locked on calf_l" in warnings_of(BUILT.rig, lock)


def test_scales_are_told() -> None:
    assert "scaled unevenly" in warnings_of(replace(BUILT.rig, world=np.diag([1.0, 2, 1, 1])))

    def scale(armature: Any) -> None:
        armature.pose.bones["spine_01"].scale = (1.2, 1.2, 1.2)

    assert "pose scales spine_01" in warnings_of(BUILT.rig, scale)


def test_no_legs() -> None:
    truth = {s: b for s, b in BUILT.truth.items() if not s.endswith(("thigh", "shin", "foot", "toe", "twist"))}
    text = warnings_of(BUILT.rig, mapping=Mapping(truth, {}, "file"))
    assert "no mapped legs" in text


def test_short_bones_do_not_crash() -> None:
    lengths = BUILT.rig.lengths.copy()
    lengths[BUILT.rig.index("hand_l")] = 2e-5
    assert "next to no length" in warnings_of(replace(BUILT.rig, lengths=lengths))


def test_connected_hips_are_carried_by_their_parent() -> None:
    armature = build_armature(BUILT.rig)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    bones["root"].tail = bones["pelvis"].head
    bones["pelvis"].use_connect = True
    bpy.ops.object.mode_set(mode="OBJECT")
    put_on_rig(smooth_take(), armature, mapping=MAPPING, settings=FREE)
    heads = posed(armature, [1, 60])[1]
    free = build_armature(BUILT.rig)
    put_on_rig(smooth_take(), free, mapping=MAPPING, settings=FREE)
    at = [b.name for b in free.pose.bones].index("pelvis")
    assert np.abs(heads[:, at] - posed(free, [1, 60])[1][:, at]).max() < 1e-4


@pytest.mark.parametrize("height", [0.3, 30.0])
def test_characters_of_any_height(height: float) -> None:
    built: Built = vary(BUILT, scale=height / 1.7)
    armature = build_armature(built.rig)
    report = put_on_rig(smooth_take(), armature, mapping=Mapping(built.truth, {}, "file"), settings=FREE)
    assert abs(report.retargeted.scale / (height / 1.7) - 1) < 0.05
    small, other = posed(armature, [1, 60])
    plain = add_armature(replace(BUILT.rig, name="plain"))
    put_on_rig(smooth_take(), plain, mapping=MAPPING, settings=FREE)
    turns, heads = posed(plain, [1, 60])
    assert np.abs(small - turns).max() < 1e-4
    assert np.abs(other / (height / 1.7) - heads).max() < 1e-3
