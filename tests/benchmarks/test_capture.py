"""The parts of benchmarks/capture.md, and errors of detections that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lifter
from benchmarks.capture import PARTS, put_part, simulated
from benchmarks.clips import rendered
from benchmarks.detectors import judge
from lifter.detect import Detection
from lifter.skeleton import layout_keypoints


def test_a_part_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "capture.md"
    time, memory = PARTS["time"], PARTS["memory"]
    put_part(path, f"## {memory}\n\nMB: 1\n")
    put_part(path, f"## {time}\n\nseconds: 1\n\n")
    put_part(path, f"## {time}\n\nseconds: 2\n")
    title, *rest = path.read_text().split("\n\n## ")
    assert title == "# Capturing: time and memory"
    assert rest == [f"{time}\n\nseconds: 2", f"{memory}\n\nMB: 1\n"]


def test_simulated_captures_keep_no_pictures() -> None:
    before = simulated(100, 1)["peak"]
    # 900 pictures would be 620 MB.
    assert simulated(1000, 2)["peak"] < before + 120


def test_errors_of_detections_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = rendered(Path(lifter.__file__).parent / "demo", "demo")
    names = layout_keypoints("coco17")
    known = [names.index(n) for n in names if n in clip.names]
    columns = [clip.column(n) for n in names if n in clip.names]
    seen: list[list[Detection]] = []
    for i, pixels in enumerate(clip.pixels):
        xy, score = np.full((17, 2), np.nan, np.float32), np.zeros(17, np.float32)
        xy[known], score[known] = pixels[columns] + [3, 4], 1
        far = Detection(xy + 200, score)
        seen.append([] if i < 20 else [far, Detection(xy, score)])
    errors = judge(clip, "coco17", seen)
    assert errors.pixels == pytest.approx(5, abs=0.01)
    assert errors.found == pytest.approx(1 - 20 / len(clip.pixels))
    assert 0.005 < errors.share < 0.03
    assert errors.aligned < 60
