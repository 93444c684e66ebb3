"""The scene around a captured person: its rate and range, and the camera that took the footage."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .armature import FIRST_FRAME
from .fcurves import new_action, write_keys
from .retarget.rotations import continuous, from_matrix
from .take_file import TakeFile


def set_time(take: TakeFile) -> None:
    """Let the scene run at the footage's rate, from the first frame of the first person to the last of the last."""
    scene = bpy.context.scene
    rate = max(1, round(take.fps))
    scene.render.fps, scene.render.fps_base = rate, rate / take.fps
    if take.people:
        scene.frame_start = FIRST_FRAME + min(int(p.frames[0]) for p in take.people)
        scene.frame_end = FIRST_FRAME + max(int(p.frames[-1]) for p in take.people)
    scene.frame_set(scene.frame_start)


def build_camera(take: TakeFile, name: str) -> tuple[Any, str | None]:
    """A camera with the shot's lens and place, keyed where it moves, and the footage behind it.

    Returns the camera and a warning if the footage could not be loaded.
    """
    scene = bpy.context.scene
    width, height = take.image_size
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
    data.lens = float(take.K[0, 0]) * data.sensor_width / width
    data.shift_x = (width / 2 - float(take.K[0, 2])) / width
    data.shift_y = (float(take.K[1, 2]) - height / 2) / width
    data.clip_start = 0.01
    poses = _poses(take)
    camera.matrix_world = Matrix(poses[0].tolist())
    if take.camera_frames is not None:
        _key_path(camera, poses, FIRST_FRAME + take.camera_frames)
        if take.focal is not None:
            lens = take.focal[:, None] * data.sensor_width / width
            write_keys(new_action(data, f"{name} lens"), "lens", "Lens", FIRST_FRAME + take.camera_frames, lens)
    return camera, _put_footage_behind(data, take)


def _poses(take: TakeFile) -> NDArray[np.float64]:
    """(F, 4, 4) matrices of the camera object; one if it stands still.

    OpenCV's camera looks along +Z with Y down, Blender's along -Z with Y up.
    """
    R, t = take.R.reshape(-1, 3, 3), take.t.reshape(-1, 3)
    poses = np.tile(np.eye(4), (len(R), 1, 1))
    poses[:, :3, :3] = np.swapaxes(R, 1, 2) @ np.diag([1.0, -1.0, -1.0])
    poses[:, :3, 3] = -(np.swapaxes(R, 1, 2) @ t[..., None])[..., 0]
    return poses


def _key_path(camera: Any, poses: NDArray[np.float64], frames: NDArray[np.int32]) -> None:
    """Key place and rotation on every frame."""
    camera.rotation_mode = "QUATERNION"
    make = new_action(camera, camera.name)
    write_keys(make, "location", "Camera", frames, poses[:, :3, 3])
    write_keys(make, "rotation_quaternion", "Camera", frames, continuous(from_matrix(poses[:, :3, :3])))


def _put_footage_behind(data: Any, take: TakeFile) -> str | None:
    if take.footage is None:
        return None
    path = take.footage
    if path.is_dir():
        images = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".exr", ".webp")
        )
        path = images[0] if images else path
    elif "%" in path.name:
        head, tail = path.name.split("%")[0], path.name.split("d", 1)[-1] if "d" in path.name else ""
        images = sorted(p for p in path.parent.glob(f"{head}*{tail}"))
        path = images[0] if images else path
    if not path.is_file():
        return f"The footage {take.footage} is not there any more: the camera has no background"
    try:
        known = len(bpy.data.movieclips)
        clip = bpy.data.movieclips.load(str(path), check_existing=True)
    except RuntimeError as error:
        return f"Blender cannot load the footage {path} ({error}): the camera has no background"
    if len(bpy.data.movieclips) > known:
        clip.frame_start = FIRST_FRAME
    data.show_background_images = True
    background = data.background_images.new()
    background.source, background.clip, background.alpha = "MOVIE_CLIP", clip, 1.0
    background.frame_method = "FIT"
    return None
