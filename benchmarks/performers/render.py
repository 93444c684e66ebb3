"""Render a shot and write its truth: `python -m benchmarks.performers.render demo -o lifter/demo`.

Writes NAME.mp4 and NAME_truth.npz. The truth holds (T frames, J = 33 joints, B = 19 bones of `body`):

    joint_names (J,), bone_names (B,)
    joints_world (T, J, 3)   metres, scene space, ground at Z = 0
    joints_camera (T, J, 3)  metres, camera space (x right, y down, z forward)
    keypoints (T, J, 2)      pixels, origin at the top-left corner of the top-left pixel
    K (3, 3), R (3, 3), t (3,)  x_camera = R x_world + t, pixel = K x_camera / z
    contacts (T, 4)          l_heel, l_toe, r_heel, r_toe stand on the ground
    rotations (T, B, 4)      (w, x, y, z), scene space, relative to rest
    offsets (J, 3)           the performer's rest offsets: joint - parent = rotation of its bone @ offset
    fps, image_size (W, H), height (metres)

Needs bpy (pip install bpy). Rendering is deterministic: one seed for every frame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.rotation import continuous, matrix_to_quat
from lifter.skeleton import load_skeleton

from .cast import SHOTS, CameraSetup, Shot
from .motions import Motion, perform

Array = NDArray[np.float64]


def camera_matrices(camera: CameraSetup, size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """(K, R, t) of the camera, pinhole with square pixels and the principal point at the image's centre."""
    pan, tilt, roll = np.radians([camera.pan, camera.tilt, camera.roll])
    forward = np.array([-np.sin(pan) * np.cos(tilt), np.cos(pan) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.cos(pan), np.sin(pan), 0.0])
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    focal = size[0] / 2 / np.tan(np.radians(camera.horizontal_fov) / 2)
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    R = np.stack([right, down, forward])
    return K, R, np.array(-R @ np.array(camera.position), np.float64)


def truth(shot: Shot, motion: Motion) -> dict[str, NDArray[Any]]:
    """The arrays of NAME_truth.npz."""
    skeleton = load_skeleton()
    K, R, t = camera_matrices(shot.camera, shot.size)
    seen = motion.joints @ R.T + t
    pixels = seen @ K.T
    return {
        "joint_names": np.array(skeleton.joint_names),
        "bone_names": np.array([b.name for b in skeleton.bones]),
        "joints_world": motion.joints.astype(np.float32),
        "joints_camera": seen.astype(np.float32),
        "keypoints": (pixels[..., :2] / pixels[..., 2:]).astype(np.float32),
        "K": K, "R": R, "t": t,
        "contacts": motion.contacts,
        "rotations": continuous(matrix_to_quat(motion.rotations)).astype(np.float32),
        "offsets": motion.offsets.astype(np.float32),
        "fps": np.array(shot.fps, np.float64),
        "image_size": np.array(shot.size),
        "height": np.array(shot.performer.proportions.height),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shot", choices=sorted(SHOTS))
    parser.add_argument("-o", "--out", type=Path, default=Path(), help="folder for the video and the truth")
    parser.add_argument("--frames", type=Path, help="keep the PNG frames here, and use those that are there")
    parser.add_argument("--only", type=int, nargs="*", help="render these frames only, and no video")
    parser.add_argument("--truth-only", action="store_true")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    shot = SHOTS[args.shot]
    motion = perform(shot.choreography, shot.performer.proportions, shot.fps)
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out / f"{args.shot}_truth.npz", **truth(shot, motion))
    if args.truth_only:
        return

    from . import person  # bpy

    with tempfile.TemporaryDirectory() as scratch:
        folder = args.frames or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        camera = camera_matrices(shot.camera, shot.size)
        stage = person.build(shot, motion.offsets, camera, args.samples, args.threads)
        frames = range(len(motion.joints)) if args.only is None else args.only
        for i in frames:
            path = folder / f"{i:05d}.png"
            if args.only is not None or not path.exists():
                person.pose(stage, motion.joints[i], motion.rotations[i])
                person.render(stage, path, args.samples)
            sys.stdout.write(f"\r{i + 1}/{len(motion.joints)}")
            sys.stdout.flush()
        if args.only is None:
            person.encode(folder, len(motion.joints), shot.fps, shot.size, args.out / f"{args.shot}.mp4")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
