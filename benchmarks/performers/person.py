"""A performer's body and its room in Blender: shapes written down at the rest pose of `body`, moved by bones.

A garment (skin, shirt, trousers) is one mesh of many closed parts. Every part follows one bone, or several by
weights; Blender's voxel remesh then melts the posed parts into one surface, frame by frame, so that no joint
tears or collapses. Head, hands and shoes are stiff.

Shapes are given in the rest coordinates of body.toml (a person of 1.70 m) and carried over to a performer's
proportions, so the joints stay inside the flesh where anatomy has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy as untyped_bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lifter.skeleton import load_skeleton

from .cast import Colour, Shot
from .motions import rest_joints

bpy: Any = untyped_bpy

Array = NDArray[np.float64]
Weights = Mapping[str, float]
Point = tuple[float, float, float]

SEGMENTS = 24
"""Points around a ring."""
MARGIN = 34
"""Pixels rendered around the performer and the shadow: soft shadows reach further than the light's middle."""
FADE = 26
"""Of these, the outer ones over which the rendered part fades into the plate."""
WINDOW = (-1.0, -1.9, 4.8)
"""Where the main light hangs."""
SKELETON = load_skeleton()
BONES = [b.name for b in SKELETON.bones]
REST = {n: SKELETON.rest[i].astype(np.float64) for i, n in enumerate(SKELETON.joint_names)}


@dataclass(frozen=True)
class Ring:
    """An ellipse of a tube: its centre, its half axes across the tube, and the bones it follows."""

    centre: Point
    half: tuple[float, float]
    bones: Weights


@dataclass(frozen=True)
class Part:
    """A closed mesh at rest: (V, 3) points in body.toml's coordinates, faces, (V, B) weights."""

    points: Array
    faces: list[tuple[int, ...]]
    weights: Array


@dataclass(frozen=True)
class Garment:
    """An object of the scene: (V, 3) points at the performer's own rest, and their (V, B) weights."""

    mesh: Any
    points: Array
    weights: Array


@dataclass(frozen=True)
class Stage:
    """The built scene.

    Attributes:
        rest: (J, 3) the performer's own rest joints.
        camera: (K, R, t).
        plate: (H, W, 3) the empty room as the camera sees it, 8-bit BGR. Only the part of a frame that
            the performer and the shadow touch is rendered anew.
    """

    garments: list[Garment]
    rest: Array
    camera: tuple[Array, Array, Array]
    size: tuple[int, int]
    plate: NDArray[np.uint8]


# --- Shapes -------------------------------------------------------------------------------------------------


def _point(p: Array) -> Point:
    return (float(p[0]), float(p[1]), float(p[2]))


def _weights(bones: Weights, count: int) -> Array:
    """(count, B) rows of the same weights, scaled to sum 1."""
    row = np.zeros(len(BONES))
    for name, share in bones.items():
        row[BONES.index(name)] = share
    return np.tile(row / row.sum(), (count, 1))


