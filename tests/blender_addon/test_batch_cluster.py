"""A batch on a Ray cluster of two machines, which are two groups of processes here. Needs Ray; slow."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from blender_addon.batch_run.cluster import Resources, connect, run_on_ray
from blender_addon.errors import UserError

pytest.importorskip("ray", reason="needs Ray: pip install -e '.[cluster]'")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

ROOT = Path(__file__).parents[2]
CLIPS, FRAMES = 6, 12


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    # On a busy machine Ray takes its time to start, and misses the heartbeats of the living.
    patience = pytest.MonkeyPatch()
    patience.setenv("RAY_raylet_start_wait_time_s", "180")
    patience.setenv("RAY_health_check_failure_threshold", "20")
    made = importlib.import_module("ray.cluster_utils").Cluster()
    for _ in range(2):
        made.add_node(num_cpus=2, include_dashboard=False)
    made.wait_for_nodes()
    yield made
    made.shutdown()
    patience.undo()


def command(shots: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "lifter.cli", "batch", str(shots / "*.mp4"), "-o", str(out), *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def at_work(task: str) -> list[int]:
    """Processes of Ray that are busy with a task: Ray writes its name over their command line."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"ray::{task}".encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_what_the_cluster_lacks_is_said_before_anything_is_begun(cluster: Any, tmp_path: Path) -> None:
    from blender_addon.batch_run.clip import Plan
    from blender_addon.batch_run.table import Table

    connect(cluster.address)
    try:
        with pytest.raises(UserError, match="has 0 GPUs, and --ray-gpus asks for 1"):
            run_on_ray([], Plan(tmp_path, ()), Resources(1, 1), Table(0))
    finally:
        importlib.import_module("ray").shutdown()


def test_a_worker_and_a_machine_are_lost_and_all_takes_are_as_without_a_cluster(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    from benchmarks.batch import DEMO, same_take, write_video
    from lifter.footage import open_footage, read_frames

    shots = tmp_path / "shots"
    pictures = [f.rgb for f in read_frames(open_footage(DEMO))]
    for i in range(CLIPS):
        write_video(shots / f"shot{i}.mp4", pictures[30 * i : 30 * i + FRAMES])
    (shots / "bad.mp4").write_bytes(b"no video")
    alone = subprocess.run(command(shots, tmp_path / "alone", "--jobs", "2"), env=environment(), capture_output=True)
    assert alone.returncode == 1

    ray = command(shots, tmp_path / "ray", "--ray", cluster.address)
    batch = subprocess.Popen(ray, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (busy := at_work("capture")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1.5)
    os.kill(busy[0], signal.SIGKILL)  # one process, in the middle of a clip
    while not list((tmp_path / "ray").glob("*.take.npz")) and time.monotonic() < deadline:
        time.sleep(0.2)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)  # and a whole machine, later
    said, complaints = batch.communicate(timeout=400)
    assert batch.returncode == 1, said + complaints
    assert f"{CLIPS} of {CLIPS + 1} clips are done" in said

    told = json.loads((tmp_path / "ray" / "batch.json").read_text())
    assert told["counts"] == {"clips": CLIPS + 1, "done": CLIPS, "skipped": 0, "failed": 1}
    assert [c["name"] for c in told["clips"] if c["error"]] == ["bad"]
    for i in range(CLIPS):
        assert same_take(tmp_path / "ray" / f"shot{i}.take.npz", tmp_path / "alone" / f"shot{i}.take.npz")
    assert not [p for p in (tmp_path / "ray").rglob("*") if "~" in p.name or p.name.startswith("batch-")]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "ray://127.0.0.1:1"])
def test_no_cluster(address: str) -> None:
    with pytest.raises(UserError, match="No Ray cluster was reached as"):
        connect(address)
