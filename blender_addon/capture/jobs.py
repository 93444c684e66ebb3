"""The worker's jobs as Blender sees them: a timer asks the queue for news, and says what becomes of a result.

Everything here runs on Blender's main thread and returns at once, but for `wait`, which is for operators in background
mode, where no timers run.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy

from .. import notices
from ..environment.folder import lifter_sources, read_state, worker_command, worker_variables
from ..errors import UserError
from ..notices import Notice
from ..places import user_folder
from ..worker.job_queue import JobQueue
from ..worker.messages import Cancelled, Done, Failed, Job, Progress, Warned
from ..worker.process import Worker

TICK_SECONDS = 0.1
IDLE_SECONDS = 600.0
"""So long the worker is kept ready after its last job; it holds some 300 MB."""
PYTHON = "MOTIONLIFT_PYTHON"
"""Environment variable: a Python that has the lifter's packages, to be used in place of the environment. For
developers and tests."""

Ending = Done | Failed | Cancelled


@dataclass(eq=False)
class Task:
    """A job on its way.

    Attributes:
        title: what it is about, such as the clip's name.
        section: the panel that shows its news.
        scene: `session_uid` of the scene that gets the result.
        finish: called with what the worker says at the end; may start further tasks.
    """

    job: Job
    title: str
    section: str
    scene: int
    finish: Callable[[Task, Ending], None]
    progress: Progress | None = None
    warnings: list[str] = field(default_factory=list)
    ending: Ending | None = None


_queue: JobQueue | None = None
_tasks: dict[int, Task] = {}
_busy_until = 0.0


def tasks() -> list[Task]:
    """Those that have not ended, in order; the first one runs."""
    return list(_tasks.values())


def environment_ready() -> bool:
    """Whether the worker can be started."""
    return bool(os.environ.get(PYTHON)) or read_state(user_folder("environment")).ready


def check_environment() -> None:
    """Raises UserError where captures cannot run yet."""
    if not environment_ready():
        raise UserError(
            "Motionlift's packages are not set up",
            "Press Set Up, in the Capture panel or in the extension's preferences",
            read_state(user_folder("environment")).text,
        )


def start(task: Task) -> Task:
    """Put a task at the end of the queue. Raises UserError where the worker cannot be started."""
    global _queue  # noqa: PLW0603
    check_environment()
    _queue = _queue or JobQueue(_start_worker)
    _tasks[task.job.id] = task
    _queue.add(task.job)
    if not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=TICK_SECONDS, persistent=True)
    return task


def cancel(task: Task | None = None) -> None:
    """End a task, or all; its end comes with a later tick."""
    for each in [task] if task else tasks()[::-1]:
        if _queue:
            _queue.cancel(each.job.id)


def wait(task: Task, told: Callable[[Task], None] | None = None) -> Ending:
    """Until a task has ended: for background mode. `told` is called now and then, to print progress."""
    try:
        while task.ending is None:
            time.sleep(0.02)
            tick()
            if told and task.ending is None:
                told(task)
    except KeyboardInterrupt:
        cancel(task)
        while task.ending is None:
            time.sleep(0.02)
            tick()
        raise
    return task.ending


def tick() -> bool:
    """Take what the worker has said. True if there was anything."""
    if _queue is None:
        return False
    messages = _queue.poll()
    for message in messages:
        task = _tasks.get(message.id or -1) if not hasattr(message, "text") or message.__class__ is Failed else None
        if task is None:
            continue
        if isinstance(message, Progress):
            task.progress = message
        elif isinstance(message, Warned):
            task.warnings.append(message.message)
            notices.show(task.section, Notice("WARNING", message.message))
        elif isinstance(message, Done | Failed | Cancelled):
            _end(task, message)
    return bool(messages)


def _end(task: Task, message: Ending) -> None:
    _tasks.pop(task.job.id, None)
    task.ending = message
    if isinstance(message, Failed):
        notices.show(task.section, notices.of_failure(message))
    try:
        task.finish(task, message)
    except notices.ERRORS as error:
        notices.show(task.section, notices.of_error(error))


def stop(why: str = "") -> None:
    """End all tasks and the worker, and wait for that: a second at most. `why` is shown where tasks were under way."""
    global _queue  # noqa: PLW0603
    if _queue is None:
        return
    under_way = tasks()
    queue, _queue = _queue, None
    queue.close()
    _tasks.clear()
    for task in under_way:
        task.ending = Cancelled(task.job.id)
        if why:
            notices.show(task.section, Notice("INFO", f"{task.title} was not finished: {why}"))


def worker_pid() -> int | None:
    """Of the worker at hand, for tests and for the curious."""
    return _queue.worker.pid if _queue and _queue.worker and _queue.worker.alive else None


def _start_worker() -> Worker:
    folder = user_folder("environment")
    own = os.environ.get(PYTHON)
    if own:
        command, variables = (own, "-m", "lifter.worker"), {"PYTHONPATH": str(lifter_sources())}
    else:
        command, variables = worker_command(sys.executable, folder), worker_variables(folder)
    return Worker(command, variables, user_folder("reports"))


def _on_timer() -> float | None:
    """Blender's timer: the seconds until it is called again, None to be called no more."""
    global _busy_until  # noqa: PLW0603
    if _queue is None:
        return None
    news = tick()
    if news:
        redraw()
    now = time.monotonic()
    if _tasks:
        _busy_until = now
        return TICK_SECONDS
    if now - _busy_until > IDLE_SECONDS:
        stop()
        return None
    return 1.0


def redraw() -> None:
    """Have the sidebars with our panels drawn again, and nothing else: drawing the whole window takes long."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "CLIP_EDITOR"):
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def find_scene(uid: int) -> Any | None:
    """A scene by `session_uid`; it may have been removed or undone meanwhile."""
    return next((s for s in bpy.data.scenes if s.session_uid == uid), None)


def register() -> None:
    atexit.register(stop)


def unregister() -> None:
    stop()
    atexit.unregister(stop)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
