"""The extension in a real Blender window, by clicks: install, capture, cancel, kill, retarget, save, reopen, uninstall.

    python tests/window/run.py --zip dist/motionlift-0.1.0-online.zip --rig hero.blend -o out/window

Needs Linux, a Blender (--blender; of 4.2 or later), Xvfb, xdotool and ImageMagick; no GPU and no display. The worker
runs in the Python that $MOTIONLIFT_PYTHON names (its OpenCV also makes a clip), or with --set-up in the environment
that the extension makes. Writes screenshots of every panel, and figures to window.json: the longest time that the main
thread stood still while nothing happened and while a clip was captured, the time from the click on Cancel to the end of
the capture, of solving again, and what was clicked. Exit code 0 if all went well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from blender_window import BlenderWindow

ROOT = Path(__file__).parents[2]
NAME = "bl_ext.user_default.motionlift"
SECTIONS = ("footage", "capture", "takes", "solve", "retarget", "batch", "export")
CLOSED_PIXELS = 40
"""From the header of a closed panel to the next are fewer."""
STALL_LIMIT, CANCEL_LIMIT = 0.100, 1.0
"""Seconds (issue 4)."""

JOBS = f"__import__('importlib').import_module('{NAME}.capture.jobs')"
NOTICES = f"__import__('importlib').import_module('{NAME}.notices')"
SETTINGS = "bpy.context.window_manager.windows[0].scene.motionlift"

OPEN_TAB = """
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == {editor!r}), key=lambda a: a.width)
area.spaces.active.show_region_ui = True
result = 1
"""
CHOOSE_TAB = """
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == {editor!r}), key=lambda a: a.width)
next(r for r in area.regions if r.type == "UI").active_panel_category = "Motion"
area.tag_redraw()
result = 1
"""
MEASURE = "state['gaps'].clear(); result = 1"
GAPS = "result = sorted(state['gaps'])[-5:]"


class Run:
    """The figures and the log of a run."""

    def __init__(self, window: BlenderWindow, out: Path, clip: Path) -> None:
        self.window, self.out, self.clip = window, out, clip
        window.shots = out
        self.figures: dict[str, Any] = {"clicks": []}
        self.last_open: dict[str, bool] = {}
        self.begun = time.monotonic()

    def say(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.begun:6.1f} s  {text}\n")
        sys.stdout.flush()

    def shoot(self, name: str) -> None:
        time.sleep(1.0)
        self.window.shoot(self.out / f"{name}.png")

    def shoot_panels(self, name: str, editor: str = "VIEW_3D") -> None:
        """The sidebar alone, from the first panel to the last header, in 128 colours."""
        time.sleep(1.0)
        self.window.mouse(300, 500)
        time.sleep(0.5)
        x, y, width, height = self.window.region(editor)
        headers = self.window.headers(editor)
        last = headers[-1] + 14 if len(headers) == len(SECTIONS) else y + height
        top = headers[0] - 12
        self.window.shoot(self.out / f"{name}.png", (x, top, width, min(last, y + height) - top))

    def press(self, operator: str, editor: str = "VIEW_3D") -> None:
        self.window.press(operator, editor)
        self.figures["clicks"].append(operator)

    def tab(self, editor: str = "VIEW_3D") -> None:
        """Open the sidebar on the tab: a key and a click for a user."""
        self.window.run(OPEN_TAB.format(editor=editor))
        time.sleep(1.5)
        self.window.run(CHOOSE_TAB.format(editor=editor))
        time.sleep(1.0)

    def show(self, *wanted: str, editor: str = "VIEW_3D") -> None:
        """Have these panels open and the others closed, by clicks on their headers."""
        last = len(SECTIONS) - 1
        for want in (False, True):  # closing makes room for the headers below
            for i, name in enumerate(SECTIONS):
                if (name in wanted) is not want:
                    continue
                rows = self.settled(editor)
                # A panel is open if the next header is far below; of the last one it is remembered.
                is_open = (
                    self.last_open.get(editor, False)
                    if i == last
                    else i + 1 >= len(rows) or rows[i + 1] - rows[i] > CLOSED_PIXELS
                )
                if i >= len(rows):
                    raise SystemExit(f"the header of {name} is not seen")
                if is_open is not want:
                    self.toggle(editor, i, rows)
                if i == last:
                    self.last_open[editor] = want
        self.window.known.clear()

    def toggle(self, editor: str, panel: int, before: list[int]) -> None:
        """Click a panel's header; again if nothing comes of it, as a window that is busy may miss a click."""
        for _ in range(3):
            self.window.click(self.window.region(editor)[0] + 120, before[panel] + 2)
            begun = time.monotonic()
            while time.monotonic() - begun < 10:
                time.sleep(0.5)
                # Nothing moves when the last one opens.
                if self.settled(editor) != before or panel == len(SECTIONS) - 1:
                    return
        raise SystemExit(f"the panels stay at {before}")

    def settled(self, editor: str) -> list[int]:
        """Rows of the panels' headers, once they stay where they are."""
        seen = [0]
        while (now := self.window.headers(editor)) != seen:
            seen = now
            time.sleep(0.3)
        return now

    def expect(self, what: str, condition: str) -> None:
        if not self.window.run(f"result = bool({condition})"):
            self.window.shoot(self.out / "failed.png")
            notices = self.window.run(f"result = [[n.text for n in s] for s in {NOTICES}._shown.values()]")
            raise SystemExit(f"not so: {what} ({condition}); notices: {notices}")
        self.say(what)


