"""Setting the environment up: what would be installed, and the operators that do it in a process of its own."""

from __future__ import annotations

import sys
import textwrap
from functools import cache
from typing import Any

import bpy

from .capture import jobs
from .capture.jobs import Ending, Task
from .environment.devices import find_device, fitting_plan
from .environment.folder import ADDON
from .environment.jobs import check_job, install_job, remove_job
from .environment.plan import Plan, SetupError
from .errors import UserError
from .notices import Notice, clear, perform, show
from .preferences import preferences
from .worker.messages import Done, Failed, Job


@cache
def wanted_plan(device: str) -> Plan | SetupError:
    """What would be installed for the device of the preferences, or why nothing can be."""
    try:
        return fitting_plan(device, find_device(_renderer()), ADDON)
    except SetupError as error:
        return error


@cache
def _renderer() -> str:
    """The GPU's name, as the window system has it; empty in background mode."""
    if bpy.app.background:
        return ""
    import gpu

    return str(gpu.platform.renderer_get())


def device_text() -> str:
    """What was found, and what is chosen for it."""
    plan = wanted_plan(preferences().device)
    return plan.reason if isinstance(plan, Plan) else str(plan)


def _start(kind: str, job: Job) -> Task:
    """Run one setting-up job; captures stop, as their files are exchanged."""
    if jobs.tasks("setup"):
        raise UserError("Something is being set up already", "Wait until it is done, or press Cancel")
    jobs.stop("its packages are being exchanged")

    def finish(_task: Task, ending: Ending) -> None:
        if isinstance(ending, Done):
            clear("capture")
            show(
                "setup",
                Notice("INFO", {"install": "Ready to capture", "check": "All is well", "remove": "Removed"}[kind]),
            )

    return jobs.start(Task(job, "Setting up", "setup", bpy.context.scene.session_uid, finish, "setup"))


class SetUp(bpy.types.Operator):
    """Install what capturing needs into a folder of its own; shows what and how much first"""

    bl_idname = "motionlift.set_up"
    bl_label = "Set Up"
    bl_options = {"REGISTER"}

    def invoke(self, context: Any, _event: Any) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Install")

    def draw(self, _context: Any) -> None:
        column = self.layout.column(align=True)
        plan = wanted_plan(preferences().device)
        if isinstance(plan, SetupError):
            column.label(text=str(plan), icon="ERROR")
            return
        for line in plan_lines(plan):
            column.label(text=line)
        if plan.bundle is None and not bpy.app.online_access:
            column.separator()
            column.label(text="Online access is off: allow it in Preferences, System, first", icon="ERROR")

    def execute(self, _context: Any) -> set[str]:
        def work() -> None:
            plan = wanted_plan(preferences().device)
            if isinstance(plan, SetupError):
                raise plan
            if plan.bundle is None and not bpy.app.online_access:
                raise UserError(
                    "Packages would have to be downloaded, and online access is off",
                    "Allow it in Preferences, System, or install the offline version of Motionlift",
                )
            job = install_job(jobs.environment_folder(), plan.variant, online=bpy.app.online_access)
            task = _start("install", job)
            if bpy.app.background:
                raise_failure(jobs.wait(task))

        return perform(self, "setup", work)


class CheckSetup(bpy.types.Operator):
    """Try everything in the environment, and say what is wrong"""

    bl_idname = "motionlift.check_setup"
    bl_label = "Check"
    bl_options = {"REGISTER"}

    def execute(self, _context: Any) -> set[str]:
        def work() -> None:
            task = _start("check", check_job(jobs.environment_folder()))
            if bpy.app.background:
                raise_failure(jobs.wait(task))

        return perform(self, "setup", work)


class RemoveSetup(bpy.types.Operator):
    """Remove the packages that were set up. Takes, models and mappings stay"""

    bl_idname = "motionlift.remove_setup"
    bl_label = "Remove"
    bl_options = {"REGISTER"}

    def invoke(self, context: Any, event: Any) -> set[str]:
        return context.window_manager.invoke_confirm(self, event, confirm_text="Remove")

    def execute(self, _context: Any) -> set[str]:
        def work() -> None:
            task = _start("remove", remove_job(jobs.environment_folder()))
            if bpy.app.background:
                raise_failure(jobs.wait(task))

        return perform(self, "setup", work)


def raise_failure(ending: Ending) -> None:
    """Turn a failed ending into the error that operators report. Raises UserError."""
    if isinstance(ending, Failed):
        kept = f"{ending.why}; report: {ending.report_file}" if ending.report_file else ending.why
        raise UserError(ending.what, ending.remedy, kept)


def plan_lines(plan: Plan) -> list[str]:
    """What will be installed, from where, how large, and where to."""
    names = ", ".join(f"{w.name} {w.version}" for w in plan.wheels)
    size = f"download {plan.download_megabytes} MB, " if plan.bundle is None else "no download, "
    return [
        device_text(),
        f"Packages: {len(plan.wheels)} ({plan.variant})",
        *_wrapped(names, 64),
        f"From {plan.source}",
        f"{size[0].upper()}{size[1:]}about {plan.disk_megabytes} MB on disk",
        "Into",
        *_wrapped(str(jobs.environment_folder()), 64),
        f"Blender's own Python ({sys.version.split()[0]}) is not changed",
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return ["    " + line for line in textwrap.wrap(text, width)]


CLASSES = (SetUp, CheckSetup, RemoveSetup)
