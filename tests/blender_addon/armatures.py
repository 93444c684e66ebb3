"""Real armatures from plain data, takes of a performer with a rig's proportions, and poses to read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from blender_addon.retarget.rig import Array, RigSpec
from blender_addon.retarget.rotations import rotate
from blender_addon.retarget.slots import FINGERS, SIDES
from blender_addon.take_file import TakeBone, TakeFile, TakePerson

from .make_take import body


def build_armature(rig: RigSpec) -> Any:
    """An armature object in a new file, with the rig's bones, flags, modes and place."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return add_armature(rig)


def add_armature(rig: RigSpec) -> Any:
    data = bpy.data.armatures.new(rig.name)
    armature = bpy.data.objects.new(rig.name, data)
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for i, name in enumerate(rig.names):
        bone = data.edit_bones.new(name)
        bone.head, bone.tail = rig.heads[i], rig.tails[i]
        bone.matrix = Matrix(rig.rest[i].tolist())
        bone.length = rig.lengths[i]
        if rig.parents[i] >= 0:
            bone.parent = data.edit_bones[rig.names[rig.parents[i]]]
    bpy.ops.object.mode_set(mode="OBJECT")
    for i, name in enumerate(rig.names):
        bone = data.bones[name]
        bone.use_inherit_rotation = bool(rig.inherit_rotation[i])
        bone.use_local_location = bool(rig.local_location[i])
        bone.inherit_scale = rig.inherit_scale[i]
        armature.pose.bones[name].rotation_mode = rig.rotation_modes[i]
    armature.matrix_world = Matrix(rig.world.tolist())
    bpy.context.view_layer.update()
    return armature


def posed(armature: Any, frames: list[int]) -> tuple[Array, Array]:
    """(N, B, 3, 3) turn from rest and (N, B, 3) head of every bone, evaluated, armature space."""
    bones = armature.pose.bones
    rest = np.array([b.bone.matrix_local for b in bones], np.float64)[:, :3, :3]
    turns, heads = [], []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        pose = np.array([b.matrix for b in bones], np.float64)
        axes = pose[:, :3, :3] / np.linalg.norm(pose[:, :3, :3], axis=1, keepdims=True)
        turns.append(axes @ np.swapaxes(rest, -1, -2))
        heads.append(pose[:, :3, 3])
    return np.array(turns), np.array(heads)


ENDS = {"shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "shin", "ankle": "foot"}
"""Joints of the take's limbs, and the slot that begins there."""


def performer(rig: RigSpec, truth: dict[str, tuple[str, ...]]) -> dict[str, Array]:
    """T-pose joints, metres, of somebody with the proportions of a rig in T-pose (1 unit = 1 m, Z up, soles at 0)."""
    skeleton = body()
    rest = {j["name"]: np.array(j["rest"], float) for j in skeleton["joints"]}
    parents = {j["name"]: j.get("parent") for j in skeleton["joints"]}
    out: dict[str, Array] = {}
    for name in rest:
        parent, side, part = parents[name], name[:2], name[2:]
        slot = ENDS.get(part)
        if slot and truth.get(side + slot):
            out[name] = rig.heads[rig.index(truth[side + slot][0])].copy()
        elif slot == "foot" and truth.get(side + "shin"):
            out[name] = rig.tails[rig.index(truth[side + "shin"][-1])].copy()
        else:
            out[name] = rest[name] + (out[parent] - rest[parent] if parent else 0)
        if part in ("index", "little") and truth.get(name):
            out[name] = rig.heads[rig.index(truth[name][0])].copy()
        if part in ("heel", "toe"):
            # Straight ahead and behind, as the feet of the rigs are.
            out[name][[0, 2]] = out[f"{side}ankle"][0], 0.0
    return out


def with_fingers(
    rig: RigSpec, truth: dict[str, tuple[str, ...]], rest: dict[str, Array]
) -> dict[str, list[dict[str, str]]]:
    """The default skeleton and fingers as the rig has them; their joints join `rest`."""
    skeleton = body()
    for slot in (f"{s}_{f}" for s in SIDES for f in FINGERS):
        parent_joint, parent_bone = f"{slot[0]}_wrist", f"{slot[0]}_hand"
        bones = truth.get(slot, ())
        for n, bone in enumerate(bones, 1):
            joint, end = f"{slot}_{n}", f"{slot}_{n + 1}" if n < len(bones) else f"{slot}_tip"
            rest[joint] = rig.heads[rig.index(bone)].copy()
            rest[end] = rig.tails[rig.index(bone)].copy()
            skeleton["joints"].append({"name": joint, "parent": parent_joint})
            skeleton["bones"].append({"name": joint, "parent": parent_bone, "head": joint, "tail": end})
            parent_joint, parent_bone = joint, joint
        if bones:
            skeleton["joints"].append({"name": f"{slot}_tip", "parent": parent_joint})
    return skeleton


def make_motion(
    rest: dict[str, Array],
    turns: dict[str, Array],
    root: Array,
    fps: float = 24.0,
    contact: Array | None = None,
    skeleton: dict[str, list[dict[str, str]]] | None = None,
) -> TakeFile:
    """A take of one person: joints by forward kinematics from (N, 4) turns of bones and the (N, 3) root."""
    skeleton = skeleton or body()
    joints, bones = skeleton["joints"], skeleton["bones"]
    names = [j["name"] for j in joints]
    parents = [names.index(j["parent"]) if "parent" in j else -1 for j in joints]
    offsets = np.array([rest[n] - (rest[names[p]] if p >= 0 else rest[n]) for n, p in zip(names, parents, strict=True)])
    starts = {b["head"]: b["name"] for b in bones}
    world = np.zeros((len(root), len(names), 3))
    world[:, 0] = root
    for j, p in enumerate(parents):
        if p >= 0:
            world[:, j] = world[:, p] + rotate(turns[starts[names[p]]], offsets[j])
    count = len(root)
    person = TakePerson(
        frames=np.arange(count, dtype=np.int32),
        state=np.ones(count, np.uint8),
        contact=np.zeros((count, 4), np.float32) if contact is None else contact.astype(np.float32),
        joints_world=world.astype(np.float32),
        rotations=np.stack([turns[b["name"]] for b in bones], 1).astype(np.float32),
        offsets=offsets.astype(np.float32),
    )
    return TakeFile(
        path=Path("a take.take.npz"),
        fps=fps,
        footage=None,
        image_size=(640, 480),
        joint_names=tuple(names),
        joint_parents=tuple(parents),
        bones=tuple(TakeBone(b["name"], b.get("parent"), b["head"], b["tail"]) for b in bones),
        K=np.eye(3),
        R=np.eye(3),
        t=np.zeros(3),
        people=(person,),
    )
