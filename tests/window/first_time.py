"""A new user's first time, by clicks in a real Blender window: from the zip to an animated character.

    python tests/window/first_time.py --zip dist/motionlift-0.1.0-online.zip --rig hero.blend -o out/first_time

Needs what run.py needs, and a network (or the offline zip). Writes screenshots, and to first_time.json every step with
what a user clicks for it and how long it took from its first click to its end. docs/quickstart.md shows both.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from blender_window import BlenderWindow
from run import ACCEPT_FILE, BROWSING, CHOOSE_FILE, JOBS, NAME, SETTINGS, Run, options

SHOW_EXTENSIONS = """
with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
    bpy.ops.screen.userpref_show()
bpy.context.preferences.active_section = "EXTENSIONS"
result = 1
"""
ALLOW = "bpy.context.preferences.system.use_online_access = True; result = 1"
INSTALL = """
window = bpy.context.window_manager.windows[-1]
with bpy.context.temp_override(window=window, area=window.screen.areas[0]):
    bpy.ops.extensions.package_install_files("INVOKE_DEFAULT")
result = 1
"""
CLOSE = """
with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
    bpy.ops.wm.window_close()
result = 1
"""


def main() -> int:
    args = options(__doc__, "out/first_time").parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ.pop("MOTIONLIFT_PYTHON", None)
    extra = [o for group in args.blender_options for o in group.split()]
    with tempfile.TemporaryDirectory() as home, BlenderWindow(args.blender, Path(home), (1280, 1000), extra) as window:
        for source, name in ((args.zip, args.zip.name), (args.rig, "hero.blend"), (args.clip, "dance.mp4")):
            shutil.copy(source, Path(home) / name)
        first = FirstTime(Run(window, args.out, args.clip), Path(home))
        window.open()
        first.go(args.zip.name)
        steps = first.steps
    total = {"clicks": sum(len(s["clicks"]) for s in steps), "seconds": round(sum(s["seconds"] for s in steps))}
    (args.out / "first_time.json").write_text(json.dumps({"steps": steps, "total": total}, indent=2) + "\n")
    sys.stdout.write(f"{total['clicks']} clicks, {total['seconds']} s\n")
    return 0


class FirstTime:
    """The steps, and what each took."""

    def __init__(self, run: Run, home: Path) -> None:
        self.run, self.window, self.home = run, run.window, home
        self.steps: list[dict[str, object]] = []

    @contextmanager
    def step(self, name: str, *clicks: str) -> Generator[None]:
        begun = time.monotonic()
        yield
        seconds = time.monotonic() - begun
        self.steps.append({"step": name, "clicks": clicks, "seconds": round(seconds, 1)})
        self.run.say(f"{name}: {len(clicks)} clicks, {seconds:.1f} s")

    def choose(self, name: str) -> None:
        """A file in the file browser."""
        self.window.wait(BROWSING)
        self.window.run(CHOOSE_FILE.format(folder=str(self.home), name=name))
        time.sleep(1)
        self.window.run(ACCEPT_FILE)

    def go(self, zip_name: str) -> None:
        run, window = self.run, self.window
        with self.step(
            "Install the zip",
            *("Edit", "Preferences", "Get Extensions", "Allow Online Access", "▾", "Install from Disk"),
            *("the zip", "Install from Disk", "close the Preferences"),
        ):
            window.run(SHOW_EXTENSIONS)
            window.run(ALLOW)
            window.run(INSTALL)
            self.choose(zip_name)
            window.wait(f"'{NAME}' in bpy.context.preferences.addons", 60)
            run.shoot("1-installed")
            window.run(CLOSE)
        with self.step("Open the character's file", "File", "Open", "the file", "Open"):
            window.run(f"bpy.ops.wm.open_mainfile(filepath={str(self.home / 'hero.blend')!r}, load_ui=False); result=1")
            time.sleep(2)
        with self.step("Open the tab", "N (a key)", "Motion"):
            run.tab()
        run.shoot("2-tab")
        with self.step("Set up", "Set Up", "Install"):
            run.press("motionlift.set_up")
            time.sleep(1.5)
            run.shoot("3-set-up")
            window.key("Return")
            window.wait(f"{JOBS}.tasks('setup')", 20)
            window.wait(f"any(p.progress for p in {JOBS}.tasks('setup'))", 120)
            run.shoot("4-setting-up")
            window.wait(f"not {JOBS}.tasks('setup')", 1200)
            window.wait(f"{JOBS}.environment_state().ready", 10)
        time.sleep(2)
        with self.step("Open the footage", "Open", "the clip", "Open Footage"):
            run.press("motionlift.open_footage")
            self.choose("dance.mp4")
            window.wait(f"{SETTINGS}.footage.clip is not None")
        time.sleep(1)
        with self.step("Capture", "Capture"):
            run.press("motionlift.capture")
            window.wait(f"{JOBS}.tasks() and {JOBS}.tasks()[0].progress is not None", 120)
            time.sleep(2)
            run.shoot("5-capturing")
            window.wait(f"not {JOBS}.tasks()", 600)
        run.expect("there is a take", f"len({SETTINGS}.takes) == 1")
        time.sleep(2)
        run.show("retarget")
        with self.step("Retarget", "Retarget"):
            run.press("motionlift.retarget")
            window.wait("(d := bpy.data.objects['Hero'].animation_data) and d.action", 60)
        window.run("bpy.context.window_manager.windows[0].scene.frame_set(60); result = 1")
        window.run(FRAME_HERO)
        time.sleep(2)
        run.shoot("6-animated")


FRAME_HERO = """
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width)
hero = bpy.data.objects["Hero"]
for each in bpy.context.view_layer.objects:
    each.select_set(each == hero)
with bpy.context.temp_override(window=window, area=area, region=next(r for r in area.regions if r.type == "WINDOW")):
    bpy.ops.view3d.view_selected()
result = 1
"""

if __name__ == "__main__":
    raise SystemExit(main())
