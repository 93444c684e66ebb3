"""A clip whose markers come from known points and a known camera is solved by Blender, and the path read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module")

from blender_addon.capture.camera_solve import is_solved, path_of_poses, solved_focal, solved_path  # noqa: E402
from blender_addon.errors import UserError  # noqa: E402

FRAMES, WIDTH, HEIGHT, FOCAL = 30, 640, 360, 700.0


def look(place: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    return R, -R @ place


def path() -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(FRAMES) / 24
    places = np.stack([np.sin(time), -4 + 0.3 * time, 1.5 + 0.1 * time], -1)
    R, t = (np.stack(x) for x in zip(*(look(p, np.array([0, 3.0, 0.8])) for p in places), strict=True))
    return R, t


@pytest.fixture
def clip(tmp_path: Path) -> Any:
    """A clip of grey pictures with 30 markers, not yet solved."""
    bpy.ops.wm.read_factory_settings()
    image = bpy.data.images.new("grey", WIDTH, HEIGHT)
    for i in range(FRAMES):
        image.filepath_raw, image.file_format = str(tmp_path / f"{i + 1:04d}.png"), "PNG"
        image.save()
    clip = bpy.data.movieclips.load(str(tmp_path / "0001.png"))
    clip.tracking.camera.sensor_width = 36
    clip.tracking.camera.focal_length_pixels = FOCAL
    points = np.random.default_rng(0).uniform([-3, 2, -1], [3, 8, 2], (30, 3))
    for k, point in enumerate(points):
        track = clip.tracking.tracks.new(name=f"point {k}", frame=1)
        for i, (R, t) in enumerate(zip(*path(), strict=True)):
            x, y, z = R @ point + t
            track.markers.insert_frame(
                i + 1, co=(FOCAL * x / z / WIDTH + 0.5, 0.5 - FOCAL * y / z / WIDTH * WIDTH / HEIGHT)
            )
    return clip


def solve(clip: Any) -> None:
    """Blender's own solver needs an editor, which background mode has too."""
    camera = next(o for o in clip.tracking.objects if o.is_camera)
    camera.keyframe_a, camera.keyframe_b = 1, FRAMES
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        assert bpy.ops.clip.solve_camera() == {"FINISHED"}
    assert camera.reconstruction.is_valid and camera.reconstruction.average_error < 0.1


def similar(read: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, float]:
    """What brings the read camera to the true one: rotation of the world, and the scale of the path; and how far the
    places are off then, as a part of the way."""
    R, t = path()
    mine, shift = np.array(read["rotation"]), np.array(read["translation"])
    turns = np.swapaxes(mine, 1, 2) @ R
    assert np.abs(turns - turns[0]).max() < 2e-3
    places = -(np.swapaxes(R, 1, 2) @ t[..., None])[..., 0]
    own = -(np.swapaxes(mine, 1, 2) @ shift[..., None])[..., 0] @ turns[0]
    a, b = own - own[0], places - places[0]
    scale = float((a * b).sum() / (a * a).sum())
    return turns[0], np.array(scale), float(np.abs(scale * a - b).max() / np.ptp(places, axis=0).max())


def test_a_solve_is_read_frame_by_frame(clip: Any) -> None:
    with pytest.raises(UserError, match="no camera solve"):
        solved_focal(clip)
    solve(clip)
    assert is_solved(clip) and solved_focal(clip) == pytest.approx(FOCAL, rel=1e-3)
    read = solved_path(clip, bpy.context.scene)
    assert read["frames"] == list(range(FRAMES)) and not read["metric"]
    assert similar(read)[2] < 0.01


def test_floor_and_scale_of_the_solver_object_count(clip: Any) -> None:
    """What "Set Floor" and "Set Scale" do is to move, turn and scale the object with the constraint."""
    solve(clip)
    scene = bpy.context.scene
    turn, scale, _ = similar(solved_path(clip, scene))
    camera = scene.camera
    constraint = camera.constraints.new("CAMERA_SOLVER")
    constraint.use_active_clip, constraint.clip = False, clip
    base = np.eye(4)
    base[:3, :3] = turn.T * scale
    base[:3, 3] = [5, 6, 7]
    from mathutils import Matrix

    camera.matrix_basis = Matrix(base.tolist())
    read = solved_path(clip, scene)
    R, _ = path()
    assert read["metric"] and np.abs(np.array(read["rotation"]) - R).max() < 2e-3
    assert similar(read)[1] == pytest.approx(1, abs=0.01)
    # Blender puts the object there too.
    scene.frame_set(11)
    bpy.context.view_layer.update()
    shown = np.array(camera.matrix_world)
    found = path_of_poses(np.array([0]), shown[None], np.eye(4), FOCAL)
    assert np.abs(np.array(found["translation"][0]) - np.array(read["translation"][10])).max() < 1e-3
    assert np.abs(np.array(found["rotation"][0]) - np.array(read["rotation"][10])).max() < 1e-3


def test_blenders_axes_become_the_workers() -> None:
    """A Blender camera that is not turned looks down: what is below it lies ahead."""
    pose = np.eye(4)
    pose[:3, 3] = [0, 0, 3]
    read = path_of_poses(np.array([0]), pose[None], np.eye(4), 500.0)
    assert np.allclose(np.array(read["rotation"][0]) @ [0.2, 0.1, 0] + read["translation"][0], [0.2, -0.1, 3])


def test_the_worker_takes_it_as_it_is(clip: Any) -> None:
    import json

    camera_path = pytest.importorskip("lifter.camera_path")
    solve(clip)
    read = camera_path.read_camera_path(json.loads(json.dumps(solved_path(clip, bpy.context.scene))))
    assert len(read.rotation) == FRAMES and read.focal[0] == pytest.approx(FOCAL, rel=1e-3)


def test_the_footage_panel_sends_lens_or_path(clip: Any) -> None:
    from types import SimpleNamespace

    from blender_addon.capture.footage import make_request

    def options(lens: str, moving: bool = False) -> dict[str, Any]:
        panel = SimpleNamespace(use_range=False, lens=lens, focal_mm=36.0, use_camera_path=moving)
        return make_request(clip, panel).options

    assert options("auto") == {} and options("estimate") == {"lens": "estimate"}
    with pytest.raises(UserError, match="no camera solve"):
        options("auto", moving=True)
    solve(clip)
    assert options("solve") == {"focal": pytest.approx(FOCAL, rel=1e-3)}
    moving = options("auto", moving=True)
    assert set(moving) == {"camera"} and len(moving["camera"]["rotation"]) == FRAMES
    own = options("value", moving=True)
    assert "focal" not in own["camera"] and own["fov"] == pytest.approx(53.13, abs=0.01)
