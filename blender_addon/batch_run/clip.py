"""One clip of a batch, from video to files: each stage runs in a process of its own, whose end costs this clip alone.

The functions are generators that yield while they wait: run.py has many of them go on at once in one thread, and
cluster.py exhausts one. Closing one ends its processes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UserError
from ..retarget.rig import RigError
from ..take_file import TakeError
from ..worker.messages import Cancelled, Done, Failed, Job, Progress, capture_job
from ..worker.process import WINDOWS_FLAGS, Worker, end_in_words, end_process
from .clips import Clip, hash_clip, stamp
from .records import FOLDER, TAKE, Record, key_of, read_record, strip_file, temporary, write_record

MEMORY = ("Memory ran out", "The GPU's memory ran out")
"""What the worker says where it is worth trying again, when others have ended."""

T = TypeVar("T")
Animate = Callable[[Path, Path], list[str]]
"""Keys a take and writes a file; returns warnings. Raises UserError, TakeError or RigError."""


@dataclass(frozen=True)
class Plan:
    """What is done with every clip.

    Attributes:
        out: folder of the results; it exists.
        settings: of `lifter.capture` and `lifter.SolveSettings`, as the worker takes them.
        settings_key: what stands for those that name files: contents in place of paths.
        suffixes: of files to write from each take: .blend, .fbx, ... None: takes only.
        animate: a command, to which TAKE -o FILE is added; or a function, which is called in this process.
        animate_key: what those files depend on beside the take: options, and contents of rig and mapping.
        worker: the command that starts a worker; variables: for it and for `animate`.
        reports: whether each take also gets a page (NAME.html).
        stall: a process that says nothing for so many seconds is killed.
        again: whether to do what is done.
    """

    out: Path
    worker: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    settings_key: Mapping[str, Any] = field(default_factory=dict[str, Any])
    suffixes: tuple[str, ...] = ()
    animate: tuple[str, ...] | Animate = ()
    animate_key: Mapping[str, Any] = field(default_factory=dict[str, Any])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    reports: bool = False
    stall: float = 1800.0
    again: bool = False


@dataclass
class Status:
    """How far a clip is, for the table of progress."""

    name: str
    stage: str = ""
    done: int = 0
    total: int = 0
    rate: float | None = None


class ClipError(Exception):
    """A stage has failed. lost: its process has gone, or memory ran out."""

    def __init__(self, what: str, why: str = "", remedy: str = "", *, lost: bool = False) -> None:
        super().__init__(what)
        self.error, self.lost = {"what": what, "why": why, "remedy": remedy}, lost


Steps = Generator[None, None, T]


def do_clip(clip: Clip, plan: Plan, status: Status, pool: ThreadPoolExecutor) -> Steps[Record]:
    """All stages. Never raises for what is wrong with a clip."""
    record = yield from capture_clip(clip, plan, status, pool)
    return (yield from animate_clip(clip, plan, record, status, pool))


def capture_clip(clip: Clip, plan: Plan, status: Status, pool: ThreadPoolExecutor) -> Steps[Record]:
    """The take, its strip and its report; skipped if they are there and nothing that they depend on has changed."""
    begun = time.monotonic()
    before = None if plan.again else read_record(plan.out, clip.name)
    record = Record(str(clip.path), clip.name, "failed")
    try:
        status.stage = "read"
        record = yield from _with_content(record, clip, before, pool)
        key = key_of({"clip": record.content, "settings": {**plan.settings, **plan.settings_key}})
        take, page = f"{clip.name}{TAKE}", f"{clip.name}.html"
        captured = bool(before and record.content and before.take_key == key and (plan.out / take).is_file())
        reported = captured and (plan.out / page).is_file()
        if before and captured and (reported or not plan.reports):
            # What was written from the take may be of another rig: animate_clip looks.
            return replace(before, clip=str(clip.path), stamp=record.stamp, state="skipped", error=None, attempts=1)
        summary = yield from _capture(clip, plan, status, only_page=captured)
        if before and captured:
            record = replace(record, file_keys=before.file_keys, summary=before.summary, warnings=before.warnings)
        else:
            record = replace(record, summary=summary)
        record = replace(record, state="done", take_key=key, files=(take, *([page] if plan.reports else [])))
    except ClipError as failure:
        record = replace(record, error=failure.error, lost=failure.lost)
    except OSError as failure:
        record = replace(record, error=_of_os_error(failure))
    record = replace(record, seconds=round(time.monotonic() - begun, 2))
    return _kept(plan.out, record)


def animate_clip(clip: Clip, plan: Plan, record: Record, status: Status, pool: ThreadPoolExecutor) -> Steps[Record]:
    """The files that are written from a take; those that are there and still right are skipped.

    A failure costs these files alone: the take is kept, and is not captured again.
    """
    if not record.good or not plan.suffixes:
        return record
    begun = time.monotonic()
    take = plan.out / f"{clip.name}{TAKE}"
    made = [n for n in record.files if n.endswith((TAKE, ".html"))]
    keys, warnings = dict(record.file_keys), list(record.warnings)
    try:
        with take.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        for suffix in plan.suffixes:
            target = plan.out / f"{clip.name}{suffix}"
            key = key_of({**plan.animate_key, "take": content, "suffix": suffix})
            if plan.again or keys.get(suffix) != key or not target.is_file():
                if record.state == "skipped":
                    record, warnings = replace(record, state="done", seconds=0.0), []
                status.stage, status.done, status.total, status.rate = f"write {suffix}", 0, 0, None
                part = temporary(target)
                try:
                    told = yield from _animate(take, part, plan, pool)
                    os.replace(part, target)
                finally:
                    part.unlink(missing_ok=True)
                warnings += [w for w in told if w not in warnings]
                keys[suffix] = key
            made.append(target.relative_to(plan.out).as_posix())
        record = replace(record, file_keys=keys, files=tuple(made), warnings=tuple(warnings))
    except ClipError as failure:
        record = replace(record, state="failed", error=failure.error, lost=failure.lost, file_keys=keys)
    except OSError as failure:
        record = replace(record, state="failed", error=_of_os_error(failure), file_keys=keys)
    if record.state == "skipped":
        return record
    return _kept(plan.out, replace(record, seconds=round(record.seconds + time.monotonic() - begun, 2)))


def _with_content(record: Record, clip: Clip, before: Record | None, pool: ThreadPoolExecutor) -> Steps[Record]:
    """The record with the hash of the clip; without, where it cannot be read: the worker says why."""
    try:
        now = stamp(clip.path)
        if before and before.content and (before.clip, before.stamp) == (str(clip.path), now):
            return replace(record, content=before.content, stamp=now)
        content, now = yield from _wait(pool.submit(hash_clip, clip.path))
        return replace(record, content=content, stamp=now)
    except OSError:
        return record


def _capture(clip: Clip, plan: Plan, status: Status, *, only_page: bool) -> Steps[Mapping[str, Any]]:
    """Have a worker of its own make take, strip and report, and put them in place. What it says of the take."""
    take, page = plan.out / f"{clip.name}{TAKE}", plan.out / f"{clip.name}.html"
    strip = strip_file(plan.out, clip.name)
    for folder in (take.parent, strip.parent):
        folder.mkdir(parents=True, exist_ok=True)
    made: dict[Path, Path] = {}
    jobs: list[Job] = []
    source = take
    if not only_page:
        source = temporary(take)
        made = {take: source, strip: temporary(strip)}
        jobs += [capture_job(clip.path, source, plan.settings), _picture_job("strip", source, made[strip])]
    if plan.reports:
        made[page] = temporary(page)
        jobs.append(_picture_job("report", source, made[page]))
    worker = Worker(plan.worker, plan.variables, plan.out / FOLDER / "reports")
    try:
        summary: Mapping[str, Any] = {}
        for job in jobs:
            done = yield from _do(worker, job, status, plan.stall)
            summary = summary or done.summary
        # The take comes last: once it is there, so is the rest.
        for final, part in reversed(made.items()):
            os.replace(part, final)
        worker.cancel()  # it has nothing to do any more, and ends by itself
        return summary
    except BaseException:
        worker.close()
        raise
    finally:
        for part in made.values():
            part.unlink(missing_ok=True)


def _picture_job(kind: str, take: Path, output: Path) -> Job:
    return Job(kind, {"take": str(take), "output": str(output)})


def _do(worker: Worker, job: Job, status: Status, stall: float) -> Steps[Done]:
    worker.submit(job)
    heard = time.monotonic()
    while True:
        for message in worker.poll():
            heard = time.monotonic()
            if isinstance(message, Progress):
                status.stage, status.done, status.total = message.stage, message.done, message.total
                status.rate = message.rate
            elif isinstance(message, Failed):
                lost = not worker.alive or message.what in MEMORY
                raise ClipError(message.what, message.why, message.remedy, lost=lost)
            elif isinstance(message, Cancelled):
                raise ClipError("It was broken off", "", "Start the batch again", lost=True)
            elif isinstance(message, Done):
                return message
        if time.monotonic() - heard > stall:
            raise ClipError(f"Nothing happened for {stall:.0f} s", f"at {status.stage}", _STALLED, lost=True)
        yield


def _animate(take: Path, out: Path, plan: Plan, pool: ThreadPoolExecutor) -> Steps[list[str]]:
    """Write a file from a take. Its warnings."""
    command = plan.animate
    if callable(command):
        try:
            return command(take, out)
        except UserError as error:
            raise ClipError(error.what, error.why, error.remedy) from error
        except (TakeError, RigError) as error:
            raise _of_text(str(error)) from error
    process = subprocess.Popen(  # noqa: S603 (our own command, without a shell)
        [*command, str(take), "-o", str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **plan.variables},
        start_new_session=True,
        creationflags=WINDOWS_FLAGS,
    )
    try:
        said = pool.submit(process.communicate)
        begun = time.monotonic()
        while not said.done():
            if time.monotonic() - begun > plan.stall:
                raise ClipError(f"Writing {out.suffix} took more than {plan.stall:.0f} s", "", _STALLED, lost=True)
            yield
        told, complaints = (text.decode(errors="replace") for text in said.result())
    finally:
        if process.poll() is None:
            end_process(process, 0.0)
    if process.returncode:
        ours = [
            line.removeprefix("motionlift: ") for line in complaints.splitlines() if line.startswith("motionlift: ")
        ]
        if process.returncode == 2 and ours:
            raise _of_text(ours[-1])
        what, remedy = end_in_words(process.returncode)
        last = (complaints.strip().splitlines() or [""])[-1]
        raise ClipError(what.replace("worker", f"writer of {out.suffix}", 1), last, remedy, lost=True)
    return [line.removeprefix("warning: ") for line in told.splitlines() if line.startswith("warning: ")]


_STALLED = "Try it alone; if it takes so long, give a longer --stall"


def _wait(future: Future[T]) -> Steps[T]:
    while not future.done():
        yield
    return future.result()


def _of_text(text: str) -> ClipError:
    """An error in one line, whose last sentence is the remedy."""
    what, _, remedy = text.strip().rstrip(".").rpartition(". ")
    return ClipError(what or remedy, "", remedy if what else "")


def _of_os_error(error: OSError) -> dict[str, str]:
    what = f"{error.filename or 'A file'} cannot be read or written"
    return {"what": what, "why": error.strerror or str(error), "remedy": "Check the disk and the rights on the folder"}


def _kept(out: Path, record: Record) -> Record:
    """Write the record; without it the clip is not done."""
    try:
        write_record(out, record)
        return record
    except OSError as error:
        return replace(record, state="failed", error=_of_os_error(error))
