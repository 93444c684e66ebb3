"""The built zips: what is in them, that they are valid and the same every time, and that they work without network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import build_addon
from lifter.detect.models import cache_folder

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "lifter" / "demo" / "demo.mp4"
HERE = f"{build_addon.this_platform()}-py{sys.version_info.major}{sys.version_info.minor}"


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_addon.build_online(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """The offline zip for this platform and Python; its 160 MB are removed in the end."""
    if HERE not in build_addon.TARGETS:
        pytest.skip(f"there is no offline zip for {HERE}")
    folder = tmp_path_factory.mktemp("dist")
    try:
        yield build_addon.build_offline(HERE, folder)
    except (SystemExit, ImportError) as error:
        pytest.skip(f"needs the wheels: {error}")
    finally:
        shutil.rmtree(folder)


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


class TestZip:
    def test_holds_the_extension_and_the_lifter_as_data(self, online: Path) -> None:
        found = names(online)
        assert {"__init__.py", "blender_manifest.toml", "LICENSE", "environment/lock.json"} <= set(found)
        assert {"lifter/worker.py", "lifter/checkpoints/body.onnx", "lifter/skeletons/body.toml"} <= set(found)
        assert not [n for n in found if n.endswith((".whl", ".pyc", ".mp4", ".safetensors")) or "__pycache__" in n]
        assert not [n for n in found if n.startswith(("lifter/nets", "tests", "training"))], "what runs without torch"
        tracked = subprocess.run(["git", "ls-files", "blender_addon"], cwd=ROOT, capture_output=True, text=True)
        if tracked.returncode == 0:
            listed = {n.removeprefix("blender_addon/") for n in tracked.stdout.splitlines()}
            assert listed <= set(found), "nothing of the extension is left out"

    def test_is_small_and_valid(self, online: Path) -> None:
        assert online.stat().st_size < 20e6
        build_addon.validate(online)

    def test_an_invalid_one_is_refused(self, online: Path, tmp_path: Path) -> None:
        wrong = build_addon.manifest(["linux-x64"], "4.2.0", None).replace(b'rig"', b'rig."')
        build_addon.write_zip(tmp_path / "x.zip", build_addon.sources() | {"blender_manifest.toml": wrong})
        with pytest.raises(SystemExit, match="punctuation"):
            build_addon.validate(tmp_path / "x.zip")

    def test_is_the_same_every_time(self, online: Path, tmp_path: Path) -> None:
        again = build_addon.build_online(tmp_path)
        assert again.read_bytes() == online.read_bytes()

    def test_does_not_know_when_where_and_by_whom_it_was_built(self, online: Path) -> None:
        with zipfile.ZipFile(online) as archive:
            for entry in archive.infolist():
                assert entry.date_time == (1980, 1, 1, 0, 0, 0) and entry.create_system == 3 and not entry.extra
                assert entry.external_attr >> 16 == 0o100644 and entry.compress_type == zipfile.ZIP_STORED
            assert [e.filename for e in archive.infolist()] == sorted(archive.namelist())

    def test_manifests_tell_platforms_and_blenders_apart(self) -> None:
        old = tomllib.loads(build_addon.manifest(["linux-x64"], "4.2.0", "5.1.0").decode())
        assert (old["blender_version_min"], old["blender_version_max"]) == ("4.2.0", "5.1.0")
        new = tomllib.loads(build_addon.manifest(["linux-x64", "windows-x64"], "5.1.0", None).decode())
        assert new["platforms"] == ["linux-x64", "windows-x64"] and "blender_version_max" not in new
        assert "wheels" not in new, "Blender's own Python gets no packages"
        assert set(new["permissions"]) == {"files", "network"}

    def test_has_the_projects_version(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert build_addon.version() == project["version"]

    def test_every_target_has_its_wheels_in_the_lock(self) -> None:
        lock = json.loads(build_addon.LOCK.read_text())
        assert set(lock["targets"]) == set(build_addon.TARGETS)
        for target, variants in lock["targets"].items():
            assert sorted(variants) == sorted(build_addon.variants(target))


def in_blender(resources: Path, *arguments: str, network: bool = True, python: str = "") -> Any:
    """Run extension_in_blender.py, without the network if wished for; what it says at the end. python: the worker's."""
    resources.mkdir(exist_ok=True)
    without = () if network else ("unshare", "--net", "--map-root-user")
    command = [*without, sys.executable, str(Path(__file__).with_name("extension_in_blender.py")), *arguments]
    environment = {"BLENDER_USER_RESOURCES": str(resources), "HOME": str(resources), "PATH": "/usr/bin:/bin"}
    if python:
        environment |= {"MOTIONLIFT_PYTHON": python, "MOTIONLIFT_CACHE": str(cache_folder())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=resources)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_blender_enables_it_again_and_again_and_loses_it_without_a_trace(online: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="needs the bpy module")
    seen = in_blender(tmp_path, str(online), "enable")
    assert not any(seen.values()), seen


@pytest.mark.slow
def test_the_whole_way_from_the_zip_to_two_rigs_and_to_no_trace(online: Path, tmp_path: Path) -> None:
    """Install, enable, capture, retarget, save, reopen, solve again, disable, enable, uninstall; all by operators."""
    bpy = pytest.importorskip("bpy", reason="needs the bpy module")
    python = os.environ.get("MOTIONLIFT_PYTHON", sys.executable)
    has = f"import {', '.join(('mediapipe', 'onnxruntime', 'cv2', 'scipy'))}"
    if subprocess.run([python, "-c", has], capture_output=True).returncode:
        pytest.skip("needs the lifter's packages: install them, or set MOTIONLIFT_PYTHON to a Python that has them")
    from .blender_addon.armatures import build_armature
    from .blender_addon.rigs import build

    build_armature(build("mixamo").rig)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    shutil.copy(DEMO, tmp_path / "dance.mp4")
    seen = in_blender(
        tmp_path / "user",
        str(online),
        "whole",
        str(tmp_path / "dance.mp4"),
        str(tmp_path / "shot.blend"),
        python=python,
    )
    frames, coverage, confidence = seen["captured"]
    assert frames == 240 and coverage > 0.9 and confidence > 0.5
    assert len(seen["keyed"]) == 2 and all(moved > 100 for moved in seen["keyed"].values()), seen["keyed"]
    assert seen["keyed after reopening"] == seen["keyed"]
    assert seen["listed after reopening"] == seen["listed after enabling"] == ["//shot takes/dance.take.npz"]
    assert 0.4 < seen["preview's shin at 2 m"] < 0.6
    assert seen["left after disabling"] == seen["left after uninstalling"] == []
    assert not seen["worker left after disabling"]
    assert (tmp_path / "shot takes" / "dance.take.npz").is_file(), "the user's takes stay"


@pytest.mark.slow
def test_the_offline_zip_captures_without_any_network(offline: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="needs the bpy module")
    build_addon.validate(offline)
    assert offline.stat().st_size <= build_addon.MOST_MEGABYTES * 1e6
    alone = subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True).returncode == 0
    take = tmp_path / "demo.take.npz"
    try:
        seen = in_blender(tmp_path, str(offline), "capture", str(DEMO), str(take), network=not alone)
        assert seen["captured"]["frames"] == seen["solved"]["frames"] == 30 and take.is_file()
        assert seen["captured"]["confidence"] > 0.5
        assert seen["written"] == [] and not seen["left"], "nothing in the extension's folder, nothing after removing"
    finally:
        shutil.rmtree(tmp_path / "extensions", ignore_errors=True)  # 400 MB