def tube(rings: Sequence[Ring], across: Point, roundness: float = 2.0) -> Part:
    """A tube through rings, closed by rounded ends. `across` is the direction of each ring's first half axis.

    Args:
        roundness: exponent of the superellipse; 2 is an ellipse, more is boxier.
    """
    centres = np.array([r.centre for r in rings])
    along = np.gradient(centres, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    u = np.array(across) - (along @ np.array(across))[:, None] * along
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(along, u)
    halves = np.array([r.half for r in rings])
    # Rounded ends: three smaller rings and a point.
    cap = np.array([0.5, 0.8, 0.95])
    order: list[tuple[int, float, float]] = [(0, -float(c), float(np.sqrt(1 - c * c))) for c in cap[::-1]]
    order += [(i, 0.0, 1.0) for i in range(len(rings))]
    order += [(len(rings) - 1, float(c), float(np.sqrt(1 - c * c))) for c in cap]
    angle = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    cosine, sine = (np.sign(f(angle)) * np.abs(f(angle)) ** (2 / roundness) for f in (np.cos, np.sin))
    points: list[Array] = []
    weights: list[Array] = []
    for i, push, shrink in order:
        middle = centres[i] + push * 0.8 * halves[i].min() * along[i]
        points.append(middle + shrink * (halves[i, 0] * cosine[:, None] * u[i] + halves[i, 1] * sine[:, None] * v[i]))
        weights.append(_weights(rings[i].bones, SEGMENTS))
    n = len(order)
    faces: list[tuple[int, ...]] = []
    for r in range(n - 1):
        for k in range(SEGMENTS):
            a, b = r * SEGMENTS + k, r * SEGMENTS + (k + 1) % SEGMENTS
            faces.append((a, b, b + SEGMENTS, a + SEGMENTS))
    for r, tip, i in ((0, -1.0, 0), (n - 1, 1.0, len(rings) - 1)):
        points.append((centres[i] + tip * 0.8 * halves[i].min() * along[i])[None])
        weights.append(_weights(rings[i].bones, 1))
        for k in range(SEGMENTS):
            a, b = r * SEGMENTS + k, r * SEGMENTS + (k + 1) % SEGMENTS
            faces.append((b, a, n * SEGMENTS + (r > 0)) if r == 0 else (a, b, n * SEGMENTS + 1))
    return Part(np.concatenate(points), faces, np.concatenate(weights))


def ball(centre: Point, half: Point, bones: Weights) -> Part:
    """An ellipsoid with its axes along the coordinate axes."""
    heights = np.cos(np.linspace(0, np.pi, 14))[1:-1]
    radii = np.sqrt(1 - heights**2)
    angle = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(SEGMENTS)], 1)
    points = [radius * circle + [0, 0, z] for radius, z in zip(radii, heights, strict=True)]
    points = [*points, np.array([[0, 0, 1.0], [0, 0, -1.0]])]
    n = len(heights)
    faces: list[tuple[int, ...]] = []
    for k in range(SEGMENTS):
        j = (k + 1) % SEGMENTS
        for a in range(0, (n - 1) * SEGMENTS, SEGMENTS):
            faces.append((a + k, a + SEGMENTS + k, a + SEGMENTS + j, a + j))
        faces += [(k, j, n * SEGMENTS), ((n - 1) * SEGMENTS + j, (n - 1) * SEGMENTS + k, n * SEGMENTS + 1)]
    unit = np.concatenate(points)
    return Part(unit * np.array(half) + np.array(centre), faces, _weights(bones, len(unit)))


def mirrored(part: Part) -> Part:
    """The part of the other side of the body."""
    swap = [BONES.index({"l_": "r_", "r_": "l_"}.get(n[:2], n[:2]) + n[2:]) for n in BONES]
    return Part(part.points * [-1, 1, 1], [f[::-1] for f in part.faces], part.weights[:, swap])


def both(*parts: Part) -> list[Part]:
    return [p for part in parts for p in (part, mirrored(part))]


def limb(
    head: str, tail: str, rings: Sequence[tuple[float, float, float]], bone: str, shift: Point = (0, 0, 0)
) -> Part:
    """A tube from joint to joint; rings are (share of the way, half width, half depth).

    `shift` is how far the flesh of the limb's middle lies beside the line of the joints.
    """
    a, b = REST[head], REST[tail]
    made = [
        Ring(_point(a + f * (b - a) + np.array(shift) * np.sin(np.pi * np.clip(f, 0, 1))), (w, d), {bone: 1})
        for f, w, d in rings
    ]
    return tube(made, (0, 0, 1) if abs(b[0] - a[0]) > 0.1 else (1, 0, 0))


def torso(rings: Sequence[tuple[float, float, float, float]], roundness: float) -> Part:
    """Rings (height, half width, half depth, y of the centre); the spine's bones share them by height."""
    chain = ("pelvis", "spine", "chest")
    # Each bone holds fully at the middle of its stretch of the back.
    holds = (0.97, 1.11, 1.26)
    made: list[Ring] = []
    for z, w, d, y in rings:
        shares = {n: float(np.interp(z, holds, np.eye(3)[i])) for i, n in enumerate(chain)}
        made.append(Ring((0, y, z), (w, d), shares))
    return tube(made, (1, 0, 0), roundness)


