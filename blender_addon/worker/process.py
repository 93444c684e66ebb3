"""One worker process. Nothing here waits: threads start it, read it, feed it and end it.

worker = Worker(command, environment, log_folder)
worker.submit(capture_job("walk.mp4", "walk.take.npz", {"height": 1.75}))
...                     # now and then, from a timer
for message in worker.poll(): ...
worker.cancel()         # within a second no process and no half-written file is left
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from .messages import ENDINGS, Cancelled, Failed, Garbled, Job, Message, Progress, parse

GRACE_SECONDS = 0.5
"""So long may a worker that has said its last take to end; then it is killed."""
CANCEL_SECONDS = 0.3
"""So long may a worker take to end by itself when its stdin closes; then it is killed."""
NICENESS = 10
"""Of the worker, as POSIX counts: 0 is like Blender, 19 the least. It costs nothing where a core is free."""
KEPT_LINES = 200
KEPT_REPORTS = 20
LONGEST_LINE = 1_000_000


class Worker:
    """A worker process, from its start to its end; after that, make another."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_folder: Path,
        tidy: Callable[[int], None] | None = None,
    ) -> None:
        """Start the process, in a thread of its own; if that fails, `poll` says so once a job is there.

        Args:
            command: program and arguments, such as [python, "-m", "lifter.worker"].
            environment: variables to set on top of this process's own.
            log_folder: where reports of crashes are kept; made when there is one.
            tidy: called with the process's number, in a thread, when it has ended and before that is told.
        """
        self._tidy = tidy
        self._command, self._log_folder = tuple(command), log_folder
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | dict(environment)
        self._jobs: dict[int, Job] = {}
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._inbox: SimpleQueue[Message] = SimpleQueue()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._cancelled, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._end = Failed(None, "The worker has ended", "", "Try again")
        threading.Thread(target=self._run, name="motionlift worker", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it takes jobs: not after it was cancelled, nor after it crashed."""
        return not self._cancelled.is_set() and not self._ended.is_set()

    @property
    def gone(self) -> bool:
        """Whether the process has ended and all that it left is tidied up."""
        return self._ended.is_set()

    @property
    def pid(self) -> int | None:
        """None before the process runs."""
        return self._process.pid if self._process else None

    @property
    def last_lines(self) -> list[str]:
        """What it printed last: errors, and whatever was no message."""
        return list(self._lines)

    def submit(self, job: Job) -> int:
        """Have a job done after those before it; returns its id. Exactly one of `ENDINGS` will come for it."""
        with self._lock:
            if self._ended.is_set():
                self._inbox.put(replace(self._end, id=job.id))
            else:
                self._jobs[job.id] = job
                self._outbox.put(job.line())
        return job.id

    def poll(self) -> list[Message]:
        """What has come since the last time; of progress only the latest. Returns at once."""
        messages: list[Message] = []
        with contextlib.suppress(Empty):
            while True:
                message = self._inbox.get_nowait()
                if messages and isinstance(message, Progress) and isinstance(messages[-1], Progress):
                    messages.pop()
                messages.append(message)
        return messages

    def cancel(self) -> None:
        """End the process and whatever it started, within a second; returns at once. Its jobs end as `Cancelled`."""
        with self._lock:
            if self._cancelled.is_set() or self._ended.is_set():
                return
            self._cancelled.set()
        threading.Thread(target=self._stop, name="motionlift worker's end", daemon=True).start()

    def close(self, seconds: float = 2.0) -> bool:
        """As `cancel`, and wait until it is gone. False if that took longer than `seconds`."""
        self.cancel()
        return self._ended.wait(seconds)

    # In threads of their own

    def _run(self) -> None:
        """The process's whole life: start it, read what it says until it ends, say how it ended."""
        try:
            process = subprocess.Popen(  # noqa: S603 (the caller's command, without a shell)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                creationflags=WINDOWS_FLAGS,
            )
        except OSError as error:
            self._started.set()
            what = f"The worker cannot be started: {self._command[0]} ({error.strerror or error})"
            self._finish(Failed(None, what, "", "Repair the environment in the extension's preferences"))
            return
        lower_priority(process.pid)
        self._process = process
        self._started.set()
        assert process.stdin and process.stdout and process.stderr
        feeder = threading.Thread(target=self._feed, args=(process.stdin,), name="motionlift jobs", daemon=True)
        listener = threading.Thread(target=self._listen, args=(process.stderr,), name="motionlift errors", daemon=True)
        reaper = threading.Thread(target=self._reap, args=(process,), name="motionlift reaper", daemon=True)
        for thread in (feeder, listener, reaper):
            thread.start()
        with process.stdout as said:
            while line := said.readline(LONGEST_LINE):
                self._take(line)
        end_process(process, GRACE_SECONDS)
        self._outbox.put(None)
        feeder.join()
        listener.join(GRACE_SECONDS)
        self._finish(self._describe_end(process.returncode))

    def _feed(self, pipe: IO[bytes]) -> None:
        """Send jobs until there are no more; then close the worker's stdin, which ends it."""
        with contextlib.suppress(OSError), pipe:  # it has ended; its end is told elsewhere
            while (line := self._outbox.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            while line := pipe.readline(LONGEST_LINE):
                self._lines.append(line.decode(errors="replace").rstrip()[:2000])

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        """When it has ended, end what it has left behind, which may hold its pipes open."""
        process.wait()
        kill_group(process.pid)

    def _take(self, line: bytes) -> None:
        message = parse(line)
        if isinstance(message, Garbled):
            self._lines.append(message.text)
        if isinstance(message, Failed) and message.report:
            message = replace(message, report_file=self._keep_report(message.text, message.report))
        if isinstance(message, ENDINGS) and message.id is not None:
            with self._lock:
                if self._jobs.pop(message.id, None) is None:
                    return  # it has ended before
        self._inbox.put(message)

    def _stop(self) -> None:
        self._started.wait()
        self._outbox.put(None)
        if self._process:
            end_process(self._process, CANCEL_SECONDS)

    def _describe_end(self, code: int) -> Failed:
        if self._cancelled.is_set():
            return self._end
        what, remedy = end_in_words(code)
        # The trace of a fault in foreign code begins with what it was.
        said = [line for line in self._lines if line.startswith("Fatal ")] or list(self._lines)[-1:]
        file = self._keep_report(what, "\n".join(self._lines))
        return Failed(None, what, said[-1] if said else "", remedy, "\n".join(self._lines), file)

    def _finish(self, end: Failed) -> None:
        if self._tidy and self.pid:
            self._tidy(self.pid)
        with self._lock:
            self._ended.set()
            self._end = end
            jobs = list(self._jobs.values())
            self._jobs.clear()
        for job in jobs:
            if job.output:
                remove_unfinished(job.output)
            self._inbox.put(Cancelled(job.id) if self._cancelled.is_set() else replace(end, id=job.id))

    def _keep_report(self, what: str, text: str) -> Path | None:
        """Write a report; None where that is not possible. Only the latest are kept."""
        jobs = "\n".join(f"job {job.line().decode().strip()}" for job in self._jobs.values())
        head = f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{machine()}\n{' '.join(self._command)}\n{jobs}\n\n{what}\n"
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            path = self._log_folder / f"report-{time.strftime('%Y%m%d-%H%M%S')}-{self.pid or 0}.txt"
            path.write_text(f"{head}\n{text}\n", encoding="utf-8")
            for old in sorted(self._log_folder.glob("report-*.txt"))[:-KEPT_REPORTS]:
                old.unlink()
        except OSError:
            return None
        return path


WINDOWS_FLAGS = 0
if sys.platform == "win32":
    # Its own group, so that Ctrl-C in Blender's console is not the worker's; and no console window.
    # Of lower priority than Blender, which has to answer while every core is busy.
    WINDOWS_FLAGS = (
        subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    )


def lower_priority(pid: int) -> None:
    """Have a process give way to Blender where both want a core; on Windows its flags say so. Threads that it starts
    later are like it."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
            # Linux weighs sessions against one another first where CONFIG_SCHED_AUTOGROUP is on, as on most desktops.
            Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


def end_process(process: subprocess.Popen[bytes], grace: float) -> None:
    """Wait for a process to end; after `grace` seconds kill it and all that it started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
        return
    if sys.platform == "win32":
        kill = ("taskkill", "/F", "/T", "/PID", str(process.pid))
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(kill, capture_output=True, timeout=5, creationflags=WINDOWS_FLAGS)  # noqa: S603
        process.kill()
    kill_group(process.pid)
    process.wait()


def kill_group(leader: int) -> None:
    """Kill a process and what it started, or what is left of that; on Windows nothing."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def remove_unfinished(take: Path) -> None:
    """Remove what a worker that was killed while it wrote a take has left: .NAME.abcd1234 beside it."""
    left = re.compile(rf"\.{re.escape(take.name)}\.[a-z0-9_]{{8}}")
    with contextlib.suppress(OSError):
        for path in take.parent.iterdir():
            if left.fullmatch(path.name):
                path.unlink()


_SIGNALS = {
    "SIGKILL": ("it was killed", "Memory may have run out: close other programs, or capture a shorter range"),
    "SIGTERM": ("it was ended from outside", "Try again"),
    "SIGSEGV": ("it crashed", "Try again, with the CPU as device if it was another one"),
    "SIGABRT": ("it crashed", "Try again, with the CPU as device if it was another one"),
    "SIGBUS": ("it crashed", "Check that the disk is not full, and try again"),
    "SIGILL": ("it uses what this processor cannot do", "Report it with the name of the processor"),
}
_WINDOWS_CODES = {
    0xC0000005: "SIGSEGV",
    0xC00000FD: "SIGSEGV",
    0xC0000374: "SIGSEGV",
    0xC0000409: "SIGABRT",
    0xC0000017: "SIGKILL",
    0xC000013A: "SIGTERM",
    0xC000001D: "SIGILL",
}


def end_in_words(code: int) -> tuple[str, str]:
    """What an exit code says, and what to do. Negative: killed by that signal, as POSIX has it."""
    name, shown = "", f"exit code {code}"
    if code < 0:
        try:
            name = shown = signal.Signals(-code).name
        except ValueError:
            shown = f"signal {-code}"
    elif code > 0xC0000000:
        name, shown = _WINDOWS_CODES.get(code, ""), f"exit code 0x{code:08X}"
    what, remedy = _SIGNALS.get(name, ("it ended unexpectedly", "Try again; repair the environment if it stays so"))
    return f"The worker has stopped: {what} ({shown})", remedy


def machine() -> str:
    """The machine in a line, for reports."""
    return f"{sys.platform}, {platform.machine()}, Python {platform.python_version()}"
