from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
import venv
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifter.detect import models
from lifter.errors import MotionliftError


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned wheel, fetched once a session."""
    path = tmp_path_factory.mktemp("wheel") / models.WHEEL
    try:
        given = os.environ.get("MOTIONLIFT_MEDIAPIPE_WHEEL")
        path.write_bytes(Path(given).read_bytes() if given else models._download(None))
    except MotionliftError as error:
        pytest.skip(f"needs {models.WHEEL}: {error}")
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no wheel by hand."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MOTIONLIFT_MEDIAPIPE_WHEEL", raising=False)
    return tmp_path / "cache"


def small_model() -> tuple[bytes, Any, Any]:
    """A TFLite file of three buffers with metadata of another kind, and the two schemas that MediaPipe brings."""
    flatbuffers = import_module("flatbuffers")
    tflite = import_module("mediapipe.tasks.metadata.schema_py_generated")
    meta = import_module("mediapipe.tasks.metadata.metadata_schema_py_generated")
    model = tflite.ModelT()
    model.version, model.description = 3, "small"
    model.buffers = [tflite.BufferT() for _ in range(3)]
    model.buffers[1].data = np.arange(100, dtype=np.uint8)
    graph, tensor = tflite.SubGraphT(), tflite.TensorT()
    tensor.name, tensor.shape, tensor.buffer = "weights", [1, 100], 1
    graph.name, graph.tensors, graph.inputs, graph.outputs = "main", [tensor], [0], [0]
    model.subgraphs = [graph]
    entry = tflite.MetadataT()
    entry.name, entry.buffer = "min_runtime_version", 2
    model.metadata, model.metadataBuffer = [entry], [2]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), tflite, meta


def normalization(tflite: Any, meta: Any, model: bytes) -> tuple[Any, Any]:
    """(the model, its normalisation), read with MediaPipe's own schemas."""
    read = tflite.ModelT.InitFromObj(tflite.Model.GetRootAs(model))
    (entry,) = [m for m in read.metadata if m.name == b"TFLITE_METADATA"]
    data = bytes(bytearray(read.buffers[entry.buffer].data))
    assert data[4:8] == b"M001" and model[4:8] == b"TFL3"
    whole = meta.ModelMetadataT.InitFromObj(meta.ModelMetadata.GetRootAs(data))
    (unit,) = whole.subgraphMetadata[0].inputTensorMetadata[0].processUnits
    assert unit.optionsType == meta.ProcessUnitOptions.NormalizationOptions
    return read, unit.options


class TestMetadata:
    def test_it_is_read_back_and_the_rest_is_unchanged(self) -> None:
        before, tflite, meta = small_model()
        after = models.with_normalization(before, 127.5, 255.0)
        model, options = normalization(tflite, meta, after)
        assert list(options.mean) == [127.5] and list(options.std) == [255.0]
        assert (model.version, model.description, len(model.buffers)) == (3, b"small", 4)
        assert bytes(bytearray(model.buffers[1].data)) == bytes(range(100))
        assert [m.name for m in model.metadata] == [b"min_runtime_version", b"TFLITE_METADATA"]
        assert list(model.metadataBuffer) == [2] and model.subgraphs[0].tensors[0].name == b"weights"
        assert before in after

    @pytest.mark.parametrize("extra", range(0, 16, 3))
    def test_tensors_keep_their_alignment(self, extra: int) -> None:
        before = small_model()[0] + bytes(extra)
        after = models.with_normalization(before, 0.0, 255.0)
        assert after.index(before) % 16 == 0 and len(after) % 16 == 0


class TestBundle:
    def test_it_is_the_same_everywhere(self, wheel: Path) -> None:
        bundle = models.make_bundle(wheel.read_bytes())
        assert hashlib.sha256(bundle).hexdigest() == models.BUNDLE_SHA256
        hands = models.make_bundle(wheel.read_bytes(), models.HAND_MODELS)
        assert hashlib.sha256(hands).hexdigest() == models.HAND_BUNDLE_SHA256

    def test_its_models_are_stored_aligned_and_normalise(self, wheel: Path, tmp_path: Path) -> None:
        path = tmp_path / models.BUNDLE
        path.write_bytes(models.make_bundle(wheel.read_bytes()))
        _, tflite, meta = small_model()
        with zipfile.ZipFile(path) as z, zipfile.ZipFile(wheel) as source:
            assert z.testzip() is None and z.namelist() == [m.name for m in models.MODELS]
            for info, model in zip(z.infolist(), models.MODELS, strict=True):
                data = z.read(info)
                assert info.compress_type == zipfile.ZIP_STORED and path.read_bytes().index(data) % 16 == 0
                assert source.read(model.member) in data
                options = normalization(tflite, meta, data)[1]
                assert (options.mean[0], options.std[0]) == (model.normalization or (127.5, 127.5))

    def test_another_model_in_the_wheel_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.whl", "w") as z:
            for model in models.MODELS:
                z.writestr(model.member, b"another model")
        with pytest.raises(ValueError, match="pose_detection"):
            models.make_bundle((tmp_path / "a.whl").read_bytes())


