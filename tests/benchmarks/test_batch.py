"""The benchmark of batches on a few clips."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.batch import BAD, make_clips, measure, same_take

ROOT = Path(__file__).parents[2]


def test_clips_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    make_clips(tmp_path, 12, 5)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.mp4"))
    assert len(names) == 12 + len(BAD) and "scene01/shot011.mp4" in names and "bad/nobody.mp4" in names


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
def test_killed_in_the_middle_real_captures_end_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mediapipe")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    lines = measure(tmp_path, 9, 8, 2, "")
    assert "| takes in the end | 5; none was written twice |" in lines
    assert "| takes compared with `motionlift capture` alone | 5 of 5 identical arrays |" in lines
    first = sorted((tmp_path / "out").rglob("shot*.take.npz"))
    assert same_take(first[0], first[0]) and not same_take(first[0], first[1])
