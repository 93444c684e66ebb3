"""Pictures of what the extension shows of a take's gaps and repairs, of a detector's missing networks, and of contacts.

    python tests/window/repairs.py --zip dist/motionlift-0.1.0-online.zip --rig hero.blend --clip dance.mp4 \\
        --take dance.take.npz -o out/repairs

A take with gaps, captured from the clip, is listed, previewed, drawn over its clip and gone through by the buttons.
Needs what run.py needs, and no worker: $MOTIONLIFT_PYTHON may name any Python. Exit code 0 if all is in its place.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from blender_window import BlenderWindow
from run import SETTINGS, TO_EDITOR, Run, choose, install, options

SCENE = "bpy.context.window_manager.windows[0].scene"
VIEW_ALL = """
window = bpy.context.window_manager.windows[0]
area = next(a for a in window.screen.areas if a.type == {editor!r})
region = next(r for r in area.regions if r.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.{operator}()
result = 1
"""


def main() -> int:
    parser = options(__doc__, "out/repairs")
    parser.add_argument("--take", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 1000), help="of the window, pixels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    extra = [o for group in args.blender_options for o in group.split()]
    with (
        tempfile.TemporaryDirectory() as home,
        BlenderWindow(args.blender, Path(home), tuple(args.size), extra) as window,
    ):
        run = Run(window, args.out, args.clip)
        for path in (args.clip, args.take):
            shutil.copy(path, Path(home) / path.name)
        install(run, args.zip)
        choose(run, Path(home) / args.clip.name)
        window.run(f"bpy.ops.motionlift.add_take(filepath={str(Path(home) / args.take.name)!r}); result = 1")
        window.run("bpy.ops.motionlift.preview(); bpy.ops.motionlift.match_camera(); result = 1")
        run.tab()
        detector(run)
        repairs(run)
        contacts(run)
        clip_editor(run)
    return 0


def detector(run: Run) -> None:
    """RTMPose lacks its networks: the button says what, and how large."""
    run.window.run(f"{SETTINGS}.capture.detector = 'rtmpose'; {SETTINGS}.capture.whose = 'numbers'; result = 1")
    run.show("capture")
    run.shoot_panels("panel-detector")
    run.press("motionlift.fetch_networks")
    time.sleep(2)
    run.shoot("fetch-networks")
    run.window.key("Escape")
    time.sleep(1)


def repairs(run: Run) -> None:
    """The panel, the strips in the timeline, the word in the 3D view, and the button to the next of them."""
    window = run.window
    run.show("takes")
    window.run(VIEW_ALL.format(editor="DOPESHEET_EDITOR", operator="action.view_all"))
    window.run(f"{SCENE}.frame_set(1); result = 1")
    run.shoot_panels("panel-takes")
    frame, later = (go(run) for _ in range(2))
    run.say(f"marks at {frame} and {later}")
    if later <= frame:
        raise SystemExit("the button goes nowhere")
    run.shoot("timeline")


def go(run: Run) -> int:
    """To the next mark; the frame that is shown then."""
    run.window.run("bpy.ops.motionlift.go_to_mark(); result = 1")
    time.sleep(1)
    return int(run.window.run(f"result = {SCENE}.frame_current"))


def contacts(run: Run) -> None:
    run.window.run(
        "bpy.ops.motionlift.add_contact_edit(foot='left', first=101, last=121, stands=False);"
        "bpy.ops.motionlift.add_contact_edit(foot='both', first=1, last=20); result = 1"
    )
    run.show("solve")
    run.shoot_panels("panel-solve")


def clip_editor(run: Run) -> None:
    """The overlay, at a frame that was repaired and in the gap."""
    window = run.window
    window.run(TO_EDITOR.format(old="VIEW_3D", new="CLIP_EDITOR"))
    time.sleep(1)
    window.run(f"""
space = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "CLIP_EDITOR").spaces.active
space.clip = {SETTINGS}.footage.clip
result = 1""")
    run.tab("CLIP_EDITOR")
    window.run(VIEW_ALL.format(editor="CLIP_EDITOR", operator="clip.view_all"))
    marks = "__import__('importlib').import_module('bl_ext.user_default.motionlift.takes.marks')"
    path = f"__import__('pathlib').Path(bpy.path.abspath({SETTINGS}.takes[0].path))"
    for kind in ("gap", "filled", "outlier", "swapped"):
        spells = window.run(f"result = {marks}.repairs_of({path})[0].spells[{kind!r}]")
        if not spells:
            run.say(f"nothing is {kind} in this take")
            continue
        window.run(f"{SCENE}.frame_set({spells[0][0] + 1}); result = 1")
        time.sleep(5)  # the clip's picture is decoded meanwhile
        run.shoot(f"clip-{kind}")


if __name__ == "__main__":
    raise SystemExit(main())
