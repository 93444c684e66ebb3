"""Build a clothed person of simple parts in Blender, moved rigidly by the truth's joints.

Each garment is one mesh of ellipsoids and tapered limbs. A voxel remesh after the armature melts its parts
into one smooth surface in every frame, so that shoulders and knees bend without gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from lifter.rotation import normalize
from lifter.skeleton import Skeleton

from .shots import Color, Performer

Array = NDArray[np.float64]


@dataclass
class Garment:
    """A mesh under construction: points, faces, and the bone that moves each point."""

    name: str
    color: Color
    voxel: float
    points: list[Array] = field(default_factory=list[Array])
    faces: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    bones: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])

    def add(self, bone: str, points: Array, faces: list[tuple[int, ...]]) -> None:
        start = sum(map(len, self.points))
        self.points.append(points)
        self.faces += [tuple(start + i for i in f) for f in faces]
        self.bones.append((bone, start, start + len(points)))

    def ball(self, bone: str, center: Array, radii: tuple[float, float, float] | float, axes: Array | None = None) -> None:
        points, faces = _sphere()
        points = points * np.broadcast_to(np.array(radii), (3,))
        self.add(bone, (points if axes is None else points @ axes.T) + center, faces)

    def limb(self, bone: str, a: Array, b: Array, ra: float, rb: float, squash: float = 1.0) -> None:
        """A tapered tube with round ends from a to b; `squash` flattens it along Y."""
        points, faces = _sphere()
        along = normalize(b - a)
        across = normalize(np.cross(along, [0.0, 1.0, 0.0]) if abs(along[1]) < 0.9 else np.cross(along, [1.0, 0, 0]))
        frame = np.stack([across, np.cross(along, across), along], -1)
        top = points[:, 2:] > 0
        shaped = np.where(top, points * rb, points * ra) * [1, squash, 1]
        self.add(bone, shaped @ frame.T + np.where(top, b, a), faces)


def _sphere(sides: int = 20, rings: int = 12) -> tuple[Array, list[tuple[int, ...]]]:
    polar = (np.arange(rings) + 0.5) / rings * np.pi
    turn = np.arange(sides) / sides * 2 * np.pi
    grid = np.stack(np.broadcast_arrays(np.sin(polar)[:, None] * np.cos(turn), np.sin(polar)[:, None] * np.sin(turn),
                                        np.cos(polar)[:, None]), -1).reshape(-1, 3)
    faces: list[tuple[int, ...]] = [
        (r * sides + s, (r + 1) * sides + s, (r + 1) * sides + (s + 1) % sides, r * sides + (s + 1) % sides)
        for r in range(rings - 1) for s in range(sides)
    ]
    return grid, [*faces, tuple(range(sides)), tuple(range(len(grid) - 1, len(grid) - sides - 1, -1))]


def dress(skeleton: Skeleton, rest: Array, p: Performer) -> list[Garment]:
    """Garments around (J, 3) rest joints."""
    at = dict(zip(skeleton.joint_names, rest, strict=True))
    k = p.height / 1.75
    g = p.girth * k
    shirt = Garment("shirt", p.shirt, 0.018)
    trousers = Garment("trousers", p.trousers, 0.018)
    skin = Garment("skin", p.skin, 0.012)
    shoes = Garment("shoes", p.shoes, 0.012)
    hair = Garment("hair", p.hair, 0.014)
    up, front = np.array([0, 0, 1.0]), np.array([0, -1.0, 0])

    half = at["l_shoulder"][0]
    shirt.ball("spine", at["spine"] + 0.05 * up * k, (0.145 * g, 0.105 * g, 0.13 * k))
    shirt.ball("chest", at["chest"] + 0.02 * up * k, (0.155 * g, 0.112 * g, 0.15 * k))
    shirt.ball("chest", at["chest"] + 0.12 * up * k + 0.01 * front, (half * 0.86, 0.112 * g, 0.115 * k))
    shirt.ball("pelvis", at["pelvis"] + 0.04 * up * k, (0.152 * g, 0.11 * g, 0.10 * k))
    trousers.ball("pelvis", at["pelvis"] - 0.005 * up * k, (0.158 * g, 0.118 * g, 0.105 * k))
    skin.limb("neck", at["neck"] - 0.03 * up * k, at["head"] + 0.03 * up * k, 0.06 * g, 0.054 * g)

    head = at["head"]
    top = at["head_top"][2] - head[2]
    middle = head + up * top * 0.50 + front * 0.012 * k
    face = float(at["nose"][1] - middle[1])  # negative: in front
    skin.ball("head", middle, (0.074 * k, -face * 0.93, top * 0.52))
    skin.ball("head", head + up * 0.01 * k + front * 0.045 * k, (0.055 * k, 0.055 * k, 0.05 * k))
    hair.ball("head", middle + up * top * 0.09 - front * 0.022 * k, (0.081 * k, -face * 0.93, top * 0.47))

    def face_at(x: float, z: float) -> Array:
        """The point of the face's surface at x and z."""
        inside = 1 - (x / (0.074 * k)) ** 2 - ((z - middle[2]) / (top * 0.52)) ** 2
        return np.array([x, middle[1] + face * 0.93 * np.sqrt(max(inside, 0.05)), z])

    features: list[Garment] = [shirt, trousers, skin, shoes, hair]
    white = Garment("eyes", (0.85, 0.83, 0.8), 0)
    dark = Garment("pupils", (0.02, 0.015, 0.01), 0)
    lips = Garment("lips", (0.42, 0.12, 0.10), 0)
    nose = Garment("nose", tuple(0.95 * c for c in p.skin), 0)  # type: ignore[arg-type]
    level = at["nose"][2]
    nose.ball("head", at["nose"] - 0.012 * front * k, (0.015 * k, 0.016 * k, 0.014 * k))
    nose.ball("head", at["nose"] + np.array([0, 0.022, 0.022]) * k, (0.010 * k, 0.016 * k, 0.026 * k))
    lips.ball("head", face_at(0, level - 0.042 * k) - 0.012 * front * k, (0.024 * k, 0.010 * k, 0.007 * k))
    for s, sign in (("l", 1.0), ("r", -1.0)):
        eye = face_at(sign * 0.031 * k, level + 0.034 * k) + 0.003 * front * k
        white.ball("head", eye, (0.014 * k, 0.007 * k, 0.008 * k))
        dark.ball("head", eye + front * 0.005 * k, (0.007 * k, 0.004 * k, 0.007 * k))
        dark.ball("head", face_at(sign * 0.033 * k, level + 0.054 * k) + 0.003 * front * k, (0.018 * k, 0.006 * k, 0.004 * k))
        nose.ball("head", at[f"{s}_ear"] + np.array([sign * 0.002, 0.004, 0]) * k, (0.010 * k, 0.020 * k, 0.030 * k))
        shoulder, elbow, wrist = at[f"{s}_shoulder"], at[f"{s}_elbow"], at[f"{s}_wrist"]
        shirt.limb(f"{s}_clavicle", at[f"{s}_clavicle"] - 0.01 * up, shoulder - 0.008 * up, 0.066 * g, 0.060 * g)
        shirt.limb(f"{s}_upper_arm", shoulder, shoulder + 0.62 * (elbow - shoulder), 0.062 * g, 0.055 * g)
        skin.limb(f"{s}_upper_arm", shoulder + 0.3 * (elbow - shoulder), elbow, 0.047 * g, 0.040 * g)
        skin.limb(f"{s}_forearm", elbow, elbow + 0.35 * (wrist - elbow), 0.040 * g, 0.041 * g)
        skin.limb(f"{s}_forearm", elbow + 0.3 * (wrist - elbow), wrist, 0.042 * g, 0.027 * g)
        index, little, thumb = at[f"{s}_index"], at[f"{s}_little"], at[f"{s}_thumb"]
        for knuckle, reach in ((index, 0.95), (index * 0.67 + little * 0.33, 1.05), (index * 0.33 + little * 0.67, 1.0), (little, 0.75)):
            out = normalize(knuckle - wrist)
            skin.limb(f"{s}_hand", wrist, knuckle, 0.019 * g, 0.013 * g)
            skin.limb(f"{s}_hand", knuckle, knuckle + out * 0.075 * k * reach - up * 0.012 * k, 0.0115 * g, 0.009 * g)
        skin.limb(f"{s}_hand", wrist, thumb, 0.018 * g, 0.014 * g)
        skin.limb(f"{s}_hand", thumb, thumb + normalize(thumb - wrist) * 0.03 * k + normalize(index - wrist) * 0.03 * k, 0.013 * g, 0.010 * g)
        hip, knee, ankle = at[f"{s}_hip"], at[f"{s}_knee"], at[f"{s}_ankle"]
        trousers.limb(f"{s}_thigh", hip, knee, 0.090 * g, 0.058 * g)
        trousers.limb(f"{s}_shin", knee, knee + 0.35 * (ankle - knee), 0.056 * g, 0.058 * g)
        trousers.limb(f"{s}_shin", knee + 0.3 * (ankle - knee), ankle + 0.03 * up, 0.058 * g, 0.046 * g)
        heel, toe = at[f"{s}_heel"], at[f"{s}_toe"]
        sole = heel[2] - 0.02 * k
        shoes.limb(f"{s}_foot", ankle + 0.015 * up, np.array([ankle[0], ankle[1] + 0.01, sole + 0.045 * k]), 0.044 * g, 0.042 * g)
        shoes.limb(f"{s}_foot", np.array([heel[0], heel[1] - 0.034 * k, sole + 0.036 * k]), np.array([toe[0], toe[1] + 0.04 * k, sole + 0.032 * k]),
                   0.036 * k, 0.034 * k, 1.0)
        shoes.ball(f"{s}_foot", np.array([toe[0] - sign * 0.012 * k, toe[1] + 0.055 * k, sole + 0.026 * k]), (0.046 * k, 0.055 * k, 0.026 * k))
    return [*features, white, dark, lips, nose]


