"""Networks run on the CPU wherever the GPU is not there, does not start, says something else or is slower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifter import device
from lifter.checkpoint import FOLDER, load_checkpoint
from lifter.errors import MotionliftError

BODY = FOLDER / "body.onnx"


class Session:
    """A session as ONNX Runtime's are, on a GPU that errs and waits as told."""

    def __init__(self, real: Any, error: float, seconds: float) -> None:
        self.real, self.error, self.seconds = real, error, seconds

    def get_inputs(self) -> Any:
        return self.real.get_inputs()

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"]

    def run(self, names: Any, inputs: Any) -> list[Any]:
        if self.seconds < 0:
            raise RuntimeError("CUDA error: out of memory")
        device.time.sleep(self.seconds)
        return [o + self.error for o in self.real.run(names, inputs)]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the GPU give results off by `error` after `seconds`, a CPU that takes 0.2 s more than it does."""

    def pretend(error: float = 0.0, seconds: float = 0.0) -> None:
        import onnxruntime

        real = device._session(onnxruntime, BODY, [device.CPU], 0)
        slow = Session(real, 0.0, 0.2)
        slow.get_providers = lambda: [device.CPU]  # type: ignore[method-assign]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", device.CPU])
        monkeypatch.setattr(device, "_session", lambda _o, _p, providers, _t: slow if len(providers) == 1 else fast)
        fast = Session(real, error, seconds)

    return pretend


def test_a_gpu_that_agrees_and_is_faster_is_taken(gpu: Any) -> None:
    gpu(error=0.001)
    assert device.device_name(device.open_session(BODY)) == "CUDA"
    assert device.device_name(device.open_session(BODY, "cpu")) == "CPU"


@pytest.mark.parametrize("pretended", [{"error": 0.05}, {"error": np.nan}, {"seconds": 1.0}, {"seconds": -1.0}])
def test_one_that_errs_or_is_slow_or_breaks_is_not(gpu: Any, pretended: dict[str, float]) -> None:
    gpu(**pretended)
    assert device.device_name(device.open_session(BODY)) == "CPU"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.device_name(load_checkpoint(device="cpu").session) == "CPU"
    with pytest.raises(MotionliftError, match="Unknown device 'tpu'"):
        load_checkpoint(device="tpu")
    import onnxruntime

    if set(device.GPUS) & set(onnxruntime.get_available_providers()):
        pytest.skip("there is one")
    assert device.device_name(load_checkpoint().session) == "CPU"
    with pytest.raises(MotionliftError, match="knows no GPU"):
        load_checkpoint(device="gpu")
    # One that was built for CUDA, on a machine without.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", device.CPU])
    with pytest.raises(MotionliftError, match="CUDA does not start"):
        load_checkpoint(device="gpu")
    assert device.device_name(load_checkpoint().session) == "CPU"


def test_what_is_wrong_with_the_file_is_still_said(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_text("nothing")
    with pytest.raises(MotionliftError, match="damaged, or not an ONNX file"):
        load_checkpoint(str(tmp_path / "x.onnx"))
