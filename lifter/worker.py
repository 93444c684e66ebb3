"""`python -m lifter.worker`: capturing and solving behind JSON lines, for the Blender extension.

One job, a JSON object, a line on stdin; one message a line on stdout. docs/extension.md describes both. The
process lives on from job to job, so that the second need not wait for imports; it ends with the job "shutdown"
and, whatever it is doing, as soon as stdin closes: then whoever started it is gone.
"""

from __future__ import annotations

import _thread
import difflib
import errno
import faulthandler
import inspect
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any, cast

from .errors import MotionliftError

if TYPE_CHECKING:
    from .take import Take

PROGRESS_SECONDS = 0.1
"""Progress is told no more often than this."""
GRACE_SECONDS = 2.0
"""So long may a job that is broken off take to tidy up."""

Send = Callable[[Mapping[str, Any]], None]


def main() -> int:
    """Serve jobs until stdin closes. Exit code 0, or 1 if that broke off a job."""
    faulthandler.enable()
    requests, send = _take_pipes()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read_lines, args=(requests, lines), daemon=True).start()
    try:
        while (line := lines.get()) is not None:
            if line.strip() and not _serve(line, send):
                break
    except KeyboardInterrupt:
        return 1
    return 0


def _take_pipes() -> tuple[IO[bytes], Send]:
    """Keep stdin and stdout for jobs and messages: whatever else is printed in this process goes to stderr."""
    requests = os.fdopen(os.dup(0), "rb")
    messages = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(message: Mapping[str, Any]) -> None:
        line = json.dumps(message, allow_nan=False).encode() + b"\n"
        try:
            with lock:
                messages.write(line)
                messages.flush()
        except OSError:  # nobody listens any more
            _thread.interrupt_main()

    return requests, send


def _read_lines(requests: IO[bytes], lines: SimpleQueue[bytes | None]) -> None:
    """Hand lines on; at the end of stdin break off the job at hand."""
    for line in requests:
        lines.put(line)
    lines.put(None)
    _thread.interrupt_main()
    time.sleep(GRACE_SECONDS)
    os._exit(1)  # it hangs in foreign code


def _serve(line: bytes, send: Send) -> bool:
    """Do one job and say how it ended. False after "shutdown"."""
    number: int | None = None
    try:
        job = _parse(line)
        number = job.get("id")
        kind = job["kind"]
        if kind == "shutdown":
            send({"id": number, "type": "done", "take": None, "summary": {}})
            return False

        def progress(message: Mapping[str, Any]) -> None:
            send({"id": number, **message})

        send({"id": number, "type": "done", **JOBS[kind](job, progress)})
    except Exception as error:
        send({"id": number, "type": "error", **describe_error(error)})
    return True


def _parse(line: bytes) -> dict[str, Any]:
    """A job with "id" and "kind". Raises MotionliftError."""
    try:
        job: Any = json.loads(line)
    except ValueError as error:
        raise MotionliftError(f"A job is not JSON ({error})", "Send one JSON object a line") from error
    if not isinstance(job, dict):
        raise MotionliftError("A job is not a JSON object", "Send one JSON object a line")
    job = cast(dict[str, Any], job)
    number, kind = job.get("id"), job.get("kind")
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        job["id"] = None
        raise MotionliftError(f"A job's id is {number!r}", "Give a whole number")
    if kind not in (*JOBS, "shutdown"):
        raise MotionliftError(
            f"A job's kind is {kind!r}", _nearest(str(kind), (*JOBS, "shutdown"), "Use one of {choices}")
        )
    return job


# The jobs: each takes its fields and returns what "done" says.


