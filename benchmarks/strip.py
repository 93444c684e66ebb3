"""A picture of a capture: the footage above the posed body, rendered through the same camera and from the side.

    python -m benchmarks.strip NAME.blend NAME.take.npz docs/strip.png --frames 20 60 120

Needs bpy. Workbench renders, without a display.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector

from lifter.footage import open_footage, read_frames
from lifter.take import load_take


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blend", type=Path)
    parser.add_argument("take", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", required=True, help="frame numbers of the take")
    parser.add_argument("--height", type=int, default=320, help="of each picture in pixels")
    args = parser.parse_args()
    take = load_take(args.take)
    wanted = {n: np.empty(0, np.uint8) for n in args.frames}
    for frame in read_frames(open_footage(take.header["source"]["path"])):
        if round(frame.time * take.fps) in wanted:
            wanted[round(frame.time * take.fps)] = frame.rgb
    scene = open_scene(args.blend)
    columns = [column(scene, picture, number, args.height) for number, picture in sorted(wanted.items())]
    cv2.imwrite(str(args.out), np.hstack(columns)[..., ::-1])
    return 0


def open_scene(blend: Path) -> Any:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light, scene.display.shading.color_type = "STUDIO", "MATERIAL"
    scene.display.shading.show_cavity = scene.display.shading.show_shadows = True
    scene.view_settings.view_transform = "Standard"
    world = bpy.data.worlds.new("strip")
    world.color = (0.06, 0.065, 0.075)
    scene.world = world
    mesh = bpy.data.meshes.new("floor")
    mesh.from_pydata([(-6, -6, 0), (6, -6, 0), (6, 6, 0), (-6, 6, 0)], [], [(0, 1, 2, 3)])
    floor = bpy.data.objects.new("floor", mesh)
    floor.location = next(o for o in scene.objects if o.type == "ARMATURE").pose.bones[0].head * Vector((1, 1, 0))
    material = bpy.data.materials.new("floor")
    material.diffuse_color = (0.16, 0.17, 0.19, 1)
    mesh.materials.append(material)
    scene.collection.objects.link(floor)
    return scene


def column(scene: Any, footage: np.ndarray, number: int, height: int) -> np.ndarray:
    """The footage, the body through the shot's camera, and the body from the side, one above the other."""
    scene.frame_set(number + 1)
    shot = scene.camera
    width = round(height * footage.shape[1] / footage.shape[0])
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    through = render(scene)
    hips = next(o for o in scene.objects if o.type == "ARMATURE").pose.bones[0].head
    data = bpy.data.cameras.new("side")
    side = bpy.data.objects.new("side", data)
    scene.collection.objects.link(side)
    data.type, data.ortho_scale = "ORTHO", 2.6 * max(width / height, 1)
    target = Vector((hips.x, hips.y, 0.85))
    away = Vector((5, -2.2, 1.6))
    side.matrix_world = Matrix.Translation(target + away) @ away.to_track_quat("Z", "Y").to_matrix().to_4x4()
    scene.camera = side
    beside = render(scene)
    scene.camera = shot
    bpy.data.objects.remove(side)
    return np.vstack([cv2.resize(footage, (width, height), interpolation=cv2.INTER_AREA), through, beside])


def render(scene: Any) -> np.ndarray:
    with tempfile.TemporaryDirectory() as scratch:
        scene.render.filepath = str(Path(scratch) / "a.png")
        scene.render.image_settings.file_format = "PNG"
        bpy.ops.render.render(write_still=True)
        picture = cv2.imread(scene.render.filepath)
    assert picture is not None, "Blender wrote no picture"
    return picture[..., ::-1]


if __name__ == "__main__":
    raise SystemExit(main())
