"""The worker's jobs as Blender sees them: a timer asks the queues for news, and says what becomes of a result.

There are two queues: one for the worker that captures and solves, one for the process that sets up its environment.

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
from functools import partial
from pathlib import Path
from typing import Any, Literal

import bpy

from .. import notices
from ..environment.folder import (
    State,
    lifter_sources,
    read_state,
    remove_leftovers,
    setup_command,
    worker_command,
    worker_variables,
)
from ..errors import UserError
from ..notices import Notice
from ..places import user_folder
from ..worker.job_queue import JobQueue
from ..worker.messages import Cancelled, Done, Failed, Garbled, Job, Progress, Warned
from ..worker.process import Worker

TICK_SECONDS = 0.1
REDRAW_SECONDS = 0.4
"""Progress is drawn no oftener: where a CPU draws the window, each time costs tenths of a second."""
STATE_SECONDS = 2.0
TAB = "Motion"
"""Of the sidebars."""
IDLE_SECONDS = 600.0
"""So long the worker is kept ready after its last job; it holds some 300 MB."""
PYTHON = "MOTIONLIFT_PYTHON"
"""Environment variable: a Python that has the lifter's packages, to be used in place of the environment. For
developers and tests."""

QueueName = Literal["worker", "setup"]
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
    queue: QueueName = "worker"
    progress: Progress | None = None
    warnings: list[str] = field(default_factory=list)
    ending: Ending | None = None


_queues: dict[QueueName, JobQueue] = {}
_tasks: dict[int, Task] = {}
_busy_until = 0.0
_drawn = 0.0
longest_tick = 0.0
"""Seconds that the timer has taken at most, for measurements."""


def tasks(queue: QueueName = "worker") -> list[Task]:
    """Those that have not ended, in order; the first one runs."""
    return [t for t in _tasks.values() if t.queue == queue]


def environment_folder() -> Path:
    return user_folder("") / "environment"


def own_python() -> str:
    """The Python that is used in place of the environment; empty where there is none."""
    return os.environ.get(PYTHON, "")


_state: tuple[float, State | None] = (0.0, None)


def environment_state() -> State:
    """Whether the worker can be started; looked up every other second, as panels ask at every redraw."""
    global _state
    if python := own_python():
        return State(True, True, f"Uses {python}, as {PYTHON} says")
    looked, state = _state
    if state is None or time.monotonic() - looked > STATE_SECONDS:
        state = read_state(environment_folder())
        _state = (time.monotonic(), state)
    return state


def check_environment() -> None:
    """Raises UserError where captures cannot run yet."""
    state = environment_state()
    if not state.ready:
        raise UserError(
            "Motionlift's packages are not set up",
            "Press Set Up, in the Capture panel or in the extension's preferences",
            state.text,
        )


def start(task: Task) -> Task:
    """Put a task at the end of its queue. Raises UserError where the worker cannot be started."""
    if task.queue == "worker":
        check_environment()
    if task.queue not in _queues:
        _queues[task.queue] = JobQueue({"worker": _start_worker, "setup": _start_setup}[task.queue])
    _tasks[task.job.id] = task
    _queues[task.queue].add(task.job)
    if not bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.register(_on_timer, first_interval=TICK_SECONDS, persistent=True)
    return task


def cancel(task: Task) -> None:
    """End a task; its end comes with a later tick."""
    if task.queue in _queues:
        _queues[task.queue].cancel(task.job.id)


def cancel_all(queue: QueueName = "worker") -> None:
    for task in tasks(queue)[::-1]:
        cancel(task)


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
    """Take what has been said. True if there was anything."""
    messages = [m for queue in list(_queues.values()) for m in queue.poll()]
    for message in messages:
        task = None if isinstance(message, Garbled) else _tasks.get(message.id or 0)
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
    global _state
    _tasks.pop(task.job.id, None)
    task.ending = message
    if task.queue == "setup":
        _state = (0.0, None)
    if isinstance(message, Failed):
        notices.show(task.section, notices.of_failure(message))
    elif isinstance(message, Cancelled):
        notices.show(task.section, Notice("INFO", f"{task.title} was cancelled"))
    try:
        task.finish(task, message)
    except notices.ERRORS as error:
        notices.show(task.section, notices.of_error(error))
    if news := notices.shown(task.section):
        _tell(news[-1])


def _tell(notice: Notice) -> None:
    """In the status bar, as what ends by the timer has no operator that could report it."""
    window = None if bpy.app.background else next(iter(bpy.context.window_manager.windows), None)
    if window is not None:
        with bpy.context.temp_override(window=window):
            # An error would open a window over whatever the user does by now.
            kind = "WARNING" if notice.kind == "ERROR" else notice.kind
            bpy.ops.motionlift.tell("INVOKE_DEFAULT", kind=kind, text=notice.text)


def stop(why: str = "", queue: QueueName = "worker") -> None:
    """End a queue's tasks and its process, and wait for that: a second at most.

    why: shown in the panels of tasks that were under way.
    """
    if queue not in _queues:
        return
    under_way = tasks(queue)
    _queues.pop(queue).close()
    for task in under_way:
        del _tasks[task.job.id]
        task.ending = Cancelled(task.job.id)
        if why:
            notices.show(task.section, Notice("INFO", f"{task.title} was not finished: {why}"))


def stop_all() -> None:
    """Before Blender quits or the extension goes."""
    stop()
    stop(queue="setup")


def worker_pid() -> int | None:
    """Of the worker at hand, for tests and for the curious."""
    worker = _queues["worker"].worker if "worker" in _queues else None
    return worker.pid if worker and worker.alive else None


def worker_start() -> tuple[tuple[str, ...], dict[str, str]]:
    """The command that starts a worker, and variables for it."""
    folder = environment_folder()
    if own := own_python():
        return (own, "-m", "lifter.worker"), {"PYTHONPATH": str(lifter_sources())}
    return worker_command(sys.executable, folder), worker_variables(folder)


def _start_worker() -> Worker:
    return Worker(*worker_start(), user_folder("reports"))


def _start_setup() -> Worker:
    folder = environment_folder()
    return Worker(setup_command(sys.executable), {}, user_folder("reports"), tidy=partial(remove_leftovers, folder))


def _on_timer() -> float | None:
    """Blender's timer: the seconds until it is called again, None to be called no more."""
    global longest_tick
    begun = time.perf_counter()
    again = _turn()
    longest_tick = max(longest_tick, time.perf_counter() - begun)
    return again


def _turn() -> float | None:
    global _busy_until, _drawn
    if not _queues:
        return None
    before = len(_tasks)
    news = tick()
    now = time.monotonic()
    if news and (len(_tasks) != before or now - _drawn > REDRAW_SECONDS):
        _drawn = now
        redraw()
    if _tasks:
        _busy_until = now
        return TICK_SECONDS
    if now - _busy_until > IDLE_SECONDS:
        stop_all()
        return None
    return 1.0


def redraw() -> None:
    """Have the sidebars that show our tab drawn again, and nothing else."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "CLIP_EDITOR"):
                for region in area.regions:
                    if region.type == "UI" and region.active_panel_category == TAB:
                        region.tag_redraw()


def find_scene(uid: int) -> Any | None:
    """A scene by `session_uid`; it may have been removed or undone meanwhile."""
    return next((s for s in bpy.data.scenes if s.session_uid == uid), None)


def register() -> None:
    atexit.register(stop_all)


def unregister() -> None:
    stop_all()
    atexit.unregister(stop_all)
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
