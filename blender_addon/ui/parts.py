"""Pieces that several panels draw: notices, progress, the environment, text that is too long for a line."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy

from .. import notices
from ..capture import jobs
from ..worker.messages import Progress

ICONS = {"ERROR": "ERROR", "WARNING": "INFO", "INFO": "CHECKMARK"}
STAGES = {
    "start": "Starting",
    "fetch": "Fetching models",
    "download": "Downloading",
    "unpack": "Unpacking",
    "check": "Trying it",
    "detect": "Finding people",
    "lens": "Estimating the lens",
    "lift": "Lifting into 3D",
    "solve": "Solving",
    "save": "Writing the take",
}
COUNTED = {"detect": ("frames", "frames/s"), "fetch": ("MB", "MB/s"), "download": ("MB", "MB/s")}


def characters(context: Any) -> int:
    """About how many characters fit into a line of the region at hand."""
    region = getattr(context, "region", None)
    scale = context.preferences.system.ui_scale or 1.0  # 0 in background mode
    width = region.width if region and region.width > 1 else 300 * scale
    return max(20, int(width / (7.2 * scale)) - 8)


def draw_text(layout: Any, text: str, width: int, icon: str = "NONE") -> None:
    """Text over several lines, the icon before the first."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for i, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE")


def draw_notices(layout: Any, context: Any, section: str) -> None:
    """What, why and what to do of each piece of news of a section."""
    width = characters(context)
    for i, notice in enumerate(notices.shown(section)):
        row = layout.box().row()
        column = row.column()
        column.alert = notice.kind == "ERROR"
        draw_text(column, notice.what, width - 4, ICONS[notice.kind])
        if notice.why:
            draw_text(column, notice.why, width - 4, "BLANK1")
        if notice.remedy:
            draw_text(column, notice.remedy, width - 4, "RIGHTARROW_THIN")
        if notice.file:
            column.operator("wm.path_open", text="Open Report", icon="TEXT").filepath = str(notice.file)
        if i == 0:
            row.operator("motionlift.dismiss", text="", icon="X", emboss=False).section = section


def draw_progress(layout: Any, queue: jobs.QueueName = "worker") -> None:
    """The running task with stage, rate, time left and Cancel; and how many wait."""
    tasks = jobs.tasks(queue)
    if not tasks:
        return
    box = layout.box()
    box.label(text=tasks[0].title, icon="RENDER_ANIMATION" if queue == "worker" else "IMPORT")
    said = tasks[0].progress
    box.progress(factor=fraction(said), text=stage_text(said))
    for line in detail_lines(said):
        box.label(text=line)
    row = box.row()
    stop = row.operator("motionlift.cancel", text="Cancel", icon="CANCEL")
    stop.setup, stop.first = queue == "setup", True
    if len(tasks) > 1:
        box.label(text=f"{len(tasks) - 1} more waiting")
        every = box.operator("motionlift.cancel", text="Cancel All")
        every.setup, every.first = queue == "setup", False


def fraction(said: Progress | None) -> float:
    return min(1.0, said.done / said.total) if said and said.total else 0.0


def stage_text(said: Progress | None) -> str:
    if said is None:
        return "Starting"
    share = f" {100 * fraction(said):.0f} %" if said.total > 1 else ""
    return STAGES.get(said.stage, said.stage.title()) + share


def detail_lines(said: Progress | None) -> list[str]:
    """Such as "120 of 240 frames" and "29.4 frames/s, 4 s left"."""
    if said is None or said.stage not in COUNTED:
        return []
    noun, rate = COUNTED[said.stage]
    speed = [f"{said.rate:.1f} {rate}"] if said.rate else []
    left = [f"{duration(said.left_s)} left"] if said.left_s is not None else []
    counted = f"{said.done} of {said.total} {noun}" if said.total else f"{said.done} {noun}"
    return [counted, ", ".join([*speed, *left])] if speed or left else [counted]


def duration(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole} s"
        if whole < 90
        else f"{whole // 60} min {whole % 60} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60} min"
    )


def draw_environment(layout: Any, context: Any, *, full: bool) -> None:
    """Whether captures can run, and the buttons that see to it; `full`: with repair and removal."""
    state = jobs.environment_state()
    if jobs.tasks("setup"):
        draw_progress(layout, "setup")
        return
    if not state.ready:
        layout.label(text=state.text, icon="INFO")
        layout.operator("motionlift.set_up", text="Set Up", icon="IMPORT")
        return
    if full:
        layout.label(text=state.text, icon="CHECKMARK" if state.current else "INFO")
        if not jobs.own_python():
            _draw_care(layout, context)


def _draw_care(layout: Any, context: Any) -> None:
    """What the environment was made for, and the buttons that look after it."""
    from ..setup import device_text

    draw_text(layout, device_text(), characters(context), "BLANK1")
    row = layout.row(align=True)
    row.operator("motionlift.check_setup", icon="VIEWZOOM")
    row.operator("motionlift.set_up", text="Repair", icon="FILE_REFRESH")
    row.operator("motionlift.remove_setup", icon="TRASH")


class Dismiss(bpy.types.Operator):
    """Take these notices away"""

    bl_idname = "motionlift.dismiss"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    section: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Whose notices")

    def execute(self, _context: Any) -> set[str]:
        notices.clear(self.section)
        return {"FINISHED"}


class Tell(bpy.types.Operator):
    """Show a message in the status bar"""

    bl_idname = "motionlift.tell"
    bl_label = "Message"
    bl_options = {"INTERNAL"}

    kind: bpy.props.StringProperty(
        default="INFO", options={"HIDDEN", "SKIP_SAVE"}, description="ERROR, WARNING or INFO"
    )
    text: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"}, description="The message")

    def invoke(self, context: Any, _event: Any) -> set[str]:
        # What is reported to a script that calls an operator is not shown: wait for an event of the window's own.
        self._timer = context.window_manager.event_timer_add(0.01, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        self.report({self.kind}, self.text)
        return {"FINISHED", "PASS_THROUGH"}


CLASSES = (Dismiss, Tell)
