"""Environments: what is planned, from which wheels, how they are set up and what happens when that goes wrong.

Real setting-up processes and a real pip run here, on a small extension with tiny packages of its own and no network.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from blender_addon.environment import devices, install, plan
from blender_addon.environment.errors import SetupError
from blender_addon.environment.folder import read_state, remove_leftovers, setup_command, worker_command
from blender_addon.environment.jobs import check_job, install_job, remove_job
from blender_addon.worker.messages import ENDINGS, Cancelled, Done, Failed, Job, Message, Progress
from blender_addon.worker.process import Worker

ROOT = Path(__file__).parents[2]
TARGETS = sorted(plan.read_lock()["targets"])


class TestPlan:
    @pytest.mark.parametrize("target", TARGETS)
    def test_every_variant_has_one_of_each_package_and_all_that_is_needed(self, target: str) -> None:
        for variant in plan.read_lock()["targets"][target]:
            made = plan.make_plan(variant, target=target)
            names = [w.name.lower() for w in made.wheels]
            assert len(set(names)) == len(names)
            assert {"numpy", "scipy", "mediapipe", "opencv-python-headless", "flatbuffers", "absl-py"} < set(names)
            runtime = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}[variant]
            assert [n for n in names if n.startswith("onnxruntime")] == [runtime]
            assert made.source == plan.INDEX and made.download_megabytes > 100
            assert not any(w.version.startswith("1.") for w in made.wheels if w.name == "mediapipe"), "reports usage"

    @pytest.mark.parametrize("target", TARGETS)
    def test_an_offline_zip_has_room_for_the_plain_environment(self, target: str) -> None:
        assert sum(w.size for w in plan.make_plan("cpu", target=target).wheels) < 220e6

    def test_wheels_fit_their_target(self) -> None:
        tags = {"linux-x64": "manylinux", "windows-x64": "win_amd64", "macos-arm64": "macosx", "macos-x64": "macosx"}
        for target in TARGETS:
            system, python = target.rsplit("-py", 1)
            for wheel in plan.make_plan("cpu", target=target).wheels:
                tag = wheel.file.removesuffix(".whl").split("-", 2)[2]
                assert tags[system] in tag or tag.endswith("none-any"), wheel
                assert f"cp{python}-cp{python}" in tag or "abi3" in tag or "py3" in tag, wheel
                assert len(wheel.sha256) == 64 and Path(wheel.file).name == wheel.file

    def test_versions_are_those_that_everything_was_tested_with(self) -> None:
        pinned = dict(
            line.split(";")[0].strip().split("==")
            for line in (ROOT / "constraints.txt").read_text().splitlines()
            if "==" in line and not ("numpy" in line and ">=" in line)
        )
        wheels = plan.make_plan("cpu", target="linux-x64-py311").wheels
        versions = {w.name: w.version for w in wheels}
        shared = pinned.keys() & versions.keys()
        assert {"numpy", "scipy", "mediapipe", "onnxruntime", "protobuf"} <= shared
        assert {n: pinned[n] for n in shared} == {n: versions[n] for n in shared}

    def test_the_models_come_from_the_wheel_that_the_lifter_knows(self) -> None:
        models = pytest.importorskip("lifter.detect.models")
        model = plan.make_plan("cpu", target=TARGETS[0]).model
        assert (model.file, model.sha256) == (models.WHEEL, models.WHEEL_SHA256)
        assert plan.MODEL == models.BUNDLE

    def test_what_does_not_exist_is_said(self) -> None:
        with pytest.raises(SetupError, match="no packages for freebsd-x64-py311"):
            plan.make_plan(target="freebsd-x64-py311")
        with pytest.raises(SetupError, match="no 'directml' environment"):
            plan.make_plan("directml", target="linux-x64-py311")


class TestDevices:
    @staticmethod
    def nvidia(proc: Path, driver: str) -> Path:
        (proc / "gpus" / "0000:01:00.0").mkdir(parents=True)
        (proc / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA GeForce RTX 4070\nIRQ: 1\n")
        (proc / "version").write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}.65.06  Tue\nGCC: 13\n")
        return proc

    def test_on_linux(self, tmp_path: Path) -> None:
        assert devices._linux(tmp_path / "none").variant == "cpu"
        new = devices._linux(self.nvidia(tmp_path / "new", "580"))
        assert (new.name, new.variant) == ("NVIDIA GeForce RTX 4070", "cuda")
        old = devices._linux(self.nvidia(tmp_path / "old", "535"))
        assert old.variant == "cpu" and "535" in old.text

    def test_open_kernel_modules_say_their_version_otherwise(self, tmp_path: Path) -> None:
        proc = self.nvidia(tmp_path, "580")
        line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}.126.09  Release Build\n"
        (proc / "version").write_text(line.format(580))
        assert devices._linux(proc).variant == "cuda"
        (proc / "version").write_text(line.format(535))
        assert devices._linux(proc).variant == "cpu"

    def test_elsewhere(self) -> None:
        assert devices._windows(True, "").variant == "cuda"
        assert devices._windows(False, "Radeon RX 7800").variant == "directml"
        assert "CoreML" in devices._apple("arm64").text and devices._apple("x86_64").variant == "cpu"
        assert devices.find_device().variant in plan.VARIANTS

    @pytest.mark.parametrize(
        ("found", "wish", "bundled", "variant"),
        [
            ("cpu", "auto", False, "cpu"), ("cpu", "gpu", False, "cpu"),
            ("cuda", "auto", False, "cpu"), ("cuda", "gpu", False, "cuda"), ("cuda", "gpu", True, "cuda"),
            ("cuda", "auto", True, "cpu"), ("cuda", "cpu", False, "cpu"),
            ("directml", "auto", False, "directml"), ("directml", "auto", True, "cpu"),
            ("directml", "cpu", True, "cpu"),
        ],
    )  # fmt: skip
    def test_the_choice_fits_and_never_needs_the_network_unasked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, wish: str, bundled: bool, variant: str
    ) -> None:
        monkeypatch.setattr(plan, "this_target", lambda: "windows-x64-py311")
        (tmp_path / "wheels").mkdir()
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / plan.MODEL).touch()
        for wheel in plan.make_plan("cpu", target="windows-x64-py311").wheels if bundled else ():
            (tmp_path / "wheels" / wheel.file).touch()
        chosen = devices.fitting_plan(wish, devices.Device("A GPU", found, "A GPU"), tmp_path)
        assert chosen.variant == variant and chosen.reason.startswith("A GPU")
        assert bool(chosen.bundle) == (bundled and variant == "cpu")
        assert ("MB to download" in chosen.reason) == (wish == "auto" and found != variant)


# A small extension


def make_wheel(
    folder: Path, name: str, files: dict[str, bytes], tag: str = "py3-none-any"
) -> tuple[str, dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    meta = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{n},,\n" for n in (*files, *meta, f"{info}/RECORD")).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, content in {**files, **meta, f"{info}/RECORD": record}.items():
            archive.writestr(n, content)
    data = path.read_bytes()
    facts = {"name": name, "version": "1.0", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return path.name, facts


LIFTER_WORKER = """
import json, sys, os
import tiny
job = json.loads(sys.stdin.readline())
missing = [] if tiny.WORKS else ["tiny: it does not work"]
model = os.path.exists(os.path.join(os.environ["MOTIONLIFT_CACHE"], "pose_full.task"))
wheel = os.environ.get("MOTIONLIFT_MEDIAPIPE_WHEEL")
if not model and not (wheel and os.path.exists(wheel)): missing.append("no model")
print(json.dumps({"type": "done", "id": 1, "take": None, "summary": {"missing": missing, "path": sys.path}}))
"""


class Extension:
    """A copy of the two packages, with a lock of its own, a lifter of six lines, and wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels, self.environment = folder, folder / "wheels", folder.parent / "user" / "environment"
        for name in ("environment", "worker"):
            shutil.copytree(ROOT / "blender_addon" / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "lifter").mkdir()
        (folder / "lifter" / "__init__.py").touch()
        (folder / "lifter" / "worker.py").write_text(LIFTER_WORKER)
        (folder / "models").mkdir()
        (folder / "models" / "pose_full.task").write_bytes(b"a model")
        self.contents = {"tiny/__init__.py": b"WORKS = True\n", "tiny-1.0.data/scripts/tiny": b"#!python\n"}
        self.contents["tiny-1.0.data/purelib/tiny/more.py"] = b""
        self.write_lock()

    def write_lock(self, more: Iterable[tuple[str, dict[str, Any]]] = ()) -> None:
        wheels = dict([make_wheel(self.wheels, "tiny", self.contents), *more])
        model, facts = make_wheel(self.folder.parent / "index", "modelwheel", {"m.tflite": b"m"})
        lock = {
            "model": model,
            "targets": {plan.this_target(): {"cpu": sorted(wheels)}},
            "wheels": {**wheels, model: facts},
        }
        (self.folder / "environment" / "lock.json").write_text(json.dumps(lock))
        for name in wheels:
            shutil.copy(self.wheels / name, self.folder.parent / "index" / name)

    def start(self, **variables: str) -> Worker:
        command = (sys.executable, "-I", "-S", str(self.folder / "worker" / "bootstrap.py"), "environment")
        return Worker(
            (*command, str(self.folder)),
            variables,
            self.folder.parent / "logs",
            partial(remove_leftovers, self.environment),
        )

    def run(self, job: Job, **variables: str) -> Message:
        worker = self.start(**variables)
        worker.submit(job)
        return wait(worker)[-1]

    def install(self, online: bool = False, bundled: bool = True, **variables: str) -> Message:
        job = install_job(self.environment, "cpu", online=online, bundles=self.folder if bundled else None)
        return self.run(job, **variables)

    @property
    def index(self) -> dict[str, str]:
        """Variables that have pip use a folder, and no network."""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder.parent / "index")}

    def left_over(self) -> list[str]:
        folder = self.environment.parent
        return [p.name for p in folder.iterdir() if p != self.environment] if folder.exists() else []


