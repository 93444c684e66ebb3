"""Many clips, one rig: clips are captured in turn; each take joins the list, goes on the rig and to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import notices
from .batch_run.clips import movies_in
from .capture import jobs
from .capture.footage import Request, make_request
from .capture.jobs import Ending, Task
from .capture.operators import queue_capture
from .errors import UserError
from .export import export_rig
from .files import check_output
from .notices import Notice, perform
from .places import absolute, takes_folder
from .retarget.blender.operator import needs_rig, panel_mapping, retarget_onto, target_rig
from .worker.messages import Done, Failed


def batch_requests(scene: Any) -> list[Request]:
    """What is to be captured. Raises UserError."""
    batch, footage = scene.motionlift.batch, scene.motionlift.footage
    if batch.source == "file":
        if not len(bpy.data.movieclips):
            raise UserError("There is no movie clip in this file", "Open some, or choose a folder")
        return [make_request(clip, footage) for clip in bpy.data.movieclips]
    if not batch.folder:
        raise UserError("No folder is chosen", "Choose the folder with the videos")
    options = {}
    if footage.lens == "value":
        from .properties import focal_to_fov

        options["fov"] = focal_to_fov(footage.focal_mm)
    return [Request(path.stem, str(path), options) for path in movies_in(absolute(batch.folder))]


def start_batch(context: Any) -> list[Task]:
    """Queue a batch as the panel says. Raises UserError, TakeError or RigError before anything is begun."""
    scene = context.scene
    batch, retarget = scene.motionlift.batch, scene.motionlift.retarget
    requests = batch_requests(scene)
    rig = target_rig(context) if batch.retarget else None
    if batch.retarget and rig is None:
        raise UserError("No rig is chosen", "Choose one in the Retarget panel, or switch Retarget off")
    folder = None
    if rig is not None:
        panel_mapping(retarget, rig)
    if batch.export and rig is not None:
        folder = absolute(batch.output) if batch.output else takes_folder()
        folder.mkdir(parents=True, exist_ok=True)
        check_output(folder / f"x{batch.format}")
    name = rig.name if rig is not None else ""
    return [queue_capture(scene, r, "batch", lambda *a, f=folder: _finish_one(*a, name, f)) for r in requests]


def _finish_one(scene: Any, entry: Any, path: Path, rig_name: str, folder: Path | None) -> None:
    """Retarget and export one take, if that is wanted. Raises TakeError, RigError or UserError."""
    if not rig_name:
        return
    rig = scene.objects.get(rig_name)
    if rig is None:
        raise UserError(f'The rig "{rig_name}" is not in the scene any more', f"Put {entry.name} on a rig by hand")
    settings = scene.motionlift.retarget
    window = next(iter(bpy.context.window_manager.windows), None)
    override = {"scene": scene} if bpy.app.background or window is None else {"window": window, "scene": scene}
    with bpy.context.temp_override(**override):
        context = bpy.context
        report = retarget_onto(context, settings, rig, path, entry.person, panel_mapping(settings, rig))
        report.action.use_fake_user = True
        for warning in report.warnings:
            notices.show("batch", Notice("WARNING", f"{entry.name}: {warning}"))
        if folder is not None:
            export = scene.motionlift.export
            name = bpy.path.clean_name(entry.name)
            out = folder / f"{name}{scene.motionlift.batch.format}"
            written = export_rig(context, rig, out, deform_only=export.deform_only and report.controls)
            notices.show("batch", Notice("INFO", f"Wrote {written.name}"))


class Batch(bpy.types.Operator):
    """Capture all of these clips, one after the other, and put each on the rig"""

    bl_idname = "motionlift.batch"
    bl_label = "Capture All"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not jobs.environment_state().ready:
            cls.poll_message_set("Set up Motionlift's packages first: the button is in the Capture panel")
            return False
        if context.scene.motionlift.batch.retarget:
            return needs_rig(cls, context)
        return True

    def execute(self, context: Any) -> set[str]:
        started: list[Task] = []

        def work() -> str:
            try:
                started.extend(start_batch(context))
            except OSError as error:
                raise UserError(
                    "The folder for exported files cannot be made", "Choose another one", str(error)
                ) from error
            return f"{len(started)} clips to capture"

        done = perform(self, "batch", work)
        if started and bpy.app.background:
            return self._wait(started)
        return done

    def _wait(self, started: list[Task]) -> set[str]:
        endings: list[Ending] = [jobs.wait(task) for task in started]
        for task, ending in zip(started, endings, strict=True):
            if isinstance(ending, Failed):
                self.report({"WARNING"}, f"{task.title}: {notices.of_failure(ending).text}")
        good = sum(isinstance(e, Done) for e in endings)
        for notice in notices.shown("batch"):
            if notice.kind == "ERROR":
                self.report({"WARNING"}, notice.text)
        self.report({"INFO"} if good else {"ERROR"}, f"{good} of {len(endings)} clips were captured")
        return {"FINISHED"} if good else {"CANCELLED"}


CLASSES = (Batch,)
