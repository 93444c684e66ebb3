"""A small take for Blender's side, made with numpy alone; documents the format once more in code."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np

SKELETON = Path(__file__).parents[2] / "lifter" / "skeletons" / "body.toml"


def body() -> dict:
    """The default skeleton as a take's header holds it, the right side written out."""
    data = tomllib.loads(SKELETON.read_text(encoding="utf-8"))

    def flip(value: object) -> object:
        if isinstance(value, str):
            return "r_" + value[2:] if value.startswith("l_") else value
        return value

    for key in ("joints", "bones"):
        for entry in [e for e in data[key] if e["name"].startswith("l_")]:
            right = {k: flip(v) for k, v in entry.items()}
            if key == "joints":
                right["rest"] = [-entry["rest"][0], *entry["rest"][1:]]
            data[key].append(right)
    return data


def write_take(
    path: Path, frames: int = 12, gap: slice | None = None, fps: float = 24.0, **flags: np.ndarray
) -> dict[str, np.ndarray]:
    """Somebody who walks and swings every bone a little; returns what was written. flags: outlier, swapped, state."""
    skeleton = body()
    names = [j["name"] for j in skeleton["joints"]]
    bones = skeleton["bones"]
    rest = np.array([j["rest"] for j in skeleton["joints"]])
    parents = [names.index(j["parent"]) if "parent" in j else -1 for j in skeleton["joints"]]
    offsets = np.array([rest[j] - rest[p] if p >= 0 else rest[j] * 0 for j, p in enumerate(parents)])
    rng = np.random.default_rng(1)
    quats = np.zeros((frames, len(bones), 4))
    for b in range(len(bones)):
        axis = rng.normal(size=3)
        angle = np.sin(np.arange(frames) / 5 + b) * rng.uniform(0.2, 1.2)
        quats[:, b, 0] = np.cos(angle / 2)
        quats[:, b, 1:] = np.sin(angle / 2)[:, None] * axis / np.linalg.norm(axis)
    w, v = quats[..., :1], quats[..., 1:]

    def turn(b: int, offset: np.ndarray) -> np.ndarray:
        t = 2 * np.cross(v[:, b], offset)
        return offset + w[:, b] * t + np.cross(v[:, b], t)

    heads = [b["head"] for b in bones]
    joints = np.zeros((frames, len(names), 3))
    joints[:, 0] = np.stack([np.linspace(0, 1, frames), 2 + 0 * np.arange(frames), 0.9 + 0 * np.arange(frames)], -1)
    for j, p in enumerate(parents):
        if p >= 0:
            joints[:, j] = joints[:, p] + turn(heads.index(names[p]), offsets[j])
    state = np.ones(frames, np.uint8)
    if gap is not None:
        state[gap] = 0
        joints[gap], quats[gap] = np.nan, np.nan
    header = {
        "version": 1,
        "fps": fps,
        "source": {"path": "/nowhere/clip.mp4", "width": 640, "height": 480},
        "lens": {},
        "detector": {},
        "checkpoint": {},
        "settings": {},
        "skeleton": skeleton,
    }
    arrays = {
        "header": np.array(json.dumps(header)),
        "camera/K": np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]),
        "camera/R": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
        "camera/t": np.array([0.0, 1.5, 0]),
        "people/0/frames": np.arange(frames, dtype=np.int32),
        "people/0/state": state,
        "people/0/keypoints": np.full((frames, 33, 2), 100.0, np.float32),
        "people/0/scores": np.full((frames, 33), 0.8, np.float32),
        "people/0/contact": np.full((frames, 4), 0.1, np.float32),
        "people/0/joints_world": joints.astype(np.float32),
        "people/0/rotations": quats.astype(np.float32),
        "people/0/offsets": offsets.astype(np.float32),
    }
    arrays |= {f"people/0/{name}": value for name, value in flags.items()}
    np.savez_compressed(path, **arrays)
    return {
        "joints": joints,
        "names": np.array(names),
        "heads": np.array(heads),
        "bones": np.array([b["name"] for b in bones]),
    }