def options(doc: str, out: str) -> argparse.ArgumentParser:
    """What every script that opens a window is told."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--blender", default=shutil.which("blender") or "blender")
    parser.add_argument(
        "--blender-options", nargs="*", default=[], help="such as --gpu-backend opengl", metavar="OPTION"
    )
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument(
        "--rig", type=Path, required=True, help="a .blend with one character, its bones named by Mixamo"
    )
    parser.add_argument("--clip", type=Path, default=ROOT / "lifter" / "demo" / "demo.mp4")
    parser.add_argument("-o", "--out", type=Path, default=Path(out))
    return parser


def main() -> int:
    parser = options(__doc__, "out/window")
    parser.add_argument(
        "--set-up", action="store_true", help="press Set Up and use that environment, and no $MOTIONLIFT_PYTHON"
    )
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 1000), help="of the window, pixels")
    parser.add_argument("--stall-only", action="store_true", help="only measure the main thread's stalls")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    python = os.environ.pop("MOTIONLIFT_PYTHON", sys.executable) if args.set_up else os.environ["MOTIONLIFT_PYTHON"]
    extra = [o for group in args.blender_options for o in group.split()]
    with (
        tempfile.TemporaryDirectory() as home,
        BlenderWindow(args.blender, Path(home), tuple(args.size), extra) as window,
    ):
        run = Run(window, args.out, args.clip)
        shutil.copy(args.rig, Path(home) / "hero.blend")
        shutil.copy(args.clip, Path(home) / "dance.mp4")
        make_clip(python, args.clip, Path(home) / "long.mp4", 1200)
        make_clip(python, args.clip, Path(home) / "short.mp4", 30)
        install(run, args.zip)
        open_footage(run, Path(home))
        if args.set_up:
            set_up(run)
        measure_capture(run, Path(home))
        if args.stall_only:
            return finish(run)
        cancel(run, Path(home))
        escape(run)
        kill(run, Path(home))
        moved_away(run, Path(home))
        undo(run)
        show_take(run)
        clip_editor(run)
        mapping_list(run)
        retarget(run, Path(home))
        solve_again(run, Path(home))
        export(run, Path(home))
        batch(run, Path(home))
        preferences(run)
        uninstall(run, Path(home))
    return finish(run)


def finish(run: Run) -> int:
    """Write the figures; 1 if they are not good enough."""
    (run.out / "window.json").write_text(json.dumps(run.figures, indent=2) + "\n", encoding="utf-8")
    run.say(f"wrote {run.out / 'window.json'}")
    stall = run.figures["stall"]
    # What a drawing costs is the machine's: without a GPU, the CPU copies the whole window, whatever is drawn.
    drawn = stall["capturing, longest, ms"] - stall["the same sidebar drawn without a capture, longest, ms"]
    ours = max(drawn, stall["capturing, another tab shown, longest, ms"])
    return 0 if ours < 1000 * STALL_LIMIT and run.figures.get("cancel, s", 0.0) < CANCEL_LIMIT else 1


def install(run: Run, path: Path) -> None:
    window = run.window
    window.command("extension", "validate", str(path))
    window.command("extension", "install-file", "-r", "user_default", "-e", str(path))
    run.figures["start, s"] = round(window.open(), 1)
    run.figures["blender"] = window.run("import gpu; result = [bpy.app.version_string, gpu.platform.renderer_get()]")
    run.expect("enabled", f"'{NAME}' in bpy.context.preferences.addons and hasattr(bpy.types.Scene, 'motionlift')")


def set_up(run: Run) -> None:
    """The environment, from the package index: what the dialog says, and how long it takes."""
    window = run.window
    window.run("bpy.context.preferences.system.use_online_access = True; result = 1")
    time.sleep(1)
    run.press("motionlift.set_up")
    time.sleep(2)
    run.shoot("2-set-up")
    window.key("Return")
    begun = time.monotonic()
    window.wait(f"{JOBS}.tasks('setup')", 20)
    window.wait(f"any(p.progress for p in {JOBS}.tasks('setup'))", 120)
    run.shoot("2-setting-up")
    window.wait(f"not {JOBS}.tasks('setup')", 1200)
    run.figures["set up, s"] = round(time.monotonic() - begun)
    time.sleep(3)
    run.expect("the environment is ready", f"{JOBS}.environment_state().ready")
    run.shoot("2-ready")


def open_footage(run: Run, home: Path) -> None:
    """Open the character's file, then the footage by the file browser."""
    window = run.window
    window.run(f"bpy.ops.wm.open_mainfile(filepath={str(home / 'hero.blend')!r}, load_ui=False); result = 1")
    time.sleep(3)
    run.tab()
    run.shoot("1-empty")
    run.press("motionlift.open_footage")
    window.wait(BROWSING)
    run.shoot("2-open")
    window.run(CHOOSE_FILE.format(folder=str(home), name="dance.mp4"))
    time.sleep(1.5)
    window.run(ACCEPT_FILE)
    window.wait(f"{SETTINGS}.footage.clip is not None")
    run.expect("footage is open", f"{SETTINGS}.footage.clip.name == 'dance.mp4'")


