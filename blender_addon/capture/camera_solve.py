"""Blender's camera solve of a clip, as the worker takes it: the lens, and the camera's path (docs/camera.md)."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Array = NDArray[np.float64]


def is_solved(clip: Any) -> bool:
    return any(o.is_camera and o.reconstruction.is_valid for o in clip.tracking.objects)


def solved_focal(clip: Any) -> float:
    """Focal length in pixels. Raises UserError where the clip has no camera solve."""
    _reconstruction(clip)
    return float(clip.tracking.camera.focal_length_pixels)


def solved_path(clip: Any, scene: Any) -> dict[str, Any]:
    """The camera's path as a plain dictionary, in the scene's space.

    Orientation and scale of a solve lie in the object with the Camera Solver constraint, where "Set Floor" and "Set
    Scale" put them; a scale that was set is believed. Raises UserError where the clip has no camera solve.
    """
    reconstruction = _reconstruction(clip)
    frames = np.array([c.frame for c in reconstruction.cameras], np.int64) - 1
    if clip.source == "MOVIE":
        frames = frames + clip.frame_offset
    poses = np.array([np.array(c.matrix) for c in reconstruction.cameras], np.float64).reshape(-1, 4, 4)
    keep = frames >= 0
    camera = _solver_object(clip, scene)
    base = np.eye(4) if camera is None else _own_matrix(camera)
    return path_of_poses(frames[keep], poses[keep], base, float(clip.tracking.camera.focal_length_pixels))


def path_of_poses(frames: NDArray[np.int64], poses: Array, base: Array, focal: float) -> dict[str, Any]:
    """What the worker is told of (N,) frames, from 0, and (N, 4, 4) Blender cameras in the space of a (4, 4) base.

    Blender's camera looks along -Z with Y up; the worker's along +Z with Y down. What is scaled by the base is in
    metres.
    """
    scale = float(np.cbrt(abs(np.linalg.det(base[:3, :3]))))
    world = base @ poses
    turn = _without_scale(world[:, :3, :3]) @ np.diag([1.0, -1.0, -1.0])
    rotation = np.swapaxes(turn, 1, 2)
    translation = -(rotation @ world[:, :3, 3:])[..., 0]
    return {
        "rotation": rotation.tolist(),
        "translation": translation.tolist(),
        "focal": focal,
        "frames": frames.tolist(),
        "metric": abs(scale - 1) > 1e-4,
    }


def _without_scale(matrices: Array) -> Array:
    """(N, 3, 3) nearest rotations."""
    u, _, vt = np.linalg.svd(matrices)
    return u @ vt


def _reconstruction(clip: Any) -> Any:
    for each in clip.tracking.objects:
        if each.is_camera and each.reconstruction.is_valid:
            return each.reconstruction
    raise UserError(
        f'"{clip.name}" has no camera solve',
        "Solve the camera in the Movie Clip Editor, or choose another lens in the Footage panel",
    )


def _solver_object(clip: Any, scene: Any) -> Any | None:
    """The object that follows the solve; the scene's camera first."""
    for each in (scene.camera, *scene.objects):
        for constraint in each.constraints if each is not None else ():
            if constraint.type != "CAMERA_SOLVER" or constraint.mute:
                continue
            used = scene.active_clip if constraint.use_active_clip else constraint.clip
            if used == clip:
                return each
    return None


def _own_matrix(camera: Any) -> Array:
    """(4, 4) where an object is but for its constraints."""
    parent = np.eye(4)
    if camera.parent is not None:
        bpy.context.view_layer.update()
        parent = np.array(camera.parent.matrix_world) @ np.array(camera.matrix_parent_inverse)
    return parent @ np.array(camera.matrix_basis)
