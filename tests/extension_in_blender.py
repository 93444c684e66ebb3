"""Run in a process of its own by test_build_addon.py: install the zip into bpy, try it, and print what was seen.

    python extension_in_blender.py ZIP enable                 -> what is left after disabling and uninstalling
    python extension_in_blender.py ZIP capture CLIP TAKE      -> the summary of a take, from an offline environment
    python extension_in_blender.py ZIP whole CLIP SHOT        -> what is left after the whole way in SHOT, a .blend

The last line of its output is JSON. Neither the repository nor its packages are on the path.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import bpy  # first: it brings addon_utils

import addon_utils  # isort: skip

NAME = "bl_ext.user_default.motionlift"
OURS = ("lifter", "blender_addon", "training", "environment", "worker")


def install(path: str) -> None:
    bpy.ops.extensions.package_install_files(filepath=path, repo="user_default", enable_on_install=True)
    assert NAME in bpy.context.preferences.addons


def uninstall() -> None:
    repos = [r.module for r in bpy.context.preferences.extensions.repos]
    bpy.ops.extensions.package_uninstall(repo_index=repos.index("user_default"), pkg_id="motionlift")


def registered() -> list[str]:
    """Classes, handlers, timers' owners and properties of ours that Blender knows."""
    kinds = (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.UIList, bpy.types.AddonPreferences)
    classes = [c.__name__ for kind in kinds for c in kind.__subclasses__() if c.__module__.startswith(NAME)]
    known = [c for c in classes if hasattr(bpy.types, c)]
    handlers = [
        f.__name__
        for of in dir(bpy.app.handlers)
        if isinstance(functions := getattr(bpy.app.handlers, of), list)
        for f in functions
        if getattr(f, "__module__", "").startswith(NAME)
    ]
    properties = [p.identifier for p in bpy.types.Scene.bl_rna.properties if "motionlift" in p.identifier]
    return [*known, *handlers, *properties]


def enable(path: str) -> dict[str, Any]:
    paths = set(sys.path)
    install(path)
    seen = {
        "foreign modules": [n for n in sys.modules if n.split(".")[0] in OURS],
        "paths": [p for p in sys.path if "motionlift" in p and p not in paths],
    }
    for again in (True, True, False):
        addon_utils.disable(NAME, default_set=True)
        seen["left after disabling"] = registered()
        if again:
            addon_utils.enable(NAME, default_set=True)
            assert NAME in bpy.context.preferences.addons
    uninstall()
    extensions = Path(bpy.utils.user_resource("EXTENSIONS"))
    seen["left after uninstalling"] = [str(p) for p in extensions.rglob("*motionlift*")]
    return seen


def capture(path: str, clip: str, take: str) -> dict[str, Any]:
    install(path)
    jobs, folder, messages, process = (
        import_module(f"{NAME}.{name}")
        for name in ("environment.jobs", "environment.folder", "worker.messages", "worker.process")
    )
    place = Path(bpy.utils.extension_path_user(NAME, path="environment", create=True))
    logs = place.parent / "logs"
    before = sorted(folder.ADDON.rglob("*"))

    def run(command: tuple[str, ...], variables: dict[str, str], job: Any) -> Any:
        worker = process.Worker(command, variables, logs)
        worker.submit(job)
        while True:
            for message in worker.poll():
                if isinstance(message, messages.ENDINGS):
                    assert worker.close(60)
                    assert isinstance(message, messages.Done), message
                    return message
            time.sleep(0.05)

    run(folder.setup_command(sys.executable), {}, jobs.install_job(place, "cpu", online=False))
    state = folder.read_state(place)
    assert state.ready and state.current, state
    command, variables = folder.worker_command(sys.executable, place), folder.worker_variables(place)
    done = run(command, variables, messages.capture_job(clip, take, {"end": 1.0}))
    again = run(command, variables, messages.solve_job(take, take, {"strength": 0.8}))
    written = [str(p) for p in sorted(folder.ADDON.rglob("*")) if p not in before and "__pycache__" not in p.parts]
    written += [str(p) for p in folder.ADDON.glob("lifter/**/__pycache__")]
    run(folder.setup_command(sys.executable), {}, jobs.remove_job(place))
    return {"captured": done.summary, "solved": again.summary, "written": written, "left": place.exists()}