BROWSING = "any(a.type == 'FILE_BROWSER' for w in bpy.context.window_manager.windows for a in w.screen.areas)"
CHOOSE_FILE = """
for window in bpy.context.window_manager.windows:
    for area in window.screen.areas:
        if area.type == "FILE_BROWSER":
            params = area.spaces.active.params
            params.directory = {folder!r}.encode()
            params.filename = {name!r}
            area.tag_redraw()
result = 1
"""
ACCEPT_FILE = """
for window in bpy.context.window_manager.windows:
    for area in window.screen.areas:
        if area.type == "FILE_BROWSER":
            region = next(r for r in area.regions if r.type == "WINDOW")
            with bpy.context.temp_override(window=window, area=area, region=region):
                bpy.ops.file.execute("INVOKE_DEFAULT")
result = 1
"""


def measure_capture(run: Run, home: Path) -> None:
    """How long the main thread stands still: when nothing happens, when another editor's header or our sidebar is drawn
    again and again (what any drawing costs here, without a GPU), while a clip is captured, and until its end,
    when the scene gets the take and Blender draws the 3D view."""
    window = run.window
    run.show("footage", "capture")
    run.shoot("3-footage-and-capture")
    run.shoot_panels("panel-footage-and-capture")
    window.place("motionlift.capture")
    window.mouse(300, 500)
    time.sleep(3)
    figures = {"quiet, longest, ms": longest(run, 8)}
    for name, editor, region in (
        ("another editor's header drawn without a capture", "DOPESHEET_EDITOR", "HEADER"),
        ("the same sidebar drawn without a capture", "VIEW_3D", "UI"),
        ("the 3D view drawn without a capture", "VIEW_3D", "WINDOW"),
    ):
        window.run(DRAW_AGAIN_AND_AGAIN.format(editor=editor, region=region))
        time.sleep(1)
        figures[f"{name}, longest, ms"] = longest(run, 8)
        window.run("bpy.app.timers.unregister(state['draw']); result = 1")
    choose(run, home / "long.mp4")
    run.press("motionlift.capture")
    window.mouse(300, 500)
    window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 120)
    time.sleep(1)
    figures["capturing, longest, ms"] = longest(run, 8)
    run.shoot("4-capturing")
    run.shoot_panels("panel-capturing")
    window.run(CHOOSE_TAB.format(editor="VIEW_3D").replace("Motion", "View"))
    time.sleep(1)
    figures["capturing, another tab shown, longest, ms"] = longest(run, 8)
    window.run(CHOOSE_TAB.format(editor="VIEW_3D"))
    window.run(f"{JOBS}.cancel_all(); result = 1")
    window.wait(f"not {JOBS}.tasks()", 20)
    choose(run, home / "dance.mp4")
    run.press("motionlift.capture")
    window.wait(f"{JOBS}.tasks()", 20)
    window.run(MEASURE)
    window.wait(f"not {JOBS}.tasks()", 300)
    figures["a whole capture with its end, longest, ms"] = round(1000 * window.run(GAPS)[-1], 1)
    run.expect("the take is in the list", f"len({SETTINGS}.takes) == 1 and {SETTINGS}.takes[0].coverage > 0.9")
    figures["our part of each turn of the main loop, longest, ms"] = window.run(f"result = 1000 * {JOBS}.longest_tick")
    run.figures["stall"] = figures
    run.say(f"longest stalls: {figures}")


