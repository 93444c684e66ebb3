"""AMASS (Mahmood et al., ICCV 2019): motion capture as parameters of the SMPL family of body models.

    FOLDER/**/*.npz, each with
        poses              (T, 156) axis-angle of 52 joints (SMPL+H), or 165 (SMPL-X), or 72 (SMPL)
        trans              (T, 3) metres, Z up
        mocap_framerate    or mocap_frame_rate
        betas              (16,) or other lengths: shape; gender: "female", "male" or "neutral"
        joints             (T, J, 3) metres, Z up: not in AMASS itself; where somebody added it, it is used

How bones turn is in `poses`, so a skeleton with bones needs nothing else: its proportions are its own, and the root's
path is taken as it was recorded. Where joints are depends on a body model, which is not ours to ship. Files with
`joints` have them; for others the source names the user's own model (`body_model`), of which four arrays are read:
J_regressor (J, V), v_template (V, 3), shapedirs (V, 3, S) and kintree_table (2, J).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifter.errors import MotionliftError
from lifter.rotation import quat_to_matrix
from lifter.skeleton import Skeleton
from lifter.structure import array
from training.data.bvh import thinning
from training.data.mocap import Y_UP_TO_Z_UP, Captured, JointMap, load_map, transfer
from training.data.recording import Item, Recording
from training.data.unpickle import member_names, read_member

Array = NDArray[np.float64]

LICENCE = "AMASS: research use only"
BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_FINGERS = tuple(f"{finger}{i}" for finger in ("index", "middle", "pinky", "ring", "thumb") for i in (1, 2, 3))
_NOT_MOTION = ("shape.npz", "stagei.npz")


def model_joints(count: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and parents of the joints of SMPL (24), SMPL+H (52) or SMPL-X (55)."""
    if count == 24:
        return (*BODY, "left_hand", "right_hand"), (*_BODY_PARENTS, 20, 21)
    names: list[str] = list(BODY)
    parents: list[int] = list(_BODY_PARENTS)
    if count == 55:
        names += ["jaw", "left_eye", "right_eye"]
        parents += [15, 15, 15]
    for wrist, side in ((20, "left"), (21, "right")):
        for i, finger in enumerate(_FINGERS):
            parents.append(wrist if i % 3 == 0 else len(names) - 1)
            names.append(f"{side}_{finger}")
    return tuple(names), tuple(parents)


@dataclass(frozen=True)
class AmassSource:
    """Attributes: `path` of a folder; `map` of joints; `body_model` the user's own .npz, in which {gender} stands for
    the gender that a file states; a subject is a file's folder, such as "CMU/01".
    """

    kind: Literal["amass"]
    path: str
    map: str = "smpl"
    body_model: str = ""
    name: str = "amass"
    test: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    most_fps: float = 60.0
    licence: str = LICENCE


def amass_items(source: AmassSource, base: Path, skeleton: Skeleton) -> Iterator[Item]:
    """One item a file."""
    folder, joint_map = base / source.path, load_map(source.map, base)
    files = sorted(p for p in folder.rglob("*.npz") if not p.name.endswith(_NOT_MOTION))
    if not files:
        raise MotionliftError(f"{folder}: no .npz file of motion in it", "Check the path")
    for path in files:
        name = f"{source.name}/{path.relative_to(folder).with_suffix('').as_posix()}"
        yield Item(name, partial(_read, source, base, path, name, joint_map, skeleton))


def _read(
    source: AmassSource, base: Path, path: Path, name: str, joint_map: JointMap, skeleton: Skeleton
) -> Iterator[Recording]:
    captured = captured_amass(path, str(base / source.body_model) if source.body_model else "", source.most_fps)
    subject = Path(name.removeprefix(f"{source.name}/")).parent.as_posix()
    split = "test" if subject in source.test else "validation" if subject in source.validation else "train"
    arrays = transfer(captured, joint_map, skeleton)
    yield Recording(name, source.name, subject, captured.fps, arrays, path.stem, split=split, licence=source.licence)