def whole(path: str, clip: str, shot: str) -> dict[str, Any]:
    """Capture, retarget, save, reopen, solve again, disable, enable and uninstall, by the operators."""
    paths = set(sys.path)
    install(path)
    bpy.context.preferences.addons[NAME].preferences.cache_megabytes = 0  # nothing of the test's stays in the cache
    bpy.ops.wm.open_mainfile(filepath=shot)
    scene = bpy.context.scene
    bpy.ops.motionlift.open_footage(filepath=clip)
    bpy.ops.motionlift.capture()
    (take,) = scene.motionlift.takes
    seen: dict[str, Any] = {"captured": [take.frames, take.coverage, take.confidence]}
    hero = next(o for o in scene.objects if o.type == "ARMATURE")
    bpy.ops.motionlift.retarget(rig=hero.name)
    bpy.ops.motionlift.retarget(rig=generate_rigify().name)
    seen["keyed"] = keyed()

    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=shot)
    scene = bpy.context.scene
    seen["keyed after reopening"] = keyed()
    seen["listed after reopening"] = [t.path for t in scene.motionlift.takes]
    bpy.ops.motionlift.preview()
    scene.motionlift.solve.height = 2.0
    bpy.ops.motionlift.solve()
    shown = next(o for o in scene.objects if "motionlift_take" in o and o.type == "ARMATURE")
    seen["preview's shin at 2 m"] = shown.data.bones["l_shin"].length
    worker = import_module(f"{NAME}.capture.jobs").worker_pid()

    bpy.ops.wm.save_mainfile()
    addon_utils.disable(NAME, default_set=True)
    seen["left after disabling"] = registered()
    seen["worker left after disabling"] = worker is None or Path(f"/proc/{worker}").exists()
    addon_utils.enable(NAME, default_set=True)
    seen["listed after enabling"] = [t.path for t in bpy.context.scene.motionlift.takes]
    bpy.ops.motionlift.solve()  # and it works
    uninstall()
    seen["left after uninstalling"] = [
        *registered(),
        *(str(p) for p in Path(bpy.utils.user_resource("EXTENSIONS")).rglob("*motionlift*")),
        *(t.name for t in threading.enumerate() if t.name.startswith("motionlift")),
        *(n for n in sys.modules if n.startswith(NAME)),
        *(p for p in sys.path if "motionlift" in p and p not in paths),
    ]
    return seen


def generate_rigify() -> Any:
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_basic_human_metarig_add()
    metarig = bpy.context.object
    before = set(bpy.data.objects)
    bpy.ops.pose.rigify_generate()
    bpy.data.objects.remove(metarig)
    return next(o for o in bpy.data.objects if o not in before and o.type == "ARMATURE")


def keyed() -> dict[str, int]:
    """Of every armature with an action, how far its hips or torso travel between the scene's ends, in millimetres."""
    scene = bpy.context.scene
    out: dict[str, int] = {}
    for each in scene.objects:
        if each.type == "ARMATURE" and each.animation_data and each.animation_data.action:
            places = []
            for frame in (scene.frame_start, (scene.frame_start + scene.frame_end) // 2, scene.frame_end):
                scene.frame_set(frame)
                bone = next(b for b in each.pose.bones if b.name in ("mixamorig:Hips", "torso"))
                places.append(each.matrix_world @ bone.matrix.translation)
            out[each.name] = round(1000 * max((a - b).length for a in places for b in places))
    return out


MODES = {"enable": enable, "capture": capture, "whole": whole}

if __name__ == "__main__":
    result = MODES[sys.argv[2]](sys.argv[1], *sys.argv[3:])
    sys.stdout.write("\n" + json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)  # with Rigify enabled, the bpy module of Blender 4.2 crashes in Python's tear-down