def _capture(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    report = Progress(send)
    report("start", 0, 0)
    from .capture import SolveSettings, capture
    from .take import save_take

    known = inspect.signature(capture).parameters
    hints = typing.get_type_hints(capture)
    own = {n: hints[n] for n in known if n not in ("path", "settings", "progress")}
    of_solve = typing.get_type_hints(SolveSettings)
    given = _check_fields(job, {"footage": str, "output": str}, {"settings": dict[str, Any]})
    settings = _check_settings(given.get("settings", {}), {**of_solve, **own})
    output = _writable(given["output"])
    solving = SolveSettings(**{n: v for n, v in settings.items() if n in of_solve and n not in own})
    options = {n: v for n, v in settings.items() if n in own}
    take = capture(given["footage"], settings=solving, progress=report, **options)
    report("save", 0, 1)
    save_take(take, output)
    return {"take": str(output), "summary": summarize(take)}


def _solve(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    from .capture import SolveSettings, solve
    from .take import load_take, save_take

    given = _check_fields(job, {"take": str, "output": str}, {"settings": dict[str, Any]})
    settings = _check_settings(given.get("settings", {}), typing.get_type_hints(SolveSettings))
    output = _writable(given["output"])
    report = Progress(send)
    report("solve", 0, 1)
    take = load_take(given["take"])
    names = {f.name for f in fields(SolveSettings)}
    before = {n: v for n, v in take.header["settings"].items() if n in names}
    solved = solve(take, SolveSettings(**{**before, **settings}))
    save_take(solved, output)
    report("solve", 1, 1)
    return {"take": str(output), "summary": summarize(solved)}


def _strip(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """A row of pictures of a take, for a contact sheet."""
    from .pictures import write_strip
    from .take import load_take

    given = _check_fields(job, {"take": str, "output": str}, {})
    output = _writable(given["output"])
    report = Progress(send)
    report("pictures", 0, 1)
    write_strip(load_take(given["take"]), output)
    report("pictures", 1, 1)
    return {"take": None, "summary": {}}


def _report(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """A page about a take."""
    from .report import write_report
    from .take import load_take

    given = _check_fields(job, {"take": str, "output": str}, {})
    output = _writable(given["output"])
    for warning in write_report(load_take(given["take"]), output, progress=Progress(send)):
        send({"type": "warning", "message": warning})
    return {"take": None, "summary": {}}


def _fetch(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """A network of the RTM family, downloaded to `output`, which is named after it."""
    from .detect.rtm_models import fetch_model

    given = _check_fields(job, {"model": str, "output": str}, {})
    output = _writable(given["output"])
    if output.name != f"{given['model']}.onnx":
        raise MotionliftError(f"{output}: not named after the model", f"Name it {given['model']}.onnx")
    report = Progress(send)
    report("fetch", 0, 0)
    path, digest, compared = fetch_model(given["model"], report, folder=output.parent)
    megabytes = round(path.stat().st_size / 1e6)
    return {"take": None, "summary": {"megabytes": megabytes, "sha256": digest, "compared": compared}}


def _doctor(job: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Versions, ONNX Runtime's providers, checkpoints, and what is missing, from inside this very process.

    With "thorough", the network and the detector are loaded too, which takes a second or two.
    """
    from .detect import DETECTORS, load_detector
    from .detect.models import BUNDLE, cache_folder, is_whole
    from .doctor import CHECKPOINTS

    thorough = _check_fields(job, {}, {"thorough": bool}).get("thorough", False)
    packages: dict[str, str] = {}
    missing: list[str] = []
    providers: list[str] = []
    for module in ("numpy", "scipy", "cv2", "onnxruntime", "mediapipe"):
        try:
            found: Any = import_module(module)
        except Exception as error:
            missing.append(f"{module}: {' '.join(str(error).split()) or type(error).__name__}")
            continue
        packages[module] = str(getattr(found, "__version__", "")) or _version(module)
        if module == "onnxruntime":
            providers = list(found.get_available_providers())
    device = ""
    checkpoints = sorted(p.stem for p in CHECKPOINTS.glob("*.onnx"))
    if not checkpoints:
        missing.append(f"the shipped checkpoint body.onnx in {CHECKPOINTS}")
    if thorough and not missing:
        from .checkpoint import load_checkpoint
        from .device import device_name

        try:
            device = device_name(load_checkpoint().session)
            load_detector().close()
        except MotionliftError as error:
            missing.append(str(error))
    summary = {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "version": import_module("lifter").__version__,
        "packages": packages,
        "providers": providers,
        "device": device,
        "detectors": list(DETECTORS),
        "checkpoints": checkpoints,
        "pose_model": is_whole(cache_folder() / BUNDLE),
        "missing": missing,
    }
    return {"take": None, "summary": summary}


JOBS: dict[str, Callable[[Mapping[str, Any], Send], dict[str, Any]]] = {
    "capture": _capture,
    "solve": _solve,
    "strip": _strip,
    "report": _report,
    "fetch": _fetch,
    "doctor": _doctor,
}


class Progress:
    """What `capture` tells of its stages, as messages: with the rate and the time left, ten a second at most."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._stage, self._begun, self._told = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._told = stage, now, -math.inf
        if now - self._told < PROGRESS_SECONDS and done != total:
            return
        self._told = now
        elapsed = now - self._begun
        rate = done / elapsed if done and elapsed > 0 else None
        left = max(0, total - done) / rate if rate and total else None
        message = {"type": "progress", "stage": stage, "done": done, "total": total, "rate": rate, "left_s": left}
        self._send(message)


def summarize(take: Take) -> dict[str, Any]:
    """What a list of takes shows of one.

    coverage: share of the take's frames in which somebody is seen or a short gap is filled; confidence: mean
    score of the keypoints in the frames in which somebody is seen. Both 0..1.
    """
    import numpy as np

    from .take import GAP, SEEN

    people = take.people
    frames = np.unique(np.concatenate([p.frames for p in people])) if people else np.zeros(0, int)
    shown = np.unique(np.concatenate([p.frames[p.state != GAP] for p in people])) if people else np.zeros(0, int)
    scores = np.concatenate([p.scores[p.state == SEEN].ravel() for p in people]) if people else np.zeros(0)
    length = int(frames[-1] - frames[0] + 1) if len(frames) else 0
    coverage = len(shown) / length if length else 0.0
    confidence = float(scores.mean()) if len(scores) else 0.0
    told = ("warnings", "solve_warnings")
    warnings = [str(w) for key in told for w in cast(Iterable[object], take.header.get(key, ()))]
    if coverage < 0.9:
        warnings.append(f"Nobody is seen in {100 * (1 - coverage):.0f} % of the frames")
    if confidence < 0.5:
        warnings.append(f"The detector is unsure: its mean confidence is {100 * confidence:.0f} %")
    return {
        "people": len(people),
        "frames": length,
        "fps": take.fps,
        "coverage": round(coverage, 4),
        "confidence": round(confidence, 4),
        "warnings": warnings,
    }


# Jobs come from outside: nothing in them is believed.


def _check_fields(job: Mapping[str, Any], needed: Mapping[str, Any], optional: Mapping[str, Any]) -> dict[str, Any]:
    """A job's fields of the right types. Raises MotionliftError, with the nearest right name of a wrong one."""
    given = {n: v for n, v in job.items() if n not in ("id", "kind")}
    known = {**needed, **optional}
    for name in needed:
        if name not in given:
            wrong = difflib.get_close_matches(name, [n for n in given if n not in known], 1)
            found = f", but {wrong[0]!r}" if wrong else ""
            raise MotionliftError(f"The job {job['kind']!r} has no {name!r}{found}", f"Give {name!r}")
    return {n: _checked(n, v, known, f"field of the job {job['kind']!r}") for n, v in given.items()}


def _check_settings(settings: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {n: _checked(n, v, known, "setting") for n, v in settings.items()}


def _checked(name: str, value: Any, known: Mapping[str, Any], what: str) -> Any:
    if name not in known:
        raise MotionliftError(f"No {what} is called {name!r}", _nearest(name, known, "Known: {choices}"))
    try:
        return _convert(value, known[name])
    except ValueError as error:
        raise MotionliftError(f"The {what} {name!r} is {value!r}", f"Give {error}") from error


def _nearest(name: str, choices: Iterable[str], otherwise: str) -> str:
    choices = sorted(choices)
    near = difflib.get_close_matches(name, choices, 1)
    return f"Did you mean {near[0]!r}?" if near else otherwise.format(choices=", ".join(choices))


_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
    Path: ((str,), "a path"),
    type(None): ((type(None),), "null"),
    dict: ((dict,), "an object"),
    list: ((list,), "a list"),
}


def _convert(value: Any, hint: Any) -> Any:
    """A JSON value as a parameter with that type hint takes it. Raises ValueError that says what to give."""
    if hint is Any:
        return value
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        wanted: list[str] = []
        for one in inner:
            try:
                return _convert(value, one)
            except ValueError as error:
                wanted.append(str(error))
        raise ValueError(" or ".join(dict.fromkeys(wanted)))
    if origin is typing.Literal:
        if value not in inner:
            raise ValueError("one of " + ", ".join(map(repr, inner)))
        return value
    if origin is tuple:
        many = inner[-1] is Ellipsis
        if not isinstance(value, list) or (not many and len(cast(list[Any], value)) != len(inner)):
            raise ValueError("a list" if many else f"a list of {len(inner)}")
        items = cast(list[Any], value)
        return tuple(_convert(v, inner[0] if many else h) for v, h in zip(items, inner * len(items), strict=False))
    kinds, words = _PLAIN.get(origin or hint, ((), "nothing: it cannot be set here"))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(words)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number")
    return Path(cast(str, value)) if hint is Path else value


def _writable(path: str) -> Path:
    """Before an hour of work, not after it. Raises MotionliftError."""
    output = Path(path)
    folder = output.absolute().parent
    if not output.name or output.is_dir():
        raise MotionliftError(f"{output}: a folder, not a file", "Give the name of a take, such as walk.take.npz")
    if not folder.is_dir():
        raise MotionliftError(f"{folder}: no such folder", "Create it or choose another one for takes")
    if not os.access(folder, os.W_OK) or (output.exists() and not os.access(output, os.W_OK)):
        raise MotionliftError(f"{output}: cannot be written", "Choose another folder for takes")
    return output


# Errors


def describe_error(error: BaseException) -> dict[str, Any]:
    """what, why and remedy of anything that a job raised; and a report, its traceback, where it is a defect."""
    chain = [error]
    while (cause := chain[-1].__cause__) and cause not in chain:
        chain.append(cause)
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if any(isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT) for e in chain):
        what = error.what if isinstance(error, MotionliftError) else text
        return {"what": "The disk is full", "why": what, "remedy": "Free some space or choose another folder for takes"}
    if isinstance(error, MotionliftError):
        return {"what": error.what, "why": "", "remedy": error.remedy}
    report = "".join(traceback.format_exception(error))
    if _gpu_memory_ran_out(text):
        remedy = "Close other programs that use the GPU, or choose the CPU as device"
        return {"what": "The GPU's memory ran out", "why": f"{kind}: {text}", "remedy": remedy, "report": report}
    if isinstance(error, MemoryError):
        remedy = "Close other programs, or capture a shorter range"
        return {"what": "Memory ran out", "why": text, "remedy": remedy, "report": report}
    if isinstance(error, ImportError):
        remedy = "Repair the environment in the extension's preferences"
        return {"what": "A package cannot be loaded", "why": text, "remedy": remedy, "report": report}
    return {
        "what": "Motionlift failed; this is a defect",
        "why": f"{kind}: {text}" if text else kind,
        "remedy": "Try again; if it happens again, report it with the file that was kept",
        "report": report,
    }


def _gpu_memory_ran_out(text: str) -> bool:
    """ONNX Runtime and torch have no error of one type for it."""
    lower = text.lower()
    return "out of memory" in lower or "failed to allocate memory" in lower or "cuda_error_out_of_memory" in lower


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