def choose(run: Run, clip: Path) -> None:
    """In the Footage panel."""
    load = f"bpy.data.movieclips.load({str(clip)!r}, check_existing=True)"
    run.window.run(f"{SETTINGS}.footage.clip = {load}; result = 1")
    time.sleep(1.5)


def longest(run: Run, seconds: float) -> float:
    """Milliseconds between two turns of Blender's main loop, the longest in a stretch of time."""
    run.window.run(MEASURE)
    time.sleep(seconds)
    return round(1000 * run.window.run(GAPS)[-1], 1)


DRAW_AGAIN_AND_AGAIN = """
def draw():
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == {editor!r}:
            next(r for r in area.regions if r.type == {region!r}).tag_redraw()
    return 0.4
state["draw"] = draw
bpy.app.timers.register(draw)
result = 1
"""


def make_clip(python: str, clip: Path, out: Path, frames: int) -> None:
    """The clip with so many frames, from its beginning again where it has fewer: something to cancel, or to batch."""
    code = (
        "import sys, itertools, cv2\n"
        "def frames():\n"
        "    video = cv2.VideoCapture(sys.argv[1])\n"
        "    while (read := video.read())[0]:\n"
        "        yield read[1]\n"
        "again = itertools.chain.from_iterable(frames() for _ in itertools.count())\n"
        "first = next(frames())\n"
        "out = cv2.VideoWriter(sys.argv[2], cv2.VideoWriter_fourcc(*'mp4v'), 30, first.shape[1::-1])\n"
        "for frame in itertools.islice(again, int(sys.argv[3])):\n"
        "    out.write(frame)\n"
        "out.release()\n"
    )
    subprocess.run([python, "-c", code, str(clip), str(out), str(frames)], check=True)


def cancel(run: Run, home: Path) -> None:
    window = run.window
    capture = window.place("motionlift.capture")
    choose(run, home / "long.mp4")
    run.press("motionlift.capture")
    window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 60)
    window.click(*window.place("motionlift.cancel", start=capture[1] + 20))
    begun = time.monotonic()
    window.wait(f"not {JOBS}.tasks()", 30)
    run.figures["cancel, s"] = round(time.monotonic() - begun, 2)
    run.expect("cancelled, and no take was added", f"len({SETTINGS}.takes) == 1")
    run.say(f"cancel took {run.figures['cancel, s']} s")


