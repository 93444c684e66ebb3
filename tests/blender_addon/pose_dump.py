"""Print the joint heads of the armatures of a .blend, as JSON: `python pose_dump.py FILE.blend`. Needs bpy only."""

from __future__ import annotations

import json
import os
import sys

import bpy


def main() -> None:
    # Blender writes lines of its own to stdout; ours alone shall be there.
    ours = os.dup(1)
    os.dup2(2, 1)
    bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
    scene = bpy.context.scene
    out: dict[str, list[list[float]]] = {}
    for frame in range(scene.frame_start, scene.frame_end + 1, 10):
        scene.frame_set(frame)
        for armature in (o for o in bpy.data.objects if o.type == "ARMATURE"):
            for bone in armature.pose.bones:
                out[f"{frame} {armature.name} {bone.name}"] = list(armature.matrix_world @ bone.head)
    os.write(ours, json.dumps({"blender": bpy.app.version_string, "heads": out}).encode())
    os._exit(0)  # the bpy modules of 4.2 and 4.5 may crash or wait in Python's tear-down


if __name__ == "__main__":
    main()