def shirt() -> list[Part]:
    body = torso(
        (
            (0.975, 0.166, 0.119, 0.010),
            (1.01, 0.158, 0.114, 0.008),
            (1.08, 0.147, 0.106, 0.006),
            (1.17, 0.151, 0.111, 0.004),
            (1.26, 0.163, 0.119, 0.002),
            (1.33, 0.166, 0.113, 0.006),
            (1.385, 0.150, 0.092, 0.014),
            (1.425, 0.105, 0.068, 0.020),
            (1.448, 0.066, 0.056, 0.018),
        ),
        2.4,
    )
    yoke = tube(
        [
            Ring((0.03, 0.020, 1.415), (0.052, 0.062), {"chest": 1}),
            Ring((0.09, 0.020, 1.400), (0.044, 0.060), {"chest": 0.5, "l_clavicle": 0.5}),
            Ring((0.172, 0.018, 1.384), (0.045, 0.056), {"l_clavicle": 1}),
        ],
        (0, 0, 1),
    )
    pit = ball((0.135, 0.016, 1.335), (0.045, 0.070, 0.065), {"chest": 0.6, "l_clavicle": 0.4})
    deltoid = ball((0.178, 0.018, 1.382), (0.060, 0.060, 0.053), {"l_clavicle": 0.45, "l_upper_arm": 0.55})
    sleeve = limb(
        "l_shoulder", "l_elbow", ((0.0, 0.052, 0.058), (0.25, 0.057, 0.060), (0.48, 0.058, 0.058)), "l_upper_arm"
    )
    return [body, *both(yoke, pit, deltoid, sleeve)]


def trousers() -> list[Part]:
    hips = torso(
        (
            (0.845, 0.090, 0.075, 0.014),
            (0.870, 0.165, 0.112, 0.016),
            (0.905, 0.174, 0.122, 0.016),
            (0.96, 0.163, 0.116, 0.012),
            (1.03, 0.150, 0.106, 0.008),
        ),
        2.3,
    )
    seat = ball((0.082, 0.050, 0.880), (0.079, 0.082, 0.085), {"pelvis": 0.5, "l_thigh": 0.5})
    thigh = limb(
        "l_hip",
        "l_knee",
        (
            (0.0, 0.080, 0.095),
            (0.12, 0.080, 0.095),
            (0.25, 0.075, 0.090),
            (0.4, 0.070, 0.082),
            (0.75, 0.061, 0.067),
            (1.0, 0.057, 0.061),
        ),
        "l_thigh",
        (0.007, -0.008, 0),
    )
    knee = ball((0.090, -0.002, 0.490), (0.058, 0.062, 0.062), {"l_thigh": 0.5, "l_shin": 0.5})
    shin = limb(
        "l_knee",
        "l_ankle",
        ((0.0, 0.057, 0.060), (0.3, 0.058, 0.062), (0.65, 0.052, 0.054), (0.93, 0.050, 0.054)),
        "l_shin",
        (0, 0.016, 0),
    )
    return [hips, *both(seat, thigh, knee, shin)]


def bare_skin() -> list[Part]:
    """Neck and arms."""
    neck = tube(
        [
            Ring((0, 0.022, 1.385), (0.062, 0.058), {"chest": 1}),
            Ring((0, 0.022, 1.435), (0.058, 0.056), {"chest": 0.5, "neck": 0.5}),
            Ring((0, 0.016, 1.48), (0.055, 0.056), {"neck": 0.7, "head": 0.3}),
            Ring((0, 0.006, 1.54), (0.056, 0.058), {"head": 1}),
        ],
        (1, 0, 0),
    )
    upper = limb(
        "l_shoulder",
        "l_elbow",
        ((0.25, 0.047, 0.048), (0.55, 0.047, 0.047), (0.85, 0.041, 0.040), (1.0, 0.039, 0.039)),
        "l_upper_arm",
    )
    elbow = ball((0.455, 0.020, 1.390), (0.040, 0.039, 0.039), {"l_upper_arm": 0.5, "l_forearm": 0.5})
    fore = limb(
        "l_elbow",
        "l_wrist",
        ((0.0, 0.039, 0.039), (0.22, 0.042, 0.042), (0.5, 0.037, 0.038), (0.8, 0.027, 0.030), (1.02, 0.022, 0.028)),
        "l_forearm",
    )
    return [neck, *both(upper, elbow, fore)]