def build_person(skeleton: Skeleton, offsets: Array, rotations: Array, joints: Array, p: Performer, first_frame: int = 1) -> None:
    """Garment objects in the open scene, each part moved by its bone; keyed as the performance says."""
    rest = np.zeros_like(offsets)
    for j, parent in enumerate(skeleton.parents):
        if parent >= 0:
            rest[j] = rest[parent] + offsets[j]
    data = bpy.data.armatures.new("performer")
    armature = bpy.data.objects.new("performer", data)
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in skeleton.bones:
        edit = data.edit_bones.new(bone.name)
        edit.head = rest[skeleton.joint(bone.head)]
        edit.tail = edit.head + _up()
    bpy.ops.object.mode_set(mode="OBJECT")
    # All bones stand upright at rest and without parents: a pose bone's basis is the motion itself, but for
    # the rest axes that point up.
    from blender_addon.fcurves import new_action, write_keys

    make = new_action(armature, "performance")
    from lifter.rotation import continuous, matrix_to_quat

    frames = np.arange(len(joints)) + float(first_frame)
    held = np.zeros(len(frames), bool)
    for b, bone in enumerate(skeleton.bones):
        axes = np.array(data.bones[bone.name].matrix_local, np.float64)[:3, :3]
        armature.pose.bones[bone.name].rotation_mode = "QUATERNION"
        turn = axes.T @ rotations[:, b] @ axes
        place = (joints[:, skeleton.joint(bone.head)] - rest[skeleton.joint(bone.head)]) @ axes
        target = f'pose.bones["{bone.name}"]'
        write_keys(make, f"{target}.rotation_quaternion", bone.name, frames, continuous(matrix_to_quat(turn)), held)
        write_keys(make, f"{target}.location", bone.name, frames, place, held)
    for garment in dress(skeleton, rest, p):
        _build_garment(garment, armature)


def _up() -> Any:
    from mathutils import Vector

    return Vector((0, 0, 0.1))


def _build_garment(garment: Garment, armature: Any) -> None:
    mesh = bpy.data.meshes.new(garment.name)
    mesh.from_pydata(np.concatenate(garment.points).tolist(), [], garment.faces)
    thing = bpy.data.objects.new(garment.name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    for bone in dict.fromkeys(b for b, _, _ in garment.bones):
        group = thing.vertex_groups.new(name=bone)
        for name, start, stop in garment.bones:
            if name == bone:
                group.add(list(range(start, stop)), 1.0, "REPLACE")
    thing.modifiers.new("Armature", "ARMATURE").object = armature
    if garment.voxel:
        melt = thing.modifiers.new("Remesh", "REMESH")
        melt.mode, melt.voxel_size, melt.use_smooth_shade = "VOXEL", garment.voxel, True
        smooth = thing.modifiers.new("Smooth", "SMOOTH")
        smooth.factor, smooth.iterations = 0.5, 4
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    material = bpy.data.materials.new(garment.name)
    material.diffuse_color = (*garment.color, 1)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*garment.color, 1)
    shader.inputs["Roughness"].default_value = 0.7
    mesh.materials.append(material)
