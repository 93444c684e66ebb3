"""Pictures of hands whose fingers are known: a palm, capsules for fingers, nails, in skin colours, rendered by Cycles.

Poses, proportions, colours, lights, backgrounds and views are drawn at random from a seed. Needs bpy.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy as untyped_bpy
import cv2
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from lifter.hands import AT_REST, HIGHEST, KNUCKLES, LENGTHS, LOWEST, finger_turns, hand_shape, limited

bpy: Any = untyped_bpy

Array = NDArray[np.float64]

SIDE = 384
"""Pixels of a picture, width and height."""
FOCAL, DISTANCE = 2.2 * SIDE, 0.75
"""Of the camera, pixels and metres: a hand is about 210 pixels long."""
_ORDINARY = (0.0095, 0.0086, 0.0076, 0.0064)
RADII = ((0.0115, 0.0105, 0.0095, 0.0080), _ORDINARY, _ORDINARY, _ORDINARY, (0.0082, 0.0074, 0.0066, 0.0056))
"""Metres, at the four points of each finger."""
SKIN = ((0.62, 0.36, 0.25), (0.50, 0.27, 0.17), (0.72, 0.46, 0.34), (0.28, 0.14, 0.08), (0.14, 0.07, 0.045))


@dataclass(frozen=True)
class Picture:
    """rgb: (SIDE, SIDE, 3); side: 0 left, 1 right; angles: (5, 4); points: (21, 3) metres, camera axes; xy: (21, 2)
    pixels; elbow: (2,) pixels, far down the forearm."""

    rgb: NDArray[np.uint8]
    side: int
    angles: Array
    points: Array
    xy: Array
    elbow: Array


def random_angles(rng: np.random.Generator) -> Array:
    """(5, 4) of a hand that somebody might hold up: each finger straight, relaxed, bent or closed, thumb anyhow."""
    curl = np.clip(rng.choice([0.02, 0.25, 0.55, 0.95], 4) + rng.normal(0, 0.08, 4), 0, 1)
    if rng.random() < 0.6:  # mostly fingers do the same
        curl = np.clip(curl[0] + rng.normal(0, 0.08, 4), 0, 1)
    out = AT_REST.copy()
    out[1:, 1:] = np.radians([75, 95, 60]) * curl[:, None] + np.radians(rng.normal(0, 6, (4, 3)))
    out[1:, 0] = np.radians(rng.normal(0, 6)) * np.array([1, 0.2, -0.6, -1]) + np.radians(rng.normal(0, 2, 4))
    out[0] = np.radians([rng.uniform(-20, 25), rng.uniform(-15, 35), rng.uniform(0, 45), rng.uniform(0, 60)])
    return limited(np.clip(out, LOWEST, HIGHEST))


def random_turn(rng: np.random.Generator) -> Array:
    """(3, 3) from the T-pose's axes to the camera's, any way round but for looking along the fingers."""
    while True:
        q = rng.normal(size=4)
        w, x, y, z = q / np.linalg.norm(q)
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        if abs(turn[2, 0]) < 0.75:
            return turn


def render_hand(seed: int, angles: Array | None = None, turn: Array | None = None, samples: int = 12) -> Picture:
    """A hand in a new scene. angles, turn: as drawn where None."""
    rng = np.random.default_rng(seed)
    drawn, view = random_angles(rng), random_turn(rng)
    angles, turn = drawn if angles is None else angles, view if turn is None else turn
    side = int(rng.integers(2))
    knuckles = KNUCKLES * (1 + rng.normal(0, 0.04, (5, 1)))
    lengths = LENGTHS * (1 + rng.normal(0, 0.06, (5, 1)))
    shape = hand_shape(angles, knuckles, lengths)
    elbow = np.array([-0.24, 0.0, 0.0]) @ _bent_wrist(rng).T
    mirror = np.array([-1.0 if side else 1.0, 1, 1])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    skin = np.array(SKIN[int(rng.integers(len(SKIN)))]) * rng.uniform(0.85, 1.15)
    _body(shape * mirror, elbow * mirror, skin)
    _nails(shape, finger_turns(angles), mirror, skin)
    middle = shape[[0, 9]].mean(0) * mirror
    place = -turn @ middle + [rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), DISTANCE]
    _scene(turn, place, rng, samples)
    rgb = _render()
    points = (shape * mirror) @ turn.T
    seen = points + place
    xy = seen[:, :2] / seen[:, 2:] * FOCAL + SIDE / 2
    far = turn @ (elbow * mirror) + place
    return Picture(rgb, side, angles, points, xy, far[:2] / max(far[2], 0.2) * FOCAL + SIDE / 2)


def _bent_wrist(rng: np.random.Generator) -> Array:
    a, b = np.radians(rng.normal(0, 15)), np.radians(rng.normal(0, 8))
    up = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    out = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return up @ out


def _body(shape: Array, elbow: Array, skin: Array) -> None:
    """Hand and forearm, melted into one surface."""
    import bmesh

    mesh = bpy.data.meshes.new("hand")
    whole = bmesh.new()

    def hull(centres: list[Array], radii: list[float]) -> None:
        part = bmesh.new()
        for centre, radius in zip(centres, radii, strict=True):
            ball = bmesh.ops.create_icosphere(part, subdivisions=3, radius=radius)["verts"]
            bmesh.ops.translate(part, verts=ball, vec=centre.tolist())
        found = bmesh.ops.convex_hull(part, input=part.verts[:])
        bmesh.ops.delete(part, geom=[*found["geom_interior"], *found["geom_unused"]], context="VERTS")
        one = bpy.data.meshes.new("part")
        part.to_mesh(one)
        part.free()
        whole.from_mesh(one)

    for finger in range(5):
        points = shape[1 + 4 * finger : 5 + 4 * finger]
        for k in range(3):
            hull([points[k], points[k + 1]], list(RADII[finger][k : k + 2]))
    wrist, across = shape[0], shape[5] - shape[17]
    across = across / np.linalg.norm(across)
    corners = [wrist + 0.016 * across, wrist - 0.016 * across]
    for a, b in ((5, 9), (9, 13), (13, 17)):
        hull([*corners, shape[a], shape[b]], [0.0155, 0.0155, 0.0105, 0.0105])
    hull([*corners, shape[1], shape[5]], [0.0155, 0.0155, 0.0165, 0.0100])
    hull([shape[1], shape[2], 0.5 * (shape[5] + shape[9])], [0.0165, 0.0115, 0.0085])
    hull([*corners, elbow + 0.02 * across, elbow - 0.02 * across], [0.0165, 0.0165, 0.034, 0.034])
    whole.to_mesh(mesh)
    whole.free()
    body = bpy.data.objects.new("hand", mesh)
    bpy.context.scene.collection.objects.link(body)
    melt = body.modifiers.new("melt", "REMESH")
    melt.mode, melt.voxel_size, melt.use_smooth_shade = "VOXEL", 0.0018, True
    soften = body.modifiers.new("smooth", "SMOOTH")
    soften.factor, soften.iterations = 0.5, 4
    mesh.materials.append(_material("skin", skin, 0.5, rough=True))


def _nails(shape: Array, turns: Array, mirror: Array, skin: Array) -> None:
    from lifter.hands import FRAMES

    for finger in range(5):
        axes = turns[finger, 2] @ FRAMES[finger]  # along, side, palm
        end, start = shape[4 + 4 * finger], shape[3 + 4 * finger]
        radius = RADII[finger][3]
        centre = start + 0.86 * (end - start) - axes[:, 2] * radius * 0.98
        bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=10)
        nail = bpy.context.object
        scaled = np.eye(4)
        scaled[:3, :3] = (axes * [radius * 1.1, radius * 0.8, radius * 0.28]) * mirror[:, None]
        scaled[:3, 3] = centre * mirror
        nail.matrix_world = Matrix(scaled.tolist())
        nail.data.transform(nail.matrix_world)
        nail.matrix_world = Matrix.Identity(4)
        nail.data.materials.append(_material("nail", np.clip(skin * 1.25 + [0.06, 0.03, 0.03], 0, 0.9), 0.25))


def _material(name: str, colour: Array, roughness: float, rough: bool = False) -> Any:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour.tolist(), 1)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Subsurface Weight"].default_value = 0.0
    if rough:
        noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
        noise.inputs["Scale"].default_value = 60
        for stop, place, share in zip(ramp.color_ramp.elements, (0.35, 0.65), (0.9, 1.08), strict=True):
            stop.position, stop.color = place, (*(colour * share).clip(0, 1).tolist(), 1)
        tree.links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
        tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


def _scene(turn: Array, place: Array, rng: np.random.Generator, samples: int) -> None:
    scene = bpy.context.scene
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.lens_unit, data.angle = "HORIZONTAL", "FOV", 2 * np.arctan(SIDE / 2 / FOCAL)
    camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(camera)
    own = np.eye(4)
    own[:3, :3] = turn.T @ np.diag([1, -1, -1])
    own[:3, 3] = -turn.T @ place
    camera.matrix_world = Matrix(own.tolist())
    scene.camera = camera
    for strength, high in ((rng.uniform(2, 4), -0.7), (rng.uniform(0.3, 1.2), 0.2)):
        sun = bpy.data.lights.new("sun", "SUN")
        sun.energy, sun.angle = strength, 0.15
        lamp = bpy.data.objects.new("sun", sun)
        from_camera = np.array([rng.uniform(-0.8, 0.8), high, -0.7])
        way = turn.T @ (from_camera / np.linalg.norm(from_camera))
        z = way / np.linalg.norm(way)
        x = np.cross([0.3, 0.5, 0.8], z)
        x = x / np.linalg.norm(x)
        axes = np.eye(4)
        axes[:3, :3] = np.stack([x, np.cross(z, x), z], -1)
        lamp.matrix_world = Matrix(axes.tolist())
        scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    tree = world.node_tree
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value = rng.uniform(3, 12)
    for stop, at in zip(ramp.color_ramp.elements, (0.3, 0.7), strict=True):
        stop.position, stop.color = at, (*rng.uniform(0.05, 0.6, 3).tolist(), 1)
    tree.links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], tree.nodes["Background"].inputs["Color"])
    scene.world = world
    r = scene.render
    r.engine, r.resolution_x, r.resolution_y, r.resolution_percentage = "CYCLES", SIDE, SIDE, 100
    r.threads_mode, r.threads = "FIXED", 1
    r.image_settings.file_format, r.image_settings.color_mode = "PNG", "RGB"
    c = scene.cycles
    c.device, c.samples, c.use_adaptive_sampling = "CPU", samples, False
    c.use_denoising, c.denoiser, c.max_bounces = True, "OPENIMAGEDENOISE", 2
    scene.view_settings.view_transform = "Standard"


def _render() -> NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hand.png"
        bpy.context.scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)
        picture = cv2.imread(str(path))
    assert picture is not None, "Blender wrote no picture"
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)
