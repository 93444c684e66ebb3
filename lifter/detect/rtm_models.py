"""The networks of RTMPose, RTMW and RTMO (Apache-2.0): which there are, and where they lie on this computer.

They are fetched only by the user's command, `motionlift models fetch NAME`, or lie in a folder of the user's own
($MOTIONLIFT_MODELS, or the detector's option `models`). A download's SHA-256 is compared with the one written here,
where one is known. That of a fetched file is written down beside it (models.json), and compared whenever it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lifter.errors import MotionliftError

from .models import Progress, cache_folder, write_whole

_BASE = "https://download.openmmlab.com/mmpose/v1/projects/"
_SQUARE = (640, 640)
LARGEST = 1_000_000_000
RECORD = "models.json"
LICENCE, SOURCE = "Apache-2.0", "download.openmmlab.com"
"""Of all of them."""


@dataclass(frozen=True)
class RtmModel:
    """A network on OpenMMLab's server, a zip with one ONNX file.

    Attributes:
        kind: "people" finds boxes, "pose" looks at one box, "all" finds everybody's keypoints at once.
        size: width and height of its input.
        megabytes: about; the zip is a tenth smaller.
        layout: of its keypoints.
        sha256: of the zip, as published by somebody who fetched it; "" where nobody did.
    """

    name: str
    kind: Literal["people", "pose", "all"]
    url: str
    size: tuple[int, int]
    megabytes: int
    layout: str = ""
    sha256: str = ""


MODELS = {
    m.name: m
    for m in (
        RtmModel("yolox-tiny", "people", "rtmposev1/onnx_sdk/yolox_tiny_8xb8-300e_humanart-6f3252f9", (416, 416), 20),
        RtmModel("yolox-m", "people", "rtmposev1/onnx_sdk/yolox_m_8xb8-300e_humanart-c2c7a14a", (640, 640), 101),
        RtmModel(
            "rtmpose-m-17",
            "pose",
            "rtmposev1/onnx_sdk/rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504",
            (192, 256),
            55,
            "coco17",
        ),
        RtmModel(
            "rtmpose-m-26",
            "pose",
            "rtmposev1/onnx_sdk/rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605",
            (192, 256),
            56,
            "halpe26",
            "55b81170e236040b59fc792ad0a8315301ac4c079a3bdb1095d838aad3088d18",
        ),
        RtmModel(
            "rtmpose-x-26",
            "pose",
            "rtmposev1/onnx_sdk/rtmpose-x_simcc-body7_pt-body7-halpe26_700e-384x288-7fb6e239_20230606",
            (288, 384),
            200,
            "halpe26",
        ),
        RtmModel(
            "rtmw-m-133",
            "pose",
            "rtmw/onnx_sdk/rtmw-dw-l-m_simcc-cocktail14_270e-256x192_20231122",
            (192, 256),
            130,
            "wholebody133",
        ),
        RtmModel(
            "rtmw-x-133",
            "pose",
            "rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122",
            (288, 384),
            230,
            "wholebody133",
        ),
        RtmModel(
            "rtmo-s-17", "all", "rtmo/onnx_sdk/rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211", _SQUARE, 40, "coco17"
        ),
        RtmModel(
            "rtmo-m-17",
            "all",
            "rtmo/onnx_sdk/rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211",
            _SQUARE,
            90,
            "coco17",
        ),
    )
}


def model_folder() -> Path:
    """Where fetched models lie."""
    return cache_folder() / "models"


def known_model(name: str) -> RtmModel:
    """Raises MotionliftError for a name that is not in the list."""
    if name not in MODELS:
        raise MotionliftError(f"No model is called {name!r}", f"Use one of {', '.join(MODELS)}")
    return MODELS[name]


def find_model(name: str, folder: str = "") -> Path:
    """The ONNX file of a model: NAME.onnx in the user's folder, or fetched. Nothing is downloaded.

    Raises MotionliftError where there is none, or where a fetched file has changed since.
    """
    known_model(name)
    for own in (folder, os.environ.get("MOTIONLIFT_MODELS", "")):
        if own and (path := Path(own).expanduser() / f"{name}.onnx").is_file():
            return _unchanged(path, _record(path.parent).get(name, ""))
    path = model_folder() / f"{name}.onnx"
    if not path.is_file():
        raise MotionliftError(
            f"The model {name} is not on this computer",
            f"motionlift models fetch {name}; or put it as {name}.onnx into a folder and name that: "
            "--detector-option models=FOLDER, or MOTIONLIFT_MODELS",
        )
    return _unchanged(path, _record(path.parent).get(name, "not written down"))


def _unchanged(path: Path, expected: str) -> Path:
    """The path of a file whose SHA-256 is the expected one, or of which none is expected: the user's own."""
    if expected and expected != _sha256(path.read_bytes()):
        raise MotionliftError(f"{path}: not the file that was fetched", f"motionlift models fetch {path.stem}")
    return path


def fetch_model(
    name: str, progress: Progress | None = None, opened: Callable[[str], Any] | None = None, folder: Path | None = None
) -> tuple[Path, str, bool]:
    """Download a model, after the user asked for it.

    Args:
        opened: opens a URL, for tests.
        folder: where to put it; None for `model_folder`.
    Returns:
        The ONNX file; the SHA-256 of the zip; whether that was compared with a known one.
    Raises:
        MotionliftError: no network, another file than is known, or no model in it. Nothing is kept then.
    """
    model = known_model(name)
    url = f"{_BASE}{model.url}.zip"
    try:
        with (opened or _open)(url) as response:
            total = int(response.headers.get("Content-Length") or 0)
            data = _read(response, total, progress)
    except (urllib.error.URLError, OSError) as error:
        raise MotionliftError(
            f"{name} could not be fetched from {url} ({getattr(error, 'reason', error)})",
            f"Fetch it elsewhere, and put the .onnx in it as {name}.onnx into a folder that MOTIONLIFT_MODELS names",
        ) from error
    digest = _sha256(data)
    if model.sha256 and digest != model.sha256:
        raise MotionliftError(
            f"{name}: not the file that is expected (its SHA-256 is {digest})", "Try again, or another network"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (inside,) = [i for i in archive.infolist() if i.filename.endswith(".onnx") and i.file_size < LARGEST]
            network = archive.read(inside)
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        raise MotionliftError(f"{name}: what came from {url} holds no ONNX file", "Try again later") from error
    path = (folder or model_folder()) / f"{name}.onnx"
    written = json.dumps({**_record(path.parent), name: _sha256(network)}, indent=1).encode()
    write_whole(path, network)
    write_whole(path.with_name(RECORD), written)
    return path, digest, bool(model.sha256)


def _open(url: str) -> Any:
    return urllib.request.urlopen(url, timeout=60)  # noqa: S310 (https, from the list above)


def _read(response: Any, total: int, progress: Progress | None) -> bytes:
    parts: list[bytes] = []
    done = 0
    while part := response.read(1 << 20):
        parts.append(part)
        done += len(part)
        if done > LARGEST:
            raise OSError("it is larger than any model")
        if progress:
            progress("fetch", done // 1_000_000, max(total, done) // 1_000_000)
    if total and done != total:
        raise OSError(f"{done} of {total} bytes came")
    return b"".join(parts)


def _record(folder: Path) -> dict[str, str]:
    """SHA-256 by name of what was fetched into a folder."""
    try:
        found: Any = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}  # type: ignore[reportUnknownVariableType]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