def wait(worker: Worker, ended: Callable[[Message], bool] = lambda m: isinstance(m, ENDINGS)) -> list[Message]:
    came: list[Message] = []
    deadline = time.monotonic() + 600
    while not (came and ended(came[-1])):
        came += worker.poll()
        assert time.monotonic() < deadline, came
        time.sleep(0.01)
    return came


@pytest.fixture
def extension(tmp_path: Path) -> Extension:
    return Extension(tmp_path / "extension")


class TestSettingUp:
    def test_from_the_extensions_own_wheels(self, extension: Extension) -> None:
        assert not read_state(extension.environment).ready
        before = sorted(extension.folder.rglob("*"))
        done = extension.install()
        assert isinstance(done, Done), done
        packages = extension.environment / "packages"
        assert (packages / "tiny" / "more.py").is_file() and not (packages / "tiny-1.0.data").exists()
        assert (extension.environment / "models" / "pose_full.task").read_bytes() == b"a model"
        state = read_state(extension.environment)
        assert state.ready and state.installed and state.installed.variant == "cpu"
        assert not extension.left_over()
        assert sorted(extension.folder.rglob("*")) == before, "nothing is written into the extension"
        assert not [p for p in done.summary["path"] if "site-packages" in p], "nobody else's packages are seen"
        assert isinstance(extension.run(check_job(extension.environment)), Done)
        assert isinstance(extension.run(remove_job(extension.environment)), Done)
        assert not extension.environment.exists() and not extension.left_over()
        assert isinstance(extension.run(remove_job(extension.environment)), Done), "twice does no harm"

    def test_by_pip(self, extension: Extension) -> None:
        done = extension.install(online=True, bundled=False, **extension.index)
        assert isinstance(done, Done), done
        assert read_state(extension.environment).ready and not extension.left_over()
        assert not (extension.environment / "wheels").exists(), "downloads are not kept"

    def test_no_network_without_leave(self, extension: Extension) -> None:
        failed = extension.install(online=False, bundled=False, **extension.index)
        assert isinstance(failed, Failed) and "online access is off" in failed.what
        assert not extension.environment.exists() and not extension.left_over()

    def test_no_network(self, extension: Extension) -> None:
        nowhere = {
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
            "PIP_RETRIES": "0",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
        }
        failed = extension.install(online=True, bundled=False, **nowhere)
        assert isinstance(failed, Failed) and failed.what == "Packages could not be downloaded", failed
        assert "offline version" in failed.remedy and not failed.report_file
        assert not extension.environment.exists() and not extension.left_over()

    def test_another_file_in_the_index_is_refused(self, extension: Extension) -> None:
        make_wheel(extension.folder.parent / "index", "tiny", {"tiny/__init__.py": b"WORKS = 'evil'"})
        failed = extension.install(online=True, bundled=False, **extension.index)
        assert isinstance(failed, Failed) and "not the one that is expected" in failed.what
        assert not extension.environment.exists() and not extension.left_over()

    def test_a_damaged_wheel_is_refused_and_what_was_there_stays(self, extension: Extension) -> None:
        assert isinstance(extension.install(), Done)
        (extension.wheels / "tiny-1.0-py3-none-any.whl").write_bytes(b"x")
        failed = extension.install()
        assert isinstance(failed, Failed) and "damaged" in failed.what
        assert isinstance(extension.run(check_job(extension.environment)), Done) and not extension.left_over()

    def test_an_environment_that_does_not_work_is_not_kept(self, extension: Extension) -> None:
        extension.contents["tiny/__init__.py"] = b"WORKS = False\n"
        extension.write_lock()
        failed = extension.install()
        assert isinstance(failed, Failed) and "tiny: it does not work" in failed.why
        extension.contents["tiny/__init__.py"] = b"import os; os._exit(9)\n"
        extension.write_lock()
        failed = extension.install()
        assert isinstance(failed, Failed) and "code 9" in failed.why
        assert not extension.environment.exists() and not extension.left_over()

    def test_repairing_replaces_what_is_broken(self, extension: Extension) -> None:
        assert isinstance(extension.install(), Done)
        (extension.environment / "packages" / "tiny" / "__init__.py").unlink()
        assert isinstance(extension.run(check_job(extension.environment)), Failed)
        assert isinstance(extension.install(), Done)
        assert isinstance(extension.run(check_job(extension.environment)), Done)

    @pytest.mark.skipif(os.name != "posix", reason="signals")
    @pytest.mark.parametrize("how", ["cancel", "kill"])
    def test_breaking_off_leaves_nothing_half_done(self, extension: Extension, how: str) -> None:
        assert isinstance(extension.install(), Done)
        slow = b"import time; time.sleep(600)\n"
        extension.contents["tiny/__init__.py"] = slow
        extension.write_lock()
        worker = extension.start()
        worker.submit(install_job(extension.environment, "cpu", online=False, bundles=extension.folder))
        wait(worker, lambda m: isinstance(m, Progress) and m.stage == "check")
        assert extension.left_over() and worker.pid
        begun = time.monotonic()
        if how == "cancel":
            worker.cancel()
        else:
            os.kill(worker.pid, signal.SIGKILL)
        ended = wait(worker)[-1]
        assert isinstance(ended, Cancelled if how == "cancel" else Failed)
        assert time.monotonic() - begun < 300
        assert not extension.left_over()
        assert (extension.environment / "packages" / "tiny" / "__init__.py").read_bytes() == b"WORKS = True\n"

    def test_a_process_that_ends_late_leaves_the_next_ones_work_alone(self, extension: Extension) -> None:
        mine, others = (extension.environment.with_name(f".environment.new-{n}-abc") for n in (17, 18))
        for folder in (mine, others):
            folder.mkdir(parents=True)
        remove_leftovers(extension.environment, of=17)
        assert not mine.exists() and others.exists()
        remove_leftovers(extension.environment)
        assert not others.exists()

    def test_an_exchange_that_was_broken_off_is_undone(self, extension: Extension) -> None:
        assert isinstance(extension.install(), Done)
        extension.environment.rename(extension.environment.with_name(".environment.old-1"))
        remove_leftovers(extension.environment)
        assert read_state(extension.environment).ready and not extension.left_over()

    def test_a_disk_that_is_too_small(self, extension: Extension, tmp_path: Path) -> None:
        free = shutil.disk_usage(tmp_path).free // 1_000_000
        huge, facts = make_wheel(extension.wheels, "huge", {"huge.py": b""})
        extension.write_lock([(huge, {**facts, "size": (free + 1000) * 1_000_000})])
        failed = extension.install()
        assert isinstance(failed, Failed) and "too little space" in failed.what
        assert not extension.environment.exists() and not extension.left_over()

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs the right to mount")
    def test_a_disk_that_fills_up(self, extension: Extension) -> None:
        extension.contents["tiny/large"] = bytes(200_000_000)
        extension.write_lock()
        folder = extension.environment.parent
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=110m", "none", str(folder)]).returncode:
            pytest.skip("needs the right to mount")
        try:
            failed = extension.install()
            assert isinstance(failed, Failed) and failed.what == "The disk is full", failed
            assert not extension.environment.exists() and not extension.left_over()
        finally:
            subprocess.run(["umount", str(folder)], check=True)