class TestCache:
    def test_where_it_lies(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path))
        assert models.cache_folder() == tmp_path
        monkeypatch.setenv("MOTIONLIFT_CACHE", "")
        monkeypatch.setenv("XDG_CACHE_HOME", "/x")
        monkeypatch.setenv("LOCALAPPDATA", "/l")
        home = Path.home()
        for system, folder in (
            ("linux", Path("/x/motionlift")),
            ("darwin", home / "Library" / "Caches" / "motionlift"),
            ("win32", Path("/l/motionlift/cache")),
        ):
            monkeypatch.setattr(sys, "platform", system)
            assert models.cache_folder() == folder

    def test_it_is_filled_once_and_a_damaged_file_is_made_again(
        self, wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", str(wheel))
        path = models.pose_model()
        # Both bundles are out of one wheel.
        assert path == cache / models.BUNDLE and {*cache.iterdir()} == {path, cache / models.HAND_BUNDLE}
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        assert models.pose_model() == path and models.is_whole(path)
        monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", "/nowhere")  # no longer needed
        assert models.pose_model() == path
        assert models.is_whole(models.hand_model(), models.HAND_BUNDLE_SHA256)

    def test_a_bundle_put_there_by_hand_is_taken(self, wheel: Path, cache: Path) -> None:
        cache.mkdir()
        (cache / models.BUNDLE).write_bytes(models.make_bundle(wheel.read_bytes()))
        assert models.pose_model() == cache / models.BUNDLE

    def test_others_may_read_it(self, tmp_path: Path) -> None:
        models.write_whole(tmp_path / "a", b"x")
        assert os.name == "nt" or (tmp_path / "a").stat().st_mode & 0o777 == 0o644

    def test_writers_at_the_same_time_leave_one_whole_file(self, tmp_path: Path) -> None:
        path, contents = tmp_path / "new" / "file", [bytes([i]) * 300_000 for i in range(4)]
        seen: list[bytes] = []

        def write(data: bytes) -> None:
            for _ in range(20):
                models.write_whole(path, data)
                seen.append(path.read_bytes())

        threads = [threading.Thread(target=write, args=(data,)) for data in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 80 and set(seen) <= set(contents) and list(path.parent.iterdir()) == [path]


class TestWhatGoesWrong:
    def refused(self, match: str) -> str:
        with pytest.raises(MotionliftError, match=match) as caught:
            models.pose_model()
        said = str(caught.value)
        assert "\n" not in said
        return said

    def test_a_wheel_that_is_another_file_is_not_opened(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.whl").write_bytes(b"not even a zip")
        monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", str(tmp_path / "a.whl"))
        assert models.WHEEL in self.refused("SHA-256") and not cache.exists()

    def test_a_wheel_that_is_not_there(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", "/nowhere/a.whl")
        self.refused("cannot be read")

    def test_no_package_index(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(cache)), ("CONFIG_FILE", os.devnull)):
            monkeypatch.setenv(f"PIP_{name}", value)
        said = self.refused("could not be fetched")
        assert "MOTIONLIFT_MEDIAPIPE_WHEEL" in said and str(cache) in said and not cache.exists()

    def test_an_index_that_gives_another_file(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with zipfile.ZipFile(tmp_path / models.WHEEL, "w") as z:
            z.writestr(
                f"mediapipe-{models.RELEASE}.dist-info/METADATA",
                f"Metadata-Version: 2.1\nName: mediapipe\nVersion: {models.RELEASE}\n",
            )
            z.writestr(f"mediapipe-{models.RELEASE}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path)), ("CONFIG_FILE", os.devnull)):
            monkeypatch.setenv(f"PIP_{name}", value)
        self.refused("SHA-256")
        assert not cache.exists()

    def test_no_pip(self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        venv.create(tmp_path / "bare", with_pip=False)
        python = next(p for p in (tmp_path / "bare").glob("*/python*") if p.stem == "python")
        monkeypatch.setattr(sys, "executable", str(python))
        assert "ensurepip" in self.refused("has no pip")

    def test_a_cache_that_cannot_be_written(self, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "file" / "cache"))
        monkeypatch.setenv("MOTIONLIFT_MEDIAPIPE_WHEEL", str(wheel))
        assert "MOTIONLIFT_CACHE" in self.refused("cannot be written")

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "chmod", full)
        with pytest.raises(MotionliftError, match="No space left"):
            models.write_whole(tmp_path / "a", b"x")
        assert list(tmp_path.iterdir()) == []


def test_progress_is_told(cache: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    told: list[tuple[str, int, int]] = []
    assert models.is_whole(models.pose_model(lambda *p: told.append(p)))
    assert told and all(stage == "fetch" and 0 <= done <= total == 36 for stage, done, total in told)