def captured_amass(path: Path, body_model: str = "", most_fps: float = np.inf) -> Captured:
    """Joints of a file in scene space; NaN where neither the file nor a body model says where they are."""
    keys = member_names(path)
    for needed in ("poses", "trans"):
        if needed not in keys:
            what = f"{path}: no key {needed!r}; it has {', '.join(keys)}"
            raise MotionliftError(what, "Give the folder of AMASS as it was downloaded: SMPL+H G, or SMPL-X")
    rate = next((k for k in ("mocap_framerate", "mocap_frame_rate") if k in keys), "mocap_framerate")
    fps = float(array(read_member(path, rate), (), f"{path}, {rate}"))
    if fps <= 0:
        raise MotionliftError(f"{path}, {rate}: {fps}", "Get the file again")
    step = thinning(fps, most_fps)
    poses = array(read_member(path, "poses"), ("T", "156, 165 or 72"), f"{path}, poses")
    if poses.shape[1] not in (72, 156, 165):
        raise MotionliftError(
            f"{path}, poses: shape {poses.shape}, expected (T, 156), (T, 165) or (T, 72)", "See AMASS"
        )
    poses = poses[::step]
    trans = array(read_member(path, "trans"), ("T", 3), f"{path}, trans")[::step]
    if len(trans) != len(poses):
        raise MotionliftError(f"{path}, trans: {len(trans)} frames, expected the {len(poses)} of poses", "See AMASS")
    names, parents = model_joints(poses.shape[1] // 3)
    local = _matrices(poses.reshape(len(poses), -1, 3))
    turns = local.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            turns[:, j] = turns[:, parent] @ local[:, j]
    positions = np.full((len(poses), len(names), 3), np.nan)
    positions[:, 0] = trans
    if "joints" in keys:
        joints = array(read_member(path, "joints"), ("T", "J", 3), f"{path}, joints")[::step]
        if len(joints) != len(poses) or joints.shape[1] < len(BODY):
            what = f"{path}, joints: shape {joints.shape}, expected ({len(poses)}, {len(BODY)} or more, 3)"
            raise MotionliftError(what, "Make them with the model that the poses are of")
        count = min(len(names), joints.shape[1])
        positions[:, :count] = joints[:, :count]
    elif body_model:
        model = body_model.replace("{gender}", _gender(path, keys))
        betas = (
            array(np.ravel(read_member(path, "betas")), ("S",), f"{path}, betas") if "betas" in keys else np.zeros(0)
        )
        rest = rest_joints(model, tuple(betas.tolist()), len(names))
        for j, parent in enumerate(parents):
            if parent < 0:
                positions[:, j] = rest[j] + trans
            else:
                positions[:, j] = positions[:, parent] + turns[:, parent] @ (rest[j] - rest[parent])
    why = (
        "AMASS has no joints, and body models are not ours to ship: get SMPL+H from mano.is.tue.mpg.de, or SMPL-X, "
        'and add body_model = "PATH/{gender}/model.npz" to the source; or add a key `joints` (T, 22 or more, 3) to the '
        "files; or use a skeleton with bones, which needs none"
    )
    # Rotations are from the model's rest pose, Y up, to the world; ours from the rest pose in scene space.
    return Captured(str(path), fps / step, names, positions, turns @ Y_UP_TO_Z_UP.T, {}, why)


def _matrices(vectors: Array) -> Array:
    """(..., 3) axis times angle to (..., 3, 3)."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    half = 0.5 * np.sinc(angle / (2 * np.pi)) * vectors
    return quat_to_matrix(np.concatenate([np.cos(angle / 2), half], -1))


def _gender(path: Path, keys: tuple[str, ...]) -> str:
    value: Any = read_member(path, "gender") if "gender" in keys else "neutral"
    value = value.item() if isinstance(value, np.ndarray) else value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    if text not in ("female", "male", "neutral"):
        raise MotionliftError(f"{path}, gender: {text[:20]!r}", "Expected female, male or neutral")
    return text


@lru_cache(maxsize=4096)
def rest_joints(model: str, betas: tuple[float, ...], count: int) -> Array:
    """(J, 3) joints of a body model at rest, for a shape: J_regressor (v_template + shapedirs betas) (Loper et al.,
    SIGGRAPH Asia 2015, equation 10)."""
    template, shapes, regressor = _model(model)
    if len(regressor) != count:
        what = f"{model}: a model of {len(regressor)} joints, but the poses are of {count}"
        raise MotionliftError(what, "Use the model that the files were made with: SMPL 24, SMPL+H 52, SMPL-X 55")
    used = min(len(betas), shapes.shape[-1])
    return regressor @ template + np.einsum(
        "jcs,s->jc", np.einsum("jv,vcs->jcs", regressor, shapes[..., :used]), betas[:used]
    )


@lru_cache(maxsize=4)
def _model(model: str) -> tuple[Array, Array, Array]:
    path = Path(model)
    template = array(read_member(path, "v_template"), ("V", 3), f"{model}, v_template")
    shapes = array(read_member(path, "shapedirs"), ("V", 3, "S"), f"{model}, shapedirs")
    regressor = array(read_member(path, "J_regressor"), ("J", "V"), f"{model}, J_regressor")
    tree = array(read_member(path, "kintree_table"), (2, "J"), f"{model}, kintree_table")
    if len(template) != len(shapes) or regressor.shape[1] != len(template):
        raise MotionliftError(f"{model}: arrays of different numbers of vertices", "Get the model again")
    if len(regressor) in (24, 52, 55):
        _, parents = model_joints(len(regressor))
        if tree.shape[1] != len(regressor) or tuple(tree[0, 1:].astype(int)) != parents[1:]:
            raise MotionliftError(f"{model}, kintree_table: other joints than SMPL's", "Use SMPL, SMPL+H or SMPL-X")
    return template, shapes, regressor