def escape(run: Run) -> None:
    """Esc asks whether to stop; saving meanwhile does not."""
    window = run.window
    run.press("motionlift.capture")
    window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 60)
    window.run("bpy.ops.wm.save_mainfile(); result = 1")
    run.expect("saved while capturing, which goes on", f"{JOBS}.tasks()")
    window.mouse(300, 500)
    time.sleep(0.5)
    window.key("Escape")
    run.shoot("5-esc")
    run.expect("Esc asks first", f"{JOBS}.tasks()")
    window.key("Return")
    window.wait(f"not {JOBS}.tasks()", 10)
    run.say("Esc and Enter cancel")


def undo(run: Run) -> None:
    """A take that came by the timer is one undo step."""
    for operator, count in (("undo", 1), ("redo", 2)):
        run.window.run(UNDO.format(operator=operator))
        time.sleep(1)
        run.expect(f"{operator}: {count} takes", f"len({SETTINGS}.takes) == {count}")


UNDO = """
with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
    bpy.ops.ed.{operator}()
result = 1
"""


def mapping_list(run: Run) -> None:
    """Edit Bones, the options, and back to what is found."""
    run.show("retarget")
    run.press("motionlift.find_mapping")
    run.window.wait(f"len({SETTINGS}.retarget.rows) > 20", 20)
    run.shoot("8-mapping-list")
    run.window.run(f"{SETTINGS}.retarget.row = 2; result = 1")
    run.shoot_panels("panel-mapping-list")
    run.window.run(f"{SETTINGS}.retarget.mapping = 'auto'; result = 1")


def preferences(run: Run) -> None:
    run.window.run(PREFERENCES)
    time.sleep(3)
    run.shoot("12-preferences")
    run.window.run("""
import bpy
with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
    bpy.ops.wm.window_close()
result = 1""")
    time.sleep(1)


PREFERENCES = f"""
with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
    bpy.ops.screen.userpref_show()
bpy.context.preferences.active_section = "ADDONS"
bpy.context.window_manager.addon_search = "Motionlift"
bpy.ops.preferences.addon_expand(module="{NAME}")
result = 1
"""


def kill(run: Run, home: Path) -> None:
    """SIGKILL to the worker: told, and the next capture works."""
    window = run.window
    run.press("motionlift.capture")
    window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 60)
    os.kill(window.run(f"result = {JOBS}.worker_pid()"), signal.SIGKILL)
    window.wait(f"not {JOBS}.tasks()", 30)
    run.shoot("5-killed")
    run.shoot_panels("panel-killed")
    said = window.run(f"result = [n.text for n in {NOTICES}.shown('capture')]")
    run.figures["killed"] = said
    run.expect("the killed worker is told", f"'worker has stopped' in {NOTICES}.shown('capture')[0].text")
    choose(run, home / "dance.mp4")
    run.press("motionlift.capture")
    window.wait(f"not {JOBS}.tasks()", 120)
    run.expect("and the next capture works", f"len({SETTINGS}.takes) == 2")


def moved_away(run: Run, home: Path) -> None:
    """A clip that is not where it was: told in the panel and in the status bar, and no job is begun."""
    window = run.window
    shutil.copy(home / "dance.mp4", home / "gone.mp4")
    choose(run, home / "gone.mp4")
    (home / "gone.mp4").unlink()
    run.press("motionlift.capture")
    time.sleep(1)
    run.shoot("5-moved-away")
    window.key("Escape")
    run.shoot_panels("panel-moved-away")
    run.expect(
        "a clip that was moved away is told",
        f"not {JOBS}.tasks() and 'not there any more' in {NOTICES}.shown('capture')[0].text",
    )
    choose(run, home / "dance.mp4")


def show_take(run: Run) -> None:
    run.window.run(HIDE_HERO.format(hidden=True))  # it stands where the camera will
    run.show("takes")
    run.press("motionlift.preview")
    run.window.wait("any('motionlift_take' in o for o in bpy.data.objects)", 30)
    run.press("motionlift.match_camera")
    time.sleep(1)
    run.window.run("bpy.context.window_manager.windows[0].scene.frame_set(60); result = 1")
    run.shoot("6-preview-and-camera")
    run.shoot_panels("panel-takes")
    run.expect(
        "the camera has its background",
        "bpy.context.window_manager.windows[0].scene.camera.data.show_background_images",
    )


