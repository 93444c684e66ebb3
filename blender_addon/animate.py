"""A take to a file with keyed armatures. For scripts, in `blender --background` or the bpy module.

from blender_addon.animate import animate, animate_rig
animate("walk.take.npz", "walk.blend")                       # armatures in the performers' own proportions
animate_rig("walk.take.npz", "hero.blend:Hero", "walk.fbx")  # onto a rig of your own
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy

from .arguments import split_rig
from .armature import build_armature, build_body, key_armature
from .files import check_output, open_rig, write_output
from .retarget.blender.apply import KeySettings, Report, put_on_rig
from .retarget.mapping import Mapping
from .retarget.solve import RetargetSettings
from .scene import build_camera, set_time
from .take_file import TakeError, read_take


def animate(take_path: str | Path, out: str | Path, person: int | None = None) -> list[str]:
    """Write a new file with an armature a person, camera and footage; what was open before is left behind.

    person: only this one, from 0. Returns warnings. Raises TakeError for a bad take or a file that cannot be written;
    nothing is half-written.
    """
    take = read_take(Path(take_path))
    out = check_output(Path(out))
    if person is not None:
        if not 0 <= person < len(take.people):
            raise TakeError(f"{take.path}: there is no person {person + 1}. The take has {len(take.people)}.")
        take = replace(take, people=(take.people[person],))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    warnings: list[str] = []
    name = take.path.name.removesuffix(".npz").removesuffix(".take")
    armatures = []
    for i, each in enumerate(take.people):
        label = name if len(take.people) == 1 else f"{name} {i + 1}"
        armature = build_armature(take, each, label)
        key_armature(take, each, armature, label)
        build_body(armature, take, each)
        armatures.append(armature)
    _, warning = build_camera(take, f"{name} camera")
    if warning:
        warnings.append(warning)
    set_time(take)
    write_output(out, armatures)
    return warnings


def animate_rig(
    take_path: str | Path,
    rig: str | Path,
    out: str | Path,
    *,
    person: int = 0,
    mapping: Mapping | str | Path | None = None,
    settings: RetargetSettings | None = None,
    keys: KeySettings | None = None,
) -> Report:
    """Open a rig's file, key the take on it, and write the scene to another file or export the rig.

    rig: FILE.blend or FILE.blend:OBJECT; also .fbx, .glb and .bvh. The rig's own file is never written. The scene keeps
    its rate; its range becomes that of the take. mapping, settings, keys: see put_on_rig.
    Raises TakeError or RigError; nothing is half-written.
    """
    take = read_take(Path(take_path))
    out = check_output(Path(out))
    if split_rig(str(rig))[0].absolute() == out:
        raise TakeError(f"{out}: this is the rig's own file, which is never changed. Choose another file to write.")
    armature = open_rig(str(rig))
    report = put_on_rig(take, armature, person=person, mapping=mapping, settings=settings, keys=keys)
    scene = bpy.context.scene
    start, end = (int(f) for f in report.action.frame_range)
    scene.frame_start, scene.frame_end = start, max(start, end)
    scene.frame_set(start)
    write_output(out, [armature], deform_only=report.controls)
    return report