def hand() -> list[Part]:
    """The left hand, palm down: a palm through the knuckles, four fingers a little bent, a thumb."""
    bone = {"l_hand": 1.0}
    wrist, index, little, thumb = (REST[f"l_{n}"] for n in ("wrist", "index", "little", "thumb"))
    knuckles = (index + little) / 2
    palm = tube(
        [
            Ring(_point(wrist + [-0.012, 0, 0]), (0.027, 0.021), bone),
            Ring(_point(wrist + [0.022, 0.0, -0.002]), (0.031, 0.020), bone),
            Ring(_point(wrist + 0.6 * (knuckles - wrist) + [0, 0, -0.002]), (0.038, 0.017), bone),
            Ring(_point(knuckles + [0.002, 0, 0]), (0.041, 0.013), bone),
        ],
        (0, 1, 0),
        2.4,
    )
    parts = [palm]
    for k, length in enumerate((0.074, 0.083, 0.078, 0.062)):
        start = index + (little - index) * (0.02 + 0.32 * k) + np.array([0.004 * (k in (1, 2)), 0, -0.002])
        out = np.array([1.0, 0.06 * (k - 1), 0])
        bends = ((0.0, 0.0), (0.45, 0.10), (0.75, 0.24), (1.0, 0.42))
        rings: list[Ring] = []
        for f, bend in bends:
            thick = 0.01 - 0.002 * f
            rings.append(Ring(_point(start + length * f * (out - [0, 0, bend])), (thick, thick), bone))
        parts.append(tube(rings, (0, 1, 0)))
    ball_of_thumb = wrist + np.array([0.016, -0.018, -0.008])
    tip = thumb + (thumb - ball_of_thumb) * 0.6 + np.array([0.024, -0.004, -0.004])
    parts.append(
        tube(
            [
                Ring(_point(ball_of_thumb), (0.019, 0.017), bone),
                Ring(_point(thumb), (0.0135, 0.013), bone),
                Ring(_point((thumb + tip) / 2), (0.0115, 0.0105), bone),
                Ring(_point(tip), (0.009, 0.008), bone),
            ],
            (0, 1, 0),
        )
    )
    return parts


def shoe() -> tuple[list[Part], list[Part]]:
    """(upper, sole) of the left shoe, from the heel to the toe along -Y."""
    bone = {"l_foot": 1.0}
    ankle = REST["l_ankle"]

    def last(y: float, half: float, top: float, bottom: float) -> Ring:
        # The shoe's middle line turns out a little, from the heel to the toe.
        x = float(np.interp(y, (-0.178, 0.058), (0.098, 0.092)))
        return Ring((x, y, (top + bottom) / 2), (half, (top - bottom) / 2), bone)

    upper = tube(
        [
            last(0.052, 0.027, 0.062, 0.008),
            last(0.03, 0.036, 0.082, 0.006),
            last(-0.01, 0.039, 0.092, 0.006),
            last(-0.05, 0.041, 0.080, 0.006),
            last(-0.10, 0.046, 0.060, 0.006),
            last(-0.145, 0.044, 0.048, 0.006),
            last(-0.168, 0.033, 0.040, 0.008),
        ],
        (1, 0, 0),
        2.3,
    )
    collar = tube(
        [Ring((float(ankle[0]), float(ankle[1]) + 0.004, z), (0.037, 0.042), bone) for z in (0.06, 0.085, 0.105)],
        (1, 0, 0),
    )
    sole = tube(
        [
            last(0.056, 0.030, 0.026, 0.0),
            last(0.02, 0.039, 0.026, 0.0),
            last(-0.05, 0.042, 0.024, 0.0),
            last(-0.11, 0.049, 0.022, 0.0),
            last(-0.15, 0.046, 0.022, 0.0),
            last(-0.173, 0.034, 0.022, 0.002),
        ],
        (1, 0, 0),
        4.0,
    )
    return [upper, collar], [sole]


def head() -> list[Part]:
    bone = {"head": 1.0}
    return [
        ball((0, 0.005, 1.605), (0.075, 0.096, 0.090), bone),
        ball((0, -0.030, 1.548), (0.062, 0.066, 0.076), bone),
        ball((0, -0.066, 1.496), (0.034, 0.032, 0.025), bone),
        ball((0, -0.068, 1.522), (0.042, 0.032, 0.036), bone),
        *both(
            ball((0.030, -0.050, 1.552), (0.034, 0.041, 0.042), bone),
            ball((0.032, -0.026, 1.518), (0.026, 0.050, 0.036), bone),
            ball((0.078, -0.002, 1.572), (0.010, 0.020, 0.032), bone),
            ball((0.030, -0.077, 1.613), (0.024, 0.014, 0.010), bone),
            ball((0.0095, -0.098, 1.556), (0.009, 0.012, 0.008), bone),
        ),
        tube(
            [
                Ring((0, -0.082, 1.606), (0.008, 0.010), bone),
                Ring((0, -0.100, 1.583), (0.009, 0.013), bone),
                Ring((0, -0.112, 1.566), (0.012, 0.014), bone),
                Ring((0, -0.110, 1.557), (0.011, 0.014), bone),
            ],
            (1, 0, 0),
        ),
    ]


