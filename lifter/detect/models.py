"""MediaPipe's pose models: taken once from a hash-pinned wheel of the package index, and cached.

MediaPipe's newer releases carry no models and would have them downloaded from elsewhere. Release 0.10.21
has them inside its wheel (Apache-2.0). Two files are read out of that wheel, which is never installed, and
packed as the bundle that the newer releases load.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from lifter.errors import MotionliftError

RELEASE = "0.10.21"
WHEEL_TAGS = (
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--platform",
    "manylinux_2_28_x86_64",
)
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
WHEEL_MEGABYTES = 36
BUNDLE = "pose_full.task"
# Member of the wheel, its name in the bundle, and the mean and deviation that its input is normalised by.
MEMBERS = (
    ("mediapipe/modules/pose_detection/pose_detection.tflite", "pose_detector.tflite", 127.5, 127.5),
    ("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", "pose_landmarks_detector.tflite", 0.0, 255.0),
)


def cache_folder() -> Path:
    """Where models are kept: $MOTIONLIFT_CACHE, or the platform's folder for caches."""
    if "MOTIONLIFT_CACHE" in os.environ:
        return Path(os.environ["MOTIONLIFT_CACHE"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "motionlift" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "motionlift"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "motionlift"


def pose_model() -> Path:
    """Path of the pose bundle; fetches it on first use. Raises MotionliftError with what to do."""
    path = cache_folder() / BUNDLE
    if path.is_file() and _is_whole(path):
        return path
    with tempfile.TemporaryDirectory() as scratch:
        given = os.environ.get("MOTIONLIFT_MEDIAPIPE_WHEEL")
        wheel = Path(given) if given else _download(Path(scratch))
        bundle = make_bundle(_checked(wheel))
    write_whole(path, bundle)
    return path


def _is_whole(path: Path) -> bool:
    """A bundle carries the digest of its models: a damaged file is made again."""
    try:
        with zipfile.ZipFile(path) as z:
            return z.testzip() is None and z.namelist() == [m[1] for m in MEMBERS]
    except (OSError, zipfile.BadZipFile):
        return False


def _by_hand() -> str:
    return (
        f"Connect to the package index once, or fetch the wheel elsewhere with `pip download --no-deps "
        f"{' '.join(WHEEL_TAGS)} --only-binary=:all: mediapipe=={RELEASE}` and "
        f"set MOTIONLIFT_MEDIAPIPE_WHEEL to its path"
    )


def _download(folder: Path) -> Path:
    """The wheel, by pip, so that the user's own index, proxy and certificates are used."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        *WHEEL_TAGS,
        "--dest",
        str(folder),
        f"mediapipe=={RELEASE}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a fixed command)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise MotionliftError(
            f"The pose model ({WHEEL_MEGABYTES} MB, once) could not be fetched: {' '.join(said) or 'pip failed'}",
            _by_hand(),
        )
    return wheels[0]


def _checked(wheel: Path) -> Path:
    try:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MotionliftError(f"{wheel}: cannot be read ({error.strerror})", _by_hand()) from error
    if digest != WHEEL_SHA256:
        raise MotionliftError(f"{wheel.name}: not the expected file (SHA-256 {digest})", _by_hand())
    return wheel


def make_bundle(wheel: Path) -> bytes:
    """The .task bundle (a stored, aligned zip of two TFLite models) from the checked wheel; same bytes every time."""
    out = io.BytesIO()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(out, "w") as bundle:
        for member, name, mean, deviation in MEMBERS:
            model = with_normalization(source.read(member), mean, deviation)
            info = zipfile.ZipInfo(name)
            # The runtime maps models straight out of the file and wants them aligned to 16 bytes: an extra
            # field of unknown kind fills the space between the entry's header and its data.
            begin = out.tell() + 30 + len(name)
            padding = -(begin + 4) % 16
            info.extra = b"\x4c\x4d" + padding.to_bytes(2, "little") + bytes(padding)
            bundle.writestr(info, model)
    return out.getvalue()


def with_normalization(model: bytes, mean: float, deviation: float) -> bytes:
    """A TFLite model with the metadata by which the Tasks runtime normalises its input image.

    Schema: mediapipe/tasks/metadata/metadata_schema.fbs; the metadata is a buffer named TFLITE_METADATA.
    """
    flatbuffers: Any = import_module("flatbuffers")
    meta: Any = import_module("mediapipe.tasks.metadata.metadata_schema_py_generated")
    tflite: Any = import_module("mediapipe.tasks.metadata.schema_py_generated")

    def pack(thing: Any, identifier: bytes) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(thing.Pack(builder), identifier)
        return bytes(builder.Output())

    network: Any = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(model, 0))
    image: Any = meta.TensorMetadataT()
    image.name, image.stats = "image", meta.StatsT()
    image.stats.max, image.stats.min = [1.0], [0.0]
    image.content = meta.ContentT()
    image.content.contentPropertiesType = meta.ContentProperties.ImageProperties
    image.content.contentProperties = meta.ImagePropertiesT()
    image.content.contentProperties.colorSpace = meta.ColorSpaceType.RGB
    unit: Any = meta.ProcessUnitT()
    unit.optionsType = meta.ProcessUnitOptions.NormalizationOptions
    unit.options = meta.NormalizationOptionsT()
    unit.options.mean, unit.options.std = [mean], [deviation]
    image.processUnits = [unit]
    graph: Any = meta.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [meta.TensorMetadataT() for _ in network.subgraphs[0].outputs]
    whole: Any = meta.ModelMetadataT()
    whole.subgraphMetadata = [graph]
    buffer: Any = tflite.BufferT()
    buffer.data = list(pack(whole, b"M001"))
    network.buffers.append(buffer)
    entry: Any = tflite.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(network.buffers) - 1
    network.metadata = [*(network.metadata or []), entry]
    return pack(network, b"TFL3")


def write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name and rename: other processes see the whole file or none."""
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            name = file.name
            file.write(data)
        os.replace(name, path)
    except OSError as error:
        raise MotionliftError(
            f"{path}: cannot be written ({error.strerror})",
            "Free some space there or set MOTIONLIFT_CACHE to another folder",
        ) from error
    finally:
        if name is not None and os.path.exists(name):
            os.unlink(name)
