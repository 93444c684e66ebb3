"""Skeletons and keypoint layouts, both read from TOML beside this file.

A `Skeleton` is data: joints with parents and a rest pose, mirror pairs, and the bones whose rotations a
take holds. Rest positions are metres in scene space (Z up, facing -Y, left is +X), in a T-pose.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .errors import MotionliftError

FOLDER = Path(__file__).parent / "skeletons"

FEET = ("l_heel", "l_toe", "r_heel", "r_toe")
"""The feet points whose contact with the ground a network predicts, in its order."""


@dataclass(frozen=True)
class Bone:
    """A bone from joint `head` to joint `tail`, and where its rotation comes from (see body.toml)."""

    name: str
    parent: str | None
    head: str
    tail: str
    fit: tuple[str, ...] = ()
    hinge: tuple[str, ...] = ()
    axis: tuple[float, ...] = ()
    between: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skeleton:
    """Joints (parents before children) and bones (likewise) of a character at rest.

    Attributes:
        joint_names: J names.
        parents: index of each joint's parent, -1 for the root.
        rest: (J, 3) rest positions in metres, scene space.
        markers: True for points fixed to a bone (nose, knuckles, heel) that carry no bone themselves.
        height: standing height of the rest pose in metres.
        bones: B bones.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    rest: NDArray[np.float32]
    markers: tuple[bool, ...]
    height: float
    bones: tuple[Bone, ...]

    def joint(self, name: str) -> int:
        """Index of a joint."""
        return self.joint_names.index(name)

    @cached_property
    def mirror(self) -> NDArray[np.intp]:
        """(J,) index of each joint's mirror image; a joint on the midline mirrors itself."""
        return np.array([self.joint(mirror_name(n)) for n in self.joint_names])

    @cached_property
    def symmetric(self) -> bool:
        """Whether the rest pose is its own mirror image: a person is, a hand is not."""
        return bool(np.allclose(self.rest[self.mirror] * [-1, 1, 1], self.rest, atol=1e-4))

    @cached_property
    def contact_mirror(self) -> NDArray[np.intp]:
        """Index of the mirror image of each of the skeleton's points of contact."""
        points = [n for n in FEET if n in self.joint_names]
        return np.array([points.index(mirror_name(n)) for n in points], np.intp)

    @cached_property
    def rest_offsets(self) -> NDArray[np.float64]:
        """(J, 3) offset of each joint from its parent at rest, metres; zero for the root."""
        parents = np.array(self.parents)
        rest = self.rest.astype(np.float64)
        return np.where(parents[:, None] >= 0, rest - rest[parents], 0.0)

    @cached_property
    def bone_parents(self) -> tuple[int, ...]:
        """(B,) index of each bone's parent bone, -1 for the root."""
        names = [b.name for b in self.bones]
        return tuple(-1 if b.parent is None else names.index(b.parent) for b in self.bones)

    @cached_property
    def bone_of_joint(self) -> NDArray[np.intp]:
        """(J,) index of the bone that moves each joint relative to its parent joint; -1 for the root.

        The bone that starts at the joint's parent; where several start there, the first.
        """
        heads = [b.head for b in self.bones]
        return np.array([-1 if p < 0 else heads.index(self.joint_names[p]) for p in self.parents])

    def subset(self, names: Sequence[str]) -> Skeleton:
        """These joints alone, in this skeleton's order, without bones; a joint's parent is its nearest ancestor here.

        Raises MotionliftError for a name that is not a joint, or if the root is left out.
        """
        unknown = sorted(set(names) - set(self.joint_names))
        if unknown or self.joint_names[0] not in names:
            what = f"has no joint {', '.join(unknown)}" if unknown else f"needs its root {self.joint_names[0]}"
            raise MotionliftError(f"Skeleton {self.name} {what}", f"Its joints are {', '.join(self.joint_names)}")
        keep = [j for j, n in enumerate(self.joint_names) if n in names]
        parents: list[int] = []
        for j in keep:
            parent = self.parents[j]
            while parent >= 0 and parent not in keep:
                parent = self.parents[parent]
            parents.append(-1 if parent < 0 else keep.index(parent))
        return Skeleton(
            self.name,
            tuple(self.joint_names[j] for j in keep),
            tuple(parents),
            self.rest[keep],
            tuple(self.markers[j] for j in keep),
            self.height,
            (),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a take's header or a checkpoint; `skeleton_from_dict` reads it."""
        joints: list[dict[str, Any]] = []
        for n, p, r, m in zip(self.joint_names, self.parents, self.rest.tolist(), self.markers, strict=True):
            joint: dict[str, Any] = {"name": n, "rest": [round(float(x), 5) for x in r]}
            if p >= 0:
                joint["parent"] = self.joint_names[p]
            if m:
                joint["marker"] = True
            joints.append(joint)
        bones: list[dict[str, Any]] = []
        for b in self.bones:
            bone: dict[str, Any] = {"name": b.name, "head": b.head, "tail": b.tail}
            bone |= {} if b.parent is None else {"parent": b.parent}
            bone |= {k: list(getattr(b, k)) for k in ("fit", "hinge", "axis", "between") if getattr(b, k)}
            bones.append(bone)
        return {"name": self.name, "height": self.height, "joints": joints, "bones": bones}


def mirror_name(name: str) -> str:
    """`l_knee` <-> `r_knee`; other names unchanged."""
    return {"l_": "r_", "r_": "l_"}.get(name[:2], name[:2]) + name[2:]


def _mirrored(entry: dict[str, Any], *, is_joint: bool) -> dict[str, Any]:
    def flip(value: Any) -> Any:
        if isinstance(value, str):
            return mirror_name(value)
        return [mirror_name(v) for v in value]

    out = {
        k: flip(v) if k in ("name", "parent", "head", "tail", "fit", "hinge", "between") else v
        for k, v in entry.items()
    }
    if is_joint:
        x, y, z = entry["rest"]
        out["rest"] = [-x, y, z]
    elif "axis" in entry:
        # An axis of rotation is a pseudovector: mirroring x keeps its x and flips the rest.
        x, y, z = entry["axis"]
        out["axis"] = [x, -y, -z]
    return out


def skeleton_from_dict(data: dict[str, Any], source: str = "skeleton") -> Skeleton:
    """A skeleton from parsed TOML or from a take's header.

    Left entries without a right counterpart are mirrored. Raises MotionliftError on a missing key,
    an unknown name or a child listed before its parent.
    """
    remedy = "Compare it with lifter/skeletons/body.toml"
    try:
        joints = cast(list[dict[str, Any]], list(data["joints"]))
        bones = cast(list[dict[str, Any]], list(data.get("bones", [])))
        for entries, is_joint in ((joints, True), (bones, False)):
            names = {e["name"] for e in entries}
            for e in list(entries):
                if e["name"].startswith("l_") and mirror_name(e["name"]) not in names:
                    entries.append(_mirrored(e, is_joint=is_joint))
        names = [str(j["name"]) for j in joints]
        if len(set(names)) != len(names):
            raise MotionliftError(f"{source}: a joint name stands twice", remedy)
        parents = tuple(names.index(j["parent"]) if "parent" in j else -1 for j in joints)
        if sum(p < 0 for p in parents) != 1 or parents[0] != -1:
            raise MotionliftError(f"{source}: exactly the first joint must be without a parent", remedy)
        if any(p >= i for i, p in enumerate(parents)):
            raise MotionliftError(f"{source}: a joint stands before its parent", remedy)
        made = tuple(
            Bone(
                name=b["name"],
                parent=b.get("parent"),
                head=b["head"],
                tail=b["tail"],
                fit=tuple(b.get("fit", ())),
                hinge=tuple(b.get("hinge", ())),
                axis=tuple(b.get("axis", ())),
                between=tuple(b.get("between", ())),
            )
            for b in bones
        )
        for b in made:
            for n in (b.head, b.tail, *b.fit, *b.hinge):
                names.index(n)
        rest = np.array([j["rest"] for j in joints], np.float32)
        if rest.shape != (len(names), 3) or not np.isfinite(rest).all():
            raise MotionliftError(f"{source}: `rest` must be three finite numbers a joint", remedy)
        return Skeleton(
            name=str(data["name"]),
            joint_names=tuple(names),
            parents=parents,
            rest=rest,
            markers=tuple(bool(j.get("marker", False)) for j in joints),
            height=float(data.get("height", float(np.ptp(rest[:, 2])))),
            bones=made,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise MotionliftError(f"{source}: not a valid skeleton ({type(error).__name__}: {error})", remedy) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MotionliftError(f"{path}: cannot be read as TOML ({error})", "Check the file") from error


@cache
def load_skeleton(name: str = "body") -> Skeleton:
    """A skeleton by the name of a file in lifter/skeletons, or by the path of a .toml file."""
    path = FOLDER / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml") if p.stem != "layouts"))
        raise MotionliftError(f"No skeleton {name!r}", f"Known are {known}; or give the path of a .toml file")
    return skeleton_from_dict(_read_toml(path), str(path))


@cache
def load_layouts() -> dict[str, tuple[str, ...]]:
    """Keypoint names of every known 2D layout, in the detector's order."""
    return {name: tuple(entry["keypoints"]) for name, entry in _read_toml(FOLDER / "layouts.toml").items()}


def layout_keypoints(layout: str) -> tuple[str, ...]:
    """Keypoint names of one layout, in its order: by name, or the joints of a skeleton by the path of its .toml file.

    Raises MotionliftError with the known ones for another name.
    """
    if layout.endswith(".toml"):
        return load_skeleton(layout).joint_names
    layouts = load_layouts()
    if layout not in layouts:
        raise MotionliftError(f"Unknown keypoint layout {layout!r}", f"Use one of {', '.join(sorted(layouts))}")
    return layouts[layout]


def keypoints_to_joints(
    xy: NDArray[np.floating[Any]], score: NDArray[np.floating[Any]], layout: str, skeleton: Skeleton
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sort a layout's keypoints into the skeleton's joints, by name.

    Args:
        xy: (T, K, 2) pixels, NaN where missing.
        score: (T, K) confidence in 0..1.
    Returns:
        (T, J, 2) pixels and (T, J) scores; joints that the layout lacks are NaN with score 0.
    """
    names = layout_keypoints(layout)
    if xy.shape[1:] != (len(names), 2) or score.shape != xy.shape[:2]:
        raise MotionliftError(
            f"Layout {layout} has {len(names)} keypoints, but xy is {xy.shape} and score {score.shape}",
            f"Pass xy as (T, {len(names)}, 2) and score as (T, {len(names)})",
        )
    joints = len(skeleton.joint_names)
    out_xy = np.full((len(xy), joints, 2), np.nan, np.float32)
    out_score = np.zeros((len(xy), joints), np.float32)
    for k, name in enumerate(names):
        if name in skeleton.joint_names:
            out_xy[:, skeleton.joint(name)] = xy[:, k]
            out_score[:, skeleton.joint(name)] = score[:, k]
    missing = ~np.isfinite(out_xy).all(-1) | ~(out_score > 0)
    out_xy[missing] = np.nan
    out_score[missing] = 0
    return out_xy, out_score
