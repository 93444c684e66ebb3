"""How long it takes to put a take on a rig, beside the bare writing of the same number of keys and Blender's own ways.

    python -m benchmarks.retarget --out benchmarks/retarget.md

Measures the Blender that is installed as the module bpy; `--python` names further interpreters that have another one.
All figures of one version come from one process. The rig is a Rigify deform skeleton; the take has fingers, so that
every bone of the body moves in every frame.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

FRAMES, SLOW_FRAMES, BONES, REPEATS = 10_000, 500, 60, 5
ROOT = Path(__file__).parents[1]


def measure() -> dict[str, Any]:
    """Seconds of each way, for the Blender of this process."""
    import bpy

    from blender_addon.fcurves import new_action
    from blender_addon.retarget.blender.apply import KeySettings, put_on_rig
    from blender_addon.retarget.blender.read_rig import read_rig
    from blender_addon.retarget.mapping import find_mapping
    from blender_addon.retarget.motion import read_motion
    from blender_addon.retarget.solve import retarget
    from tests.blender_addon.armatures import add_armature, build_armature, make_motion, performer, with_fingers
    from tests.blender_addon.rigs import build

    built = build("rigify_deform")
    armature = build_armature(built.rig)
    bpy.context.scene.render.fps = 30
    joints = performer(built.rig, built.truth)
    skeleton = with_fingers(built.rig, built.truth, joints)

    def take_of(frames: int) -> Any:
        names = [b["name"] for b in skeleton["bones"]]
        root = np.array([0, 0, joints["pelvis"][2]]) + np.linspace(0, 20, frames)[:, None] * [0, -1, 0]
        contact = np.sin(np.arange(frames) / 8)[:, None] * [1, 1, -1, -1] > 0
        return make_motion(joints, wandering(names, frames), root, fps=30, contact=contact, skeleton=skeleton)

    take, short = take_of(FRAMES), take_of(SLOW_FRAMES)
    mapping = find_mapping(read_rig(armature))
    report = put_on_rig(take, armature, mapping=mapping)
    curves = [
        (len(values), values.shape[1])
        for bone in report.retargeted.bones
        for values in (bone.rotation, bone.location)
        if values is not None
    ]

    def bare(curve_count: int) -> None:
        """What Blender takes to be given that many curves of 10,000 keys, and nothing else."""
        kinds = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items
        linear = np.full(FRAMES, kinds["LINEAR"].value, np.int32)
        points = np.zeros((FRAMES, 2), np.float32)
        points[:, 0] = np.arange(FRAMES)
        points[:, 1] = np.sin(np.arange(FRAMES) / 20)
        make = new_action(armature, "bare")
        for n in range(curve_count):
            name = armature.pose.bones[n // 4].name
            curve = make(f'pose.bones["{name}"].rotation_quaternion', n % 4, name)
            curve.keyframe_points.add(FRAMES)
            curve.keyframe_points.foreach_set("co", points.ravel())
            curve.keyframe_points.foreach_set("interpolation", linear)
            curve.update()

    def inserted() -> None:
        new_action(armature, "inserted")
        quaternions = wandering(["any"], SLOW_FRAMES)["any"]
        bones = list(armature.pose.bones)[:BONES]
        for bone in bones:
            bone.rotation_mode = "QUATERNION"
        for frame in range(SLOW_FRAMES):
            for bone in bones:
                bone.rotation_quaternion = quaternions[frame]
                bone.keyframe_insert("rotation_quaternion", frame=frame + 1, group=bone.name)

    source, target = add_armature(built.rig), add_armature(built.rig)
    followed = put_on_rig(short, source, mapping=mapping).action
    for bone in target.pose.bones:
        copy = bone.constraints.new("COPY_ROTATION")
        copy.target, copy.subtarget = source, bone.name

    def baked() -> None:
        bpy.context.view_layer.objects.active = target
        target.select_set(True)
        bpy.ops.object.mode_set(mode="POSE")
        bpy.ops.nla.bake(
            frame_start=1, frame_end=SLOW_FRAMES, only_selected=False, visual_keying=True, bake_types={"POSE"}
        )
        bpy.ops.object.mode_set(mode="OBJECT")

    core_motion = read_motion(take, take.people[0])
    rig = read_rig(armature)
    whole = sum(columns for rows, columns in curves if rows > 1)
    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "bare": (lambda: bare(4 * BONES), REPEATS),
        "bare_same": (lambda: bare(whole), REPEATS),
        "core": (lambda: retarget(core_motion, rig, mapping), REPEATS),
        "put_on_rig": (lambda: put_on_rig(take, armature, mapping=mapping), REPEATS),
        "unmapped": (lambda: put_on_rig(take, armature), REPEATS),
        "reduced": (lambda: put_on_rig(take, armature, mapping=mapping, keys=KeySettings(reduce=(0.5, 2.0))), 1),
        "put_on_rig_500": (lambda: put_on_rig(short, armature, mapping=mapping), REPEATS),
        "bake_500": (baked, 1),
        "insert_500": (inserted, 1),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(REPEATS):
        for name, (way, repeats) in ways.items():
            if turn < repeats:
                start = perf_counter()
                way()
                times[name].append(perf_counter() - start)
                # Each way begins with no keys in memory but those that the bake follows.
                for action in list(bpy.data.actions):
                    if action is not followed:
                        bpy.data.actions.remove(action)
    return {
        "blender": bpy.app.version_string,
        "bones": sum(1 for b in report.retargeted.bones if b.rotation is not None and len(b.rotation) > 1),
        "curves": whole,
        **{name: min(values) for name, values in times.items()},
    }


def wandering(names: list[str], frames: int) -> dict[str, Any]:
    """(frames, 4) smooth turns for every name, up to about 40 degrees."""
    rng = np.random.default_rng(0)
    out: dict[str, Any] = {}
    for name in names:
        axis = rng.normal(size=3)
        half = np.radians(20) * np.sin(np.arange(frames) / rng.uniform(8, 30) + rng.uniform(0, 6))
        out[name] = np.concatenate(
            [np.cos(half)[:, None], np.sin(half)[:, None] * axis / np.linalg.norm(axis)], axis=-1
        )
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown of all versions."""
    lines = [
        f"Bare: {BONES} bones x 4 channels x {FRAMES:,} frames written with `foreach_set`, and nothing else.",
        "put_on_rig: reads the rig, retargets a take with fingers, locks its feet and keys it; the aim is at most",
        "2 x bare. Core: the part of it that knows no Blender. Seconds, the best of five in turn; key reduction and",
        "the slow ways once.",
        "",
        "| Blender | bones, curves | bare | the same curves bare | core | put_on_rig | to bare | to the same curves | "
        "finding the mapping too | keys reduced (0.5°, 2 mm) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['blender']} | {r['bones']}, {r['curves']} | {r['bare']:.2f} | {r['bare_same']:.2f} | {r['core']:.2f} | "
        f"{r['put_on_rig']:.2f} | **{r['put_on_rig'] / r['bare']:.2f}** | {r['put_on_rig'] / r['bare_same']:.2f} | "
        f"{r['unmapped']:.2f} | {r['reduced']:.2f} |"
        for r in rows
    ]
    lines += [
        "",
        f"The same rig over {SLOW_FRAMES} frames, beside Blender's bake of Copy Rotation constraints from another",
        f"armature and `keyframe_insert` of {BONES} bones:",
        "",
        "| Blender | put_on_rig | bake | ratio | keyframe_insert | ratio |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['blender']} | {r['put_on_rig_500']:.3f} | {r['bake_500']:.2f} | "
        f"{r['bake_500'] / r['put_on_rig_500']:.0f} | {r['insert_500']:.2f} | "
        f"{r['insert_500'] / r['put_on_rig_500']:.0f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every interpreter in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--python", nargs="*", default=[], help="further interpreters, each with its own bpy")
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.json:
        args.json.write_text(json.dumps(measure()))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for interpreter in [sys.executable, *args.python]:
            result = Path(folder) / "row.json"
            subprocess.run(
                [interpreter, "-m", "benchmarks.retarget", "--json", str(result)],
                cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            rows.append(json.loads(result.read_text()))
    from .machine import heading

    sys.argv = [
        sys.argv[0],
        *(["--out", str(args.out)] if args.out else []),
        *(["--python ..."] if args.python else []),
    ]
    text = heading("Retargeting and keying") + "\n" + table(sorted(rows, key=lambda r: r["blender"]))
    sys.stdout.write(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
