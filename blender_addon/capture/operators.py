"""Open footage, capture it, solve again, cancel. In background mode these wait for their result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty

from .. import notices, solve_settings
from ..errors import UserError
from ..notices import Notice, perform
from ..places import new_take, takes_folder
from ..properties import FINDING, WITH_FILE
from ..takes import marks
from ..takes.entries import active_path, active_take, show_take
from ..takes.summary import from_worker
from ..worker.messages import Cancelled, Done, Failed, capture_job, solve_job
from . import jobs
from .footage import Request, chosen_clip, make_request, open_clip
from .jobs import Ending, Task
from .networks import missing, network_folder, wanted


class OpenFootage(bpy.types.Operator):
    """Open a video, or an image of a sequence, to capture people from"""

    bl_idname = "motionlift.open_footage"
    bl_label = "Open Footage"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", subtype="FILE_PATH", description="A video, or an image of a sequence")
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN"}, description="Folder of the files")
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}, description="Chosen files"
    )
    filter_movie: BoolProperty(default=True, options={"HIDDEN"}, description="Show videos")
    filter_image: BoolProperty(default=True, options={"HIDDEN"}, description="Show images")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"}, description="Show folders")

    def invoke(self, context: Any, _event: Any) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        def work() -> str:
            clip = open_clip(Path(bpy.path.abspath(self.filepath)))
            footage = context.scene.motionlift.footage
            footage.clip, footage.use_range = clip, False
            footage.start, footage.end = 1, clip.frame_duration
            if getattr(context, "space_data", None) and context.space_data.type == "CLIP_EDITOR":
                context.space_data.clip = clip
            return f"Opened {clip.name}"

        return perform(self, "footage", work)


class Capture(bpy.types.Operator):
    """Find the people in the clip and make a take of their motion. Blender stays usable meanwhile"""

    bl_idname = "motionlift.capture"
    bl_label = "Capture"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if chosen_clip(context.scene) is None:
            cls.poll_message_set("Choose a clip in the Footage panel, or open one")
            return False
        if not jobs.environment_state().ready:
            cls.poll_message_set("Set up Motionlift's packages first: the button is above")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        started: list[Task] = []

        def work() -> str | None:
            clip = chosen_clip(context.scene)
            if clip is None:
                raise UserError("No clip is chosen", "Choose one in the Footage panel, or open one")
            started.append(start_capture(context.scene, clip))
            return None if bpy.app.background else f"Capturing {clip.name}; Cancel is in the panel"

        done = perform(self, "capture", work)
        return wait_for(self, started[0]) if started and bpy.app.background else done


def start_capture(scene: Any, clip: Any, section: str = "capture", then: Any = None) -> Task:
    """Queue the capture of a clip with the scene's settings; its take joins the scene's list.

    then: called with the scene, the take's row and its path when it is there. Raises UserError.
    """
    settings = scene.motionlift
    request = make_request(clip, settings.footage)
    return queue_capture(scene, request, section, then)


def queue_capture(scene: Any, request: Request, section: str, then: Any = None) -> Task:
    """As `start_capture`, of any footage."""
    settings = scene.motionlift
    taken = {t.job.output for t in jobs.tasks() if t.job.output}
    try:
        output = new_take(request.name, takes_folder(), taken)
    except OSError as error:
        raise UserError(
            f"{takes_folder()}: takes cannot be written there",
            "Save the .blend in a folder that can be written",
            error.strerror or str(error),
        ) from error
    options = {**solve_settings.values(settings.solve), **request.options, **capture_options(settings.capture)}
    job = capture_job(request.path, output, options)

    def finish(task: Task, ending: Ending) -> None:
        target = jobs.find_scene(task.scene)
        if not isinstance(ending, Done) or ending.take is None or target is None:
            return
        summary = from_worker(dict(ending.summary), request.path)
        entry = show_take(target, ending.take, summary)
        notices.show(section, Notice("INFO", told(entry)))
        if then is not None:
            then(target, entry, ending.take)
        push_undo(f"Capture {request.name}")

    return jobs.start(Task(job, request.name, section, scene.session_uid, finish))


def capture_options(settings: Any) -> dict[str, Any]:
    """Arguments of `lifter.capture` that the Capture panel and the preferences set."""
    from ..preferences import preferences

    options: dict[str, Any] = {"detector": settings.detector, "detector_options": detector_options(settings)}
    if not settings.checkpoint:
        raise UserError(
            "The chosen checkpoint is not in the model folder any more", "Choose another one in the Capture panel"
        )
    options["checkpoint"] = settings.checkpoint
    options["people"] = settings.numbers if settings.whose == "numbers" else settings.whose
    if settings.whose == "numbers" and not re.fullmatch(r"\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*)*", settings.numbers):
        raise UserError(
            f'People cannot be chosen by "{settings.numbers}"', "Write their numbers with commas, such as 1, 3"
        )
    if "hands" in solve_settings.offered()["capture"]:
        options["hands"] = settings.hands
    if "every" in solve_settings.offered()["capture"] and settings.detector != "keypoints":
        options["every"] = settings.every
    if "device" in solve_settings.offered()["capture"]:
        options["device"] = preferences().device
    if "keep_megabytes" in solve_settings.offered()["capture"]:
        options["keep_megabytes"] = preferences().cache_megabytes
    return options


def detector_options(settings: Any) -> dict[str, Any]:
    """What the detector is told. Raises UserError where it lacks its file or its networks."""
    detector, options = settings.detector, dict[str, Any]()
    if detector in WITH_FILE:
        if not settings.detector_file:
            raise UserError("The detector needs a file", "Choose it in the Capture panel, below the detector")
        options["path"] = bpy.path.abspath(settings.detector_file)
    if detector == "mediapipe" and settings.people > 1:
        options["people"] = settings.people
    if detector in ("mediapipe", "keypoints"):
        return options
    if absent := missing(settings):
        raise UserError(
            f"{' and '.join(n['name'] for n in absent)} of this detector are not on this computer"
            if len(absent) > 1
            else f"The network {absent[0]['name']} is not on this computer",
            "Press Fetch Networks, below the detector",
        )
    if networks := wanted(settings):
        options |= {"model": networks[0]["name"], "models": str(network_folder())}
    if settings.most_people:
        options["people"] = settings.most_people
    if detector in FINDING and settings.find_every > 1:
        options["find_every"] = settings.find_every
    if detector_device() == "gpu":
        options["device"] = "gpu"
    return options


def detector_device() -> str:
    """What the detector's networks run on: the GPU where the environment has NVIDIA's and nobody chose the CPU."""
    from ..preferences import preferences

    installed = jobs.environment_state().installed
    nvidia = installed is not None and installed.variant == "cuda"
    return "gpu" if nvidia and preferences().device != "cpu" else "cpu"


def told(entry: Any) -> str:
    """A take in a sentence."""
    who = "1 person" if entry.people == 1 else f"{entry.people} people"
    seen = f"coverage {entry.coverage:.0%}, confidence {entry.confidence:.0%}"
    return f"{entry.name}: {who} in {entry.frames} frames, {seen}"


class Solve(bpy.types.Operator):
    """Solve the take again with these settings, without its footage"""

    bl_idname = "motionlift.solve"
    bl_label = "Solve Again"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if active_take(context.scene) is None:
            cls.poll_message_set("Capture a clip first, or add a take")
            return False
        if not jobs.environment_state().ready:
            cls.poll_message_set("Set up Motionlift's packages first: the button is in the Capture panel")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        started: list[Task] = []

        def work() -> str | None:
            path = active_path(context.scene)
            started.append(start_solve(context.scene, path))
            return None

        done = perform(self, "solve", work)
        return wait_for(self, started[0]) if started and bpy.app.background else done


def start_solve(scene: Any, path: Path) -> Task:
    """Queue solving a take again, into the same file; what shows it is keyed anew."""
    settings = solve_settings.values(scene.motionlift.solve)

    def finish(task: Task, ending: Ending) -> None:
        target = jobs.find_scene(task.scene)
        if not isinstance(ending, Done) or ending.take is None or target is None:
            return
        entry = show_take(target, ending.take, from_worker(dict(ending.summary), ""))
        marks.forget()
        from ..takes.preview import update_preview

        again = update_preview(target, entry, ending.take)
        notices.show("solve", Notice("INFO", f"{entry.name} is solved{'; its preview is up to date' if again else ''}"))
        push_undo(f"Solve {entry.name}")

    return jobs.start(Task(solve_job(path, path, settings), path.name, "solve", scene.session_uid, finish))


class Cancel(bpy.types.Operator):
    """Stop what is being captured or solved. What was finished stays"""

    bl_idname = "motionlift.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    setup: BoolProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Stop setting up packages, and not the captures")
    first: BoolProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Only what is running, and not what waits")

    @classmethod
    def poll(cls, _context: Any) -> bool:
        if not jobs.tasks() and not jobs.tasks("setup"):
            cls.poll_message_set("Nothing is running")
            return False
        return True

    def execute(self, _context: Any) -> set[str]:
        queue = "setup" if self.setup else "worker"
        if self.first:
            jobs.cancel(jobs.tasks(queue)[0])
        else:
            jobs.cancel_all(queue)
        self.report({"INFO"}, "Stopping")
        return {"FINISHED"}


class AskCancel(bpy.types.Operator):
    """Ask whether to stop the capture: what Esc does"""

    bl_idname = "motionlift.ask_cancel"
    bl_label = "Stop the Capture?"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        screen = context.screen
        return bool(jobs.tasks()) and not (screen and screen.is_animation_playing)

    def invoke(self, context: Any, event: Any) -> set[str]:
        return context.window_manager.invoke_confirm(self, event, confirm_text="Stop")

    def execute(self, _context: Any) -> set[str]:
        jobs.cancel_all()
        return {"FINISHED"}


def wait_for(operator: Any, task: Task) -> set[str]:
    """The end of an operator in background mode: wait, report how it ended."""
    ending = jobs.wait(task)
    for warning in task.warnings:
        operator.report({"WARNING"}, warning)
    if isinstance(ending, Failed):
        operator.report({"ERROR"}, notices.of_failure(ending).text)
    elif isinstance(ending, Cancelled):
        operator.report({"WARNING"}, f"{task.title} was cancelled")
    return {"FINISHED"} if isinstance(ending, Done) else {"CANCELLED"}


def push_undo(message: str) -> None:
    """An undo step of a result that came by the timer, when no operator was running."""
    if bpy.app.background:
        return
    window = next(iter(bpy.context.window_manager.windows), None)
    if window is not None:
        with bpy.context.temp_override(window=window):
            bpy.ops.ed.undo_push(message=message)


CLASSES = (OpenFootage, Capture, Solve, Cancel, AskCancel)