def hair() -> list[Part]:
    bone = {"head": 1.0}
    return [
        ball((0, 0.020, 1.617), (0.082, 0.094, 0.095), bone),
        ball((0, -0.018, 1.662), (0.064, 0.058, 0.046), bone),
        *both(ball((0.066, 0.012, 1.610), (0.018, 0.040, 0.045), bone)),
    ]


def long_hair() -> list[Part]:
    bone = {"head": 1.0}
    return [
        ball((0, 0.062, 1.565), (0.070, 0.050, 0.085), bone),
        ball((0, 0.068, 1.500), (0.056, 0.036, 0.070), bone),
        *both(ball((0.066, 0.030, 1.560), (0.018, 0.040, 0.060), bone)),
    ]


def face_paint() -> dict[str, tuple[Colour, list[Part]]]:
    """What is drawn on the face: (colour, parts) by name."""
    bone = {"head": 1.0}
    return {
        "eyes": ((0.75, 0.73, 0.70), both(ball((0.0305, -0.0800, 1.597), (0.0140, 0.0085, 0.0062), bone))),
        "irises": ((0.03, 0.02, 0.015), both(ball((0.0305, -0.0845, 1.597), (0.0062, 0.0048, 0.0062), bone))),
        "lips": (
            (0.38, 0.10, 0.09),
            [
                ball((0, -0.0975, 1.5245), (0.023, 0.0062, 0.0045), bone),
                ball((0, -0.0975, 1.5175), (0.019, 0.0065, 0.005), bone),
            ],
        ),
    }


def brows() -> list[Part]:
    bone = {"head": 1.0}
    return both(
        tube(
            [
                Ring((x, y, z), (0.0045, 0.004), bone)
                for x, y, z in ((0.015, -0.0910, 1.6155), (0.030, -0.0900, 1.619), (0.045, -0.081, 1.614))
            ],
            (0, 0, 1),
        )
    )


# --- From body.toml's rest pose to the performer's ------------------------------------------------------------


def fit_points(points: Array, weights: Array, rest: Array, girth: float) -> Array:
    """Carry shapes from body.toml's proportions to the performer's: each bone stretches along itself."""
    names = SKELETON.joint_names
    size = rest[names.index("head_top"), 2] / SKELETON.height
    out = np.zeros_like(points)
    for b, bone in enumerate(SKELETON.bones):
        share = weights[:, b]
        if not share.any():
            continue
        h, t = names.index(bone.head), names.index(bone.tail)
        before, after = SKELETON.rest[t] - SKELETON.rest[h], rest[t] - rest[h]
        stretch = float(np.linalg.norm(after) / np.linalg.norm(before))
        local = points - SKELETON.rest[h]
        if bone.name in ("head", "l_hand", "r_hand", "l_foot", "r_foot"):
            # Stiff shapes keep their form.
            moved = local * stretch
        else:
            axis = after / np.linalg.norm(after)
            along = (local @ axis)[:, None] * axis
            across = local - along
            wide = np.ones(3)
            if bone.name in ("pelvis", "spine", "chest"):
                # The trunk is as much wider as its hips and shoulders are.
                pair = "hip" if bone.name == "pelvis" else "shoulder"
                joint = names.index(f"l_{pair}")
                wide[0] = rest[joint, 0] / SKELETON.rest[joint, 0] / size
            moved = along * stretch + across * wide * size * girth
        out += share[:, None] * (rest[h] + moved)
    return out


# --- Blender ------------------------------------------------------------------------------------------------


