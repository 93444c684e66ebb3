"""Render shots and write their truth.

    python -m benchmarks.performers.render -o CACHE                     all benchmark performers that are missing
    python -m benchmarks.performers.render demo -o lifter/demo --again  one shot, rendered anew

Writes NAME.mp4 and NAME_truth.npz; clips whose truth is what it should be are kept, and a run that was stopped goes
on with the frame it was at. The truth holds (T frames, J = 33 joints, B = 19 bones of `body`):

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
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifter.rotation import continuous, matrix_to_quat
from lifter.skeleton import load_skeleton

from .cast import CameraSetup, Shot
from .fresh import ALL
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
        "K": K,
        "R": R,
        "t": t,
        "contacts": motion.contacts,
        "rotations": continuous(matrix_to_quat(motion.rotations)).astype(np.float32),
        "offsets": motion.offsets.astype(np.float32),
        "fps": np.array(shot.fps, np.float64),
        "image_size": np.array(shot.size),
        "height": np.array(shot.performer.proportions.height),
    }


def finished(out: Path, name: str, wanted: dict[str, NDArray[Any]]) -> bool:
    """Whether the clip and its truth are there and show the shot as it is described today."""
    path = out / f"{name}_truth.npz"
    if not path.exists() or not (out / f"{name}.mp4").exists():
        return False
    with np.load(path, allow_pickle=False) as z:
        # Pixels and rotations differ in the last digits from one machine to the next.
        return set(z.files) == set(wanted) and all(
            z[k].shape == v.shape and (z[k] == v).all() if v.dtype.kind in "USb" else
            z[k].shape == v.shape and np.allclose(z[k], v, atol=1e-3)
            for k, v in wanted.items()
        )  # fmt: skip


def film(shot: Shot, name: str, out: Path, samples: int, threads: int) -> None:
    """Render one shot into `out`; the video and its truth appear when they are whole."""
    from . import person  # bpy

    motion = perform(shot.choreography, shot.performer.proportions, shot.fps)
    # Frames of another description of the shot must not be mixed in.
    folder = out / f".{name}-{hashlib.sha256(repr((shot, samples)).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    stage = person.build(shot, motion.offsets, camera_matrices(shot.camera, shot.size), samples, threads)
    count = len(motion.joints)
    for i in range(count):
        path = folder / f"{i:05d}.png"
        if not path.exists():
            person.pose(stage, motion.joints[i], motion.rotations[i])
            person.render(stage, folder / "next.png", samples)
            os.replace(folder / "next.png", path)
        sys.stderr.write(f"\r{name} {i + 1}/{count}")
        sys.stderr.flush()
    sys.stderr.write("\n")
    person.encode(folder, count, shot.fps, shot.size, folder / f"{name}.mp4")
    np.savez_compressed(folder / f"{name}_truth.npz", **truth(shot, motion))
    os.replace(folder / f"{name}_truth.npz", out / f"{name}_truth.npz")
    os.replace(folder / f"{name}.mp4", out / f"{name}.mp4")
    shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shots", nargs="*", help=f"{', '.join(ALL)}; all but the demo by default")
    parser.add_argument("-o", "--out", type=Path, default=Path(), help="folder for the videos and the truths")
    parser.add_argument("--again", action="store_true", help="render what is there already, too")
    parser.add_argument("--truth-only", action="store_true")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    unknown = set(args.shots) - set(ALL)
    if unknown:
        parser.error(f"no shot named {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")

    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.shots or [n for n in ALL if n != "demo"]:
        shot = ALL[name]
        wanted = truth(shot, perform(shot.choreography, shot.performer.proportions, shot.fps))
        if args.truth_only:
            np.savez_compressed(args.out / f"{name}_truth.npz", **wanted)
        elif args.again or not finished(args.out, name, wanted):
            film(shot, name, args.out, args.samples, args.threads)


if __name__ == "__main__":
    main()