HIDE_HERO = """
for each in [o for o in bpy.context.window_manager.windows[0].scene.objects if "motionlift_take" not in o]:
    if each.type in ("ARMATURE", "MESH") and each.parent is None or each.parent and each.parent.name == "Hero":
        each.hide_set({hidden})
result = 1
"""


def clip_editor(run: Run) -> None:
    """The same tab in the Movie Clip Editor, with the overlay on the clip."""
    window = run.window
    window.run(TO_EDITOR.format(old="VIEW_3D", new="CLIP_EDITOR"))
    time.sleep(1)
    window.run(f"""
space = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "CLIP_EDITOR").spaces.active
space.clip = {SETTINGS}.footage.clip
result = 1""")
    run.tab("CLIP_EDITOR")
    window.run("""
window = bpy.context.window_manager.windows[0]
area = next(a for a in window.screen.areas if a.type == "CLIP_EDITOR")
region = next(r for r in area.regions if r.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.clip.view_all()
result = 1""")
    run.shoot("7-clip-editor")
    run.show("capture", "takes", editor="CLIP_EDITOR")
    found = window.buttons("CLIP_EDITOR")
    run.figures["clip editor"] = sorted(found)
    if not any("motionlift.capture" in call for call in found):
        raise SystemExit(f"no Capture in the Movie Clip Editor, but {sorted(found)}")
    window.run(TO_EDITOR.format(old="CLIP_EDITOR", new="VIEW_3D"))
    time.sleep(1)
    run.tab()


TO_EDITOR = """
area = max((a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == {old!r}), key=lambda a: a.width)
area.type = {new!r}
result = 1
"""


def retarget(run: Run, home: Path) -> None:
    """Onto the Mixamo-named character, then onto a generated Rigify rig."""
    window = run.window
    window.run("""
for each in [o for o in bpy.data.objects if "motionlift_take" in o and o.type != "CAMERA"]:
    each.hide_set(True)
result = 1""")
    window.run(HIDE_HERO.format(hidden=False))
    run.show("retarget")
    run.shoot("8-retarget-panel")
    run.press("motionlift.retarget")
    window.wait("bpy.data.objects['Hero'].animation_data is not None", 60)
    run.expect("the character is keyed", "bpy.data.objects['Hero'].animation_data.action is not None")
    window.run("bpy.context.window_manager.windows[0].scene.frame_set(60); result = 1")
    run.shoot("8-retargeted")
    run.shoot_panels("panel-retarget")
    window.run(f"bpy.ops.wm.save_as_mainfile(filepath={str(home / 'shot.blend')!r}); result = 1")
    window.run(RIGIFY, 120)
    time.sleep(1)
    run.press("motionlift.retarget")
    window.wait(f"(data := {SETTINGS}.retarget.armature.animation_data) and data.action", 60)
    run.say("the Rigify rig is keyed")
    run.shoot("9-rigify")


RIGIFY = f"""
import addon_utils
addon_utils.enable("rigify", default_set=True)
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width)
region = next(r for r in area.regions if r.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.object.armature_basic_human_metarig_add()
    metarig = bpy.context.object
    before = set(bpy.data.objects)
    bpy.ops.pose.rigify_generate()
    rig = next(o for o in bpy.data.objects if o not in before and o.type == "ARMATURE")
    metarig.hide_set(True)
{SETTINGS}.retarget.armature = rig
result = rig.name
"""


