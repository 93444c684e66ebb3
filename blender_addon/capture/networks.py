"""Networks of RTMPose, RTMW and RTMO: which a detector wants, whether they are here, and a button that fetches them.

They lie in the folder `detectors` of the model folder (preferences), as NAME.onnx. The worker downloads them, after a
dialog that says what, from where, how large and under which licence; lifter/detect/rtm_models.py checks them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from .. import notices, solve_settings
from ..errors import UserError
from ..notices import Notice, perform
from ..places import stored
from ..properties import KEYPOINT_FILES, model_folder, network_property, networks
from ..worker.messages import Done, Failed, fetch_job
from . import jobs
from .jobs import Ending, Task


def network_folder() -> Path:
    """Where networks of detectors lie; not made yet, perhaps."""
    return model_folder() / "detectors"


def wanted(settings: Any) -> list[dict[str, Any]]:
    """The networks that the Capture panel's detector runs: as lifter/describe_settings.py describes them."""
    if not networks(settings.detector):
        return []
    known = {n["name"]: n for n in networks()}
    chosen = known[getattr(settings, network_property(settings.detector))]
    return [chosen] + ([known[chosen["needs"]]] if chosen["needs"] else [])


def missing(settings: Any) -> list[dict[str, Any]]:
    """Those of `wanted` that are not in the folder."""
    folder = network_folder()
    return [n for n in wanted(settings) if not (folder / f"{n['name']}.onnx").is_file()]


class FetchNetworks(bpy.types.Operator):
    """Download the networks that this detector needs; shows from where, how large and under which licence first"""

    bl_idname = "motionlift.fetch_networks"
    bl_label = "Fetch Networks"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, _context: Any) -> bool:
        if not jobs.environment_state().ready:
            cls.poll_message_set("Set up Motionlift's packages first: the button is above")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Download")

    def draw(self, context: Any) -> None:
        column = self.layout.column(align=True)
        for line in offer(missing(context.scene.motionlift.capture)):
            column.label(text=line)
        if not bpy.app.online_access:
            column.separator()
            column.label(text="Online access is off: allow it in Preferences, System, first", icon="ERROR")

    def execute(self, context: Any) -> set[str]:
        started: list[Task] = []

        def work() -> str | None:
            started.extend(start_fetch(context.scene))
            return None if bpy.app.background else "Downloading; Cancel is in the panel"

        done = perform(self, "capture", work)
        if not (started and bpy.app.background):
            return done
        endings = [jobs.wait(task) for task in started]
        for ending in endings:
            if isinstance(ending, Failed):
                self.report({"ERROR"}, notices.of_failure(ending).text)
        return {"FINISHED"} if all(isinstance(e, Done) for e in endings) else {"CANCELLED"}


def start_fetch(scene: Any) -> list[Task]:
    """Queue the download of what is missing, a task a network. Raises UserError."""
    absent = missing(scene.motionlift.capture)
    if not absent:
        raise UserError("There is nothing to fetch", "Press Capture")
    if not bpy.app.online_access:
        raise UserError(
            "The networks would have to be downloaded, and online access is off",
            f"Allow it in Preferences, System, or put {', '.join(n['name'] + '.onnx' for n in absent)} into "
            f"{network_folder()}",
        )
    folder = network_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: networks cannot be kept there", "Choose another model folder in the preferences", str(error)
        ) from error
    queued = {t.job.output for t in jobs.tasks()}
    return [
        jobs.start(Task(job, f"Fetching {each['name']}", "capture", scene.session_uid, _tell))
        for each in absent
        if (job := fetch_job(each["name"], folder)).output not in queued
    ]


def _tell(task: Task, ending: Ending) -> None:
    if isinstance(ending, Done):
        compared = "as expected" if ending.summary["compared"] else "written down, and compared from now on"
        size, digest = ending.summary["megabytes"], ending.summary["sha256"]
        name = task.job.fields["model"]
        notices.show("capture", Notice("INFO", f"{name} is here, {size} MB; SHA-256 {digest[:12]}…, {compared}"))


def offer(absent: list[dict[str, Any]]) -> list[str]:
    """What would be downloaded, in lines."""
    about = solve_settings.offered()["networks"]
    each = [f"{n['name']}: {what(n)}, about {n['megabytes']} MB" for n in absent]
    total = sum(n["megabytes"] for n in absent)
    source = f"About {total} MB from {about['source']}, licence {about['licence']}"
    return [*each, source, "Into", f"    {network_folder()}"]


def what(network: dict[str, Any]) -> str:
    """What a network finds."""
    return f"keypoints ({network['layout']})" if network["layout"] else "where people are"


class ChooseDetectorFile(bpy.types.Operator):
    """Choose the file or, for keypoints in many files, the folder"""

    bl_idname = "motionlift.choose_detector_file"
    bl_label = "Choose"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="The file")
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN"}, description="Its folder")
    filename: StringProperty(subtype="FILE_NAME", options={"HIDDEN"}, description="Its name; empty for the folder")
    filter_glob: StringProperty(options={"HIDDEN"}, description="Which files to show")

    def invoke(self, context: Any, _event: Any) -> set[str]:
        keypoints = context.scene.motionlift.capture.detector == "keypoints"
        self.filter_glob = ";".join(f"*{e}" for e in KEYPOINT_FILES) if keypoints else "*.toml"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            path = Path(bpy.path.abspath(self.filepath))
            if not path.exists():
                raise UserError(f"{path}: there is no such file or folder", "Choose one that is there")
            context.scene.motionlift.capture.detector_file = stored(path)
            return f"Chose {path.name}"

        return perform(self, "capture", work)


CLASSES = (FetchNetworks, ChooseDetectorFile)