class TestState:
    def test_of_nothing_of_rubbish_and_of_another_python(self, tmp_path: Path) -> None:
        assert read_state(tmp_path / "none").text == "Not set up yet"
        assert read_state(tmp_path).text == "Not set up yet", "an empty folder is none"
        (tmp_path / "packages").mkdir()
        assert "damaged" in read_state(tmp_path).text
        for rubbish in ("", "[]", "{}", '{"target": 1, "variant": 2, "wheels": 3, "megabytes": "x"}'):
            (tmp_path / "installed.json").write_text(rubbish)
            assert not read_state(tmp_path).ready
        said = {"target": "linux-x64-py27", "variant": "cpu", "wheels": [], "megabytes": 1}
        (tmp_path / "installed.json").write_text(json.dumps(said))
        assert "is for linux-x64-py27" in read_state(tmp_path).text
        (tmp_path / "installed.json").write_text(json.dumps({**said, "target": plan.this_target()}))
        state = read_state(tmp_path)
        assert state.ready and not state.current, "other packages than this version wants"

    def test_commands_leave_pythons_own_packages_out(self, tmp_path: Path) -> None:
        for command in (setup_command("python"), worker_command("python", tmp_path)):
            assert command[:3] == ("python", "-I", "-S") and Path(command[5]).name == "bootstrap.py"


class TestWheels:
    @pytest.mark.parametrize(
        "name",
        [
            "../evil.py",
            "/evil.py",
            "a/../../evil.py",
            "C:/evil.py",
            "a\\..\\..\\evil.py",
            "x-1.data/purelib/../../../evil.py",
        ],
    )
    def test_nothing_lands_outside(self, tmp_path: Path, name: str) -> None:
        with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"evil")
        with pytest.raises(SetupError, match="must not"):
            install.unpack_wheel(tmp_path / "x.whl", tmp_path / "in" / "packages")
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["x.whl"]

    def test_links_are_refused(self, tmp_path: Path) -> None:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            link = zipfile.ZipInfo("link")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        (tmp_path / "x.whl").write_bytes(data.getvalue())
        with pytest.raises(SetupError, match="must not"):
            install.unpack_wheel(tmp_path / "x.whl", tmp_path / "packages")