def build(shot: Shot, offsets: Array, camera: tuple[Array, Array, Array], samples: int, threads: int) -> Stage:
    """An empty scene with the performer, the room, the lights and the camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _settings(shot, threads)
    _room(shot)
    _camera(camera, shot.size)
    who = shot.performer
    rest = rest_joints(offsets)
    with tempfile.TemporaryDirectory() as folder:
        plate = _render(Path(folder) / "plate.png", 6 * samples)
    garments: list[Garment] = []

    def wear(
        name: str, parts: list[Part], material: Any, voxel: float = 0.0, smooth: int = 0, stiff: bool = False
    ) -> None:
        points = np.concatenate([fit_points(p.points, p.weights, rest, who.girth) for p in parts])
        starts = np.cumsum([0, *(len(p.points) for p in parts)])
        faces = [tuple(int(i + s) for i in f) for p, s in zip(parts, starts, strict=False) for f in p.faces]
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(points.tolist(), [], faces)
        mesh.shade_smooth()
        mesh.materials.append(material)
        body: Any = bpy.data.objects.new(name, mesh)
        bpy.context.collection.objects.link(body)
        if voxel:
            remesh: Any = body.modifiers.new("melt", "REMESH")
            remesh.mode, remesh.voxel_size, remesh.use_smooth_shade = "VOXEL", voxel, True
        if smooth:
            soften: Any = body.modifiers.new("smooth", "SMOOTH")
            soften.factor, soften.iterations = 0.5, smooth
        weights = np.concatenate([p.weights for p in parts])
        if stiff:
            # Melted once, here at rest; every point follows the bone of the nearest part.
            mesh: Any = bpy.data.meshes.new_from_object(body.evaluated_get(bpy.context.evaluated_depsgraph_get()))
            body.modifiers.clear()
            body.data = mesh
            melted = np.empty(len(mesh.vertices) * 3, np.float32)
            mesh.vertices.foreach_get("co", melted)
            where = melted.reshape(-1, 3).astype(np.float64)
            weights, points = weights[cKDTree(points).query(where)[1]], where
        garments.append(Garment(mesh, points, weights))

    skin = _material("skin", who.skin, 0.55)
    hair_stuff = _material("hair", who.hair, 0.6)
    cloth, denim = _material("shirt", who.shirt, 0.9, weave=140), _material("trousers", who.trousers, 0.9, weave=200)
    upper, sole = shoe()
    wear("skin", bare_skin(), skin, 0.009, 4)
    wear("shirt", shirt(), cloth, 0.011, 10)
    wear("trousers", trousers(), denim, 0.011, 10)
    wear("head", head(), skin, 0.004, 8, stiff=True)
    wear("hair", [*hair(), *(long_hair() if who.long_hair else [])], hair_stuff, 0.006, 6, stiff=True)
    wear("brows", brows(), hair_stuff)
    for name, (colour, parts) in face_paint().items():
        wear(name, parts, _material(name, colour, 0.3))
    wear("hands", both(*hand()), skin, 0.005, 3, stiff=True)
    wear("shoes", both(*upper), _material("shoes", who.shoes, 0.6), 0.006, 3, stiff=True)
    wear("soles", both(*sole), _material("soles", (0.10, 0.10, 0.10), 0.8))
    return Stage(garments, rest, camera, shot.size, plate)


def pose(stage: Stage, joints: Array, rotations: Array) -> None:
    """Move every garment to (J, 3) joints and (B, 3, 3) rotations, by linear blending."""
    heads = [SKELETON.joint(b.head) for b in SKELETON.bones]
    shift = joints[heads] - np.einsum("bij,bj->bi", rotations, stage.rest[heads])
    for g in stage.garments:
        turn = np.einsum("vb,bij->vij", g.weights, rotations)
        moved = np.einsum("vij,vj->vi", turn, g.points) + g.weights @ shift
        g.mesh.vertices.foreach_set("co", moved.astype(np.float32).ravel())
        g.mesh.update()


def render(stage: Stage, path: Path, samples: int = 8) -> None:
    """Render the scene as it stands into a PNG file."""
    (width, height), (left, top, right, bottom) = stage.size, _touched(stage)
    r: Any = bpy.context.scene.render
    r.use_border = r.use_crop_to_border = True
    # Blender's border counts upwards, and cuts its fractions down to whole pixels: a quarter keeps them from the edge.
    r.border_min_x, r.border_max_x = (left + 0.25) / width, min((right + 0.25) / width, 1.0)
    r.border_min_y, r.border_max_y = (height - bottom + 0.25) / height, min((height - top + 0.25) / height, 1.0)
    patch = _render(path, samples)
    if patch.shape[:2] != (bottom - top, right - left):
        raise RuntimeError(f"Blender rendered {patch.shape[:2]} pixels instead of {(bottom - top, right - left)}")
    # Fade into the plate at the patch's edges, but not at the picture's.
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    inwards = [np.clip(np.minimum(x - left + FADE * (left == 0), right - x + FADE * (right == width)) / FADE, 0, 1)]
    inwards += [np.clip(np.minimum(y - top + FADE * (top == 0), bottom - y + FADE * (bottom == height)) / FADE, 0, 1)]
    share = np.outer(inwards[1], inwards[0])[..., None]
    share = share * share * (3 - 2 * share)
    frame = stage.plate.copy()
    place = frame[top:bottom, left:right]
    frame[top:bottom, left:right] = np.round(place + share * (patch.astype(np.float64) - place)).astype(np.uint8)
    cv2.imwrite(str(path), frame)


def _render(path: Path, samples: int) -> NDArray[np.uint8]:
    scene: Any = bpy.context.scene
    scene.cycles.samples = samples
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    picture: Any = cv2.imread(str(path))
    if picture is None:
        raise OSError(f"{path}: Blender wrote no picture")
    return picture.astype(np.uint8)


def _touched(stage: Stage) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels of the performer and the shadow of the main light."""
    points: list[Array] = []
    for g in stage.garments:
        flat = np.empty(len(g.mesh.vertices) * 3, np.float32)
        g.mesh.vertices.foreach_get("co", flat)
        points.append(flat.reshape(-1, 3)[::7].astype(np.float64))
    body = np.concatenate(points)
    light = np.array(WINDOW)
    shadow = light + (body - light) * (light[2] / (light[2] - body[:, 2:]))
    K, R, t = stage.camera
    pixels = (np.concatenate([body, shadow]) @ R.T + t) @ K.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    low = np.clip(np.floor(pixels.min(0) - MARGIN), 0, stage.size).astype(int)
    high = np.clip(np.ceil(pixels.max(0) + MARGIN), 0, stage.size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def encode(frames: Path, count: int, fps: int, size: tuple[int, int], out: Path) -> None:
    """Pack 00000.png, 00001.png … into an H.264 video through Blender's sequencer."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    strips = scene.sequence_editor_create().strips
    strip = strips.new_image("frames", str(frames / "00000.png"), channel=1, frame_start=1)
    for i in range(1, count):
        strip.elements.append(f"{i:05d}.png")
    strip.frame_final_duration = count
    scene.frame_start, scene.frame_end = 1, count
    r = scene.render
    r.resolution_x, r.resolution_y, r.resolution_percentage = *size, 100
    r.fps, r.fps_base = fps, 1.0
    scene.view_settings.view_transform = "Standard"
    r.image_settings.file_format = "FFMPEG"
    r.ffmpeg.format, r.ffmpeg.codec = "MPEG4", "H264"
    r.ffmpeg.constant_rate_factor, r.ffmpeg.ffmpeg_preset = "HIGH", "BEST"
    r.ffmpeg.gopsize, r.ffmpeg.audio_codec = fps, "NONE"
    r.use_file_extension = False
    r.filepath = str(out.resolve())
    bpy.ops.render.render(animation=True)


def _settings(shot: Shot, threads: int) -> None:
    scene: Any = bpy.context.scene
    r = scene.render
    r.engine = "CYCLES"
    r.resolution_x, r.resolution_y, r.resolution_percentage = *shot.size, 100
    r.threads_mode, r.threads = "FIXED", threads
    r.use_persistent_data = True
    r.image_settings.file_format, r.image_settings.color_mode = "PNG", "RGB"
    c = scene.cycles
    c.device, c.seed = "CPU", 1
    c.use_adaptive_sampling = False
    c.use_denoising, c.denoiser = True, "OPENIMAGEDENOISE"
    c.denoising_prefilter, c.denoising_quality = "FAST", "BALANCED"
    c.max_bounces, c.diffuse_bounces, c.glossy_bounces = 2, 1, 1
    c.caustics_reflective = c.caustics_refractive = False
    scene.view_settings.view_transform = "Standard"


def _camera(matrices: tuple[Array, Array, Array], size: tuple[int, int]) -> None:
    K, R, t = matrices
    data: Any = bpy.data.cameras.new("camera")
    data.sensor_fit, data.lens_unit = "HORIZONTAL", "FOV"
    data.angle = 2 * np.arctan(size[0] / 2 / K[0, 0])
    camera: Any = bpy.data.objects.new("camera", data)
    # Blender's camera has y up and looks along -z.
    world = np.eye(4)
    world[:3, :3] = R.T @ np.diag([1.0, -1.0, -1.0])
    world[:3, 3] = -R.T @ t
    camera.matrix_world = Matrix(world.tolist())
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera


def _room(shot: Shot) -> None:
    """A boarded floor, two walls with a skirting board, pictures; a window's light, a lamp and a dim sky."""
    _link("floor", [(-6, -6, 0), (6, -6, 0), (6, 6, 0), (-6, 6, 0)], [(0, 1, 2, 3)], _boards(shot.floor))
    wall = _material("wall", shot.wall, 0.95)
    white = _material("white", (0.7, 0.69, 0.66), 0.6)
    _box("wall", (0, 3.3, 1.5), (6, 0.05, 1.5), wall)
    _box("side wall", (-3.6, 0, 1.5), (0.05, 6, 1.5), wall)
    _box("skirting", (0, 3.24, 0.06), (6, 0.02, 0.06), white)
    _box("side skirting", (-3.54, 0, 0.06), (0.02, 6, 0.06), white)
    pictures = ((-1.9, 1.55, 0.42, 0.30, (0.15, 0.25, 0.35)), (0.2, 1.75, 0.24, 0.33, (0.45, 0.33, 0.12)))
    for x, z, w, h, colour in pictures:
        _box("frame", (x, 3.24, z), (w, 0.02, h), white)
        _box("picture", (x, 3.22, z), (w - 0.05, 0.02, h - 0.05), _material("picture", colour, 0.8, weave=6))
    _box("shelf", (-2.9, 2.95, 0.4), (0.5, 0.25, 0.4), _material("shelf", (0.25, 0.15, 0.08), 0.6))
    for block in shot.boxes:
        _box("block", block.centre, block.half, _material("block", block.colour, 0.7))
    world: Any = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.80, 0.88, 1.0, 1)
    background.inputs["Strength"].default_value = 0.55
    for name, place, target, power, size in (
        ("window", WINDOW, (0, 0, 0.9), 300.0, 1.5),
        ("lamp", (2.2, -3.4, 3.0), (0, 0, 1.0), 60.0, 2.0),
    ):
        lamp: Any = bpy.data.lights.new(name, "AREA")
        lamp.energy, lamp.size = power, size
        light: Any = bpy.data.objects.new(name, lamp)
        light.location = place
        towards = np.array(target) - np.array(place)
        light.rotation_euler = Vector(towards.tolist()).to_track_quat("-Z", "Y").to_euler()
        bpy.context.collection.objects.link(light)


