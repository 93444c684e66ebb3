"""MediaPipe's models of pose and hands: taken once from a hash-pinned wheel of the package index, and cached.

MediaPipe's newer releases carry no models and would have them downloaded from elsewhere. Release 0.10.21
has them inside its wheel (Apache-2.0). Files are read out of that wheel, which is never installed, and
packed, two and two, as the bundles that the newer releases load.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from lifter.errors import MotionliftError

Progress = Callable[[str, int, int], None]
"""Called with "fetch", how many megabytes are there, and how many there will be."""

RELEASE = "0.10.21"
WHEEL = f"mediapipe-{RELEASE}-cp311-cp311-manylinux_2_28_x86_64.whl"
"""The smallest wheel of that release. Only data is read from it, so it serves every platform."""
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
WHEEL_MEGABYTES = 36
PIP_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11"),
    *("--implementation", "cp", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64"),
    f"mediapipe=={RELEASE}",
)
BUNDLE = "pose_full.task"
BUNDLE_SHA256 = "b600173c7b5878fad0ae661842b177666f82baa5cbc619bffb9136949ee68472"
HAND_BUNDLE = "hand_full.task"
HAND_BUNDLE_SHA256 = "356ab3607525558dd92abaab72e4a7b3965329c3f69fadede240dd7c4b47b2a0"


class _Model(NamedTuple):
    """A model in the wheel, by what name the runtime looks for it, and how its input is to be normalised.

    The runtime gives the model (pixel - mean) / deviation, pixels in 0..255; it reads the two numbers from the
    model's metadata, which only one of the models has in the wheel.
    """

    member: str
    sha256: str
    name: str
    normalization: tuple[float, float] | None


MODELS = (
    _Model(
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        "pose_detector.tflite",
        None,
    ),
    _Model(
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        "pose_landmarks_detector.tflite",
        (0.0, 255.0),
    ),
)
HAND_MODELS = (
    _Model(
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        "hand_detector.tflite",
        (0.0, 255.0),
    ),
    _Model(
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        "hand_landmarks_detector.tflite",
        (0.0, 255.0),
    ),
)


def cache_folder() -> Path:
    """Where models are kept: $MOTIONLIFT_CACHE, or the platform's folder for caches."""
    if given := os.environ.get("MOTIONLIFT_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "motionlift" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "motionlift"
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "motionlift"


def pose_model(progress: Progress | None = None) -> Path:
    """Path of the pose bundle (9.4 MB).

    The first use fetches it, from the wheel that $MOTIONLIFT_MEDIAPIPE_WHEEL names or from the package index;
    a damaged file in the cache is made again. Raises MotionliftError with what to do.
    """
    path = cache_folder() / BUNDLE
    if not is_whole(path):
        _make(progress)
    return path


def hand_model(progress: Progress | None = None) -> Path:
    """Path of the hand bundle (7.8 MB); as `pose_model`, and out of the same wheel."""
    path = cache_folder() / HAND_BUNDLE
    if not is_whole(path, HAND_BUNDLE_SHA256):
        _make(progress)
    return path


def _make(progress: Progress | None) -> None:
    """Both bundles: whoever needs one will soon need the other, and the wheel is fetched once."""
    given = os.environ.get("MOTIONLIFT_MEDIAPIPE_WHEEL")
    wheel = _checked(Path(given).expanduser()) if given else _download(progress)
    for name, digest, models in ((BUNDLE, BUNDLE_SHA256, MODELS), (HAND_BUNDLE, HAND_BUNDLE_SHA256, HAND_MODELS)):
        bundle = make_bundle(wheel, models)
        if hashlib.sha256(bundle).hexdigest() != digest:
            raise MotionliftError(
                "MediaPipe's models cannot be packed with the installed flatbuffers package",
                'pip install "flatbuffers>=2"',
            )
        path = cache_folder() / name
        if not is_whole(path, digest):
            write_whole(path, bundle)


def is_whole(path: Path, digest: str = BUNDLE_SHA256) -> bool:
    """Whether a file is a bundle, byte for byte: that of the pose, or the one of a given SHA-256."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _by_hand() -> str:
    return (
        f"Connect to the package index once; or copy {BUNDLE} from a machine that has it to {cache_folder()}; or fetch "
        f"{WHEEL} elsewhere (pip {' '.join(PIP_DOWNLOAD)}) and set MOTIONLIFT_MEDIAPIPE_WHEEL to its path"
    )


def _download(progress: Progress | None) -> bytes:
    """The wheel, by pip, so that the user's own index, proxy and certificates are used."""
    try:
        with tempfile.TemporaryDirectory(prefix="motionlift-") as scratch:
            folder = Path(scratch)
            said = _run_pip(folder, progress)
            if (folder / WHEEL).is_file():
                return _checked(folder / WHEEL)
    except OSError as error:
        raise MotionliftError(
            f"The pose model could not be fetched ({error})",
            f"Free {2 * WHEEL_MEGABYTES} MB in {tempfile.gettempdir()}, or set TMPDIR to another folder",
        ) from error
    if "No module named pip" in said:
        raise MotionliftError(
            f"The pose model could not be fetched: {sys.executable} has no pip", f"python -m ensurepip; or {_by_hand()}"
        )
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()[-1:]
    raise MotionliftError(
        f"The pose model ({WHEEL_MEGABYTES} MB, once) could not be fetched: {' '.join(lines) or 'pip failed'}",
        _by_hand(),
    )


def _run_pip(folder: Path, progress: Progress | None) -> str:
    """Download into a folder; returns what pip said. A download that is broken off leaves no process behind."""
    command = [sys.executable, "-m", "pip", *PIP_DOWNLOAD, "--quiet", "--no-cache-dir", "--dest", str(folder)]
    # pip downloads to the folder for temporary files: in there its progress can be seen. A constraint that
    # the user has set is about the mediapipe to run, not about this one.
    environment = {k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (folder / "pip.log").open("w+b") as log:
        pip = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 (a fixed command)
        try:
            while pip.poll() is None:
                if progress:
                    progress("fetch", min(_megabytes_in(folder), WHEEL_MEGABYTES), WHEEL_MEGABYTES)
                time.sleep(0.1)
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        return log.read().decode(errors="replace")


def _megabytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip may have removed it meanwhile
            size += path.stat().st_size
    return size // 1_000_000


def _checked(wheel: Path) -> bytes:
    """The bytes of the wheel, whose hash was compared before anything looks into them."""
    try:
        data = wheel.read_bytes()
    except OSError as error:
        raise MotionliftError(f"{wheel}: cannot be read ({error.strerror})", _by_hand()) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != WHEEL_SHA256:
        raise MotionliftError(
            f"{wheel}: not the {WHEEL} that is expected, or damaged (its SHA-256 is {digest})", _by_hand()
        )
    return data


def make_bundle(wheel: bytes, models: tuple[_Model, ...] = MODELS) -> bytes:
    """A .task bundle, a zip of two models, from the bytes of the wheel. Gives the same bytes everywhere.

    Raises ValueError if the wheel does not hold the models that are expected.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as source, zipfile.ZipFile(out, "w") as bundle:
        for model in models:
            data = source.read(model.member)
            if hashlib.sha256(data).hexdigest() != model.sha256:
                raise ValueError(f"{model.member} is not the model that is expected")
            if model.normalization:
                data = with_normalization(data, *model.normalization)
            info = zipfile.ZipInfo(model.name)
            info.create_system = 3  # else Windows would write another byte here
            # The runtime maps models straight out of the file and wants them aligned to 16 bytes: an extra
            # field of unknown kind (2 bytes its kind, 2 its length) fills the space between header and data.
            begin = out.tell() + 30 + len(model.name) + 4
            padding = -begin % 16
            info.extra = b"ML" + padding.to_bytes(2, "little") + bytes(padding)
            bundle.writestr(info, data)
    return out.getvalue()


def with_normalization(model: bytes, mean: float, deviation: float) -> bytes:
    """A TFLite model with the one piece of metadata that the Tasks runtime asks for: how to normalise the image.

    FlatBuffers refer to what lies behind them and are built back to front. So the old file stays as it is, at
    the end, and a new root before it refers to the old tables, to the new metadata, and to nothing else.
    Fields are known by number; those of `Model` are in TensorFlow's schema.fbs, those of the metadata in
    metadata_schema.fbs.
    """
    flatbuffers: Any = import_module("flatbuffers")
    types: Any = import_module("flatbuffers.number_types")
    root: Any = import_module("flatbuffers.table").Table(model, int.from_bytes(model[:4], "little"))
    new: Any = flatbuffers.Builder(len(model) + 4096)
    new.Prep(16, len(model))  # weights keep their alignment
    new.CreateByteVector(model)
    end = new.Offset() - 4  # without the vector's length

    def old(number: int) -> int:
        """Where the old root has a field; 0 if it has not."""
        offset = root.Offset(4 + 2 * number)
        return root.Pos + offset if offset else 0

    def target(position: int) -> int:
        """What is referred to from a place in the old file, counted from the end as the builder does."""
        return end - position - root.Get(types.UOffsetTFlags, position)

    def tables(number: int) -> list[int]:
        """The tables in one of the old root's vectors."""
        if not old(number):
            return []
        first = root.Vector(old(number) - root.Pos)
        return [target(first + 4 * i) for i in range(root.VectorLen(old(number) - root.Pos))]

    buffers = tables(_BUFFERS)
    metadata = _normalization_metadata(mean, deviation)
    new.Prep(16, len(metadata))
    buffer = _table(new, {0: new.CreateByteVector(metadata)})
    name = new.CreateString("TFLITE_METADATA")
    new.StartObject(2)
    new.PrependUOffsetTRelativeSlot(0, name, 0)
    new.PrependUint32Slot(1, len(buffers), 0)
    entry = new.EndObject()
    fields = {_BUFFERS: _vector(new, [*buffers, buffer]), _METADATA: _vector(new, [*tables(_METADATA), entry])}
    fields |= {number: target(old(number)) for number in _KEPT if old(number)}
    new.StartObject(8)
    new.PrependUint32Slot(_VERSION, root.Get(types.Uint32Flags, old(_VERSION)), 0)
    for number, offset in fields.items():
        new.PrependUOffsetTRelativeSlot(number, offset, 0)
    new.Finish(new.EndObject(), b"TFL3")
    return bytes(new.Output())


# Fields of a TFLite `Model`.
_VERSION, _BUFFERS, _METADATA = 0, 4, 6
_KEPT = (1, 2, 3, 5, 7)  # operator codes, subgraphs, description, metadata buffers, signatures


def _normalization_metadata(mean: float, deviation: float) -> bytes:
    """ModelMetadata: one subgraph, one input, one process unit, and in that the two numbers."""
    new: Any = import_module("flatbuffers").Builder(256)

    def number(value: float) -> int:
        new.StartVector(4, 1, 4)
        new.PrependFloat32(value)
        return int(new.EndVector())

    options = _table(new, {0: number(mean), 1: number(deviation)})
    new.StartObject(2)
    new.PrependUint8Slot(0, 1, 0)  # the kind of options: normalisation
    new.PrependUOffsetTRelativeSlot(1, options, 0)
    unit = new.EndObject()
    image = _table(new, {4: _vector(new, [unit])})
    graph = _table(new, {2: _vector(new, [image])})
    new.Finish(_table(new, {3: _vector(new, [graph])}), b"M001")
    return bytes(new.Output())


def _table(builder: Any, fields: dict[int, int]) -> int:
    """A table with nothing but references, by the number of the field."""
    builder.StartObject(max(fields) + 1)
    for number, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    return int(builder.EndObject())


def _vector(builder: Any, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for offset in reversed(tables):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name and rename: other processes see the whole file or none."""
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = Path(file.name)
            file.write(data)
        name.chmod(0o644)  # a cache may be shared; temporary files are private
        # Windows replaces no file that another process has open; that one holds the same bytes.
        with contextlib.suppress(PermissionError) if is_whole(path) else contextlib.nullcontext():
            name.replace(path)
    except OSError as error:
        raise MotionliftError(
            f"{path}: cannot be written ({error.strerror})",
            "Free some space there or set MOTIONLIFT_CACHE to another folder",
        ) from error
    finally:
        if name is not None:
            name.unlink(missing_ok=True)
