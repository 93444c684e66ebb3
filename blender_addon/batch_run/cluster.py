"""The same batch on a Ray cluster: each stage of each clip is a task, which Ray puts where there is room.

Ray does a task again elsewhere when its process or its machine is lost. Every machine has Motionlift installed and sees
clips, rig and the folder of the results under the same paths. Ray is imported when it is asked for: it is an option.
"""

from __future__ import annotations

import socket
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UserError
from .clip import Plan, Status, Steps, animate_clip, capture_clip
from .clips import Clip
from .records import FOLDER, Record, read_record, remove_leftovers, remove_parts_of
from .run import ATTEMPTS, Watcher, failed_by_defect

LOSSES = 3
"""So many times Ray begins a task anew whose process or machine was lost."""
POLL_SECONDS = 0.3
CONNECT_SECONDS = 10.0

T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """What Ray reserves for a capture: cores, and GPUs or a part of one. Writing a file takes one core."""

    cpus: float = 1.0
    gpus: float = 0.0


def connect(address: str) -> None:
    """Join a cluster: "auto" for the one that this machine belongs to, or HOST:PORT. Raises UserError."""
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise UserError(
            "Ray is not installed", 'Install it on every machine: pip install -e ".[cluster]"', str(error)
        ) from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise UserError(
            f"No Ray cluster was reached as {address}",
            "Start one with `ray start --head`, join others with `ray start --address=HOST:6379`, or check the address",
            why,
        ) from error


def _knock(address: str) -> None:
    """Where nobody listens, Ray itself waits for minutes. Raises OSError or ValueError."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto" and (not colon or not port.isdecimal()):
        raise ValueError("not HOST:PORT")
    if address != "auto":
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def run_on_ray(clips: Sequence[Clip], plan: Plan, resources: Resources, watcher: Watcher) -> list[Record]:
    """As `run_batch`, on the cluster that `connect` joined. Raises UserError where it cannot reserve the resources."""
    ray: Any = import_module("ray")
    _check_resources(ray.cluster_resources(), resources)
    remove_leftovers(plan.out)
    mark = plan.out / FOLDER / f"batch-{uuid.uuid4().hex}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    capture = ray.remote(max_retries=LOSSES, num_cpus=resources.cpus, num_gpus=resources.gpus)(capture_there)
    animate = ray.remote(max_retries=LOSSES, num_cpus=1)(animate_there)
    shared = ray.put(plan)
    before = {clip.name: read_record(plan.out, clip.name) for clip in clips}

    def begin(clip: Clip) -> Any:
        record = capture.options(name=f"capture {clip.name}").remote(clip, shared, mark)
        return animate.options(name=f"write {clip.name}").remote(clip, shared, record) if plan.suffixes else record

    records: dict[str, Record] = {}
    status = Status("on the cluster", "clips", 0, len(clips))
    under_way = {begin(clip): (clip, 1) for clip in clips}
    try:
        while under_way:
            ended, _ = ray.wait(list(under_way), num_returns=1, timeout=POLL_SECONDS)
            for each in ended:
                clip, attempt = under_way.pop(each)
                try:
                    record: Record = ray.get(each)
                except Exception as error:
                    record = _lost(clip, error, ray)
                if record.lost and attempt < ATTEMPTS:
                    under_way[begin(clip)] = clip, attempt + 1
                    watcher.again(record)
                    continue
                if record.state == "skipped" and read_record(plan.out, clip.name) != before[clip.name]:
                    # Done by a task of this batch that was lost before it could say so.
                    record = replace(record, state="done")
                records[clip.name] = record if record.state == "skipped" else replace(record, attempts=attempt)
                watcher.ended(records[clip.name])
                status.done += 1
            watcher.running([status], len(under_way))
    finally:
        for each in under_way:
            ray.cancel(each, force=True)
        ray.shutdown()
        mark.unlink(missing_ok=True)
        remove_parts_of(plan.out, [c.name for c in clips])
    return [records[clip.name] for clip in clips]


def capture_there(clip: Clip, plan: Plan, mark: Path) -> Record:
    """On a machine of the cluster: the take. mark: a file that is there if the folder of the results is shared."""
    if not mark.exists():
        told = {
            "what": f"A machine of the cluster does not see {plan.out}",
            "why": "",
            "remedy": "Give --out as a path that is the same folder on all of them",
        }
        return Record(str(clip.path), clip.name, "failed", error=told)
    with ThreadPoolExecutor(2) as pool:
        return _exhaust(capture_clip(clip, _on_this_machine(plan), Status(clip.name), pool))


def animate_there(clip: Clip, plan: Plan, record: Record) -> Record:
    """On a machine of the cluster: the files that are written from the take."""
    with ThreadPoolExecutor(2) as pool:
        return _exhaust(animate_clip(clip, _on_this_machine(plan), record, Status(clip.name), pool))


def _exhaust(steps: Steps[T]) -> T:
    try:
        while True:
            next(steps)
            time.sleep(0.03)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _on_this_machine(plan: Plan) -> Plan:
    """With this machine's Python, which may lie elsewhere."""
    animate = plan.animate
    return replace(
        plan,
        worker=(sys.executable, *plan.worker[1:]),
        animate=animate if callable(animate) else (sys.executable, *animate[1:]),
    )


def _check_resources(there: dict[str, float], wanted: Resources) -> None:
    """A task that no machine has room for would wait for ever."""
    if wanted.cpus <= 0 or wanted.gpus < 0:
        raise UserError("A capture needs cores", "Give --ray-cpus above 0 and --ray-gpus from 0 on")
    for name, amount in (("CPU", wanted.cpus), ("GPU", wanted.gpus)):
        if amount > there.get(name, 0.0):
            option = f"--ray-{name.lower()}s"
            raise UserError(
                f"The cluster has {there.get(name, 0.0):g} {name}s, and {option} asks for {amount:g}", "Ask for less"
            )


def _lost(clip: Clip, error: Exception, ray: Any) -> Record:
    """A task that gave no record: Ray has given it up, or it has a defect."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return failed_by_defect(clip, error)
    why = (" ".join(str(error).split()) or type(error).__name__)[:300]
    told = {"what": "The cluster lost it", "why": why, "remedy": "Give the same command again"}
    return Record(str(clip.path), clip.name, "failed", error=told, lost=True)