def _box(name: str, centre: Point, half: Point, material: Any) -> None:
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    points = [tuple(c + s * h for c, s, h in zip(centre, corner, half, strict=True)) for corner in corners]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    _link(name, points, faces, material)


def _link(name: str, points: Sequence[Sequence[float]], faces: list[tuple[int, ...]], material: Any) -> None:
    mesh: Any = bpy.data.meshes.new(name)
    mesh.from_pydata([tuple(p) for p in points], [], faces)
    mesh.materials.append(material)
    bpy.context.collection.objects.link(bpy.data.objects.new(name, mesh))


def _material(name: str, colour: Colour, roughness: float, weave: float = 0.0) -> Any:
    """A plain material; `weave` is the scale of a faint noise in its colour (no noise at 0)."""
    material: Any = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Specular IOR Level"].default_value = 0.25
    if weave:
        noise = tree.nodes.new("ShaderNodeTexNoise")
        noise.inputs["Scale"].default_value = weave
        _ramp(tree, noise.outputs["Fac"], shader, [[s * c for c in colour] for s in (0.8, 1.2)])
    return material


def _boards(colour: Colour) -> Any:
    """Floor boards: long bricks."""
    material = _material("floor", colour, 0.5)
    tree = material.node_tree
    bricks = tree.nodes.new("ShaderNodeTexBrick")
    where = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(where.outputs["Object"], bricks.inputs["Vector"])
    for key, share in (("Color1", 0.85), ("Color2", 1.15), ("Mortar", 0.45)):
        bricks.inputs[key].default_value = (*(share * c for c in colour), 1)
    for key, value in (("Scale", 1.0), ("Mortar Size", 0.004), ("Brick Width", 1.3), ("Row Height", 0.16)):
        bricks.inputs[key].default_value = value
    tree.links.new(bricks.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])
    return material


def _ramp(tree: Any, factor: Any, shader: Any, colours: Sequence[Sequence[float]]) -> None:
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    for stop, place, colour in zip(ramp.color_ramp.elements, (0.35, 0.65), colours, strict=True):
        stop.position, stop.color = place, (*colour, 1)
    tree.links.new(factor, ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])


__all__ = ["Stage", "build", "encode", "pose", "render"]
