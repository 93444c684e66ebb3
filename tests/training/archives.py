"""Small files of exactly the structure that the research archives have, with contents that are known."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from lifter.rotation import quat_to_matrix
from training.data.videopose3d import Camera, load_cameras

ACTIONS = ("Directions", "Photo 1")


def _boxed(data: object) -> np.ndarray:
    box = np.empty((), object)
    box[()] = data
    return box


def project(camera: Camera, world: np.ndarray) -> np.ndarray:
    """(..., 3) world points, metres, to pixels, without distortion."""
    seen = world @ camera.pose[:, :3].T + camera.pose[:, 3]
    fx, fy, cx, cy = camera.intrinsics or (500.0, 500.0, 320.0, 240.0)
    return seen[..., :2] / seen[..., 2:] * [fx, fy] + [cx, cy]


def h36m_world(frames: int, seed: int) -> np.ndarray:
    """(T, 32, 3) somebody of 32 joints about the middle of the room, metres."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(32, 3)) * 0.3 + [0, 0, 1] + 0.01 * rng.normal(size=(frames, 32, 3))).astype(np.float32)


def write_h36m(folder: Path, subjects: tuple[str, ...] = ("S1", "S9"), frames: int = 40) -> dict[str, np.ndarray]:
    """VideoPose3D's pair, CPN and GT; 2D of 17 joints, longer than the 3D by three frames. World joints by name."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras, keep = load_cameras("h36m"), [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    three: dict = {s: {} for s in subjects}
    two: dict = {s: {} for s in (*subjects, "S2")}
    truth = {}
    for i, s in enumerate(subjects):
        for j, action in enumerate(ACTIONS):
            world = h36m_world(frames + 3, 10 * i + j)
            three[s][action] = world[:frames]
            truth[f"{s}/{action}"] = world[:frames, keep].astype(float)
            two[s][action] = [project(c, world[:, keep]).astype(np.float32) for c in cameras[s]]
    two["S2"]["Directions"] = two[subjects[0]]["Directions"]
    symmetry = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
    metadata = {"num_joints": 17, "keypoints_symmetry": symmetry}
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=_boxed(three))
    np.savez_compressed(folder / "data_2d_h36m_gt.npz", positions_2d=_boxed(two), metadata=_boxed(metadata))
    metadata = {"layout_name": "h36m"} | metadata
    off = {s: {a: [v + 5 for v in views] for a, views in actions.items()} for s, actions in two.items()}
    name = folder / "data_2d_h36m_cpn_ft_h36m_dbb.npz"
    np.savez_compressed(name, positions_2d=_boxed(off), metadata=_boxed(metadata))
    return truth


def write_humaneva(folder: Path, frames: int = 20) -> None:
    """HumanEva-I in VideoPose3D's layout: three subjects, two parts, three cameras."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras = load_cameras("humaneva")
    three: dict = {}
    two: dict = {}
    for part in ("Train", "Validate"):
        for i, s in enumerate(("S1", "S2", "S3")):
            world = h36m_world(frames, i)[:, :15]
            three[f"{part}/{s}"] = {"Walking 1 chunk0": world}
            two[f"{part}/{s}"] = {"Walking 1 chunk0": [project(c, world).astype(np.float32) for c in cameras[s]]}
    metadata = {
        "layout_name": "humaneva15",
        "num_joints": 15,
        "keypoints_symmetry": [[2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]],
    }
    np.savez_compressed(folder / "data_3d_humaneva15.npz", positions_3d=_boxed(three))
    np.savez_compressed(folder / "data_2d_humaneva15_gt.npz", positions_2d=_boxed(two), metadata=_boxed(metadata))


def write_motionbert(path: Path, *, confidence: bool = True) -> dict[str, dict]:
    """MotionBERT's pickle: two videos to train on, three to test on, one of them blocked and one short."""
    rng = np.random.default_rng(0)
    videos = {
        "train": [("s_01_act_02_subact_01_ca_01", "54138969", 200), ("s_05_act_03_subact_02_ca_02", "55011271", 100)],
        "test": [
            ("s_09_act_05_subact_02_ca_01", "54138969", 130),
            ("s_09_act_02_subact_01_ca_03", "58860488", 120),
            ("s_11_act_16_subact_02_ca_04", "60457274", 50),
        ],
    }
    data: dict[str, dict] = {}
    for split, own in videos.items():
        n = sum(v[2] for v in own)
        part = {
            "joint_2d": rng.uniform(0, 1000, (n, 17, 2)),
            "confidence": rng.random((n, 17, 1) if split == "train" else (n, 17)).astype(np.float32),
            "joint3d_image": rng.uniform(0, 1000, (n, 17, 3)),
            "camera_name": np.concatenate([np.full(v[2], v[1]) for v in own]),
            "source": [v[0] for v in own for _ in range(v[2])],
        }
        if split == "test":
            part["action"] = [f"action {v[0][9:11]}" for v in own for _ in range(v[2])]
            part["2.5d_factor"] = rng.uniform(4, 6, n)
            part["joints_2.5d_image"] = part["joint3d_image"] * part["2.5d_factor"][:, None, None]
        if not confidence:
            del part["confidence"]
        data[split] = part
    path.write_bytes(pickle.dumps(data))
    return data


def write_3dhp(folder: Path, frames: int = 30) -> tuple[dict, dict]:
    """P-STMO's two files: one sequence of two cameras, and TS1 and TS5 with frames that are not valid."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)

    def views() -> dict[str, np.ndarray]:
        return {
            "data_2d": rng.uniform(0, 1000, (frames, 17, 2)),
            "data_3d": rng.normal(size=(frames, 17, 3)) * 500 + [0, 0, 3000],
        }

    train = {"S1 Seq1": [{"0": views(), "8": views()}, 25], "S8 Seq2": [{"4": views()}, 50]}
    test = {name: views() | {"valid": (rng.random(frames) < 0.5).astype(float)} for name in ("TS1", "TS5")}
    np.savez_compressed(folder / "data_train_3dhp.npz", data=_boxed(train))
    np.savez_compressed(folder / "data_test_3dhp.npz", data=_boxed(test))
    return train, test


def camera_joints(subject: str, camera: int, world: np.ndarray) -> np.ndarray:
    """World joints in a Human3.6M camera's space, by the formula of the paper: R^-1 (X - t)."""
    import tomllib

    from training.data.videopose3d import CAMERAS

    pose = tomllib.loads((CAMERAS / "h36m.toml").read_text())["poses"][subject]
    turn = np.array(pose["turn"][camera])
    return (world - np.array(pose["place"][camera]) / 1000) @ quat_to_matrix(turn / np.linalg.norm(turn))
