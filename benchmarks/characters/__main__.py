"""One take on five characters, rendered: `python -m benchmarks.characters NAME.take.npz -o docs/characters.jpg`.

The footage stands in the first row. `--strips FOLDER` also writes a larger picture of each character, from the
footage's side and across it. The floor's squares are half a metre wide. Needs bpy; renders with Workbench.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector

from benchmarks.strip import render
from blender_addon.retarget.blender.apply import Report, put_on_rig
from blender_addon.take_file import TakeFile, read_take
from lifter.footage import open_footage, read_frames
from tests.blender_addon.armatures import add_armature

from . import rigify
from .cast import CAST, Character, into, make_rig, placed
from .figure import Figure, make_figure

COLOURS = {
    "seam": "f7f3e8", "patch": "ffd23f", "palm": "ff9d8a", "thumb": "e0483e", "toes": "f2f2f2", "shoes": "5d4037",
    "sole": "111111", "eyes": "111111",
}  # fmt: skip
FLOOR = ("a9b0b8", "8f979f")


@dataclass(frozen=True)
class Actor:
    who: Character
    armature: Any
    report: Report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture of all")
    parser.add_argument("--strips", type=Path, help="folder for a larger picture of each character")
    parser.add_argument("--frames", type=int, nargs="+", help="of the take; else eight, evenly spaced")
    parser.add_argument("--only", nargs="+", choices=sorted(CAST), default=list(CAST))
    parser.add_argument("--cell", type=int, nargs=2, default=(150, 190), help="width and height of a picture")
    args = parser.parse_args()
    take = read_take(args.take)
    frames = args.frames or np.linspace(0, len(take.people[0].frames) - 1, 10)[1:-1].round().astype(int).tolist()
    cell = tuple(args.cell)
    rows = [np.hstack(footage_cells(take, frames, cell))]
    for name in args.only:
        actor = cast(CAST[name], take)
        sys.stdout.write(f"{name}: {actor.report.mapping.found_by}; {'; '.join(actor.report.warnings)}\n")
        rows.append(np.hstack([shot(actor, take, f, cell) for f in frames]))
        if args.strips:
            large = (2 * cell[0], 2 * cell[1])
            views = [footage_cells(take, frames, large)]
            views += [[shot(actor, take, f, large, turn) for f in frames] for turn in (0, 90)]
            write(args.strips / f"{name}.jpg", np.vstack([np.hstack(v) for v in views]))
    write(args.out, np.vstack(rows))
    return 0


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 86])


def footage_cells(take: TakeFile, frames: list[int], cell: tuple[int, int]) -> list[np.ndarray]:
    """The frames, cropped about the person."""
    if take.footage is None:
        return [np.zeros((cell[1], cell[0], 3), np.uint8) for _ in frames]
    out: dict[int, np.ndarray] = {}
    for frame in read_frames(open_footage(take.footage)):
        number = round(frame.time * take.fps)
        if number in frames:
            out[number] = _crop(take, frame.rgb, number, cell)
    return [out[f] for f in frames]


def _crop(take: TakeFile, picture: np.ndarray, number: int, cell: tuple[int, int]) -> np.ndarray:
    person = take.people[0]
    joints = person.joints_world[np.flatnonzero(person.frames == number)[0]]
    seen = (joints @ take.R.T + take.t) @ take.K.T
    seen = seen[:, :2] / seen[:, 2:]
    middle, tall = (seen.min(0) + seen.max(0)) / 2, 1.25 * max(float(np.ptp(seen[:, 1])), float(np.ptp(seen[:, 0])))
    tall = max(tall, 0.45 * picture.shape[0])
    wide = tall * cell[0] / cell[1]
    corners = np.float32([middle + [x * wide / 2, y * tall / 2] for x, y in ((-1, -1), (1, -1), (-1, 1))])
    to = np.float32([(0, 0), (cell[0], 0), (0, cell[1])])
    return cv2.warpAffine(picture, cv2.getAffineTransform(corners, to), cell, flags=cv2.INTER_AREA)


def cast(who: Character, take: TakeFile) -> Actor:
    """A new scene with the character's armature and body, and the take on it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = round(take.fps)
    if who.family == "rigify":
        armature, built = rigify.generate(who)
    else:
        built = make_rig(who)
        armature = add_armature(placed(built.rig, who))
    figure = make_figure(built.rig, built.truth, who.looks)
    dress(figure, armature, who)
    report = put_on_rig(take, armature)
    _stage(scene)
    return Actor(who, armature, report)


