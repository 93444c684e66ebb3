from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks import gpu  # noqa: E402


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="No CUDA device"):
        gpu.main([])


def test_a_trial_measures_every_network_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(gpu.__file__).with_name("gpu.md")
    before = file.read_bytes() if file.exists() else None
    gpu.main(["--device", "cpu", "--size", "xs", "--batch", "1", "--seconds", "0.001", "--plain"])
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert tuple(rows) == gpu.NETWORKS
    assert (file.read_bytes() if file.exists() else None) == before
