"""Resident memory does not grow with the corpus, neither when it is prepared nor when it is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
if not Path("/proc/self/status").exists():
    pytest.skip("reads /proc", allow_module_level=True)

from lifter.skeleton import load_skeleton
from tests.training.test_prepare import corpus_of, hand, prepared
from training.data.recording import Recording
from training.data.store import save_store

H36M = load_skeleton("h36m")

READ = """
import sys
import numpy as np
from pathlib import Path
import training.data.store as store
from training.data.windows import Windows, WindowBatches

store._KEPT_BYTES = int(sys.argv[2])
windows = Windows(store.load_store(Path(sys.argv[1])), frames=64)
before = resident = peak = 0
for n, batch in enumerate(WindowBatches(windows, ["joints", "keypoints"], 32)):
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    before = before or resident
    peak = max(peak, resident)
print(peak - before, windows.store.frames)
"""

PREPARE = """
import sys, resource
from pathlib import Path
import training.data.store as store
from training.data.prepare import load_corpus, prepare

store.StoreWriter.__init__.__kwdefaults__["shard_bytes"] = 1 << 20
prepare(*load_corpus(Path(sys.argv[1]) / "one" / "corpus.toml"), Path(sys.argv[2]) / "warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
prepare(*load_corpus(Path(sys.argv[1]) / "all" / "corpus.toml"), Path(sys.argv[2]) / "out")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def run(code: str, *arguments: object) -> list[int]:
    """The last two numbers that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=900
    )
    return [int(x) for x in done.stdout.split()[-2:]]


def write_store(folder: Path, clips: int, frames: int = 4000) -> None:
    """About 1.3 MB a clip."""
    joints, keypoints = np.zeros((frames, 17, 3), np.float32), np.zeros((frames, 17, 2), np.float32)

    def made():
        for i in range(clips):
            yield Recording(f"{i}", "made", "s", 50.0, {"joints": joints, "keypoints": keypoints})

    save_store(folder, made(), H36M)


def test_reading_every_window_of_a_larger_corpus_takes_no_more_memory(tmp_path: Path) -> None:
    write_store(tmp_path / "small", 30)  # 41 MB
    write_store(tmp_path / "large", 90)  # 122 MB
    kept, most = 16 << 20, 26_000  # bytes, kB
    small, frames = run(READ, tmp_path / "small", kept)
    large, more_frames = run(READ, tmp_path / "large", kept)
    assert more_frames == 3 * frames
    assert small < most and large < most
    # The same without handing pages back: the check sees memory that grows.
    assert run(READ, tmp_path / "large", 1 << 40)[0] > 3 * most


def test_preparing_a_larger_corpus_takes_no_more_memory(tmp_path: Path) -> None:
    growth = {}
    for takes in (20, 60):
        folder = tmp_path / str(takes)
        corpus_of(folder / "one", hand(), takes=1, frames=300)
        corpus_of(folder / "all", hand(), takes=takes, frames=300)
        growth[takes] = run(PREPARE, folder, tmp_path / f"out{takes}")[-1]
        assert len(prepared(folder / "all" / "corpus.toml", tmp_path / f"out{takes}" / "out")) == takes
    # 75 kB a take are stored, and more than a megabyte passes through memory for each.
    assert growth[60] < growth[20] + 3_000  # kB
