"""A human armature in the performer's own proportions, keyed from a take, with a plain body to see it by."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from .fcurves import new_action, write_keys
from .pose import bone_keys, last_before_gap, rest_joints, root_keys
from .retarget.rotations import Array
from .take_file import GAP, TakeFile, TakePerson

FIRST_FRAME = 1
"""Frame 0 of a take is frame 1 of the scene, where Blender also puts the first frame of footage."""


def build_armature(take: TakeFile, person: TakePerson, name: str) -> Any:
    """An armature object at the origin, in T-pose, facing -Y, with one bone for each of the take's."""
    data = bpy.data.armatures.new(name)
    armature = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(armature)
    rest = rest_joints(take, person)
    at = dict(zip(take.joint_names, rest, strict=True))
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in take.bones:
        edit = data.edit_bones.new(bone.name)
        head, tail = at[bone.head], at[bone.tail]
        # A bone of no length would be removed when edit mode ends.
        edit.head, edit.tail = head, tail if np.linalg.norm(tail - head) > 1e-4 else head + [0, 0, 0.01]
        edit.align_roll(Vector((0, -1, 0)) if abs(edit.vector.normalized().y) < 0.9 else Vector((0, 0, 1)))
        if bone.parent:
            edit.parent = data.edit_bones[bone.parent]
            edit.use_connect = bool(np.linalg.norm(at[bone.head] - np.array(edit.parent.tail)) < 1e-6)
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def key_armature(take: TakeFile, person: TakePerson, armature: Any, name: str) -> None:
    """Key every bone's rotation and the root's path in a new action."""
    bones = [armature.data.bones[b.name] for b in take.bones]
    rest = np.array([np.array(b.matrix_local)[:3, :3] for b in bones], np.float64)
    shown = person.state != GAP
    frames = person.frames[shown]
    held = last_before_gap(frames)
    times = frames.astype(np.float64) + FIRST_FRAME
    turns = bone_keys(take, person, shown, rest)
    path = root_keys(person, shown, np.array(bones[0].head_local, np.float64), rest[0])
    make = new_action(armature, name)
    for b, bone in enumerate(bones):
        armature.pose.bones[bone.name].rotation_mode = "QUATERNION"
        target = f'pose.bones["{bone.name}"]'
        if b == 0:
            write_keys(make, f"{target}.location", bone.name, times, path, held)
        write_keys(make, f"{target}.rotation_quaternion", bone.name, times, turns[:, b], held)


def build_body(armature: Any, take: TakeFile, person: TakePerson) -> Any:
    """A mesh of one spindle a bone and a head, moved by the armature, to be seen in renders."""
    rest = dict(zip(take.joint_names, rest_joints(take, person), strict=True))
    vertices: list[Array] = []
    faces: list[tuple[int, ...]] = []
    mesh = bpy.data.meshes.new(f"{armature.name} body")
    body = bpy.data.objects.new(mesh.name, mesh)
    members: list[tuple[str, range]] = []
    for bone in take.bones:
        head, tail = rest[bone.head], rest[bone.tail]
        wide = bone.name in ("pelvis", "spine", "chest", "head")
        thin = min(0.032, 0.3 * float(np.linalg.norm(tail - head)))  # fingers
        points, quads = _spindle(head, tail, 0.07 if bone.name == "head" else 0.055 if wide else thin)
        start = sum(len(v) for v in vertices)
        faces += [tuple(start + i for i in q) for q in quads]
        vertices.append(points)
        members.append((bone.name, range(start, start + len(points))))
    mesh.from_pydata(np.concatenate(vertices).tolist(), [], faces)
    for name, indices in members:
        body.vertex_groups.new(name=name).add(list(indices), 1.0, "REPLACE")
    bpy.context.scene.collection.objects.link(body)
    body.parent = armature
    body.modifiers.new("Armature", "ARMATURE").object = armature
    material = bpy.data.materials.new("Motionlift body")
    material.diffuse_color = (0.85, 0.45, 0.12, 1)
    mesh.materials.append(material)
    return body


def _spindle(
    head: Array, tail: Array, radius: float, sides: int = 10, rings: int = 8
) -> tuple[Array, list[tuple[int, ...]]]:
    """Points and faces of an ellipsoid from head to tail."""
    along = tail - head
    length = float(np.linalg.norm(along)) or 0.01
    axis = along / length
    across = np.cross(axis, [0, 1, 0] if abs(axis[1]) < 0.9 else [1, 0, 0])
    across /= np.linalg.norm(across)
    other = np.cross(axis, across)
    polar = np.linspace(0, np.pi, rings + 2)[1:-1]
    turn = np.arange(sides) / sides * 2 * np.pi
    ring = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * other
    points = [head + axis * length * (1 - np.cos(p)) / 2 + ring * radius * np.sin(p) for p in polar]
    stacked = np.concatenate([*points, [head], [tail]])
    faces: list[tuple[int, ...]] = []
    for r in range(rings - 1):
        for s in range(sides):
            n = (s + 1) % sides
            faces.append((r * sides + s, r * sides + n, (r + 1) * sides + n, (r + 1) * sides + s))
    low, high = rings * sides, rings * sides + 1
    for s in range(sides):
        n = (s + 1) % sides
        faces.append((low, n, s))
        faces.append((high, (rings - 1) * sides + s, (rings - 1) * sides + n))
    return stacked, faces
