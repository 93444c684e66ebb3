"""A character with Mixamo's bone names, in a .blend for run.py: python -m tests.window.hero hero.blend (needs bpy)."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from benchmarks.characters.__main__ import dress
from benchmarks.characters.cast import CAST, make_rig, placed
from benchmarks.characters.figure import make_figure
from tests.blender_addon.armatures import add_armature


def main(path: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    who = CAST["mixamo"]
    built = make_rig(who)
    armature = add_armature(placed(built.rig, who))
    armature.name = "Hero"
    dress(make_figure(built.rig, built.truth, who.looks), armature, who)
    bpy.ops.wm.save_as_mainfile(filepath=str(path.absolute()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