def solve_again(run: Run, home: Path) -> None:
    """Save, reopen, solve again by the worker, which is warm the second time."""
    window = run.window
    window.run("bpy.ops.wm.save_mainfile(); result = 1")
    window.run(f"bpy.ops.wm.open_mainfile(filepath={str(home / 'shot.blend')!r}); result = 1")
    time.sleep(3)
    run.tab()
    run.expect("the takes are there after reopening", f"len({SETTINGS}.takes) == 2")
    run.show("solve")
    for name in ("cold", "warm"):
        window.run(f"{SETTINGS}.solve.strength = {0.2 if name == 'cold' else 0.6}; result = 1")
        run.press("motionlift.solve")
        begun = time.monotonic()
        window.wait(f"{JOBS}.tasks()", 10)
        window.wait(f"not {JOBS}.tasks()", 60)
        run.figures[f"solve again, {name} worker, s"] = round(time.monotonic() - begun, 2)
    run.expect("solved again", f"'solved' in {NOTICES}.shown('solve')[-1].text")
    run.shoot("10-solved")
    run.show("solve")
    run.shoot_panels("panel-solve")


def export(run: Run, home: Path) -> None:
    """The character to an FBX file, by the file browser."""
    window = run.window
    window.run(f"{SETTINGS}.retarget.armature = bpy.data.objects['Hero']; result = 1")
    run.show("export")
    run.press("motionlift.export")
    window.wait(BROWSING)
    window.run(CHOOSE_FILE.format(folder=str(home), name="hero.fbx"))
    time.sleep(1.5)
    window.run(ACCEPT_FILE)
    window.wait(f"not ({BROWSING})", 60)
    time.sleep(1)
    if not (home / "hero.fbx").is_file():
        raise SystemExit("nothing was exported")
    run.say("exported to FBX")


def batch(run: Run, home: Path) -> None:
    """Two clips of a folder, each onto the character and to a file; a third that is none is told."""
    window = run.window
    (home / "clips").mkdir()
    for name in ("one", "two"):
        shutil.copy(home / "short.mp4", home / "clips" / f"{name}.mp4")
    (home / "clips" / "zero.mp4").write_bytes(b"no video")
    window.run(f"""
batch = {SETTINGS}.batch
batch.folder, batch.export, batch.format, batch.output = {str(home / "clips")!r}, True, ".glb", {str(home / "out")!r}
result = 1""")
    run.show("batch", "export")
    run.shoot("11-batch-and-export")
    before = window.run(f"result = len({SETTINGS}.takes)")
    run.press("motionlift.batch")
    window.wait(f"{JOBS}.tasks()", 20)
    run.shoot_panels("panel-batch-running")
    window.wait(f"not {JOBS}.tasks()", 200)
    run.shoot_panels("panel-batch-and-export")
    run.expect("the batch's two takes are in the list", f"len({SETTINGS}.takes) == {before + 2}")
    told = window.run(f"result = [n.text for n in {NOTICES}.shown('batch') if n.kind == 'ERROR']")
    run.figures["batch, of the clip that is none"] = told
    written = sorted(p.name for p in (home / "out").iterdir())
    if written != ["one.glb", "two.glb"] or len(told) != 1 or "zero.mp4" not in told[0]:
        raise SystemExit(f"the batch wrote {written} and told {told}")
    run.say("and their files are written; the clip that is none is told")


def uninstall(run: Run, home: Path) -> None:
    """Disable, enable, remove; nothing of it stays."""
    window = run.window
    window.run(f"""
import addon_utils
addon_utils.disable("{NAME}", default_set=True)
assert not hasattr(bpy.types.Scene, "motionlift")
addon_utils.enable("{NAME}", default_set=True)
assert hasattr(bpy.types.Scene, "motionlift")
result = 1""")
    run.tab()
    run.shoot("13-enabled-again")
    choose(run, home / "long.mp4")
    run.show("footage", "capture")
    run.press("motionlift.capture")
    window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 60)
    worker = window.run(f"result = {JOBS}.worker_pid()")
    window.close()
    if Path(f"/proc/{worker}").exists():
        raise SystemExit("Blender has quit, and the worker lives on")
    run.say("quitting ended the capture and its worker")
    window.command("extension", "remove", "motionlift")
    left = [str(p) for p in (home / "blender" / "extensions").rglob("*motionlift*") if ".cache" not in str(p)]
    run.figures["left after removal"] = left
    run.say(f"removed; left: {left or 'nothing'}")


if __name__ == "__main__":
    raise SystemExit(main())