def _colour(text: str) -> tuple[float, float, float, float]:
    """sRGB as hexadecimal to what a material takes."""
    value = np.array([int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    r, g, b = np.where(value < 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return (float(r), float(g), float(b), 1.0)


def dress(figure: Figure, armature: Any, who: Character) -> None:
    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(into(figure.points, who).tolist(), [], figure.faces)
    colours = COLOURS | dict(zip(("shirt", "trousers", "skin", "hair"), who.colours, strict=True))
    used = sorted(set(figure.colours))
    for name in used:
        material = bpy.data.materials.new(name)
        material.diffuse_color = _colour(colours[name])
        mesh.materials.append(material)
    for polygon, colour in zip(mesh.polygons, figure.colours, strict=True):
        polygon.material_index, polygon.use_smooth = used.index(colour), True
    body = bpy.data.objects.new("body", mesh)
    bpy.context.scene.collection.objects.link(body)
    body.parent = armature
    groups = {bone: body.vertex_groups.new(name=bone) for bone in sorted({b for w in figure.weights for b in w})}
    for i, weights in enumerate(figure.weights):
        for bone, share in weights.items():
            groups[bone].add([i], share, "REPLACE")
    body.modifiers.new("armature", "ARMATURE").object = armature


def _stage(scene: Any) -> None:
    """Workbench's light and a floor of half-metre squares."""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light, scene.display.shading.color_type = "STUDIO", "MATERIAL"
    scene.view_settings.exposure = 0.9
    scene.display.shading.show_cavity = scene.display.shading.show_shadows = True
    scene.display.shadow_focus = 0.3
    scene.view_settings.view_transform = "Standard"
    world = bpy.data.worlds.new("strip")
    world.color = _colour("c9ced3")[:3]
    scene.world = world
    squares, side = 120, 0.5
    row = squares + 1
    points = [(side * (x - squares / 2), side * (y - squares / 2), 0) for y in range(row) for x in range(row)]
    corners = [(y * row + x) for y in range(squares) for x in range(squares)]
    faces = [(a, a + 1, a + row + 1, a + row) for a in corners]
    mesh = bpy.data.meshes.new("floor")
    mesh.from_pydata(points, [], faces)
    for text in FLOOR:
        material = bpy.data.materials.new("floor")
        material.diffuse_color = _colour(text)
        mesh.materials.append(material)
    for i, polygon in enumerate(mesh.polygons):
        polygon.material_index = (i % squares + i // squares) % 2
    scene.collection.objects.link(bpy.data.objects.new("floor", mesh))


def shot(actor: Actor, take: TakeFile, frame: int, cell: tuple[int, int], turn: float = 0.0) -> np.ndarray:
    """From the side of the footage's camera, turned by degrees about the vertical, a little from above."""
    scene = bpy.context.scene
    scene.frame_set(frame + 1)
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = *cell, 100
    place = actor.armature.matrix_world @ actor.armature.pose.bones[actor.report.mapping.bones["pelvis"][0]].head
    tall = actor.who.height
    towards = take.R[2].astype(float)
    heading = np.arctan2(towards[1], towards[0]) + np.radians(turn)
    away = Vector((-np.cos(heading), -np.sin(heading), 0.22)) * 5 * tall
    # Jumps are followed, squats are not.
    target = Vector((place.x, place.y, 0.57 * tall + max(0.0, place.z - 0.7 * tall)))
    data = bpy.data.cameras.new("shot")
    camera = bpy.data.objects.new("shot", data)
    scene.collection.objects.link(camera)
    data.type, data.ortho_scale = "ORTHO", 1.26 * tall * max(1.0, cell[0] / cell[1])
    camera.matrix_world = Matrix.Translation(target + away) @ away.to_track_quat("Z", "Y").to_matrix().to_4x4()
    scene.camera = camera
    picture = render(scene)
    bpy.data.objects.remove(camera)
    return np.array(picture)


if __name__ == "__main__":
    raise SystemExit(main())
