from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blender_addon.take_file import TakeError, read_take

from .make_take import write_take

bpy = pytest.importorskip("bpy", reason="needs the bpy module")


def animate(take: Path, blend: Path) -> list[str]:
    from blender_addon.animate import animate as run

    return run(take, blend)


def test_bone_heads_lie_on_the_takes_joints(tmp_path: Path) -> None:
    made = write_take(tmp_path / "a.take.npz")
    warnings = animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    assert len(warnings) == 1 and "footage" in warnings[0]  # the clip of this take is nowhere
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    (armature,) = [o for o in bpy.data.objects if o.type == "ARMATURE"]
    scene = bpy.context.scene
    names = made["names"].tolist()
    assert (scene.frame_start, scene.frame_end) == (1, 12)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(24)
    for frame in range(12):
        scene.frame_set(frame + 1)
        for bone, head in zip(made["bones"], made["heads"], strict=True):
            at = np.array(armature.matrix_world @ armature.pose.bones[bone].head)
            assert np.abs(at - made["joints"][frame, names.index(head)]).max() < 1e-3, (frame, bone)


def test_every_bone_has_quaternion_keys_and_only_the_root_a_path(tmp_path: Path) -> None:
    made = write_take(tmp_path / "a.take.npz")
    animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    curves = curves_of(next(o for o in bpy.data.objects if o.type == "ARMATURE"))
    assert len(curves) == 4 * len(made["bones"]) + 3
    assert all(len(c.keyframe_points) == 12 for c in curves)
    assert sum("location" in c.data_path for c in curves) == 3


def test_gaps_have_no_keys_and_the_pose_is_held(tmp_path: Path) -> None:
    write_take(tmp_path / "a.take.npz", gap=slice(4, 8))
    animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    armature = next(o for o in bpy.data.objects if o.type == "ARMATURE")
    for curve in curves_of(armature):
        assert [round(k.co[0]) for k in curve.keyframe_points] == [1, 2, 3, 4, 9, 10, 11, 12]
        assert all(np.isfinite(k.co).all() for k in curve.keyframe_points)
    scene = bpy.context.scene
    scene.frame_set(4)
    before = np.array(armature.pose.bones["l_hand"].head)
    scene.frame_set(7)
    assert np.allclose(before, np.array(armature.pose.bones["l_hand"].head), atol=1e-6)


def test_the_camera_sees_joints_where_the_footage_has_them(tmp_path: Path) -> None:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    made = write_take(tmp_path / "a.take.npz")
    animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    take = read_take(tmp_path / "a.take.npz")
    scene = bpy.context.scene
    for joint in made["joints"][0]:
        seen = take.R @ joint + take.t
        pixel = (take.K @ seen)[:2] / seen[2]
        x, y, _ = world_to_camera_view(scene, scene.camera, Vector(joint))
        assert np.allclose([x * 640, (1 - y) * 480], pixel, atol=0.1)


@pytest.mark.parametrize("zooms", [False, True])
def test_a_moving_camera_is_keyed_and_sees_every_frame_as_it_was(tmp_path: Path, zooms: bool) -> None:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    made = write_take(tmp_path / "still.take.npz", frames=30, fps=30)
    with np.load(tmp_path / "still.take.npz") as z:
        arrays = dict(z)
    # It circles the walker by more than a turn, so that its quaternion changes sign, and rolls.
    frames = np.arange(-2, 31, dtype=np.int32)
    angle = frames * 0.25
    place = np.stack([4 * np.sin(angle), 2 - 4 * np.cos(angle), 1 + 0.05 * frames], -1)
    forward = np.array([0.5, 2, 0.9]) - place
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.1, 0, 1.0])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    R = np.stack([right, np.cross(forward, right), forward], 1)
    arrays |= {"camera/R": R, "camera/t": -(R @ place[..., None])[..., 0], "camera/frames": frames}
    if zooms:
        arrays["camera/focal"] = 500.0 + 10 * frames
    np.savez(tmp_path / "a.take.npz", **arrays)
    animate(tmp_path / "a.take.npz", tmp_path / "a.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    take, scene = read_take(tmp_path / "a.take.npz"), bpy.context.scene
    pixels = take.project(made["joints"], np.arange(30, dtype=np.int32))
    for frame in range(30):
        scene.frame_set(frame + 1)
        for joint, pixel in zip(made["joints"][frame], pixels[frame], strict=True):
            x, y, _ = world_to_camera_view(scene, scene.camera, Vector(joint))
            assert np.allclose([x * 640, (1 - y) * 480], pixel, atol=1.0), frame
            # A pixel where it was computed by hand, too.
            seen = R[frame + 2] @ (joint - place[frame + 2])
            focal = 500.0 + 10 * frame if zooms else 700.0
            assert np.allclose(seen[:2] / seen[2] * focal + [320, 240], pixel, atol=1e-6)
        scene.frame_set(frame + 1, subframe=0.5)  # between keys it does not flip
        assert (scene.camera.matrix_world.translation - Vector(place[frame + 2])).length < 1.2


def test_a_camera_path_of_another_length_is_refused(tmp_path: Path) -> None:
    write_take(tmp_path / "a.take.npz")
    with np.load(tmp_path / "a.take.npz") as z:
        arrays = dict(z)
    arrays["camera/frames"] = np.arange(12, dtype=np.int32)
    np.savez(tmp_path / "b.take.npz", **arrays)
    with pytest.raises(TakeError, match="camera/R"):
        read_take(tmp_path / "b.take.npz")


def test_footage_lies_behind_the_camera(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "lifter" / "demo" / "demo.mp4"
    write_take(tmp_path / "a.take.npz")
    with np.load(tmp_path / "a.take.npz") as z:
        arrays = dict(z)
    arrays["header"] = np.array(str(arrays["header"]).replace("/nowhere/clip.mp4", demo.as_posix()))
    np.savez(tmp_path / "b.take.npz", **arrays)
    assert animate(tmp_path / "b.take.npz", tmp_path / "b.blend") == []
    (background,) = bpy.context.scene.camera.data.background_images
    assert background.clip.frame_duration == 240 and background.clip.frame_start == 1


def test_an_existing_file_survives_a_bad_take(tmp_path: Path) -> None:
    (tmp_path / "a.blend").write_bytes(b"precious")
    (tmp_path / "bad.take.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(TakeError, match="damaged"):
        animate(tmp_path / "bad.take.npz", tmp_path / "a.blend")
    assert (tmp_path / "a.blend").read_bytes() == b"precious"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    write_take(tmp_path / "a.take.npz")
    with pytest.raises(TakeError, match="folder"):
        animate(tmp_path / "a.take.npz", tmp_path / "no" / "a.blend")


def curves_of(armature: object) -> list:
    data = armature.animation_data  # type: ignore[attr-defined]
    if bpy.app.version < (4, 4, 0):
        return list(data.action.fcurves)
    strip = data.action.layers[0].strips[0]
    return list(strip.channelbag(data.action_slot).fcurves)
