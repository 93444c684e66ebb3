"""A real Blender window on a display of its own: commands, mouse, screenshots. Wants Xvfb, xdotool, ImageMagick."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).with_name("inside.py")
TOOLS = ("Xvfb", "xdotool", "import")

HOVERED = """
window = bpy.context.window_manager.windows[0]
area = next(a for a in window.screen.areas if a.type == {editor!r})
region = next(r for r in area.regions if r.type == {region!r})
bpy.context.window_manager.clipboard = ""
with bpy.context.temp_override(window=window, area=area, region=region):
    if bpy.ops.ui.copy_python_command_button.poll():
        bpy.ops.ui.copy_python_command_button()
result = bpy.context.window_manager.clipboard
"""
"""The operator of the button under the mouse, as Python."""

REGION = """
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == {editor!r}), key=lambda a: a.width)
region = next(r for r in area.regions if r.type == {region!r})
result = [region.x, window.height - region.y - region.height, region.width, region.height, window.width, window.height]
"""


class BlenderWindow:
    """Use it in `with`: everything it starts ends with it."""

    def __init__(self, blender: str, home: Path, size: tuple[int, int] = (1600, 900), options: list[str] | None = None):
        missing = [t for t in TOOLS if not shutil.which(t)]
        if missing:
            raise SystemExit(f"{', '.join(missing)} not found: install Xvfb, xdotool and ImageMagick")
        self.blender, self.home, self.size, self.options = blender, home, size, options or []
        self.folder = home / "window"
        self.shots = home
        self.number = 0
        self.known: dict[tuple[str, str], tuple[int, int]] = {}
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "BLENDER_USER_RESOURCES": str(home / "blender"),
            "MOTIONLIFT_WINDOW": str(self.folder),
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }

    def __enter__(self) -> BlenderWindow:
        self.home.mkdir(parents=True, exist_ok=True)
        return self

    def command(self, *arguments: str) -> str:
        """`blender --command ...` with this window's own user folder."""
        done = subprocess.run(
            [self.blender, "--command", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"blender --command {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def open(self) -> float:
        """Start the display and Blender; seconds until it answers."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.number = 0
        width, height = self.size
        if "DISPLAY" not in self.environment or not self.started:
            read, write = os.pipe()
            display = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "+extension", "GLX"]
            self._start([*display, "-noreset"], pass_fds=(write,))
            os.close(write)
            with os.fdopen(read) as said:
                self.environment["DISPLAY"] = ":" + said.readline().strip()
            if shutil.which("openbox"):
                self._start(["openbox"])
        begun = time.monotonic()
        self.process = self._start(
            [
                self.blender,
                *self.options,
                "--window-geometry",
                "0",
                "0",
                str(width),
                str(height),
                "--python",
                str(INSIDE),
            ],
            log=self.home / "blender.log",
        )
        self.run("result = 1", 300)
        return time.monotonic() - begun

    def _start(self, command: list[str], log: Path | None = None, **options: Any) -> subprocess.Popen[bytes]:
        output = log.open("ab") if log else subprocess.DEVNULL
        process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, **options)
        self.started.append(process)
        return process

    def run(self, code: str, seconds: float = 60.0) -> Any:
        """Run Python inside Blender, on its main thread; what it assigns to `result`."""
        self.number += 1
        command = self.folder / f"{self.number}.py"
        command.with_suffix(".tmp").write_text(code, encoding="utf-8")
        command.with_suffix(".tmp").replace(command)
        answer = self.folder / f"{self.number}.json"
        end = time.monotonic() + seconds
        while not answer.exists():
            if time.monotonic() > end or self.process.poll() is not None:
                log = (self.home / "blender.log").read_text(errors="replace")[-3000:]
                raise SystemExit(f"Blender does not answer (exit code {self.process.poll()}) to:\n{code}\n{log}")
            time.sleep(0.01)
        said = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in said:
            raise RuntimeError(said["error"])
        return said["result"]

    def wait(self, condition: str, seconds: float = 60.0) -> float:
        """Until an expression is true inside Blender; the seconds it took."""
        begun = time.monotonic()
        while not self.run(f"result = bool({condition})"):
            if time.monotonic() - begun > seconds:
                self.shoot(self.shots / "failed.png")
                raise SystemExit(f"after {seconds:.0f} s it is still not so: {condition}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def mouse(self, x: int, y: int) -> None:
        # Blender looks at what is under the mouse when it moves there: come from beside.
        subprocess.run(["xdotool", "mousemove", str(x - 3), str(y), "mousemove", str(x), str(y)], env=self.environment)

    def click(self, x: int, y: int) -> None:
        self.mouse(x, y)
        time.sleep(0.3)
        subprocess.run(["xdotool", "click", "1"], env=self.environment, check=True)

    def key(self, *names: str) -> None:
        subprocess.run(["xdotool", "key", *names], env=self.environment, check=True)

    def shoot(self, path: Path, part: tuple[int, int, int, int] | None = None) -> None:
        """A screenshot of the display in few colours, or of a part of it: x, y, width, height."""
        path.parent.mkdir(parents=True, exist_ok=True)
        crop = ["-crop", "{2}x{3}+{0}+{1}".format(*part), "+repage"] if part else []
        few = ["-dither", "None", "-colors", "128" if part else "200", f"PNG8:{path}"]
        subprocess.run(["import", "-window", "root", *crop, *few], env=self.environment, check=True)

    def region(self, editor: str, region: str = "UI") -> tuple[int, int, int, int]:
        """x, y, width, height on the display."""
        x, y, width, height, across, down = self.run(REGION.format(editor=editor, region=region))
        # A window manager's borders are as wide on the left, right and below; the title bar is above.
        border = (self.size[0] - across) // 2
        return x + border, y + self.size[1] - down - border, width, height

    def headers(self, editor: str = "VIEW_3D") -> list[int]:
        """Rows on the display where a panel's header is, by the eight dots at its right end."""
        x, y, width, height = self.region(editor)
        crop = f"16x{height}+{x + width - 55}+{y}"
        command = ["import", "-window", "root", "-crop", crop, "-depth", "8", "gray:-"]
        raw = subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout
        rows = [raw[16 * i : 16 * (i + 1)] for i in range(height)]
        runs = [self._bright_runs(row) for row in rows]
        out: list[int] = []
        for i in range(2, height - 8):
            # Two lines of four dots, and nothing above and below.
            dots = runs[i] == 4 and 4 in runs[i + 2 : i + 5] and not runs[i - 2] and not runs[i + 7]
            if dots and (not out or y + i - out[-1] > 8):
                out.append(y + i)
        return out

    @staticmethod
    def _bright_runs(row: bytes) -> int:
        """How many spots stand out of the background."""
        bright = [p > min(row) + 12 for p in row]
        return sum(b and not a for a, b in zip([False, *bright], bright, strict=False))

    def hovered(self, editor: str) -> str:
        return str(self.run(HOVERED.format(editor=editor, region="UI")) or "")

    def buttons(
        self, editor: str = "VIEW_3D", wanted: str = "", start: int = 0, step: int = 9
    ) -> dict[str, tuple[int, int]]:
        """Place of every operator's button that is seen in the sidebar, by its call as Python; the first of each.

        wanted: stop when this operator is found. start: begin below this row of the display.
        """
        x, y, width, height = self.region(editor)
        column = x + int(width * 0.3)
        found: dict[str, tuple[int, int]] = {}
        for row in range(max(start, y + 8), y + height - 4, step):
            self.mouse(column, row)
            time.sleep(0.05)
            said = self.hovered(editor)
            if said and said not in found:
                found[said] = (column, row + 3)
            if wanted and said.startswith(f"bpy.ops.{wanted}("):
                break
        return found

    def place(self, operator: str, editor: str = "VIEW_3D", start: int = 0) -> tuple[int, int]:
        """Of the button of an operator such as "motionlift.capture"; where it was the last time is tried first."""
        known = self.known.get((operator, editor))
        if known:
            self.mouse(known[0] - 200, known[1])  # what is under the mouse is looked up when it moves
            time.sleep(0.3)
            self.mouse(*known)
            time.sleep(0.2)
            if self.hovered(editor).startswith(f"bpy.ops.{operator}("):
                return known
        found = self.buttons(editor, operator, start)
        place = next((p for call, p in found.items() if call.startswith(f"bpy.ops.{operator}(")), None)
        if place is None:
            self.shoot(self.shots / "failed.png")
            raise SystemExit(f"no button of {operator} is seen in the {editor}'s sidebar, but {sorted(found)}")
        self.known[operator, editor] = place
        return place

    def press(self, operator: str, editor: str = "VIEW_3D", start: int = 0) -> None:
        """Click the button of an operator."""
        self.click(*self.place(operator, editor, start))

    def close(self) -> None:
        """End Blender as a user does."""
        self.run("bpy.app.timers.register(lambda: bpy.ops.wm.quit_blender() and None, first_interval=0.1)\nresult = 1")
        self.process.wait(30)

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
